/*
 * The rules that decide which records fit, as two numbers: a hash of the
 * answers of update_parse to some thousands of updates, and the fingerprint
 * that a run leaves for the next to compare.  If the first changes, other
 * records of a journal fit than before, and a client's count means something
 * else: then FIT_RULES must be raised, so that the second changes with it.
 */
#include "config.h"

#include "journal/settings_hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "schema/update.h"
#include "base/util.h"
#include "q/value.h"
#include "wire/wire.h"

static const uint64_t accepted_is = 0x1384def0b8b50123u,
		      fingerprint_is = 0x4c2f90be712c4cdcu;

enum form { COLUMNS, ATOMS, VECTOR, TABLE, FORMS };

static const char *const third_types[] = { "f", "s", "list", "string" };
static struct settings settings;

static void
mix(uint64_t *hash, uint64_t number)
{
	for (unsigned i = 0; i < 8; i++)
		*hash = (*hash ^ (uint8_t)(number >> 8 * i)) * 0x100000001b3u;
}

/* Tables a, b, c, d, which differ in the type of the third column. */
static void
make_tables(void)
{
	for (unsigned i = 0; i < ARRAY_LEN(third_types); i++) {
		const char name[] = { (char)('a' + i), '\0' };
		const char *const columns[] = { "time",	 "n",
						"sym",	 "s",
						"third", third_types[i] };
		struct schema_table *t;
		struct schema_error err;

		assert_int_equal(
			schema_add_table(&settings.tables, name, &t, &err), 0);
		for (unsigned k = 0; k < ARRAY_LEN(columns); k += 2)
			assert_int_equal(schema_add_column(t, columns[k],
							   columns[k + 1],
							   KA_NONE, &err),
					 0);
	}
}

static void
put_column(struct wire_writer *w, int type, uint32_t rows)
{
	size_t width = wire_item_bytes(type);

	wire_put_list(w, type, KA_NONE, rows);
	for (uint32_t i = 0; i < rows; i++) {
		if (type == KT_LIST)
			wire_put_null(w);
		else if (type == KT_SYMBOL)
			wire_put_symbol_item(w, "", 0);
		else
			for (size_t k = 0; k < width; k++)
				wire_put_u8(w, 0);
	}
}

/* x of .u.upd with or without the time, the third column being of `type`. */
static size_t
put_x(struct wire_writer *w, enum form form, int type, uint32_t rows,
      bool has_time)
{
	const int types[] = { KT_TIMESPAN, KT_SYMBOL, type };
	static const char *const names[] = { "time", "sym", "third" };
	unsigned first = has_time ? 0 : 1;

	if (form == VECTOR) {
		put_column(w, type, 3 - first);
		return wire_written(w);
	}
	if (form == TABLE) {
		wire_put_u8(w, KT_TABLE);
		wire_put_u8(w, KA_NONE);
		wire_put_u8(w, KT_DICT);
		wire_put_list(w, KT_SYMBOL, KA_NONE, 3 - first);
		for (unsigned i = first; i < 3; i++)
			wire_put_symbol_item(w, names[i], strlen(names[i]));
	}
	wire_put_list(w, KT_LIST, KA_NONE, 3 - first);
	for (unsigned i = first; i < 3; i++) {
		if (form == ATOMS)
			value_put_null_of(w, types[i]);
		else
			put_column(w, types[i], rows);
	}
	return wire_written(w);
}

static uint64_t
hash_of_answers(const struct schema_table *t, enum check_mode check,
		uint64_t hash)
{
	static uint8_t x[1024];

	for (int type = KT_LIST; type <= KT_TIME; type++)
		for (unsigned i = 0; i < FORMS * 3 * 2; i++) {
			struct wire_writer w = wire_writer(x, sizeof(x));
			struct update u = { 0 };
			const char *why = NULL;
			enum update_result result;
			size_t len;

			if (type == 3) /* no such type */
				continue;
			len = put_x(&w, i % FORMS, type, i / FORMS % 3,
				    i / FORMS / 3 == 0);
			result = update_parse(t, x, len, check, &u, &why);
			mix(&hash, result);
			if (result != UPDATE_OK)
				continue;
			mix(&hash, u.rows);
			mix(&hash, u.frame_len);
		}
	return hash;
}

static void
test_rules(void **state)
{
	static const enum check_mode modes[] = { CHECK_TYPES, CHECK_SHAPE };
	uint64_t accepted = 0xcbf29ce484222325u, fingerprint;
	struct schema_error err;

	(void)state;
	make_tables();
	assert_int_equal(schema_finish(&settings.tables, &err), 0);
	for (unsigned i = 0; i < settings.tables.tables_cnt; i++)
		for (unsigned k = 0; k < ARRAY_LEN(modes); k++)
			accepted = hash_of_answers(&settings.tables.tables[i],
						   modes[k], accepted);
	settings.message.max = 1 << 20;
	fingerprint = settings_hash(&settings);
	schema_fini(&settings.tables);
	if (accepted == accepted_is && fingerprint == fingerprint_is)
		return;
	fail_msg("other updates are accepted than before, or records are "
		 "compared in another way. Raise FIT_RULES in "
		 "src/journal/settings_hash.c if the first number changed, "
		 "then put both here: %#llx, %#llx",
		 (unsigned long long)accepted, (unsigned long long)fingerprint);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
