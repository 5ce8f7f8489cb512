#include "config.h"

#include "tools/feed_message.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "wire/wire.h"

enum {
	FEED_HEAD_BYTES = 256, /* a message without its items, at most */
	FEED_SYMBOL_BYTES = 5, /* each of symbols[], its NUL included */
};

/* Of equal length, so that items keep their offsets. */
static const char symbols[][FEED_SYMBOL_BYTES] = {
	"AAPL", "ADBE", "AMGN", "AMZN", "AVGO", "CSCO", "GOOG", "INTC",
	"META", "MSFT", "NFLX", "NVDA", "ORCL", "PYPL", "QCOM", "TSLA",
};

static const struct {
	int type;
	size_t bytes;
} fills[FILL_COUNT] = {
	[FILL_TIME] = { KT_TIMESPAN, 8 },
	[FILL_SYMBOL] = { KT_SYMBOL, FEED_SYMBOL_BYTES },
	[FILL_PRICE] = { KT_FLOAT, 8 },
	[FILL_ASK] = { KT_FLOAT, 8 },
	[FILL_LOT] = { KT_LONG, 8 },
	[FILL_SEQUENCE] = { KT_LONG, 8 },
};

/* The tables of etc/sym.q, without the column time. */
static const struct feed_table tables[] = {
	{ "trade",
	  3,
	  { FILL_SYMBOL, FILL_PRICE, FILL_SEQUENCE },
	  "sym (symbol), price (float), size (long)" },
	{ "quote",
	  5,
	  { FILL_SYMBOL, FILL_PRICE, FILL_ASK, FILL_LOT, FILL_SEQUENCE },
	  "sym (symbol), bid, ask (float), bsize, asize (long)" },
};

const struct feed_table *
feed_table_find(const char *name, size_t len)
{
	for (size_t i = 0; i < ARRAY_LEN(tables); i++)
		if (strlen(tables[i].name) == len &&
		    memcmp(tables[i].name, name, len) == 0)
			return &tables[i];
	return NULL;
}

size_t
feed_message_row_bytes(const struct feed_message *m)
{
	size_t sum = 0;

	for (unsigned i = 0; i < m->columns_cnt; i++)
		sum += fills[m->columns[i]].bytes;
	return sum;
}

/* Writes (`.u.upd;`table;columns) with zeros for items. */
static void
write_template(struct feed_message *m, uint32_t rows)
{
	size_t cap = FEED_HEAD_BYTES + rows * feed_message_row_bytes(m);
	size_t frame_off;
	struct wire_writer w = wire_writer(m->bytes, cap);

	frame_off = wire_begin_frame(&w, WIRE_ASYNC);
	wire_put_list(&w, KT_LIST, KA_NONE, 3);
	wire_put_symbol(&w, ".u.upd");
	wire_put_symbol(&w, m->table->name);
	wire_put_list(&w, KT_LIST, KA_NONE, m->columns_cnt);
	for (unsigned i = 0; i < m->columns_cnt; i++) {
		size_t len = rows * fills[m->columns[i]].bytes;

		wire_put_list(&w, fills[m->columns[i]].type, KA_NONE, rows);
		m->offs[i] = wire_written(&w);
		CHECK(len <= (size_t)(w.end - w.at));
		memset(w.at, 0, len);
		w.at += len;
	}
	wire_end_frame(&w, frame_off);
	CHECK(!w.is_full);
	m->len = wire_written(&w);
}

void
feed_message_choose(struct feed_message *m, bool is_stamped)
{
	if (is_stamped)
		m->columns[m->columns_cnt++] = FILL_TIME;
	for (unsigned i = 0; i < m->table->columns_cnt; i++)
		m->columns[m->columns_cnt++] = m->table->columns[i];
}

int
feed_message_make(struct feed_message *m, uint64_t rows)
{
	m->bytes = calloc(1, FEED_HEAD_BYTES +
				     rows * feed_message_row_bytes(m));
	if (m->bytes == NULL)
		return -ENOMEM;
	write_template(m, (uint32_t)rows);
	return 0;
}

static void
store_float(uint8_t *at, double v)
{
	uint64_t bits;

	memcpy(&bits, &v, sizeof(bits));
	wire_store_u64(at, bits);
}

static void
fill_column(struct feed_message *m, uint64_t rows, unsigned column,
	    uint64_t seed, int64_t stamp_ns)
{
	enum feed_fill fill = m->columns[column];
	uint8_t *at = m->bytes + m->offs[column];

	for (uint64_t i = 0; i < rows; i++, at += fills[fill].bytes) {
		/* The symbol and its price belong together. */
		uint64_t which = (seed + i * 7) % ARRAY_LEN(symbols);
		uint64_t price =
			1000 * which + 5000 + (seed >> 32) % 200 + i % 50;

		switch (fill) {
		case FILL_TIME:
			wire_store_u64(at, (uint64_t)stamp_ns);
			break;
		case FILL_SYMBOL:
			memcpy(at, symbols[which], FEED_SYMBOL_BYTES);
			break;
		case FILL_PRICE:
			store_float(at, (double)price / 100);
			break;
		case FILL_ASK:
			store_float(at, (double)(price + 1) / 100);
			break;
		case FILL_LOT:
			wire_store_u64(at, 100 * (1 + which));
			break;
		case FILL_SEQUENCE:
			wire_store_u64(at, (uint64_t)m->next_sequence++);
			break;
		case FILL_COUNT:
			CHECK(fill != FILL_COUNT);
		}
	}
}

void
feed_message_fill(struct feed_message *m, uint64_t rows, uint64_t seed,
		  int64_t stamp_ns)
{
	for (unsigned i = 0; i < m->columns_cnt; i++)
		fill_column(m, rows, i, seed, stamp_ns);
}
