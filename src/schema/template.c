#include "config.h"

#include "schema/template.h"

#include <string.h>

#include "wire/skip.h"

/* ---- known beginnings ---- */

enum {
	WORD = 8,
	FAR = 16, /* the longest item of a fixed width */
};

static bool
is_word_equal(const uint8_t *a, const uint8_t *b)
{
	uint64_t left, right;

	memcpy(&left, a, WORD);
	memcpy(&right, b, WORD);
	return left == right;
}

/* Compares the last word first: the table's name is there.  A beginning has at
 * least a word: the list of three, and the function's name. */
static inline bool
has_beginning(const struct template *template, const uint8_t *frame, size_t len)
{
	const uint8_t *start = frame + WIRE_HEADER_BYTES;
	size_t last = template->start_len - WORD;

	if (len < WIRE_HEADER_BYTES + template->start_len ||
	    memcmp(frame, template->head, sizeof(template->head)) != 0 ||
	    !is_word_equal(start + last, template->start + last))
		return false;
	for (size_t i = 0; i < last; i += WORD)
		if (!is_word_equal(start + i, template->start + i))
			return false;
	return true;
}

const struct template *
template_of(struct templates *s, const uint8_t *frame, size_t len)
{
	if (s->cnt > 0 && has_beginning(&s->all[s->last], frame, len))
		return &s->all[s->last];
	for (unsigned i = 0; i < s->cnt; i++) {
		if (!has_beginning(&s->all[i], frame, len))
			continue;
		s->last = i;
		return &s->all[i];
	}
	return NULL;
}

void
template_learn(struct templates *s, const uint8_t *frame,
	       const struct update *u)
{
	const uint8_t *start = frame + WIRE_HEADER_BYTES;
	size_t start_len = (size_t)(u->items - start) + 1;
	struct template *template = &s->all[s->next];

	if (u->form == UPDATE_VECTOR || u->items_cnt == 0 || start_len < WORD ||
	    start_len > TEMPLATE_START_MAX ||
	    template_of(s, frame, WIRE_HEADER_BYTES + start_len) != NULL)
		return;
	*template = (struct template){
		.table = u->table,
		.is_row = u->form == UPDATE_CELLS,
		.has_time = u->has_time,
		.items_cnt = u->items_cnt,
		.start_len = start_len,
	};
	memcpy(template->head, frame, sizeof(template->head));
	memcpy(template->start, start, start_len);
	/* A cell's type byte becomes a vector's header.  A time may be added:
	 * 8 bytes for each row, whose columns may have only one byte. */
	template->growth = u->table->publish_prefix_len +
			   (u->items_cnt + 1) * WIRE_LIST_HEADER_BYTES + WORD +
			   FAR;
	template->factor = template->is_row || u->has_time ? 1 : 1 + WORD;
	s->last = s->next;
	s->next = (s->next + 1) % TEMPLATES_MAX;
	s->cnt += s->cnt < TEMPLATES_MAX;
}

/* ---- updates ---- */

/* Copies the prefix, mostly some 64 bytes, without a call of memcpy. */
static inline void
copy_prefix(uint8_t *to, const struct schema_table *t)
{
	size_t len = t->publish_prefix_len;

	for (size_t i = 0; i + FAR < len; i += FAR)
		memcpy(to + i, t->publish_prefix + i, FAR);
	memcpy(to + len - FAR, t->publish_prefix + len - FAR, FAR);
}

/* Writes the header as a word: the last two bytes are overwritten by the item
 * and the bytes after it. */
static inline uint8_t *
put_vector_of_one(uint8_t *at, int type)
{
	uint64_t header = htole64((uint64_t)(uint8_t)type | 1u << 16);

	memcpy(at, &header, WORD);
	return at + WIRE_LIST_HEADER_BYTES;
}

/* The length of an atom's value; 0 if skip_atom has to find it.  FAR bytes must
 * be readable. */
static inline size_t
item_len(int type, const uint8_t *item)
{
	if (type != KT_SYMBOL)
		return wire_widths[type].any;
	return wire_short_symbol(item);
}

/*
 * Writes cells as vectors of one item.  If FAR bytes are readable, that many
 * are copied whatever the length of the item: the next item overwrites the
 * rest.
 */
static uint8_t *
put_row(const struct template *template, const uint8_t *from,
	const uint8_t *end, const uint8_t *readable, uint8_t *at)
{
	const struct schema_column *c =
		template->table->columns + !template->has_time;

	for (unsigned i = 0; i < template->items_cnt; i++) {
		int type = c[i].type;
		const uint8_t *next;
		size_t len = 0;

		if (readable - from > FAR && (int8_t)*from == -type)
			len = item_len(type, from + 1);
		if (len > 0 && len >= (size_t)(end - from))
			return NULL;
		at = put_vector_of_one(at, type);
		if (len > 0) {
			memcpy(at, from + 1, FAR);
			at += len;
			from += 1 + len;
			continue;
		}
		next = skip_atom(c[i].type, from, end);
		if (next == NULL)
			return NULL;
		at = wire_copy_short(at, from + 1, (size_t)(next - from) - 1);
		from = next;
	}
	return from == end ? at : NULL;
}

/* Whether all columns are plain, and nothing follows them. */
static bool
are_columns_plain(const struct template *template, const uint8_t *at,
		  const uint8_t *end, uint64_t rows)
{
	const struct schema_column *c =
		template->table->columns + !template->has_time;

	for (unsigned i = 0; i < template->items_cnt && at != NULL; i++)
		at = skip_column(c[i].type, c[i].is_string, at, end, rows);
	return at == end;
}

static uint8_t *
put_columns(const struct template *template, const uint8_t *from,
	    const uint8_t *end, int64_t local_ns, uint8_t *at,
	    uint64_t *out_rows)
{
	uint64_t rows;

	if (end - from < WIRE_LIST_HEADER_BYTES)
		return NULL;
	rows = wire_load_u32(from + 2);
	if (rows == 0 || !are_columns_plain(template, from, end, rows))
		return NULL;
	*out_rows = rows;
	if (!template->has_time)
		at = update_put_time(template->table, rows, local_ns, at);
	memcpy(at, from, (size_t)(end - from));
	return at + (end - from);
}

size_t
template_write(const struct template *template, const uint8_t *frame,
	       size_t len, size_t avail, int64_t local_ns, uint8_t *at,
	       uint64_t *out_rows)
{
	const struct schema_table *t = template->table;
	const uint8_t *items =
		frame + WIRE_HEADER_BYTES + template->start_len - 1;
	const uint8_t *end = frame + len;
	uint8_t *start = at;

	copy_prefix(at, t);
	at += t->publish_prefix_len;
	if (template->is_row) {
		*out_rows = 1;
		if (!template->has_time)
			at = update_put_time(t, 1, local_ns, at);
		at = put_row(template, items, end, frame + avail, at);
	} else {
		at = put_columns(template, items, end, local_ns, at, out_rows);
	}
	if (at == NULL)
		return 0;
	wire_store_u32(start + 4, (uint32_t)(at - start));
	return (size_t)(at - start);
}
