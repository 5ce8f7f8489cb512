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

static const char not_a_record[] = "it does not begin as (`upd;`table;x)";
static const char is_cut[] = "the file ends before the record does";

/* Reads (`upd;`table; and sets *out, all members but len. */
static enum journal_step
read_start(const uint8_t *at, const uint8_t *end, struct journal_record *out,
	   const char **why)
{
	const uint8_t *name = at + sizeof(record_start) + 1, *after;
	size_t avail = (size_t)(end - at);

	*why = not_a_record;
	if (memcmp(at, record_start, min_u64(avail, sizeof(record_start))) != 0)
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

/*
 * Whether the columns at x, cut off by the end, can be columns of an update,
 * which all have one length.  If not, a count is damaged, and no bytes are
 * missing at the end.  A row has atoms, and its cells may have any length.
 */
static bool
can_be_columns(const uint8_t *x, const uint8_t *end)
{
	uint32_t columns, rows = 0;

	if (end - x < WIRE_LIST_HEADER_BYTES || x[0] != KT_LIST ||
	    x[1] > KA_GROUPED)
		return true;
	columns = wire_load_u32(x + 2);
	x += WIRE_LIST_HEADER_BYTES;
	for (uint32_t i = 0; i < columns; i++) {
		if (end - x < WIRE_LIST_HEADER_BYTES || x[0] > KT_TIME ||
		    x[1] > KA_GROUPED)
			return true;
		if (i > 0 && wire_load_u32(x + 2) != rows)
			return false;
		rows = wire_load_u32(x + 2);
		if (skip_by_lengths(&x, end) != SKIP_WHOLE)
			return true;
	}
	return true;
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
	*why = r.bad;
	*after = record->x;
	switch (skip_by_lengths(after, end)) {
	case SKIP_WHOLE:
		record->unknown = r.bad;
		return JOURNAL_RECORD;
	case SKIP_UNKNOWN:
		return JOURNAL_BAD;
	case SKIP_SHORT:
		break;
	}
	if (!can_be_columns(record->x, end)) {
		*why = "the columns differ in length";
		return JOURNAL_BAD;
	}
	*why = is_cut;
	return JOURNAL_SHORT;
}

enum journal_step
journal_next(const uint8_t *bytes, uint64_t len, uint64_t off,
	     struct journal_record *out, const char **why)
{
	const uint8_t *at = bytes + off, *end = bytes + len, *after;
	struct journal_record record;
	enum journal_step step;
	const char *fault;

	if (at == end)
		return JOURNAL_END;
	step = read_start(at, end, &record, &fault);
	if (step == JOURNAL_RECORD) {
		after = skip_columns(record.x, end);
		if (after == NULL)
			step = find_end(&record, end, &after, &fault);
	}
	if (step != JOURNAL_RECORD) {
		*why = fault;
		return step;
	}
	record.len = (size_t)(after - at);
	*out = record;
	return JOURNAL_RECORD;
}

uint64_t
journal_search(const uint8_t *bytes, uint64_t len, uint64_t off)
{
	struct journal_record record;
	const char *why;

	for (unsigned places = 0; places < SEARCH_PLACES_MAX; places++) {
		const uint8_t *found =
			memmem(bytes + off, len - off, record_start,
			       sizeof(record_start));

		if (found == NULL)
			return 0;
		off = (uint64_t)(found - bytes);
		if (journal_next(bytes, len, off, &record, &why) ==
			    JOURNAL_RECORD &&
		    journal_next(bytes, len, off + record.len, &record, &why) !=
			    JOURNAL_BAD)
			return off;
		off++;
	}
	return off - 1;
}

/* A damaged count may reach past the end, as the count of a torn record does.
 * But then the records after it are still there, whole, up to the end. */
static void
look_behind(struct journal_check *c, const uint8_t *bytes, uint64_t len)
{
	uint64_t off = journal_search(bytes, len, c->good_bytes + 1);
	uint64_t begin = off, records = 0;
	struct journal_record record;
	enum journal_step step;
	const char *why;

	if (off == 0)
		return;
	while ((step = journal_next(bytes, len, off, &record, &why)) ==
	       JOURNAL_RECORD) {
		off += record.len;
		records++;
	}
	if (step != JOURNAL_END)
		return;
	c->tail_records_off = begin;
	c->tail_records = records;
}

void
journal_judge(struct journal_check *c, const uint8_t *bytes, uint64_t len,
	      enum journal_step step, const char *why)
{
	CHECK(step != JOURNAL_RECORD);
	c->verdict = JOURNAL_WHOLE;
	if (step == JOURNAL_END)
		return;
	c->why = why;
	c->verdict = JOURNAL_TORN;
	if (step == JOURNAL_SHORT) {
		look_behind(c, bytes, len);
		return;
	}
	c->next_record_off = journal_search(bytes, len, c->good_bytes + 1);
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
journal_check(const uint8_t *bytes, uint64_t len, struct journal_index *index)
{
	struct journal_check c = { .verdict = JOURNAL_FOREIGN };
	struct journal_record record;
	enum journal_step step;
	const char *why = NULL;

	if (len < JOURNAL_HEADER_BYTES) {
		c.why = "it is shorter than the header of a journal";
		return c;
	}
	if (memcmp(bytes, journal_header, JOURNAL_HEADER_BYTES) != 0) {
		c.why = "it does not begin with ff01000000000000";
		return c;
	}
	c.good_bytes = JOURNAL_HEADER_BYTES;
	while ((step = journal_next(bytes, len, c.good_bytes, &record, &why)) ==
	       JOURNAL_RECORD) {
		if (index != NULL)
			journal_index_add(index, (struct journal_index_entry){
							 .off = c.good_bytes,
							 .record = c.records });
		journal_count(&c, &record);
	}
	journal_judge(&c, bytes, len, step, why);
	return c;
}
