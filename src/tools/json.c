#include "config.h"

#include "tools/json.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "tools/print.h"

/* ---- strings ---- */

/* Bytes of the well-formed UTF-8 character (of two bytes or more) at `at`; 0 if
 * there is none. */
static size_t
utf8_bytes(const uint8_t *at, size_t avail)
{
	/* The range of the second byte: no overlong forms, no surrogates. */
	uint8_t min = 0x80, max = 0xbf;
	size_t len = at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;

	if (at[0] < 0xc2 || at[0] > 0xf4 || avail < len)
		return 0;
	if (at[0] == 0xe0)
		min = 0xa0;
	else if (at[0] == 0xed)
		max = 0x9f;
	else if (at[0] == 0xf0)
		min = 0x90;
	else if (at[0] == 0xf4)
		max = 0x8f;
	if (at[1] < min || at[1] > max)
		return 0;
	for (size_t i = 2; i < len; i++)
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	return len;
}

/* Writes one character; returns how many bytes it took. */
static size_t
put_character(FILE *out, const uint8_t *at, size_t avail)
{
	size_t len;

	if (at[0] == '"' || at[0] == '\\') {
		fprintf(out, "\\%c", at[0]);
		return 1;
	}
	if (at[0] < ' ' || at[0] == 0x7f) {
		fprintf(out, "\\u%04x", at[0]);
		return 1;
	}
	if (at[0] < 0x80) {
		putc_unlocked(at[0], out);
		return 1;
	}
	len = utf8_bytes(at, avail);
	if (len == 0) {
		fprintf(out, "\\u%04x", at[0]);
		return 1;
	}
	/* Control characters: they would steer a terminal. */
	if (at[0] == 0xc2 && at[1] < 0xa0)
		fprintf(out, "\\u%04x", at[1]);
	else
		fwrite(at, 1, len, out);
	return len;
}

void
json_string(FILE *out, const char *bytes, size_t len)
{
	const uint8_t *at = (const uint8_t *)bytes;

	putc_unlocked('"', out);
	for (size_t i = 0; i < len;)
		i += put_character(out, at + i, len - i);
	putc_unlocked('"', out);
}

/* ---- items ---- */

/* Writes the fewest digits that are read back as the same number. */
static void
put_real(FILE *out, int type, const uint8_t *item)
{
	char text[32];
	double d;
	float f;

	if (type == KT_REAL) {
		memcpy(&f, &(uint32_t){ wire_load_u32(item) }, sizeof(f));
		for (int digits = 6; digits <= 9; digits++) {
			snprintf(text, sizeof(text), "%.*g", digits, (double)f);
			if (strtof(text, NULL) == f)
				break;
		}
		d = (double)f;
	} else {
		memcpy(&d, &(uint64_t){ wire_load_u64(item) }, sizeof(d));
		for (int digits = 15; digits <= 17; digits++) {
			snprintf(text, sizeof(text), "%.*g", digits, d);
			if (strtod(text, NULL) == d)
				break;
		}
	}
	if (isnan(d))
		fputs("null", out);
	else if (isinf(d))
		fputs(d > 0 ? "\"0w\"" : "\"-0w\"", out);
	else
		fputs(text, out);
}

/* Writes an item of a vector; not of symbols. */
static void
put_item(FILE *out, int type, const uint8_t *item)
{
	static const uint8_t null_guid[16];
	struct print_text text = { .len = 0 };
	bool is_number = type >= KT_SHORT && type <= KT_LONG;

	if (type == KT_BOOLEAN) {
		fputs(item[0] != 0 ? "true" : "false", out);
	} else if (type == KT_BYTE) {
		fprintf(out, "%d", item[0]);
	} else if (type == KT_CHAR) {
		json_string(out, (const char *)item, 1);
	} else if (type == KT_REAL || type == KT_FLOAT) {
		put_real(out, type, item);
	} else if (type == KT_GUID &&
		   memcmp(item, null_guid, sizeof(null_guid)) == 0) {
		fputs("null", out);
	} else {
		print_item(&text, type, item);
		if (strncmp(text.text, "0N", 2) == 0)
			fputs("null", out);
		else if (is_number && strchr(text.text, 'W') == NULL)
			fputs(text.text, out);
		else
			json_string(out, text.text, text.len);
	}
}

/* Writes the next item of a vector or list, and moves r past it. */
static void
put_next(FILE *out, int type, struct wire_reader *r)
{
	const char *symbol;
	size_t len;

	if (type == KT_LIST) {
		json_object(out, r);
	} else if (type == KT_SYMBOL) {
		symbol = wire_get_symbol(r, &len);
		json_string(out, symbol, len);
	} else {
		put_item(out, type, r->at);
		r->at += wire_item_bytes(type);
	}
}

/* ---- objects ---- */

static void
put_list(FILE *out, int type, struct wire_reader *r)
{
	uint64_t count = wire_get_count(r, 1, NULL);

	if (type == KT_CHAR) {
		json_string(out, (const char *)r->at, count);
		r->at += count;
		return;
	}
	putc_unlocked('[', out);
	for (uint64_t i = 0; i < count; i++) {
		if (i > 0)
			putc_unlocked(',', out);
		put_next(out, type, r);
	}
	putc_unlocked(']', out);
}

static void
put_pairs(FILE *out, struct wire_reader keys, struct wire_reader *r)
{
	int type = (int8_t)r->at[0];
	uint64_t count;

	(void)wire_get_u8(&keys);
	count = wire_get_count(&keys, 1, NULL);
	(void)wire_get_u8(r);
	(void)wire_get_count(r, 1, NULL);
	putc_unlocked('{', out);
	for (uint64_t i = 0; i < count; i++) {
		if (i > 0)
			putc_unlocked(',', out);
		put_next(out, KT_SYMBOL, &keys);
		putc_unlocked(':', out);
		put_next(out, type, r);
	}
	putc_unlocked('}', out);
}

/* r is after the type byte. */
static void
put_dict(FILE *out, struct wire_reader *r)
{
	struct wire_reader keys = *r;

	wire_skip(r);
	if (keys.at[0] == KT_SYMBOL && wire_is_list((int8_t)r->at[0])) {
		put_pairs(out, keys, r);
		return;
	}
	fputs("{\"keys\":", out);
	json_object(out, &keys);
	fputs(",\"values\":", out);
	json_object(out, r);
	putc_unlocked('}', out);
}

/* A table whose columns are not all lists is written by columns, not by
 * rows. */
static void
put_table(FILE *out, struct wire_reader r)
{
	fputs("{\"columns\":", out);
	json_names(out, r);
	if (wire_has_flat_columns(&r)) {
		fputs(",\"rows\":", out);
		if (json_rows(out, r) < 0)
			fputs("null", out);
	} else {
		fputs(",\"values\":", out);
		r.at = wire_open_table(&r).list;
		json_object(out, &r);
	}
	putc_unlocked('}', out);
}

void
json_object(FILE *out, struct wire_reader *r)
{
	struct print_text text = { .len = 0 };
	struct wire_reader whole = *r;
	int type = (int8_t)wire_get_u8(r);

	if (wire_is_list(type)) {
		put_list(out, type, r);
	} else if (wire_is_atom(type)) {
		put_next(out, -type, r);
	} else if (type == KT_DICT || type == KT_SORTED_DICT) {
		put_dict(out, r);
	} else {
		*r = whole;
		wire_skip(r);
		if (type == KT_TABLE) {
			put_table(out, whole);
		} else if (type == KT_UNARY && whole.at[1] == 0) {
			fputs("null", out);
		} else {
			print_object(&text, whole);
			json_string(out, text.text, text.len);
		}
	}
}

/* ---- tables ---- */

void
json_names(FILE *out, struct wire_reader table)
{
	struct wire_table t = wire_open_table(&table);

	putc_unlocked('[', out);
	for (uint64_t i = 0; i < t.columns_cnt; i++) {
		if (i > 0)
			putc_unlocked(',', out);
		put_next(out, KT_SYMBOL, &t.names);
	}
	putc_unlocked(']', out);
}

int
json_rows(FILE *out, struct wire_reader table)
{
	uint64_t rows = wire_count(&table);
	struct wire_table t = wire_open_table(&table);
	struct print_column *columns = calloc(t.columns_cnt, sizeof(*columns));

	if (columns == NULL)
		return -ENOMEM;
	for (uint64_t i = 0; i < t.columns_cnt; i++)
		print_open_column(&t.columns, &columns[i]);
	putc_unlocked('[', out);
	for (uint64_t row = 0; row < rows; row++) {
		fputs(row > 0 ? ",[" : "[", out);
		for (uint64_t i = 0; i < t.columns_cnt; i++) {
			if (i > 0)
				putc_unlocked(',', out);
			put_next(out, columns[i].type, &columns[i].r);
		}
		putc_unlocked(']', out);
	}
	putc_unlocked(']', out);
	free(columns);
	return 0;
}
