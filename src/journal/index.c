#include "config.h"

#include "journal/index.h"

#include <stddef.h>

#include "base/util.h"

enum {
	GAP_BYTES = 256 << 10,
	OLD_ENTRIES = JOURNAL_INDEX_ENTRIES / 2,
	/* Gaps that the older half is divided into.  Any three neighbours that
	 * stay are more than a gap apart, so at most twice as many stay. */
	OLD_GAPS = OLD_ENTRIES / 4,
};

#define GAP_NS (1 * NS_PER_S)

static void
thin_out(struct journal_index *x)
{
	struct journal_index_entry *e = x->entries;
	uint64_t gap = (e[OLD_ENTRIES].off - e[0].off) / OLD_GAPS;
	size_t kept = 1;

	for (size_t i = 1; i < x->cnt; i++)
		if (i >= OLD_ENTRIES || e[i + 1].off - e[kept - 1].off > gap)
			e[kept++] = e[i];
	x->cnt = kept;
}

void
journal_index_add(struct journal_index *x, struct journal_index_entry e)
{
	if (x->cnt > 0) {
		const struct journal_index_entry *last =
			&x->entries[x->cnt - 1];

		if (e.off - last->off < GAP_BYTES &&
		    e.time_ns - last->time_ns < GAP_NS)
			return;
	}
	if (x->cnt == JOURNAL_INDEX_ENTRIES)
		thin_out(x);
	CHECK(x->cnt < JOURNAL_INDEX_ENTRIES);
	x->entries[x->cnt++] = e;
}

/* The last entry whose field (at field_off) is at or before a value; NULL if
 * there is no such entry. */
static const struct journal_index_entry *
find_last(const struct journal_index *x, size_t field_off, uint64_t value)
{
	size_t cnt = sorted_count(
		&(struct sorted_fields){
			.first = (const uint8_t *)x->entries + field_off,
			.stride = sizeof(*x->entries),
			.cnt = x->cnt,
			.capacity = JOURNAL_INDEX_ENTRIES,
		},
		value);

	return cnt == 0 ? NULL : &x->entries[cnt - 1];
}

const struct journal_index_entry *
journal_index_find_pos(const struct journal_index *x, uint64_t pos)
{
	return find_last(x, offsetof(struct journal_index_entry, pos), pos);
}

const struct journal_index_entry *
journal_index_find_record(const struct journal_index *x, uint64_t record)
{
	return find_last(x, offsetof(struct journal_index_entry, record),
			 record);
}

const struct journal_index_entry *
journal_index_find_off(const struct journal_index *x, uint64_t off)
{
	return find_last(x, offsetof(struct journal_index_entry, off), off);
}

const struct journal_index_entry *
journal_index_find_next_off(const struct journal_index *x, uint64_t off)
{
	for (size_t i = 0; i < x->cnt; i++)
		if (x->entries[i].off >= off)
			return &x->entries[i];
	return NULL;
}

void
journal_index_cut(struct journal_index *x, uint64_t off)
{
	while (x->cnt > 0 && x->entries[x->cnt - 1].off >= off)
		x->cnt--;
}
