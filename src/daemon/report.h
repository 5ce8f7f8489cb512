/*
 * Reports for the operator: the log's lines about connections and consumers,
 * the periodic summary, the memory that the configuration uses, the status for
 * systemd.  Part of the server (server.h).
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

/* Must be called before the first connection. */
void report_open(struct server *s);

/* Whether a line about a client may be written, within the limits of lines that
 * one client and all clients may cause (client/log_quota.h). */
bool report_may(struct server *s, const struct connection *c,
		enum peers_event event, const char *reason);

/* Logs sums of the lines held back: in bursts that have ended, or (wants_all)
 * in all bursts. */
void report_held(struct server *s, bool wants_all);

/* Logs that an update was refused, or that an asynchronous request had an
 * error: each fault of a connection once, then one line a second (struct
 * faults).  Its counters have the totals. */
void report_rejected(struct server *s, struct connection *c,
		     const struct tick_outcome *out);
void report_failed(struct server *s, struct connection *c,
		   const struct tick_outcome *out);

/* The present figures of a consumer.  asks_kernel: kernel_bytes too, which
 * costs a system call. */
struct figures {
#define FIGURE(name, column, sentence) int64_t name;
#include "daemon/figures.def"
#undef FIGURE
};

struct figures report_figures(struct server *s, struct connection *c,
			      bool asks_kernel);

/* live, slow, leaving, catching_up, holding (doc/operations.md). */
const char *report_state(const struct server *s, struct connection *c);

/* Continues with the lines of consumers: a few in each turn. */
void report_run(struct server *s);

/* Logs the figures of a consumer after a change of its state; at most one line
 * a second for each consumer, but its last state is logged with the next
 * summary at the latest. */
void report_change(struct server *s, struct connection *c);

/* Logs that a slow consumer was moved to the head.  Record numbers are those of
 * the day.  At most one line a second for each consumer. */
void report_skip(struct server *s, struct connection *c,
		 const struct skipped *skipped);

/* Begins to log all consumers, whatever their state (SIGUSR1). */
void report_all_consumers(struct server *s);

/* Logs the periodic summary, and the slowest of the slow consumers. */
void report_summary(struct server *s);

/* Logs the memory that the configuration can use, before READY and when
 * ringtick-login has been started. */
void report_memory(const struct server *s);

/* Writes the text of systemd's STATUS=, the port first.  Returns buf. */
const char *report_status(const struct server *s, char *buf, size_t buf_len);

/* Tells systemd at once when a trouble of the journal begins or ends. */
void report_journal(struct server *s);

#endif
