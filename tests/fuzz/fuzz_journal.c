/*
 * libFuzzer: a journal, or the records of one.  The walk finds the objects that
 * wire_skip finds, and judges the bytes by their content, however few of them
 * are in memory; each record can be printed in every way.
 */
#include "config.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "journal/file.h"
#include "tools/json.h"
#include "tools/log_payload.h"
#include "tools/print.h"
#include "base/util.h"
#include "tools/qtime.h"
#include "wire/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static FILE *sink;
static struct log_payload_table made;
static struct print_table table_print;

static void
show(const struct journal_record *record)
{
	struct wire_reader x = wire_reader(
		record->x, (size_t)(record->at + record->len - record->x),
		false);
	struct log_payload p;
	struct qtime when;
	const uint8_t *table;
	bool is_long;
	size_t len;

	log_payload_read(&p, record);
	CHECK(p.columns >= record->x &&
	      p.columns + p.columns_len == record->at + record->len);
	if (p.time_first != NULL) {
		(void)qtime_read(p.time_type, p.time_first, &when);
		(void)qtime_read(p.time_type, p.time_last, &when);
	}
	json_object(sink, &x);
	CHECK(x.at == x.end && x.bad == NULL);
	table = log_payload_make_table(&made, &p, record, &len);
	if (table == NULL)
		return;
	CHECK(wire_check_body(table, len, false, &is_long) == NULL);
	x = wire_reader(table, len, false);
	CHECK(wire_count(&x) == p.rows);
	print_table(&table_print, record->table, record->table_len, table, len);
	json_names(sink, x);
	CHECK(json_rows(sink, x) == 0);
}

/* The promise of journal/file.h, without the short cuts. */
static bool
is_record(const uint8_t *bytes, uint64_t len, uint64_t off, uint64_t *out_len)
{
	static const uint8_t start[] = { 0,    0,   3,	 0,   0, 0,
					 0xf5, 'u', 'p', 'd', 0, 0xf5 };
	struct wire_reader r =
		wire_reader(bytes + off, (size_t)(len - off), false);
	size_t name_len;

	if (len - off < sizeof(start) ||
	    memcmp(bytes + off, start, sizeof(start)) != 0)
		return false;
	r.at += sizeof(start);
	(void)wire_get_symbol(&r, &name_len);
	wire_skip(&r);
	*out_len = (uint64_t)(r.at - (bytes + off));
	return r.bad == NULL;
}

/* ---- a window of the bytes ---- */

static struct {
	const uint8_t *file;
	uint8_t *at; /* of the exact size */
	uint64_t bytes;
} window;

static void
move(struct journal_bytes *b, uint64_t off, uint64_t need)
{
	CHECK(off <= b->len);
	free(window.at);
	b->off = off;
	b->avail = min_u64(max_u64(need, window.bytes), b->len - off);
	window.at = malloc(b->avail);
	CHECK(window.at != NULL);
	memcpy(window.at, window.file + off, b->avail);
	b->at = window.at;
}

static void
check_in_window(const uint8_t *bytes, uint64_t len, uint64_t window_bytes,
		uint64_t fetch_max, const struct journal_check *wanted)
{
	struct journal_bytes b = {
		.len = len, .move = move, .fetch_max = fetch_max
	};
	struct journal_check c;

	window.file = bytes;
	window.bytes = window_bytes;
	c = journal_check(&b, NULL);
	CHECK(c.verdict == wanted->verdict && c.records == wanted->records &&
	      c.good_bytes == wanted->good_bytes && c.why == wanted->why);
	CHECK(c.next_record_off == wanted->next_record_off &&
	      c.tail_records == wanted->tail_records &&
	      c.tail_records_off == wanted->tail_records_off);
	CHECK(fetch_max > 0 || c.unknown_records == wanted->unknown_records);
}

static void
check_journal(const uint8_t *bytes, uint64_t len)
{
	struct journal_bytes all = journal_bytes_all(bytes, len);
	struct journal_check c = journal_check(&all, NULL);
	uint64_t off = JOURNAL_HEADER_BYTES, records = 0, record_len;
	struct journal_record record;
	const char *why;

	check_in_window(bytes, len, 1 + len % 40, 0, &c);
	check_in_window(bytes, len, 16, 16, &c);
	if (c.verdict == JOURNAL_FOREIGN) {
		CHECK(c.why != NULL && c.records == 0);
		return;
	}
	while (journal_next(bytes, len, off, &record, &why) == JOURNAL_RECORD) {
		CHECK(is_record(bytes, len, off, &record_len) ==
		      (record.unknown == NULL));
		CHECK(record.unknown != NULL || record.len == record_len);
		CHECK(record.len > 0 && record.len <= len - off);
		if (record.unknown == NULL)
			show(&record);
		off += record.len;
		records++;
	}
	CHECK(c.records == records && c.good_bytes == off);
	CHECK((c.verdict == JOURNAL_WHOLE) == (off == len));
	CHECK((c.verdict == JOURNAL_DAMAGED) == (c.next_record_off > 0));
	CHECK(c.next_record_off == 0 || c.next_record_off > off);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t *bytes;

	if (sink == NULL) {
		sink = fopen("/dev/null", "w");
		CHECK(sink != NULL);
		table_print.out = sink;
	}
	check_journal(data, len);
	/* Of the exact size: the sanitizer sees a byte too many. */
	bytes = malloc(JOURNAL_HEADER_BYTES + len);
	CHECK(bytes != NULL);
	memcpy(bytes, journal_header, JOURNAL_HEADER_BYTES);
	memcpy(bytes + JOURNAL_HEADER_BYTES, data, len);
	check_journal(bytes, JOURNAL_HEADER_BYTES + len);
	free(bytes);
	return 0;
}
