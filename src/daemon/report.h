/*
 * What the operator reads: the log's lines about connections and consumers,
 * the periodic summary, the memory that the configuration uses, the status
 * for systemd.  Part of the server (server.h).
 */
#ifndef RINGTICK_DAEMON_REPORT_H
#define RINGTICK_DAEMON_REPORT_H

#include <stdint.h>

#include "daemon/server.h"

void report_connect(struct server *s, struct connection *c);
void report_disconnect(struct server *s, struct connection *c,
		       const char *detail);
void report_subscribe(struct server *s, const struct connection *c,
		      const struct stream *stream);

/* Before the first connection. */
void report_open(struct server *s);

/* Whether a line about a client may be written, within what one client may
 * cause; `reason` tells lines of one event apart, or is "". */
bool report_may(struct server *s, const struct connection *c,
		const char *event, const char *reason);

/* Sums up what was held back: of bursts that have ended, or all of it. */
void report_held(struct server *s, bool wants_all);

/* An update was refused; an asynchronous request had an error. At most one
 * line a second for each connection; its counters tell all. */
void report_rejected(struct server *s, struct connection *c,
		     const struct tick_outcome *out);
void report_failed(struct server *s, struct connection *c,
		   const struct tick_outcome *out);

/* The figures of a consumer, as they are now. */
struct figures {
#define FIGURE(name, column, sentence) int64_t name;
#include "daemon/figures.def"
#undef FIGURE
};

struct figures report_figures(struct server *s, struct connection *c,
			      bool asks_kernel);

/* live, slow, leaving, catching_up, holding (doc/operations.md). */
const char *report_state(const struct server *s, struct connection *c);

/* Goes on with the lines of consumers: a few in a turn. */
void report_run(struct server *s);

/* The counters of one consumer. */
void report_consumer(struct server *s, struct connection *c);

/* The same on a change of its state; at most one line a second for each, but
 * where it ends up is told with the next summary at the latest. */
void report_change(struct server *s, struct connection *c);

/* A slow consumer was moved to the head, numbers of the day; at most one line
 * a second for each consumer. */
void report_skip(struct server *s, struct connection *c,
		 const struct skipped *skipped);

/* All of them, whatever their state (SIGUSR1). */
void report_all_consumers(struct server *s);

/* The periodic one: the summary, and the slowest of those that are slow. */
void report_summary(struct server *s);

/* The arithmetic of memory, before READY. */
void report_memory(const struct server *s);

/* The text of systemd's STATUS=, port first. Returns buf. */
const char *report_status(const struct server *s, char *buf, size_t buf_len);

/* Tells systemd at once when a trouble of the journal begins or ends. */
void report_journal(struct server *s);

#endif
