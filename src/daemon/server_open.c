#include "config.h"

#include "daemon/server_open.h"

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/notify.h"
#include "base/process.h"
#include "base/timezone.h"
#include "daemon/consumer_tables.h"
#include "daemon/login.h"
#include "daemon/reload.h"
#include "daemon/report.h"
#include "daemon/selftest.h"
#include "daemon/wait.h"
#include "journal/folder.h"

enum {
	DESCRIPTORS_BESIDES = 64, /* listeners, log, signals, io_uring */
	JOURNAL_DESCRIPTORS = 8,  /* two more files, a copy, folders, the
				     epoch's file */
	STRADDLE_BEFORE = 6,	  /* bytes of its message before the seam */
};

/* Raises the soft limit of descriptors as far as needed and permitted. */
static void
raise_descriptor_limit(const struct settings *set)
{
	rlim_t wanted = set->connections.max + DESCRIPTORS_BESIDES;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
		return;
	limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur < wanted)
		log_line(LOG_WARN, "few_descriptors",
			 "limit=%llu wanted=%llu hint=\"ulimit -n %llu "
			 "(systemd: LimitNOFILE=), or lower connections.max\"",
			 (unsigned long long)limit.rlim_cur,
			 (unsigned long long)wanted,
			 (unsigned long long)wanted);
}

static void
open_connections(struct server *s)
{
	unsigned max = (unsigned)s->settings->connections.max;
	size_t receive_bytes = s->settings->connections.receive_buffer;

	if (clients_open(&s->clients, max, receive_bytes, s->tick.reply_max,
			 &s->streams) != 0 ||
	    shares_open(&s->shares, max, symbols_draw_seed()) != 0)
		die(EXIT_ROOM,
		    "no memory for %u connections of %zu KiB each; lower "
		    "connections.max or connections.receive_buffer",
		    max,
		    (receive_bytes + s->tick.reply_max + CATCHUP_BUFFER_BYTES) /
			    1024);
	wait_init(s);
}

static void
open_streams(struct server *s)
{
	const struct settings *set = s->settings;
	const struct streams_options options = {
		.main_bytes = set->ring.size,
		.huge_pages = set->ring.huge_pages,
		.is_in_core = set->ring.in_core,
		.filtered_max = (unsigned)set->streams.max,
		.filtered_bytes = set->streams.ring,
		.symbols_max = (uint32_t)set->streams.symbols,
		.sets_max = settings_filters_max(set),
		.message_max = set->message.max,
		/* So that the rest of a batch fits into a consumer's buffer. */
		.unit_max = min_u64(set->message.max, CATCHUP_BUFFER_BYTES),
		.is_batched = set->publish.interval > 0,
		.seed = symbols_draw_seed(),
	};
	int err = streams_open(&s->streams, &set->tables, &options);

	if (err == -EFBIG)
		die(EXIT_MEND,
		    "the limit of the size of a file is below ring.size or "
		    "streams.ring; raise it with: ulimit -f unlimited "
		    "(systemd: LimitFSIZE=infinity)");
	if (err == -EPERM || err == -EACCES || err == -ENOSYS)
		die(EXIT_MEND,
		    "memfd_create is not permitted (%s: seccomp filter or "
		    "container policy); allow it, in a systemd unit with: "
		    "SystemCallFilter=memfd_create",
		    strerror(-err));
	if (err != 0)
		die(exit_status_of(-err),
		    "cannot map the rings (ring.size %llu, streams.max %llu "
		    "of streams.ring %llu bytes): %s; lower one of them",
		    (unsigned long long)set->ring.size,
		    (unsigned long long)set->streams.max,
		    (unsigned long long)set->streams.ring, strerror(-err));
	if (set->ring.huge_pages && !s->streams.main.ring.is_huge)
		log_line(LOG_WARN, "no_huge_pages",
			 "hint=\"sysctl vm.nr_hugepages=%llu\"",
			 (unsigned long long)(set->ring.size >> 21));
}

/* Logs the mode of the engine and the reason; a warning if the mode asked for
 * cannot help. */
static void
log_engine(const struct server *s)
{
	static const char hint[] =
		" hint=\"sqpoll needs a core for each of its two threads and "
		"two for clients and the kernel, else direct is faster: leave "
		"engine.mode at auto\"";
	const struct cpus_choice *choice = &s->choice;

	log_line(choice->is_pointless ? LOG_WARN : LOG_INFO, "engine",
		 "mode=%s asked=%s spin_us=%lld cpus=%u quota_pct=%u "
		 "reason=%s%s",
		 engine_mode_names[choice->mode],
		 engine_mode_names[s->settings->engine.mode],
		 (long long)(choice->spin_ns / NS_PER_US), s->cpus.cnt,
		 s->cpus.quota_pct, cpus_reason_names[choice->reason],
		 choice->is_pointless ? hint : "");
}

static void
pin_thread(const struct settings *set)
{
	cpu_set_t cpus;

	if (set->engine.cpu < 0)
		return;
	CPU_ZERO(&cpus);
	CPU_SET((size_t)set->engine.cpu, &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus) != 0)
		die(exit_status_of(errno),
		    "engine.cpu = %d: %s; online CPUs are listed by: lscpu -e",
		    (int)set->engine.cpu, strerror(errno));
}

/* 0, or an errno with one line in err. */
static int
try_engine(struct server *s, char *err, size_t err_len)
{
	const struct settings *set = s->settings;
	struct engine_options options = {
		.slots = (unsigned)set->connections.max,
		.sq_idle_ns = set->engine.sq_idle,
		.sq_cpu = (int)set->engine.sq_cpu,
	};

	s->choice = cpus_decide(&s->cpus, set);
	options.mode = s->choice.mode;
	options.spin_ns = s->choice.spin_ns;
	s->engine = engine_open(&options, err, err_len);
	return s->engine != NULL ? 0 : errno;
}

/*
 * Before this thread is pinned: the SQPOLL thread inherits its affinity, and
 * would run on engine.cpu too.  Before the rings are opened: their memory
 * should be near the CPU on which the thread will run.
 */
static void
open_engine(struct server *s)
{
	char err[512];
	int error;

	s->cpus = cpus_look(s->settings);
	error = try_engine(s, err, sizeof(err));
	if (error != 0 && s->settings->engine.mode == ENGINE_AUTO &&
	    s->choice.mode == ENGINE_SQPOLL && !engine_can_sqpoll()) {
		s->cpus.is_sqpoll_refused = true;
		error = try_engine(s, err, sizeof(err));
	}
	if (error != 0)
		die(exit_status_of(error), "%s", err);
	pin_thread(s->settings);
}

/* Before this thread is pinned, like the engine. */
static void
open_file_jobs(struct server *s, struct settings *set, const char *path)
{
	int err = reload_open(s, set, path);

	if (err == 0 && set->journal.directory[0] != '\0')
		err = file_jobs_open(&s->file_jobs);
	if (err != 0)
		die(EXIT_ROOM,
		    "cannot start a thread for files: %s; raise the limit "
		    "with: ulimit -u (systemd: TasksMax=)",
		    strerror(-err));
}

static void
register_ring(struct server *s)
{
	struct ring *ring = &s->streams.main.ring;
	char err[512];

	if (!engine_register(s->engine, ring->base, 2 * ring->size, err,
			     sizeof(err)))
		die(exit_status_of(errno), "%s", err);
	log_engine(s);
	if (!selftest_straddle(s->engine, ring, STRADDLE_BEFORE, err,
			       sizeof(err)))
		die(EXIT_BUG,
		    "the self-test failed: %s; do not run on this kernel, and "
		    "report it",
		    err);
	log_line(LOG_INFO, "selftest",
		 "result=ok mode=%s message_bytes=%zu before_seam=%d",
		 engine_mode_names[s->choice.mode], selftest_message_len(),
		 STRADDLE_BEFORE);
}

static void
open_signals(struct server *s)
{
	sigset_t set = process_signals();

	process_hold_stops();
	s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
	if (s->signal_fd < 0)
		die(exit_status_of(errno), "signalfd: %s", strerror(errno));
}

/* Logs the zone in which days end and the present date there: a wrong one would
 * go unnoticed until midnight. */
static void
log_zone(struct server *s)
{
	const struct settings *set = s->settings;
	char source[128], safe[128], date[16];
	int64_t minutes = s->tick.zone.offset_ns / (60 * NS_PER_S);

	(void)timezone_source(source, sizeof(source));
	log_line(LOG_INFO, "zone",
		 "zone=%s from=%s offset=%c%02lld:%02lld date=%s",
		 set->day.zone,
		 set->day.zone_is_local
			 ? log_value(safe, sizeof(safe), source, strlen(source))
			 : "day.zone",
		 minutes < 0 ? '-' : '+', llabs(minutes) / 60,
		 llabs(minutes) % 60, clock_date_text(date, s->tick.day));
}

/* Checking a long journal takes long: reports progress to systemd, and lets a
 * signal end the process meanwhile. */
static void
tell_progress(uint64_t done, uint64_t bytes)
{
	sigset_t pending;

	notify_still_starting("checking the journal",
			      (unsigned)(done * 100 / bytes));
	if (sigpending(&pending) == 0 && (sigismember(&pending, SIGTERM) == 1 ||
					  sigismember(&pending, SIGINT) == 1)) {
		log_line(LOG_NOTE, "stop",
			 "in_records=0 hint=\"while the journal was checked\"");
		exit(EXIT_SUCCESS);
	}
}

static void
open_journal(struct server *s)
{
	struct journal_moment now = { .utc_ns = clock_utc_ns() };
	char err[JOURNAL_PATH_MAX + 512];

	now.local_ns = zone_local_ns(&s->tick.zone, now.utc_ns);
	if (!journal_folder_check(s->settings, err, sizeof(err)))
		die(exit_status_of(errno), "%s", err);
	journal_start_progress = tell_progress;
	if (!journal_open(&s->journal, s->settings, s->engine,
			  &s->file_jobs, &s->streams, &now, err, sizeof(err)))
		die(exit_status_of(errno), "%s", err);
	journal_start_progress = NULL;
	if (s->journal.state.is_on)
		tick_begin_day(&s->tick, s->journal.state.day,
			       s->journal.state.epochs.day);
}

static bool
has_abstract(const struct listeners *all, const struct listener *l)
{
	bool is_there = l->kind == LISTENER_ABSTRACT;

	for (unsigned i = 0; i < all->cnt && !all->is_passed; i++)
		is_there = is_there || (all->all[i].settings == l->settings &&
					all->all[i].kind == LISTENER_ABSTRACT);
	return is_there;
}

/* One line for each group of settings, and for each socket that was passed. */
static void
log_listener(const struct server *s, const struct listener *l)
{
	const struct listen_settings *set = l->settings;
	const char *address = set->address, *path = set->unix_path;

	if (l->kind != LISTENER_TCP && address[0] != '\0' &&
	    !s->listeners.is_passed)
		return;
	log_line(LOG_INFO, "listening",
		 "port=%u address=%s unix=%s path=%s networks=%u roles=%s "
		 "proxy=%s",
		 l->port,
		 s->listeners.is_passed ? "systemd" : LOG_QUOTED(address),
		 has_abstract(&s->listeners, l) ? "yes" : "no",
		 path[0] == '\0' ? "-" : LOG_QUOTED(path), set->networks_cnt,
		 set->has_roles ? "some" : "all", set->proxy ? "yes" : "no");
}

static void
open_listeners(struct server *s)
{
	char err[512];

	if (!listeners_open(&s->listeners, s->settings, err, sizeof(err)))
		die(exit_status_of(errno), "%s", err);
	s->tick.port = s->listeners.port;
	for (unsigned i = 0; i < s->listeners.cnt; i++)
		log_listener(s, &s->listeners.all[i]);
	if (s->settings->auth.open && !settings_want_password(s->settings))
		log_line(LOG_WARN, "open", "role=%s hint=\"set auth.users\"",
			 s->settings->auth.others->name);
}

/*
 * The journal needs descriptors at the end of a day, when connections may have
 * taken them all: with a low limit there are fewer connections instead.
 */
static void
keep_descriptors(struct server *s)
{
	rlim_t used = JOURNAL_DESCRIPTORS;
	struct rlimit limit;
	DIR *dir = opendir("/proc/self/fd");
	unsigned connections = s->clients.max;

	if (!s->journal.state.is_on || dir == NULL ||
	    getrlimit(RLIMIT_NOFILE, &limit) != 0)
		limit.rlim_cur = RLIM_INFINITY;
	while (dir != NULL && readdir(dir) != NULL)
		used++;
	if (dir != NULL)
		(void)closedir(dir);
	while (connections > 0 && connections + used > limit.rlim_cur)
		connections--;
	clients_limit(&s->clients, connections);
	if (connections == 0)
		die(EXIT_ROOM,
		    "the limit of open files is too low for a journal; raise "
		    "it with: ulimit -n %llu (systemd: LimitNOFILE=)",
		    (unsigned long long)(used + s->clients.max));
	if (connections < s->clients.max)
		log_line(LOG_WARN, "few_connections",
			 "connections=%u hint=\"the limit of open files leaves "
			 "no more, with what the journal needs: ulimit -n %llu "
			 "(systemd: LimitNOFILE=)\"",
			 connections,
			 (unsigned long long)(used + s->clients.max));
}

void
server_open(struct server *s, struct settings *set, const char *path)
{
	*s = (struct server){
		.settings = set,
		.file_jobs = { .event_fd = -1 },
		.reload.jobs = { .event_fd = -1 },
		.next_deadline_ns = INT64_MAX,
		.budget = { .clock_ns = clock_monotonic_ns },
		.lag_limits = {
			.leave_percent = (unsigned)set->slow.leave_percent,
			.return_percent = (unsigned)set->slow.return_percent,
			.block_limit_ns = set->slow.block_limit,
		},
	};
	report_open(s);
	login_init(&s->login);
	raise_descriptor_limit(set);
	open_file_jobs(s, set, path);
	open_engine(s);
	open_signals(s);
	open_streams(s);
	if (tick_open(&s->tick, set, &s->streams, &s->counters,
		      &s->journal.state, &s->journal.history) != 0 ||
	    pool_open(&s->pool, (unsigned)set->message.buffers,
		      set->message.max) != 0)
		die(EXIT_ROOM,
		    "no memory for buffers of message.max = %llu bytes; "
		    "lower message.max or message.buffers",
		    (unsigned long long)set->message.max);
	log_zone(s);
	tick_check_clock(&s->tick);
	s->streams.clock_ns = clock_monotonic_ns;
	s->streams.long_bytes = STREAM_LONG_BYTES;
	s->streams.piece_rows = STREAM_PIECE_ROWS;
	s->streams.group_max = STREAM_GROUP_MAX;
	s->tick.put_table = consumer_tables_put;
	s->tick.reload = reload_ask;
	s->tick.context = s;
	s->tick.time.clock_ns = clock_monotonic_ns;
	s->tick.time.cpu_ns = clock_cpu_ns;
	open_connections(s);
	register_ring(s);
	delivery_init(&s->delivery, s->engine, &s->streams, &s->pool,
		      set->engine.span_max, set->engine.in_flight_max,
		      &s->journal.state);
	if (catchup_open(&s->catchup, set, s->engine, &s->streams,
			 &s->journal.history, &s->delivery) != 0)
		die(EXIT_ROOM, "no memory for reading the journal");
	open_journal(s);
	journal_promise_log(set);
	journal_space_init(&s->journal_space, set->journal.directory);
	s->trouble_told = journal_trouble(&s->journal);
	open_listeners(s);
	keep_descriptors(s);
}

void
server_close(struct server *s)
{
	login_close(s);
	listeners_close(&s->listeners);
	catchup_close(&s->catchup);
	engine_close(s->engine);
	file_jobs_close(&s->file_jobs);
	(void)close(s->signal_fd);
	pool_close(&s->pool);
	clients_close(&s->clients);
	shares_close(&s->shares);
	tick_close(&s->tick);
	streams_close(&s->streams);
}
