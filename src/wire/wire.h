/*
 * The kdb+ IPC format: frame header, handshake, a validating cursor over
 * objects, a bounded writer, and the rewriting of foreign frames to the one
 * form that ringtick relays.  Sections cited are those of doc/wire.md.
 *
 * Invariant: nothing here reads outside [at, end), whatever the bytes say,
 * allocates, or keeps a pointer.  Results point into the caller's input.
 * Called by: everything that reads or writes frames.  Never does I/O.
 */
#ifndef RINGTICK_WIRE_WIRE_H
#define RINGTICK_WIRE_WIRE_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
	WIRE_HEADER_BYTES = 8,
	WIRE_LIST_HEADER_BYTES = 6, /* type, attribute, 4-byte count */
	WIRE_LONG_COUNT = 0x80,	    /* attribute bit: the count has 8 bytes */
	WIRE_FRAME_MIN = 10,	    /* header and the smallest object */
	WIRE_DEPTH_MAX = 64,	    /* nesting of objects; q dies at 200,000 */
	WIRE_LOOKS_MIN = 2000000,   /* any message may need these: wire_bound */
	WIRE_CAPABILITY = 3,	    /* keeps frames below 2 GiB (section 1) */
};

enum wire_result {
	WIRE_OK,   /* a whole value was read */
	WIRE_MORE, /* a prefix of a possibly good value: bytes are missing */
	WIRE_BAD,  /* no continuation can make it good */
};

/* Byte 1 of the header. */
enum wire_message { WIRE_ASYNC, WIRE_SYNC, WIRE_RESPONSE };

/* First byte of an object, as signed; atoms of the first 19 are negated. */
enum wire_type {
	KT_LIST = 0,
	KT_BOOLEAN = 1,
	KT_GUID = 2,
	KT_BYTE = 4,
	KT_SHORT = 5,
	KT_INT = 6,
	KT_LONG = 7,
	KT_REAL = 8,
	KT_FLOAT = 9,
	KT_CHAR = 10,
	KT_SYMBOL = 11,
	KT_TIMESTAMP = 12,
	KT_MONTH = 13,
	KT_DATE = 14,
	KT_DATETIME = 15,
	KT_TIMESPAN = 16,
	KT_MINUTE = 17,
	KT_SECOND = 18,
	KT_TIME = 19,
	KT_TABLE = 98,
	KT_DICT = 99,
	KT_LAMBDA = 100,
	KT_UNARY = 101,
	KT_BINARY = 102,
	KT_ADVERB = 103,
	KT_PROJECTION = 104,
	KT_COMPOSITION = 105,
	KT_EACH = 106, /* from here on: one function inside */
	KT_EACH_RIGHT = 110,
	KT_EACH_LEFT = 111,
	KT_SORTED_DICT = 127,
	KT_ERROR = -128,
};

enum { KA_NONE, KA_SORTED, KA_UNIQUE, KA_PARTED, KA_GROUPED };

static inline bool
wire_is_atom(int type)
{
	return type >= -KT_TIME && type < KT_LIST;
}

/* Vectors and general lists. */
static inline bool
wire_is_list(int type)
{
	return type >= KT_LIST && type <= KT_TIME;
}

/* The width of an item of a vector or an atom, in bytes. */
struct wire_width {
	uint8_t item; /* 0: a symbol, or neither a vector nor an atom */
	uint8_t any;  /* the same if any bytes are a good item, else 0 */
};

/* Indexed by the type byte. */
extern const struct wire_width wire_widths[256];

/* 0 for symbols and for any type but those of vectors and atoms. */
static inline size_t
wire_item_bytes(int type)
{
	return wire_widths[(uint8_t)type].item;
}

/* ---- bytes ---- */

/* Little-endian; all bytes of the number must be readable. */

static inline uint32_t
wire_load_u32(const uint8_t *at)
{
	return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 |
	       (uint32_t)at[3] << 24;
}

static inline uint64_t
wire_load_u64(const uint8_t *at)
{
	return wire_load_u32(at) | (uint64_t)wire_load_u32(at + 4) << 32;
}

/* In the byte order of the message that holds the number. */
static inline uint32_t
wire_decode_u32(const uint8_t *at, bool is_big_endian)
{
	uint32_t v = wire_load_u32(at);

	return is_big_endian ? __builtin_bswap32(v) : v;
}

static inline uint64_t
wire_decode_u64(const uint8_t *at, bool is_big_endian)
{
	uint64_t v = wire_load_u64(at);

	return is_big_endian ? __builtin_bswap64(v) : v;
}

static inline void
wire_store_u32(uint8_t *at, uint32_t v)
{
	at[0] = (uint8_t)v;
	at[1] = (uint8_t)(v >> 8);
	at[2] = (uint8_t)(v >> 16);
	at[3] = (uint8_t)(v >> 24);
}

static inline void
wire_store_u64(uint8_t *at, uint64_t v)
{
	wire_store_u32(at, (uint32_t)v);
	wire_store_u32(at + 4, (uint32_t)(v >> 32));
}

/* Copies a mostly short string of bytes without a call of memcpy.  Returns the
 * end of the copy. */
static inline uint8_t *
wire_copy_short(uint8_t *to, const uint8_t *from, size_t len)
{
	if (len == 8) {
		memcpy(to, from, 8);
	} else if (len > 8) {
		memcpy(to, from, len);
	} else if (len >= 4) {
		memcpy(to, from, 4);
		memcpy(to + len - 4, from + len - 4, 4);
	} else {
		for (size_t i = 0; i < len; i++)
			to[i] = from[i];
	}
	return to + len;
}

/* A word with 0x80 in each byte that is zero at `at` and 0 in all others, the
 * first of the eight bytes lowest.  Exact: nothing carries between bytes. */
static inline uint64_t
wire_nuls_at(const uint8_t *at)
{
	const uint64_t low7 = 0x7f7f7f7f7f7f7f7fu;
	uint64_t word;

	memcpy(&word, at, sizeof(word));
	word = le64toh(word);
	return ~(((word & low7) + low7) | word | low7);
}

/* The length of the symbol at `at`, NUL included, if its NUL is among the next
 * eight bytes, else 0.  All eight must be readable. */
static inline size_t
wire_short_symbol(const uint8_t *at)
{
	uint64_t nuls = wire_nuls_at(at);

	return nuls == 0 ? 0 : (size_t)__builtin_ctzll(nuls) / 8 + 1;
}

/* The end of the symbol at `at`, just after its NUL; NULL if there is no NUL
 * before `end`.  Most symbols are short: testing eight bytes costs less than a
 * call of memchr. */
static inline const uint8_t *
wire_symbol_end(const uint8_t *at, const uint8_t *end)
{
	const uint8_t *nul;

	if (end - at >= 8) {
		size_t len = wire_short_symbol(at);

		if (len > 0)
			return at + len;
		at += 8;
	}
	nul = at < end ? memchr(at, 0, (size_t)(end - at)) : NULL;
	return nul == NULL ? NULL : nul + 1;
}

/* ---- frames (section 2) ---- */

struct wire_header {
	uint64_t len;	       /* bytes of the whole frame, header included */
	enum wire_message message;
	uint8_t compression;   /* 0, 1 or 2: width of the uncompressed length */
	bool is_big_endian;
};

/*
 * Reads the header of the frame that starts at `at`; `avail` bytes of the frame
 * have arrived (any number).  A length above len_max or below WIRE_FRAME_MIN is
 * WIRE_BAD; so is any unknown flag.  *out is set only on WIRE_OK; on WIRE_BAD
 * *why is a constant sentence for the log.
 */
enum wire_result wire_read_header(const uint8_t *at, size_t avail,
				  uint64_t len_max, struct wire_header *out,
				  const char **why);

/* ---- handshake (section 1) ---- */

struct wire_hello {
	const char *user; /* not terminated; may be empty */
	size_t user_len;
	const char *password; /* the same; NULL: there is no colon */
	size_t password_len;
	uint8_t capability; /* 0 where the client sent none */
	size_t consumed;    /* bytes used, the final NUL included */
};

/*
 * Reads `credentials [capability] NUL`, with credentials USER[:PASSWORD].
 * WIRE_MORE until the NUL has arrived; WIRE_BAD at once for HTTP, TLS and PROXY
 * protocol, with a constant sentence in *why.  *out is set only on WIRE_OK and
 * points into the input.  The caller limits avail and how long it waits.
 */
enum wire_result wire_read_hello(const uint8_t *at, size_t avail,
				 struct wire_hello *out, const char **why);

/* ---- reading objects (section 3) ---- */

/*
 * A cursor with a sticky error: after the first fault every read returns 0 or
 * NULL, does not move and keeps the first reason, so that a decoder can read
 * field after field and test `bad` once at the end.
 */
struct wire_reader {
	const uint8_t *at, *end;
	const char *bad;       /* NULL, or the first fault as a sentence */
	bool is_big_endian;
	bool has_long_counts; /* an 8-byte count (WIRE_LONG_COUNT) was read */
	uint64_t looks, looks_max; /* see wire_bound; looks_max 0: no limit */
};

/* The fault of a message that needs more looks than wire_bound allows. */
extern const char wire_too_many[];

/* Records a fault; only the first one is kept. */
static inline void
wire_fail(struct wire_reader *r, const char *why)
{
	if (r->bad == NULL)
		r->bad = why;
}

static inline struct wire_reader
wire_reader(const uint8_t *at, size_t len, bool is_big_endian)
{
	return (struct wire_reader){ .at = at,
				     .end = at + len,
				     .is_big_endian = is_big_endian };
}

/*
 * Limits the work of wire_skip on a message from outside: a byte of a tiny
 * object takes a hundred times as long as a byte of a long vector.  The work is
 * counted in looks.  An atom or a vector in a list costs one look, a symbol
 * two, any other object eight; four one-byte atoms of one type in a row cost
 * nothing.  A message may need WIRE_LOOKS_MIN looks (about 10 ms) or one for
 * every eight of its bytes, whichever is more.  Messages that were accepted
 * before are read without a limit: a batch holds the objects of many messages.
 */
static inline void
wire_bound(struct wire_reader *r)
{
	uint64_t len = (uint64_t)(r->end - r->at);

	r->looks_max = len < 8 * (uint64_t)WIRE_LOOKS_MIN ? WIRE_LOOKS_MIN
							  : len / 8;
	if (r->is_big_endian) /* wire_rewrite visits every object again */
		r->looks_max /= 2;
}

uint8_t wire_get_u8(struct wire_reader *r);
uint32_t wire_get_u32(struct wire_reader *r);
uint64_t wire_get_u64(struct wire_reader *r);

/* Returns the next len bytes, in the input, and moves past them.  NULL on
 * fault. */
const uint8_t *wire_get_bytes(struct wire_reader *r, size_t len);

/*
 * Returns the symbol at r->at, in the input, and moves past its NUL; r->at must
 * be after the type byte.  *out_len excludes the NUL and is set only on
 * success.  NULL on fault.
 */
const char *wire_get_symbol(struct wire_reader *r, size_t *out_len);

/* Moves past count symbols, each with its NUL. */
void wire_skip_symbols(struct wire_reader *r, uint64_t count);

/*
 * Reads the attribute and the count of a vector or list; r->at must be after
 * the type byte.  Checks the attribute (0..4) and that count items of at least
 * item_min (> 0) bytes each fit the remaining bytes.  Returns the count, and 0
 * on fault.  out_attr may be NULL.
 */
uint64_t wire_get_count(struct wire_reader *r, size_t item_min,
			uint8_t *out_attr);

/*
 * Validates one object by the rules of section 3, and of shapes, and moves past
 * it.  A table is a dictionary of a symbol vector and as many columns, which
 * are lists, tables or dictionaries of equal length; the sides of a dictionary
 * have equal lengths; a boolean is 0 or 1; a primitive is a known one.  Objects
 * nest WIRE_DEPTH_MAX deep at most.  An error object
 * (-128) is a fault: it is valid only as a whole message (wire_check_body).
 */
void wire_skip(struct wire_reader *r);

/* The number of items of the object at r->at: 1 for an atom, the rows of a
 * table.  Does not move r.  Only for an object that wire_skip accepted. */
uint64_t wire_count(const struct wire_reader *r);

/* Where a table's names and columns are. */
struct wire_table {
	struct wire_reader names;   /* at the first name */
	const uint8_t *list;	    /* the object that holds all columns */
	struct wire_reader columns; /* at the first column */
	uint64_t columns_cnt;	    /* there are as many names */
};

/* Only for a table that wire_skip accepted. */
struct wire_table wire_open_table(const struct wire_reader *table);

/* Whether each column of the table is a list: in q, a column may also be a
 * table or a dictionary.  Only for a table that wire_skip accepted. */
bool wire_has_flat_columns(const struct wire_reader *table);

/*
 * Validates the whole body of an uncompressed frame: one object that ends
 * exactly at the end; an error object is allowed.  Returns NULL if the body is
 * good, else the reason as a constant sentence.  *out_has_long_counts, set only
 * for a good body, tells whether it has 8-byte counts, which wire_rewrite
 * shortens.
 */
const char *wire_check_body(const uint8_t *body, size_t len,
			    bool is_big_endian, bool *out_has_long_counts);

/* The same within the limit of wire_bound: the reason may also be
 * wire_too_many. */
const char *wire_check_bounded(const uint8_t *body, size_t len,
			       bool is_big_endian, bool *out_has_long_counts);

/*
 * Copies an uncompressed, *checked* frame to out in the form that ringtick
 * relays: little-endian, 4-byte counts.  Returns the length of the copy, which
 * is never above len.  out must have room for len bytes and must not overlap
 * the input.
 */
size_t wire_rewrite(const uint8_t *frame, size_t len, uint8_t *out);

/* ---- writing (write.c) ---- */

/* Appends to [base, end), always little-endian.  A write that does not fit sets
 * is_full; it and all later writes write nothing. */
struct wire_writer {
	uint8_t *base, *at, *end;
	bool is_full;
};

static inline struct wire_writer
wire_writer(uint8_t *base, size_t len)
{
	return (struct wire_writer){ .base = base,
				     .at = base,
				     .end = base + len };
}

/* The bytes written so far. */
static inline size_t
wire_written(const struct wire_writer *w)
{
	return (size_t)(w->at - w->base);
}

void wire_put_bytes(struct wire_writer *w, const void *bytes, size_t len);
void wire_put_u8(struct wire_writer *w, uint8_t v);
void wire_put_u32(struct wire_writer *w, uint32_t v);
void wire_put_u64(struct wire_writer *w, uint64_t v);
/* type byte, attribute, count: the header of a vector or general list */
void wire_put_list(struct wire_writer *w, int type, uint8_t attr,
		   uint32_t count);
/* the bytes and a NUL, without a type byte: one item of a symbol vector */
void wire_put_symbol_item(struct wire_writer *w, const char *s, size_t len);
void wire_put_symbol(struct wire_writer *w, const char *s); /* an atom */
void wire_put_string(struct wire_writer *w, const char *s); /* char vector */
void wire_put_long(struct wire_writer *w, int64_t v);
void wire_put_int(struct wire_writer *w, int32_t v);
void wire_put_date(struct wire_writer *w, int32_t days);
void wire_put_null(struct wire_writer *w);		    /* :: */
void wire_put_error(struct wire_writer *w, const char *text);

/* Writes a header with a length of 0; returns the header's offset from base.
 * wire_end_frame writes the length into it, unless the writer is full. */
size_t wire_begin_frame(struct wire_writer *w, enum wire_message message);
void wire_end_frame(struct wire_writer *w, size_t header_off);

#endif
