#include "config.h"

#include "tools/print.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/util.h"

/* The widths are those of usual values, so that columns are aligned from the
 * first row on. */
static const struct {
	char letter;	  /* of the type in q */
	uint8_t width;	  /* least width of a column */
	const char *name; /* for an empty vector */
} types[] = {
	[KT_LIST] = { '*', 12, "" },
	[KT_BOOLEAN] = { 'b', 1, "boolean" },
	[KT_GUID] = { 'g', 36, "guid" },
	[KT_BYTE] = { 'x', 2, "byte" },
	[KT_SHORT] = { 'h', 5, "short" },
	[KT_INT] = { 'i', 8, "int" },
	[KT_LONG] = { 'j', 8, "long" },
	[KT_REAL] = { 'e', 8, "real" },
	[KT_FLOAT] = { 'f', 8, "float" },
	[KT_CHAR] = { 'c', 1, "char" },
	[KT_SYMBOL] = { 's', 6, "symbol" },
	[KT_TIMESTAMP] = { 'p', 29, "timestamp" },
	[KT_MONTH] = { 'm', 7, "month" },
	[KT_DATE] = { 'd', 10, "date" },
	[KT_DATETIME] = { 'z', 23, "datetime" },
	[KT_TIMESPAN] = { 'n', 20, "timespan" },
	[KT_MINUTE] = { 'u', 5, "minute" },
	[KT_SECOND] = { 'v', 8, "second" },
	[KT_TIME] = { 't', 12, "time" },
};

/* ---- text ---- */

static void
put_bytes(struct print_text *out, const char *bytes, size_t len)
{
	size_t room = sizeof(out->text) - 1 - out->len;

	if (out->is_cut)
		return;
	if (len > room) {
		/* The last two bytes say that there was more. */
		memcpy(out->text + out->len, bytes, room);
		memcpy(out->text + sizeof(out->text) - 3, "..", 3);
		out->len = sizeof(out->text) - 1;
		out->is_cut = true;
		return;
	}
	memcpy(out->text + out->len, bytes, len);
	out->len += len;
	out->text[out->len] = '\0';
}

static void put(struct print_text *out, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Appends numbers and the like: at most 63 bytes at a time. */
static void
put(struct print_text *out, const char *format, ...)
{
	char piece[64];
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(piece, sizeof(piece), format, args);
	va_end(args);
	CHECK(len >= 0 && (size_t)len < sizeof(piece));
	put_bytes(out, piece, (size_t)len);
}

/* Appends bytes escaped as q escapes strings; is_quoted: quotes and backslashes
 * are escaped too. */
static void
put_escaped(struct print_text *out, const char *bytes, size_t len,
	    bool is_quoted)
{
	for (size_t i = 0; i < len && !out->is_cut; i++) {
		unsigned char c = (unsigned char)bytes[i];

		if (c == '\n')
			put_bytes(out, "\\n", 2);
		else if (c == '\t')
			put_bytes(out, "\\t", 2);
		else if (c == '\r')
			put_bytes(out, "\\r", 2);
		else if (is_quoted && (c == '"' || c == '\\'))
			put(out, "\\%c", c);
		else if (c < ' ' || c > '~')
			put(out, "\\%03o", c);
		else
			put_bytes(out, bytes + i, 1);
	}
}

/* ---- atoms ---- */

static int64_t
load_signed(const uint8_t *item, size_t len)
{
	uint64_t v = 0;

	for (size_t i = len; i > 0; i--)
		v = v << 8 | item[i - 1];
	if (len < sizeof(v) && v >> (8 * len - 1) != 0)
		v |= UINT64_MAX << (8 * len);
	return (int64_t)v;
}

static double
load_real(int type, const uint8_t *item)
{
	double d;
	float f;

	if (type == KT_REAL) {
		uint32_t bits = wire_load_u32(item);

		memcpy(&f, &bits, sizeof(f));
		return (double)f;
	}
	memcpy(&d, &(uint64_t){ wire_load_u64(item) }, sizeof(d));
	return d;
}

/*
 * Appends the null and the infinities of integers of that width: least value,
 * least + 1 and greatest (wire.md section 3).  false: v is none of these.
 * letter is 0 for plain numbers.
 */
static bool
put_special(struct print_text *out, int64_t v, size_t width, char letter)
{
	int64_t max = (int64_t)(UINT64_MAX >> (65 - 8 * width));
	const char *text;

	if (v == max)
		text = "0W";
	else if (v == -max)
		text = "-0W";
	else if (v == -max - 1)
		text = "0N";
	else
		return false;
	put(out, "%s", text);
	if (letter != 0)
		put_bytes(out, &letter, 1);
	return true;
}

static void
put_real(struct print_text *out, double v)
{
	if (isnan(v))
		put(out, "0n");
	else if (isinf(v))
		put(out, v > 0 ? "0w" : "-0w");
	else
		put(out, "%.7g", v); /* q's own precision, \P 7 */
}

static void
put_guid(struct print_text *out, const uint8_t *item)
{
	for (unsigned i = 0; i < 16; i++)
		put(out,
		    i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x",
		    item[i]);
}

static void
put_date(struct print_text *out, int64_t days)
{
	char buf[16];

	put(out, "%s", clock_date_text(buf, (int32_t)days));
}

/* hh:mm:ss.fraction of a count of `per_s` parts of a second. */
static void
put_clock(struct print_text *out, uint64_t parts, uint64_t per_s, int digits)
{
	uint64_t s = parts / per_s;

	put(out, "%02" PRIu64 ":%02" PRIu64 ":%02" PRIu64, s / 3600,
	    s / 60 % 60, s % 60);
	if (digits > 0)
		put(out, ".%0*" PRIu64, digits, parts % per_s);
}

static void
put_month(struct print_text *out, int64_t months)
{
	int64_t year = 2000 + months / 12 - (months % 12 < 0);
	int64_t month = (months % 12 + 12) % 12 + 1;

	put(out, "%04" PRId64 ".%02" PRId64, year, month);
}

/* Years 0 to 9999; other values are shown as numbers. */
static void
put_datetime(struct print_text *out, double days)
{
	const int64_t ms_per_day = 86400000;
	int64_t ms, ms_of_day;

	if (isnan(days) || isinf(days)) {
		put(out, isnan(days) ? "0Nz" : days > 0 ? "0Wz" : "-0Wz");
		return;
	}
	if (fabs(days) > 2921940) {
		put(out, "%.7gz", days);
		return;
	}
	ms = (int64_t)(days * (double)ms_per_day + (days < 0 ? -0.5 : 0.5));
	ms_of_day = ms % ms_per_day;
	if (ms_of_day < 0)
		ms_of_day += ms_per_day;
	put_date(out, (ms - ms_of_day) / ms_per_day);
	put_bytes(out, "T", 1);
	put_clock(out, (uint64_t)ms_of_day, 1000, 3);
}

static void
put_timestamp(struct print_text *out, int64_t ns)
{
	int32_t day = clock_day(ns);

	put_date(out, day);
	put_bytes(out, "D", 1);
	/* Unsigned: the first day begins before the first representable ns, and
	 * its product would overflow. */
	put_clock(out, (uint64_t)ns - (uint64_t)day * (uint64_t)NS_PER_DAY,
		  (uint64_t)NS_PER_S, 9);
}

/* Timespan, minute, second, time: a sign and a count of parts. */
static void
put_duration(struct print_text *out, int type, int64_t v)
{
	uint64_t parts = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
	const uint64_t day = (uint64_t)NS_PER_DAY;

	if (v < 0)
		put_bytes(out, "-", 1);
	if (type == KT_TIMESPAN) {
		put(out, "%" PRIu64 "D", parts / day);
		put_clock(out, parts % day, (uint64_t)NS_PER_S, 9);
	} else if (type == KT_TIME) {
		put_clock(out, parts, 1000, 3);
	} else if (type == KT_SECOND) {
		put_clock(out, parts, 1, 0);
	} else {
		put(out, "%02" PRIu64 ":%02" PRIu64, parts / 60, parts % 60);
	}
}

static void
put_temporal(struct print_text *out, int type, const uint8_t *item)
{
	size_t width = wire_item_bytes(type);
	int64_t v;

	if (type == KT_DATETIME) {
		put_datetime(out, load_real(type, item));
		return;
	}
	v = load_signed(item, width);
	if (put_special(out, v, width, types[type].letter))
		return;
	if (type == KT_TIMESTAMP)
		put_timestamp(out, v);
	else if (type == KT_MONTH)
		put_month(out, v);
	else if (type == KT_DATE)
		put_date(out, v);
	else
		put_duration(out, type, v);
}

void
print_item(struct print_text *out, int type, const uint8_t *item)
{
	int64_t v;

	switch (type) {
	case KT_BOOLEAN:
		put(out, "%d", item[0]);
		return;
	case KT_GUID:
		put_guid(out, item);
		return;
	case KT_BYTE:
		put(out, "%02x", item[0]);
		return;
	case KT_CHAR:
		put_escaped(out, (const char *)item, 1, false);
		return;
	case KT_SHORT:
	case KT_INT:
	case KT_LONG:
		v = load_signed(item, wire_item_bytes(type));
		if (!put_special(out, v, wire_item_bytes(type), 0))
			put(out, "%" PRId64, v);
		return;
	case KT_REAL:
	case KT_FLOAT:
		put_real(out, load_real(type, item));
		return;
	default:
		CHECK(type >= KT_TIMESTAMP && type <= KT_TIME);
		put_temporal(out, type, item);
	}
}

/* ---- objects ---- */

/* The letter that q puts after a number, or a vector of numbers; 0 for none. */
static char
suffix_of(int type)
{
	switch (type) {
	case KT_SHORT:
	case KT_INT:
	case KT_REAL:
	case KT_MONTH:
		return types[type].letter;
	default:
		return 0;
	}
}

/* True if the text after `from` reads as integers: floats then need an f. */
static bool
is_integral(const struct print_text *out, size_t from)
{
	return !out->is_cut &&
	       strspn(out->text + from, "-0123456789 ") == out->len - from;
}

static void
put_suffix(struct print_text *out, int type, size_t from)
{
	char letter = suffix_of(type);

	if (type == KT_FLOAT && is_integral(out, from))
		letter = 'f';
	/* 0Nm and 0Wm have it already */
	if (letter != 0 && (out->len == 0 || out->text[out->len - 1] != letter))
		put_bytes(out, &letter, 1);
}

static void
put_atom(struct print_text *out, int type, struct wire_reader *r)
{
	size_t from = out->len, len;
	const char *symbol;

	switch (type) {
	case KT_SYMBOL:
		symbol = wire_get_symbol(r, &len);
		put_bytes(out, "`", 1);
		put_escaped(out, symbol, len, false);
		return;
	case KT_CHAR:
		put_bytes(out, "\"", 1);
		put_escaped(out, (const char *)r->at, 1, true);
		put_bytes(out, "\"", 1);
		return;
	case KT_BOOLEAN:
		put(out, "%db", r->at[0]);
		return;
	case KT_BYTE:
		put(out, "0x%02x", r->at[0]);
		return;
	default:
		print_item(out, type, r->at);
		put_suffix(out, type, from);
		if (type == KT_REAL && strcmp(out->text + from, "0ne") == 0)
			out->text[from + 1] = 'N'; /* q writes 0Ne, but 0we */
	}
}

/* Appends a vector of count items at r->at; stops when the text is full. */
static void
put_items(struct print_text *out, int type, uint64_t count,
	  struct wire_reader *r)
{
	bool is_packed = type == KT_BOOLEAN || type == KT_BYTE;
	size_t from = out->len, len;

	if (type == KT_BYTE)
		put_bytes(out, "0x", 2);
	for (uint64_t i = 0; i < count && !out->is_cut; i++) {
		if (type == KT_SYMBOL) {
			const char *symbol = wire_get_symbol(r, &len);

			put_bytes(out, "`", 1);
			put_escaped(out, symbol, len, false);
			continue;
		}
		if (i > 0 && !is_packed)
			put_bytes(out, " ", 1);
		print_item(out, type, r->at);
		r->at += wire_item_bytes(type);
	}
	if (type == KT_BOOLEAN)
		put_bytes(out, "b", 1);
	put_suffix(out, type, from);
}

static void
put_vector(struct print_text *out, int type, struct wire_reader *r)
{
	uint8_t attr;
	uint64_t count = wire_get_count(r, 1, &attr);

	if (type == KT_CHAR) {
		put(out, count == 1 ? ",\"" : "\"");
		put_escaped(out, (const char *)r->at, count, true);
		put_bytes(out, "\"", 1);
		return;
	}
	if (count == 0) {
		put(out, "`%s$()", types[type].name);
		return;
	}
	if (count == 1)
		put_bytes(out, ",", 1);
	put_items(out, type, count, r);
}

static void
put_list(struct print_text *out, struct wire_reader *r)
{
	uint8_t attr;
	uint64_t count = wire_get_count(r, 1, &attr);

	put(out, count == 1 ? "," : "(");
	for (uint64_t i = 0; i < count && !out->is_cut; i++) {
		if (i > 0)
			put_bytes(out, ";", 1);
		print_object(out, *r);
		wire_skip(r);
	}
	if (count != 1)
		put_bytes(out, ")", 1);
}

static void
put_lambda(struct print_text *out, struct wire_reader *r)
{
	uint8_t attr;
	size_t len;
	uint64_t count;

	(void)wire_get_symbol(r, &len); /* the context */
	(void)wire_get_u8(r);
	count = wire_get_count(r, 1, &attr);
	put_escaped(out, (const char *)r->at, count, false);
}

void
print_object(struct print_text *out, struct wire_reader r)
{
	int type = (int8_t)wire_get_u8(&r);

	if (out->is_cut)
		return;
	if (wire_is_atom(type)) {
		put_atom(out, -type, &r);
	} else if (type == KT_LIST) {
		put_list(out, &r);
	} else if (type > 0 && type <= KT_TIME) {
		put_vector(out, type, &r);
	} else if (type == KT_TABLE) {
		put_bytes(out, "+", 1);
		(void)wire_get_u8(&r);
		print_object(out, r);
	} else if (type == KT_DICT || type == KT_SORTED_DICT) {
		print_object(out, r);
		wire_skip(&r);
		put_bytes(out, "!", 1);
		print_object(out, r);
	} else if (type == KT_LAMBDA) {
		put_lambda(out, &r);
	} else if (type == KT_UNARY && r.at[0] == 0) {
		put(out, "::");
	} else if (type == KT_ERROR) {
		size_t len;
		const char *text = wire_get_symbol(&r, &len);

		put_bytes(out, "'", 1);
		put_escaped(out, text, len, false);
	} else {
		put(out, "function");
	}
}

/* ---- tables ---- */

/* Appends the value of a cell as q shows it: symbols and characters without
 * quotes or backquotes. */
static void
put_cell(struct print_text *out, struct print_column *c)
{
	size_t len;
	const char *symbol;

	if (c->type == KT_LIST) {
		print_object(out, c->r);
		wire_skip(&c->r);
	} else if (c->type == KT_SYMBOL) {
		symbol = wire_get_symbol(&c->r, &len);
		put_escaped(out, symbol, len, false);
	} else {
		print_item(out, c->type, c->r.at);
		c->r.at += wire_item_bytes(c->type);
	}
}

static void
put_padded(struct print_table *p, const char *text, size_t len, unsigned idx)
{
	bool is_last = idx + 1 == p->columns_cnt;

	if (len > p->widths[idx])
		p->widths[idx] = len;
	fwrite(text, 1, len, p->out);
	if (!is_last)
		fprintf(p->out, "%*s", (int)(p->widths[idx] - len + 1), "");
}

static void
print_names(struct print_table *p, struct wire_reader names,
	    const struct print_column *columns)
{
	size_t total = 0, len;

	for (unsigned i = 0; i < p->columns_cnt; i++) {
		struct print_text name = { .len = 0 };
		const char *symbol = wire_get_symbol(&names, &len);

		p->widths[i] = types[columns[i].type].width;
		put_escaped(&name, symbol, len, false);
		put_padded(p, name.text, name.len, i);
		total += p->widths[i] + (i > 0);
	}
	fputc('\n', p->out);
	while (total-- > 0)
		fputc('-', p->out);
	fputc('\n', p->out);
}

void
print_open_column(struct wire_reader *r, struct print_column *out)
{
	struct wire_reader column = *r;

	out->type = wire_get_u8(&column);
	(void)wire_get_count(&column, 1, NULL);
	out->r = column;
	wire_skip(r);
}

void
print_table(struct print_table *p, const char *name, size_t name_len,
	    const uint8_t *table, size_t len)
{
	struct print_column columns[PRINT_COLUMNS_MAX];
	struct print_text title = { .len = 0 };
	struct wire_reader r = wire_reader(table, len, false);
	struct wire_table parts;
	uint64_t columns_cnt, rows;
	bool is_new;

	if (!wire_has_flat_columns(&r)) {
		print_object(&title, r);
		fprintf(p->out, "%s\n", title.text);
		p->columns_cnt = 0; /* a header comes before the next row */
		return;
	}
	rows = wire_count(&r);
	parts = wire_open_table(&r);
	columns_cnt = min_u64(parts.columns_cnt, PRINT_COLUMNS_MAX);
	for (uint64_t i = 0; i < columns_cnt; i++)
		print_open_column(&parts.columns, &columns[i]);

	put_escaped(&title, name, name_len, false);
	is_new = p->columns_cnt != columns_cnt ||
		 strncmp(p->name, title.text, sizeof(p->name) - 1) != 0;
	if (is_new) {
		fprintf(p->out, "%s%s\n", p->name[0] == '\0' ? "" : "\n",
			title.text);
		snprintf(p->name, sizeof(p->name), "%.*s",
			 (int)sizeof(p->name) - 1, title.text);
		p->columns_cnt = (unsigned)columns_cnt;
		print_names(p, parts.names, columns);
	}
	for (uint64_t row = 0; row < rows; row++) {
		for (unsigned i = 0; i < columns_cnt; i++) {
			struct print_text cell = { .len = 0 };

			put_cell(&cell, &columns[i]);
			put_padded(p, cell.text, cell.len, i);
		}
		fputc('\n', p->out);
	}
}
