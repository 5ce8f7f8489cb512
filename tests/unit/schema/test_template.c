#include "config.h"

#include "schema/template.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../frames.h"
#include "base/util.h"
#include "../vectors.h"
#include "wire/wire.h"

enum { LEN_MAX = 1 << 16, AFTER_MAX = 40, ROWS_MAX = 40 };

#define NOW 848655000123456789ll

static struct templates templates;
static struct chance chance;

static int
set_up(void **state)
{
	(void)state;
	schema_of(&schema,
		  "trade:([]time:`timespan$();sym:`symbol$();price:`float$();"
		  "size:`long$();cond:`symbol$())\n"
		  "types:([]time:`timestamp$();sym:`symbol$();g:`guid$();"
		  "x:`byte$();h:`short$();i:`int$();e:`real$();c:`char$();"
		  "m:`month$();d:`date$();z:`datetime$();u:`minute$();"
		  "v:`second$();b:`boolean$())\n"
		  "clock:([]time:`time$();sym:`symbol$();t:`time$())\n"
		  "twice:([]time:`timespan$();sym:`timespan$();n:`long$())\n"
		  "any:([]time:`timespan$();sym:`symbol$();v:())\n");
	fences_open();
	return 0;
}

static int
tear_down(void **state)
{
	fences_close();
	return schema_close(state);
}

/* ---- frames as feeds send them ---- */

enum form { ROW, COLUMNS };

struct frame {
	uint8_t bytes[LEN_MAX + AFTER_MAX];
	size_t len, x; /* x: where the data begins */
};

static void
put_symbol_chars(struct wire_writer *w)
{
	size_t len = chance_below(&chance, 20);

	for (size_t i = 0; i < len; i++)
		wire_put_u8(w, (uint8_t)chance_between(&chance, 1, 255));
	wire_put_u8(w, 0);
}

static void
put_data(struct wire_writer *w, int type)
{
	if (type == KT_SYMBOL) {
		put_symbol_chars(w);
		return;
	}
	for (size_t i = 0; i < wire_item_bytes(type); i++)
		wire_put_u8(w, type == KT_BOOLEAN
				       ? 1
				       : (uint8_t)chance_bits(&chance));
}

static void
put_vector(struct wire_writer *w, int type, uint32_t rows)
{
	if (type == KT_LIST) {
		wire_put_list(w, KT_LIST, KA_NONE, rows);
		for (uint32_t i = 0; i < rows; i++)
			wire_put_string(w, "text");
		return;
	}
	wire_put_u8(w, (uint8_t)type);
	wire_put_u8(w, (uint8_t)chance_below(&chance, KA_GROUPED + 1));
	wire_put_u32(w, rows);
	for (uint32_t i = 0; i < rows; i++)
		put_data(w, type);
}

/* A random type, mostly that of the column. */
static int
any_type(const struct schema_column *c)
{
	return chance_below(&chance, 60) > 0
		       ? c->type
		       : (int)chance_between(&chance, 4, KT_TIME);
}

static void
put_item(struct wire_writer *w, const struct schema_column *c, enum form form,
	 uint32_t rows)
{
	int type = any_type(c);

	if (form == COLUMNS && chance_below(&chance, 60) > 0) {
		put_vector(w, type, rows);
	} else if (type == KT_LIST) {
		wire_put_string(w, "text");
	} else {
		wire_put_u8(w, (uint8_t)-type);
		put_data(w, type);
	}
}

static void
make_frame(struct frame *f, const struct schema_table *t, enum form form,
	   bool has_time, uint32_t rows)
{
	struct wire_writer w = wire_writer(f->bytes, LEN_MAX);
	size_t header = wire_begin_frame(&w, WIRE_ASYNC);
	unsigned first = has_time ? 0 : 1;

	wire_put_list(&w, KT_LIST, KA_NONE, 3);
	wire_put_symbol(&w, ".u.upd");
	wire_put_symbol(&w, t->name);
	f->x = wire_written(&w);
	wire_put_list(&w, KT_LIST, KA_NONE, t->columns_cnt - first);
	for (unsigned i = first; i < t->columns_cnt; i++)
		put_item(&w, &t->columns[i], form, rows);
	wire_end_frame(&w, header);
	assert_false(w.is_full);
	f->len = wire_written(&w);
}

/* ---- both ways ---- */

/* Parses and writes the general way.  Returns the message's length, or 0. */
static size_t
write_generally(const struct frame *f, const struct schema_table *t,
		struct update *u, uint8_t *at)
{
	const char *why;

	if (f->len < f->x ||
	    update_parse(t, f->bytes + f->x, f->len - f->x, CHECK_TYPES, u,
			 &why) != UPDATE_OK)
		return 0;
	if (u->rows > 0)
		update_write(u, NOW, at);
	return u->rows > 0 ? u->frame_len : 0;
}

/* The same by a template, if there is one. */
static size_t
write_by_template(const struct frame *f, uint8_t **out_at, uint64_t *out_rows)
{
	/* The bytes of earlier, longer frames follow this one. */
	size_t avail = f->len + chance_below(&chance, AFTER_MAX);
	const uint8_t *copy = fence_place(&in_fence, f->bytes, avail);
	const struct template *template = template_of(&templates, copy, f->len);

	if (template == NULL)
		return 0;
	/* The write stays within template_room. */
	*out_at = fence_room(&out_fence, template_room(template, f->len));
	return template_write(template, copy, f->len, avail, NOW, *out_at,
			      out_rows);
}

/* A template writes the same bytes as the general way. */
static bool
check_both(const struct frame *f, const struct schema_table *t)
{
	static uint8_t wanted[16 * LEN_MAX];
	struct update u = { 0 };
	size_t wanted_len = write_generally(f, t, &u, wanted);
	uint64_t rows = 0;
	uint8_t *at = NULL;
	size_t len = write_by_template(f, &at, &rows);

	if (len > 0) {
		assert_int_equal(len, wanted_len);
		assert_memory_equal(at, wanted, len);
		assert_int_equal(rows, u.rows);
	}
	if (wanted_len > 0)
		template_learn(&templates, f->bytes, &u);
	return len > 0;
}

/* ---- tests ---- */

static void
test_taken_from_the_second_on(void **state)
{
	static const char *const names[] = { "trade", "clock", "types" };
	static struct frame f;

	(void)state;
	templates = (struct templates){ 0 };
	chance = chance_start("taken");
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const struct schema_table *t = schema_named(&schema, names[i]);
		bool has_bool = strcmp(names[i], "types") == 0;
		unsigned taken = 0;

		for (unsigned n = 0; n < 400; n++) {
			enum form form = n % 4 < 2 ? ROW : COLUMNS;

			make_frame(&f, t, form, n % 2 == 0, 1 + n % ROWS_MAX);
			taken += check_both(&f, t);
		}
		/* booleans take the general way, which checks them */
		assert_in_range(taken, has_bool ? 0 : 300, has_bool ? 0 : 396);
	}
}

/* Tables and forms in random order, more than there are templates, with some
 * bytes changed. */
static void
test_any_walk(void **state)
{
	static struct frame f;
	unsigned taken = 0;

	(void)state;
	templates = (struct templates){ 0 };
	chance = chance_start("walk");
	for (unsigned n = 0; n < 60000; n++) {
		const struct schema_table *t =
			&schema.tables[chance_below(&chance,
						    schema.tables_cnt)];
		unsigned changes = chance_below(&chance, 3) == 0;

		make_frame(&f, t, chance_below(&chance, 2) ? ROW : COLUMNS,
			   chance_below(&chance, 3) > 0,
			   (uint32_t)chance_below(&chance, 4));
		/* only in the data: update_parse does not read the rest */
		for (; changes > 0; changes--)
			f.bytes[chance_between(&chance, f.x, f.len - 1)] =
				(uint8_t)chance_below(&chance, 256);
		/* cut short, or with bytes after the data */
		if (chance_below(&chance, 20) == 0)
			f.len = chance_between(&chance, WIRE_FRAME_MIN,
					       f.len + 8);
		taken += check_both(&f, t);
	}
	assert_true(taken > 8000);
}

/*
 * CHECK_SHAPE accepts a long for the sym, which is a timespan.  A timespan
 * there is the time, and one item is then missing: these are two templates.
 */
static void
test_the_first_type_counts(void **state)
{
	static struct frame f;
	const struct schema_table *t = schema_named(&schema, "twice");
	struct update u;
	const char *why;
	uint8_t *type;

	(void)state;
	templates = (struct templates){ 0 };
	chance = (struct chance){ 1 };
	make_frame(&f, t, ROW, false, 1);
	type = &f.bytes[f.x + WIRE_LIST_HEADER_BYTES];
	*type = (uint8_t)-KT_LONG;
	assert_int_equal(update_parse(t, f.bytes + f.x, f.len - f.x,
				      CHECK_SHAPE, &u, &why),
			 UPDATE_OK);
	template_learn(&templates, f.bytes, &u);
	assert_non_null(template_of(&templates, f.bytes, f.len));
	*type = (uint8_t)-KT_TIMESPAN;
	assert_null(template_of(&templates, f.bytes, f.len));
}

/* Byte order, kind of message, compression, and the length's fifth byte. */
static void
test_the_head_counts(void **state)
{
	static struct frame f;
	const struct schema_table *t = schema_named(&schema, "trade");
	struct update u;
	uint8_t written[LEN_MAX];

	(void)state;
	templates = (struct templates){ 0 };
	chance = chance_start("head");
	do
		make_frame(&f, t, ROW, true, 1);
	while (write_generally(&f, t, &u, written) == 0);
	template_learn(&templates, f.bytes, &u);
	assert_non_null(template_of(&templates, f.bytes, f.len));
	for (unsigned i = 0; i < 4; i++) {
		f.bytes[i] ^= 1;
		assert_null(template_of(&templates, f.bytes, f.len));
		f.bytes[i] ^= 1;
	}
}

/* A frame with another beginning is another template, even if it means the
 * same. */
static void
test_the_oldest_goes(void **state)
{
	static struct frame f;
	uint8_t *attribute = &f.bytes[WIRE_HEADER_BYTES + 1];
	const struct schema_table *t = schema_named(&schema, "trade");
	struct update u;
	uint8_t written[LEN_MAX];

	(void)state;
	templates = (struct templates){ 0 };
	chance = chance_start("oldest");
	do
		make_frame(&f, t, ROW, true, 1);
	while (write_generally(&f, t, &u, written) == 0);
	for (unsigned n = 0; n <= TEMPLATES_MAX; n++) {
		*attribute = (uint8_t)n;
		template_learn(&templates, f.bytes, &u);
		template_learn(&templates, f.bytes, &u); /* adds nothing */
		assert_non_null(template_of(&templates, f.bytes, f.len));
	}
	for (unsigned n = 0; n <= TEMPLATES_MAX; n++) {
		*attribute = (uint8_t)n;
		assert_int_equal(
			template_of(&templates, f.bytes, f.len) != NULL, n > 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_taken_from_the_second_on),
		cmocka_unit_test(test_any_walk),
		cmocka_unit_test(test_the_first_type_counts),
		cmocka_unit_test(test_the_head_counts),
		cmocka_unit_test(test_the_oldest_goes),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
