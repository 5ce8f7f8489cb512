/*
 * The server: every object of the daemon.  Its parts, lowest first:
 *
 *   report.c           the log about connections, and systemd's status
 *   consumer_tables.c  the connections as q tables
 *   drain.c            the input that is still read at a stop
 *   deadline.c         deadlines of connections
 *   wait.c             whose input waits, and why
 *   buffers.c          which connection gets one of message.buffers
 *   answer.c           replies that wait for their place
 *   hello.c            the handshake, and who is let in
 *   login.c            who may come in: asks ringtick-login
 *   login_start.c      starts that program
 *   session.c          a connection's life: accept, handshake, requests, close
 *   reload.c           the configuration, read again
 *   buffer_holders.c   connections that hold a buffer for too long
 *   slow_consumers.c   consumers that are too slow for their ring
 *   wait_serve.c       which waiting connections continue
 *   server_open.c      the start, and the release of everything
 *   turn.c             the turn, timers, stop
 */
#ifndef RINGTICK_DAEMON_SERVER_H
#define RINGTICK_DAEMON_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/signalfd.h>

#include "auth/login_message.h"
#include "base/log.h"
#include "base/pool.h"
#include "client/catchup.h"
#include "client/clients.h"
#include "client/delivery.h"
#include "client/listener.h"
#include "client/log_quota.h"
#include "client/publishers.h"
#include "client/shares.h"
#include "client/turn_budget.h"
#include "config/counters.h"
#include "config/cpus.h"
#include "config/settings.h"
#include "io/engine.h"
#include "io/file_jobs.h"
#include "journal/journal.h"
#include "journal/space.h"
#include "ring/streams.h"
#include "tick/tick.h"

/* The consumers that are being logged, some in each turn. */
enum report_of {
	REPORT_NOBODY,
	REPORT_CHANGED, /* those whose state is not the one logged last */
	REPORT_ALL,
};

/* Values at the last summary, for rates. */
struct report_base {
	int64_t at_ns;
	struct counters counters;
	uint64_t journal_bytes;
};

enum { LOGIN_CHANNELS = 4 };

/* Failed logins of a user from an address. */
struct login_failure {
	uint64_t client, address;
	unsigned cnt;  /* 0: the row is free */
	int64_t at_ns; /* of the last one */
};

/* What failed logins have cost an address: each some seconds, from when it has
 * no more to pay. */
struct login_debt {
	uint64_t address;
	int64_t until_ns;
};

/* Who asks ringtick-login, or waits to be asked (login.h). */
struct login {
	bool is_on;
	bool is_stopped; /* nobody is asked any more */
	unsigned channel; /* of the socket in use; those before it are closed
			     when their last read has ended */
	int fds[LOGIN_CHANNELS];
	bool is_reading[LOGIN_CHANNELS];
	struct login_answer answers[LOGIN_CHANNELS]; /* targets of the reads */
	struct list waiting; /* login_node of connections, oldest first */
	struct list held; /* those that could not be asked when it was their
			     turn, and open ones */
	bool was_held; /* whose turn it was: theirs or the others' */
	struct list later; /* open ones about whom there was no answer */
	struct login_asked {
		struct connection *c; /* NULL: free */
		uint64_t id;
	} asked[LOGIN_OUTSTANDING_MAX];
	struct login_failure failures[128];
	struct login_debt debts[128];
	uint64_t next_id;
};

struct server;

/* The configuration, read again (reload.h). */
struct reload {
	struct server *server;
	struct settings *settings; /* the running ones */
	const char *path;
	struct file_jobs jobs;
	struct file_job job;
	struct settings loaded; /* the new ones, or, after that, the old */
	int result;		/* of reading them */
	int login_fd; /* of the ringtick-login started with them; -1: none */
	unsigned login_kb; /* the most memory of that one; 0: none, or PAM */
	bool is_login_gone; /* it has to be started again: */
	int64_t next_login_ns;
	char err[1024];
	bool is_good;	    /* the last one took effect */
	bool is_wanted;	    /* asked for once more */
	bool is_giving;	    /* connections get their new rights: */
	unsigned slot;	    /* the next of these */
	uint32_t begun_cnt; /* wrap around */
	uint32_t done_cnt;
};

struct server {
	const struct settings *settings;
	struct cpus cpus;
	struct cpus_choice choice; /* how the engine runs */
	struct engine *engine;
	struct file_jobs file_jobs; /* only with a journal */
	struct reload reload;
	struct login login;
	struct streams streams;
	struct tick tick;
	struct journal journal;
	struct pool pool;
	struct counters counters;
	struct delivery delivery;
	struct catchup catchup;
	struct listeners listeners;
	struct lag_limits lag_limits;

	struct clients clients;
	bool is_crowded;    /* this turn has many completions */
	unsigned ended_cnt; /* connections closed in it because their peer has
			       ended */
	struct list waiting[WAIT_REASONS]; /* wait_node, by reason (wait.h) */
	unsigned waiting_cnt;		   /* in all queues */
	unsigned turns_cnt;		   /* wraps around */
	struct budget budget;		   /* of this turn */
	bool serves_dear;	   /* the connection being served may be dear */
	unsigned dear_passed;	   /* turns in a row without time for
				      WAIT_DEAR */

	int64_t now_ns;	       /* monotonic, of this turn */
	int64_t next_deadline_ns; /* no connection's deadline is earlier */
	int64_t next_buffers_check_ns;
	int64_t look_until_ns; /* no deadline is checked before */
	int64_t next_judge_ns; /* lags are not judged before */
	int64_t next_report_ns;
	unsigned report_slot; /* the next slot in a report of consumers */
	unsigned reported_cnt;
	enum report_of report_of;
	int64_t next_batch_ns; /* with publish.interval */
	int64_t next_spill_check_ns;
	int64_t next_watchdog_ns; /* 0: no watchdog */
	int64_t watchdog_ns;
	int64_t rearm_accept_ns; /* 0: nothing to do */
	bool recv_filled;	 /* a recv of this turn has filled its buffer:
				   its client may have sent more */
	bool is_gathering;     /* nothing is delivered until the next turn */
	bool has_slow;	       /* a consumer was past its mark just now */
	int64_t gather_until_ns;
	uint64_t gathered_pos;	/* the main stream's head after the last turn */
	uint64_t delivered_pos; /* ... and at the last delivery */
	bool is_stopping;
	bool refuses_updates; /* a stop while the journal fails: the space kept
				 back is for those that were accepted */
	int64_t stop_deadline_ns;
	unsigned drain_turns; /* since the stop began */
	int signal_fd;
	struct signalfd_siginfo signal; /* target of the read in flight */
	uint64_t losses;     /* losses of the journal handled so far */
	int64_t leave_max_ns; /* longest time to leave the ring since the last
				 report */
	struct report_base report_base;
	struct journal_space journal_space;
	const char *trouble_told; /* trouble of the journal last told in
				     STATUS */
	struct log_limit accept_log;
	struct log_limit buffers_log;
	struct shares shares;	      /* of connections and requests */
	struct publishers publishers; /* for whom slots are kept */
	struct peers peers; /* limits of lines about clients */
};

/* The least time between two walks over all connections that one client can
 * cause: many times the duration of a walk. */
static inline int64_t
server_walk_pause_ns(const struct server *s)
{
	return s->clients.open_cnt * NS_PER_US;
}

#endif
