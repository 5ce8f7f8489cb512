/*
 * Sets of symbols: a random walk against a plain model, in which a symbol is a
 * number and a set has a flag for each of them.
 */
#include "config.h"

#include "ring/symbols.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../frames.h"
#include "base/util.h"

enum {
	KEYS_MAX = 60, /* few buckets: keys collide */
	SETS_MAX = 6,
	STREAMS_MAX = 70, /* more than a word of bits */
	TABLES = 3,
	TEXTS = 60, /* each of them in every table */
	STEPS = 30000,
	SEED = 7,
	CHOSEN_BITS = 12, /* most symbols chosen for a set */
	CHOSEN_BYTES = CHOSEN_BITS * 16,
};

/* The expected content of a set. */
struct model {
	struct symbol_set *set;
	unsigned holders; /* 0: unused */
	bool is_filtered[TABLES];
	bool has[TABLES][TEXTS];
};

static struct symbols symbols;
static struct model models[SETS_MAX];
static struct model *streams[STREAMS_MAX]; /* by stream: the set that it
					      wants */
static uint8_t texts[TEXTS][SYMBOL_BYTES_MAX + 1];
static size_t lens[TEXTS];
static struct chance chance;

/* Counts of the rare cases. */
static unsigned no_keys, no_sets, shared, emptied, reused;

static void
make_texts(void)
{
	for (unsigned i = 0; i < TEXTS; i++) {
		lens[i] = i < 20	   ? i
			  : i < 40	   ? 3
			  : i == TEXTS - 1 ? SYMBOL_BYTES_MAX
					   : 7 + i;
		bytes_make(texts[i], 1, lens[i]);
		/* Of equal lengths only the last byte differs. */
		if (lens[i] > 0)
			texts[i][lens[i] - 1] = (uint8_t)i;
	}
}

static int
start(void **state)
{
	(void)state;
	make_texts();
	memset(models, 0, sizeof(models));
	memset(streams, 0, sizeof(streams));
	no_keys = no_sets = shared = emptied = reused = 0;
	return symbols_open(&symbols, KEYS_MAX, SETS_MAX, STREAMS_MAX, SEED);
}

static int
stop(void **state)
{
	(void)state;
	symbols_close(&symbols);
	return 0;
}

static uint32_t
find(unsigned table, unsigned text)
{
	return symbols_find(&symbols, table, texts[text], lens[text]);
}

static int
add(struct symbol_set *set, unsigned table, unsigned text)
{
	return symbols_add(&symbols, set, table, texts[text], lens[text]);
}

/* ---- the model ---- */

static bool
is_in_any(unsigned table, unsigned text)
{
	for (unsigned i = 0; i < SETS_MAX; i++)
		if (models[i].holders > 0 && models[i].has[table][text])
			return true;
	return false;
}

static unsigned
keys_cnt(void)
{
	unsigned cnt = 0;

	for (unsigned i = 0; i < TABLES * TEXTS; i++)
		cnt += is_in_any(i / TEXTS, i % TEXTS);
	return cnt;
}

static bool
is_equal(const struct model *a, const struct model *b)
{
	return memcmp(a->has, b->has, sizeof(a->has)) == 0 &&
	       memcmp(a->is_filtered, b->is_filtered, sizeof(a->is_filtered)) ==
		       0;
}

static struct model *
free_model(void)
{
	for (unsigned i = 0; i < SETS_MAX; i++)
		if (models[i].holders == 0)
			return &models[i];
	return NULL;
}

/* A set that is held, at random; NULL: none, or sometimes. */
static struct model *
any_model(void)
{
	struct model *m = &models[chance_below(&chance, SETS_MAX)];

	return m->holders > 0 ? m : NULL;
}

/* ---- checks ---- */

/* The text with these bytes. */
static unsigned
text_of(const uint8_t *at, size_t len)
{
	for (unsigned i = 0; i < TEXTS; i++)
		if (lens[i] == len && memcmp(texts[i], at, len) == 0)
			return i;
	fail_msg("no text of %zu bytes", len);
	return 0;
}

static void
check_set(const struct model *m)
{
	unsigned cnt = 0;

	for (unsigned table = 0; table < TABLES; table++) {
		bool seen[TEXTS] = { false };
		uint32_t at = 0, before;
		const uint8_t *symbol;
		size_t len;

		assert_int_equal(symbols_is_filtered(m->set, table),
				 m->is_filtered[table]);
		for (before = at;
		     symbols_next(&symbols, m->set, table, &at, &symbol, &len);
		     before = at, cnt++) {
			assert_true(at > before);
			seen[text_of(symbol, len)] = true;
		}
		assert_memory_equal(seen, m->has[table], sizeof(seen));
		for (unsigned i = 0; i < TEXTS; i++)
			assert_int_equal(symbols_has(m->set, find(table, i)),
					 m->has[table][i]);
	}
	assert_int_equal(m->set->cnt, cnt);
	assert_int_equal(m->set->holders, m->holders);
}

static void
check_wanted(unsigned table, unsigned text)
{
	const uint64_t *bits = symbols_wanted_by(&symbols, find(table, text));

	for (unsigned i = 0; i < STREAMS_MAX; i++)
		assert_int_equal(bits_has(bits, i),
				 streams[i] != NULL &&
					 streams[i]->has[table][text]);
}

static void
check(void)
{
	for (unsigned i = 0; i < SETS_MAX; i++)
		if (models[i].holders > 0)
			check_set(&models[i]);
	for (unsigned i = 0; i < TABLES * TEXTS; i++) {
		bool is_there = is_in_any(i / TEXTS, i % TEXTS);
		uint32_t key = find(i / TEXTS, i % TEXTS);

		assert_int_equal(key != SYMBOLS_NONE, is_there);
		if (is_there)
			check_wanted(i / TEXTS, i % TEXTS);
	}
	assert_int_equal(symbols.keys_cnt, keys_cnt());
}

/* ---- the walk ---- */

static void
walk_add(struct model *m)
{
	unsigned table = (unsigned)chance_below(&chance, TABLES);
	unsigned text = (unsigned)chance_below(&chance, TEXTS);
	bool is_new = !is_in_any(table, text);
	uint32_t fresh = symbols.fresh_key;

	if (!m->is_filtered[table])
		return;
	if (is_new && keys_cnt() == KEYS_MAX) {
		no_keys++;
		assert_int_equal(add(m->set, table, text), -ENOSPC);
		return;
	}
	assert_int_equal(add(m->set, table, text), 0);
	m->has[table][text] = true;
	reused += is_new && symbols.fresh_key == fresh;
}

static void
walk_change(struct model *m)
{
	unsigned table = (unsigned)chance_below(&chance, TABLES);

	switch (chance_below(&chance, 8)) {
	case 0:
		symbols_forget(&symbols, m->set, table);
		m->is_filtered[table] = false;
		memset(m->has[table], 0, sizeof(m->has[table]));
		break;
	case 1:
		symbols_filter(m->set, table);
		m->is_filtered[table] = true;
		break;
	default:
		walk_add(m);
	}
}

/* The model of a finished set; NULL: it filters no table.  The model of the
 * change may be unused then. */
static struct model *
finish(struct model *m)
{
	bool is_any = false;

	for (unsigned i = 0; i < TABLES; i++)
		is_any |= m->is_filtered[i];
	if (!is_any) {
		m->holders = 0;
		return NULL;
	}
	for (unsigned i = 0; i < SETS_MAX; i++) {
		if (&models[i] == m || models[i].holders == 0 ||
		    !is_equal(&models[i], m))
			continue;
		models[i].holders++;
		m->holders = 0;
		return &models[i];
	}
	return m;
}

static void
walk_begin(void)
{
	const struct model *from = any_model();
	struct model *m = free_model(), *became;
	struct symbol_set *set =
		symbols_begin(&symbols, from == NULL ? NULL : from->set);
	uint64_t changes = chance_below(&chance, 60);

	if (m == NULL) {
		no_sets++;
		assert_null(set);
		return;
	}
	assert_non_null(set);
	*m = from == NULL ? (struct model){ 0 } : *from;
	m->set = set;
	m->holders = 1;
	while (changes-- > 0)
		walk_change(m);
	check_set(m);
	set = symbols_finish(&symbols, m->set);
	became = finish(m);
	shared += became != NULL && became != m;
	emptied += became == NULL;
	assert_ptr_equal(set, became == NULL ? NULL : became->set);
}

static void
let_go(struct model *m)
{
	symbols_release(&symbols, m->set);
	m->holders--;
}

/* A stream begins, with a set that it holds, or ends. */
static void
walk_stream(unsigned i)
{
	struct model *m = any_model();

	if (streams[i] != NULL) {
		m = streams[i];
		symbols_want(&symbols, m->set, i, false);
		streams[i] = NULL;
		let_go(m);
	} else if (m != NULL && chance_below(&chance, 12) == 0) {
		symbols_hold(m->set);
		m->holders++;
		symbols_want(&symbols, m->set, i, true);
		streams[i] = m;
	}
}

/* Whether any holder besides streams has it. */
static bool
is_ours(const struct model *m)
{
	unsigned cnt = 0;

	for (unsigned i = 0; i < STREAMS_MAX; i++)
		cnt += streams[i] == m;
	return m->holders > cnt;
}

static void
test_random_walk(void **state)
{
	(void)state;
	chance = chance_start("symbols");
	for (unsigned step = 0; step < STEPS; step++) {
		struct model *m = any_model();
		uint64_t what = chance_below(&chance, 10);

		if (what < 4)
			walk_begin();
		else if (what < 6)
			walk_stream(
				(unsigned)chance_below(&chance, STREAMS_MAX));
		else if (m != NULL && is_ours(m) && what < 9)
			let_go(m);
		if (step % 8 == 0)
			check();
	}
	assert_true(no_keys > 20 && no_sets > 1000 && reused > 5000);
	assert_true(shared > 50 && emptied > 5);
	for (unsigned i = 0; i < STREAMS_MAX; i++)
		if (streams[i] != NULL)
			walk_stream(i);
	for (unsigned i = 0; i < SETS_MAX; i++)
		while (models[i].holders > 0)
			let_go(&models[i]);
	check();
	assert_int_equal(symbols.keys_cnt, 0);
}

/* ---- cases that the walk does not reach ---- */

static void
test_lengths(void **state)
{
	uint8_t text[SYMBOL_BYTES_MAX + 1];
	struct symbol_set *set = symbols_begin(&symbols, NULL);

	(void)state;
	memset(text, 'a', sizeof(text));
	symbols_filter(set, 0);
	for (size_t len = 0; len <= SYMBOL_BYTES_MAX; len++) {
		uint32_t at = 0;
		const uint8_t *symbol;
		size_t symbol_len;

		assert_int_equal(symbols_add(&symbols, set, 0, text, len), 0);
		assert_int_equal(symbols_add(&symbols, set, 0, text, len), 0);
		assert_int_equal(symbols.keys_cnt, 1);
		assert_true(symbols_next(&symbols, set, 0, &at, &symbol,
					 &symbol_len));
		assert_int_equal(symbol_len, len);
		assert_memory_equal(symbol, text, len);
		assert_false(symbols_next(&symbols, set, 0, &at, &symbol,
					  &symbol_len));
		symbols_forget(&symbols, set, 0);
		symbols_filter(set, 0);
	}
	assert_int_equal(symbols_add(&symbols, set, 0, text, sizeof(text)),
			 -E2BIG);
	assert_int_equal(symbols_find(&symbols, 0, text, sizeof(text)),
			 SYMBOLS_NONE);
	symbols_release(&symbols, set);
	assert_int_equal(symbols.keys_cnt, 0);
}

/* Uses all keys and all sets; then each can be used again. */
static void
test_run_out(void **state)
{
	struct symbol_set *sets[SETS_MAX];

	(void)state;
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < SETS_MAX; i++) {
			sets[i] = symbols_begin(&symbols, NULL);
			assert_non_null(sets[i]);
			symbols_filter(sets[i], 0);
			symbols_filter(sets[i], 1);
		}
		assert_null(symbols_begin(&symbols, NULL));
		for (unsigned i = 0; i < KEYS_MAX; i++)
			assert_int_equal(add(sets[i % SETS_MAX], 0, i), 0);
		assert_int_equal(add(sets[0], 1, 0), -ENOSPC);
		assert_int_equal(find(1, 0), SYMBOLS_NONE);
		/* keys of another set need no memory */
		assert_int_equal(add(sets[0], 0, 1), 0);
		symbols_forget(&symbols, sets[2], 0);
		assert_int_equal(add(sets[0], 1, 0), 0);
		for (unsigned i = 0; i < SETS_MAX; i++)
			symbols_release(&symbols, sets[i]);
		assert_int_equal(symbols.keys_cnt, 0);
	}
}

/* Without symbols the table is still filtered: none of its rows is wanted. */
static void
test_empty_filters(void **state)
{
	struct symbol_set *a = symbols_begin(&symbols, NULL), *b;

	(void)state;
	symbols_filter(a, 2);
	assert_ptr_equal(symbols_finish(&symbols, a), a);
	b = symbols_begin(&symbols, NULL);
	symbols_filter(b, SCHEMA_TABLES_MAX - 1);
	assert_ptr_equal(symbols_finish(&symbols, b), b);
	symbols_release(&symbols, b);
	b = symbols_begin(&symbols, NULL);
	symbols_filter(b, 2);
	assert_ptr_equal(symbols_finish(&symbols, b), a);
	symbols_release(&symbols, a);
	symbols_release(&symbols, a);
	symbols_release(&symbols, NULL);
	symbols_hold(NULL);
	b = symbols_begin(&symbols, NULL);
	assert_null(symbols_finish(&symbols, b));
	for (unsigned i = 0; i < SETS_MAX; i++)
		assert_int_equal(symbols.sets[i].holders, 0);
}

/*
 * Symbols that a xor-shift-multiply hash puts into one bucket, whatever its
 * seed: each bit is a pair of words, the second of which cancels the difference
 * of the first.
 */
static void
choose(unsigned number, uint8_t *out)
{
	memset(out, 'a', CHOSEN_BYTES);
	for (unsigned bit = 0; bit < CHOSEN_BITS; bit++, out += 16) {
		if ((number >> bit & 1) == 0)
			continue;
		out[3] ^= 0x80;
		out[7] ^= 0x80;
		out[8 + 4] ^= 0x04;
		out[8 + 7] ^= 0x80;
	}
}

/* The most keys that a lookup looks at. */
static unsigned
longest_lookup(const struct symbols *s)
{
	unsigned longest = 0;

	for (uint32_t i = 0; i <= s->buckets_mask; i++) {
		unsigned cnt = 0;

		for (uint32_t k = s->buckets[i]; k != SYMBOLS_NONE;
		     k = s->keys[k].next)
			cnt++;
		longest = (unsigned)max_u64(longest, cnt);
	}
	return longest;
}

/* Lookups are short even for these chosen symbols, and differ by seed. */
static void
test_chosen_symbols(void **state)
{
	const uint64_t seeds[] = { 0x9e3779b97f4a7c15, 0x123456789abcdef,
				   0xc2b2ae3d27d4eb4f, 0x165667b19e3779f9 };
	uint8_t symbol[CHOSEN_BYTES];
	uint32_t first[ARRAY_LEN(seeds)];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(seeds); i++) {
		struct symbols s;
		struct symbol_set *set;

		assert_int_equal(
			symbols_open(&s, 1 << CHOSEN_BITS, 1, 1, seeds[i]), 0);
		set = symbols_begin(&s, NULL);
		symbols_filter(set, 0);
		for (unsigned n = 0; n < 1 << CHOSEN_BITS; n++) {
			choose(n, symbol);
			assert_int_equal(symbols_add(&s, set, 0, symbol,
						     sizeof(symbol)),
					 0);
		}
		assert_in_range(longest_lookup(&s), 1, 12);
		choose(0, symbol);
		first[i] = s.keys[symbols_find(&s, 0, symbol, sizeof(symbol))]
				   .hash;
		symbols_close(&s);
		for (size_t j = 0; j < i; j++)
			assert_int_not_equal(first[i], first[j]);
	}
}

static void
test_open(void **state)
{
	struct symbols none = { 0 };

	(void)state;
	symbols_close(&none);
	assert_int_equal(
		symbols_open(&none, UINT32_MAX / 2, UINT32_MAX, UINT32_MAX, 0),
		-ENOMEM);
	symbols_close(&none);
	assert_int_equal(symbols_open(&none, 1, 1, 0, UINT64_MAX), 0);
	assert_int_equal(symbols_find(&none, 0, texts[0], 0), SYMBOLS_NONE);
	symbols_close(&none);
	assert_true(symbols_memory(1000, 10, 64) >= 1000 * 256);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
		TEST(test_random_walk), TEST(test_lengths),
		TEST(test_run_out),	TEST(test_empty_filters),
		TEST(test_chosen_symbols), TEST(test_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
