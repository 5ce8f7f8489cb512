/*
 * A simulation of the whole daemon: one thread, and one seed that decides
 * everything.
 *
 * ringtick-sim links the daemon's own objects, all but io/engine, io/file_jobs
 * and daemon/selftest.  Every call of theirs into the kernel is redirected by
 * the linker (--wrap, see Makefile.am) to a simulated machine:
 *
 *   clock.c    time: it passes only where the simulation says so; randomness
 *   sockets.c  a network of simulated clients
 *   fs.c       a disk with a page cache, calls.c  its system calls
 *   engine.c   an io_uring on top of these, jobs.c  the second thread
 *   process.c  the daemon as a process: start, exit, crash
 *
 * Around the machine is a world, which knows only what clients can know:
 * feeds.c, subscribers.c, world.c; and judge.c says what must be true.
 *
 * The daemon calls engine_turn(), and in there the rest of the world goes on
 * until the daemon has something to do: so nothing here needs threads.
 */
#ifndef RINGTICK_TESTS_SIM_H
#define RINGTICK_TESTS_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

/* ---- memory of the simulation's own: memory.c counts the daemon's ---- */

void *__real_calloc(size_t cnt, size_t len);
void *__real_realloc(void *before, size_t len);
void *__real_reallocarray(void *before, size_t cnt, size_t len);
char *__real_strdup(const char *text);
void __real_free(void *at);

#define calloc	     __real_calloc
#define realloc	     __real_realloc
#define reallocarray __real_reallocarray
#define strdup	     __real_strdup
#define free	     __real_free

/* ---- chance: all of it comes from the seed ---- */

/* An expression, also an initializer or the arguments of a call, draws once at
 * most: compilers choose the order, and one seed must be one course. */

void sim_seed(uint64_t seed);

/*
 * Each actor of the world has a stream of chance of its own, which its events
 * inherit: without one of them the others decide as before.  Returns the stream
 * before.
 */
enum { SIM_STREAMS = 64 };
unsigned sim_use_stream(unsigned stream);
uint64_t sim_random(void);

/* Chance goes on from what these numbers say. */
void sim_draw_anew(uint64_t number);

/* 0 .. n - 1; n > 0. */
uint64_t sim_below(uint64_t n);

/* from .. to, both included. */
int64_t sim_between(int64_t from, int64_t to);

bool sim_chance(unsigned per_thousand);

/* ---- time ---- */

int64_t sim_now_ns(void);

/* The daemon's thread, or another step that takes time, takes it. */
void sim_spend(int64_t ns);

/* UTC, since 2000.01.01; follows sim_now_ns but for steps. */
int64_t sim_utc_ns(void);
void sim_set_utc(int64_t utc_ns);

/* ---- events ---- */

/*
 * Calls run(who, what) at a time, or at once if that is over; events of one
 * time are called in the order in which they were made.  An event of the
 * machine ends with the daemon's process.
 */
void sim_at(int64_t at_ns, void (*run)(void *who, uint64_t what), void *who,
	    uint64_t what);
void sim_at_machine(int64_t at_ns, void (*run)(void *who, uint64_t what),
		    void *who, uint64_t what);
void sim_end_machine(void);

/* Runs the next event if it is due until then, and moves the time; false: time
 * has come to until_ns. */
bool sim_step(int64_t until_ns);

/* ---- acts (acts.c) ---- */

/*
 * An act is what an actor does at a moment that it has chosen; the first is to
 * be there at all.  Each has a number of its actor, and draws its lots anew: so
 * a run can be repeated without some of them, and all others are as before.
 * The actor is the stream of chance in use.  False: it is left out, and must
 * do nothing but choose the moment of the next one.
 */
bool sim_act(void);

struct act {
	uint32_t actor, number;
};

/* Only these are done: "ACTOR:NUMBER,FROM-TO;ACTOR:..." or NULL, all.  False:
 * the text is not of this form. */
bool acts_keep_text(const char *text);
void acts_keep(const struct act *all, size_t cnt);
char *acts_text(const struct act *all, size_t cnt); /* to be freed */

/* What a run that is recorded leaves behind: its acts, in time order, and how
 * it has failed. */
struct record_of_run {
	const char *failure; /* the format of its message */
	uint64_t cnt;
	struct act acts[];
};

enum { RECORDED_MAX = 1 << 20 };

/* In memory that two processes share; NULL: none. */
extern struct record_of_run *sim_record;

/* ---- what happened ---- */

/* A number that grows out of everything that happened: the same for the same
 * seed. */
void sim_mix(uint64_t what);
uint64_t sim_digest(void);

extern bool sim_is_tracing, sim_is_silent;
#define sim_trace(...) (sim_is_tracing ? sim_trace_line(__VA_ARGS__) : (void)0)
void sim_trace_line(const char *format, ...)
	__attribute__((format(printf, 1, 2)));

/* Says the seed and what is wrong, unless it is silent, and ends the program
 * with status 1. */
_Noreturn void sim_fail(const char *format, ...)
	__attribute__((format(printf, 1, 2)));

#define SIM_CHECK(cond, ...) ((cond) ? (void)0 : sim_fail(__VA_ARGS__))

/* ---- bytes that grow ---- */

struct bytes {
	uint8_t *at;
	size_t len, room;
	size_t gap; /* before `at`: what was dropped */
};

void bytes_make_room(struct bytes *b, size_t len);
void bytes_resize(struct bytes *b, size_t len); /* new bytes are 0 */
void bytes_drop(struct bytes *b, size_t len);	/* the first ones */
void bytes_free(struct bytes *b);

static inline void
bytes_add(struct bytes *b, const void *from, size_t len)
{
	if (b->len + len > b->room)
		bytes_make_room(b, b->len + len);
	if (len > 0)
		memcpy(b->at + b->len, from, len);
	b->len += len;
}

#endif
