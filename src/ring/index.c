#include "config.h"

#include "ring/index.h"

#include "base/util.h"

#define GAP_BYTES_MAX (64u << 10)

static uint64_t
gap_of(size_t ring_bytes, uint64_t gap_max)
{
	uint64_t gap = min_u64(GAP_BYTES_MAX, ring_bytes / 16);

	return gap_max == 0 ? gap : min_u64(gap, gap_max);
}

size_t
index_capacity(size_t ring_bytes, uint64_t gap_max)
{
	/*
	 * Of three neighbours that span more than a gap there are fewer than
	 * 2 * ring / gap + 4: so in an older half of this array there is
	 * always something to thin out.
	 */
	return 4 * (ring_bytes / gap_of(ring_bytes, gap_max)) + 64;
}

void
index_init(struct index *x, struct index_entry *entries, size_t ring_bytes,
	   uint64_t gap_max)
{
	*x = (struct index){ .entries = entries,
			     .capacity = index_capacity(ring_bytes, gap_max),
			     .gap_bytes = gap_of(ring_bytes, gap_max) };
}

static struct index_entry *
entry_at(const struct index *x, size_t i)
{
	return &x->entries[(x->first_idx + i) % x->capacity];
}

/* Keeps the first entry and the newer half, and drops each other one whose
 * neighbours are at most one gap apart.  In the newer half times stay exact:
 * that is where those are who have only just fallen behind. */
static void
thin_out(struct index *x, uint64_t tail_pos)
{
	size_t kept = 1, i;

	for (i = 1; i < x->cnt / 2; i++) {
		uint64_t from = entry_at(x, kept - 1)->pos;
		uint64_t to = entry_at(x, i + 1)->pos;

		if (to - from > x->gap_bytes || entry_at(x, i)->pos == tail_pos)
			*entry_at(x, kept++) = *entry_at(x, i);
	}
	while (i < x->cnt)
		*entry_at(x, kept++) = *entry_at(x, i++);
	x->cnt = kept;
}

void
index_add(struct index *x, struct index_entry e, uint64_t tail_pos)
{
	if (x->cnt > 0) {
		const struct index_entry *last = entry_at(x, x->cnt - 1);

		if (e.pos - last->pos < x->gap_bytes &&
		    e.time_ns - last->time_ns < INDEX_GAP_NS)
			return;
	}
	index_put(x, e, tail_pos);
}

void
index_put(struct index *x, struct index_entry e, uint64_t tail_pos)
{
	if (x->cnt == x->capacity)
		thin_out(x, tail_pos);
	CHECK(x->cnt < x->capacity);
	*entry_at(x, x->cnt) = e;
	x->cnt++;
}

void
index_trim(struct index *x, uint64_t tail_pos)
{
	/* Called for every message: no division if there is nothing to trim. */
	while (x->cnt > 0 &&
	       (int64_t)(x->entries[x->first_idx].pos - tail_pos) < 0) {
		x->first_idx++;
		if (x->first_idx == x->capacity)
			x->first_idx = 0;
		x->cnt--;
	}
}

/* The number of entries whose field at field_off is at or before pos. */
static size_t
count(const struct index *x, size_t field_off, uint64_t pos)
{
	return sorted_count(
		&(struct sorted_fields){
			.first = (const uint8_t *)x->entries + field_off,
			.stride = sizeof(*x->entries),
			.begin = x->first_idx,
			.cnt = x->cnt,
			.capacity = x->capacity,
		},
		pos);
}

const struct index_entry *
index_find(const struct index *x, uint64_t pos)
{
	size_t cnt = count(x, offsetof(struct index_entry, pos), pos);

	return cnt == 0 ? NULL : entry_at(x, cnt - 1);
}

const struct index_entry *
index_find_next(const struct index *x, uint64_t pos)
{
	size_t cnt = count(x, offsetof(struct index_entry, pos), pos - 1);

	return cnt == x->cnt ? NULL : entry_at(x, cnt);
}

const struct index_entry *
index_find_main(const struct index *x, uint64_t main_pos)
{
	size_t cnt =
		count(x, offsetof(struct index_entry, main_pos), main_pos - 1);

	return cnt == x->cnt ? NULL : entry_at(x, cnt);
}
