/*
 * For the tests of streams and consumers: tables, frames whose every byte
 * follows from a number, and random walks that can be repeated
 * (RINGTICK_SEED=number).  Failures here end the test program.
 */
#ifndef RINGTICK_TESTS_FRAMES_H
#define RINGTICK_TESTS_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schema/schema.h"
#include "ring/streams.h"

/* ---- chance ---- */

struct chance {
	uint64_t state;
};

/* Prints the seed, so that a failure can be repeated. */
struct chance chance_start(const char *what);

uint64_t chance_bits(struct chance *c);

/* 0 .. below - 1 */
uint64_t chance_below(struct chance *c, uint64_t below);

/* from .. to */
uint64_t chance_between(struct chance *c, uint64_t from, uint64_t to);

/* ---- tables ---- */

/* Makes a finished schema of the text of a sym.q. */
void schema_of(struct schema *s, const char *text);

/* quote, ref, trade (in the order of their numbers) */
void schema_of_three(struct schema *s);

/* The tables of the test program; set-ups and the tear-down of its group. */
extern struct schema schema;
int schema_open_three(void **state);
int schema_open_texts(void **state); /* one table t of texts */
int schema_close(void **state);

/* The table of a name; there is one. */
const struct schema_table *schema_named(const struct schema *s,
					const char *name);

/* ---- frames ---- */

enum {
	FRAME_RECORD_MIN = 96, /* holds the prefix of each of the three */
	FRAME_MARK_BYTES = 27,
};

/*
 * Writes a record of table t, or a mark if t is NULL; len is then ignored.  The
 * bytes after the prefix are no table that q could read: streams do not look at
 * them.  Returns the length.
 */
size_t frame_make(uint8_t *at, const struct schema_table *t, uint64_t number,
		  size_t len);

/* Commits a frame of frame_make; false if there is no room for it. */
bool frame_put(struct stream *s, const struct schema_table *t, uint64_t number,
	       size_t len, int64_t now_ns);

/* The same in the main stream, counted for its table. */
bool streams_put(struct streams *all, const struct schema_table *t,
		 uint64_t number, size_t len, int64_t now_ns);

/* Writes bytes that are no frame of a stream, such as a reply. */
void bytes_make(uint8_t *at, uint64_t number, size_t len);

/* ---- streams ---- */

/* Opens empty streams that begin at pos, as if that many bytes had gone
 * through. */
void streams_open_at(struct streams *all, const struct schema *tables,
		     size_t main_bytes, unsigned filtered_max,
		     size_t filtered_bytes, uint64_t pos);
void streams_open_with(struct streams *all, const struct schema *tables,
		       const struct streams_options *options, uint64_t pos);

#endif
