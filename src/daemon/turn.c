#include "config.h"

#include "daemon/turn.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/notify.h"
#include "daemon/buffer_holders.h"
#include "daemon/buffers.h"
#include "daemon/deadline.h"
#include "daemon/drain.h"
#include "daemon/login.h"
#include "daemon/reload.h"
#include "daemon/report.h"
#include "daemon/session.h"
#include "daemon/slow_consumers.h"
#include "daemon/wait.h"
#include "daemon/wait_serve.h"

enum {
	TURN_COMPLETIONS = 256, /* taken in one turn */
	CROWD = 16,		/* completions of a turn that may be one of
				   many */
	GATHER_SHARE = 16,	/* at most this part of the ring is gathered */
};

/* Connections that wait for room are checked this often; completions wake the
 * turn sooner. */
#define RETRY_NS     (1 * NS_PER_MS)
#define TURN_WAIT_NS (1 * NS_PER_S)

/* The longest time for which updates are gathered before a delivery. */
#define GATHER_NS (1 * NS_PER_MS)

/* ---- completions ---- */

static struct ticket
accept_ticket(unsigned idx, unsigned number)
{
	return (struct ticket){ .generation = number,
				.slot = (uint16_t)idx,
				.kind = ENGINE_ACCEPT };
}

static void
arm_accept(struct server *s, unsigned idx)
{
	struct listener *l = &s->listeners.all[idx];

	if (s->is_stopping)
		return;
	for (unsigned i = 0; i < ACCEPTS_MAX / s->listeners.cnt; i++) {
		if ((l->accepting >> i & 1) != 0)
			continue;
		engine_accept(s->engine, l->fd, accept_ticket(idx, i));
		l->accepting |= 1u << i;
	}
}

static void
arm_accepts(struct server *s)
{
	s->rearm_accept_ns = 0;
	for (unsigned i = 0; i < s->listeners.cnt; i++)
		arm_accept(s, i);
}

/*
 * Without free descriptors, arming again at once would fail again at once, for
 * ever.  So one waiting client is turned away, and accept is tried again when a
 * connection has closed, or after a second.
 */
static void
accept_failed(struct server *s, unsigned idx, int err)
{
	uint64_t held;

	if (err == EMFILE || err == ENFILE) {
		s->counters.turned_away +=
			listeners_turn_away(&s->listeners, idx);
	}
	if (s->rearm_accept_ns == 0)
		s->rearm_accept_ns = s->now_ns + NS_PER_S;
	if (log_may(&s->accept_log, s->now_ns, &held))
		log_line(LOG_ERROR, "accept_failed",
			 "error=\"%s\" connections=%u held=%llu "
			 "hint=\"ulimit -n (systemd: LimitNOFILE=)\"",
			 strerror(err), s->clients.open_cnt,
			 (unsigned long long)held);
}

static void
on_accept(struct server *s, const struct completion *done)
{
	unsigned idx = done->ticket.slot;

	s->listeners.all[idx].accepting &= ~(1u << done->ticket.generation);
	if (done->result >= 0 && s->is_stopping)
		(void)close(done->result);
	else if (done->result >= 0)
		session_accepted(s, idx, done->result);
	else if (done->result != -ECANCELED)
		accept_failed(s, idx, -done->result);
	if (s->rearm_accept_ns == 0)
		arm_accept(s, idx);
}

static void
cancel_accepts(struct server *s)
{
	for (unsigned i = 0; i < s->listeners.cnt; i++)
		for (unsigned k = 0; k < ACCEPTS_MAX; k++)
			if ((s->listeners.all[i].accepting >> k & 1) != 0)
				engine_cancel(s->engine, accept_ticket(i, k),
					      (struct ticket){
						      .kind = ENGINE_NOTHING });
}

static void
arm_signal(struct server *s)
{
	engine_read(s->engine, s->signal_fd, &s->signal, sizeof(s->signal), 0,
		    (struct ticket){ .kind = ENGINE_SIGNAL });
}

static void
begin_stop(struct server *s)
{
	if (s->is_stopping)
		return;
	s->is_stopping = true;
	s->refuses_updates = journal_is_failing(&s->journal);
	if (s->refuses_updates)
		s->tick.is_held = true;
	else
		drain_begin(s);
	cancel_accepts(s);
	s->stop_deadline_ns = s->now_ns + s->settings->stop.timeout;
	log_line(LOG_NOTE, "stopping", "signal=%s connections=%u",
		 s->signal.ssi_signo == SIGINT ? "INT" : "TERM",
		 s->clients.open_cnt);
	notify_stopping();
	journal_stop(&s->journal);
}

static void
on_signal(struct server *s)
{
	if (s->signal.ssi_signo == SIGUSR1)
		report_all_consumers(s);
	else if (s->signal.ssi_signo == SIGHUP)
		reload_begin(s);
	else if (s->signal.ssi_signo == SIGCHLD)
		login_reap();
	else
		begin_stop(s);
	arm_signal(s);
}

/* If a wrong clock has begun the day, the journal first continues in the file
 * of the right day. */
static void
correct_date(struct server *s)
{
	const struct tick *t = &s->tick;
	struct journal_moment now = {
		.utc_ns = t->local_ns - t->zone.offset_ns,
		.local_ns = t->local_ns,
		.is_again = true,
		.day_floor = t->day_floor,
	};

	if (tick_right_day(t) == t->day && !s->journal.wrong_day.has_changed)
		return;
	if (s->journal.state.is_on &&
	    journal_correct_day(&s->journal, &now, s->now_ns))
		tick_begin_day(&s->tick, s->journal.state.day,
			       s->journal.state.epochs.day);
}

static void
dispatch(struct server *s, const struct completion *done)
{
	struct connection *c;

	if (done->ticket.kind == ENGINE_ACCEPT) {
		on_accept(s, done);
		return;
	}
	if (done->ticket.kind == ENGINE_SIGNAL) {
		on_signal(s);
		return;
	}
	if (done->ticket.kind == ENGINE_JOURNAL) {
		journal_completed(&s->journal, done->ticket, done->result,
				  s->now_ns);
		return;
	}
	if (done->ticket.kind == ENGINE_FILE_JOBS) {
		file_jobs_completed(&s->file_jobs, s->now_ns);
		correct_date(s);
		return;
	}
	if (done->ticket.kind == ENGINE_LOGIN) {
		reload_login_completed(s, done);
		return;
	}
	if (done->ticket.kind == ENGINE_RELOAD) {
		reload_completed(s);
		return;
	}
	if (done->ticket.kind == ENGINE_CATCHUP) {
		catchup_completed(&s->catchup, done->ticket, done->result);
		return;
	}
	if (done->ticket.kind == ENGINE_NOTHING)
		return;
	c = &s->clients.slots[done->ticket.slot];
	/* A slot is not freed while one of its operations is in flight. */
	CHECK(c->generation == done->ticket.generation && c->ops_cnt > 0);
	c->ops_cnt--;
	if (done->ticket.kind == ENGINE_RECV)
		session_received(s, c, done->result);
	else if (done->ticket.kind == ENGINE_WRITE)
		session_written(s, c, done->result);
	else if (done->ticket.kind == ENGINE_POLL)
		session_peer_ended(s, c);
	session_reap(s, c);
}

/* ---- timers ---- */

static void
run_timers(struct server *s)
{
	if (s->rearm_accept_ns != 0 && s->now_ns >= s->rearm_accept_ns)
		arm_accepts(s);
	if (s->now_ns >= s->next_spill_check_ns) {
		session_check_spills(s);
		report_held(s, false);
		login_run_each_second(s);
		s->next_spill_check_ns = s->now_ns + TURN_WAIT_NS;
	}
	if (s->now_ns >= s->next_report_ns) {
		report_summary(s);
		s->next_report_ns = s->now_ns + s->settings->log.report;
	}
	report_run(s);
	(void)reload_run(s);
	if (s->watchdog_ns > 0 && s->now_ns >= s->next_watchdog_ns) {
		notify_alive();
		s->next_watchdog_ns = s->now_ns + s->watchdog_ns;
	}
}

static int64_t
wait_ns(const struct server *s)
{
	int64_t until = s->now_ns + TURN_WAIT_NS;

	if (s->is_gathering || wait_has_turns(s) ||
	    s->streams.is_cut || s->report_of != REPORT_NOBODY ||
	    s->reload.is_giving || !list_is_empty(&s->clients.lost))
		return 0;
	/* Some wait for room, or for parked writes to leave in_flight_max. */
	if (s->waiting_cnt > 0 || delivery_is_capped(&s->delivery) ||
	    s->is_stopping || s->tick.is_day_pending)
		until = s->now_ns + RETRY_NS;
	if (s->streams.main.visible_pos != s->streams.main.head_pos &&
	    s->settings->publish.interval > 0)
		until = min_i64(until, s->next_batch_ns);
	until = min_i64(until, journal_due_ns(&s->journal));
	until = min_i64(until, catchup_due_ns(&s->catchup));
	until = min_i64(until, s->next_deadline_ns);
	until = min_i64(until, buffers_due_ns(s));
	until = min_i64(until, s->next_report_ns);
	if (s->watchdog_ns > 0)
		until = min_i64(until, s->next_watchdog_ns);
	if (s->rearm_accept_ns != 0)
		until = min_i64(until, s->rearm_accept_ns);
	return until > s->now_ns ? until - s->now_ns : 0;
}

/* ---- the turn ---- */

/* Whether the batch should be published before its time: a day has ended, the
 * daemon stops, or much of the ring is waiting. */
static bool
is_batch_urgent(const struct server *s)
{
	const struct stream *main = &s->streams.main;
	uint64_t waiting = main->head_pos - main->visible_pos;

	return s->is_stopping || waiting > main->ring.size / 4 ||
	       main->wanted_bytes > 0 ||
	       stream_has_mark_after(main, main->visible_pos);
}

/* Publishes the updates of each publish.interval. */
static void
publish_batch(struct server *s)
{
	const struct stream *main = &s->streams.main;
	int64_t interval = s->settings->publish.interval;

	if (interval == 0 || main->visible_pos == main->head_pos)
		return;
	/* After a pause without updates the intervals keep their phase. */
	if (s->now_ns - s->next_batch_ns > interval)
		s->next_batch_ns +=
			(s->now_ns - s->next_batch_ns) / interval * interval;
	if (s->now_ns < s->next_batch_ns && !is_batch_urgent(s))
		return;
	streams_show_batch(&s->streams, journal_safe_pos(&s->journal),
			   s->now_ns);
	while (s->next_batch_ns <= s->now_ns)
		s->next_batch_ns += interval;
}

/* Checks the lag of every consumer if any of them can be past a mark. */
static void
judge_consumers(struct server *s)
{
	struct connection *c, *next;
	bool is_held = false, has_slow = false;

	/*
	 * A consumer past its mark is checked until it is live again: it may
	 * take everything at once, and without a check it would stay slow for
	 * ever.
	 */
	if (!s->has_slow &&
	    !streams_may_be_slow(&s->streams, s->lag_limits.return_percent))
		return;
	if (s->now_ns < s->next_judge_ns)
		return;
	s->next_judge_ns = s->now_ns + server_walk_pause_ns(s);
	for (c = clients_next(&s->clients, NULL); c != NULL; c = next) {
		next = clients_next(&s->clients, c);
		if (slow_consumers_judge(s, c))
			is_held = true;
		if (c->consumer.lag.is_slow && c->state != CONNECTION_CLOSING)
			has_slow = true;
	}
	s->tick.is_held = is_held || s->refuses_updates;
	s->has_slow = has_slow;
}

static void
run_catchup(struct server *s)
{
	enum catchup_outcome outcome;
	struct connection *c;

	catchup_run(&s->catchup, s->now_ns);
	while ((outcome = catchup_next_outcome(&s->catchup, &c)) !=
	       OUTCOME_NONE)
		session_caught_up(s, c, outcome);
}

/*
 * Under a flood some turns pass without a delivery: one large write costs much
 * less than four small ones.  Only while updates come in: otherwise there is
 * nothing to gather, and consumers would wait.
 */
static void
deliver(struct server *s)
{
	const struct stream *main = &s->streams.main;
	uint64_t enough = min_u64(s->settings->engine.span_max,
				  main->ring.size / GATHER_SHARE);
	bool has_moved = main->head_pos != s->gathered_pos;

	if (!s->is_gathering)
		s->gather_until_ns = s->now_ns + GATHER_NS;
	s->is_gathering = s->recv_filled && has_moved && s->waiting_cnt == 0 &&
			  s->now_ns < s->gather_until_ns &&
			  main->head_pos - s->delivered_pos < enough;
	s->recv_filled = false;
	s->gathered_pos = main->head_pos;
	if (s->is_gathering)
		return;
	s->delivered_pos = main->head_pos;
	delivery_run(&s->delivery, s->now_ns);
}

static void
set_time(struct server *s, int64_t waited_ns)
{
	int64_t before_ns = s->now_ns;

	s->now_ns = clock_monotonic_ns();
	deadline_begin_turn(s, s->now_ns - before_ns - waited_ns);
	budget_begin_turn(&s->budget, s->now_ns);
	(void)tick_set_time(&s->tick, clock_utc_ns(), s->now_ns);
	correct_date(s);
}

/* Records of the journal are lost, so places in it have changed: a consumer
 * that reads it would get later records instead of those that it lacks.  A loss
 * takes several turns to find, so one turn has at most one. */
static void
lose_records(struct server *s)
{
	struct connection *c, *next;

	s->losses = s->journal.state.loss.times;
	tick_count_loss(&s->tick);
	for (c = clients_next(&s->clients, NULL); c != NULL; c = next) {
		next = clients_next(&s->clients, c);
		consumer_renumber_skips(&c->consumer, &s->journal.state.loss);
		if (consumer_holds_file(&c->consumer) &&
		    c->state != CONNECTION_CLOSING)
			session_close(
				s, c, CLOSE_unreadable,
				"the journal was cut while the daemon was "
				"running");
	}
}

static void
turn(struct server *s)
{
	struct completion done[TURN_COMPLETIONS];
	int64_t waits_ns = wait_ns(s);
	unsigned n = engine_turn(s->engine, done, ARRAY_LEN(done), waits_ns);

	set_time(s, waits_ns);
	s->is_crowded = n >= CROWD;
	wait_serve_level(s);
	for (unsigned i = 0; i < n; i++)
		dispatch(s, &done[i]);
	if (s->losses != s->journal.state.loss.times)
		lose_records(s);
	publish_batch(s);
	streams_feed(&s->streams, s->now_ns);
	judge_consumers(s);
	wait_serve(s);
	run_catchup(s);
	journal_run(&s->journal, s->tick.day, s->tick.local_ns, s->now_ns);
	session_end_lost(s);
	session_check_deadlines(s, n < ARRAY_LEN(done));
	buffer_holders_check(s);
	report_journal(s);
	run_timers(s);
	/* Again, for updates that were just served and those that the journal
	 * has revealed, if the first call did everything before them. */
	if (!s->streams.is_cut)
		streams_feed(&s->streams, s->now_ns);
	deliver(s);
}

/* ---- stop ---- */

/* Whether all that came is in the journal and was sent. */
static bool
is_served(struct server *s)
{
	struct connection *c = NULL;

	if (!s->refuses_updates && (!drain_is_done(s) || s->waiting_cnt > 0))
		return false;
	if (!journal_has_drained(&s->journal))
		return false;
	while ((c = clients_next(&s->clients, c)) != NULL) {
		if (consumer_is_busy(&c->consumer) ||
		    consumer_lag_bytes(&c->consumer) > 0)
			return false;
	}
	return true;
}

static bool
has_drained(struct server *s)
{
	return is_served(s) && journal_may_close(&s->journal, s->now_ns);
}

static void
tell_cut(struct server *s)
{
	bool is_whole = journal_has_drained(&s->journal);
	const char *what = "consumers had not taken everything";

	if (!is_whole)
		what = "not everything was in the journal";
	else if (is_served(s))
		what = "the last look at the journal's file was not over";
	log_line(LOG_WARN, "stop_cut",
		 "connections=%u journal=%s hint=\"%s within stop.timeout\"",
		 s->clients.open_cnt, is_whole ? "whole" : "behind", what);
}

static void
close_all(struct server *s)
{
	struct connection *c, *next;
	int64_t until = clock_monotonic_ns() + NS_PER_S;

	for (c = clients_next(&s->clients, NULL); c != NULL; c = next) {
		next = clients_next(&s->clients, c);
		session_close(s, c, CLOSE_stopping, NULL);
	}
	login_stop(s);
	/* Memory may be freed only when the kernel no longer uses it; during a
	 * write the file may end with a part of a record; and what was accepted
	 * during a write is lost if there is no other one. */
	while ((s->clients.open_cnt > 0 || catchup_is_reading(&s->catchup) ||
		login_is_reading(&s->login) ||
		journal_is_trying(&s->journal)) &&
	       s->now_ns < until)
		turn(s);
}

/* When the journal's files must be closed: at the end of stop.timeout, or in a
 * moment if that is over. */
static int64_t
journal_end_ns(const struct server *s)
{
	int64_t soon_ns = clock_monotonic_ns() + NS_PER_S / 5;

	return s->stop_deadline_ns > soon_ns ? s->stop_deadline_ns : soon_ns;
}

int
turn_run(struct server *s)
{
	char status[256];
	int exit_status;

	s->now_ns = clock_monotonic_ns();
	s->report_base.at_ns = s->now_ns;
	s->next_report_ns = s->now_ns + s->settings->log.report;
	s->next_batch_ns = s->now_ns + s->settings->publish.interval;
	s->watchdog_ns = notify_watchdog_ns();
	s->next_watchdog_ns = s->now_ns + s->watchdog_ns;
	reload_arm(s);
	reload_start_login(s);
	report_memory(s);
	arm_accepts(s);
	arm_signal(s);
	if (s->journal.state.is_on)
		file_jobs_arm(&s->file_jobs, s->engine, ENGINE_FILE_JOBS);
	(void)report_status(s, status, sizeof(status));
	log_line(LOG_INFO, "ready", "%s", status);
	notify_ready(status);
	while (!s->is_stopping ||
	       (!has_drained(s) && s->now_ns < s->stop_deadline_ns))
		turn(s);
	if (!has_drained(s))
		tell_cut(s);
	close_all(s);
	/* Closed here and not by the end of the process, which a disk that
	 * hangs may delay. */
	listeners_close(&s->listeners);
	report_held(s, true);
	report_summary(s);
	exit_status = journal_close(&s->journal, s->tick.day_floor,
				    journal_end_ns(s));
	log_line(LOG_NOTE, "stop", "in_records=%llu",
		 (unsigned long long)s->counters.in_records);
	return exit_status;
}
