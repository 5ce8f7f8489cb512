/*
 * The rules of a kdb+ tickerplant: what .u.sub, .u.upd, .u.end and the rest
 * mean (tick-contract.md section 2).  Takes whole frames, puts updates and
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
#include "client/wait_reason.h"
#include "config/counters.h"
#include "config/settings.h"
#include "journal/state.h"
#include "q/eval.h"
#include "ring/selection.h"
#include "ring/stream.h"
#include "schema/template.h"
#include "tick/request_text.h"
#include "wire/unpack.h"
#include "wire/wire.h"

/* The connections as q values (doc/protocol.md). */
enum tick_table {
	TICK_LAG,	  /* .ringtick.lag[]: the consumers and their figures */
	TICK_SUBSCRIBERS, /* .u.w: tables!lists of (handle; filter) */
	TICK_QUEUES,	  /* .z.W: handles!bytes that they lack */
};

struct tick {
	const struct settings *settings;
	struct streams *streams;
	struct counters *counters;
	const struct journal_state *journal;
	const struct history *history;
	/* Writes one of the tables: set by who knows the connections. NULL, or
	 * the text of an error. */
	const char *(*put_table)(void *context, enum tick_table table,
				 struct wire_writer *out);
	void *put_context;
	struct cpu_limit time; /* ends requests that cost too much */
	unsigned port;	       /* where clients connect */
	struct zone zone;
	int32_t day;	   /* the day that runs: days since 2000.01.01 */
	int32_t day_floor; /* no earlier one may run: those before it have
			      ended; INT32_MIN: not known */
	uint64_t day_begin; /* number in the main stream of its record 0,
			       unless a journal counts; modular */
	int64_t clock_off_ns; /* of the wall clock to the monotonic one, a turn
				 ago; 0: not known */
	struct log_limit step_log;
	int64_t local_ns;  /* stamp of what is handled now, in the zone */
	int64_t now_ns;	   /* the same moment, monotonic */
	bool is_held;	   /* a consumer holds the feeds: no updates */
	bool is_day_pending; /* the mark has no room yet: no updates */
	struct unpack unpack; /* of compressed frames */
	uint8_t *rewritten; /* scratch of message.max: a byte-swapped frame,
			       within one call */
	uint8_t *work;	   /* scratch: a request that is being evaluated */
	size_t work_len;
	size_t reply_max;  /* bytes that a reply can have, frame header too */
	char error[REQUEST_ERROR_MAX];
	char asked[ASKED_BYTES]; /* scratch of an outcome */
	struct templates templates; /* of what feeds have sent */
};

/* Who asks. */
struct tick_client {
	struct selection selection; /* what it is subscribed to */
	struct stream *stream;	    /* where it reads; NULL: nowhere */
	bool is_behind;		    /* reads the journal instead */
	uint8_t *reply;		    /* reply_max bytes: tick.reply_max, or */
	size_t reply_max;	    /* ... message.max after TICK_LARGE: */
	bool is_reply_large;
	uint64_t address;	    /* where from: it has a share of streams */
	int handle;		    /* as q would number it: its descriptor */
	bool has_published;	    /* updates of it were accepted: ... */
	uint64_t published_pos;	    /* ... end of the last in the main stream */
	const char *user;	    /* its name; NULL: none */
	const void *who;	    /* whose long compressed frame it is (of
				       wire/unpack.h); NULL: nobody's, it is not
				       inflated in pieces */
	bool is_brief;		    /* others wait: what is more than brief
				       (q/eval.h) waits with WAIT_DEAR */
	bool is_late;		    /* this frame has waited for as long as a
				       request may: it gets an error instead */
};

enum tick_result {
	TICK_DONE, /* handled; take the frame away, send the reply if any */
	TICK_WAIT, /* nothing has changed; hand the frame in again when what
		      outcome.waits_for says is over */
	TICK_LARGE, /* nothing has changed; hand the frame in again with a
		       reply_max of message.max */
	TICK_BAD,  /* malformed, or too long: close the connection */
};

struct tick_outcome {
	size_t reply_len;	  /* bytes in client.reply; 0: no reply */
	struct selection selection; /* the client's from now on */
	bool is_subscribing;	  /* the selection was asked for, and its
				     symbols are held for the caller: */
	struct stream *stream;	  /* to read from its head on, behind the
				     reply; NULL if is_behind or has_past */
	bool has_past;		  /* the journal is asked for: */
	struct past_request past;
	struct reply_gate gate;	  /* what the reply waits for */
	bool wants_skips;	  /* to be told what policy skip takes away */
	bool is_too_long;	  /* TICK_BAD: why */
	unsigned steps;		  /* that its evaluation has taken */
	bool is_update;
	bool has_no_place;  /* TICK_DONE: the reply, or the subscription, has to
			       wait until wait_stream is level; a reply alone
			       until that one has had what ... */
	uint64_t reply_pos; /* ... is before this in the main stream */
	enum wait_reason waits_for; /* TICK_WAIT: what for; and, of ... */
	const struct stream *wait_stream; /* ... WAIT_LEVEL, which stream */
	const char *why;	  /* TICK_BAD or a refused update: the reason */
	struct request_arg table; /* of a refused update: the name sent */
	const char *error; /* of an asynchronous request, which nobody is told:
			      its error; good until the next call, as is: */
	const char *asked; /* what it was, for the log */
};

/* The settings must outlive it. 0 or -ENOMEM. */
int tick_open(struct tick *t, const struct settings *settings,
	      struct streams *streams, struct counters *counters,
	      const struct journal_state *journal,
	      const struct history *history);
void tick_close(struct tick *t);

/* The day that runs from the start on, unless it is the clock's. */
void tick_begin_day(struct tick *t, int32_t day, int32_t day_floor);

/*
 * Sets the moment for what follows, and ends the day if it is over: the mark
 * goes into the stream before any update of the next day.  While there is no
 * room for it is_day_pending is set, updates wait, and it has to be called
 * again: false.
 */
bool tick_set_time(struct tick *t, int64_t utc_ns, int64_t now_ns);

/* The number in the running day of a record of the main stream; 0 for those of
 * earlier days. */
uint64_t tick_day_record(const struct tick *t, uint64_t stream_record);

/* The day that should run instead of one that a wrong clock has begun: the
 * clock's, or the first one that has not ended.  The running one if it is that.
 */
int32_t tick_right_day(const struct tick *t);

/* Says at the start if the clock cannot be right; with each report, if the date
 * is ahead of it and nobody has asked for that. */
void tick_check_clock(const struct tick *t);
void tick_report_date(const struct tick *t);

/* Ends the running day at once. false if there is no room for the mark. */
bool tick_end_day(struct tick *t);

/* Whether the request that is evaluated has had its time: it ends with
 * query_limit.  To be asked now and then by what goes through much. */
bool tick_is_late(struct tick *t);

/*
 * Handles as many whole frames from the front of what a client has sent as are
 * plain updates like some before, and find room: the same as dispatch_frame
 * does with each, at a fraction of the cost.  Not for a client that reads a
 * stream: its replies have their places in it.  Returns how many bytes were
 * taken; *out_records says how many frames.
 */
size_t tick_repeat(struct tick *t, const uint8_t *at, size_t avail,
		   uint64_t *out_records);

#endif
