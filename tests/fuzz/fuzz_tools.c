/*
 * libFuzzer: an object as the tools read it.  Any
 * good object can be printed in every way: as text it is printable ASCII, as
 * JSON it is one value by RFC 8259, in UTF-8 without control characters.  A
 * payload that can be a table is the same table for `log` and for `sub`.
 */
#include "config.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "journal/file.h"
#include "tools/json.h"
#include "tools/log_payload.h"
#include "tools/log_replay_kinds.h"
#include "tools/log_tables.h"
#include "tools/print.h"
#include "tools/qtime.h"
#include "tools/sub_tables.h"
#include "wire/wire.h"

enum { OBJECT_MAX = 1 << 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* ---- JSON, as somebody else reads it ---- */

struct json {
	const uint8_t *at, *end;
};

static bool
json_takes(struct json *j, const char *word)
{
	size_t len = strlen(word);

	if ((size_t)(j->end - j->at) < len || memcmp(j->at, word, len) != 0)
		return false;
	j->at += len;
	return true;
}

static bool
json_is_digit(const struct json *j)
{
	return j->at < j->end && *j->at >= '0' && *j->at <= '9';
}

static void
json_digits(struct json *j)
{
	CHECK(json_is_digit(j));
	while (json_is_digit(j))
		j->at++;
}

static void
json_number(struct json *j)
{
	(void)json_takes(j, "-");
	if (!json_takes(j, "0"))
		json_digits(j);
	if (json_takes(j, "."))
		json_digits(j);
	if (json_takes(j, "e") || json_takes(j, "E")) {
		if (!json_takes(j, "+"))
			(void)json_takes(j, "-");
		json_digits(j);
	}
}

/* One character of UTF-8: shortest form, no surrogate, no control. */
static void
json_character(struct json *j)
{
	static const uint32_t least[] = { 0x20, 0, 0x80, 0x800, 0x10000 };
	uint8_t first = *j->at++;
	unsigned bytes = first < 0x80 ? 1 : first < 0xe0 ? 2
				      : first < 0xf0 ? 3 : 4;
	uint32_t c = bytes == 1 ? first : first & (0xffu >> (bytes + 1));

	CHECK(first < 0x80 || (first >= 0xc2 && first <= 0xf4));
	for (unsigned i = 1; i < bytes; i++) {
		CHECK(j->at < j->end && (*j->at & 0xc0) == 0x80);
		c = c << 6 | (*j->at++ & 0x3f);
	}
	CHECK(c >= least[bytes == 1 ? 0 : bytes] && c <= 0x10ffff);
	CHECK((c < 0xd800 || c > 0xdfff) && (c < 0x7f || c > 0x9f));
}

static void
json_quoted(struct json *j)
{
	CHECK(json_takes(j, "\""));
	while (!json_takes(j, "\"")) {
		CHECK(j->at < j->end);
		if (!json_takes(j, "\\")) {
			json_character(j);
			continue;
		}
		CHECK(j->at < j->end && strchr("\"\\/bfnrtu", *j->at) != NULL);
		if (*j->at++ != 'u')
			continue;
		CHECK(j->end - j->at >= 4);
		for (unsigned i = 0; i < 4; i++, j->at++)
			CHECK(strchr("0123456789abcdefABCDEF", *j->at) != NULL);
	}
}

static void
json_value(struct json *j)
{
	bool is_object = j->at < j->end && *j->at == '{';

	CHECK(j->at < j->end);
	if (*j->at == '"') {
		json_quoted(j);
	} else if (is_object || *j->at == '[') {
		j->at++;
		if (json_takes(j, is_object ? "}" : "]"))
			return;
		do {
			if (is_object) {
				json_quoted(j);
				CHECK(json_takes(j, ":"));
			}
			json_value(j);
		} while (json_takes(j, ","));
		CHECK(json_takes(j, is_object ? "}" : "]"));
	} else if (!json_takes(j, "null") && !json_takes(j, "true") &&
		   !json_takes(j, "false")) {
		json_number(j);
	}
}

/* ---- what the tools write ---- */

static FILE *out;
static char *text;
static size_t text_len;

static void
begin_text(void)
{
	out = open_memstream(&text, &text_len);
	CHECK(out != NULL);
}

static struct json
end_text(void)
{
	CHECK(fclose(out) == 0);
	return (struct json){ (const uint8_t *)text,
			      (const uint8_t *)text + text_len };
}

static void
check_json(void)
{
	struct json j = end_text();

	json_value(&j);
	CHECK(j.at == j.end);
	free(text);
}

/* Lines of printable characters. */
static void
check_print(void)
{
	struct json j = end_text();

	for (; j.at < j.end; j.at++)
		CHECK(*j.at == '\n' || (*j.at >= ' ' && *j.at < 0x7f));
	free(text);
}

static void
show_object(const uint8_t *object, size_t len)
{
	struct wire_reader r = wire_reader(object, len, false);
	struct print_text shown = { .len = 0 };

	/* An error is no object of a record. */
	if ((int8_t)object[0] != KT_ERROR) {
		begin_text();
		json_object(out, &r);
		CHECK(r.at == r.end && r.bad == NULL);
		check_json();
	}
	print_object(&shown, wire_reader(object, len, false));
	CHECK(shown.len < PRINT_TEXT_MAX && shown.text[shown.len] == '\0');
	for (size_t i = 0; i < shown.len; i++)
		CHECK(shown.text[i] >= ' ' && shown.text[i] < 0x7f);
}

static void
show_table(const struct journal_record *record, const uint8_t *table,
	   size_t len)
{
	static struct print_table print;

	begin_text();
	print.out = out;
	print_table(&print, record->table, record->table_len, table, len);
	check_print();
	begin_text();
	json_names(out, wire_reader(table, len, false));
	check_json();
	begin_text();
	CHECK(json_rows(out, wire_reader(table, len, false)) == 0);
	check_json();
}

/* ---- the readers ---- */

/* The update that a subscriber gets of such a table. */
static void
subscribe(const uint8_t *table, size_t len, uint64_t rows)
{
	size_t room = 64 + len;
	uint8_t *body = malloc(room);
	struct wire_writer w = wire_writer(body, room);
	struct sub_tables tables = { .column = "c1" };
	struct sub_update update;
	struct sub_table *t;
	size_t body_len;
	bool has_long_counts;

	CHECK(body != NULL);
	wire_put_list(&w, KT_LIST, KA_NONE, 3);
	wire_put_symbol(&w, "upd");
	wire_put_symbol(&w, "t");
	wire_put_bytes(&w, table, len);
	CHECK(!w.is_full);
	body_len = wire_written(&w);
	/* Deeper by a level, and then refused before it is read. */
	if (wire_check_body(body, body_len, false, &has_long_counts) != NULL) {
		free(body);
		return;
	}
	CHECK(sub_tables_find(&tables, body, body_len) == NULL);
	t = sub_tables_learn(&tables, body, body_len);
	if (t != NULL) {
		CHECK(sub_tables_find(&tables, body, body_len) == t);
		if (sub_table_read(t, body, body_len, true, true, &update) ==
		    NULL) {
			CHECK(update.rows == rows);
			CHECK(update.time == NULL ||
			      (update.time > body &&
			       update.time < body + body_len));
			sub_table_count(t, &update);
		}
	}
	sub_tables_fini(&tables);
	free(body);
}

/* What `log --replay` foresees of a record: the same of the same kind. */
static void
foresee(const struct journal_record *record, const struct log_payload *p)
{
	static struct kinds kinds;
	uint64_t len, again;
	struct kind *kind = kinds_find(&kinds, record, p, &len);

	CHECK(kind != NULL && kind->hash != 0);
	CHECK(len >= p->columns_len);
	CHECK(kinds_find(&kinds, record, p, &again) == kind && again == len);
	CHECK(kind_foresee(kind, len) == KIND_UNKNOWN);
	kind_taken(kind, len);
	CHECK(kind_foresee(kind, len) == KIND_TAKEN);
	memset(&kinds, 0, sizeof(kinds));
}

static void
read_payload(const struct journal_record *record)
{
	static struct log_payload_table made;
	struct log_tables tables = { .wanted = NULL };
	struct log_payload p;
	struct log_table *t = log_tables_find(&tables, record);
	const uint8_t *table;
	struct qtime when;
	size_t len;

	log_payload_read(&p, record);
	if (p.time_first != NULL) {
		(void)qtime_read(p.time_type, p.time_first, &when);
		(void)qtime_read(p.time_type, p.time_last, &when);
	}
	CHECK(t != NULL && log_tables_find(&tables, record) == t);
	log_table_add(t, record, &p);
	CHECK(t->rows == p.rows && t->bytes == record->len);
	foresee(record, &p);
	table = log_payload_make_table(&made, &p, record, &len);
	if (table != NULL) {
		show_table(record, table, len);
		subscribe(table, len, p.rows);
	}
	log_tables_fini(&tables);
}

/* The record (`upd;`t;x), in an allocation of its size. */
static void
read_record(const uint8_t *x, size_t len)
{
	size_t room = JOURNAL_HEADER_BYTES + 16 + len;
	uint8_t *bytes = malloc(room);
	struct wire_writer w = wire_writer(bytes, room);
	struct journal_record record;
	const char *why;

	CHECK(bytes != NULL);
	wire_put_bytes(&w, journal_header, JOURNAL_HEADER_BYTES);
	wire_put_list(&w, KT_LIST, KA_NONE, 3);
	wire_put_symbol(&w, "upd");
	wire_put_symbol(&w, "tab");
	wire_put_bytes(&w, x, len);
	CHECK(!w.is_full && wire_written(&w) == room);
	if (journal_next(bytes, room, JOURNAL_HEADER_BYTES, &record, &why) ==
		    JOURNAL_RECORD &&
	    record.unknown == NULL)
		read_payload(&record);
	free(bytes);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	bool has_long_counts;

	if (len < 2 || len > OBJECT_MAX)
		return 0;
	if (wire_check_body(data, len, false, &has_long_counts) != NULL)
		return 0;
	if (!has_long_counts)
		show_object(data, len);
	read_record(data, len);
	return 0;
}
