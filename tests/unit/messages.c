#include "config.h"

#include "messages.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schema/mark.h"
#include "schema/update.h"
#include "base/util.h"
#include "wire/wire.h"

enum {
	X_BYTES_MAX = MESSAGE_ROWS_MAX * MESSAGE_ROW_BYTES + 1024,
	CELL_BYTES = 64,
};

/* An atom, or a vector, as an object of its own. */
struct cell {
	uint8_t bytes[CELL_BYTES];
	size_t len;
};

_Noreturn static void
give_up(const char *what, const char *which)
{
	fprintf(stderr, "Bail out! %s %s\n", what, which);
	exit(EXIT_FAILURE);
}

int
messages_open(void **state)
{
	(void)state;
	schema_of(&schema,
		  "quote:([]time:`timespan$();sym:`symbol$();n:`long$();"
		  "v:())\n"
		  "book:([]time:`timestamp$();sym:`long$();n:`long$())\n"
		  "ref:([]time:`time$();sym:`symbol$();side:`symbol$();"
		  "n:`long$())\n");
	if (schema.tables_cnt != MESSAGE_TABLES)
		give_up("too many", "tables");
	return 0;
}

size_t
message_symbol(const struct schema_table *t, uint32_t symbol, uint8_t *at)
{
	size_t len = symbol * 7 % MESSAGE_SYMBOL_MAX;

	if (t->columns[1].type == KT_LONG) {
		wire_store_u64(at, symbol * UINT64_C(0x0100000000000001));
		return 8;
	}
	for (size_t i = 0; i < len; i++)
		at[i] = (uint8_t)('A' + (symbol + i) % 26);
	return len;
}

/* ---- cells ---- */

static void
put_cell(struct wire_writer *w, int type, uint64_t value)
{
	wire_put_u8(w, (uint8_t)-type);
	if (wire_item_bytes(type) == 4)
		wire_put_u32(w, (uint32_t)value);
	else
		wire_put_u64(w, value);
}

/* A cell of a general list: of any type, but the same for long stretches. */
static void
put_any(struct wire_writer *w, uint32_t number)
{
	switch (number / 16 % 3 == 0 ? number % 4 : number / 32 % 4) {
	case 0:
		put_cell(w, KT_FLOAT, number);
		break;
	case 1:
		wire_put_symbol(w, number % 2 == 0 ? "" : "some");
		break;
	case 2:
		wire_put_string(w, number % 2 == 0 ? "" : "a text");
		break;
	default:
		wire_put_u8(w, (uint8_t)-KT_BYTE);
		wire_put_u8(w, (uint8_t)number);
	}
}

static struct cell
cell_of(const struct schema_table *t, const struct row *row, unsigned column)
{
	const struct schema_column *c = &t->columns[column];
	uint8_t symbol[MESSAGE_SYMBOL_MAX];
	struct cell cell;
	struct wire_writer w = wire_writer(cell.bytes, sizeof(cell.bytes));

	if (column == 1) {
		size_t len = message_symbol(t, row->symbol, symbol);

		wire_put_u8(&w, (uint8_t)-c->type);
		wire_put_bytes(&w, symbol, len);
		if (c->type == KT_SYMBOL)
			wire_put_u8(&w, 0);
	} else if (c->type == KT_SYMBOL) {
		wire_put_symbol(&w, row->number % 3 == 0 ? "" : "side");
	} else if (c->type == KT_LIST) {
		put_any(&w, row->number);
	} else {
		put_cell(&w, c->type, row->number);
	}
	if (w.is_full)
		give_up("no room for a cell of", t->name);
	cell.len = wire_written(&w);
	return cell;
}

/* Of the vector that the rows' cells make; else 0. */
static int
vector_type(const struct schema_table *t, const struct row *rows, uint32_t cnt,
	    unsigned column)
{
	int type = (int8_t)cell_of(t, rows, column).bytes[0];

	for (uint32_t i = 0; i < cnt; i++)
		if ((int8_t)cell_of(t, &rows[i], column).bytes[0] != type)
			return KT_LIST;
	return type < 0 ? -type : KT_LIST;
}

static void
put_column(struct wire_writer *w, const struct schema_table *t,
	   const struct row *rows, uint32_t cnt, unsigned column, int type,
	   uint8_t attr)
{
	wire_put_list(w, type, attr, cnt);
	for (uint32_t i = 0; i < cnt; i++) {
		struct cell cell = cell_of(t, &rows[i], column);
		size_t skip = type == KT_LIST ? 0 : 1;

		wire_put_bytes(w, cell.bytes + skip, cell.len - skip);
	}
}

/* ---- messages ---- */

size_t
message_of_rows(const struct schema_table *t, const struct row *rows,
		uint32_t cnt, uint8_t sym_attr, uint8_t *at)
{
	struct wire_writer w = wire_writer(at, SIZE_MAX / 4);

	wire_put_bytes(&w, t->publish_prefix, t->publish_prefix_len);
	for (unsigned i = 0; i < t->columns_cnt; i++)
		put_column(&w, t, rows, cnt, i, vector_type(t, rows, cnt, i),
			   i == 1 ? sym_attr : KA_NONE);
	wire_end_frame(&w, 0);
	return wire_written(&w);
}

/* An update of a feed, sometimes with attributes, or vectors as lists. */
static void
put_update(struct wire_writer *w, const struct message *m,
	   struct chance *chance)
{
	wire_put_list(w, KT_LIST, KA_NONE, m->t->columns_cnt);
	for (unsigned i = 0; i < m->t->columns_cnt; i++) {
		int type = vector_type(m->t, m->rows, m->cnt, i);

		if (m->t->columns[i].type == KT_LIST &&
		    chance_below(chance, 4) == 0)
			type = KT_LIST;
		put_column(w, m->t, m->rows, m->cnt, i, type,
			   chance_below(chance, 4) == 0 ? KA_GROUPED : KA_NONE);
	}
	if (w->is_full)
		give_up("no room for an update of", m->t->name);
}

void
message_make(struct message *m, const struct schema_table *t, uint32_t rows_max,
	     uint32_t number, struct chance *chance)
{
	uint8_t x[X_BYTES_MAX];
	struct wire_writer w = wire_writer(x, sizeof(x));
	struct update u;
	const char *why;

	*m = (struct message){ .t = t };
	m->cnt = (uint32_t)chance_between(chance, 1, rows_max);
	for (uint32_t i = 0; i < m->cnt; i++)
		m->rows[i] = (struct row){ (uint32_t)chance_below(
						   chance, MESSAGE_SYMBOLS),
					   number + i };
	put_update(&w, m, chance);
	if (update_parse(t, x, wire_written(&w), CHECK_TYPES, &u, &why) !=
	    UPDATE_OK)
		give_up(t->name, why);
	m->len = u.frame_len;
	m->frame = malloc(m->len);
	if (m->frame == NULL)
		give_up("no memory for", t->name);
	update_write(&u, 0, m->frame);
}

void
message_make_mark(struct message *m, int32_t day)
{
	*m = (struct message){ .len = MARK_BYTES, .frame = malloc(MARK_BYTES) };
	if (m->frame == NULL)
		give_up("no memory for", "a mark");
	mark_write(m->frame, day);
}

void
message_free(struct message *m)
{
	free(m->frame);
	m->frame = NULL;
}

bool
message_put(struct streams *all, const struct message *m, int64_t now_ns)
{
	struct stream *s = &all->main;

	if (!stream_has_room(s, m->len))
		return false;
	memcpy(stream_head(s), m->frame, m->len);
	if (m->t == NULL)
		stream_commit(s, m->len, 0, now_ns);
	else
		streams_commit(all, m->t->idx, m->len, now_ns);
	return true;
}

/* ---- subscribers' selections ---- */

struct wants
wants_any(struct chance *chance)
{
	struct wants w = { 0 };

	for (unsigned i = 0; i < MESSAGE_TABLES; i++) {
		w.is_wanted[i] = chance_below(chance, 4) > 0;
		w.is_filtered[i] =
			w.is_wanted[i] && chance_below(chance, 3) > 0;
		if (!w.is_filtered[i])
			continue;
		for (uint64_t n = chance_below(chance, 6); n > 0; n--)
			bits_set(
				&w.symbols[i],
				(unsigned)chance_below(chance, MESSAGE_SYMBOLS),
				true);
	}
	return w;
}

bool
wants_whole(const struct wants *w, const struct message *m)
{
	return m->t == NULL ||
	       (w->is_wanted[m->t->idx] && !w->is_filtered[m->t->idx]);
}

bool
wants_row(const struct wants *w, const struct schema_table *t,
	  const struct row *row)
{
	return w->is_wanted[t->idx] &&
	       (!w->is_filtered[t->idx] ||
		(w->symbols[t->idx] >> row->symbol & 1) != 0);
}

size_t
wants_frame(const struct wants *w, const struct message *m, uint8_t *at)
{
	struct row rows[MESSAGE_ROWS_MAX];
	uint32_t cnt = 0;

	if (wants_whole(w, m)) {
		memcpy(at, m->frame, m->len);
		return m->len;
	}
	for (uint32_t i = 0; i < m->cnt; i++)
		if (wants_row(w, m->t, &m->rows[i]))
			rows[cnt++] = m->rows[i];
	return cnt == 0 ? 0 : message_of_rows(m->t, rows, cnt, KA_NONE, at);
}

struct selection
wants_selection(const struct wants *w, struct symbols *s)
{
	struct symbol_set *set = symbols_begin(s, NULL);
	struct selection selection = { 0 };
	uint8_t symbol[MESSAGE_SYMBOL_MAX];

	if (set == NULL)
		give_up("no set is left for", "a selection");
	for (unsigned i = 0; i < MESSAGE_TABLES; i++) {
		const struct schema_table *t = &schema.tables[i];

		if (w->is_wanted[i])
			selection_add(&selection, i);
		if (w->is_filtered[i])
			symbols_filter(set, i);
		for (unsigned k = 0; k < MESSAGE_SYMBOLS; k++)
			if (bits_has(&w->symbols[i], k) &&
			    symbols_add(s, set, i, symbol,
					message_symbol(t, k, symbol)) != 0)
				give_up("no room for a symbol of", t->name);
	}
	selection.symbols = symbols_finish(s, set);
	return selection;
}
