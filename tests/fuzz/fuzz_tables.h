/*
 * Tables with columns of every type, for fuzz_rows.c and fuzz_update.c.
 */
#ifndef RINGTICK_FUZZ_TABLES_H
#define RINGTICK_FUZZ_TABLES_H

#include "base/util.h"
#include "schema/schema.h"
#include "wire/wire.h"

static struct schema schema;

static void
add_table(const char *name, const char *time_type, const char *sym_type,
	  const char *const *types)
{
	char column[] = "a";
	struct schema_table *t;
	struct schema_error err;

	CHECK(schema_add_table(&schema, name, &t, &err) == 0);
	CHECK(schema_add_column(t, "time", time_type, KA_NONE, &err) == 0);
	CHECK(schema_add_column(t, "sym", sym_type, KA_NONE, &err) == 0);
	for (; *types != NULL; types++, column[0]++)
		CHECK(schema_add_column(t, column, *types, KA_NONE, &err) == 0);
}

/* With the types of two tables' sym columns; the others' are symbols. */
static void
make_schema(const char *price_sym_type, const char *any_sym_type)
{
	static const char *const none[] = { NULL };
	static const char *const price[] = { "f", NULL };
	static const char *const texts[] = { "string", "c", NULL };
	static const char *const any[] = { "list", "s", NULL };
	static const char *const types[] = { "b", "g", "x", "h", "i", "j", "e",
					     "f", "c", "s", "p", "m", "d", "z",
					     "n", "u", "v", "t", NULL };
	struct schema_error err;

	add_table("none", "n", "s", none);
	add_table("price", "p", price_sym_type, price);
	add_table("texts", "t", "s", texts);
	add_table("any", "n", any_sym_type, any);
	add_table("types", "n", "s", types);
	CHECK(schema_finish(&schema, &err) == 0);
}

#endif
