#include "config.h"

#include "load_frames.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "measure.h"
#include "wire/wire.h"

/* The columns of the table that bench/compare_brokers.py gives to ringtick. */
static const char *const columns[] = { "time", "sym", "price", "size", "cond" };

enum {
	COLUMNS = ARRAY_LEN(columns),
	HEAD_BYTES = WIRE_HEADER_BYTES + WIRE_LIST_HEADER_BYTES +
		     sizeof("-.u.upd") + sizeof("-trade") +
		     (1 + COLUMNS) * WIRE_LIST_HEADER_BYTES,
	SYMBOL_BYTES = sizeof("AAPL"),
	ROW_BYTES = 8 + SYMBOL_BYTES + 8 + 8 + 1, /* with an empty cond */
	COND_BYTES = 4, /* about */
	/* The names, the types, and the shorter name of the function. */
	TABLE_BYTES_MAX = 64,
};

static void
put_times(struct wire_writer *w, uint32_t rows)
{
	wire_put_list(w, KT_TIMESTAMP, KA_NONE, rows);
	for (uint32_t i = 0; i < rows; i++)
		wire_put_u64(w, 800000000000000000u + i);
}

static void
put_symbols(struct wire_writer *w, uint32_t rows)
{
	wire_put_list(w, KT_SYMBOL, KA_NONE, rows);
	for (uint32_t i = 0; i < rows; i++)
		wire_put_symbol_item(w, "AAPL", SYMBOL_BYTES - 1);
}

static void
put_prices(struct wire_writer *w, uint32_t rows)
{
	wire_put_list(w, KT_FLOAT, KA_NONE, rows);
	for (uint32_t i = 0; i < rows; i++) {
		double price = 100.0 + i % 100 * 0.01;
		uint64_t bits;

		memcpy(&bits, &price, sizeof(bits));
		wire_put_u64(w, bits);
	}
}

static void
put_sizes(struct wire_writer *w, uint32_t rows)
{
	wire_put_list(w, KT_LONG, KA_NONE, rows);
	for (uint32_t i = 0; i < rows; i++)
		wire_put_u64(w, 100 * (i + 1u));
}

/* Symbols of len bytes in all, their NULs not counted. */
static void
put_conditions(struct wire_writer *w, uint32_t rows, size_t len)
{
	size_t each = len / rows;

	wire_put_list(w, KT_SYMBOL, KA_NONE, rows);
	for (uint32_t i = 0; i < rows; i++) {
		size_t left = i + 1 == rows ? len - each * (rows - 1) : each;

		while (left-- > 0)
			wire_put_u8(w, 'N');
		wire_put_u8(w, 0);
	}
}

static void
put_message(struct wire_writer *w, size_t len, bool is_table,
	    struct load_frame *out)
{
	size_t header = wire_begin_frame(w, WIRE_ASYNC);
	uint32_t rows;

	if (len < HEAD_BYTES + ROW_BYTES) {
		errno = EINVAL;
		give_up("messages have at least %d bytes",
			(int)(HEAD_BYTES + ROW_BYTES));
	}
	rows = (uint32_t)((len - HEAD_BYTES) / (ROW_BYTES + COND_BYTES));
	rows = rows > 0 ? rows : 1;
	wire_put_list(w, KT_LIST, KA_NONE, 3);
	wire_put_symbol(w, is_table ? "upd" : ".u.upd");
	wire_put_symbol(w, "trade");
	if (is_table) {
		wire_put_u8(w, KT_TABLE);
		wire_put_u8(w, KA_NONE);
		wire_put_u8(w, KT_DICT);
		wire_put_list(w, KT_SYMBOL, KA_NONE, COLUMNS);
		for (unsigned i = 0; i < COLUMNS; i++)
			wire_put_symbol_item(w, columns[i], strlen(columns[i]));
	}
	wire_put_list(w, KT_LIST, KA_NONE, COLUMNS);
	out->time_off = wire_written(w) + WIRE_LIST_HEADER_BYTES;
	put_times(w, rows);
	put_symbols(w, rows);
	put_prices(w, rows);
	out->size_off = wire_written(w) + WIRE_LIST_HEADER_BYTES;
	put_sizes(w, rows);
	put_conditions(w, rows, len - HEAD_BYTES - rows * ROW_BYTES);
	wire_end_frame(w, header);
}

static void
make(struct load_frame *out, const struct load_protocol *p, size_t message_len,
     bool is_delivered)
{
	bool is_table = is_delivered && p->is_table;
	size_t cap = LOAD_HEAD_MAX + message_len + TABLE_BYTES_MAX;
	struct load_frame f = { .bytes = malloc(cap) };
	struct wire_writer w;

	CHECK(f.bytes != NULL);
	if (p->put_head != NULL)
		f.head_len = p->put_head(f.bytes, message_len, is_delivered);
	w = wire_writer(f.bytes, cap);
	w.at += f.head_len;
	put_message(&w, message_len, is_table, &f);
	f.message_len = wire_written(&w) - f.head_len;
	wire_put_bytes(&w, p->tail, strlen(p->tail));
	CHECK(!w.is_full && (is_table || f.message_len == message_len));
	f.len = wire_written(&w);
	*out = f;
}

void
load_frame_sent(struct load_frame *out, const struct load_protocol *p,
		size_t message_len)
{
	make(out, p, message_len, false);
}

void
load_frame_delivered(struct load_frame *out, const struct load_protocol *p,
		     size_t message_len)
{
	make(out, p, message_len, true);
}
