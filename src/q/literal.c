#include "config.h"

#include "q/literal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "q/value.h"

enum {
	NUMBER_BYTES_MAX = 47,
	/* Items per step: */
	STRING_CHARS = 128,
	ESCAPES = 16,
	SYMBOLS = 8,
	NUMBERS = 2,
};

/* Takes a step at every per_step-th item; items are numbered from 0. */
static bool
take_step(unsigned *steps, uint32_t item, uint32_t per_step)
{
	if (item % per_step != per_step - 1)
		return true;
	if (*steps == 0)
		return false;
	--*steps;
	return true;
}

/* ---- strings and symbols ---- */

const char *
literal_skip_comment(const char *begin, const char *at, const char *end)
{
	const char *newline;

	if (at == end || *at != '/' ||
	    (at > begin && !literal_is_space(at[-1])))
		return at;
	newline = memchr(at, '\n', (size_t)(end - at));
	return newline != NULL ? newline : end;
}

const char *
literal_skip_string(const char *at, const char *end)
{
	for (at++; at < end && *at != '"'; at++)
		if (*at == '\\' && end - at > 1)
			at++;
	return at < end ? at + 1 : end;
}

const char *
literal_skip_symbol(const char *at, const char *end)
{
	bool is_path = false;

	for (at++; at < end; at++) {
		is_path = is_path || *at == ':';
		if (!literal_continues_name(*at) && *at != ':' &&
		    !(is_path && *at == '/'))
			break;
	}
	return at;
}

/* The byte that an escape means, read after its backslash; -1 if it is no
 * escape. */
static int
read_escape(const char **at, const char *end)
{
	static const char letters[] = "ntr\"\\", values[] = "\n\t\r\"\\";
	const char *letter;
	int v = 0;

	if (*at == end)
		return -1;
	letter = memchr(letters, **at, sizeof(letters) - 1);
	if (letter != NULL) {
		(*at)++;
		return values[letter - letters];
	}
	if (end - *at < 3)
		return -1;
	for (int i = 0; i < 3; i++, (*at)++) {
		if (**at < '0' || **at > '7')
			return -1;
		v = v * 8 + (**at - '0');
	}
	return v <= UINT8_MAX ? v : -1;
}

bool
literal_string(const char **at, const char *end, unsigned *steps,
	       struct wire_writer *out)
{
	size_t off = wire_written(out);
	uint32_t cnt = 0, escapes = 0;
	uint8_t *value;

	wire_put_list(out, KT_CHAR, KA_NONE, 0);
	for (++*at; *at < end && **at != '"'; cnt++) {
		int c = (uint8_t) * (*at)++;

		if (c == '\\') {
			c = read_escape(at, end);
			if (!take_step(steps, escapes++, ESCAPES))
				return false;
		}
		if (c < 0 || !take_step(steps, cnt, STRING_CHARS))
			return false;
		wire_put_u8(out, (uint8_t)c);
	}
	if (*at == end) /* not closed */
		return false;
	++*at;
	if (out->is_full)
		return true;
	value = out->base + off;
	if (cnt == 1) {
		value[0] = (uint8_t)-KT_CHAR;
		value[1] = value[6];
		out->at = value + 2;
	} else {
		wire_store_u32(value + 2, cnt);
	}
	return true;
}

bool
literal_symbols(const char **at, const char *end, unsigned *steps,
		struct wire_writer *out)
{
	const char *after = *at;
	uint32_t cnt = 0;

	for (; after < end && *after == '`'; cnt++) {
		after = literal_skip_symbol(after, end);
		if (!take_step(steps, cnt, SYMBOLS))
			return false;
	}
	if (cnt == 1)
		wire_put_u8(out, (uint8_t)-KT_SYMBOL);
	else
		wire_put_list(out, KT_SYMBOL, KA_NONE, cnt);
	while (*at < after) {
		const char *symbol = *at + 1;

		*at = literal_skip_symbol(*at, end);
		wire_put_symbol_item(out, symbol, (size_t)(*at - symbol));
	}
	return true;
}

/* ---- numbers ---- */

struct number {
	int64_t whole; /* a date's is in days since 2000.01.01 */
	double real;
	char suffix; /* NUL: none */
	bool is_real, is_null, is_boolean, is_date;
};

/* Skips digits with at most one point among them. */
static const char *
skip_digits(const char *at, const char *end, bool *out_has_point)
{
	*out_has_point = false;
	for (; at < end; at++) {
		if (*at == '.' && !*out_has_point)
			*out_has_point = true;
		else if (!literal_is_digit(*at))
			break;
	}
	return at;
}

/* Reads a date and moves *at to its end; false if there is none. */
static bool
scan_date(const char **at, const char *end, struct number *out)
{
	int32_t day;

	if (end - *at < CLOCK_DATE_BYTES || !clock_read_date(*at, &day) ||
	    (end - *at > CLOCK_DATE_BYTES &&
	     literal_continues_name((*at)[CLOCK_DATE_BYTES])))
		return false;
	out->whole = day;
	out->is_date = true;
	*at += CLOCK_DATE_BYTES;
	return true;
}

/* Reads a number; false if the text has no known form.  The value is
 * computed only if wants_value. */
static bool
scan_number(const char **from, const char *end, bool wants_value,
	    struct number *out)
{
	const char *at = *from + (**from == '-'), *digits = at;
	char text[NUMBER_BYTES_MAX + 1];
	bool has_point = false;
	size_t len;

	*out = (struct number){ 0 };
	if (scan_date(from, end, out))
		return true;
	if (end - at > 1 && at[0] == '0' && (at[1] == 'N' || at[1] == 'n')) {
		out->is_null = true;
		out->is_real = at[1] == 'n';
		at += 2;
	} else {
		at = skip_digits(at, end, &has_point);
		out->is_real = has_point;
	}
	len = (size_t)(at - *from);
	if (at == digits || len >= sizeof(text))
		return false;
	memcpy(text, *from, len);
	text[len] = '\0';
	errno = 0;
	if (wants_value && !out->is_null)
		out->real = strtod(text, NULL);
	if (wants_value && !out->is_null && !out->is_real)
		out->whole = strtoll(text, NULL, 10);
	if (errno != 0)
		return false;
	if (at < end && (memchr("bhijef", *at, 6) != NULL ||
			 (*at == 'd' && out->is_null && !out->is_real)))
		out->suffix = *at++;
	out->is_boolean = out->suffix == 'b' && strspn(text, "01") == len;
	if ((at < end && literal_continues_name(*at)) ||
	    (out->suffix == 'b' && !out->is_boolean))
		return false;
	*from = at;
	return true;
}

static int
type_of_suffix(char suffix, bool is_real, bool is_date)
{
	switch (suffix) {
	case 'h':
		return KT_SHORT;
	case 'i':
		return KT_INT;
	case 'e':
		return KT_REAL;
	case 'f':
		return KT_FLOAT;
	case 'd':
		return KT_DATE;
	case 'j':
		return KT_LONG;
	default:
		return is_date ? KT_DATE : is_real ? KT_FLOAT : KT_LONG;
	}
}

static void
put_null(struct wire_writer *out, int type)
{
	uint8_t atom[9];
	struct wire_writer w = wire_writer(atom, sizeof(atom));

	value_put_null_of(&w, type);
	wire_put_bytes(out, atom + 1, wire_item_bytes(type));
}

/* Writes an item without its type byte; false if the number cannot be of that
 * type. */
static bool
put_number(struct wire_writer *out, int type, const struct number *n)
{
	uint64_t whole = (uint64_t)n->whole;
	float real = (float)n->real;
	bool is_whole = type != KT_REAL && type != KT_FLOAT;

	if ((is_whole && n->is_real) ||
	    (n->is_date != (type == KT_DATE) && !n->is_null))
		return false;
	if (n->is_null) {
		put_null(out, type);
		return true;
	}
	switch (type) {
	case KT_REAL:
		wire_put_bytes(out, &real, sizeof(real));
		return true;
	case KT_FLOAT:
		wire_put_bytes(out, &n->real, sizeof(n->real));
		return true;
	case KT_SHORT:
		wire_put_u8(out, (uint8_t)whole);
		wire_put_u8(out, (uint8_t)(whole >> 8));
		return n->whole == (int16_t)n->whole;
	case KT_INT:
	case KT_DATE:
		wire_put_u32(out, (uint32_t)whole);
		return n->whole == (int32_t)n->whole;
	default:
		wire_put_u64(out, whole);
		return true;
	}
}

static void
put_header(struct wire_writer *out, int type, uint32_t cnt)
{
	if (cnt == 1)
		wire_put_u8(out, (uint8_t)-type);
	else
		wire_put_list(out, type, KA_NONE, cnt);
}

/* The start of a vector's next number after `at`; NULL if none follows. */
static const char *
next_number(const char *at, const char *end)
{
	const char *from = at;

	while (at < end && literal_is_space(*at))
		at++;
	return at > from && literal_starts_number(at, end) ? at : NULL;
}

bool
literal_numbers(const char **at, const char *end, unsigned *steps,
		struct wire_writer *out)
{
	const char *next = *at, *after = *at;
	struct number number = { 0 };
	bool is_real = false, is_date = false;
	uint32_t cnt = 0;
	int type;

	for (; next != NULL && number.suffix == '\0'; cnt++) {
		after = next;
		if (!take_step(steps, cnt, NUMBERS) ||
		    !scan_number(&after, end, false, &number) ||
		    (number.is_boolean && cnt > 0))
			return false;
		is_real = is_real || number.is_real;
		is_date = is_date || number.is_date;
		next = next_number(after, end);
	}
	if (number.is_boolean) {
		put_header(out, KT_BOOLEAN, (uint32_t)(after - *at) - 1);
		for (; *at + 1 < after; ++*at)
			wire_put_u8(out, **at == '1');
		*at = after;
		return true;
	}
	type = type_of_suffix(number.suffix, is_real, is_date);
	put_header(out, type, cnt);
	for (next = *at; cnt > 0; cnt--) {
		*at = next;
		if (!scan_number(at, end, true, &number) ||
		    !put_number(out, type, &number))
			return false;
		next = next_number(*at, end);
	}
	return true;
}
