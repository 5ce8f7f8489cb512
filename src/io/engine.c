#include "config.h"

#include "io/engine.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>

#include "base/clock.h"
#include "base/util.h"

enum {
	SQ_ENTRIES_MIN = 256,
	SQ_ENTRIES_MAX = 4096,
	CQ_ENTRIES_MAX = 65536, /* the kernel's IORING_MAX_CQ_ENTRIES */
	OPS_BESIDES_SLOTS = 64, /* accepts, signals, and room */
	REGISTER_TRIES = 40,	/* of the ring, 50 ms apart */
	READ_AT_ONCE_MAX = 256 << 10, /* longer reads: by a kernel worker */
};

struct engine {
	struct io_uring uring;
	bool is_sqpoll;
	int64_t spin_ns;
	int64_t rest_at_ns; /* no more spinning after this time */
	bool has_worked;    /* completions came since rest_at_ns was set */
	struct engine_counters counters;
};

static_assert(sizeof(struct ticket) == sizeof(uint64_t),
	      "a ticket is one user_data word");

static uint64_t
ticket_word(struct ticket ticket)
{
	uint64_t word;

	memcpy(&word, &ticket, sizeof(word));
	return word;
}

static struct ticket
word_ticket(uint64_t word)
{
	struct ticket ticket;

	memcpy(&ticket, &word, sizeof(ticket));
	return ticket;
}

static int __attribute__((format(printf, 3, 4)))
say(char *err, size_t err_len, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(err, err_len, format, args);
	va_end(args);
	return -1;
}

/* ---- start ---- */

static int
io_uring_disabled_sysctl(void)
{
	FILE *f = fopen("/proc/sys/kernel/io_uring_disabled", "re");
	int value = 0;

	if (f == NULL)
		return 0;
	if (fscanf(f, "%d", &value) != 1)
		value = 0;
	(void)fclose(f);
	return value;
}

/* Whether only the kernel thread is refused. */
static bool
works_without_sqpoll(void)
{
	struct io_uring probe;

	if (io_uring_queue_init(8, &probe, 0) != 0)
		return false;
	io_uring_queue_exit(&probe);
	return true;
}

bool
engine_can_sqpoll(void)
{
	struct io_uring probe;
	int error = -io_uring_queue_init(8, &probe, IORING_SETUP_SQPOLL);

	if (error == 0)
		io_uring_queue_exit(&probe);
	return error != EPERM && error != EACCES;
}

static bool
is_refusal(int error)
{
	return error == EPERM || error == EACCES || error == ENOSYS;
}

/* Explains why one of io_uring's three calls was refused. */
static void
explain_refusal(const char *call, int error, char *err, size_t err_len)
{
	say(err, err_len,
	    "%s is not permitted (%s: seccomp filter or container policy); "
	    "allow the three calls, in a systemd unit with: "
	    "SystemCallFilter=io_uring_setup io_uring_enter io_uring_register",
	    call, strerror(error));
}

/* Whether a lack of memory cannot be due to the limit of locked memory. */
static bool
is_locking_free(void)
{
	struct rlimit limit = { .rlim_cur = 0 };

	return geteuid() == 0 ||
	       (getrlimit(RLIMIT_MEMLOCK, &limit) == 0 &&
		limit.rlim_cur == RLIM_INFINITY);
}

static void
explain_setup(int error, const struct engine_options *o, char *err,
	      size_t err_len)
{
	struct utsname system = { 0 };

	(void)uname(&system);
	if (error == EPERM && io_uring_disabled_sysctl() != 0)
		say(err, err_len,
		    "io_uring is switched off by sysctl; mend it with: "
		    "sysctl -w kernel.io_uring_disabled=0");
	else if (error == EPERM && o->mode == ENGINE_SQPOLL &&
		 works_without_sqpoll())
		say(err, err_len,
		    "io_uring works here, but not with an SQPOLL thread "
		    "(engine.mode = \"sqpoll\"); set engine.mode = "
		    "\"direct\", or start with CAP_SYS_NICE");
	else if (error == EPERM || error == EACCES)
		explain_refusal("io_uring_setup", error, err, err_len);
	else if (error == ENOSYS)
		say(err, err_len,
		    "this kernel (%s) has no io_uring; boot one of 6.1 or "
		    "later with CONFIG_IO_URING=y",
		    system.release);
	else if (error == ENOMEM)
		say(err, err_len,
		    "no memory for the io_uring queues of %u connections; "
		    "lower connections.max or %s",
		    o->slots,
		    is_locking_free()
			    ? "give it more memory (systemd: MemoryMax=)"
			    : "raise the limit with: ulimit -l unlimited "
			      "(systemd: LimitMEMLOCK=infinity)");
	else if (error == EINVAL && o->sq_cpu >= 0)
		say(err, err_len,
		    "the kernel (%s) refused the io_uring setup; check that "
		    "engine.sq_cpu = %d is an online CPU (lscpu -e), and that "
		    "the kernel is 6.1 or later",
		    system.release, o->sq_cpu);
	else
		say(err, err_len,
		    "the kernel (%s) refused the io_uring setup (%s); 6.1 or "
		    "later is needed",
		    system.release, strerror(error));
}

static unsigned
submission_entries(const struct engine_options *o)
{
	unsigned n = power_of_two_at_least(o->slots * 2);

	n = n < SQ_ENTRIES_MIN ? SQ_ENTRIES_MIN : n;
	return n > SQ_ENTRIES_MAX ? SQ_ENTRIES_MAX : n;
}

static struct io_uring_params
setup_params(const struct engine_options *o)
{
	/*
	 * Every operation that can be in flight has its place in the completion
	 * queue: it cannot overflow, however late completions are taken.
	 */
	unsigned ops = o->slots * ENGINE_OPS_PER_SLOT + OPS_BESIDES_SLOTS;
	struct io_uring_params p = {
		.flags = IORING_SETUP_CQSIZE | IORING_SETUP_SINGLE_ISSUER,
		.cq_entries = power_of_two_at_least(ops),
	};

	/* The kernel wants at least as many as submission entries. */
	if (p.cq_entries < submission_entries(o))
		p.cq_entries = submission_entries(o);
	CHECK(p.cq_entries <= CQ_ENTRIES_MAX);
	if (o->mode == ENGINE_DIRECT) {
		p.flags |= IORING_SETUP_DEFER_TASKRUN;
		return p;
	}
	p.flags |= IORING_SETUP_SQPOLL;
	p.sq_thread_idle = (uint32_t)(o->sq_idle_ns / NS_PER_MS);
	/* Zero would mean one second to the kernel. */
	if (p.sq_thread_idle == 0)
		p.sq_thread_idle = 1;
	if (o->sq_cpu >= 0) {
		p.flags |= IORING_SETUP_SQ_AFF;
		p.sq_thread_cpu = (uint32_t)o->sq_cpu;
	}
	return p;
}

/* Tries the call that each turn makes: a refusal would go unnoticed there, and
 * no operation would ever complete.  0, or the errno of a refusal. */
static int
enter_fault(const struct engine *e)
{
	int n = io_uring_enter((unsigned)e->uring.ring_fd, 0, 0,
			       e->is_sqpoll ? IORING_ENTER_SQ_WAKEUP
					    : IORING_ENTER_GETEVENTS,
			       NULL);

	return n < 0 && is_refusal(-n) ? -n : 0;
}

struct engine *
engine_open(const struct engine_options *o, char *err, size_t err_len)
{
	struct io_uring_params params = setup_params(o);
	struct engine *e = calloc(1, sizeof(*e));
	int error;

	CHECK(o->mode != ENGINE_AUTO);
	if (e == NULL) {
		say(err, err_len, "no memory for the engine");
		errno = ENOMEM;
		return NULL;
	}
	e->is_sqpoll = o->mode == ENGINE_SQPOLL;
	e->spin_ns = o->spin_ns;
	error = -io_uring_queue_init_params(submission_entries(o),
					    &e->uring, &params);
	if (error != 0) {
		explain_setup(error, o, err, err_len);
		free(e);
		errno = error;
		return NULL;
	}
	error = -io_uring_register_files_sparse(&e->uring, o->slots);
	if (error == 0) {
		error = enter_fault(e);
		if (error == 0)
			return e;
		explain_refusal("io_uring_enter", error, err, err_len);
	} else if (is_refusal(error))
		explain_refusal("io_uring_register", error, err, err_len);
	else if (error == EMFILE)
		say(err, err_len,
		    "the limit of open files is too low for %u connections; "
		    "raise it with: ulimit -n %u (systemd: LimitNOFILE=%u)",
		    o->slots, o->slots + 64, o->slots + 64);
	else
		say(err, err_len, "cannot register %u file slots: %s",
		    o->slots, strerror(error));
	engine_close(e);
	errno = error;
	return NULL;
}

void
engine_close(struct engine *e)
{
	if (e == NULL)
		return;
	io_uring_queue_exit(&e->uring);
	free(e);
}

bool
engine_register(struct engine *e, void *base, size_t len, char *err,
		size_t err_len)
{
	struct iovec view = { .iov_base = base, .iov_len = len };
	struct rlimit limit = { 0 };
	int error = ENOMEM;

	/* The pages of a predecessor that has just ended are freed a moment
	 * later, and until then they count against the same user's limit. */
	for (unsigned tries = 0; tries < REGISTER_TRIES; tries++) {
		error = -io_uring_register_buffers(&e->uring, &view, 1);
		if (error == 0)
			return true;
		if (error != ENOMEM)
			break;
		(void)nanosleep(&(struct timespec){ .tv_nsec = 50000000 },
				NULL);
	}
	(void)getrlimit(RLIMIT_MEMLOCK, &limit);
	if (error == ENOMEM && is_locking_free())
		say(err, err_len,
		    "no memory to pin the ring of %zu KiB; give it more "
		    "(systemd: MemoryMax=), or lower ring.size",
		    len / 2048);
	else if (error == ENOMEM)
		say(err, err_len,
		    "the ring needs %zu KiB of locked memory (twice "
		    "ring.size); the limit is %llu KiB for all processes of "
		    "this user; raise it with: ulimit -l %llu (systemd: "
		    "LimitMEMLOCK=infinity), or lower ring.size",
		    len / 1024, (unsigned long long)limit.rlim_cur / 1024,
		    (unsigned long long)(limit.rlim_cur + len) / 1024 + 1024);
	else
		say(err, err_len, "cannot register the ring of %zu bytes: %s",
		    len, strerror(error));
	errno = error;
	return false;
}

int
engine_bind(struct engine *e, unsigned slot, int fd)
{
	int n = io_uring_register_files_update(&e->uring, slot, &fd, 1);

	return n < 0 ? n : 0;
}

/* ---- operations ---- */

static struct io_uring_sqe *
next_sqe(struct engine *e)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&e->uring);

	/* With a full queue wait; an operation is never dropped. */
	while (sqe == NULL) {
		e->counters.submit_stalls++;
		(void)io_uring_submit(&e->uring);
		if (e->is_sqpoll)
			(void)io_uring_sqring_wait(&e->uring);
		sqe = io_uring_get_sqe(&e->uring);
	}
	return sqe;
}

void
engine_accept(struct engine *e, int fd, struct ticket ticket)
{
	struct io_uring_sqe *sqe = next_sqe(e);

	io_uring_prep_accept(sqe, fd, NULL, NULL, SOCK_CLOEXEC);
	io_uring_sqe_set_data64(sqe, ticket_word(ticket));
}

void
engine_recv(struct engine *e, void *at, size_t len, struct ticket ticket)
{
	struct io_uring_sqe *sqe = next_sqe(e);

	io_uring_prep_recv(sqe, ticket.slot, at, len, 0);
	sqe->flags |= IOSQE_FIXED_FILE;
	io_uring_sqe_set_data64(sqe, ticket_word(ticket));
}

void
engine_send(struct engine *e, const void *at, size_t len, struct ticket ticket)
{
	struct io_uring_sqe *sqe = next_sqe(e);

	io_uring_prep_send(sqe, ticket.slot, at, len, MSG_NOSIGNAL);
	sqe->flags |= IOSQE_FIXED_FILE;
	io_uring_sqe_set_data64(sqe, ticket_word(ticket));
}

void
engine_write(struct engine *e, const void *at, size_t len,
	     struct ticket ticket)
{
	struct io_uring_sqe *sqe;

	/* From a fixed buffer the kernel copies page by page, which costs more
	 * than send does; with an SQPOLL thread that is not the application's
	 * time (doc/notes/transports.md). */
	if (!e->is_sqpoll) {
		engine_send(e, at, len, ticket);
		return;
	}
	sqe = next_sqe(e);
	/* The offset of a socket write is not used; buffer 0 is the ring. */
	io_uring_prep_write_fixed(sqe, ticket.slot, at, (unsigned)len, 0, 0);
	sqe->flags |= IOSQE_FIXED_FILE;
	io_uring_sqe_set_data64(sqe, ticket_word(ticket));
}

void
engine_poll_end(struct engine *e, struct ticket ticket)
{
	struct io_uring_sqe *sqe = next_sqe(e);

	io_uring_prep_poll_add(sqe, ticket.slot, POLLRDHUP);
	sqe->flags |= IOSQE_FIXED_FILE;
	io_uring_sqe_set_data64(sqe, ticket_word(ticket));
}

void
engine_cancel(struct engine *e, struct ticket victim, struct ticket ticket)
{
	struct io_uring_sqe *sqe = next_sqe(e);

	io_uring_prep_cancel64(sqe, ticket_word(victim), 0);
	io_uring_sqe_set_data64(sqe, ticket_word(ticket));
}

void
engine_append_file(struct engine *e, int fd, const void *at, size_t len,
		   uint64_t off, struct ticket ticket)
{
	struct io_uring_sqe *sqe = next_sqe(e);

	io_uring_prep_write(sqe, fd, at, (unsigned)len, off);
	sqe->rw_flags = RWF_APPEND;
	io_uring_sqe_set_data64(sqe, ticket_word(ticket));
}

void
engine_read(struct engine *e, int fd, void *at, size_t len, uint64_t off,
	    struct ticket ticket)
{
	struct io_uring_sqe *sqe = next_sqe(e);

	io_uring_prep_read(sqe, fd, at, (unsigned)len, off);
	if (len > READ_AT_ONCE_MAX)
		io_uring_sqe_set_flags(sqe, IOSQE_ASYNC);
	io_uring_sqe_set_data64(sqe, ticket_word(ticket));
}

void
engine_stat(struct engine *e, const char *path, struct statx *out,
	    struct ticket ticket)
{
	struct io_uring_sqe *sqe = next_sqe(e);

	/* Without the times: for them NFS would first write out all dirty
	 * pages. */
	io_uring_prep_statx(sqe, AT_FDCWD, path, 0, STATX_INO | STATX_SIZE,
			    out);
	io_uring_sqe_set_data64(sqe, ticket_word(ticket));
}

void
engine_sync_file(struct engine *e, int fd, struct ticket ticket)
{
	struct io_uring_sqe *sqe = next_sqe(e);

	io_uring_prep_fsync(sqe, fd, IORING_FSYNC_DATASYNC);
	io_uring_sqe_set_data64(sqe, ticket_word(ticket));
}

void
engine_recycle_file(struct engine *e, int fd, uint64_t off, unsigned len,
		    struct ticket ticket)
{
	struct io_uring_sqe *sqe = next_sqe(e);

	/* Linked: the pages are dropped when they are clean, not before. The
	 * completion of the first operation is ignored: if it fails, the second
	 * is cancelled, and that completion tells. */
	io_uring_prep_sync_file_range(sqe, fd, len, off,
				      SYNC_FILE_RANGE_WAIT_BEFORE |
					      SYNC_FILE_RANGE_WRITE |
					      SYNC_FILE_RANGE_WAIT_AFTER);
	sqe->flags |= IOSQE_IO_LINK;
	io_uring_sqe_set_data64(sqe, ticket_word((struct ticket){
					     .kind = ENGINE_NOTHING }));
	sqe = next_sqe(e);
	io_uring_prep_fadvise(sqe, fd, off, len, POSIX_FADV_DONTNEED);
	io_uring_sqe_set_data64(sqe, ticket_word(ticket));
}

/* ---- the turn ---- */

enum { BATCH = 256 };

static unsigned
take_completions(struct engine *e, struct completion *out, unsigned max)
{
	struct io_uring_cqe *seen[BATCH];
	unsigned n;

	n = io_uring_peek_batch_cqe(&e->uring, seen, max < BATCH ? max : BATCH);
	for (unsigned i = 0; i < n; i++)
		out[i] = (struct completion){
			.ticket = word_ticket(seen[i]->user_data),
			.result = seen[i]->res,
		};
	io_uring_cq_advance(&e->uring, n);
	e->has_worked |= n > 0;
	return n;
}

/*
 * Looks at the queue once.  In direct mode completions are made only when the
 * kernel is entered: without that the queue would stay empty for ever.
 */
static unsigned
poll_once(struct engine *e, struct completion *out, unsigned max)
{
	if (!e->is_sqpoll)
		(void)io_uring_get_events(&e->uring);
	return take_completions(e, out, max);
}

static void
pause_cpu(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/*
 * Polls until spin_ns after the last work, or until the wait is over.  Not
 * until spin_ns from now: a thread that only its timers wake would spin each
 * time, and never sleep. *wait_ns becomes the rest of the wait.
 */
static unsigned
spin_for_completions(struct engine *e, struct completion *out, unsigned max,
		     int64_t *wait_ns)
{
	int64_t now_ns = clock_monotonic_ns();
	int64_t end_ns = now_ns + *wait_ns;
	unsigned n = 0;

	if (e->has_worked) {
		e->rest_at_ns = now_ns + e->spin_ns;
		e->has_worked = false;
	}
	while (n == 0 && now_ns < e->rest_at_ns && now_ns < end_ns) {
		pause_cpu();
		n = poll_once(e, out, max);
		now_ns = clock_monotonic_ns();
	}
	*wait_ns = end_ns - now_ns;
	return n;
}

static void
sleep_in_kernel(struct engine *e, int64_t wait_ns)
{
	struct __kernel_timespec ts = {
		.tv_sec = wait_ns / NS_PER_S,
		.tv_nsec = wait_ns % NS_PER_S,
	};
	struct io_uring_cqe *cqe;

	e->counters.waits++;
	/* A timeout or an interruption needs no handling: the caller looks
	 * again. */
	(void)io_uring_wait_cqes(&e->uring, &cqe, 1, &ts, NULL);
}

unsigned
engine_turn(struct engine *e, struct completion *out, unsigned max,
	    int64_t wait_ns)
{
	unsigned n;

	/* sqpoll: a system call only if the kernel thread sleeps; direct: one
	 * system call, which also makes completions */
	if (e->is_sqpoll)
		(void)io_uring_submit(&e->uring);
	else
		(void)io_uring_submit_and_get_events(&e->uring);
	n = take_completions(e, out, max);
	if (n > 0 || wait_ns == 0)
		return n;
	if (e->spin_ns > 0) {
		n = spin_for_completions(e, out, max, &wait_ns);
		if (n > 0 || wait_ns <= 0)
			return n;
	}
	sleep_in_kernel(e, wait_ns);
	return take_completions(e, out, max);
}

const struct engine_counters *
engine_counters(const struct engine *e)
{
	return &e->counters;
}
