/*
 * The world around the daemon: its clients, its operator, and the judge.
 */
#ifndef RINGTICK_TESTS_SIM_WORLD_H
#define RINGTICK_TESTS_SIM_WORLD_H

#include "machine.h"
#include "messages.h"

/* ---- the whole (world.c) ---- */

enum world_faults {
	FAULTS_NET = 1,
	FAULTS_DISK = 2,
	FAULTS_CRASH = 4,
	FAULTS_ALL = 7,
};

/* The actors, by their streams of chance (sim.h). */
enum {
	ACTOR_FEED = 1,
	ACTOR_SUBSCRIBER = 10,
	ACTOR_ASKER = 30,
	ACTOR_DISK = 40,
	ACTOR_CRASH = 41,
	ACTOR_CLOCK = 42,
	ACTOR_SETUP = 43,
	ACTOR_DOORS = 44,
	ACTOR_OPERATOR = 45,
	ACTOR_BYSTANDER = 50,
	ACTOR_FLOOD = 51,
	ACTOR_STORM = 52,
	ACTOR_STRANGER = 53,
	ACTOR_PAUSE = 54,
};

/* Begins to draw for an actor, by its first act; false: it is left out of this
 * run. */
bool world_enter(unsigned actor);

/* When an actor acts after a pause: in long runs all rest at the same times, so
 * that most of a day is quiet. */
int64_t world_after(int64_t pause_ns);

/* Copies the value of a field of a line of the log. */
bool world_find_field(const char *line, size_t len, const char *name, char *out,
		      size_t room);

/* What was decided for this run. */
struct world {
	unsigned faults;
	double days;
	int64_t begin_ns;
	int64_t end_ns; /* when feeds stop */
	int64_t answers_ns; /* for what they wait for then */
	bool is_ending; /* the last requests: all must become quiet */
	bool is_stopping, is_over;
	bool is_stop_plain; /* nothing was wrong when it began */
	bool is_told_stopping; /* by the log */
	int64_t stop_ns;    /* when it began */
	int64_t block_limit_ns;
	bool is_cut; /* the stop, by its time-out */
	bool is_behind; /* then not all was in the journal, or synced where
			   publish.after wants that: no clean end */
	bool has_lost_power; /* the last end of the daemon */
	unsigned wants_figures; /* askers of .ringtick.lag[], a bit for each */
	unsigned unclean; /* ends of the daemon that were not clean stops */
	unsigned starts;
	int64_t stepped_ns;  /* all steps of the clock to a later time */
	unsigned clock_steps;
	int64_t ready_ns;    /* when the daemon last became ready */
	/* The settings that decide which records are sent: a number of their
	 * own, and one that grows with each change. */
	uint64_t fit, fit_before; /* of this run, and the last one */
	unsigned era;
	bool is_ready; /* this run's start is over */
	/* Without one nothing survives the daemon, and nobody can tell the
	 * place of a record. */
	bool has_journal;
	int64_t watchdog_ns; /* when it was last fed, or went on, ... */
	int64_t watchdog_noted_ns; /* ... and when it was last fed */
	int64_t sync_failed_ns; /* 0: not in this life of the daemon */
	enum { AFTER_RING, AFTER_JOURNAL, AFTER_SYNC } after;
	enum { SYNC_NONE, SYNC_INTERVAL, SYNC_BATCH } sync;
	unsigned ring_kb;
	bool is_batched; /* publish.interval is set */
	bool is_mgkdb;	 /* .u.sub takes a list of tables, as there */
	unsigned interval_ms;
	bool is_disk_ill; /* a fault of the disk goes on */
	unsigned disk_faults; /* so far */
	int64_t healed_ns;    /* the last one */
	int64_t removed_ns;   /* when somebody removed the journal */
	bool is_damaged;      /* the running day's file, and nobody knows */
	bool is_tampered;     /* a file, since the last run */
	char journal[64];     /* the running day's file, as the log says */
	int32_t latest_day;   /* that the clock has shown, or that was asked for
			       */
	unsigned asked_ends;  /* of a day, by hand */
	int32_t ended_day;    /* by this run, the last one; and the records that
				 it had had by then */
	uint64_t before_day;
	int skipped_days;     /* after the one that ends now */
	int64_t on_time_ns;   /* when the daemon's day was the clock's */
	int64_t paused_until_ns; /* the process is stopped */
	int64_t calm_until_ns; /* feeds wait for the right date */
	char rescued[64];     /* a copy of it that was left at the end */
	struct world_doors {  /* doors.h */
		bool is_on;
		bool has_users, has_rights, has_listeners, has_reloads;
		bool has_certificates; /* of clients, behind the terminator */
		bool is_spread; /* each client has an address of its own */
		bool has_limits; /* of addresses and users */
	} doors;
	struct world_counts {
		uint64_t updates, frames, connects, crashes, stops, figures;
	} counts;
};

extern struct world world;

/* Runs days of simulated time, with faults, and returns if all was well. */
void world_run(double days, unsigned faults);

/* A fault of the disk goes on, or may still show. */
bool world_has_disk_trouble(void);

/* Every operation takes up to some seconds for a while, if it is well. */
void world_slow_disk(int64_t for_ns);

/* ---- pressure (pressure.c) ---- */

/* Of the configuration: of its group slow, and groups. */
void pressure_put_slow(char *to, size_t room);
void pressure_put_groups(char *to, size_t room);

/* A consumer with more lag than this is slow. */
uint64_t pressure_leave_bytes(void);
unsigned pressure_return_percent(void);

/* Moments in which much is going on. */
enum cue {
	CUE_BURST,  /* a feed has sent much at once */
	CUE_ANSWER, /* to a synchronous update */
	CUE_SEEN,   /* somebody got an update */
	CUE_END,    /* the end of a day is asked for */
	CUES
};

/* From time to time the feeds send more than rings hold, and some subscribers
 * get nothing for a while. */
void pressure_open(void);

/* Calls run() soon after such a moment. */
void pressure_await(void (*run)(void *who, uint64_t what));
bool pressure_is_awaited(void);
void pressure_forget(void);
void pressure_cue(enum cue cue);

/* ---- the configuration (setup.c) ---- */

/* Draws the time at which all begins. */
int64_t setup_open(void);

/* Before a start: draws some of it anew, and writes it. */
void setup_draw(void);
void setup_write(void);

/* While the daemon runs: again, with other rights; or so that it is refused. */
void setup_rewrite(bool is_broken);

/* Whether days end in another zone than before the last call. */
bool setup_take_zone_change(void);

/* The time and the date in the zone in which days end. */
int64_t setup_local_ns(int64_t utc_ns);
int32_t setup_day(int64_t utc_ns);

/* ---- other programs (damage.c) ---- */

void damage_journal(void);	/* while the daemon runs */
void damage_name(void);		/* the journal loses it */
void damage_name_end(void);	/* after the daemon's end */
void damage_next_name(void);	/* a file that is no journal has it */
void damage_end(void);		/* before a start */
bool damage_is_strange(const struct inode *file);
void damage_between_runs(void);
void damage_told(const char *line, size_t len); /* a line of the log */
void damage_check(bool is_excused);		/* at each look */
void damage_is_left(const char *path); /* the daemon has another file */

/* ---- a client's connection (client.c) ---- */

/* How a client comes in: see doors.h. */
struct way {
	unsigned port;
	uint32_t host;
	enum { PROXY_NONE, PROXY_TRUE, PROXY_BAD, PROXY_HALF } proxy;
	char user[16], password[24];
	unsigned user_no;
	char certified[16]; /* in its certificate; "": it has none */
	bool is_verified;   /* that is good */
	bool has_tls;	    /* says the terminator */
};

struct client {
	struct peer peer;
	struct socket *socket; /* NULL: not connected */
	struct bytes in, out;
	uint64_t sent_bytes;  /* on this connection */
	uint64_t taken_bytes; /* of whole frames that have come on it */
	unsigned start;	     /* of the daemon, when it connected */
	int64_t connect_ns;  /* when that was */
	int64_t hello_ns;    /* when the daemon's answer came */
	unsigned port;	     /* of its last connection */
	char user[16];
	unsigned user_no;
	struct way as;
	bool is_stranger; /* it chooses its ways itself */
	unsigned since;	  /* doors_now() when it connected */
	unsigned verdicts; /* of ringtick-login about this connection: bits of
			      enum login_says; one that is replaced may still
			      say something, which nobody reads */
	bool is_denied; /* its account is gone, or it has shown no password */
	bool is_gone;	/* and so it is */
	bool has_hello;	  /* the daemon's answer has come, ... */
	bool was_let_in;  /* ... or had, on the last connection */
	bool is_paused;	  /* reads nothing */
	bool is_stalled;  /* the network brings nothing to it */
	size_t read_most; /* bytes read at a time; 0: all */
	int64_t read_ns;  /* then a pause of this length */
	bool is_timed;	  /* an event will read on */
	void (*ready)(struct client *c);
	void (*frame)(struct client *c, const struct seen *s,
		      const uint8_t *at);
	void (*over)(struct client *c);
};

void client_init(struct client *c, const char *user);
bool client_connect(struct client *c);
void client_flush(struct client *c); /* sends what is in `out` */
void client_go_on(struct client *c); /* reads, and sends */
void client_read_rest(struct client *c); /* at once, also if it is slow */
void client_leave(struct client *c); /* closes, without `over` */

/* Its connection has ended before anything was said: the daemon was out of
 * descriptors, or has not let it in, for a reason that the log has. */
bool client_was_turned_away(const struct client *c);

/* ---- feeds (feeds.c) ---- */

void feeds_open(unsigned cnt);
void feeds_stop(void);
void feeds_flood(size_t bytes); /* of each, as fast as they can */
void feeds_check_progress(bool is_excused); /* at each look */
bool feeds_are_quiet(void);

/* The most answers for which one of them waits. */
size_t feeds_most_asked(void);

/* Whether a subscriber who has had a later update of its feed had it, too. */
bool feeds_must_have(struct update u);

/* Nothing more is taken from them now; whether an update had not been received
 * then. */
void feeds_are_held(void);
bool feeds_came_later(struct update u);

/* How many were sent to this run. */
uint64_t feeds_sent_now(void);

/* Others have destroyed it. */
void feeds_forgive(struct update u);

/* The same of all after a number that it has sent so far. */
void feeds_forgive_after(unsigned feed, int64_t number);

/* Whether an update with this name, and this time in its rows, was sent. */
void feeds_check_sent(struct update u, int64_t stamp_ns);

/* When it was sent. */
int64_t feeds_sent_ns(struct update u);

/* It is the next one in the order. */
void feeds_note_accepted(struct update u);

/* What they may publish has changed, and not all is taken that they sent. */
void feeds_rights_changed(void);

/* All was accepted that had to be; found() says what was. */
void feeds_check_fates(bool (*was_accepted)(struct update u));
unsigned feeds_cnt(void);
uint32_t feed_sent(unsigned feed);

/* The daemon is asked to stop: what has reached its machine will be taken. */
void feeds_stop_begins(void);

/* The daemon has ended: what was not acknowledged may be lost; but not what it
 * had to take before a stop. */
void feeds_daemon_ended(bool has_lost_power, bool has_stopped);

/* ---- subscribers (subscribers.c) ---- */

void subscribers_open(unsigned cnt);

/* The network brings nothing to some of them any more; or to all again. */
void subscribers_stall(void);
void subscribers_go_on(void);

/* The operator has other ideas about some users. */
void subscribers_change_policies(void);

/* Writes auth.rights of the configuration; and a user's part of it. */
void subscribers_put_policies(char *to, size_t room);
const char *subscribers_policy_of(const char *user);

/* The daemon has adopted other rights.  And whether one who had subscribed may
 * be ended by that. */
void subscribers_rights_changed(void);
bool subscribers_may_lose(const char *user);

/* A line of the log. */
void subscribers_told(const char *line, size_t len);

/* Whether the user's connections may be ended for such a reason. */
bool subscribers_may_end(const char *user, const char *reason);
void subscribers_check(void); /* what they have seen, against the order */
void subscribers_check_progress(bool is_excused); /* at each look */
/* has_served: all was sent before. */
void subscribers_daemon_ended(bool has_served);

/* The daemon has found that its date was wrong: it runs in day `to`, which has
 * `records`.  Nothing had come in day `from`, or nobody had been told. */
void subscribers_date_corrected(int32_t from, int32_t to, uint64_t records);

/* Others have cut records out of the day, and the daemon goes on without them.
 */
void subscribers_records_lost(int32_t day, uint64_t kept, uint64_t lost);
void subscribers_recovered(int32_t day, uint64_t records);
bool subscribers_are_quiet(void);

/* Bytes in the kernel for one whose client has this port; false: none has. */
bool subscribers_find_unread(unsigned port, uint64_t *bytes);
void subscribers_stop(void);

/* ---- others (askers.c) ---- */

void askers_open(unsigned cnt);
void askers_stop(void);
void askers_end_day(void); /* one of them asks for it now */
bool askers_reload(void);  /* the same; false: none of them may */

/* ---- the judge (judge.c) ---- */

/* The update that is record idx of a day: says what it is, or if that is not
 * known yet false.  An observer who knows the place tells the judge. */
bool judge_knows(int32_t day, uint64_t idx, struct update *u,
		 int64_t *stamp_ns);
void judge_tell(int32_t day, uint64_t idx, struct update u, int64_t stamp_ns);
uint64_t judge_count(int32_t day);

/* Whether an update is in the journal's file, or on the disk. */
bool judge_is_written(struct update u, bool is_on_disk);
bool judge_has_written(int32_t day, uint64_t idx, bool is_on_disk);

/* Bytes in the journal's file from a record on. */
uint64_t judge_bytes_from(int32_t day, uint64_t idx);

/* A subscriber has had a record: since when that is so of one of them; 0: of
 * none. */
void judge_note_seen(int32_t day, uint64_t idx);
int64_t judge_seen_ns(int32_t day, uint64_t idx);

/* The end of a day after `records`; or UINT64_MAX if the observer does not know
 * how many.  Whether that many are known already. */
bool judge_tell_end(int32_t day, uint64_t records);
bool judge_has_ended(int32_t day);

/* After the end of a day comes the next one, or if the clock has leapt a later
 * one. */
void judge_tell_next(int32_t day, int32_t next);
int32_t judge_day_after(int32_t day);

/* A day runs which had seemed to be over; none after it has begun. */
void judge_correct_day(int32_t day);

/* The day of the file that the log named last. */
bool judge_find_running(int32_t *day);

void judge_read_journal(void);

/* At each look: what journal.sync promises of the disk. */
void judge_check_synced(bool is_excused);

/* The end of the last whole record of a day's file before an offset. */
uint64_t judge_boundary(int32_t day, uint64_t off);

/* Records that others have cut out of a running day. */
void judge_lose(int32_t day, uint64_t bytes, uint64_t kept, uint64_t lost);

/* After an unclean end: reads the journal anew. */
void judge_recover(bool has_lost_power);
void judge_finish(void);

/* ---- the thread's work, and who waits for it (work.c) ---- */

void work_open(void);

/* ---- the figures of consumers (accounts.c) ---- */

/* What comes on a subscriber's connection.  is_counted: its bytes can be
 * counted before they are in a ring. */
void account_open(unsigned id, unsigned port, bool is_counted);
void accounts_forget(void); /* records have other numbers now */
void account_close(unsigned id);
void account_filters(unsigned id);
void account_asked(unsigned id);
void account_took(unsigned id, uint64_t end, unsigned updates,
		  enum seen_kind kind);
void account_placed(unsigned id, unsigned port, int32_t day, uint64_t idx,
		    struct update u);

/* What the daemon says of all: in a table that was asked for, in a line. */
void accounts_told(int64_t asked_ns, const uint8_t *at, size_t len);
void accounts_logged(const char *line, size_t len);
void accounts_check(void);

#endif
