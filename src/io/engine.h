/*
 * The engine: one io_uring through which every byte comes and goes.  The only
 * file that knows liburing.
 *
 * sqpoll  a kernel thread takes submissions from shared memory: while there
 *         is work, the application thread makes no system call.
 * direct  the same turn with one io_uring_enter each, no kernel thread.
 *
 * Sockets are registered files: slot i of the connection table is file i.
 * The main ring is the registered buffer.  Called by the server and the
 * self-test, by one thread (SINGLE_ISSUER).
 *
 * Everything handed to a prep function (memory, descriptors) must live until
 * the completion with its ticket arrives; a cancelled operation is in flight
 * until its own completion, not the cancel's.
 */
#ifndef RINGTICK_IO_ENGINE_H
#define RINGTICK_IO_ENGINE_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/settings.h"

struct statx;

/* What an operation was; the second half of a ticket. */
enum engine_kind {
	ENGINE_ACCEPT,
	ENGINE_RECV,
	ENGINE_WRITE,
	ENGINE_CANCEL,
	ENGINE_POLL,	/* for the end of a connection's peer */
	ENGINE_SIGNAL,
	ENGINE_JOURNAL, /* a file operation; slot tells which */
	ENGINE_FILE_JOBS, /* file_jobs.h: a job has finished */
	ENGINE_CATCHUP, /* a read of the journal; slot tells which */
	ENGINE_NOTHING, /* nobody waits for it: the cancel of an accept */
};

/*
 * user_data of an operation.  The generation of a slot grows when it is freed,
 * so that a late completion can never be taken for the next owner's.
 */
struct ticket {
	uint32_t generation;
	uint16_t slot;
	uint8_t kind; /* enum engine_kind */
	uint8_t spare;
};

struct completion {
	struct ticket ticket;
	int32_t result; /* bytes, descriptor, or -errno */
	bool is_last;	/* false: this multishot operation goes on */
};

struct engine_options {
	enum engine_mode mode; /* not ENGINE_AUTO: see config/cpus.h */
	unsigned slots;	     /* registered files */
	int64_t sq_idle_ns;  /* sqpoll only */
	int sq_cpu;	     /* -1: any */
	int64_t spin_ns;     /* poll for so long after the last completion */
};

/* Work that the engine did, for the log. */
struct engine_counters {
	uint64_t waits;	       /* times the thread slept in the kernel */
	uint64_t submit_stalls; /* times the submission queue was full */
};

struct engine;

/* false where the kernel refuses this process an SQPOLL thread. */
bool engine_can_sqpoll(void);

/*
 * NULL on failure, with errno, and the one line that the operator needs in err:
 * which limit or permission is missing, and the command that mends it.
 */
struct engine *engine_open(const struct engine_options *options, char *err,
			   size_t err_len);

/* Waits for nothing: every operation must have completed, except accept. */
void engine_close(struct engine *e);

/*
 * Makes [base, base + len) the registered buffer.  For a ring: the whole
 * double view, since a span may start in one half and end in the other.
 * false, with errno and err as in engine_open.
 */
bool engine_register(struct engine *e, void *base, size_t len, char *err,
		     size_t err_len);

/* Puts fd behind a slot; fd -1 empties it (a registered file keeps its socket
 * open otherwise). 0 or -errno. */
int engine_bind(struct engine *e, unsigned slot, int fd);

/* Each listening socket: completes once per connection (result = descriptor)
 * until is_last. */
void engine_accept(struct engine *e, int fd, struct ticket ticket);
void engine_recv(struct engine *e, void *at, size_t len, struct ticket ticket);

/* From the registered buffer: with write_fixed in mode sqpoll, with send in
 * mode direct. May write less than len. */
void engine_write(struct engine *e, const void *at, size_t len,
		  struct ticket ticket);

/* From any other memory. May write less than len. */
void engine_send(struct engine *e, const void *at, size_t len,
		 struct ticket ticket);

/* Completes once, when the peer of a slot's socket sends nothing more, or when
 * the socket is broken or shut down. */
void engine_poll_end(struct engine *e, struct ticket ticket);

/* Tries to end the operation with ticket `victim`; completes itself too. */
void engine_cancel(struct engine *e, struct ticket victim,
		   struct ticket ticket);

/* Writes at the end of a file: that is `off`, unless others have cut the file
 * or written to it.  So there is never a hole.  May write less than len. */
void engine_append_file(struct engine *e, int fd, const void *at, size_t len,
			uint64_t off, struct ticket ticket);

/* Reads at an offset of a file (0 for a signalfd). May read less than len. */
void engine_read(struct engine *e, int fd, void *at, size_t len, uint64_t off,
		 struct ticket ticket);

/* Whether an operation with this result has done nothing, and nothing is wrong:
 * it may be asked for again. */
static inline bool
engine_is_again(int32_t result)
{
	return result == -EINTR || result == -EAGAIN || result == -ECANCELED;
}

/* Size and inode of the file that has this name, wherever that hangs: into out.
 * Result 0 or -errno. */
void engine_stat(struct engine *e, const char *path, struct statx *out,
		 struct ticket ticket);

/* fdatasync. */
void engine_sync_file(struct engine *e, int fd, struct ticket ticket);

/* Writes [off, off + len) of a file out, waits for it, and drops its pages
 * from the page cache; completes once. */
void engine_recycle_file(struct engine *e, int fd, uint64_t off, unsigned len,
			 struct ticket ticket);

/*
 * Submits what was prepared, then takes up to `max` completions into out.  If
 * there are none: polls until spin_ns after the last one, then sleeps until one
 * comes or wait_ns have passed (0: does not wait at all).  Completions are
 * copied out and given back to the kernel before this returns, so that handlers
 * may prepare operations freely.  Returns how many.
 */
unsigned engine_turn(struct engine *e, struct completion *out, unsigned max,
		     int64_t wait_ns);

const struct engine_counters *engine_counters(const struct engine *e);

/* Operations of one connection in flight at once: recv, write, 2 cancels and
 * a poll; the completion queue is sized by it. */
#define ENGINE_OPS_PER_SLOT 5

#endif
