#include "config.h"

#include "tools/log_payload.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "wire/wire.h"

enum {
	/* An atom in place of a column is repeated for each row, which could
	 * take much memory. */
	TABLE_BYTES_MAX = 1 << 30,
};

/* ---- reading ---- */

static bool
is_vector(int type)
{
	return type > 0 && type <= KT_TIME;
}

static struct wire_reader
record_reader(const struct journal_record *record, const uint8_t *at)
{
	return wire_reader(at, (size_t)(record->at + record->len - at), false);
}

/* The time column is the object at r.at, an atom or a vector. */
static void
read_time(struct log_payload *p, struct wire_reader r)
{
	int type = (int8_t)wire_get_u8(&r);
	size_t bytes;

	p->time_type = wire_is_atom(type) ? -type : is_vector(type) ? type : 0;
	bytes = wire_item_bytes(p->time_type);
	if (p->time_type < KT_TIMESTAMP)
		p->time_type = 0;
	if (p->time_type == 0)
		return;
	if (wire_is_atom(type)) {
		p->time_first = p->time_last = r.at;
	} else {
		uint64_t count = wire_get_count(&r, 1, NULL);

		if (count > 0) {
			p->time_first = r.at;
			p->time_last = r.at + (count - 1) * bytes;
		}
	}
}

static void
read_table(struct log_payload *p, struct wire_reader r)
{
	struct wire_table t = wire_open_table(&r);
	uint64_t time_idx = 0;
	size_t len;

	p->form = PAYLOAD_TABLE;
	p->rows = wire_count(&r);
	p->columns = t.list;
	p->columns_len = (size_t)(r.end - t.list);
	for (uint64_t i = 0; i < t.columns_cnt; i++) {
		const char *name = wire_get_symbol(&t.names, &len);

		if (len == 4 && memcmp(name, "time", len) == 0)
			time_idx = i;
	}
	for (uint64_t i = 0; i < time_idx; i++)
		wire_skip(&t.columns);
	read_time(p, t.columns);
}

void
log_payload_read(struct log_payload *out, const struct journal_record *record)
{
	struct wire_reader r = record_reader(record, record->x), first;
	struct log_payload p = {
		.form = PAYLOAD_OTHER,
		.columns = r.at,
		.columns_len = (size_t)(r.end - r.at),
	};
	int type = (int8_t)r.at[0];
	uint64_t count;

	if (record->unknown != NULL) {
		/* its bytes are all there is */
	} else if (type == KT_TABLE && !wire_has_flat_columns(&r)) {
		p.rows = wire_count(&r);
	} else if (type == KT_TABLE) {
		read_table(&p, r);
	} else if (is_vector(type)) {
		/* A row of atoms of one type is a vector. */
		count = wire_count(&r);
		p.form = count > 0 ? PAYLOAD_ROW : PAYLOAD_COLUMNS;
		p.rows = count > 0;
		if (count > 0) {
			read_time(&p, r);
			p.time_last = p.time_first;
		}
	} else if (type == KT_LIST) {
		first = r;
		(void)wire_get_u8(&first);
		count = wire_get_count(&first, 1, NULL);
		p.form = PAYLOAD_COLUMNS;
		if (count > 0) {
			p.form = wire_is_atom((int8_t)first.at[0])
					 ? PAYLOAD_ROW
					 : PAYLOAD_COLUMNS;
			p.rows = wire_count(&first);
			read_time(&p, first);
		}
	}
	*out = p;
}

/* ---- making a table ---- */

/* A table that is being made; after a failure nothing more is added. */
struct build {
	struct log_payload_table *t;
	bool is_bad;
};

static void
add_bytes(struct build *b, const void *bytes, size_t len)
{
	struct log_payload_table *t = b->t;
	size_t cap = t->cap > 0 ? t->cap : 4096;
	uint8_t *grown;

	b->is_bad = b->is_bad || len > TABLE_BYTES_MAX - t->len;
	if (b->is_bad)
		return;
	while (cap < t->len + len)
		cap *= 2;
	if (cap > t->cap) {
		grown = realloc(t->bytes, cap);
		if (grown == NULL) {
			b->is_bad = true;
			return;
		}
		t->bytes = grown;
		t->cap = cap;
	}
	if (len > 0)
		memcpy(t->bytes + t->len, bytes, len);
	t->len += len;
}

static void
add_list(struct build *b, int type, uint64_t count)
{
	uint8_t header[WIRE_LIST_HEADER_BYTES];
	struct wire_writer w = wire_writer(header, sizeof(header));

	b->is_bad = b->is_bad || count > UINT32_MAX;
	wire_put_list(&w, type, KA_NONE, (uint32_t)count);
	add_bytes(b, header, sizeof(header));
}

/* Adds a column that repeats one item of len bytes `rows` times. */
static void
add_repeated(struct build *b, int type, const uint8_t *item, size_t len,
	     uint64_t rows)
{
	b->is_bad = b->is_bad || rows > TABLE_BYTES_MAX / max_u64(len, 1);
	add_list(b, type, rows);
	for (uint64_t i = 0; i < rows && !b->is_bad; i++)
		add_bytes(b, item, len);
}

/* Adds the object at r->at as a column, and moves r past it. */
static void
add_column(struct build *b, const struct log_payload *p, struct wire_reader *r)
{
	int type = (int8_t)r->at[0];
	const uint8_t *at = r->at;
	uint64_t count = wire_count(r);

	wire_skip(r);
	if (wire_is_atom(type)) {
		/* tick.q publishes an atom once for each row */
		add_repeated(b, -type, at + 1, (size_t)(r->at - at) - 1,
			     p->rows);
	} else if (p->form == PAYLOAD_ROW) {
		add_repeated(b, KT_LIST, at, (size_t)(r->at - at), 1);
	} else if (wire_is_list(type) && count == p->rows) {
		add_bytes(b, at, (size_t)(r->at - at));
	} else {
		b->is_bad = true;
	}
}

/* Adds a row that is a vector: each item is a column. */
static void
add_items(struct build *b, int type, uint64_t count, struct wire_reader *r)
{
	size_t len = wire_item_bytes(type);

	for (uint64_t i = 0; i < count && !b->is_bad; i++) {
		const uint8_t *at = r->at;

		if (type == KT_SYMBOL) {
			(void)wire_get_symbol(r, &len);
			len++; /* its NUL */
		} else {
			r->at += len;
		}
		add_repeated(b, type, at, len, 1);
	}
}

static void
add_names(struct build *b, uint64_t count)
{
	add_list(b, KT_SYMBOL, count);
	for (uint64_t i = 0; i < count && !b->is_bad; i++) {
		char name[32];
		int len = snprintf(name, sizeof(name), "c%llu",
				   (unsigned long long)i);

		add_bytes(b, name, (size_t)len + 1);
	}
}

const uint8_t *
log_payload_make_table(struct log_payload_table *t, const struct log_payload *p,
		       const struct journal_record *record, size_t *out_len)
{
	static const uint8_t head[] = { KT_TABLE, KA_NONE, KT_DICT };
	struct wire_reader r = record_reader(record, record->x);
	struct build b = { .t = t };
	bool has_long_counts;
	uint64_t count;
	int type;

	if (p->form == PAYLOAD_TABLE) {
		*out_len = (size_t)(r.end - r.at);
		return r.at;
	}
	if (p->form == PAYLOAD_OTHER)
		return NULL;
	type = (int8_t)wire_get_u8(&r);
	count = wire_get_count(&r, 1, NULL);
	if (count == 0)
		return NULL;
	t->len = 0;
	add_bytes(&b, head, sizeof(head));
	add_names(&b, count);
	add_list(&b, KT_LIST, count);
	if (type == KT_LIST)
		for (uint64_t i = 0; i < count && !b.is_bad; i++)
			add_column(&b, p, &r);
	else
		add_items(&b, type, count, &r);
	*out_len = t->len;
	/* An object nested as deep as is allowed is one level too deep in a
	 * table. */
	if (b.is_bad || wire_check_body(t->bytes, t->len, false,
					&has_long_counts) != NULL)
		return NULL;
	return t->bytes;
}

void
log_payload_fini(struct log_payload_table *t)
{
	free(t->bytes);
	*t = (struct log_payload_table){ 0 };
}
