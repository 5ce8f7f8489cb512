#include "config.h"

#include "journal/file.h"

#include <stddef.h>
#include <string.h>

#include "base/util.h"
#include "wire/skip.h"
#include "wire/wire.h"

/*
 * The search after bad bytes gives up after this many places that look like the
 * start of a record but are not.  Each may cost a walk over all the bytes left,
 * and the contents of a cut update are the feed's choice.
 */
enum { SEARCH_PLACES_MAX = 1000 };

const uint8_t journal_header[JOURNAL_HEADER_BYTES] = { 0xff, 1 };

/* A list of three items that begins with `upd. */
static const uint8_t record_start[] = {
	KT_LIST, KA_NONE, 3, 0, 0, 0, 256 - KT_SYMBOL, 'u', 'p', 'd', 0,
};

enum { START_BYTES = sizeof(record_start) + 1 }; /* and a symbol's type */

static const char not_a_record[] = "it does not begin as (`upd;`table;x)";
static const char is_cut[] = "the file ends before the record does";
static const char no_length[] = "a type is unknown, or a count is more than "
				"any message has";

static bool
begins_as_record(const uint8_t *at, size_t avail)
{
	/* A constant length needs no call. */
	if (avail >= sizeof(record_start))
		return memcmp(at, record_start, sizeof(record_start)) == 0;
	return memcmp(at, record_start, avail) == 0;
}

/* Reads (`upd;`table; and sets *out, all members but len. */
static enum journal_step
read_start(const uint8_t *at, const uint8_t *end, struct journal_record *out,
	   const char **why)
{
	const uint8_t *name = at + sizeof(record_start) + 1, *after;
	size_t avail = (size_t)(end - at);

	*why = not_a_record;
	if (!begins_as_record(at, avail))
		return JOURNAL_BAD;
	if (avail > sizeof(record_start) && name[-1] != 256 - KT_SYMBOL) {
		*why = "the name of the table is not a symbol";
		return JOURNAL_BAD;
	}
	*why = is_cut;
	if (avail <= sizeof(record_start) + 1)
		return JOURNAL_SHORT;
	after = wire_symbol_end(name, end);
	if (after == NULL)
		return JOURNAL_SHORT;
	*out = (struct journal_record){
		.at = at,
		.table = (const char *)name,
		.table_len = (size_t)(after - name) - 1,
		.x = after,
	};
	return JOURNAL_RECORD;
}

/* Finds the end of the object at record->x by the rules of the wire, or, if
 * they refuse it, by lengths alone. */
static enum journal_step
find_end(struct journal_record *record, const uint8_t *end,
	 const uint8_t **after, const char **why)
{
	struct wire_reader r =
		wire_reader(record->x, (size_t)(end - record->x), false);

	wire_skip(&r);
	*after = r.at;
	if (r.bad == NULL)
		return JOURNAL_RECORD;
	record->unknown = r.bad;
	*after = record->x;
	switch (skip_by_lengths(after, end)) {
	case SKIP_WHOLE:
		return JOURNAL_RECORD;
	case SKIP_UNKNOWN:
		*why = no_length;
		return JOURNAL_BAD;
	case SKIP_SHORT:
		break;
	}
	*why = is_cut;
	return JOURNAL_SHORT;
}

/*
 * The record at `at`, of which the bytes up to `end` are in memory.
 * JOURNAL_SHORT: it has no end there.  More bytes after `end` would change no
 * other result.
 */
static inline enum journal_step
read_in_window(const uint8_t *at, const uint8_t *end,
	       struct journal_record *out, const char **why)
{
	struct journal_record record;
	enum journal_step step = read_start(at, end, &record, why);
	const uint8_t *after;

	if (step != JOURNAL_RECORD)
		return step;
	after = skip_columns(record.x, end);
	if (after == NULL) {
		step = find_end(&record, end, &after, why);
		if (step != JOURNAL_RECORD)
			return step;
	}
	record.len = (size_t)(after - at);
	*out = record;
	return JOURNAL_RECORD;
}

/* ---- by lengths alone, whatever is in the window ---- */

static bool
is_at_end(const struct journal_bytes *b)
{
	return b->off + b->avail >= b->len;
}

/* The bytes at off: at least `need` of them, or all up to the end; how many
 * there are is *avail. */
static const uint8_t *
look_at(struct journal_bytes *b, uint64_t off, uint64_t need, size_t *avail)
{
	need = min_u64(need, off < b->len ? b->len - off : 0);
	if (off < b->off || off + need > b->off + b->avail)
		b->move(b, off, need);
	*avail = b->avail - (size_t)(off - b->off);
	return b->at + (off - b->off);
}

/* Moves *off to the end of the object there.  SKIP_SHORT: the file ends
 * before.  Does not look at the bytes of vectors. */
static enum skip_result
pass_by_lengths(struct journal_bytes *b, uint64_t *off)
{
	struct skip_walk walk = SKIP_WALK_BEGIN;

	for (;;) {
		enum skip_result result;
		const uint8_t *begin, *at;
		uint64_t jump;
		size_t avail;

		at = begin = look_at(b, *off, SKIP_HEADER_MAX, &avail);
		result = skip_more(&walk, &at, begin + avail);
		*off += (uint64_t)(at - begin);
		if (result != SKIP_SHORT || is_at_end(b))
			return result;
		jump = min_u64(walk.bytes, b->len - *off);
		walk.bytes -= jump;
		*off += jump;
	}
}

/*
 * Whether the columns at x_off, cut off by the file's end, can be columns of an
 * update, which all have one length.  If not, a count is damaged, and no bytes
 * are missing at the end.  A row has atoms, and its cells may have any length.
 */
static bool
can_be_columns(struct journal_bytes *b, uint64_t x_off)
{
	uint32_t columns, rows = 0;
	size_t avail;
	const uint8_t *x = look_at(b, x_off, WIRE_LIST_HEADER_BYTES, &avail);

	if (avail < WIRE_LIST_HEADER_BYTES || x[0] != KT_LIST ||
	    x[1] > KA_GROUPED)
		return true;
	columns = wire_load_u32(x + 2);
	x_off += WIRE_LIST_HEADER_BYTES;
	for (uint32_t i = 0; i < columns; i++) {
		x = look_at(b, x_off, WIRE_LIST_HEADER_BYTES, &avail);
		if (avail < WIRE_LIST_HEADER_BYTES || x[0] > KT_TIME ||
		    x[1] > KA_GROUPED)
			return true;
		if (i > 0 && wire_load_u32(x + 2) != rows)
			return false;
		rows = wire_load_u32(x + 2);
		if (pass_by_lengths(b, &x_off) != SKIP_WHOLE)
			return true;
	}
	return true;
}

/* The record at off has no end in the window, which begins with it, or ends
 * with the file.  JOURNAL_RECORD: it is whole, and in the window after this; or
 * it is passed, and has *passed bytes. */
static enum journal_step
fetch_long(struct journal_bytes *b, uint64_t off, uint64_t *passed,
	   const char **why)
{
	uint64_t end_off = off, x_off = off + sizeof(record_start);
	size_t avail;

	switch (pass_by_lengths(b, &end_off)) {
	case SKIP_WHOLE:
		if (b->fetch_max > 0 && end_off - off > b->fetch_max)
			*passed = end_off - off;
		else
			(void)look_at(b, off, end_off - off, &avail);
		return JOURNAL_RECORD;
	case SKIP_UNKNOWN:
		*why = no_length;
		return JOURNAL_BAD;
	case SKIP_SHORT:
		break;
	}
	if (x_off < b->len && pass_by_lengths(b, &x_off) == SKIP_WHOLE &&
	    !can_be_columns(b, x_off)) {
		*why = "the columns differ in length";
		return JOURNAL_BAD;
	}
	*why = is_cut;
	return JOURNAL_SHORT;
}

/* ---- the walk ---- */

/* The record at off has no end in the window, if it begins there at all.
 * JOURNAL_RECORD: there is more of it in the window now, or it is passed. */
static enum journal_step
fetch(struct journal_bytes *b, uint64_t off, uint64_t *passed,
      const char **why)
{
	if (off >= b->len)
		return JOURNAL_END;
	if (off < b->off || off >= b->off + b->avail ||
	    (!is_at_end(b) && (off > b->off || b->avail < START_BYTES))) {
		b->move(b, off, START_BYTES);
		return JOURNAL_RECORD;
	}
	return fetch_long(b, off, passed, why);
}

enum journal_step
journal_read(struct journal_bytes *b, uint64_t off, struct journal_record *out,
	     const char **why)
{
	enum journal_step step;
	uint64_t passed = 0;

	do {
		step = JOURNAL_SHORT;
		if (off >= b->off && off < b->off + b->avail)
			step = read_in_window(b->at + (off - b->off),
					      b->at + b->avail, out, why);
		if (step != JOURNAL_SHORT)
			return step;
		step = fetch(b, off, &passed, why);
	} while (step == JOURNAL_RECORD && passed == 0);
	if (step == JOURNAL_RECORD)
		*out = (struct journal_record){ .len = passed };
	return step;
}

/* The first offset at or after off that looks like the start of a record; 0 if
 * there is none. */
static uint64_t
find_start(struct journal_bytes *b, uint64_t off)
{
	while (off < b->len) {
		size_t avail;
		const uint8_t *at =
			look_at(b, off, sizeof(record_start), &avail);
		const uint8_t *found = memmem(at, avail, record_start,
					      sizeof(record_start));

		if (found != NULL)
			return off + (uint64_t)(found - at);
		if (is_at_end(b))
			return 0;
		off += avail - (sizeof(record_start) - 1);
	}
	return 0;
}

uint64_t
journal_search(struct journal_bytes *b, uint64_t off)
{
	struct journal_record record;
	const char *why;

	for (unsigned places = 0; places < SEARCH_PLACES_MAX; places++) {
		off = find_start(b, off);
		if (off == 0)
			return 0;
		if (journal_read(b, off, &record, &why) == JOURNAL_RECORD &&
		    journal_read(b, off + record.len, &record, &why) !=
			    JOURNAL_BAD)
			return off;
		off++;
	}
	return off - 1;
}

/* A damaged count may reach past the end, as the count of a torn record does.
 * But then the records after it are still there, whole, up to the end. */
static void
look_behind(struct journal_check *c, struct journal_bytes *b)
{
	uint64_t off = journal_search(b, c->good_bytes + 1);
	uint64_t begin = off, records = 0;
	struct journal_record record;
	enum journal_step step;
	const char *why;

	if (off == 0)
		return;
	while ((step = journal_read(b, off, &record, &why)) == JOURNAL_RECORD) {
		off += record.len;
		records++;
	}
	if (step != JOURNAL_END)
		return;
	c->tail_records_off = begin;
	c->tail_records = records;
}

void
journal_judge(struct journal_check *c, struct journal_bytes *b,
	      enum journal_step step, const char *why)
{
	CHECK(step != JOURNAL_RECORD);
	c->verdict = JOURNAL_WHOLE;
	if (step == JOURNAL_END)
		return;
	c->why = why;
	c->verdict = JOURNAL_TORN;
	if (step == JOURNAL_SHORT) {
		look_behind(c, b);
		return;
	}
	c->next_record_off = journal_search(b, c->good_bytes + 1);
	if (c->next_record_off > 0)
		c->verdict = JOURNAL_DAMAGED;
}

void
journal_count(struct journal_check *c, const struct journal_record *record)
{
	if (record->unknown != NULL && c->unknown_records++ == 0) {
		c->unknown_first = c->records;
		c->unknown_why = record->unknown;
	}
	c->records++;
	c->good_bytes += record->len;
}

struct journal_check
journal_begin(struct journal_bytes *b)
{
	struct journal_check c = { .verdict = JOURNAL_FOREIGN };
	const uint8_t *header = NULL;
	size_t avail = 0;

	if (b->len > 0)
		header = look_at(b, 0, JOURNAL_HEADER_BYTES, &avail);
	if (avail < JOURNAL_HEADER_BYTES) {
		c.why = "it is shorter than the header of a journal";
	} else if (memcmp(header, journal_header, JOURNAL_HEADER_BYTES) != 0) {
		c.why = "it does not begin with ff01000000000000";
	} else {
		c.verdict = JOURNAL_WHOLE;
		c.good_bytes = JOURNAL_HEADER_BYTES;
	}
	return c;
}

struct journal_check
journal_check(struct journal_bytes *b, struct journal_index *index)
{
	struct journal_check c = journal_begin(b);
	struct journal_record record;
	enum journal_step step;
	const char *why = NULL;

	if (c.verdict == JOURNAL_FOREIGN)
		return c;
	while ((step = journal_read(b, c.good_bytes, &record, &why)) ==
	       JOURNAL_RECORD) {
		if (index != NULL)
			journal_index_add(index, (struct journal_index_entry){
							 .off = c.good_bytes,
							 .record = c.records });
		journal_count(&c, &record);
	}
	journal_judge(&c, b, step, why);
	return c;
}
