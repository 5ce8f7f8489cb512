/*
 * For the random walks over streams whose readers come and go: the streams, the
 * list of all frames that were put into the main stream, and the random actions
 * of readers and subscribers.  A test compares its readers' bytes with its own
 * list of frames, which has the same order.
 */
#ifndef RINGTICK_TESTS_STREAM_WALK_H
#define RINGTICK_TESTS_STREAM_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frames.h"
#include "messages.h"
#include "schema/schema.h"
#include "ring/selection.h"
#include "ring/streams.h"
#include "ring/symbols.h"

enum {
	WALK_FRAMES_MAX = 1 << 17,
	WALK_FILTERED_MAX = 5, /* streams */
	KINDS = 6,	       /* of subscribers, at any time */
};

extern struct streams all;
extern struct chance chance;
extern int64_t now;
extern int64_t (*clock_ns)(void); /* the streams' clock: NULL, or hasty_clock */

/* A clock by which all or none of the time for feeding passes between two
 * looks. */
int64_t hasty_clock(void);

/* Empty streams, and an empty list. */
void walk_open(const struct streams_options *options, uint64_t pos,
	       bool is_gated);
void walk_close(void);

/* ---- the list ---- */

/* Where each frame begins; starts[frames_cnt] is the head. */
extern uint64_t starts[WALK_FRAMES_MAX + 1];
extern size_t frames_cnt, visible_cnt;

bool is_before(uint64_t a, uint64_t b);

/* Adds a frame that was put into the main stream to the list. */
void walk_note_frame(void);

/* The frame that begins at a position; frames_cnt: the head. */
size_t walk_frame_at(uint64_t pos);

/* In a gated main stream, makes some more frames visible. */
void walk_show(void);

/* ---- streams ---- */

bool is_in_use(const struct stream *s);
bool is_any_free(void);

/* The filtered stream in use that has the selection; NULL: none. */
const struct stream *filtered_in_use(const struct selection *s);

/* The frame that each filtered stream began with, noted by the test. */
extern size_t begun_at[WALK_FILTERED_MAX];

/* How often a return to the rings was refused for a reason. */
struct refused {
	unsigned main_gone, filtered_gone, not_fed, too_early, none_free;
};
extern struct refused refused;

/*
 * Whether a return to the frames from i on may be refused, except for reasons
 * in a filtered ring.  s: the stream in use for these readers, or NULL;
 * kept_bytes: the main ring has at least these.
 */
bool walk_may_refuse(const struct stream *s, size_t i, uint64_t kept_bytes);

/* ---- readers ---- */

/* Puts a reader to sleep, or wakes it, at random.  Returns whether it is
 * asleep. */
bool walk_nap(bool *is_asleep, unsigned awake_times, unsigned asleep_times);

/* The number of bytes that a reader reads, sometimes all of its lag. */
uint64_t walk_part(uint64_t lag, unsigned times);

/* ---- kinds of subscribers ---- */

struct kind {
	struct wants wants;
	struct selection selection;
};

extern struct kind kinds[KINDS];

struct symbols *symbols(void);

void kinds_begin(void);

/* No stream is in use, and no symbol is held any more. */
void kinds_end(void);

/* Replaces a subscriber by another one. */
void kind_change(struct kind *k);

void kind_keep(struct kind *to, const struct kind *from);

#endif
