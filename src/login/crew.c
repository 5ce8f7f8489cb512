#include "config.h"

#include "login/crew.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "auth/login_message.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/util.h"
#include "login/sandbox.h"

/* From a worker's start to that of the one that takes its place. */
#define RESTART_NS NS_PER_S

struct crew {
	const struct door *door;
	struct worker_note *notes; /* shared with the workers */
	unsigned cnt;
	struct {
		pid_t pid; /* 0: none */
		int64_t start_ns; /* of the last one; 0: there was none */
	} seats[CREW_MAX];
	int deaths_fd; /* a signalfd for SIGCHLD */
	pid_t pid;     /* our own */
};

static sigset_t
deaths(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	return set;
}

/* ---- starting ---- */

_Noreturn static void
be_worker(struct crew *crew, unsigned i)
{
	sigset_t set = deaths();
	int res;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != crew->pid)
		_exit(0);
	(void)prctl(PR_SET_NAME, "login-worker");
	(void)close(crew->deaths_fd);
	/* PAM's modules wait for children of their own. */
	(void)sigprocmask(SIG_UNBLOCK, &set, NULL);
	res = sandbox_worker(crew->door->has_pam);
	if (res != 0)
		log_line(LOG_WARN, "login_no_filter",
			 "error=\"seccomp: %s\"", strerror(-res));
	worker_run(crew->door, &crew->notes[i]);
}

static void
start(struct crew *crew, unsigned i, int64_t now_ns)
{
	pid_t pid = fork();

	if (pid == 0)
		be_worker(crew, i);
	crew->seats[i].start_ns = now_ns;
	if (pid < 0) {
		log_line(LOG_ERROR, "login_no_worker", "error=\"fork: %s\"",
			 strerror(errno));
		return;
	}
	crew->seats[i].pid = pid;
}

/* Fills the seats whose time has come.  Returns how long to wait for the next
 * one, in ms for poll. */
static int
fill(struct crew *crew)
{
	int64_t now_ns = clock_monotonic_ns(), wait_ns = INT64_MAX;

	for (unsigned i = 0; i < crew->cnt; i++) {
		int64_t last_ns = crew->seats[i].start_ns;

		if (crew->seats[i].pid != 0)
			continue;
		if (last_ns == 0 || now_ns - last_ns >= RESTART_NS)
			start(crew, i, now_ns);
		if (crew->seats[i].pid == 0)
			wait_ns = min_i64(wait_ns,
					  crew->seats[i].start_ns +
						  RESTART_NS - now_ns);
	}
	return wait_ns == INT64_MAX ? -1 : (int)(wait_ns / NS_PER_MS) + 1;
}

/* ---- ending ---- */

static void
log_death(pid_t pid, int status)
{
	if (WIFSIGNALED(status))
		log_line(LOG_ERROR, "login_worker_died", "pid=%d signal=%d",
			 (int)pid, WTERMSIG(status));
	else
		log_line(LOG_ERROR, "login_worker_died", "pid=%d status=%d",
			 (int)pid, WEXITSTATUS(status));
}

/* What the worker was at is not the peer's fault: it may be the hash. */
static void
answer_for(struct worker_note *note)
{
	struct login_answer a;

	if (!atomic_exchange(&note->is_busy, false))
		return;
	login_write_answer(&a, note->id, LOGIN_UNKNOWN);
	(void)send(LOGIN_FD, &a, sizeof(a), MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* A worker ends by itself only when the daemon has gone. */
static void
reap(struct crew *crew)
{
	struct signalfd_siginfo info;
	int status;

	(void)!read(crew->deaths_fd, &info, sizeof(info));
	for (unsigned i = 0; i < crew->cnt; i++) {
		pid_t pid = crew->seats[i].pid;

		if (pid == 0 || waitpid(pid, &status, WNOHANG) != pid)
			continue;
		crew->seats[i].pid = 0;
		if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
			log_death(pid, status);
		answer_for(&crew->notes[i]);
	}
}

static void
end_all(struct crew *crew)
{
	for (unsigned i = 0; i < crew->cnt; i++)
		if (crew->seats[i].pid != 0)
			(void)kill(crew->seats[i].pid, SIGKILL);
	for (unsigned i = 0; i < crew->cnt; i++)
		if (crew->seats[i].pid != 0)
			(void)waitpid(crew->seats[i].pid, NULL, 0);
}

int
crew_run(const struct door *door, unsigned workers_cnt)
{
	struct crew crew = { .door = door, .cnt = workers_cnt,
			     .pid = getpid() };
	sigset_t set = deaths();
	struct pollfd fds[2] = { { .fd = LOGIN_FD } };

	CHECK(workers_cnt > 0 && workers_cnt <= CREW_MAX);
	crew.notes = mmap(NULL, CREW_MAX * sizeof(crew.notes[0]),
			  PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			  -1, 0);
	if (crew.notes == MAP_FAILED)
		return -errno;
	if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
		return -errno;
	crew.deaths_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (crew.deaths_fd < 0)
		return -errno;
	fds[1] = (struct pollfd){ .fd = crew.deaths_fd, .events = POLLIN };
	/* POLLHUP comes unasked, and requests are the workers'. */
	while ((fds[0].revents & (POLLHUP | POLLERR)) == 0) {
		int wait_ms = fill(&crew);

		if (poll(fds, 2, wait_ms) > 0 && fds[1].revents != 0)
			reap(&crew);
	}
	end_all(&crew);
	return 0;
}
