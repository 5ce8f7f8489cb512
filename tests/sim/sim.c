#include "config.h"

#include "sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "machine.h"

struct event {
	int64_t at_ns;
	uint64_t number; /* earlier ones have lower numbers */
	void (*run)(void *who, uint64_t what);
	void *who;
	uint64_t what;
	uint64_t life; /* of the machine; 0: any */
	unsigned stream;
};

static struct {
	uint64_t seed, states[SIM_STREAMS];
	unsigned stream;
	int64_t now_ns, utc_offset_ns;
	struct event *heap;
	size_t cnt, room;
	uint64_t numbers, life, digest;
} sim = { .life = 1 };

bool sim_is_tracing, sim_is_silent;

/* ---- chance ---- */

void
sim_seed(uint64_t seed)
{
	sim.seed = seed;
	for (unsigned i = 0; i < SIM_STREAMS; i++)
		sim.states[i] = seed * SIM_STREAMS + i;
	/* Time begins somewhere: 0 means "never" to some of the daemon. */
	sim.now_ns = 1000 * NS_PER_S;
}

unsigned
sim_use_stream(unsigned stream)
{
	unsigned before = sim.stream;

	CHECK(stream < SIM_STREAMS);
	sim.stream = stream;
	return before;
}

/* splitmix64 */
static uint64_t
scramble(uint64_t z)
{
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

uint64_t
sim_random(void)
{
	return scramble(sim.states[sim.stream] += 0x9e3779b97f4a7c15);
}

void
sim_draw_anew(uint64_t number)
{
	sim.states[sim.stream] =
		scramble(sim.seed * SIM_STREAMS + sim.stream) +
		scramble(number + 1);
}

uint64_t
sim_below(uint64_t n)
{
	CHECK(n > 0);
	return sim_random() % n;
}

int64_t
sim_between(int64_t from, int64_t to)
{
	return from + (int64_t)sim_below((uint64_t)(to - from) + 1);
}

bool
sim_chance(unsigned per_thousand)
{
	return sim_below(1000) < per_thousand;
}

/* ---- time ---- */

int64_t
sim_now_ns(void)
{
	return sim.now_ns;
}

void
sim_spend(int64_t ns)
{
	sim.now_ns += ns;
}

int64_t
sim_utc_ns(void)
{
	return sim.now_ns + sim.utc_offset_ns;
}

void
sim_set_utc(int64_t utc_ns)
{
	sim.utc_offset_ns = utc_ns - sim.now_ns;
}

/* ---- events: a heap ---- */

static bool
is_before(const struct event *a, const struct event *b)
{
	return a->at_ns != b->at_ns ? a->at_ns < b->at_ns
				    : a->number < b->number;
}

static void
swap(size_t i, size_t j)
{
	struct event e = sim.heap[i];

	sim.heap[i] = sim.heap[j];
	sim.heap[j] = e;
}

static void
add(struct event e)
{
	size_t i = sim.cnt++;

	if (sim.cnt > sim.room) {
		sim.room = 2 * sim.cnt;
		sim.heap = reallocarray(sim.heap, sim.room, sizeof(e));
		CHECK(sim.heap != NULL);
	}
	sim.heap[i] = e;
	for (; i > 0 && is_before(&sim.heap[i], &sim.heap[(i - 1) / 2]);
	     i = (i - 1) / 2)
		swap(i, (i - 1) / 2);
}

static struct event
take_first(void)
{
	struct event first = sim.heap[0];
	size_t i = 0;

	sim.heap[0] = sim.heap[--sim.cnt];
	for (;;) {
		size_t child = 2 * i + 1;

		if (child + 1 < sim.cnt &&
		    is_before(&sim.heap[child + 1], &sim.heap[child]))
			child++;
		if (child >= sim.cnt ||
		    !is_before(&sim.heap[child], &sim.heap[i]))
			return first;
		swap(i, child);
		i = child;
	}
}

static void
make(int64_t at_ns, void (*run)(void *who, uint64_t what), void *who,
     uint64_t what, uint64_t life)
{
	add((struct event){ .at_ns = at_ns,
			    .number = sim.numbers++,
			    .run = run,
			    .who = who,
			    .what = what,
			    .life = life,
			    .stream = sim.stream });
}

void
sim_at(int64_t at_ns, void (*run)(void *who, uint64_t what), void *who,
       uint64_t what)
{
	make(at_ns, run, who, what, 0);
}

void
sim_at_machine(int64_t at_ns, void (*run)(void *who, uint64_t what), void *who,
	       uint64_t what)
{
	make(at_ns, run, who, what, sim.life);
}

void
sim_end_machine(void)
{
	sim.life++;
}

bool
sim_step(int64_t until_ns)
{
	struct event e;

	if (sim.cnt == 0 || sim.heap[0].at_ns > until_ns) {
		if (sim.now_ns < until_ns)
			sim.now_ns = until_ns;
		return false;
	}
	e = take_first();
	if (sim.now_ns < e.at_ns)
		sim.now_ns = e.at_ns;
	if (e.life == 0 || e.life == sim.life) {
		unsigned before = sim_use_stream(e.stream);

		sim_mix((uint64_t)e.at_ns);
		e.run(e.who, e.what);
		(void)sim_use_stream(before);
	}
	return true;
}

/* ---- what happened ---- */

void
sim_mix(uint64_t what)
{
	sim.digest = (sim.digest ^ what) * 0x100000001b3;
	sim.digest ^= sim.digest >> 29;
}

uint64_t
sim_digest(void)
{
	return sim.digest;
}

void
sim_trace_line(const char *format, ...)
{
	va_list args;

	printf("%lld.%09lld ", (long long)(sim.now_ns / NS_PER_S),
	       (long long)(sim.now_ns % NS_PER_S));
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
}

void
sim_fail(const char *format, ...)
{
	va_list args;

	if (sim_record != NULL)
		sim_record->failure = format;
	if (sim_is_silent)
		process_leave(1);
	fflush(stdout);
	fprintf(stderr, "ringtick-sim: seed %llu, at %.9f s: ",
		(unsigned long long)sim.seed, (double)sim.now_ns / 1e9);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\n");
	process_leave(1);
}

/* ---- bytes ---- */

void
bytes_make_room(struct bytes *b, size_t len)
{
	uint8_t *base = b->at == NULL ? NULL : b->at - b->gap;

	if (len <= b->room)
		return;
	/* Moves no more bytes than were dropped; or the room doubles. */
	if (b->gap >= b->len && b->len > 0)
		memmove(base, b->at, b->len);
	if (b->gap >= b->len) {
		b->at = base;
		b->room += b->gap;
		b->gap = 0;
	}
	if (len <= b->room)
		return;
	b->room = 2 * len;
	base = realloc(base, b->gap + b->room);
	CHECK(base != NULL);
	b->at = base + b->gap;
}

void
bytes_resize(struct bytes *b, size_t len)
{
	bytes_make_room(b, len);
	if (len > b->len)
		memset(b->at + b->len, 0, len - b->len);
	b->len = len;
}

void
bytes_drop(struct bytes *b, size_t len)
{
	CHECK(len <= b->len);
	if (len == 0)
		return;
	b->at += len;
	b->gap += len;
	b->room -= len;
	b->len -= len;
}

void
bytes_free(struct bytes *b)
{
	if (b->at != NULL)
		free(b->at - b->gap);
	*b = (struct bytes){ 0 };
}
