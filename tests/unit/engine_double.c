#include "config.h"

#include "engine_double.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { ASKED_MAX = 64 };

struct asked asked[ASKED_MAX];
unsigned asked_cnt;

struct asked
asked_take(void)
{
	struct asked first = asked[0];

	assert_true(asked_cnt > 0);
	asked_cnt--;
	memmove(asked, asked + 1, asked_cnt * sizeof(*asked));
	return first;
}

static void
note(struct asked a)
{
	assert_true(asked_cnt < ASKED_MAX);
	asked[asked_cnt++] = a;
}

void
engine_write(struct engine *e, const void *at, size_t len, struct ticket ticket)
{
	(void)e;
	note((struct asked){ .kind = ASKED_WRITE,
			     .at = (uint8_t *)(uintptr_t)at,
			     .len = len,
			     .ticket = ticket });
}

void
engine_send(struct engine *e, const void *at, size_t len, struct ticket ticket)
{
	engine_write(e, at, len, ticket);
	asked[asked_cnt - 1].kind = ASKED_SEND;
}

void
engine_cancel(struct engine *e, struct ticket victim, struct ticket ticket)
{
	(void)e;
	note((struct asked){
		.kind = ASKED_CANCEL, .ticket = ticket, .victim = victim });
}

void
engine_read(struct engine *e, int fd, void *at, size_t len, uint64_t off,
	    struct ticket ticket)
{
	(void)e;
	note((struct asked){ .kind = ASKED_READ,
			     .fd = fd,
			     .at = at,
			     .len = len,
			     .off = off,
			     .ticket = ticket });
}

void
engine_recv(struct engine *e, void *at, size_t len, struct ticket ticket)
{
	(void)e;
	note((struct asked){
		.kind = ASKED_RECV, .at = at, .len = len, .ticket = ticket });
}

void
engine_poll_end(struct engine *e, struct ticket ticket)
{
	(void)e;
	note((struct asked){ .kind = ASKED_POLL, .ticket = ticket });
}

int
engine_bind(struct engine *e, unsigned slot, int fd)
{
	(void)e;
	(void)slot;
	(void)fd;
	return 0;
}

const struct engine_counters *
engine_counters(const struct engine *e)
{
	static const struct engine_counters none;

	(void)e;
	return &none;
}

/* ---- the journal's: nothing here has one that writes ---- */

void
engine_append_file(struct engine *e, int fd, const void *at, size_t len,
		   uint64_t off, struct ticket ticket)
{
	(void)e;
	(void)fd;
	(void)at;
	(void)len;
	(void)off;
	(void)ticket;
	fail();
}

void
engine_stat(struct engine *e, const char *path, struct statx *out,
	    struct ticket ticket)
{
	(void)e;
	(void)path;
	(void)out;
	(void)ticket;
	fail();
}

void
engine_sync_file(struct engine *e, int fd, struct ticket ticket)
{
	(void)e;
	(void)fd;
	(void)ticket;
	fail();
}

void
engine_recycle_file(struct engine *e, int fd, uint64_t off, unsigned len,
		    struct ticket ticket)
{
	(void)e;
	(void)fd;
	(void)off;
	(void)len;
	(void)ticket;
	fail();
}
