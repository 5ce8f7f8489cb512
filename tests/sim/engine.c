/*
 * io/engine.h on the simulated machine.  An operation is tried after a moment;
 * if it cannot be done it waits until its socket changes, and is tried again.
 * So operations complete in any order that a kernel may choose.  Until an
 * operation completes, the bytes that were handed over must stay as they are.
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/sysmacros.h>

#include "io/engine.h"
#include "machine.h"

enum {
	OPS_MAX = 4096,
	SLOTS_MAX = 1024,
	TURN_NS = 1000,	    /* a turn of the daemon, with nothing to do */
	COMPLETION_NS = 500, /* what each completion costs it */
	TRY_MIN_NS = 300,
	TRY_MAX_NS = 20000,
	CANCELLED_MAX_NS = 200000,
	DISK_MIN_NS = 8000,
	DISK_MAX_NS = 300000,
	SPINS_MAX = 1000000, /* turns that did not wait and had nothing */
	SUM_ALL_MAX = 8192, /* bytes in flight that are all compared */
};

enum op_kind {
	OP_FREE,
	OP_ACCEPT,
	OP_RECV,
	OP_WRITE,
	OP_POLL,
	OP_CANCEL,
	OP_SIGNAL,
	OP_APPEND,
	OP_READ,
	OP_STAT,
	OP_SYNC,
	OP_NOTE, /* the jobs' event */
	OP_LOGIN,
	OP_KINDS
};

static const char *const op_names[OP_KINDS] = {
	"free", "accept", "recv", "write", "poll", "cancel",
	"signal", "append", "read", "stat", "sync", "note", "login"
};

struct op {
	enum op_kind kind;
	bool is_trying; /* an event will try it */
	bool is_cancelled; /* it does nothing more, and has not completed yet */
	bool is_interrupted; /* the next try is its last */
	uint32_t generation;
	struct ticket ticket, victim;
	struct socket *socket;
	struct inode *inode;
	struct login_pair *pair;
	int fd; /* of a listener */
	void *at;
	const void *from;
	size_t len;
	uint64_t off, sum;
	const char *path;
};

struct engine {
	struct op ops[OPS_MAX];
	unsigned ops_end; /* all after are free */
	struct socket *slots[SLOTS_MAX];
	struct completion done[OPS_MAX];
	unsigned done_cnt;
	unsigned spins;
	struct engine_counters counters;
	uint32_t signals; /* bits: pending */
	uint32_t jobs;	  /* bits: kinds of jobs of which some are done */
};

static struct engine engine;

static void try_op(void *who, uint64_t what);

/* ---- operations ---- */

/* Sums of words and of these sums, two beside each other: most of the time of
 * a run would go here.  Of much, every eighth pair: a record is longer than
 * these are apart. */
static uint64_t
sum_of(const struct op *op)
{
	typedef uint64_t words __attribute__((vector_size(16)));
	const uint8_t *from = op->from;
	words next, once = { 0 }, twice = { 0 };
	size_t step = op->len > SUM_ALL_MAX ? 8 * sizeof(next) : sizeof(next);
	uint64_t sum = 0;
	size_t i;

	if (from == NULL)
		return 0;
	for (i = 0; i + step <= op->len; i += step) {
		memcpy(&next, from + i, sizeof(next));
		once += next;
		twice += once;
	}
	for (; i < op->len; i++)
		sum = (sum ^ from[i]) * 0x100000001b3;
	for (unsigned k = 0; k < 2; k++)
		sum = ((sum ^ once[k]) * 0x100000001b3 ^ twice[k]) *
		      0x100000001b3;
	return sum;
}

static void
try_later(struct op *op, int64_t min_ns, int64_t max_ns)
{
	uint64_t idx = (uint64_t)(op - engine.ops);

	if (op->is_trying)
		return;
	op->is_trying = true;
	sim_at_machine(sim_now_ns() + sim_between(min_ns, max_ns), try_op,
		       &engine, idx | (uint64_t)op->generation << 32);
}

static struct op *
add_op(struct op op)
{
	unsigned i = 0;
	uint32_t generation;

	while (i < OPS_MAX && engine.ops[i].kind != OP_FREE)
		i++;
	SIM_CHECK(i < OPS_MAX, "too many operations are in flight");
	if (i >= engine.ops_end)
		engine.ops_end = i + 1;
	generation = engine.ops[i].generation + 1;
	engine.ops[i] = op;
	engine.ops[i].generation = generation;
	engine.ops[i].sum = sum_of(&op);
	if (op.socket != NULL)
		op.socket->ops++;
	if (op.inode != NULL)
		fs_hold(op.inode);
	return &engine.ops[i];
}

static void
complete(struct op *op, int64_t result)
{
	SIM_CHECK(op->sum == sum_of(op),
		  "bytes in flight have changed (%s, slot %u)",
		  op_names[op->kind], op->ticket.slot);
	CHECK(engine.done_cnt < OPS_MAX);
	engine.done[engine.done_cnt++] = (struct completion){
		op->ticket, (int32_t)result
	};
	sim_mix((uint64_t)result << 8 | op->kind);
	sim_trace("  %s slot %u: %lld", op_names[op->kind], op->ticket.slot,
		  (long long)result);
	if (op->socket != NULL)
		op->socket->ops--;
	if (op->inode != NULL)
		fs_release(op->inode);
	if (op->pair != NULL)
		login_hold(op->pair, false);
	op->kind = OP_FREE;
}

static void
try_accept(struct op *op)
{
	static const int errors[] = { EMFILE, ENFILE, ECONNABORTED, ENOBUFS };
	struct socket *s;

	if (net_backlog(op->fd) == 0)
		return;
	if (sim_chance(net_faults.accept_per_mille)) {
		complete(op, -errors[sim_below(ARRAY_LEN(errors))]);
		return;
	}
	s = net_take_request(op->fd);
	complete(op, net_accept(s));
}

/* Writes at the end: who else has cut or written does not matter. */
static int64_t
append(struct op *op)
{
	return fs_write_at(op->inode, op->from, op->len, fs_size(op->inode));
}

/* Without a draw while the disk is well. */
static bool
is_unreadable(void)
{
	return disk.eio_per_mille > 0 && sim_chance(disk.eio_per_mille);
}

static int64_t
read_file(struct op *op)
{
	if (is_unreadable())
		return -EIO;
	return fs_read_at(op->inode, op->at, op->len, op->off);
}

static int64_t
look_at(struct op *op)
{
	struct inode *i = fs_find(op->path);
	struct statx *out = op->at;
	struct stat st;

	if (is_unreadable())
		return -EIO;
	if (i == NULL)
		return -ENOENT;
	fs_stat(i, &st);
	out->stx_ino = st.st_ino;
	out->stx_dev_major = major(st.st_dev);
	out->stx_dev_minor = minor(st.st_dev);
	out->stx_size = (uint64_t)st.st_size;
	return 0;
}

/* The first pending signal; 0: none. */
static int
take_signal(void)
{
	for (int n = 1; n < 32; n++)
		if ((engine.signals >> n & 1) != 0) {
			engine.signals &= ~(UINT32_C(1) << n);
			return n;
		}
	return 0;
}

static void
try_signal(struct op *op)
{
	struct signalfd_siginfo *info = op->at;
	int number = take_signal();

	if (number == 0)
		return;
	*info = (struct signalfd_siginfo){ .ssi_signo = (uint32_t)number };
	complete(op, sizeof(*info));
}

static void
try_login(struct op *op)
{
	int32_t n = sim_chance(10) ? -EINTR
				   : login_read(op->pair, op->at, op->len);

	if (n != -EAGAIN)
		complete(op, n);
}

static struct op *
find_op(struct ticket t)
{
	for (unsigned i = 0; i < engine.ops_end; i++) {
		struct op *op = &engine.ops[i];

		if (op->kind != OP_FREE && op->kind != OP_CANCEL &&
		    memcmp(&op->ticket, &t, sizeof(t)) == 0)
			return op;
	}
	return NULL;
}

/* The completions of the two may come in any order, and apart: the bytes of the
 * victim are in use until its own. */
static void
try_cancel(struct op *op)
{
	struct op *victim = find_op(op->victim);

	if (victim == NULL || victim->is_cancelled) {
		complete(op, -ENOENT);
	} else if (victim->is_trying && sim_chance(500)) {
		/* It is being worked on, and interrupted there. */
		victim->is_interrupted = true;
		complete(op, -EALREADY);
	} else if (sim_chance(500)) {
		complete(victim, -ECANCELED);
		complete(op, 0);
	} else {
		victim->is_cancelled = true;
		try_later(victim, TRY_MIN_NS, CANCELLED_MAX_NS);
		complete(op, 0);
	}
}

static int
sync_file(struct inode *i)
{
	int res = fs_sync(i);

	if (res != 0)
		world_sync_failed();
	return res;
}

static void
hear(struct op *op)
{
	const struct socket *s = op->socket;

	complete(op, net_receive(op->socket, op->at, op->len));
	work_heard(s);
}

static void
try_op(void *who, uint64_t what)
{
	struct op *op = &engine.ops[(uint32_t)what];

	(void)who;
	if (op->kind == OP_FREE || op->generation != what >> 32)
		return;
	op->is_trying = false;
	if (op->is_cancelled) {
		complete(op, -ECANCELED);
		return;
	}
	if (op->inode != NULL)
		fs_count_step();
	switch (op->kind) {
	case OP_FREE:
	case OP_KINDS:
		break;
	case OP_ACCEPT:
		try_accept(op);
		break;
	case OP_RECV:
		if (net_can_receive(op->socket))
			hear(op);
		break;
	case OP_WRITE:
		if (net_can_write(op->socket))
			complete(op,
				 net_write(op->socket, op->from, op->len));
		break;
	case OP_POLL:
		if (op->socket->client_ended || op->socket->is_reset ||
		    op->socket->daemon_deaf)
			complete(op, 1);
		break;
	case OP_CANCEL:
		try_cancel(op);
		break;
	case OP_SIGNAL:
		try_signal(op);
		break;
	case OP_APPEND:
		complete(op, append(op));
		world_wrote();
		break;
	case OP_READ:
		complete(op, read_file(op));
		break;
	case OP_STAT:
		complete(op, look_at(op));
		break;
	case OP_SYNC:
		complete(op, sync_file(op->inode));
		break;
	case OP_NOTE:
		if ((engine.jobs >> op->ticket.kind & 1) != 0) {
			engine.jobs &= ~(UINT32_C(1) << op->ticket.kind);
			complete(op, 8);
		}
		break;
	case OP_LOGIN:
		try_login(op);
		break;
	}
	if (op->is_interrupted && op->kind != OP_FREE)
		complete(op, -EINTR);
}

void
engine_touch(struct socket *s)
{
	for (unsigned i = 0; i < engine.ops_end; i++) {
		struct op *op = &engine.ops[i];

		if (op->kind != OP_FREE &&
		    (s == NULL ? op->kind == OP_ACCEPT : op->socket == s))
			try_later(op, TRY_MIN_NS, TRY_MAX_NS);
	}
}

static void
touch_kind(enum op_kind kind)
{
	for (unsigned i = 0; i < engine.ops_end; i++)
		if (engine.ops[i].kind == kind)
			try_later(&engine.ops[i], TRY_MIN_NS, TRY_MAX_NS);
}

void
process_signal(int number)
{
	engine.signals |= UINT32_C(1) << number;
	touch_kind(OP_SIGNAL);
}

void
engine_post_jobs(unsigned kind)
{
	engine.jobs |= UINT32_C(1) << kind;
	touch_kind(OP_NOTE);
}

void
engine_touch_login(const struct login_pair *p)
{
	for (unsigned i = 0; i < engine.ops_end; i++)
		if (engine.ops[i].kind == OP_LOGIN && engine.ops[i].pair == p)
			try_later(&engine.ops[i], TRY_MIN_NS, TRY_MAX_NS);
}

/* What was submitted may be done after the end of a process; or never. */
void
engine_crash(void)
{
	for (unsigned i = 0; i < engine.ops_end; i++) {
		struct op *op = &engine.ops[i];

		if (op->kind != OP_FREE && op->socket != NULL)
			op->socket->ops--;
		if (op->kind == OP_APPEND && disk.crash_in == 0 &&
		    sim_chance(500))
			(void)append(op);
		if (op->kind != OP_FREE && op->inode != NULL)
			fs_release(op->inode);
		op->kind = OP_FREE;
	}
	engine.ops_end = engine.done_cnt = engine.spins = 0;
	engine.signals = 0;
	engine.jobs = 0;
	memset(engine.slots, 0, sizeof(engine.slots));
}

/* ---- engine.h ---- */

bool
engine_can_sqpoll(void)
{
	return true;
}

struct engine *
engine_open(const struct engine_options *options, char *err, size_t err_len)
{
	(void)options;
	(void)err;
	(void)err_len;
	return &engine;
}

int
engine_bind(struct engine *e, unsigned slot, int fd)
{
	CHECK(slot < SLOTS_MAX);
	e->slots[slot] = fd < 0 ? NULL : fd_get(fd)->socket;
	return 0;
}

void
engine_accept(struct engine *e, int fd, struct ticket ticket)
{
	(void)e;
	try_later(add_op((struct op){ .kind = OP_ACCEPT,
				      .ticket = ticket,
				      .fd = fd }),
		  TRY_MIN_NS, TRY_MAX_NS);
}

static void
add_socket_op(struct engine *e, struct op op)
{
	op.socket = e->slots[op.ticket.slot];
	SIM_CHECK(op.socket != NULL, "an operation of the empty slot %u",
		  op.ticket.slot);
	for (unsigned i = 0; i < e->ops_end; i++)
		SIM_CHECK(e->ops[i].kind != op.kind ||
				  e->ops[i].socket != op.socket,
			  "two operations %s at one socket", op_names[op.kind]);
	try_later(add_op(op), TRY_MIN_NS, TRY_MAX_NS);
}

void
engine_recv(struct engine *e, void *at, size_t len, struct ticket ticket)
{
	work_listens(e->slots[ticket.slot]);
	add_socket_op(e, (struct op){ .kind = OP_RECV,
				      .ticket = ticket,
				      .at = at,
				      .len = len });
}

void
engine_send(struct engine *e, const void *at, size_t len, struct ticket ticket)
{
	work_answers(e->slots[ticket.slot]);
	add_socket_op(e, (struct op){ .kind = OP_WRITE,
				      .ticket = ticket,
				      .from = at,
				      .len = len });
}

void
engine_write(struct engine *e, const void *at, size_t len, struct ticket ticket)
{
	engine_send(e, at, len, ticket);
}

void
engine_poll_end(struct engine *e, struct ticket ticket)
{
	add_socket_op(e, (struct op){ .kind = OP_POLL, .ticket = ticket });
}

void
engine_cancel(struct engine *e, struct ticket victim, struct ticket ticket)
{
	(void)e;
	try_later(add_op((struct op){ .kind = OP_CANCEL,
				      .ticket = ticket,
				      .victim = victim }),
		  TRY_MIN_NS, TRY_MAX_NS);
}

static void
add_disk_op(struct op op)
{
	int64_t slow_ns = disk.slow_ns > 0 ? sim_between(0, disk.slow_ns) : 0;

	try_later(add_op(op), DISK_MIN_NS + slow_ns, DISK_MAX_NS + slow_ns);
}

static void
add_file_op(int fd, struct op op)
{
	struct descriptor *d = fd_get(fd);

	SIM_CHECK(d != NULL && d->inode != NULL,
		  "a file operation of descriptor %d", fd);
	op.inode = d->inode;
	add_disk_op(op);
}

void
engine_append_file(struct engine *e, int fd, const void *at, size_t len,
		   uint64_t off, struct ticket ticket)
{
	(void)e;
	add_file_op(fd, (struct op){ .kind = OP_APPEND,
				     .ticket = ticket,
				     .from = at,
				     .len = len,
				     .off = off });
}

void
engine_read(struct engine *e, int fd, void *at, size_t len, uint64_t off,
	    struct ticket ticket)
{
	struct op op = { .ticket = ticket, .at = at, .len = len, .off = off };

	(void)e;
	op.kind = ticket.kind == ENGINE_SIGNAL	      ? OP_SIGNAL
		  : ticket.kind == ENGINE_FILE_JOBS ||
				  ticket.kind == ENGINE_RELOAD
			  ? OP_NOTE
		  : ticket.kind == ENGINE_LOGIN ? OP_LOGIN
						: OP_READ;
	if (op.kind == OP_LOGIN) {
		op.pair = fd_get(fd)->pair;
		login_hold(op.pair, true);
	}
	if (op.kind != OP_READ) {
		try_later(add_op(op), TRY_MIN_NS, TRY_MAX_NS);
		return;
	}
	add_file_op(fd, op);
}

void
engine_stat(struct engine *e, const char *path, struct statx *out,
	    struct ticket ticket)
{
	(void)e;
	add_disk_op((struct op){ .kind = OP_STAT,
				 .ticket = ticket,
				 .at = out,
				 .path = path });
}

void
engine_sync_file(struct engine *e, int fd, struct ticket ticket)
{
	(void)e;
	add_file_op(fd, (struct op){ .kind = OP_SYNC, .ticket = ticket });
}

void
engine_recycle_file(struct engine *e, int fd, uint64_t off, unsigned len,
		    struct ticket ticket)
{
	(void)off;
	(void)len;
	engine_sync_file(e, fd, ticket);
}

/* ---- the turn ---- */

static unsigned
take_done(struct engine *e, struct completion *out, unsigned max)
{
	unsigned n = e->done_cnt < max ? e->done_cnt : max;

	memcpy(out, e->done, n * sizeof(*out));
	e->done_cnt -= n;
	memmove(e->done, e->done + n, e->done_cnt * sizeof(*out));
	sim_spend((int64_t)n * COMPLETION_NS);
	return n;
}

unsigned
engine_turn(struct engine *e, struct completion *out, unsigned max,
	    int64_t wait_ns)
{
	int64_t until_ns;

	memory_check_turn();
	work_turn_ends();
	sim_spend(TURN_NS);
	until_ns = sim_now_ns() + wait_ns;
	while (sim_step(sim_now_ns()))
		;
	if (e->done_cnt == 0 && wait_ns > 0)
		e->counters.waits++;
	while (e->done_cnt == 0 && sim_step(until_ns))
		;
	if (world_paused_until_ns() > sim_now_ns()) {
		while (sim_step(world_paused_until_ns()))
			;
		work_paused();
	}
	e->spins = e->done_cnt > 0 || wait_ns > 0 ? 0 : e->spins + 1;
	SIM_CHECK(e->spins < SPINS_MAX,
		  "the daemon turns and turns, and has nothing to do");
	work_turn_begins();
	return take_done(e, out, max);
}

const struct engine_counters *
engine_counters(const struct engine *e)
{
	return &e->counters;
}
