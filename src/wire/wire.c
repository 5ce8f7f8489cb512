#include "config.h"

#include "wire/wire.h"

#include "base/util.h"

static uint32_t
load_u32(const uint8_t *at, bool is_big_endian)
{
	uint32_t v = wire_load_u32(at);

	return is_big_endian ? __builtin_bswap32(v) : v;
}

static uint64_t
load_u64(const uint8_t *at, bool is_big_endian)
{
	uint64_t v = wire_load_u32(at) | (uint64_t)wire_load_u32(at + 4) << 32;

	return is_big_endian ? __builtin_bswap64(v) : v;
}

/* ---- reading objects ---- */

const char wire_too_many[] = "the message has too many objects";

static size_t
left(const struct wire_reader *r)
{
	return (size_t)(r->end - r->at);
}

static void
fail(struct wire_reader *r, const char *why)
{
	if (r->bad == NULL)
		r->bad = why;
}

/* The next len bytes, which are skipped; NULL on fault. */
static const uint8_t *
take(struct wire_reader *r, size_t len)
{
	const uint8_t *at = r->at;

	if (r->bad != NULL)
		return NULL;
	if (len > left(r)) {
		r->bad = "the object is longer than the frame";
		return NULL;
	}
	r->at += len;
	return at;
}

uint8_t
wire_get_u8(struct wire_reader *r)
{
	const uint8_t *at = take(r, 1);

	return at == NULL ? 0 : *at;
}

uint32_t
wire_get_u32(struct wire_reader *r)
{
	const uint8_t *at = take(r, 4);

	return at == NULL ? 0 : load_u32(at, r->is_big_endian);
}

uint64_t
wire_get_u64(struct wire_reader *r)
{
	const uint8_t *at = take(r, 8);

	return at == NULL ? 0 : load_u64(at, r->is_big_endian);
}

const char *
wire_get_symbol(struct wire_reader *r, size_t *out_len)
{
	const uint8_t *at = r->at, *nul;

	if (r->bad != NULL)
		return NULL;
	nul = left(r) == 0 ? NULL : memchr(at, 0, left(r));
	if (nul == NULL) {
		r->bad = "a symbol has no end";
		return NULL;
	}
	*out_len = (size_t)(nul - at);
	r->at = nul + 1;
	return (const char *)at;
}

enum { ATTR_LONG_COUNT = 0x80 };

uint64_t
wire_get_count(struct wire_reader *r, size_t item_min, uint8_t *out_attr)
{
	uint8_t attr = wire_get_u8(r);
	bool is_long = (attr & ATTR_LONG_COUNT) != 0;
	uint64_t count = is_long ? wire_get_u64(r) : wire_get_u32(r);

	CHECK(item_min > 0);
	attr &= (uint8_t)~ATTR_LONG_COUNT;
	/* By division: a product could wrap. */
	if (count > left(r) / item_min)
		fail(r, "a count is larger than the frame");
	else if (attr > KA_GROUPED)
		fail(r, "the attribute is unknown");
	if (r->bad != NULL)
		count = attr = 0;
	else if (is_long)
		r->has_long_counts = true;
	if (out_attr != NULL)
		*out_attr = attr;
	return count;
}

size_t
wire_item_bytes(int type)
{
	static const uint8_t bytes[] = {
		[KT_BOOLEAN] = 1,   [KT_GUID] = 16,    [KT_BYTE] = 1,
		[KT_SHORT] = 2,	    [KT_INT] = 4,      [KT_LONG] = 8,
		[KT_REAL] = 4,	    [KT_FLOAT] = 8,    [KT_CHAR] = 1,
		[KT_TIMESTAMP] = 8, [KT_MONTH] = 4,    [KT_DATE] = 4,
		[KT_DATETIME] = 8,  [KT_TIMESPAN] = 8, [KT_MINUTE] = 4,
		[KT_SECOND] = 4,    [KT_TIME] = 4,
	};

	return type >= 0 && type < (int)ARRAY_LEN(bytes) ? bytes[type] : 0;
}

static bool
are_booleans(const uint8_t *at, size_t count)
{
	uint64_t seen = 0, word;

	for (; count >= sizeof(word); count -= sizeof(word)) {
		memcpy(&word, at, sizeof(word));
		seen |= word;
		at += sizeof(word);
	}
	while (count-- > 0)
		seen |= *at++;
	return (seen & 0xfefefefefefefefeu) == 0;
}

/* What the bytes of a word sum up to, if that is below 256. */
static inline uint64_t
sum_of_bytes(uint64_t word)
{
	return word * 0x0101010101010101u >> 56;
}

/* Counts NULs by words, and by four of them while there are many to count. */
void
wire_skip_symbols(struct wire_reader *r, uint64_t count)
{
	enum { WORD = sizeof(uint64_t), WORDS = 4 };
	const uint8_t *at = r->at;
	uint64_t nuls, cnt;

	if (r->bad != NULL || count == 0)
		return;
	for (; count > WORD && (size_t)(r->end - at) >= WORDS * WORD;
	     at += WORDS * WORD) {
		nuls = 0;
		for (unsigned i = 0; i < WORDS; i++)
			nuls += wire_nuls_at(at + i * WORD) >> 7;
		cnt = sum_of_bytes(nuls);
		if (cnt >= count)
			break;
		count -= cnt;
	}
	for (; (size_t)(r->end - at) >= WORD; at += WORD) {
		nuls = wire_nuls_at(at);
		cnt = sum_of_bytes(nuls >> 7);
		if (cnt >= count) {
			while (--count > 0)
				nuls &= nuls - 1; /* drops the first */
			r->at = at + __builtin_ctzll(nuls) / 8 + 1;
			return;
		}
		count -= cnt;
	}
	while (at < r->end) {
		if (*at++ == 0 && --count == 0) {
			r->at = at;
			return;
		}
	}
	r->bad = "a symbol has no end";
}

/* What a table or a dictionary needs to know about its parts. */
struct shape {
	int type;
	uint64_t count;
};

static struct shape skip_object(struct wire_reader *r, unsigned depth);

static void
skip_atom(struct wire_reader *r, int type)
{
	size_t bytes = wire_item_bytes(type), len;
	const uint8_t *at;

	if (type == KT_SYMBOL) {
		(void)wire_get_symbol(r, &len);
	} else if (bytes == 0) {
		fail(r, "the type of an atom is unknown");
	} else {
		at = take(r, bytes);
		if (at != NULL && type == KT_BOOLEAN && *at > 1)
			fail(r, "a boolean is neither 0 nor 1");
	}
}

static uint64_t
skip_vector(struct wire_reader *r, int type)
{
	size_t bytes = wire_item_bytes(type);
	const uint8_t *at;
	uint64_t count;

	if (type == KT_SYMBOL) {
		count = wire_get_count(r, 1, NULL);
		wire_skip_symbols(r, count);
		return count;
	}
	if (bytes == 0) {
		fail(r, "the type of a vector is unknown");
		return 0;
	}
	count = wire_get_count(r, bytes, NULL);
	at = take(r, count * bytes);
	if (at != NULL && type == KT_BOOLEAN && !are_booleans(at, count))
		fail(r, "a boolean is neither 0 nor 1");
	return count;
}

enum { LOOKS_SYMBOL = 2, LOOKS_OBJECT = 8 };

static inline void
look(struct wire_reader *r, uint64_t looks)
{
	r->looks += looks;
	if (r->looks_max > 0 && r->looks > r->looks_max)
		fail(r, wire_too_many);
}

/* Bytes of an atom with its type, by the type byte; 0: it is no atom of a fixed
 * width. */
static const uint8_t atom_bytes[256] = {
	[0xff] = 2, [0xfe] = 17, [0xfc] = 2, [0xfb] = 3, [0xfa] = 5, [0xf9] = 9,
	[0xf8] = 5, [0xf7] = 9,	 [0xf6] = 2, [0xf4] = 9, [0xf3] = 5, [0xf2] = 5,
	[0xf1] = 9, [0xf0] = 9,	 [0xef] = 5, [0xee] = 5, [0xed] = 5,
};

enum {
	ATOM_BOOLEAN = 0xff,
	ATOM_SYMBOL = 0xf5,
	ATOM_BYTES_MAX = 17,
	PRIMITIVE_MAX = 0x2c, /* of unary ones */
};

/* Whether four atoms of two bytes and of one type stand here. */
static bool
are_four_atoms(const uint8_t *at)
{
	const uint64_t types = 0x00ff00ff00ff00ffu;
	uint64_t word;

	memcpy(&word, at, sizeof(word));
	word = le64toh(word);
	if ((word & types) != *at * UINT64_C(0x0001000100010001))
		return false;
	return *at != ATOM_BOOLEAN || (word & 0xfe00fe00fe00fe00u) == 0;
}

/* Bytes of a vector of which any bytes are good, or of an empty list; 0 if it
 * is something else, or not whole. avail is at least ATOM_BYTES_MAX. */
static size_t
plain_vector_bytes(const uint8_t *at, size_t avail, bool is_big_endian)
{
	size_t bytes = wire_item_bytes(*at);
	uint64_t count = load_u32(at + 2, is_big_endian);

	if (at[1] > KA_GROUPED || *at == KT_BOOLEAN)
		return 0;
	if (bytes == 0 && (*at != KT_LIST || count > 0))
		return 0;
	count *= bytes;
	return count > avail - WIRE_LIST_HEADER_BYTES
		       ? 0
		       : WIRE_LIST_HEADER_BYTES + (size_t)count;
}

/* Bytes of the item of a list that stands here, if it is quickly told. */
static inline size_t
plain_bytes(const uint8_t *at, size_t avail, bool is_big_endian)
{
	uint64_t nuls;

	if (atom_bytes[*at] > 0)
		return *at == ATOM_BOOLEAN && at[1] > 1 ? 0 : atom_bytes[*at];
	if (*at == ATOM_SYMBOL) {
		nuls = wire_nuls_at(at + 1);
		return nuls == 0 ? 0 : 2 + (size_t)__builtin_ctzll(nuls) / 8;
	}
	if (*at == KT_UNARY)
		return at[1] <= PRIMITIVE_MAX || at[1] == 0xff ? 2 : 0;
	return *at <= KT_TIME ? plain_vector_bytes(at, avail, is_big_endian)
			      : 0;
}

/* Moves behind items of a list for which nothing more is to be looked at, and
 * returns how many of the count are left. */
static uint64_t
skip_plain(struct wire_reader *r, uint64_t count)
{
	uint64_t looks_max = r->looks_max > 0 ? r->looks_max : UINT64_MAX;
	const uint8_t *at = r->at;
	size_t len;

	while (count > 0 && r->end - at >= ATOM_BYTES_MAX &&
	       r->looks < looks_max) {
		if (count >= 4 && atom_bytes[*at] == 2 && are_four_atoms(at)) {
			at += 8;
			count -= 4;
			continue;
		}
		len = plain_bytes(at, (size_t)(r->end - at), r->is_big_endian);
		if (len == 0)
			break;
		r->looks += *at == ATOM_SYMBOL ? LOOKS_SYMBOL : 1;
		at += len;
		count--;
	}
	r->at = at;
	return count;
}

static void
skip_objects(struct wire_reader *r, uint64_t count, unsigned depth)
{
	if (depth > WIRE_DEPTH_MAX && count > 0)
		fail(r, "the objects are nested too deeply");
	while (count > 0 && r->bad == NULL) {
		count = skip_plain(r, count);
		if (count == 0)
			break;
		(void)skip_object(r, depth);
		count--;
	}
}

static bool
has_items(struct shape s)
{
	return (s.type >= KT_LIST && s.type <= KT_TIME) || s.type == KT_TABLE ||
	       s.type == KT_DICT || s.type == KT_SORTED_DICT;
}

/* A column may be a table: each row of it is then a dictionary. */
static uint64_t
skip_columns(struct wire_reader *r, uint64_t count, unsigned depth)
{
	uint64_t rows = 0;

	for (uint64_t i = 0; i < count && r->bad == NULL; i++) {
		struct shape column = skip_object(r, depth);

		if (!has_items(column))
			fail(r, "a column is not a list");
		else if (i > 0 && column.count != rows)
			fail(r, "the columns differ in length");
		rows = column.count;
	}
	return rows;
}

/*
 * kdb+ itself takes most tables that are refused here, but passing them on can
 * crash a subscriber that uses Kx's C library (section 7, "shape").
 */
static uint64_t
skip_table(struct wire_reader *r, unsigned depth)
{
	uint64_t names, columns;
	int type;

	if (wire_get_u8(r) > KA_GROUPED)
		fail(r, "the attribute is unknown");
	type = (int8_t)wire_get_u8(r);
	if (type != KT_DICT && type != KT_SORTED_DICT)
		fail(r, "the body of a table is not a dictionary");
	if (wire_get_u8(r) != KT_SYMBOL)
		fail(r, "the column names are not symbols");
	names = wire_get_count(r, 1, NULL);
	wire_skip_symbols(r, names);
	if (wire_get_u8(r) != KT_LIST)
		fail(r, "the columns are not a general list");
	columns = wire_get_count(r, 2, NULL);
	if (columns == 0)
		fail(r, "a table has no columns");
	if (columns != names)
		fail(r, "a table has not as many names as columns");
	return skip_columns(r, columns, depth + 1);
}

static uint64_t
skip_dict(struct wire_reader *r, unsigned depth)
{
	struct shape keys = skip_object(r, depth + 1);
	struct shape values = skip_object(r, depth + 1);

	if (!has_items(keys) || !has_items(values))
		fail(r, "a side of a dictionary is not a list");
	if (keys.count != values.count)
		fail(r, "the sides of a dictionary differ in length");
	return keys.count;
}

static void
skip_function(struct wire_reader *r, int type, unsigned depth)
{
	/* Greatest index of unary (101), binary (102), adverb (103). */
	static const uint8_t primitive_max[] = { PRIMITIVE_MAX, 0x24, 0x05 };
	uint64_t count;
	size_t len;
	uint8_t idx;

	switch (type) {
	case KT_LAMBDA:
		(void)wire_get_symbol(r, &len);
		if (wire_get_u8(r) != KT_CHAR)
			fail(r, "the text of a lambda is not a string");
		(void)take(r, wire_get_count(r, 1, NULL));
		break;
	case 101:
	case 102:
	case 103:
		idx = wire_get_u8(r);
		/* 101 with ff: an argument left out of a projection */
		if (idx > primitive_max[type - 101] &&
		    !(type == KT_UNARY && idx == 0xff))
			fail(r, "the primitive is unknown");
		break;
	case 104:
	case 105:
		count = wire_get_u32(r);
		if (count == 0 || count > left(r) / 2)
			fail(r, "a count does not fit a projection");
		else
			skip_objects(r, count, depth + 1);
		break;
	case 106:
	case 107:
	case 108:
	case 109:
	case 110:
	case 111:
		(void)skip_object(r, depth + 1);
		break;
	default:
		fail(r, "the type is unknown");
	}
}

/* depth is 1 for the outermost object. */
static struct shape
skip_object(struct wire_reader *r, unsigned depth)
{
	struct shape s = { .type = (int8_t)wire_get_u8(r), .count = 1 };

	if (depth > WIRE_DEPTH_MAX)
		fail(r, "the objects are nested too deeply");
	look(r, LOOKS_OBJECT);
	if (r->bad != NULL)
		return s;
	if (s.type < KT_LIST) {
		skip_atom(r, -s.type);
	} else if (s.type == KT_LIST) {
		s.count = wire_get_count(r, 2, NULL);
		skip_objects(r, s.count, depth + 1);
	} else if (s.type < KT_TABLE) {
		s.count = skip_vector(r, s.type);
	} else if (s.type == KT_TABLE) {
		s.count = skip_table(r, depth);
	} else if (s.type == KT_DICT || s.type == KT_SORTED_DICT) {
		s.count = skip_dict(r, depth);
	} else {
		skip_function(r, s.type, depth);
	}
	return s;
}

void
wire_skip(struct wire_reader *r)
{
	(void)skip_object(r, 1);
}

/* Moves from a table to its list of columns; returns how many there are. */
static uint64_t
enter_columns(struct wire_reader *r)
{
	(void)take(r, 4); /* table, attribute, dictionary, symbol vector */
	wire_skip_symbols(r, wire_get_count(r, 1, NULL));
	(void)wire_get_u8(r); /* the list of columns */
	return wire_get_count(r, 2, NULL);
}

uint64_t
wire_count(const struct wire_reader *r)
{
	struct wire_reader c = *r;

	/* Of a dictionary the keys, of a table the first column. */
	for (;;) {
		int type = c.at < c.end ? (int8_t)*c.at : 0;

		if (type == KT_TABLE) {
			(void)enter_columns(&c);
			continue;
		}
		(void)wire_get_u8(&c);
		if (type == KT_DICT || type == KT_SORTED_DICT)
			continue;
		return type < KT_LIST || type > KT_TIME
			       ? 1
			       : wire_get_count(&c, 1, NULL);
	}
}

bool
wire_has_flat_columns(const struct wire_reader *table)
{
	struct wire_reader c = *table;
	uint64_t cnt = enter_columns(&c);

	for (; cnt > 0 && c.bad == NULL; cnt--) {
		if ((int8_t)*c.at > KT_TIME)
			return false;
		wire_skip(&c);
	}
	return c.bad == NULL;
}

static const char *
check_error(const uint8_t *body, size_t len)
{
	const uint8_t *nul = memchr(body, 0, len);

	if (nul == NULL)
		return "the text of an error has no end";
	return nul == body + len - 1 ? NULL : "bytes follow the object";
}

static const char *
check(struct wire_reader r, bool *out_has_long_counts)
{
	if (left(&r) > 0 && (int8_t)*r.at == KT_ERROR) {
		const char *fault = check_error(r.at, left(&r));

		if (fault == NULL)
			*out_has_long_counts = false;
		return fault;
	}
	wire_skip(&r);
	if (r.bad != NULL)
		return r.bad;
	if (r.at != r.end)
		return "bytes follow the object";
	*out_has_long_counts = r.has_long_counts;
	return NULL;
}

const char *
wire_check_body(const uint8_t *body, size_t len, bool is_big_endian,
		bool *out_has_long_counts)
{
	return check(wire_reader(body, len, is_big_endian),
		     out_has_long_counts);
}

const char *
wire_check_bounded(const uint8_t *body, size_t len, bool is_big_endian,
		   bool *out_has_long_counts)
{
	struct wire_reader r = wire_reader(body, len, is_big_endian);

	wire_bound(&r);
	return check(r, out_has_long_counts);
}

/* ---- rewriting ---- */

struct rewrite {
	struct wire_reader in;
	uint8_t *out;
};

static void
copy_bytes(struct rewrite *c, size_t len)
{
	const uint8_t *at = take(&c->in, len);

	CHECK(at != NULL); /* the caller has checked the frame */
	memcpy(c->out, at, len);
	c->out += len;
}

static void
swap_items(uint8_t *out, const uint8_t *in, size_t bytes, size_t item_bytes)
{
	for (size_t i = 0; i < bytes; i += item_bytes)
		for (size_t j = 0; j < item_bytes; j++)
			out[i + j] = in[i + item_bytes - 1 - j];
}

static void
copy_items(struct rewrite *c, int type, uint64_t count)
{
	size_t item_bytes = wire_item_bytes(type), bytes = count * item_bytes;
	const uint8_t *at;

	if (item_bytes == 1 || type == KT_GUID || !c->in.is_big_endian) {
		copy_bytes(c, bytes);
		return;
	}
	at = take(&c->in, bytes);
	CHECK(at != NULL);
	swap_items(c->out, at, bytes, item_bytes);
	c->out += bytes;
}

static void
copy_symbols(struct rewrite *c, uint64_t count)
{
	const uint8_t *at = c->in.at;

	wire_skip_symbols(&c->in, count);
	CHECK(c->in.bad == NULL);
	memcpy(c->out, at, (size_t)(c->in.at - at));
	c->out += c->in.at - at;
}

static void
copy_u32(struct rewrite *c, uint32_t v)
{
	wire_store_u32(c->out, v);
	c->out += 4;
}

/* Attribute and count, which becomes one of 4 bytes. */
static uint64_t
copy_count(struct rewrite *c)
{
	uint8_t attr;
	uint64_t count = wire_get_count(&c->in, 1, &attr);

	CHECK(c->in.bad == NULL && count <= UINT32_MAX);
	*c->out++ = attr;
	copy_u32(c, (uint32_t)count);
	return count;
}

/* The atoms of a list that come next. Returns how many are left. */
static uint64_t
copy_atoms(struct rewrite *c, uint64_t count)
{
	const uint8_t *at = c->in.at;
	uint8_t *out = c->out;

	for (; count > 0 && at < c->in.end; count--) {
		size_t len = atom_bytes[*at];

		if (len == 2 && count >= 4 && c->in.end - at >= 8 &&
		    are_four_atoms(at)) {
			memcpy(out, at, 8);
			out += 8;
			at += 8;
			count -= 3;
			continue;
		}
		if (len == 0)
			break;
		*out = *at;
		if (c->in.is_big_endian && len < ATOM_BYTES_MAX)
			for (size_t i = 1; i < len; i++)
				out[i] = at[len - i];
		else
			memcpy(out + 1, at + 1, len - 1);
		out += len;
		at += len;
	}
	c->in.at = at;
	c->out = out;
	return count;
}

/* Recursion is bounded because the frame was checked. */
static void
copy_objects(struct rewrite *c, uint64_t count)
{
	while ((count = copy_atoms(c, count)) > 0) {
		int type = (int8_t)*c->in.at;

		count--;
		copy_bytes(c, 1);
		if (type == -KT_SYMBOL) {
			copy_symbols(c, 1);
		} else if (type == KT_LIST) {
			copy_objects(c, copy_count(c));
		} else if (type == KT_SYMBOL) {
			copy_symbols(c, copy_count(c));
		} else if (type < KT_TABLE) {
			copy_items(c, type, copy_count(c));
		} else if (type == KT_TABLE) {
			copy_bytes(c, 1);
			copy_objects(c, 1);
		} else if (type == KT_DICT || type == KT_SORTED_DICT) {
			copy_objects(c, 2);
		} else if (type == KT_LAMBDA) {
			copy_symbols(c, 1);
			copy_objects(c, 1);
		} else if (type < 104) {
			copy_bytes(c, 1);
		} else if (type < 106) {
			uint32_t parts = wire_get_u32(&c->in);

			copy_u32(c, parts);
			copy_objects(c, parts);
		} else {
			copy_objects(c, 1);
		}
	}
}

size_t
wire_rewrite(const uint8_t *frame, size_t len, uint8_t *out)
{
	struct rewrite c = {
		.in = wire_reader(frame, len, frame[0] == 0),
		.out = out,
	};
	size_t out_len;

	copy_bytes(&c, WIRE_HEADER_BYTES);
	if ((int8_t)*c.in.at == KT_ERROR)
		copy_bytes(&c, left(&c.in));
	else
		copy_objects(&c, 1);
	CHECK(left(&c.in) == 0);
	out_len = (size_t)(c.out - out);
	out[0] = 1;
	out[3] = (uint8_t)((uint64_t)out_len >> 32);
	wire_store_u32(out + 4, (uint32_t)out_len);
	return out_len;
}
