#include "config.h"

#include "wire/skip.h"

#include "base/util.h"

/* Two entries of the table: for the vector and for the atom. */
#define WIDTH(type, item, any) \
	[type] = { item, any }, [256 - (type)] = { item, any }

/* clang-format off */
const struct wire_width wire_widths[256] = {
	WIDTH(KT_BOOLEAN, 1, 0), /* 0 and 1 are good */
	WIDTH(KT_GUID, 16, 16),
	WIDTH(KT_BYTE, 1, 1),
	WIDTH(KT_SHORT, 2, 2),
	WIDTH(KT_INT, 4, 4),
	WIDTH(KT_LONG, 8, 8),
	WIDTH(KT_REAL, 4, 4),
	WIDTH(KT_FLOAT, 8, 8),
	WIDTH(KT_CHAR, 1, 1),
	WIDTH(KT_TIMESTAMP, 8, 8),
	WIDTH(KT_MONTH, 4, 4),
	WIDTH(KT_DATE, 4, 4),
	WIDTH(KT_DATETIME, 8, 8),
	WIDTH(KT_TIMESPAN, 8, 8),
	WIDTH(KT_MINUTE, 4, 4),
	WIDTH(KT_SECOND, 4, 4),
	WIDTH(KT_TIME, 4, 4),
};
/* clang-format on */

/* ---- symbols ---- */

/* The sum of the bytes of a word; it must be below 256. */
static inline uint64_t
sum_of_bytes(uint64_t word)
{
	return word * 0x0101010101010101u >> 56;
}

/* Counts NULs a word at a time, four words at a time while many symbols are
 * left. */
const uint8_t *
skip_many_symbols(const uint8_t *at, const uint8_t *end, uint64_t count)
{
	enum { WORD = sizeof(uint64_t), WORDS = 4 };
	uint64_t nuls, cnt;

	for (; count > WORD && (size_t)(end - at) >= WORDS * WORD;
	     at += WORDS * WORD) {
		nuls = 0;
		for (unsigned i = 0; i < WORDS; i++)
			nuls += wire_nuls_at(at + i * WORD) >> 7;
		cnt = sum_of_bytes(nuls);
		if (cnt >= count)
			break;
		count -= cnt;
	}
	for (; (size_t)(end - at) >= WORD; at += WORD) {
		nuls = wire_nuls_at(at);
		cnt = sum_of_bytes(nuls >> 7);
		if (cnt >= count) {
			while (--count > 0)
				nuls &= nuls - 1; /* drops the first */
			return at + __builtin_ctzll(nuls) / 8 + 1;
		}
		count -= cnt;
	}
	while (count > 0) {
		if (at == end)
			return NULL;
		count -= *at++ == 0;
	}
	return at;
}

/* ---- by all rules ---- */

const char wire_too_many[] = "the message has too many objects";

void
wire_skip_symbols(struct wire_reader *r, uint64_t count)
{
	const uint8_t *at =
		r->bad == NULL ? skip_symbols(r->at, r->end, count) : r->at;

	if (at != NULL)
		r->at = at;
	else
		r->bad = "a symbol has no end";
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

/* The properties of an object that the table or dictionary around it checks. */
struct shape {
	int type;
	uint64_t count;
};

static struct shape pass_object(struct wire_reader *r, unsigned depth);

static void
pass_atom(struct wire_reader *r, int type)
{
	size_t bytes = wire_item_bytes(type), len;
	const uint8_t *at;

	if (type == KT_SYMBOL) {
		(void)wire_get_symbol(r, &len);
	} else if (bytes == 0) {
		wire_fail(r, "the type of an atom is unknown");
	} else {
		at = wire_get_bytes(r, bytes);
		if (at != NULL && type == KT_BOOLEAN && *at > 1)
			wire_fail(r, "a boolean is neither 0 nor 1");
	}
}

static uint64_t
pass_vector(struct wire_reader *r, int type)
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
		wire_fail(r, "the type of a vector is unknown");
		return 0;
	}
	count = wire_get_count(r, bytes, NULL);
	at = wire_get_bytes(r, count * bytes);
	if (at != NULL && type == KT_BOOLEAN && !are_booleans(at, count))
		wire_fail(r, "a boolean is neither 0 nor 1");
	return count;
}

enum { LOOKS_SYMBOL = 2, LOOKS_OBJECT = 8 };

static inline void
count_looks(struct wire_reader *r, uint64_t looks)
{
	r->looks += looks;
	if (r->looks_max > 0 && r->looks > r->looks_max)
		wire_fail(r, wire_too_many);
}

enum {
	ATOM_BOOLEAN = 256 - KT_BOOLEAN,
	ATOM_SYMBOL = 256 - KT_SYMBOL,
	ATOM_BYTES_MAX = 17,
	PRIMITIVE_MAX = 0x2c, /* the greatest index of a unary primitive */
};

/* The length of a vector whose values need no check, or of an empty list; 0 if
 * the object is another one or incomplete.  avail must be at least
 * ATOM_BYTES_MAX. */
static size_t
plain_vector_bytes(const uint8_t *at, size_t avail, bool is_big_endian)
{
	size_t bytes = wire_widths[*at].any;
	uint64_t count = wire_decode_u32(at + 2, is_big_endian);

	if (at[1] > KA_GROUPED)
		return 0;
	if (bytes == 0 && (*at != KT_LIST || count > 0))
		return 0;
	count *= bytes;
	return count > avail - WIRE_LIST_HEADER_BYTES
		       ? 0
		       : WIRE_LIST_HEADER_BYTES + (size_t)count;
}

/* The length of a well-formed list item of a usual kind; 0 if the item has to
 * be read by pass_object.  avail as above. */
static inline size_t
plain_bytes(const uint8_t *at, size_t avail, bool is_big_endian)
{
	size_t len = skip_atom_bytes(*at);

	if (len > 0)
		return *at == ATOM_BOOLEAN && at[1] > 1 ? 0 : len;
	if (*at == ATOM_SYMBOL) {
		len = wire_short_symbol(at + 1);
		return len == 0 ? 0 : 1 + len;
	}
	if (*at == KT_UNARY)
		return at[1] <= PRIMITIVE_MAX || at[1] == 0xff ? 2 : 0;
	return *at <= KT_TIME ? plain_vector_bytes(at, avail, is_big_endian)
			      : 0;
}

/* Moves past the items of a list up to the first that has to be read by
 * pass_object.  Returns how many of the count are left. */
static uint64_t
pass_plain(struct wire_reader *r, uint64_t count)
{
	uint64_t looks_max = r->looks_max > 0 ? r->looks_max : UINT64_MAX;
	const uint8_t *at = r->at;
	size_t len;

	while (count > 0 && r->end - at >= ATOM_BYTES_MAX &&
	       r->looks < looks_max) {
		if (count >= 4 && skip_atom_bytes(*at) == 2 &&
		    skip_are_four_atoms(at)) {
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
pass_objects(struct wire_reader *r, uint64_t count, unsigned depth)
{
	if (depth > WIRE_DEPTH_MAX && count > 0)
		wire_fail(r, "the objects are nested too deeply");
	while (count > 0 && r->bad == NULL) {
		count = pass_plain(r, count);
		if (count == 0)
			break;
		(void)pass_object(r, depth);
		count--;
	}
}

static bool
has_items(struct shape s)
{
	return wire_is_list(s.type) || s.type == KT_TABLE ||
	       s.type == KT_DICT || s.type == KT_SORTED_DICT;
}

/* A column may be a table, whose rows are then the column's items. */
static uint64_t
pass_columns(struct wire_reader *r, uint64_t count, unsigned depth)
{
	uint64_t rows = 0;

	for (uint64_t i = 0; i < count && r->bad == NULL; i++) {
		struct shape column = pass_object(r, depth);

		if (!has_items(column))
			wire_fail(r, "a column is not a list");
		else if (i > 0 && column.count != rows)
			wire_fail(r, "the columns differ in length");
		rows = column.count;
	}
	return rows;
}

/*
 * kdb+ itself accepts most of the tables that are refused here, but relaying
 * them can crash a subscriber that uses Kx's C library.
 */
static uint64_t
pass_table(struct wire_reader *r, unsigned depth)
{
	uint64_t names, columns;
	int type;

	if (wire_get_u8(r) > KA_GROUPED)
		wire_fail(r, "the attribute is unknown");
	type = (int8_t)wire_get_u8(r);
	if (type != KT_DICT && type != KT_SORTED_DICT)
		wire_fail(r, "the body of a table is not a dictionary");
	if (wire_get_u8(r) != KT_SYMBOL)
		wire_fail(r, "the column names are not symbols");
	names = wire_get_count(r, 1, NULL);
	wire_skip_symbols(r, names);
	if (wire_get_u8(r) != KT_LIST)
		wire_fail(r, "the columns are not a general list");
	columns = wire_get_count(r, 2, NULL);
	if (columns == 0)
		wire_fail(r, "a table has no columns");
	if (columns != names)
		wire_fail(r, "a table has not as many names as columns");
	return pass_columns(r, columns, depth + 1);
}

static uint64_t
pass_dict(struct wire_reader *r, unsigned depth)
{
	struct shape keys = pass_object(r, depth + 1);
	struct shape values = pass_object(r, depth + 1);

	if (!has_items(keys) || !has_items(values))
		wire_fail(r, "a side of a dictionary is not a list");
	if (keys.count != values.count)
		wire_fail(r, "the sides of a dictionary differ in length");
	return keys.count;
}

static void
pass_function(struct wire_reader *r, int type, unsigned depth)
{
	/* The greatest index of unary and binary primitives and adverbs. */
	static const uint8_t primitive_max[] = { PRIMITIVE_MAX, 0x24, 0x05 };
	uint64_t count;
	size_t len;
	uint8_t idx;

	switch (type) {
	case KT_LAMBDA:
		(void)wire_get_symbol(r, &len);
		if (wire_get_u8(r) != KT_CHAR)
			wire_fail(r, "the text of a lambda is not a string");
		(void)wire_get_bytes(r, wire_get_count(r, 1, NULL));
		break;
	case KT_UNARY:
	case KT_BINARY:
	case KT_ADVERB:
		idx = wire_get_u8(r);
		/* unary 0xff: an argument left out of a projection */
		if (idx > primitive_max[type - KT_UNARY] &&
		    !(type == KT_UNARY && idx == 0xff))
			wire_fail(r, "the primitive is unknown");
		break;
	case KT_PROJECTION:
	case KT_COMPOSITION:
		count = wire_get_u32(r);
		if (count == 0 || count > (size_t)(r->end - r->at) / 2)
			wire_fail(r, "a count does not fit a projection");
		else
			pass_objects(r, count, depth + 1);
		break;
	case KT_EACH:
	case KT_EACH + 1:
	case KT_EACH + 2:
	case KT_EACH + 3:
	case KT_EACH_RIGHT:
	case KT_EACH_LEFT:
		(void)pass_object(r, depth + 1);
		break;
	default:
		wire_fail(r, "the type is unknown");
	}
}

/* depth is 1 for the outermost object. */
static struct shape
pass_object(struct wire_reader *r, unsigned depth)
{
	struct shape s = { .type = (int8_t)wire_get_u8(r), .count = 1 };

	if (depth > WIRE_DEPTH_MAX)
		wire_fail(r, "the objects are nested too deeply");
	count_looks(r, LOOKS_OBJECT);
	if (r->bad != NULL)
		return s;
	if (s.type < KT_LIST) {
		pass_atom(r, -s.type);
	} else if (s.type == KT_LIST) {
		s.count = wire_get_count(r, 2, NULL);
		pass_objects(r, s.count, depth + 1);
	} else if (s.type < KT_TABLE) {
		s.count = pass_vector(r, s.type);
	} else if (s.type == KT_TABLE) {
		s.count = pass_table(r, depth);
	} else if (s.type == KT_DICT || s.type == KT_SORTED_DICT) {
		s.count = pass_dict(r, depth);
	} else {
		pass_function(r, s.type, depth);
	}
	return s;
}

void
wire_skip(struct wire_reader *r)
{
	(void)pass_object(r, 1);
}

struct wire_table
wire_open_table(const struct wire_reader *table)
{
	struct wire_reader r = *table;
	struct wire_table t;

	(void)wire_get_bytes(&r, 4); /* table, attribute, dictionary, symbols */
	t.columns_cnt = wire_get_count(&r, 1, NULL);
	t.names = r;
	wire_skip_symbols(&r, t.columns_cnt);
	t.list = r.at;
	(void)wire_get_u8(&r); /* the list of columns */
	(void)wire_get_count(&r, 2, NULL);
	t.columns = r;
	return t;
}

uint64_t
wire_count(const struct wire_reader *r)
{
	struct wire_reader c = *r;

	/* The keys of a dictionary and the first column of a table count. */
	for (;;) {
		int type = c.at < c.end ? (int8_t)*c.at : 0;

		if (type == KT_TABLE) {
			c = wire_open_table(&c).columns;
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
	struct wire_table t = wire_open_table(table);
	uint64_t cnt = t.columns_cnt;

	for (; cnt > 0 && t.columns.bad == NULL; cnt--) {
		if ((int8_t)*t.columns.at > KT_TIME)
			return false;
		wire_skip(&t.columns);
	}
	return t.columns.bad == NULL;
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
check_object(struct wire_reader r, bool *out_has_long_counts)
{
	if (r.at < r.end && (int8_t)*r.at == KT_ERROR) {
		const char *fault = check_error(r.at, (size_t)(r.end - r.at));

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
	return check_object(wire_reader(body, len, is_big_endian),
			    out_has_long_counts);
}

const char *
wire_check_bounded(const uint8_t *body, size_t len, bool is_big_endian,
		   bool *out_has_long_counts)
{
	struct wire_reader r = wire_reader(body, len, is_big_endian);

	wire_bound(&r);
	return check_object(r, out_has_long_counts);
}

/* ---- short ways ---- */

/*
 * The end of a vector or atom; NULL for any other object, and for the types and
 * the last bytes that are left to wire_skip.  A vector of one item has a branch
 * with a constant length: the processor then starts with the next column before
 * it has read this one.
 */
static inline const uint8_t *
quick_end(const uint8_t *at, const uint8_t *end)
{
	const uint64_t one = 0x0000000100000000u >> 16;
	uint64_t head, bytes;

	if (end - at < 16)
		return NULL;
	memcpy(&head, at, sizeof(head));
	head = le64toh(head) & 0xffffffffffffu;
	if (head == (one | KT_SYMBOL))
		return wire_symbol_end(at + 6, end);
	bytes = wire_widths[head & 0xff].any;
	if (bytes == 8 && (head & 0xffffffffff80u) == one)
		return at + 14;
	if (bytes == 4 && (head & 0xffffffffff80u) == one)
		return at + 10;
	if ((head & 0x80) != 0)
		return bytes > 0 && bytes < (uint64_t)(end - at)
			       ? at + 1 + bytes
		       : at[0] == 256 - KT_SYMBOL ? wire_symbol_end(at + 1, end)
						  : NULL;
	bytes *= head >> 16;
	if (bytes == 0 || at[1] > KA_GROUPED ||
	    bytes > (uint64_t)(end - at - 6))
		return NULL;
	return at + 6 + bytes;
}

/* The same by wire_skip; NULL for objects that contain objects: their depth
 * counts from the list around them, not from `at`. */
static const uint8_t *
flat_end(const uint8_t *at, const uint8_t *end)
{
	struct wire_reader r = wire_reader(at, (size_t)(end - at), false);

	if (at == end || at[0] == KT_LIST ||
	    (at[0] >= KT_TABLE && at[0] <= KT_SORTED_DICT))
		return NULL;
	wire_skip(&r);
	return r.bad == NULL ? r.at : NULL;
}

const uint8_t *
skip_columns(const uint8_t *at, const uint8_t *end)
{
	uint32_t count;

	if (end - at < 6 || at[0] != KT_LIST || at[1] > KA_GROUPED)
		return NULL;
	count = wire_load_u32(at + 2);
	at += 6;
	for (; count > 0; count--) {
		const uint8_t *next = quick_end(at, end);

		if (next == NULL)
			next = flat_end(at, end);
		if (next == NULL)
			return NULL;
		at = next;
	}
	return at;
}

/* ---- by lengths alone ---- */

enum { OBJECT_MIN = 2 }; /* bytes of the smallest object */

/* Moves past the symbols of the walk that end before `end`; a symbol that does
 * not is continued by the next call.  Whether all have ended. */
static bool
pass_symbols(struct skip_walk *w, const uint8_t **at, const uint8_t *end)
{
	const uint8_t *next = skip_symbols(*at, end, w->symbols);

	if (next != NULL) {
		w->symbols = 0;
		*at = next;
		return true;
	}
	while ((next = wire_symbol_end(*at, end)) != NULL) {
		*at = next;
		w->symbols--;
	}
	*at = end;
	return false;
}

enum skip_result
skip_more(struct skip_walk *w, const uint8_t **at, const uint8_t *end)
{
	enum skip_result result;
	struct skip_shell shell;

	for (;;) {
		uint64_t bytes = min_u64(w->bytes, (uint64_t)(end - *at));

		*at += bytes;
		w->bytes -= bytes;
		if (w->bytes > 0 || !pass_symbols(w, at, end))
			return SKIP_SHORT;
		if (w->objects == 0)
			return SKIP_WHOLE;
		result = skip_read_shell(*at, (size_t)(end - *at), false,
					 &shell);
		if (result != SKIP_WHOLE)
			return result;
		*at += shell.header;
		w->objects += shell.objects - 1;
		w->bytes = shell.bytes;
		w->symbols = shell.symbols;
		if (w->bytes + w->symbols + OBJECT_MIN * w->objects >
		    SKIP_CLAIM_MAX)
			return SKIP_UNKNOWN;
	}
}

enum skip_result
skip_by_lengths(const uint8_t **at, const uint8_t *end)
{
	struct skip_walk walk = SKIP_WALK_BEGIN;
	const uint8_t *next = *at;
	enum skip_result result = skip_more(&walk, &next, end);

	if (result == SKIP_WHOLE)
		*at = next;
	return result;
}

const uint8_t *
skip_checked_nested(const uint8_t *at, const uint8_t *end)
{
	CHECK(skip_by_lengths(&at, end) == SKIP_WHOLE);
	return at;
}
