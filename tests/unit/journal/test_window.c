#include "config.h"

#include "journal/window.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/util.h"
#include "../vectors.h"
#include "wire/wire.h"

enum { ROOM = 8 * JOURNAL_WINDOW_BYTES };

static uint8_t file[ROOM];
static uint64_t len;
static struct journal_index all_index, index_found;

/* ---- a journal of any records ---- */

/* What can be x: columns, a row, tables, what is not known, and counts that no
 * message has. */
static const char *const xs[] = {
	"00 00 04000000 10 00 02000000 00f0d9ce1a1f0000 01f0d9ce1a1f0000"
	"0b 00 02000000 49424d00 4d53465400 09 00 02000000 0000000000005940"
	"0000000000405440 07 00 02000000 6400000000000000 c800000000000000",
	"00 00 03000000 f0 00f0d9ce1a1f0000 f5 49424d00 0a 00 02000000 6869",
	"0b 00 02000000 6100 6200",
	"62 00 63 0b 00 02000000 6100 6200 00 00 02000000"
	"0b 04 01000000 7800 06 00 01000000 01000000",
	"00 00 02000000 64 00 0a 00 03000000 7b787d 65 00",
	"00 00 01000000 68 02000000 66 00 fa 01000000",
	"00 00 02000000 06 00 01000000 01000000 06 00 00000000",
	"01 00 02000000 0002",
	"06 09 01000000 01000000",
	"06 80 0100000000000000 01000000",
	"00 00 02000000 06 00 02000000 0100000002000000 0b 00 02000000 6100",
	"00 00 02000000 06 00 ffff0000 0100000002000000",
	"fd",
};

static void
put(const void *bytes, size_t n)
{
	assert_true(len + n <= sizeof(file));
	memcpy(file + len, bytes, n);
	len += n;
}

static void
put_hex(const char *hex)
{
	uint8_t bytes[256];

	put(bytes, hex_bytes(hex, bytes, sizeof(bytes)));
}

static void
begin_record(void)
{
	put_hex("00 00 03000000 f5 75706400 f5 747261646500");
}

/* (`upd;`trade;(bytes;sym)) */
static void
put_long(uint32_t bytes, uint32_t symbols)
{
	struct wire_writer w;

	begin_record();
	assert_true(len + bytes + 4 * symbols + 18 <= sizeof(file));
	w = wire_writer(file + len, sizeof(file) - len);
	wire_put_list(&w, KT_LIST, KA_NONE, 2);
	wire_put_list(&w, KT_BYTE, KA_NONE, bytes);
	wire_put_bytes(&w, memset(file + len + 12, 0xee, bytes), bytes);
	wire_put_list(&w, KT_SYMBOL, KA_NONE, symbols);
	for (uint32_t i = 0; i < symbols; i++)
		wire_put_symbol_item(&w, "IBM", 3);
	len += wire_written(&w);
}

static void
begin_file(void)
{
	len = 0;
	put(journal_header, JOURNAL_HEADER_BYTES);
}

static uint32_t
lot(uint32_t *seed, uint32_t below)
{
	*seed = *seed * 1664525 + 1013904223;
	return (*seed >> 16) % below;
}

/* Up to six records, mostly good ones; often cut off or damaged. */
static void
make_file(uint32_t *seed)
{
	uint32_t good = lot(seed, 4) > 0 ? 10 : ARRAY_LEN(xs);

	begin_file();
	for (uint32_t n = lot(seed, 7); n > 0; n--) {
		begin_record();
		put_hex(xs[lot(seed, good)]);
	}
	if (lot(seed, 3) == 0)
		len -= lot(seed, (uint32_t)len);
	for (uint32_t n = lot(seed, 3); n > 0 && len > 0; n--)
		file[lot(seed, (uint32_t)len)] ^=
			(uint8_t)(1u << lot(seed, 8));
}

static void
assert_same(const struct journal_check *is, const struct journal_check *wanted)
{
	assert_int_equal(is->verdict, wanted->verdict);
	assert_int_equal(is->records, wanted->records);
	assert_int_equal(is->good_bytes, wanted->good_bytes);
	assert_ptr_equal(is->why, wanted->why);
	assert_int_equal(is->next_record_off, wanted->next_record_off);
	assert_int_equal(is->tail_records, wanted->tail_records);
	assert_int_equal(is->tail_records_off, wanted->tail_records_off);
	assert_int_equal(is->unknown_records, wanted->unknown_records);
	assert_int_equal(is->unknown_first, wanted->unknown_first);
	assert_ptr_equal(is->unknown_why, wanted->unknown_why);
	assert_int_equal(index_found.cnt, all_index.cnt);
	assert_memory_equal(index_found.entries, all_index.entries,
			    all_index.cnt * sizeof(all_index.entries[0]));
}

static struct journal_check
check_whole(void)
{
	struct journal_bytes all = journal_bytes_all(file, len);

	all_index.cnt = 0;
	return journal_check(&all, &all_index);
}

/* ---- windows of any length ---- */

/* A window of that many bytes, or of as many as are needed, and never the byte
 * after it. */
static uint64_t window_bytes;

static void
move_fence(struct journal_bytes *b, uint64_t off, uint64_t need)
{
	b->off = off;
	b->avail = min_u64(max_u64(need, window_bytes), b->len - off);
	b->at = fence_place(&in_fence, file + off, b->avail);
}

static void
assert_same_in_windows(void)
{
	struct journal_check wanted = check_whole();
	struct journal_check is;

	for (window_bytes = 1; window_bytes <= len + 1; window_bytes++) {
		struct journal_bytes b = { .len = len, .move = move_fence };

		index_found.cnt = 0;
		is = journal_check(&b, &index_found);
		assert_same(&is, &wanted);
		/* the same by lengths, but for what is unknown */
		b = (struct journal_bytes){ .len = len, .move = move_fence,
					    .fetch_max = 1 };
		index_found.cnt = 0;
		is = journal_check(&b, &index_found);
		is.unknown_records = wanted.unknown_records;
		is.unknown_first = wanted.unknown_first;
		is.unknown_why = wanted.unknown_why;
		assert_same(&is, &wanted);
	}
}

static void
test_any_window(void **state)
{
	uint64_t end;

	(void)state;
	begin_file();
	for (size_t i = 0; i < 10; i++) {
		begin_record();
		put_hex(xs[i]);
	}
	end = len;
	for (len = 0; len <= end; len++)
		assert_same_in_windows();
}

static void
test_any_file(void **state)
{
	uint32_t seed = 1;

	(void)state;
	for (unsigned i = 0; i < 3000; i++) {
		make_file(&seed);
		assert_same_in_windows();
	}
}

/* ---- files ---- */

static struct journal_window
open_window(FILE **out)
{
	*out = tmpfile();
	assert_non_null(*out);
	assert_int_equal(fwrite(file, 1, len, *out), len);
	assert_int_equal(fflush(*out), 0);
	return journal_window_open(fileno(*out), len);
}

static size_t
assert_same_in_file(void)
{
	struct journal_check wanted = check_whole(), is;
	FILE *f;
	struct journal_window w = open_window(&f);

	index_found.cnt = 0;
	is = journal_check(&w.bytes, &index_found);
	assert_int_equal(w.err, 0);
	assert_same(&is, &wanted);
	journal_window_close(&w);
	(void)fclose(f);
	return w.room;
}

/* The edge of the window at each byte of the record across it. */
static void
test_edge(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 120; i++) {
		begin_file();
		put_long(JOURNAL_WINDOW_BYTES - 120 + i, 1);
		begin_record();
		put_hex(xs[i % 2]);
		begin_record();
		put_hex(xs[0]);
		(void)assert_same_in_file();
	}
}

static void
test_long_records(void **state)
{
	enum { FEW = JOURNAL_WINDOW_BYTES / 8, MANY = 12 * FEW };

	(void)state;
	begin_file();
	put_long(FEW, 3);
	put_long(MANY, 3); /* longer than a window, by bytes, ... */
	put_long(3, MANY / 4); /* by symbols, ... */
	put_long(MANY + 1, 5);
	assert_int_equal(assert_same_in_file(), 2 * JOURNAL_WINDOW_BYTES);
	/* ... and without an end: needs no room */
	len -= 1;
	assert_int_equal(assert_same_in_file(), 2 * JOURNAL_WINDOW_BYTES);
	begin_file();
	put_long(3, 2 * MANY / 4);
	len -= 5;
	assert_int_equal(assert_same_in_file(), JOURNAL_WINDOW_BYTES);
	/* a damaged count, and records after it */
	begin_file();
	put_long(FEW, 5);
	put_long(2 * MANY, 1);
	wire_store_u32(file + JOURNAL_HEADER_BYTES + 26, ROOM);
	assert_in_range(assert_same_in_file(), 1, 4 * JOURNAL_WINDOW_BYTES);
}

/* Protects the daemon's memory from a damaged count: a long record has its
 * place and its length without being in the window. */
static void
test_long_records_are_passed(void **state)
{
	enum { MANY = 5 * JOURNAL_WINDOW_BYTES / 2 };

	struct journal_check wanted, is;
	struct journal_window w;
	FILE *f;

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		begin_file();
		put_long(3, 1);
		put_long(MANY, 3);
		put_long(3, MANY / 4);
		if (i == 1)
			put_hex("dead");
		put_long(3, 1);
		if (i == 2)
			len--;
		if (i == 3)
			put_long(MANY, 1);
		len -= i == 3;
		wanted = check_whole();
		w = open_window(&f);
		w.bytes.fetch_max = JOURNAL_WINDOW_BYTES;
		index_found.cnt = 0;
		is = journal_check(&w.bytes, &index_found);
		assert_same(&is, &wanted);
		assert_int_equal(w.err, 0);
		assert_int_equal(w.room, JOURNAL_WINDOW_BYTES);
		journal_window_close(&w);
		(void)fclose(f);
	}
}

static FILE *cut_file;
static uint64_t told[2];

static void
cut(uint64_t done, uint64_t bytes)
{
	told[0] = done;
	told[1] = bytes;
	assert_int_equal(ftruncate(fileno(cut_file), (off_t)bytes / 2), 0);
}

static void
test_cut_meanwhile(void **state)
{
	struct journal_window w;

	(void)state;
	begin_file();
	for (unsigned i = 0; i < 30; i++)
		put_long(JOURNAL_WINDOW_BYTES / 8, 1);
	w = open_window(&cut_file);
	w.progress = cut;
	(void)journal_check(&w.bytes, NULL);
	assert_int_equal(w.err, -ESTALE);
	assert_int_equal(told[0], 0);
	assert_int_equal(told[1], len);
	journal_window_close(&w);
	(void)fclose(cut_file);
}

static void
test_unreadable(void **state)
{
	struct journal_window w = journal_window_open(-1, 100);

	(void)state;
	(void)journal_check(&w.bytes, NULL);
	assert_int_equal(w.err, -EBADF);
	journal_window_close(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_any_window),
		cmocka_unit_test(test_any_file),
		cmocka_unit_test(test_edge),
		cmocka_unit_test(test_long_records),
		cmocka_unit_test(test_long_records_are_passed),
		cmocka_unit_test(test_cut_meanwhile),
		cmocka_unit_test(test_unreadable),
	};

	return cmocka_run_group_tests(tests, vectors_open, vectors_close);
}
