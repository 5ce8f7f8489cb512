/*
 * The rules of a kdb+ tickerplant: the meaning of .u.sub, .u.upd, .u.end and
 * the rest (tick-contract.md section 2).  Takes whole frames, puts updates and
 * marks into the main stream, and writes replies; knows no sockets.
 */
#ifndef RINGTICK_TICK_TICK_H
#define RINGTICK_TICK_TICK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/log.h"
#include "client/consumer.h"
#include "client/shares.h"
#include "client/wait_reason.h"
#include "config/counters.h"
#include "config/settings.h"
#include "journal/state.h"
#include "q/eval.h"
#include "ring/selection.h"
#include "ring/streams.h"
#include "schema/template.h"
#include "tick/request_text.h"
#include "wire/inflate_long.h"
#include "wire/wire.h"

/* The connections as q values (doc/protocol.md). */
enum tick_table {
	TICK_LAG,	  /* .ringtick.lag[]: the consumers and their figures */
	TICK_SUBSCRIBERS, /* .u.w: tables!lists of (handle; filter) */
	TICK_QUEUES,	  /* .z.W: handles!bytes still to be sent */
};

struct tick_client;

struct tick {
	const struct settings *settings;
	struct streams *streams;
	struct counters *counters;
	const struct journal_state *journal;
	const struct history *history;
	/* Writes one of the tables; set by the daemon, which knows the
	 * connections.  Returns NULL, or the text of an error. */
	const char *(*put_table)(void *context, enum tick_table table,
				 struct wire_writer *out);
	void *context; /* of put_table and reload */
	/* Reads the configuration again, for an administrator.
	 * request_must_wait until that is done. */
	const char *(*reload)(void *context, const struct tick_client *client);
	struct cpu_limit time; /* time limit of a request */
	unsigned port;	       /* TCP port of the listener */
	struct zone zone;
	int32_t day;	   /* the day that runs: days since 2000.01.01 */
	int32_t day_floor; /* the earliest day that may run, as days before it
			      have ended; INT32_MIN: not known */
	uint64_t day_begin; /* number in the main stream of the day's record 0,
			       unless a journal counts; modular */
	uint64_t before_begin; /* the same of the day before */
	int64_t clock_off_ns; /* wall clock minus monotonic clock in the last
				 turn; 0: not known */
	struct log_limit step_log;
	int64_t local_ns;  /* stamp of updates that are handled now, in the
			      zone */
	int64_t now_ns;	   /* the same time, monotonic */
	bool is_held;	   /* a consumer holds the feeds: no updates */
	bool is_day_pending; /* the mark has no room yet: no updates */
	struct inflate_long inflate_long; /* for compressed frames */
	uint8_t *rewritten;   /* scratch of message.max bytes: a byte-swapped
				 frame, within one call */
	uint8_t *work;	      /* scratch for the evaluation of a request */
	size_t work_len;
	size_t reply_max; /* longest usual reply, including the frame header */
	char error[REQUEST_ERROR_MAX];
	char asked[ASKED_BYTES];    /* memory of outcome.asked */
	struct templates templates; /* of earlier updates */
};

/* The client whose frame is handled. */
struct tick_client {
	struct selection selection; /* what it is subscribed to; held by the
				       caller */
	struct stream *stream;	    /* the stream that it reads, or NULL */
	bool is_behind;		    /* it reads the journal instead */
	uint8_t *reply;		    /* buffer of reply_max bytes:
				       tick.reply_max, or ... */
	size_t reply_max;	    /* ... message.max after TICK_LARGE: */
	bool is_reply_large;
	uint64_t address;	/* shares_of_address; each has a share of
				   streams */
	unsigned slot;		/* its number for reload */
	int handle;		/* its handle as q would number it: the
				   descriptor */
	bool has_published;	/* an update of the client was accepted:
				   ... */
	uint64_t published_pos; /* ... end of the last one in the main
				   stream */
	const char *user;	/* its user name; NULL: none */
	const struct rights *rights; /* what it may do, and, ... */
	unsigned may;		     /* ... instead of rights->may, enum
					right */
	struct share *share;	/* counts its requests; NULL: without limit */
	const void *who;	/* key of its long compressed frame
				   (wire/inflate_long.h); NULL: such a frame is
				   inflated in one go */
	bool must_queue;	/* others wait for room: an update must not take
				   it before them */
	bool is_brief;		/* other clients wait: a request that is
				   more than brief (q/eval.h) waits with
				   WAIT_DEAR */
	bool is_late;		/* this frame has waited for as long as a
				   request may: it gets an error instead of
				   a further wait */
};

enum tick_result {
	TICK_DONE,  /* handled; consume the frame, send the reply if any */
	TICK_WAIT,  /* no effect; try the frame again when outcome.waits_for has
		       ended */
	TICK_LARGE, /* no effect; try the frame again with a reply_max of
		       message.max */
	TICK_BAD,   /* malformed, or too long: close the connection */
};

struct tick_outcome {
	size_t reply_len;	  /* bytes in client.reply; 0: no reply */
	struct selection selection; /* the client's from now on */
	bool is_subscribing;	    /* the request changed the selection, whose
				       symbols are held for the caller: */
	struct stream *stream;	    /* to be read from its head on, after the
				       reply; NULL if is_behind or has_past */
	bool has_past; /* the subscription begins in the journal: */
	struct past_request past;
	struct reply_gate gate; /* of the reply */
	bool wants_skips;	/* the client asked for notices of skips */
	bool is_too_long;	/* TICK_BAD: the frame is too long */
	unsigned steps;		/* steps that the evaluation took */
	bool is_update;
	bool has_no_place;  /* TICK_DONE: the place of the reply, or of the
			       subscription, is unknown until wait_stream is
			       level, or, for a reply alone, has been fed ... */
	uint64_t reply_pos; /* ... up to this position of the main stream */
	enum wait_reason waits_for; /* TICK_WAIT: the reason; and, for ... */
	const struct stream *wait_stream; /* ... WAIT_LEVEL, the stream */
	const char *why;	  /* reason of TICK_BAD, or of the refusal of an
				     update */
	struct request_arg table; /* name sent with a refused update; valid
				     until the next call, or until the frame is
				     consumed */
	const char *error; /* error of an asynchronous request, for the log;
			      valid until the next call, as is ... */
	const char *asked; /* ... the request in a few words */
};

/* All arguments must outlive it.  Returns 0 or -ENOMEM; on failure *t is
 * closed. */
int tick_open(struct tick *t, const struct settings *settings,
	      struct streams *streams, struct counters *counters,
	      const struct journal_state *journal,
	      const struct history *history);
void tick_close(struct tick *t);

/* Sets the running day, in days since 2000.01.01, if it is not the clock's;
 * day_floor is the earliest day that may run. */
void tick_begin_day(struct tick *t, int32_t day, int32_t day_floor);

/*
 * Sets the time of the turn, and ends the day if it is over: the mark goes into
 * the stream before any update of the next day.  Returns false, with
 * is_day_pending set, if there is no room for the mark: updates then wait, and
 * the function must be called again.  utc_ns is in ns since 2000.01.01.
 */
bool tick_set_time(struct tick *t, int64_t utc_ns, int64_t now_ns);

/* Whether the last day has ended but the next file is not in use, or its
 * subscribers have not been shown the end: record numbers have no meaning
 * then. */
bool tick_is_between_files(const struct tick *t);

/* The number of a record of the main stream in the day of a position of that,
 * the running one or the one before; 0 for records of earlier days. */
uint64_t tick_day_record(const struct tick *t, uint64_t stream_record,
			 uint64_t pos);

/* The number of ends of day in the main stream before that day. */
uint64_t tick_day_marks(const struct tick *t, uint64_t pos);

/* The journal's last loss changes the numbers of later records; call it once
 * for each loss, in the turn in which it was found. */
void tick_count_loss(struct tick *t);

/* The day that should run, if the running one was begun by a wrong clock: the
 * clock's, or the first one that has not ended.  Else the running day. */
int32_t tick_right_day(const struct tick *t);

/* tick_check_clock logs, at the start, that the clock cannot be right;
 * tick_report_date, with each report, that the date is ahead of the clock,
 * unless a client asked for that. */
void tick_check_clock(const struct tick *t);
void tick_report_date(const struct tick *t);

/* Ends the running day at once. false if there is no room for the mark. */
bool tick_end_day(struct tick *t);

/* Whether the time of the evaluated request is over: it then ends with
 * query_limit.  Long loops call this now and then. */
bool tick_is_late(struct tick *t);

#endif
