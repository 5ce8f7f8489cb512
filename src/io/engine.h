/*
 * The engine: the one io_uring through which every byte is received, sent, read
 * and written. engine.c is the only file that knows liburing.
 *
 * sqpoll  a kernel thread takes submissions from shared memory: while there
 *         is work, the application thread makes no system call.
 * direct  the same turn with one io_uring_enter each, no kernel thread.
 *
 * Sockets are registered files: slot i of the connection table is file i.  The
 * main ring is the registered buffer.  Called by the server and the self-test,
 * by one thread (SINGLE_ISSUER).
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

/* What an operation is; part of its ticket. */
enum engine_kind {
	ENGINE_ACCEPT,
	ENGINE_RECV,
	ENGINE_WRITE,
	ENGINE_CANCEL,
	ENGINE_POLL, /* waits for a connection's peer to end */
	ENGINE_SIGNAL,
	ENGINE_JOURNAL,	  /* a file operation; the slot tells which */
	ENGINE_FILE_JOBS, /* some job of file_jobs.h has finished */
	ENGINE_LOGIN,	  /* an answer of ringtick-login */
	ENGINE_RELOAD,	  /* the same for the configuration */
	ENGINE_CATCHUP,	  /* a read of the journal; the slot tells which */
	ENGINE_NOTHING,	  /* its completion is ignored: such as the cancel of an
			     accept */
};

/*
 * The user_data of an operation.  A slot's generation grows when the slot is
 * freed, so that a late completion is never taken for one of the next owner's.
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
};

struct engine_options {
	enum engine_mode mode; /* not ENGINE_AUTO, which config/cpus.h
				  resolves */
	unsigned slots;	     /* registered files */
	int64_t sq_idle_ns;  /* sqpoll only */
	int sq_cpu;	     /* -1: any */
	int64_t spin_ns;     /* how long to poll after the last completion */
};

/* For the log. */
struct engine_counters {
	uint64_t waits;	       /* times the thread slept in the kernel */
	uint64_t submit_stalls; /* times the submission queue was full */
};

struct engine;

/* false if the kernel refuses this process an SQPOLL thread. */
bool engine_can_sqpoll(void);

/*
 * Opens the engine; the caller closes it.  NULL on failure, with errno, and in
 * err one line for the operator: which limit or permission is missing, and the
 * command that mends it.
 */
struct engine *engine_open(const struct engine_options *options, char *err,
			   size_t err_len);

/* Closes without waiting: every operation but accept must have completed.
 * Accepts NULL. */
void engine_close(struct engine *e);

/*
 * Makes [base, base + len) the registered buffer: for a ring the whole double
 * view, since a span may start in one half and end in the other.  May take half
 * a second.  false, with errno and err as in engine_open.
 */
bool engine_register(struct engine *e, void *base, size_t len, char *err,
		     size_t err_len);

/* Registers fd as the file of a slot; fd -1 empties the slot, without which the
 * socket would stay open.  0 or -errno. */
int engine_bind(struct engine *e, unsigned slot, int fd);

/* Accepts one connection of a listening socket; the result is its descriptor.
 * A multishot accept would hand out all that wait at once, in one turn. */
void engine_accept(struct engine *e, int fd, struct ticket ticket);
void engine_recv(struct engine *e, void *at, size_t len, struct ticket ticket);

/* Writes from the registered buffer: with write_fixed in mode sqpoll, with send
 * in mode direct.  May write less than len. */
void engine_write(struct engine *e, const void *at, size_t len,
		  struct ticket ticket);

/* Writes from any other memory.  May write less than len. */
void engine_send(struct engine *e, const void *at, size_t len,
		 struct ticket ticket);

/* Completes once: when the peer of a slot's socket has shut down its sending
 * side, or when the socket is broken or shut down. */
void engine_poll_end(struct engine *e, struct ticket ticket);

/* Tries to end the operation with ticket `victim`; has a completion of its
 * own. */
void engine_cancel(struct engine *e, struct ticket victim,
		   struct ticket ticket);

/* Writes at the end of a file, which is `off` unless another process has cut
 * the file or written to it: so there is never a hole.  May write less than
 * len. */
void engine_append_file(struct engine *e, int fd, const void *at, size_t len,
			uint64_t off, struct ticket ticket);

/* Reads at offset `off` of a file (0 for a signalfd or eventfd).  May read less
 * than len. */
void engine_read(struct engine *e, int fd, void *at, size_t len, uint64_t off,
		 struct ticket ticket);

/* Whether an operation with this result has done nothing without a fault: it
 * may be started again. */
static inline bool
engine_is_again(int32_t result)
{
	return result == -EINTR || result == -EAGAIN || result == -ECANCELED;
}

/* Reads size and inode of the file at `path` into *out.  A file system that
 * hangs delays only this completion.  The completion's result is 0 or
 * -errno. */
void engine_stat(struct engine *e, const char *path, struct statx *out,
		 struct ticket ticket);

/* Runs fdatasync on a file. */
void engine_sync_file(struct engine *e, int fd, struct ticket ticket);

/* Writes the dirty pages of [off, off + len) of a file to disk, waits for that,
 * then drops them from the page cache; `ticket` completes once. */
void engine_recycle_file(struct engine *e, int fd, uint64_t off, unsigned len,
			 struct ticket ticket);

/*
 * Submits what was prepared, then takes up to `max` completions into out.  If
 * there are none: polls until spin_ns after the last completion, then sleeps
 * until one comes or wait_ns have passed (0: does not wait at all).
 * Completions are copied out and their entries given back to the kernel before
 * this returns, so that handlers may prepare operations freely.  Returns the
 * number of completions.
 */
unsigned engine_turn(struct engine *e, struct completion *out, unsigned max,
		     int64_t wait_ns);

const struct engine_counters *engine_counters(const struct engine *e);

/* The most operations that one connection can have in flight: recv, write, 2
 * cancels and a poll.  The completion queue is sized by this. */
#define ENGINE_OPS_PER_SLOT 5

#endif
