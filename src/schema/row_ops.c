#include "config.h"

#include "schema/row_ops.h"

#include <string.h>

#include "base/util.h"
#include "wire/skip.h"
#include "wire/wire.h"

enum {
	SYM_COLUMN = 1,
};

struct rows
row_ops_of_columns(const uint8_t *columns, size_t len)
{
	return (struct rows){
		.columns = columns,
		.len = len,
		.cnt = wire_load_u32(columns + 2),
	};
}

struct rows
row_ops_of_frame(const struct schema_table *t, const uint8_t *frame)
{
	size_t start = t->publish_prefix_len;

	return row_ops_of_columns(frame + start,
				  wire_load_u32(frame + 4) - start);
}

/* ---- reading ---- */

static int
type_at(const uint8_t *at)
{
	return (int8_t)*at;
}

/* Moves past cnt items of a column of that type. */
static inline void
pass_items(struct wire_reader *r, int type, uint32_t cnt)
{
	if (type != KT_LIST)
		r->at = skip_checked_items(type, r->at, r->end, cnt);
	else
		while (cnt-- > 0)
			r->at = skip_checked(r->at, r->end);
}

/* ---- keys ---- */

struct rows_keys
row_ops_keys(const struct rows *from)
{
	struct wire_reader r = wire_reader(from->columns, from->len, false);
	int time_type = type_at(r.at);

	r.at += WIRE_LIST_HEADER_BYTES;
	pass_items(&r, time_type, from->cnt);
	return (struct rows_keys){
		.at = r.at + WIRE_LIST_HEADER_BYTES,
		.end = r.end,
		.left_cnt = from->cnt,
		.type = (int8_t)type_at(r.at),
	};
}

/* The next key of a general list, where an atom follows its type byte. */
static void
next_of_list(struct rows_keys *keys, struct rows_key *out)
{
	int type = type_at(keys->at);

	out->at = keys->at;
	out->type = KT_LIST;
	if (wire_is_atom(type)) {
		out->at++;
		out->type = (int8_t)-type;
	}
	keys->at = skip_checked(keys->at, keys->end);
}

bool
row_ops_next_key(struct rows_keys *keys, struct rows_key *out)
{
	if (keys->left_cnt == 0)
		return false;
	keys->left_cnt--;
	out->at = keys->at;
	out->type = keys->type;
	if (keys->type == KT_LIST)
		next_of_list(keys, out);
	else
		keys->at =
			skip_checked_items(keys->type, keys->at, keys->end, 1);
	out->len = (size_t)(keys->at - out->at);
	if (out->type == KT_SYMBOL)
		out->len--;
	return true;
}

/* ---- writing ---- */

/* A message that is written, or only measured. */
struct out {
	uint8_t *base; /* NULL: only measured */
	uint64_t len;
};

static inline void
put_bytes(struct out *out, const uint8_t *from, size_t len)
{
	if (out->base != NULL)
		memcpy(out->base + out->len, from, len);
	out->len += len;
}

static inline void
put_u8(struct out *out, uint8_t v)
{
	if (out->base != NULL)
		out->base[out->len] = v;
	out->len++;
}

static inline void
put_header(struct out *out, int type, uint8_t attr, uint32_t cnt)
{
	if (out->base != NULL) {
		uint8_t *at = out->base + out->len;

		at[0] = (uint8_t)type;
		at[1] = attr;
		wire_store_u32(at + 2, cnt);
	}
	out->len += WIRE_LIST_HEADER_BYTES;
}

/* Copies cnt items of a column of that type and moves the reader past them. */
static inline void
put_items(struct out *out, struct wire_reader *r, int type, uint32_t cnt)
{
	const uint8_t *from = r->at;

	pass_items(r, type, cnt);
	put_bytes(out, from, (size_t)(r->at - from));
}

static void
begin_message(struct out *out, const struct schema_table *t)
{
	put_bytes(out, t->publish_prefix, t->publish_prefix_len);
}

static void
end_message(const struct out *out)
{
	CHECK(out->len <= UINT32_MAX);
	wire_store_u32(out->base + 4, (uint32_t)out->len);
}

/* ---- some rows of one message ---- */

struct picked {
	const uint32_t *rows;
	uint32_t cnt;
};

/* Inlined with a constant width, so that each item is a load and a store. */
static inline __attribute__((always_inline)) void
gather_width(uint8_t *to, const uint8_t *from, size_t width,
	     const struct picked *picked)
{
	for (uint32_t i = 0; i < picked->cnt; i++)
		memcpy(to + i * width, from + picked->rows[i] * width, width);
}

static void
gather_items(uint8_t *to, const uint8_t *from, size_t width,
	     const struct picked *picked)
{
	switch (width) {
	case 1:
		gather_width(to, from, 1, picked);
		break;
	case 2:
		gather_width(to, from, 2, picked);
		break;
	case 4:
		gather_width(to, from, 4, picked);
		break;
	case 8:
		gather_width(to, from, 8, picked);
		break;
	default:
		CHECK(width == 16);
		gather_width(to, from, 16, picked);
	}
}

/* The reader is at the first item of a column of fixed width. */
static void
pick_fixed(struct out *out, const struct wire_reader *r, size_t width,
	   const struct picked *picked)
{
	if (out->base != NULL)
		gather_items(out->base + out->len, r->at, width, picked);
	out->len += width * picked->cnt;
}

/* The reader is at item `next`; moves past the last picked item and returns the
 * number of the item there. */
static inline uint32_t
pick_symbols(struct out *out, struct wire_reader *r, uint32_t next,
	     const struct picked *picked)
{
	for (uint32_t i = 0; i < picked->cnt; i++) {
		pass_items(r, KT_SYMBOL, picked->rows[i] - next);
		put_items(out, r, KT_SYMBOL, 1);
		next = picked->rows[i] + 1;
	}
	return next;
}

/* The same for a general list.  type: of the vector to be written, 0 for a
 * list. */
static inline uint32_t
pick_objects(struct out *out, struct wire_reader *r, uint32_t next, int type,
	     const struct picked *picked)
{
	for (uint32_t i = 0; i < picked->cnt; i++) {
		pass_items(r, KT_LIST, picked->rows[i] - next);
		if (type == KT_LIST) {
			put_items(out, r, KT_LIST, 1);
		} else {
			r->at++;
			put_items(out, r, type, 1);
		}
		next = picked->rows[i] + 1;
	}
	return next;
}

/*
 * The type of the picked items of a general list; 0 if they are not all atoms
 * of one type.  The reader is at the first picked item.
 */
static int
picked_type(struct wire_reader r, const struct picked *picked)
{
	int type = type_at(r.at);

	if (!wire_is_atom(type))
		return KT_LIST;
	for (uint32_t i = 1; i < picked->cnt; i++) {
		pass_items(&r, KT_LIST, picked->rows[i] - picked->rows[i - 1]);
		if (type_at(r.at) != type)
			return KT_LIST;
	}
	return -type;
}

/* Moves past the last picked item. */
static void
pick_list(struct out *out, struct wire_reader *r, const struct picked *picked)
{
	uint32_t next = picked->rows[0];
	int type;

	pass_items(r, KT_LIST, next);
	type = picked_type(*r, picked);
	put_header(out, type, KA_NONE, picked->cnt);
	(void)pick_objects(out, r, next, type, picked);
}

/*
 * Moves past the column, unless it is the message's last one, whose end is not
 * needed.
 */
static void
pick_column(struct out *out, struct wire_reader *r, uint32_t rows_cnt,
	    const struct picked *picked, bool is_last)
{
	int type = type_at(r->at);
	size_t width = wire_item_bytes(type);
	uint32_t rest_cnt = rows_cnt - picked->rows[picked->cnt - 1] - 1;

	r->at += WIRE_LIST_HEADER_BYTES;
	if (type == KT_LIST) {
		pick_list(out, r, picked);
	} else if (type == KT_SYMBOL) {
		put_header(out, type, KA_NONE, picked->cnt);
		(void)pick_symbols(out, r, 0, picked);
	} else {
		put_header(out, type, KA_NONE, picked->cnt);
		pick_fixed(out, r, width, picked);
		r->at += width * (rows_cnt - rest_cnt);
	}
	if (!is_last)
		pass_items(r, type, rest_cnt);
}

/*
 * Writes all rows.  Bytes that need no change are copied at once, across
 * columns.  An attribute is changed, and a general list that begins with an
 * atom, which may become a vector.
 */
static void
pick_all(struct out *out, struct wire_reader *r, const struct picked *all,
	 unsigned columns_cnt)
{
	const uint8_t *same = r->at; /* the first byte not yet copied */

	for (unsigned i = 0; i < columns_cnt; i++) {
		const uint8_t *column = r->at;
		int type = type_at(column);

		r->at += WIRE_LIST_HEADER_BYTES;
		if (type == KT_LIST && wire_is_atom(type_at(r->at))) {
			put_bytes(out, same, (size_t)(column - same));
			r->at = column;
			pick_column(out, r, all->cnt, all, false);
			same = r->at;
			continue;
		}
		if (column[1] != KA_NONE) {
			put_bytes(out, same, (size_t)(column + 1 - same));
			put_u8(out, KA_NONE);
			same = column + 2;
		}
		if (i + 1 < columns_cnt)
			pass_items(r, type, all->cnt);
		else
			r->at = r->end;
	}
	put_bytes(out, same, (size_t)(r->at - same));
}

static void
pick_rows(struct out *out, const struct schema_table *t,
	  const struct rows *from, const struct picked *picked)
{
	struct wire_reader r = wire_reader(from->columns, from->len, false);

	CHECK(picked->cnt > 0 && picked->rows[picked->cnt - 1] < from->cnt);
	begin_message(out, t);
	if (picked->cnt == from->cnt)
		pick_all(out, &r, picked, t->columns_cnt);
	else
		for (unsigned i = 0; i < t->columns_cnt; i++)
			pick_column(out, &r, from->cnt, picked,
				    i + 1 == t->columns_cnt);
	CHECK(r.bad == NULL && r.at <= r.end);
}

size_t
row_ops_picked_len(const struct schema_table *t, const struct rows *from,
		   const uint32_t *picked, uint32_t cnt)
{
	struct out out = { .base = NULL };

	pick_rows(&out, t, from, &(struct picked){ picked, cnt });
	return out.len;
}

size_t
row_ops_pick(const struct schema_table *t, const struct rows *from,
	     const uint32_t *picked, uint32_t cnt, uint8_t *at)
{
	struct out out = { .base = at };

	pick_rows(&out, t, from, &(struct picked){ picked, cnt });
	end_message(&out);
	return out.len;
}

/* ---- the same in several steps ---- */

void
row_ops_pick_begin(struct rows_picking *p, const struct schema_table *t,
		   const struct rows *from, const uint32_t *picked,
		   uint32_t cnt, uint8_t *at)
{
	struct out out = { .base = at };

	CHECK(cnt > 0 && picked[cnt - 1] < from->cnt);
	begin_message(&out, t);
	*p = (struct rows_picking){ .t = t,
				    .from = *from,
				    .picked = picked,
				    .cnt = cnt,
				    .base = at,
				    .len = out.len,
				    .at = from->columns };
}

static void
begin_column(struct rows_picking *p, struct out *out, struct wire_reader *r)
{
	int type = type_at(r->at);

	p->is_begun = true;
	p->from_type = p->type = (int8_t)type;
	p->done = p->next = 0;
	p->column_len = out->len;
	r->at += WIRE_LIST_HEADER_BYTES;
	if (type == KT_LIST) {
		pass_items(r, type, p->picked[0]);
		p->next = p->picked[0];
		p->first = r->at;
		if (wire_is_atom(type_at(r->at)))
			p->type = (int8_t)-type_at(r->at);
	}
	put_header(out, p->type, KA_NONE, p->cnt);
	/* All rows of a vector are copied at once. */
	if (type != KT_LIST && p->cnt == p->from.cnt) {
		put_items(out, r, type, p->cnt);
		p->done = p->next = p->cnt;
	}
}

/* The picked rows to be written next: rows_max at most, and fewer if many rows
 * between them have to be passed one by one. */
static struct picked
next_slice(const struct rows_picking *p, uint32_t rows_max)
{
	struct picked slice = { p->picked + p->done, p->cnt - p->done };

	if (slice.cnt > rows_max)
		slice.cnt = rows_max;
	while (slice.cnt > 1 && wire_item_bytes(p->from_type) == 0 &&
	       slice.rows[slice.cnt - 1] - p->next > rows_max)
		slice.cnt /= 2;
	return slice;
}

static void
pick_slice(struct rows_picking *p, struct out *out, struct wire_reader *r,
	   const struct picked *slice)
{
	size_t width = wire_item_bytes(p->from_type);

	if (width > 0) {
		pick_fixed(out, r, width, slice);
	} else if (p->from_type == KT_SYMBOL) {
		p->next = pick_symbols(out, r, p->next, slice);
	} else {
		pass_items(r, KT_LIST, slice->rows[0] - p->next);
		p->next = slice->rows[0];
		if (p->type != KT_LIST && picked_type(*r, slice) != p->type) {
			out->len = p->column_len;
			r->at = p->first;
			p->type = KT_LIST;
			p->done = 0;
			p->next = p->picked[0];
			put_header(out, KT_LIST, KA_NONE, p->cnt);
			return;
		}
		p->next = pick_objects(out, r, p->next, p->type, slice);
	}
	p->done += slice->cnt;
}

static void
end_column(struct rows_picking *p, struct wire_reader *r)
{
	p->is_begun = false;
	if (++p->column < p->t->columns_cnt)
		pass_items(r, p->from_type, p->from.cnt - p->next);
}

bool
row_ops_pick_some(struct rows_picking *p, uint32_t rows_max)
{
	struct wire_reader r =
		wire_reader(p->from.columns, p->from.len, false);
	struct out out = { .base = p->base, .len = p->len };
	uint32_t left = rows_max;

	r.at = p->at;
	while (p->column < p->t->columns_cnt && left > 0) {
		struct picked slice;

		if (!p->is_begun)
			begin_column(p, &out, &r);
		slice = next_slice(p, left);
		if (slice.cnt > 0)
			pick_slice(p, &out, &r, &slice);
		else
			slice.cnt = p->cnt;
		left -= left < slice.cnt ? left : slice.cnt;
		if (p->done == p->cnt)
			end_column(p, &r);
	}
	CHECK(r.bad == NULL && r.at <= r.end);
	p->at = r.at;
	p->len = out.len;
	if (p->column < p->t->columns_cnt)
		return false;
	end_message(&out);
	return true;
}

/* ---- the rows of many messages ---- */

struct sources {
	struct rows_source *items;
	size_t cnt;
	uint32_t rows_cnt;
};

static struct wire_reader
source_items(const struct rows_source *s)
{
	return (struct wire_reader){
		.at = s->at + WIRE_LIST_HEADER_BYTES,
		.end = s->rows.columns + s->rows.len,
	};
}

/* Whether the general list has only atoms of that type. */
static bool
has_only(const struct rows_source *s, int type)
{
	struct wire_reader r = source_items(s);

	for (uint32_t i = 0; i < s->rows.cnt; i++) {
		if (type_at(r.at) != -type)
			return false;
		pass_items(&r, KT_LIST, 1);
	}
	return true;
}

/* The type of the vector that the sources' columns make; 0 if they make a
 * general list. */
static int
merged_type(const struct sources *from)
{
	const struct rows_source *s = from->items;
	int type = type_at(s->at);

	if (type == KT_LIST)
		type = -type_at(s->at + WIRE_LIST_HEADER_BYTES);
	if (!wire_is_atom(-type))
		return KT_LIST;
	for (; s < from->items + from->cnt; s++) {
		int own = type_at(s->at);

		if (own != type && (own != KT_LIST || !has_only(s, type)))
			return KT_LIST;
	}
	return type;
}

/* Writes the items of a source's column and moves the source past it. */
static void
merge_items(struct out *out, struct rows_source *s, int type)
{
	struct wire_reader r = source_items(s);
	int own = type_at(s->at);

	if (own == type) {
		put_items(out, &r, type, s->rows.cnt);
	} else {
		for (uint32_t i = 0; i < s->rows.cnt; i++) {
			if (own == KT_LIST) {
				r.at++;
				put_items(out, &r, type, 1);
			} else {
				put_u8(out, (uint8_t)-own);
				put_items(out, &r, own, 1);
			}
		}
	}
	s->at = r.at;
}

static void
merge_rows(struct out *out, const struct schema_table *t,
	   const struct sources *from, uint8_t sym_attr)
{
	struct rows_source *end = from->items + from->cnt;

	begin_message(out, t);
	for (unsigned i = 0; i < t->columns_cnt; i++) {
		int type = merged_type(from);
		uint8_t attr =
			i == SYM_COLUMN && type != KT_LIST ? sym_attr : KA_NONE;

		put_header(out, type, attr, from->rows_cnt);
		for (struct rows_source *s = from->items; s < end; s++)
			merge_items(out, s, type);
	}
	for (struct rows_source *s = from->items; s < end; s++)
		CHECK(s->at == s->rows.columns + s->rows.len);
}

static struct sources
start_sources(struct rows_source *sources, size_t cnt)
{
	uint64_t rows_cnt = 0;

	for (size_t i = 0; i < cnt; i++) {
		sources[i].at = sources[i].rows.columns;
		rows_cnt += sources[i].rows.cnt;
	}
	CHECK(cnt > 0 && rows_cnt <= INT32_MAX);
	return (struct sources){ sources, cnt, (uint32_t)rows_cnt };
}

size_t
row_ops_merge(const struct schema_table *t, struct rows_source *sources,
	      size_t cnt, uint8_t sym_attr, uint8_t *at)
{
	struct sources from = start_sources(sources, cnt);
	struct out out = { .base = at };

	merge_rows(&out, t, &from, sym_attr);
	end_message(&out);
	return out.len;
}
