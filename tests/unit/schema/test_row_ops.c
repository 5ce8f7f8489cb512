#include "config.h"

#include "schema/row_ops.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../frames.h"
#include "schema/update.h"
#include "base/util.h"
#include "../vectors.h"
#include "wire/wire.h"

enum {
	CELL_BYTES = 64,
	COLUMNS_MAX = 24,
	MESSAGES_MAX = 12,
	LEN_MAX = 1 << 20, /* bytes of a message of the model */
};

static struct chance chance;

/* Columns are named after their types, except the first two. */
static void
add_table(const char *name, const char *time_type, const char *sym_type,
	  const char *const *types)
{
	struct schema_table *t;
	struct schema_error err;

	assert_int_equal(schema_add_table(&schema, name, &t, &err), 0);
	assert_int_equal(schema_add_column(t, "time", time_type, KA_NONE, &err),
			 0);
	assert_int_equal(schema_add_column(t, "sym", sym_type, KA_NONE, &err),
			 0);
	for (; *types != NULL; types++)
		assert_int_equal(
			schema_add_column(t, *types, *types, KA_NONE, &err), 0);
}

static int
set_up(void **state)
{
	static const char *const all[] = { "b",	     "g",    "x", "h", "i", "j",
					   "e",	     "f",    "c", "s", "p", "m",
					   "d",	     "z",    "n", "u", "v", "t",
					   "string", "list", NULL };
	static const char *const price[] = { "float", NULL };
	static const char *const any[] = { "list", NULL };
	static const char *const none[] = { NULL };
	struct schema_error err;

	(void)state;
	add_table("all", "n", "s", all);
	add_table("book", "p", "j", price);
	add_table("cast", "t", "list", any);
	add_table("news", "n", "s", any);
	add_table("pair", "n", "s", none);
	assert_int_equal(schema_finish(&schema, &err), 0);
	fences_open();
	chance = chance_start("rows");
	return 0;
}

static int
tear_down(void **state)
{
	fences_close();
	return schema_close(state);
}

/* ---- a message whose cells are known ---- */

/* The item of one row and column, as an object of its own. */
struct cell {
	uint8_t bytes[CELL_BYTES];
	size_t len;
};

struct message {
	const struct schema_table *t;
	uint32_t rows;
	struct cell *columns[COLUMNS_MAX];
	uint8_t *frame;
	size_t len;
};

static int
cell_type(const struct cell *c)
{
	return (int8_t)c->bytes[0];
}

/* The type of the vector that the cells make; 0 if they make a list. */
static int
vector_type(const struct cell *const *cells, uint32_t cnt)
{
	int type = cell_type(cells[0]);

	if (type >= 0)
		return KT_LIST;
	for (uint32_t i = 1; i < cnt; i++)
		if (cell_type(cells[i]) != type)
			return KT_LIST;
	return -type;
}

static void
put_cells(struct wire_writer *w, const struct cell *const *cells, uint32_t cnt,
	  int type, uint8_t attr)
{
	wire_put_list(w, type, attr, cnt);
	for (uint32_t i = 0; i < cnt; i++) {
		size_t skip = type == KT_LIST ? 0 : 1;

		wire_put_bytes(w, cells[i]->bytes + skip, cells[i]->len - skip);
	}
}

/* A random type of 1..19. */
static int
any_type(void)
{
	int type = (int)chance_between(&chance, KT_BOOLEAN, KT_TIME);

	return type == 3 ? KT_SYMBOL : type;
}

static void
make_atom(struct cell *c, int type)
{
	c->bytes[0] = (uint8_t)-type;
	c->len = 1 + wire_item_bytes(type);
	if (type == KT_SYMBOL)
		c->len += chance_below(&chance, 20);
	for (size_t i = 1; i < c->len; i++)
		c->bytes[i] = (uint8_t)chance_between(&chance, 1, 255);
	if (type == KT_BOOLEAN)
		c->bytes[1] &= 1;
	else if (type == KT_SYMBOL)
		c->bytes[c->len++] = 0;
}

static void
make_text(struct cell *c)
{
	struct wire_writer w = wire_writer(c->bytes, CELL_BYTES);
	uint32_t len = (uint32_t)chance_below(&chance, 20);

	wire_put_list(&w, KT_CHAR, KA_NONE, len);
	while (len-- > 0)
		wire_put_u8(&w, (uint8_t)chance_bits(&chance));
	c->len = wire_written(&w);
}

static void
make_object(struct cell *c)
{
	static const char *const objects[] = {
		"0000 00000000",
		"0000 02000000 f9 0100000000000000 f5 6100",
		"0000 01000000 0000 01000000 0a00 02000000 6162",
		"0b00 03000000 00 6100 626200",
		"0202 01000000 000102030405060708090a0b0c0d0e0f",
		"63 0b00 01000000 6100 0700 01000000 0200000000000000",
		"6200 63 0b00 01000000 6100 0000 01000000 0600 00000000",
		"64 00 0a00 03000000 7b787d",
		"65 00",
		"68 02000000 66 00 fa 02000000",
	};
	size_t which = chance_below(&chance, ARRAY_LEN(objects) + 2);

	if (which == ARRAY_LEN(objects))
		make_text(c);
	else if (which > ARRAY_LEN(objects))
		make_atom(c, any_type());
	else
		c->len = hex_bytes(objects[which], c->bytes, CELL_BYTES);
}

/* Fills a column with items of the schema's type, or of any type. */
static void
make_column(struct cell *cells, uint32_t rows, const struct schema_column *c,
	    bool is_wild)
{
	int type = c->type;
	uint64_t mix = chance_below(&chance, 4);

	if (is_wild || (type == KT_LIST && !c->is_string))
		type = mix < 2 ? any_type() : KT_LIST;
	else if (c->is_string && mix < 2)
		type = KT_CHAR;
	for (uint32_t i = 0; i < rows; i++) {
		if (type != KT_LIST)
			make_atom(&cells[i], type);
		else if (mix == 2 || (c->is_string && !is_wild))
			chance_below(&chance, 3) == 0
				? make_atom(&cells[i], KT_CHAR)
				: make_text(&cells[i]);
		else
			make_object(&cells[i]);
	}
}

static size_t
update_frame(const struct schema_table *t, const uint8_t *x, size_t len,
	     uint8_t **out)
{
	struct update u;
	const char *why;

	if (update_parse(t, x, len, CHECK_SHAPE, &u, &why) != UPDATE_OK)
		fail_msg("%s: %s", t->name, why);
	*out = malloc(u.frame_len);
	assert_non_null(*out);
	update_write(&u, 0, *out);
	return u.frame_len;
}

/* Makes strings of chars, as update_write does in a column of strings. */
static void
make_strings_of_chars(struct cell *cells, uint32_t rows)
{
	for (uint32_t i = 0; i < rows; i++) {
		struct cell *c = &cells[i];
		struct wire_writer w = wire_writer(c->bytes, CELL_BYTES);
		uint8_t letter = c->bytes[1];

		if (cell_type(c) != -KT_CHAR)
			continue;
		wire_put_list(&w, KT_CHAR, KA_NONE, 1);
		wire_put_u8(&w, letter);
		c->len = wire_written(&w);
	}
}

/* Sends some columns that could be vectors as general lists. */
static void
send_columns(struct message *m)
{
	static uint8_t x[LEN_MAX];
	struct wire_writer w = wire_writer(x, sizeof(x));
	const struct cell **cells = calloc(m->rows, sizeof(*cells));

	assert_non_null(cells);
	wire_put_list(&w, KT_LIST, KA_NONE, m->t->columns_cnt);
	for (unsigned i = 0; i < m->t->columns_cnt; i++) {
		uint8_t attr = (uint8_t)chance_below(&chance, KA_GROUPED + 1);
		int type;

		for (uint32_t row = 0; row < m->rows; row++)
			cells[row] = &m->columns[i][row];
		type = vector_type(cells, m->rows);
		if (i > 0 && m->t->columns[i].type == KT_LIST &&
		    chance_below(&chance, 4) == 0)
			type = KT_LIST;
		put_cells(&w, cells, m->rows, type, attr);
	}
	assert_false(w.is_full);
	m->len = update_frame(m->t, x, wire_written(&w), &m->frame);
	free(cells);
	for (unsigned i = 0; i < m->t->columns_cnt; i++)
		if (m->t->columns[i].is_string)
			make_strings_of_chars(m->columns[i], m->rows);
}

static void
make_message(struct message *m, const struct schema_table *t, uint32_t rows,
	     bool is_wild)
{
	assert_true(t->columns_cnt <= COLUMNS_MAX);
	m->t = t;
	m->rows = rows;
	for (unsigned i = 0; i < t->columns_cnt; i++) {
		m->columns[i] = calloc(rows, sizeof(struct cell));
		assert_non_null(m->columns[i]);
		make_column(m->columns[i], rows, &t->columns[i],
			    is_wild && i > 0);
	}
	send_columns(m);
}

static void
free_message(struct message *m)
{
	for (unsigned i = 0; i < m->t->columns_cnt; i++)
		free(m->columns[i]);
	free(m->frame);
}

/* ---- expected messages ---- */

struct place {
	const struct message *message;
	uint32_t row;
};

/* Writes the expected message of these rows.  Returns its length. */
static size_t
expect(const struct place *places, uint32_t cnt, uint8_t sym_attr, uint8_t *at)
{
	const struct schema_table *t = places[0].message->t;
	struct wire_writer w = wire_writer(at, LEN_MAX);
	const struct cell **cells = calloc(cnt, sizeof(*cells));

	assert_non_null(cells);
	wire_put_bytes(&w, t->publish_prefix, t->publish_prefix_len);
	for (unsigned i = 0; i < t->columns_cnt; i++) {
		int type;

		for (uint32_t k = 0; k < cnt; k++)
			cells[k] =
				&places[k].message->columns[i][places[k].row];
		type = vector_type(cells, cnt);
		put_cells(&w, cells, cnt, type,
			  i == 1 && type != KT_LIST ? sym_attr : KA_NONE);
	}
	assert_false(w.is_full);
	free(cells);
	wire_end_frame(&w, 0);
	return wire_written(&w);
}

static uint8_t expected[LEN_MAX];

/* Room that ends at the fence and follows a byte that must stay. */
static uint8_t *
room(size_t len)
{
	uint8_t *at = fence_room(&out_fence, len + 1);

	*at = 0xa5;
	return at + 1;
}

static void
check_result(const uint8_t *at, size_t len, size_t expected_len)
{
	bool has_long_counts;

	assert_int_equal(len, expected_len);
	assert_memory_equal(at, expected, expected_len);
	assert_int_equal(at[-1], 0xa5);
	assert_null(wire_check_body(at + WIRE_HEADER_BYTES,
				    len - WIRE_HEADER_BYTES, false,
				    &has_long_counts));
	assert_false(has_long_counts);
}

static void
check_picked(const struct message *m, const uint32_t *picked, uint32_t cnt)
{
	struct place *places = calloc(cnt, sizeof(*places));
	const uint8_t *frame = fence_place(&in_fence, m->frame, m->len);
	struct rows rows = row_ops_of_frame(m->t, frame);
	size_t len;
	uint8_t *at;

	assert_non_null(places);
	assert_int_equal(rows.cnt, m->rows);
	for (uint32_t i = 0; i < cnt; i++)
		places[i] = (struct place){ m, picked[i] };
	len = expect(places, cnt, KA_NONE, expected);
	free(places);
	assert_int_equal(row_ops_picked_len(m->t, &rows, picked, cnt), len);
	assert_true(len <= m->len);
	at = room(len);
	check_result(at, row_ops_pick(m->t, &rows, picked, cnt, at), len);
	for (uint32_t rows_max = 1; rows_max < 8; rows_max += 3) {
		struct rows_picking p;

		at = room(len);
		row_ops_pick_begin(&p, m->t, &rows, picked, cnt, at);
		while (!row_ops_pick_some(&p, rows_max))
			;
		check_result(at, p.len, len);
	}
}

/* ---- keys ---- */

static void
check_keys(const struct message *m)
{
	const uint8_t *frame = fence_place(&in_fence, m->frame, m->len);
	struct rows rows = row_ops_of_frame(m->t, frame);
	struct rows_keys keys = row_ops_keys(&rows);
	struct rows_key key = { 0 };

	for (uint32_t i = 0; i < m->rows; i++) {
		const struct cell *c = &m->columns[1][i];
		int type = cell_type(c) < 0 ? -cell_type(c) : KT_LIST;
		size_t skip = type == KT_LIST ? 0 : 1;

		assert_true(row_ops_next_key(&keys, &key));
		assert_int_equal(key.type, type);
		assert_int_equal(key.len,
				 c->len - skip - (type == KT_SYMBOL ? 1 : 0));
		assert_memory_equal(key.at, c->bytes + skip, key.len);
	}
	assert_false(row_ops_next_key(&keys, &key));
	assert_false(row_ops_next_key(&keys, &key));
}

static void
test_keys(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2000; i++) {
		struct message m;

		make_message(&m, &schema.tables[i % schema.tables_cnt],
			     (uint32_t)chance_between(&chance, 1, 20),
			     i % 7 == 0);
		check_keys(&m);
		free_message(&m);
	}
}

/* ---- picking ---- */

static void
test_every_subset(void **state)
{
	enum { ROWS = 6 };

	(void)state;
	for (unsigned i = 0; i < 600; i++) {
		struct message m;
		uint32_t rows = 1 + i % ROWS;

		make_message(&m, &schema.tables[i / ROWS % schema.tables_cnt],
			     rows, i % 7 == 0);
		for (uint32_t set = 1; set < 1u << rows; set++) {
			uint32_t picked[ROWS], cnt = 0;

			for (uint32_t row = 0; row < rows; row++)
				if (set >> row & 1)
					picked[cnt++] = row;
			check_picked(&m, picked, cnt);
		}
		free_message(&m);
	}
}

static void
test_random_rows(void **state)
{
	enum { ROWS = 400 };

	(void)state;
	for (unsigned i = 0; i < 600; i++) {
		uint32_t rows = (uint32_t)chance_between(&chance, 1, ROWS);
		uint64_t one_in = chance_between(&chance, 1, 50);
		uint32_t picked[ROWS], cnt = 0;
		struct message m;

		make_message(&m, &schema.tables[i % schema.tables_cnt], rows,
			     i % 7 == 0);
		for (uint32_t row = 0; row < rows; row++)
			if (chance_below(&chance, one_in) == 0)
				picked[cnt++] = row;
		if (cnt == 0)
			picked[cnt++] = (uint32_t)chance_below(&chance, rows);
		check_picked(&m, picked, cnt);
		free_message(&m);
	}
}

/* Millions of rows whose symbols are their numbers. */
static void
test_many_rows(void **state)
{
	enum { ROWS = 2000000, STEP = 1999, SYMBOL = 8 };
	const struct schema_table *t = schema_named(&schema, "pair");
	size_t len = 3 * WIRE_LIST_HEADER_BYTES + ROWS * (8 + (size_t)SYMBOL);
	uint8_t *x = malloc(len), *frame, *at;
	struct wire_writer w = wire_writer(x, len);
	static uint32_t picked[ROWS / STEP + 1];
	uint32_t cnt = 0;
	struct rows rows;
	struct rows_keys keys;
	struct rows_key key = { 0 };
	char name[SYMBOL + 1];

	(void)state;
	assert_non_null(x);
	wire_put_list(&w, KT_LIST, KA_NONE, 2);
	wire_put_list(&w, KT_TIMESPAN, KA_SORTED, ROWS);
	for (uint64_t i = 0; i < ROWS; i++)
		wire_put_u64(&w, i);
	wire_put_list(&w, KT_SYMBOL, KA_NONE, ROWS);
	for (unsigned i = 0; i < ROWS; i++) {
		(void)snprintf(name, sizeof(name), "%07u", i);
		wire_put_symbol_item(&w, name, SYMBOL - 1);
	}
	(void)update_frame(t, x, wire_written(&w), &frame);
	rows = row_ops_of_frame(t, frame);
	for (uint32_t row = STEP - 1; row < ROWS; row += STEP)
		picked[cnt++] = row;
	len = row_ops_picked_len(t, &rows, picked, cnt);
	assert_int_equal(len, t->publish_prefix_len +
				      2 * WIRE_LIST_HEADER_BYTES +
				      cnt * (8 + (size_t)SYMBOL));
	at = room(len);
	assert_int_equal(row_ops_pick(t, &rows, picked, cnt, at), len);
	rows = row_ops_of_frame(t, at);
	keys = row_ops_keys(&rows);
	for (cnt = 0; row_ops_next_key(&keys, &key); cnt++) {
		(void)snprintf(name, sizeof(name), "%07u", picked[cnt]);
		assert_memory_equal(key.at, name, SYMBOL);
		assert_int_equal(wire_load_u32(rows.columns + 8 * cnt +
					       WIRE_LIST_HEADER_BYTES),
				 picked[cnt]);
	}
	assert_int_equal(cnt, rows.cnt);
	free(frame);
	free(x);
}

/* ---- merging ---- */

static void
check_merged(struct message *messages, size_t cnt, uint8_t sym_attr)
{
	const struct schema_table *t = messages[0].t;
	struct rows_source sources[MESSAGES_MAX];
	struct place *places;
	uint32_t rows = 0;
	size_t len;
	uint8_t *at;

	for (size_t i = 0; i < cnt; i++)
		rows += messages[i].rows;
	places = calloc(rows, sizeof(*places));
	assert_non_null(places);
	rows = 0;
	for (size_t i = 0; i < cnt; i++) {
		sources[i].rows = row_ops_of_frame(t, messages[i].frame);
		for (uint32_t row = 0; row < messages[i].rows; row++)
			places[rows++] = (struct place){ &messages[i], row };
	}
	len = expect(places, rows, sym_attr, expected);
	free(places);
	at = room(len);
	check_result(at, row_ops_merge(t, sources, cnt, sym_attr, at), len);
}

static void
test_merge(void **state)
{
	struct message messages[MESSAGES_MAX];

	(void)state;
	for (unsigned i = 0; i < 1500; i++) {
		size_t cnt = chance_between(&chance, 1, MESSAGES_MAX);
		uint64_t rows_max = i % 3 == 0 ? 1 : 20;

		for (size_t k = 0; k < cnt; k++)
			make_message(
				&messages[k],
				&schema.tables[i % schema.tables_cnt],
				(uint32_t)chance_between(&chance, 1, rows_max),
				i % 7 == 0);
		check_merged(messages, cnt, i % 2 ? KA_GROUPED : KA_NONE);
		for (size_t k = 0; k < cnt; k++)
			free_message(&messages[k]);
	}
}

/* ---- known bytes ---- */

/* The rows of an update of the table, given in hex. */
static struct rows
rows_of_hex(const struct schema_table *t, const char *hex, uint8_t **frame)
{
	uint8_t x[1024];
	size_t len = hex_bytes(hex, x, sizeof(x));

	(void)update_frame(t, x, len, frame);
	return row_ops_of_frame(t, *frame);
}

static void
check_columns(const struct schema_table *t, const uint8_t *at, size_t len,
	      const char *hex)
{
	size_t prefix = t->publish_prefix_len;

	memcpy(expected, t->publish_prefix, prefix);
	wire_store_u32(expected + 4, (uint32_t)len);
	check_result(at, len,
		     prefix + hex_bytes(hex, expected + prefix,
					sizeof(expected) - prefix));
}

static void
check_pick_of(const char *name, const char *x, const uint32_t *picked,
	      uint32_t cnt, const char *columns)
{
	const struct schema_table *t = schema_named(&schema, name);
	uint8_t *frame, *at;
	struct rows rows = rows_of_hex(t, x, &frame);
	size_t len = row_ops_picked_len(t, &rows, picked, cnt);

	at = room(len);
	check_columns(t, at, row_ops_pick(t, &rows, picked, cnt, at), columns);
	free(frame);
}

static void
check_merge_of(const char *name, const char *x, const char *y,
	       const char *columns)
{
	const struct schema_table *t = schema_named(&schema, name);
	uint8_t *frames[2], *at;
	struct rows_source sources[2];
	size_t len;

	sources[0].rows = rows_of_hex(t, x, &frames[0]);
	sources[1].rows = rows_of_hex(t, y, &frames[1]);
	len = 2 * t->publish_prefix_len + sources[0].rows.len +
	      sources[1].rows.len;
	at = room(len);
	check_columns(t, at, row_ops_merge(t, sources, 2, KA_GROUPED, at),
		      columns);
	free(frames[0]);
	free(frames[1]);
}

#define LIST(n) "0000 0" #n "000000"
#define TIME(n) "0" #n "00000000000000"

/* q: select from x where sym in `B */
static void
test_pick_known(void **state)
{
	static const uint32_t one[] = { 1 }, two[] = { 0, 2 };
	static const char x[] = LIST(2) "1001 03000000" TIME(1) TIME(2)
		TIME(3) "0b04 03000000 4100 424200 00";
	static const char text[] = LIST(3) "1001 03000000" TIME(1) TIME(2)
		TIME(3) "0b00 03000000 41004200 4300" LIST(
			3) "f678 0a00 02000000 7979 f67a";

	(void)state;
	check_pick_of("pair", x, one, 1,
		      "1000 01000000" TIME(2) "0b00 01000000 424200");
	check_pick_of("pair", x, two, 2,
		      "1000 02000000" TIME(1) TIME(3) "0b00 02000000 4100 00");
	check_pick_of("news", text, one, 1,
		      "1000 01000000" TIME(2) "0b00 01000000 4200" LIST(
			      1) "0a00 02000000 7979");
	check_pick_of("news", text, two, 2,
		      "1000 02000000" TIME(1) TIME(
			      3) "0b00 02000000 4100 4300 0a00 02000000 787a");
}

static void
test_merge_known(void **state)
{
	(void)state;
	check_merge_of("pair",
		       LIST(2) "1001 02000000" TIME(1)
			       TIME(2) "0b03 02000000 4100 00",
		       LIST(2) "1000 01000000" TIME(3) "0b00 01000000 424200",
		       "1000 03000000" TIME(1) TIME(2)
			       TIME(3) "0b04 03000000 4100 00 424200");
	/* a row of texts, and one of chars, sent as a char vector */
	check_merge_of(
		"news",
		LIST(3) "1000 01000000" TIME(1) "0b00 01000000 4100" LIST(
			1) "0a00 02000000 7979",
		LIST(3) "1000 02000000" TIME(2)
			TIME(3) "0b00 02000000 4200 4300 0a00 02000000 787a",
		"1000 03000000" TIME(1) TIME(2)
			TIME(3) "0b04 03000000 4100 4200 4300" LIST(
				3) "0a00 02000000 7979 f678 f67a");
	/* atoms in a list go with a vector; keys of two types have no index */
	check_merge_of("cast",
		       LIST(3) "1300 01000000 01000000 0b00 01000000 4100" LIST(
			       1) "f9" TIME(7),
		       LIST(3) "1300 01000000 02000000 0700 01000000" TIME(
			       5) "0700 01000000" TIME(8),
		       "1300 02000000 01000000 02000000" LIST(
			       2) "f5 4100 f9" TIME(5) "0700 02000000" TIME(7)
			       TIME(8));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pick_known),
		cmocka_unit_test(test_merge_known),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_every_subset),
		cmocka_unit_test(test_random_rows),
		cmocka_unit_test(test_many_rows),
		cmocka_unit_test(test_merge),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
