#include "config.h"

#include "messages.h"

#include <endian.h>
#include <stdio.h>
#include <string.h>

const char *const table_names[TABLES] = { "note", "quote", "trade" };
const char *const symbol_names[SYMBOLS] = { "A",   "AAPL", "B",	 "BP",
					    "IBM", "MSFT", "NN", "ORCL",
					    "X",   "YHOO", "Z",	 "" };

struct schema_form schema;

static const char *const last_columns[2][TABLES] = {
	{ "text", "bid", "price" },
	{ "words", "bidPrice", "lastPrice" },
};

enum { SORTED = 1, GROUPED = 4 }; /* attributes */
enum { LONG_ATOM = 0xf9, DATE_ATOM = 0xf2 };
enum { COLUMNS = 6, ROWS_MAX = 64, TEXT_MAX = 1000 };

void
put_schema(char *to, size_t room)
{
	static const char *const types[2][TABLES] = {
		{ "string", "float", "float" },
		{ "symbol", "long", "real" },
	};
	size_t len = (size_t)snprintf(to, room, "schema = { check = \"%s\"; "
						"tables = (\n",
				      schema.is_unchecked ? "shape" : "types");
	bool is_first = true;

	for (unsigned i = 0; i < TABLES; i++) {
		if ((schema.lacks >> i & 1) != 0)
			continue;
		len += (size_t)snprintf(
			to + len, room - len,
			"%s{ name = \"%s\"; columns = ( \"time timestamp\","
			" \"sym symbol\", \"feed long\", \"number long\","
			" \"row long\", \"%s %s\"%s ); }",
			is_first ? "" : ",\n", table_names[i],
			last_columns[schema.is_renamed][i],
			types[schema.mistyped >> i & 1][i],
			(schema.widened >> i & 1) != 0 ? ", \"more long\""
						       : "");
		is_first = false;
	}
	(void)snprintf(to + len, room - len, " ); };\n");
}

/* ---- what follows from a name ---- */

static uint64_t
chance_of(struct update u, unsigned salt)
{
	uint64_t z = (uint64_t)u.feed << 40 ^ (uint64_t)u.number << 8 ^ salt;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

unsigned
update_table(struct update u)
{
	return (unsigned)(chance_of(u, 1) % TABLES);
}

bool
update_fits(struct update u)
{
	unsigned bad = schema.lacks | schema.widened |
		       (schema.is_unchecked ? 0 : schema.mistyped);

	return (bad >> update_table(u) & 1) == 0;
}

unsigned messages_big_rows;

static unsigned
rows_of(struct update u)
{
	uint64_t c = chance_of(u, 2);

	/* Really big ones are few: they cost a run much time. */
	if (messages_big_rows > 0 &&
	    c / 7 % (messages_big_rows < 8000 ? 30 : 150) == 0 &&
	    update_table(u) != TABLE_NOTE)
		return 1 + (unsigned)(c / 1000 % messages_big_rows);
	return c % 4 != 0 ? 1 : 1 + (unsigned)(c / 4 % ROWS_MAX);
}

static unsigned
symbol_of(struct update u, unsigned row)
{
	return (unsigned)(chance_of(u, 16 + row) % SYMBOLS);
}

static size_t
text_len(struct update u, unsigned row)
{
	uint64_t c = chance_of(u, 128 + row);

	return c % 16 != 0 ? c / 16 % 20 : c / 16 % TEXT_MAX;
}

int64_t
update_time(struct update u)
{
	return (int64_t)(chance_of(u, 3) % 1000000) * NS_PER_S;
}

static bool
is_row_wanted(struct update u, unsigned row, struct selection s)
{
	return (s.symbols[update_table(u)] >> symbol_of(u, row) & 1) != 0;
}

bool
update_is_wanted(struct update u, struct selection s)
{
	if ((s.tables >> update_table(u) & 1) == 0)
		return false;
	for (unsigned row = 0; row < rows_of(u); row++)
		if (is_row_wanted(u, row, s))
			return true;
	return false;
}

/* ---- writing ---- */

struct out {
	struct bytes *b;
	bool is_big;
};

static void
put(struct out o, uint64_t v, unsigned len)
{
	v = o.is_big ? htobe64(v << (64 - 8 * len)) : htole64(v);
	bytes_add(o.b, &v, len);
}

static void
put_list(struct out o, unsigned type, uint64_t cnt)
{
	put(o, type, 1);
	put(o, 0, 1);
	put(o, cnt, 4);
}

static void
put_name(struct out o, const char *name)
{
	bytes_add(o.b, name, strlen(name) + 1);
}

static void
put_symbol(struct out o, const char *name)
{
	put(o, 0xf5, 1);
	put_name(o, name);
}

static void
put_chars(struct out o, const char *text, size_t len)
{
	put_list(o, 10, len);
	bytes_add(o.b, text, len);
}

/* Returns where the frame starts. */
static size_t
begin_frame(struct out o, unsigned message)
{
	size_t start = o.b->len;

	put(o, o.is_big ? 0 : 1, 1);
	put(o, message, 1);
	put(o, 0, 6);
	return start;
}

static void
end_frame(struct out o, size_t start)
{
	struct bytes len = { 0 };

	put((struct out){ &len, o.is_big }, o.b->len - start, 4);
	memcpy(o.b->at + start + 4, len.at, 4);
	bytes_free(&len);
}

static void
put_text(struct out o, struct update u, unsigned row)
{
	char text[TEXT_MAX];
	size_t len = text_len(u, row);

	for (size_t i = 0; i < len; i++)
		text[i] = (char)('a' + (i * 7 + u.number + row) % 26);
	put_chars(o, text, len);
}

/* The item of a column: as an atom, or as an item of a vector.  Feeds and
 * numbers count from 1: no update has a block of zeros, which a start would
 * take for something that the disk has lost. */
static void
put_item(struct out o, struct update u, unsigned column, unsigned row,
	 int64_t time_ns, bool is_atom)
{
	static const uint8_t types[COLUMNS] = { 12, 11, 7, 7, 7, 9 };
	uint64_t value = row;

	if (column == 5 && update_table(u) == TABLE_NOTE) {
		put_text(o, u, row);
		return;
	}
	if (is_atom)
		put(o, (uint8_t)-types[column], 1);
	if (column == 1) {
		put_name(o, symbol_names[symbol_of(u, row)]);
		return;
	}
	if (column == 0)
		value = (uint64_t)time_ns;
	else if (column == 2)
		value = u.feed + 1;
	else if (column == 3)
		value = u.number + UINT64_C(1);
	else if (column == 5)
		value = UINT64_C(0x4050000000000000) + (chance_of(u, 5) >> 16) +
			row;
	put(o, value, 8);
}

static unsigned
count_rows(struct update u, struct selection s)
{
	unsigned cnt = 0;

	for (unsigned row = 0; row < rows_of(u); row++)
		cnt += is_row_wanted(u, row, s);
	return cnt;
}

static void
put_items(struct out o, struct part p, unsigned column, struct selection s)
{
	for (unsigned row = 0; row < rows_of(p.u); row++)
		if (is_row_wanted(p.u, row, s))
			put_item(o, p.u, column, row, p.stamp_ns, false);
}

static void
begin_column(struct out o, struct update u, unsigned column, unsigned rows)
{
	static const uint8_t types[COLUMNS] = { 12, 11, 7, 7, 7, 9 };
	bool is_text = column == 5 && update_table(u) == TABLE_NOTE;

	put_list(o, is_text ? 0 : types[column], rows);
}

static void
put_columns(struct out o, struct update u, unsigned from, int64_t time_ns,
	    struct selection s)
{
	put_list(o, 0, COLUMNS - from);
	for (unsigned column = from; column < COLUMNS; column++) {
		begin_column(o, u, column, count_rows(u, s));
		put_items(o, (struct part){ u, time_ns }, column, s);
	}
}

static void
put_names(struct out o, unsigned table)
{
	static const char *const names[] = { "time", "sym", "feed", "number",
					     "row" };

	put_list(o, 11, COLUMNS);
	for (unsigned i = 0; i < COLUMNS - 1; i++)
		put_name(o, names[i]);
	put_name(o, last_columns[schema.is_renamed][table]);
}

/* A table is a dictionary of its columns' names and the columns. */
static void
begin_table(struct out o, unsigned table)
{
	put(o, 98, 1);
	put(o, 0, 1);
	put(o, 99, 1);
	put_names(o, table);
}

static void
put_table(struct out o, struct update u, int64_t time_ns, struct selection s)
{
	begin_table(o, update_table(u));
	put_columns(o, u, 0, time_ns, s);
}

static const struct selection everything = {
	TABLES_ALL, { SYMBOLS_ALL, SYMBOLS_ALL, SYMBOLS_ALL }
};

/* A symbol, a text, or a lambda that the daemon has to evaluate. */
static void
put_call(struct out o, unsigned name)
{
	static const char *const names[CALL_NAMES] = {
		".u.upd", "upd", ".u.upd", "upd", "{.u.upd[x;y]}"
	};

	if (name < 2)
		put_symbol(o, names[name]);
	else
		put_chars(o, names[name], strlen(names[name]));
}

static size_t
begin_update(struct out o, struct form form)
{
	size_t start = begin_frame(o, form.is_sync);

	put_list(o, 0, 3);
	put_call(o, form.name);
	return start;
}

/* One step of the compression that q does: bytes at *s become a byte, or a
 * reference to where the same bytes were before.  Returns whether it is a
 * reference. */
static bool
compress_step(const uint8_t *y, size_t end, size_t *s, size_t *seen,
	      size_t *unnoted, struct bytes *to)
{
	uint8_t hash = *s + 3 <= end ? y[*s] ^ y[*s + 1] : 0, len;
	size_t p = *s + 3 <= end ? seen[hash] : 0, from;

	if (*unnoted > 0) {
		seen[y[*unnoted] ^ y[*unnoted + 1]] = *unnoted;
		*unnoted = 0;
	}
	if (p == 0 || y[*s] != y[p]) {
		*unnoted = *s + 3 <= end ? *s : 0;
		bytes_add(to, &y[(*s)++], 1);
		return false;
	}
	seen[hash] = *s;
	*s += 2;
	from = *s;
	for (p += 2; *s < end && *s - from < 255 && y[p] == y[*s]; p++)
		(*s)++;
	len = (uint8_t)(*s - from);
	bytes_add(to, &hash, 1);
	bytes_add(to, &len, 1);
	return true;
}

/* The frame from `start` on. */
static void
compress(struct bytes *b, size_t start, bool is_big)
{
	size_t seen[256] = { 0 }, s = 8, unnoted = 0, len = b->len - start;
	const uint8_t *y = b->at + start;
	struct bytes to = { 0 };
	struct out o = { &to, is_big };

	bytes_add(&to, y, 8);
	to.at[2] = 1;
	put(o, len, 4);
	while (s < len) {
		size_t flags = to.len;

		put(o, 0, 1);
		for (unsigned i = 0; i < 8 && s < len; i++)
			if (compress_step(y, len, &s, seen, &unnoted, &to))
				to.at[flags] |= (uint8_t)(1u << i);
	}
	if (to.len < len) {
		end_frame(o, 0);
		b->len = start;
		bytes_add(b, to.at, to.len);
	}
	bytes_free(&to);
}

void
put_update(struct bytes *b, struct update u, struct form form)
{
	struct out o = { b, form.is_big_endian };
	size_t start = begin_update(o, form);
	unsigned from = form.is_stamped;

	put_symbol(o, table_names[update_table(u)]);
	if (form.is_table) {
		put_table(o, u, update_time(u), everything);
	} else if (rows_of(u) > 1 || chance_of(u, 6) % 2 == 0) {
		put_columns(o, u, from, update_time(u), everything);
	} else {
		put_list(o, 0, COLUMNS - from);
		for (unsigned i = from; i < COLUMNS; i++)
			put_item(o, u, i, 0, update_time(u), true);
	}
	end_frame(o, start);
	if (form.is_compressed)
		compress(b, start, form.is_big_endian);
}

/* Columns that are missing, tables that are not there, have no name, or are
 * none. */
void
put_wrong_update(struct bytes *b, struct form form, unsigned kind)
{
	static const char *const tables[WRONG_KINDS] = { "trade", "none", "",
							 NULL, NULL };
	struct out o = { b, form.is_big_endian };
	size_t start = begin_update(o, form);

	if (tables[kind] != NULL) {
		put_symbol(o, tables[kind]);
	} else if (kind == 3) {
		put(o, LONG_ATOM, 1);
		put(o, 7, 8);
	} else {
		put_chars(o, "trade", 5);
	}
	put_list(o, 0, 2);
	put_symbol(o, "A");
	put_symbol(o, "B");
	end_frame(o, start);
}

void
put_request(struct bytes *b, const char *text, bool is_sync)
{
	struct out o = { b, false };
	size_t start = begin_frame(o, is_sync);

	put_chars(o, text, strlen(text));
	end_frame(o, start);
}

void
put_names_reply(struct bytes *b, unsigned tables)
{
	struct out o = { b, false };
	size_t start = begin_frame(o, 2);
	unsigned names = (unsigned)__builtin_popcount(tables);

	put_list(o, 11, names);
	b->at[b->len - 5] = names > 1 ? SORTED : 0;
	for (unsigned i = 0; i < TABLES; i++)
		if ((tables >> i & 1) != 0)
			bytes_add(b, table_names[i],
				  strlen(table_names[i]) + 1);
	end_frame(o, start);
}

void
put_message(struct bytes *b, struct update u, int64_t stamp_ns,
	    struct selection s)
{
	struct out o = { b, false };
	size_t start = begin_frame(o, 0);

	put_list(o, 0, 3);
	put_symbol(o, "upd");
	put_symbol(o, table_names[update_table(u)]);
	put_table(o, u, stamp_ns, s);
	end_frame(o, start);
}

static void
put_batch_column(struct out o, const struct part *parts, size_t cnt,
		 unsigned column, struct selection s, bool is_grouped)
{
	unsigned rows = 0;

	for (size_t i = 0; i < cnt; i++)
		rows += count_rows(parts[i].u, s);
	begin_column(o, parts[0].u, column, rows);
	if (column == 1 && is_grouped)
		o.b->at[o.b->len - 5] = GROUPED;
	for (size_t i = 0; i < cnt; i++)
		put_items(o, parts[i], column, s);
}

void
put_batch(struct bytes *b, const struct part *parts, size_t cnt,
	  struct selection s, bool is_grouped)
{
	struct out o = { b, false };
	size_t start = begin_frame(o, 0);
	unsigned table = update_table(parts[0].u);

	put_list(o, 0, 3);
	put_symbol(o, "upd");
	put_symbol(o, table_names[table]);
	begin_table(o, table);
	put_list(o, 0, COLUMNS);
	for (unsigned column = 0; column < COLUMNS; column++)
		put_batch_column(o, parts, cnt, column, s, is_grouped);
	end_frame(o, start);
}

void
put_table_reply(struct bytes *b, unsigned table)
{
	static const uint8_t types[] = { 12, 11, 7, 7, 7 };
	static const uint8_t last[2][TABLES] = { { 0, 9, 9 }, { 11, 7, 8 } };
	unsigned wide = schema.widened >> table & 1;
	struct out o = { b, false };
	size_t start = begin_frame(o, 2), names = b->len + 3;

	begin_table(o, table);
	if (wide)
		put_name(o, "more");
	b->at[names + 2] += (uint8_t)wide;
	put_list(o, 0, COLUMNS + wide);
	for (unsigned i = 0; i < COLUMNS - 1; i++) {
		put_list(o, types[i], 0);
		if (i == 1)
			b->at[b->len - 5] = GROUPED;
	}
	put_list(o, last[schema.mistyped >> table & 1][table], 0);
	if (wide)
		put_list(o, 7, 0);
	end_frame(o, start);
}

void
put_record(struct bytes *b, struct update u, int64_t stamp_ns)
{
	struct out o = { b, false };

	put_list(o, 0, 3);
	put_symbol(o, "upd");
	put_symbol(o, table_names[update_table(u)]);
	put_columns(o, u, 0, stamp_ns, everything);
}

/* ---- reading ---- */

uint64_t
in_get(struct in *i, unsigned len)
{
	uint64_t v = 0;

	if ((size_t)(i->end - i->at) < len) {
		i->is_short = true;
		i->at = i->end;
		return 0;
	}
	for (unsigned n = 0; n < len; n++)
		v |= (uint64_t)i->at[n] << 8 * n;
	i->at += len;
	return v;
}

void
in_get_name(struct in *i, char *out, size_t room)
{
	size_t n = 0;
	char c;

	do {
		c = (char)in_get(i, 1);
		if (n < room - 1)
			out[n++] = c;
	} while (c != '\0' && !i->is_short);
	out[n] = '\0';
}

static uint32_t
get_list(struct in *i)
{
	(void)in_get(i, 2);
	return (uint32_t)in_get(i, 4);
}

static void
skip_vector(struct in *i)
{
	unsigned type = (unsigned)in_get(i, 1);
	uint32_t cnt;
	char name[64];

	(void)in_get(i, 1);
	cnt = (uint32_t)in_get(i, 4);
	for (uint32_t n = 0; n < cnt && !i->is_short; n++)
		if (type == 0)
			skip_vector(i);
		else if (type == 11)
			in_get_name(i, name, sizeof(name));
		else
			(void)in_get(i, type == 10 ? 1 : 8);
}

/* Reads the columns of an update; its name is in the third and fourth. */
static void
read_columns(struct in *i, struct seen *s)
{
	uint32_t cnt = get_list(i);

	for (uint32_t column = 0; column < cnt && !i->is_short; column++) {
		struct in first = *i;

		(void)get_list(&first);
		if (column == 0)
			s->stamp_ns = (int64_t)in_get(&first, 8);
		else if (column == 2)
			s->update.feed = (unsigned)in_get(&first, 8) - 1;
		else if (column == 3)
			s->update.number = (uint32_t)in_get(&first, 8) - 1;
		skip_vector(i);
	}
	s->kind = SEEN_UPDATE;
}

struct seen
read_record(const uint8_t *at, size_t len)
{
	struct in i = { at, at + len, false };
	struct seen s = { .kind = SEEN_BAD };
	char name[16];

	(void)get_list(&i);
	(void)in_get(&i, 1);
	in_get_name(&i, name, sizeof(name));
	(void)in_get(&i, 1);
	in_get_name(&i, name, sizeof(name));
	read_columns(&i, &s);
	s.len = (size_t)(i.at - at);
	if (i.is_short)
		s.kind = SEEN_MORE;
	return s;
}

static void
read_published(struct in *i, struct seen *s)
{
	char name[32];
	uint32_t cnt = get_list(i);

	(void)in_get(i, 1);
	in_get_name(i, name, sizeof(name));
	if (strcmp(name, ".u.end") == 0 && cnt == 2) {
		(void)in_get(i, 1);
		s->day = (int32_t)in_get(i, 4);
		s->kind = SEEN_END;
	} else if (strcmp(name, ".ringtick.skipped") == 0) {
		for (unsigned n = 0; n < 2; n++) {
			(void)in_get(i, 1);
			s->numbers[n] = (int64_t)in_get(i, 8);
		}
		s->kind = SEEN_SKIPS;
	} else if (strcmp(name, "upd") == 0 && cnt == 3) {
		(void)in_get(i, 1);
		in_get_name(i, name, sizeof(name));
		(void)in_get(i, 3);
		skip_vector(i);
		read_columns(i, s);
	}
}

void
read_parts(const uint8_t *at, size_t len, struct bytes *out)
{
	struct in i = { at, at + len, false }, columns[COLUMNS];
	uint32_t rows = 0;
	char name[32];

	(void)in_get(&i, 8);
	(void)get_list(&i);
	(void)in_get(&i, 1);
	in_get_name(&i, name, sizeof(name));
	(void)in_get(&i, 1);
	in_get_name(&i, name, sizeof(name));
	(void)in_get(&i, 3);
	skip_vector(&i);
	(void)get_list(&i);
	for (unsigned n = 0; n < COLUMNS; n++) {
		columns[n] = i;
		rows = get_list(&columns[n]);
		skip_vector(&i);
	}
	for (uint32_t n = 0; n < rows; n++) {
		struct part p, *last = (void *)(out->at + out->len);

		memset(&p, 0, sizeof(p));
		p.stamp_ns = (int64_t)in_get(&columns[0], 8);
		p.u.feed = (unsigned)in_get(&columns[2], 8) - 1;
		p.u.number = (uint32_t)in_get(&columns[3], 8) - 1;
		if (out->len == 0 ||
		    memcmp(&last[-1].u, &p.u, sizeof(p.u)) != 0)
			bytes_add(out, &p, sizeof(p));
	}
}

/* A reply: `::`, or a list of longs, dates and longs. */
static void
read_reply(struct in *i, struct seen *s)
{
	unsigned type = *i->at;
	uint32_t cnt;

	s->kind = SEEN_REPLY;
	if (type == 0x80) {
		(void)in_get(i, 1);
		in_get_name(i, s->error, sizeof(s->error));
		s->kind = SEEN_ERROR;
		return;
	}
	if (type != 0 && type != 7)
		return;
	cnt = get_list(i);
	for (uint32_t n = 0; n < cnt && n < ARRAY_LEN(s->numbers); n++) {
		unsigned item = type == 0 ? (unsigned)in_get(i, 1) : LONG_ATOM;

		if (item == LONG_ATOM)
			s->numbers[n] = (int64_t)in_get(i, 8);
		else if (item == DATE_ATOM)
			s->numbers[n] = (int32_t)in_get(i, 4);
		else
			return;
		s->numbers_cnt = n + 1;
	}
}

struct seen
read_frame(const uint8_t *at, size_t len)
{
	struct in i = { at, at + len, false };
	struct seen s = { .kind = SEEN_MORE };
	unsigned order, message;

	order = (unsigned)in_get(&i, 1);
	message = (unsigned)in_get(&i, 1);
	(void)in_get(&i, 2);
	s.len = (size_t)in_get(&i, 4);
	if (i.is_short || s.len > len)
		return s;
	s.kind = SEEN_BAD;
	if (order != 1 || s.len < HEADER_BYTES + 2)
		return s;
	i.end = at + s.len;
	if (message == 2)
		read_reply(&i, &s);
	else if (message == 0)
		read_published(&i, &s);
	if (i.is_short)
		s.kind = SEEN_BAD;
	return s;
}
