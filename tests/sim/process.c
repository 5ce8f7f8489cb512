/*
 * The daemon as a process: its start, its end, signals, and what it asks the
 * system about itself.
 */
#include "config.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "config/settings_load.h"
#include "daemon/reload.h"
#include "daemon/server_open.h"
#include "daemon/turn.h"
#include "journal/folder.h"
#include "journal/state.h"
#include "machine.h"
#include "wrap.h"

enum { MAPS_MAX = 4096 };

static struct {
	jmp_buf top;
	int status;
	bool is_running, is_left, is_told_ready;
	struct map {
		void *at;
		size_t len;
	} maps[MAPS_MAX];
	unsigned maps_cnt;
} process;

int REAL(munmap)(void *at, size_t len);
_Noreturn void REAL(exit)(int status);

/* ---- life ---- */

static const char config_path[] = "/etc/ringtick.conf";
static struct settings settings;
static struct server server;

/* As with --check, some times: which changes nothing. */
static void
look_before(void)
{
	static char err[JOURNAL_PATH_MAX + 1024], warning[8192];

	if (!sim_chance(300))
		return;
	if (!journal_folder_check(&settings, err, sizeof(err)) ||
	    !journal_folder_foresee(&settings, warning, sizeof(warning), err,
				    sizeof(err))) {
		sim_trace("--check: %s", err);
		return;
	}
	journal_folder_text(&settings, err, sizeof(err));
	sim_trace("--check: good, %s; %s", err, warning);
}

static int
run(void)
{
	char err[1024];
	int res, status;

	process.is_told_ready = false;
	log_open();
	res = settings_load(&settings, config_path, err, sizeof(err));
	if (res != 0)
		sim_fail("the configuration: %s", err);
	look_before();
	server_open(&server, &settings, config_path);
	process.is_running = true;
	world_daemon_ready();
	status = turn_run(&server);
	process.is_running = false;
	work_end(); /* how the rest is made empty is the compiler's */
	if (file_jobs_are_busy(&server.file_jobs) || !reload_close(&server))
		return status;
	server_close(&server);
	fd_check_closed();
	settings_fini(&settings);
	return status;
}

/* As after the end of a process: nothing of it is left. */
static void
bury(void)
{
	process.is_running = false;
	sim_end_machine();
	engine_crash();
	login_crash();
	jobs_crash();
	net_crash();
	calls_crash();
	memory_end();
	work_end();
	while (process.maps_cnt > 0) {
		struct map *m = &process.maps[--process.maps_cnt];

		(void)REAL(munmap)(m->at, m->len);
	}
}

int
process_run(void)
{
	if (setjmp(process.top) == 0)
		process.status = run();
	(void)sim_use_stream(0);
	bury();
	return process.status;
}

static void
go_to_top(void)
{
	longjmp(process.top, 1);
}

static _Noreturn void
leave_daemon(int status)
{
	process.status = status;
	jobs_leave(go_to_top);
	go_to_top();
	__builtin_unreachable();
}

void
process_crash(void)
{
	leave_daemon(PROCESS_CRASHED);
}

WRAP(void, exit, int status)
{
	leave_daemon(status);
}

/* A failed CHECK of the daemon. */
WRAP(void, abort, void)
{
	(void)REAL(abort);
	sim_fail("the daemon has ended itself");
}

void
process_leave(int status)
{
	process.is_left = true;
	REAL(exit)(status);
}

bool
process_is_left(void)
{
	return process.is_left;
}

bool
process_is_running(void)
{
	return process.is_running;
}

bool
process_is_told_ready(void)
{
	return process.is_told_ready;
}

/* ---- memory ---- */

void
process_note_map(void *at, size_t len)
{
	CHECK(process.maps_cnt < MAPS_MAX);
	process.maps[process.maps_cnt++] = (struct map){ at, len };
}

/* A ring gives back the ends of what it has reserved. */
void
process_forget_map(void *at, size_t len)
{
	for (unsigned i = 0; i < process.maps_cnt; i++) {
		struct map *m = &process.maps[i];

		if ((char *)at < (char *)m->at ||
		    (char *)at >= (char *)m->at + m->len)
			continue;
		if (at == m->at && len == m->len) {
			*m = process.maps[--process.maps_cnt];
		} else if (at == m->at) {
			m->at = (char *)at + len;
			m->len -= len;
		} else {
			m->len = (size_t)((char *)at - (char *)m->at);
		}
		return;
	}
}

uint64_t
process_mapped(void)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < process.maps_cnt; i++)
		bytes += process.maps[i].len;
	return bytes;
}

/* ---- what it asks about itself ---- */

WRAP(int, signalfd, int fd, const sigset_t *set, int flags)
{
	(void)REAL(signalfd);
	(void)fd;
	(void)set;
	(void)flags;
	return fd_open((struct descriptor){ .kind = FD_SIGNAL });
}

WRAP(int, sigpending, sigset_t *set)
{
	(void)REAL(sigpending);
	return sigemptyset(set);
}

WRAP(int, sigprocmask, int how, const sigset_t *set, sigset_t *before)
{
	(void)REAL(sigprocmask);
	(void)how;
	(void)set;
	(void)before;
	return 0;
}

WRAP(pid_t, getpid, void)
{
	(void)REAL(getpid);
	return 4242;
}

WRAP(int, gethostname, char *name, size_t len)
{
	(void)REAL(gethostname);
	(void)snprintf(name, len, "simulated");
	return 0;
}

WRAP(int, getrlimit, int what, struct rlimit *out)
{
	(void)REAL(getrlimit);
	(void)what;
	*out = (struct rlimit){ .rlim_cur = 1024, .rlim_max = 1024 };
	return 0;
}

WRAP(int, sched_getaffinity, pid_t pid, size_t len, cpu_set_t *set)
{
	(void)REAL(sched_getaffinity);
	(void)pid;
	memset(set, 0, len);
	for (size_t i = 0; i < 2; i++)
		CPU_SET(i, set);
	return 0;
}

WRAP(char *, getenv, const char *name)
{
	static char notes[] = "@simulated";

	if (strcmp(name, "TZ") == 0)
		return REAL(getenv)(name);
	return strcmp(name, "NOTIFY_SOCKET") == 0 ? notes : NULL;
}

/* systemd is not there, but its watchdog is. */

WRAP(int, sd_watchdog_enabled, int unset, uint64_t *period_us)
{
	(void)REAL(sd_watchdog_enabled);
	(void)unset;
	*period_us = WATCHDOG_NS / 1000;
	return 1;
}

/* Its socket takes datagrams of notes. */
WRAP(ssize_t, sendto, int fd, const void *at, size_t len, int flags,
     const struct sockaddr *to, socklen_t to_len)
{
	static const char alive[] = "WATCHDOG=1", ready[] = "READY=1";

	(void)REAL(sendto);
	(void)fd;
	(void)flags;
	(void)to;
	(void)to_len;
	if (len == strlen(alive) && memcmp(at, alive, len) == 0)
		world_watchdog();
	if (len >= strlen(ready) && memcmp(at, ready, strlen(ready)) == 0) {
		if (!process.is_told_ready)
			world_told_ready();
		process.is_told_ready = true;
	}
	return (ssize_t)len;
}

WRAP(int, sd_listen_fds, int unset)
{
	(void)REAL(sd_listen_fds);
	(void)unset;
	return 0;
}
