#include "config.h"

#include "ring/symbols.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "base/memory.h"
#include "base/util.h"

__extension__ typedef unsigned __int128 uint128;

enum { HASH_PRIME_BITS = 61 };
#define HASH_PRIME ((UINT64_C(1) << HASH_PRIME_BITS) - 1)

_Static_assert(sizeof(struct symbol_key) == 256, "a key is four cache lines");

/* ---- open and close ---- */

static uint32_t
buckets_of(uint32_t keys_max)
{
	return power_of_two_at_least(keys_max > 64 ? keys_max : 64);
}

static size_t
tokens_of(uint32_t bits)
{
	return (bits + 63) / 64;
}

uint64_t
symbols_memory(uint32_t keys_max, uint32_t sets_max, uint32_t streams_max)
{
	return (uint64_t)keys_max * sizeof(struct symbol_key) +
	       (uint64_t)keys_max * tokens_of(streams_max) * 8 +
	       (uint64_t)sets_max *
		       (tokens_of(keys_max) * 8 + sizeof(struct symbol_set)) +
	       (uint64_t)buckets_of(keys_max) * 4;
}

/* Takes the next `bytes` bytes of the mapping. */
static void *
carve(uint8_t **at, size_t bytes)
{
	void *part = *at;

	*at += bytes;
	return part;
}

int
symbols_open(struct symbols *s, uint32_t keys_max, uint32_t sets_max,
	     uint32_t streams_max, uint64_t seed)
{
	uint8_t *at;

	*s = (struct symbols){ .keys_max = keys_max,
			       .secret = 1 + seed % (HASH_PRIME - 1),
			       .sets_max = sets_max,
			       .free_key = SYMBOLS_NONE,
			       .set_words = tokens_of(keys_max),
			       .stream_words = tokens_of(streams_max),
			       .buckets_mask = buckets_of(keys_max) - 1 };
	s->mapped_bytes =
		(size_t)symbols_memory(keys_max, sets_max, streams_max);
	at = memory_map(s->mapped_bytes);
	if (at == NULL) {
		*s = (struct symbols){ 0 };
		return -ENOMEM;
	}
	s->keys = carve(&at, keys_max * sizeof(*s->keys));
	s->stream_bits = carve(&at, keys_max * s->stream_words * 8);
	s->set_bits = carve(&at, sets_max * s->set_words * 8);
	s->sets = carve(&at, sets_max * sizeof(*s->sets));
	s->buckets = carve(&at, (s->buckets_mask + 1) * sizeof(*s->buckets));
	memset(s->buckets, 0xff, (s->buckets_mask + 1) * sizeof(*s->buckets));
	return 0;
}

uint64_t
symbols_draw_seed(void)
{
	uint64_t seed;

	/* If a sandbox refuses it, an address is at least not public. */
	if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
		seed = (uint64_t)(uintptr_t)&seed * HASH_PRIME;
	return seed;
}

void
symbols_close(struct symbols *s)
{
	memory_unmap(s->keys, s->mapped_bytes);
	*s = (struct symbols){ 0 };
}

/* ---- keys ---- */

/* A fast hash, for numbers that no peer can choose. */
static uint64_t
mix(uint64_t h)
{
	h ^= h >> 32;
	h *= UINT64_C(0x9e3779b97f4a7c15);
	return h ^ h >> 29;
}

/* a * b modulo the prime, possibly plus the prime once. */
static uint64_t
multiply(uint64_t a, uint64_t b)
{
	uint128 product = (uint128)a * b;
	uint64_t sum = (uint64_t)(product & HASH_PRIME) +
		       (uint64_t)(product >> HASH_PRIME_BITS);

	return (sum & HASH_PRIME) + (sum >> HASH_PRIME_BITS);
}

/*
 * The symbol's words of seven bytes are the coefficients of a polynomial, which
 * is evaluated at a secret point: two different polynomials of n words are
 * equal at no more than n points.  So two symbols, even if an adversary chose
 * them, share a bucket with a probability of at most 2 n / buckets.
 */
static uint32_t
hash_symbol(const struct symbols *s, unsigned table_idx, const uint8_t *symbol,
	    size_t len)
{
	uint64_t h = (uint64_t)table_idx << 16 | len, word;

	h = multiply(h + 1, s->secret);
	for (; len > 7; symbol += 7, len -= 7) {
		memcpy(&word, symbol, 8);
		h = multiply(h + (word & (UINT64_MAX >> 8)), s->secret);
	}
	word = 0;
	memcpy(&word, symbol, len);
	h = multiply(h + word, s->secret);
	return (uint32_t)(h >= HASH_PRIME ? h - HASH_PRIME : h);
}

static uint32_t
find_hashed(const struct symbols *s, uint32_t hash, unsigned table_idx,
	    const uint8_t *symbol, size_t len)
{
	uint32_t at = s->buckets[hash & s->buckets_mask];

	while (at != SYMBOLS_NONE) {
		const struct symbol_key *k = &s->keys[at];

		if (k->hash == hash && k->table_idx == table_idx &&
		    k->len == len && memcmp(k->text, symbol, len) == 0)
			break;
		at = k->next;
	}
	return at;
}

uint32_t
symbols_find(const struct symbols *s, unsigned table_idx, const uint8_t *symbol,
	     size_t len)
{
	uint32_t hash = hash_symbol(s, table_idx, symbol, len);

	return find_hashed(s, hash, table_idx, symbol, len);
}

/* A new key, which is in no set yet; SYMBOLS_NONE if keys_max keys are in
 * use. */
static uint32_t
new_key(struct symbols *s, unsigned table_idx, const uint8_t *symbol,
	size_t len)
{
	uint32_t hash = hash_symbol(s, table_idx, symbol, len);
	uint32_t key = s->free_key;
	uint32_t *bucket = &s->buckets[hash & s->buckets_mask];
	struct symbol_key *k;

	if (key != SYMBOLS_NONE)
		s->free_key = s->keys[key].next;
	else if (s->fresh_key < s->keys_max)
		key = s->fresh_key++;
	else
		return SYMBOLS_NONE;
	k = &s->keys[key];
	k->hash = hash;
	k->next = *bucket;
	k->sets = 0;
	k->table_idx = (uint16_t)table_idx;
	k->len = (uint16_t)len;
	memcpy(k->text, symbol, len);
	*bucket = key;
	s->keys_cnt++;
	return key;
}

static void
free_key(struct symbols *s, uint32_t key)
{
	struct symbol_key *k = &s->keys[key];
	uint32_t *at = &s->buckets[k->hash & s->buckets_mask];

	while (*at != key)
		at = &s->keys[*at].next;
	*at = k->next;
	k->next = s->free_key;
	s->free_key = key;
	s->keys_cnt--;
}

/* ---- sets ---- */

static struct symbol_set *
take_set(struct symbols *s)
{
	for (uint32_t i = 0; i < s->sets_max; i++) {
		struct symbol_set *set = &s->sets[i];

		if (set->holders > 0)
			continue;
		*set = (struct symbol_set){
			.holders = 1,
			.bits = s->set_bits + i * s->set_words,
		};
		return set;
	}
	return NULL;
}

static void
insert_key(struct symbols *s, struct symbol_set *set, uint32_t key)
{
	if (symbols_has(set, key))
		return;
	bits_set(set->bits, key, true);
	set->cnt++;
	set->hash += mix(key + 1);
	s->keys[key].sets++;
}

static void
take_out(struct symbols *s, struct symbol_set *set, uint32_t key)
{
	bits_set(set->bits, key, false);
	set->cnt--;
	set->hash -= mix(key + 1);
	if (--s->keys[key].sets == 0)
		free_key(s, key);
}

/* The first key of the set at or after `at`; SYMBOLS_NONE if there is none. */
static uint32_t
next_key(const struct symbols *s, const struct symbol_set *set, uint32_t at)
{
	uint32_t key = bits_next(set->bits, at, s->fresh_key);

	return key < s->fresh_key ? key : SYMBOLS_NONE;
}

struct symbol_set *
symbols_begin(struct symbols *s, const struct symbol_set *from)
{
	struct symbol_set *set = take_set(s);
	uint32_t key = 0;

	if (set == NULL || from == NULL)
		return set;
	memcpy(set->tables, from->tables, sizeof(set->tables));
	for (; (key = next_key(s, from, key)) != SYMBOLS_NONE; key++)
		insert_key(s, set, key);
	return set;
}

void
symbols_forget(struct symbols *s, struct symbol_set *set, unsigned table_idx)
{
	uint32_t key = 0;

	bits_set(set->tables, table_idx, false);
	for (; (key = next_key(s, set, key)) != SYMBOLS_NONE; key++)
		if (s->keys[key].table_idx == table_idx)
			take_out(s, set, key);
}

void
symbols_filter(struct symbol_set *set, unsigned table_idx)
{
	bits_set(set->tables, table_idx, true);
}

int
symbols_add(struct symbols *s, struct symbol_set *set, unsigned table_idx,
	    const uint8_t *symbol, size_t len)
{
	uint32_t key;

	CHECK(symbols_is_filtered(set, table_idx));
	if (len > SYMBOL_BYTES_MAX)
		return -E2BIG;
	key = symbols_find(s, table_idx, symbol, len);
	if (key == SYMBOLS_NONE)
		key = new_key(s, table_idx, symbol, len);
	if (key == SYMBOLS_NONE)
		return -ENOSPC;
	insert_key(s, set, key);
	return 0;
}

static bool
is_equal(const struct symbols *s, const struct symbol_set *a,
	 const struct symbol_set *b)
{
	return a->hash == b->hash && a->cnt == b->cnt &&
	       memcmp(a->tables, b->tables, sizeof(a->tables)) == 0 &&
	       memcmp(a->bits, b->bits, tokens_of(s->fresh_key) * 8) == 0;
}

static bool
filters_any(const struct symbol_set *set)
{
	uint64_t any = 0;

	for (size_t i = 0; i < ARRAY_LEN(set->tables); i++)
		any |= set->tables[i];
	return any != 0;
}

struct symbol_set *
symbols_finish(struct symbols *s, struct symbol_set *set)
{
	struct symbol_set *found = NULL;

	if (!filters_any(set)) {
		symbols_release(s, set);
		return NULL;
	}
	for (uint32_t i = 0; i < s->sets_max && found == NULL; i++)
		if (&s->sets[i] != set && s->sets[i].holders > 0 &&
		    is_equal(s, &s->sets[i], set))
			found = &s->sets[i];
	if (found == NULL)
		return set;
	symbols_hold(found);
	symbols_release(s, set);
	return found;
}

void
symbols_hold(struct symbol_set *set)
{
	if (set != NULL)
		set->holders++;
}

void
symbols_release(struct symbols *s, struct symbol_set *set)
{
	uint32_t key = 0;

	if (set == NULL)
		return;
	CHECK(set->holders > 0);
	if (set->holders == 1)
		for (; (key = next_key(s, set, key)) != SYMBOLS_NONE; key++)
			take_out(s, set, key);
	set->holders--;
}

bool
symbols_next(const struct symbols *s, const struct symbol_set *set,
	     unsigned table_idx, uint32_t *at, const uint8_t **out_symbol,
	     size_t *out_len)
{
	uint32_t key = *at;

	for (; (key = next_key(s, set, key)) != SYMBOLS_NONE; key++) {
		const struct symbol_key *k = &s->keys[key];

		if (k->table_idx != table_idx)
			continue;
		*at = key + 1;
		*out_symbol = k->text;
		*out_len = k->len;
		return true;
	}
	return false;
}

/* ---- streams ---- */

void
symbols_want(struct symbols *s, const struct symbol_set *set,
	     unsigned stream_idx, bool is_wanted)
{
	uint32_t key = 0;

	for (; (key = next_key(s, set, key)) != SYMBOLS_NONE; key++)
		bits_set(s->stream_bits + key * s->stream_words, stream_idx,
			 is_wanted);
}
