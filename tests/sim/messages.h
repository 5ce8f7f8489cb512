/*
 * What feeds send and what comes out of it, byte by byte: a codec of its own,
 * which shares nothing with the daemon's.  An update is named by its feed and
 * its number; all else of it follows from these two, so the judge needs only
 * the names to know the bytes.
 */
#ifndef RINGTICK_TESTS_SIM_MESSAGES_H
#define RINGTICK_TESTS_SIM_MESSAGES_H

#include "sim.h"

enum { TABLE_NOTE, TABLE_QUOTE, TABLE_TRADE, TABLES };
enum { TABLES_ALL = (1 << TABLES) - 1, SYMBOLS = 12, SYMBOLS_ALL = -1 };
enum { HEADER_BYTES = 8 }; /* of a frame */

extern const char *const table_names[TABLES];
extern const char *const symbol_names[SYMBOLS];

/* How the schema of this run of the daemon differs from the usual one. */
struct schema_form {
	unsigned lacks;	   /* bits: tables that it does not have, ... */
	unsigned mistyped; /* ... whose last column has another type, ... */
	unsigned widened;  /* ... and which have one column more */
	bool is_renamed;   /* the last columns have other names */
	bool is_unchecked; /* types are not checked */
};

extern struct schema_form schema;

/* Writes it as the configuration has it. */
void put_schema(char *to, size_t room);

struct update {
	unsigned feed;
	uint32_t number;
};

/* The rows that a subscriber wants: of these tables (bits), and of each all
 * symbols or those in a set (bits). */
struct selection {
	unsigned tables;
	int symbols[TABLES];
};

enum { CALL_NAMES = 5 };

/* How an update is sent. */
struct form {
	bool is_sync;
	bool is_big_endian;
	bool is_table;	   /* not a list of columns */
	bool is_stamped;   /* the daemon puts the time in front */
	unsigned name;     /* by which the daemon is called, of CALL_NAMES */
	bool is_compressed; /* if that makes it shorter */
};

/* Some updates have up to so many rows; 0: none has more than 64. */
extern unsigned messages_big_rows;

/* Whether a selection gets anything of an update. */
bool update_is_wanted(struct update u, struct selection s);
unsigned update_table(struct update u);

/* Whether the schema, as it is now, accepts an update. */
bool update_fits(struct update u);

/* What a feed sends.  With one of WRONG_KINDS it cannot be accepted. */
enum { WRONG_KINDS = 5 };
void put_update(struct bytes *b, struct update u, struct form form);
void put_wrong_update(struct bytes *b, struct form form, unsigned kind);

/* A request: a text.  */
void put_request(struct bytes *b, const char *text, bool is_sync);

/* What tick.q answers to `tables[]` with those in a set, and to the name of a
 * table: as .u.sub, with `g# on sym. */
void put_names_reply(struct bytes *b, unsigned tables);
void put_table_reply(struct bytes *b, unsigned table);

/* What subscribers get, and what is in the journal; stamp_ns: the time in its
 * rows. */
void put_message(struct bytes *b, struct update u, int64_t stamp_ns,
		 struct selection s);
void put_record(struct bytes *b, struct update u, int64_t stamp_ns);

/* Updates of one table, published together. */
struct part {
	struct update u;
	int64_t stamp_ns;
};

void put_batch(struct bytes *b, const struct part *parts, size_t cnt,
	       struct selection s, bool is_grouped);

/* The time that a feed puts into the rows of an update itself. */
int64_t update_time(struct update u);

/* ---- reading ---- */

/* Bytes that are read one item after the other, little-endian. */
struct in {
	const uint8_t *at, *end;
	bool is_short; /* there was less than was read: the rest is 0 */
};

uint64_t in_get(struct in *i, unsigned len);
void in_get_name(struct in *i, char *out, size_t room);

enum seen_kind {
	SEEN_MORE, /* the bytes are the beginning of something */
	SEEN_UPDATE,
	SEEN_END,   /* (`.u.end;date) */
	SEEN_SKIPS, /* (`.ringtick.skipped;from;to) */
	SEEN_REPLY,
	SEEN_ERROR,
	SEEN_BAD,
};

struct seen {
	enum seen_kind kind;
	size_t len;
	struct update update;
	int64_t stamp_ns;
	int32_t day;	     /* of an end */
	int64_t numbers[4];  /* of a reply that is a list of them; or skips */
	unsigned numbers_cnt;
	char error[64];
};

/* A row of .ringtick.lag[], or a line of the log about a consumer. */
struct figures {
	char user[16], state[16], policy[16];
	char tls[16], certificate[16]; /* "": none; not in the log */
	unsigned port; /* of the client */
	int64_t lag_bytes, lag_records, lag_ms, ring_pct, kernel_bytes,
		sent_bytes, high_bytes, skips, skipped, spills, journal_records,
		journal_ms;
};

/* The table in a reply: struct figures. */
void read_figures(const uint8_t *at, size_t len, struct bytes *out);

/* The figures of a line; false: it has none. */
bool read_figures_line(const char *line, size_t len, struct figures *out);

/* The updates whose rows are in a published message: struct part. */
void read_parts(const uint8_t *at, size_t len, struct bytes *out);
struct seen read_frame(const uint8_t *at, size_t len);
struct seen read_record(const uint8_t *at, size_t len);

#endif
