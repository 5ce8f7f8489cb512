/*
 * ringtick-login, as the daemon sees it: a program that is started with one end
 * of a socket pair, reads the users' file once, and answers in any order, late,
 * or never.  What a real one does is auth/login_message.h's; here the file has
 * plain passwords.
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "auth/login_message.h"
#include "machine.h"
#include "wrap.h"

enum { PAIRS_MAX = 32, FIRST_PID = 5000 };

#define SPAWN_NS     (20 * NS_PER_MS) /* the longest time that a start takes */
#define POLL_STEP_NS (5 * NS_PER_MS)
#define QUICK_NS     (3 * NS_PER_MS)

/* How long the daemon may take to hear of a program's end. */
#define REAP_NS (3 * NS_PER_S)

struct login_pair {
	int daemon_fd, other_fd; /* 0: closed */
	bool is_shut;		 /* the daemon sends and reads no more */
	pid_t pid;		 /* 0: no program has begun to use it */
	bool is_alive, is_zombie;
	bool is_ready;
	int64_t died_ns;
	bool is_held; /* a read of the engine is in flight */
	unsigned generation;
	struct login_faults faults;
	struct bytes users;   /* the file, when it started */
	struct bytes answers; /* struct login_answer, or less */
	struct bytes lens;    /* size_t: of each */
	unsigned asked;	      /* requests without an answer */
	uint64_t last_id;
};

struct login_faults login_faults;

static struct login_pair pairs[PAIRS_MAX];
static pid_t last_pid = FIRST_PID;
static int passed_fd; /* to the program that is started next */
static unsigned failed_starts;
static int64_t moved_ns; /* when one last was started, ready, or failed */

unsigned
login_failed_starts(void)
{
	return failed_starts;
}

int64_t
login_moved_ns(void)
{
	return moved_ns;
}

bool
login_is_ready(void)
{
	for (unsigned i = 0; i < PAIRS_MAX; i++)
		if (pairs[i].is_alive && pairs[i].is_ready && !pairs[i].is_shut)
			return true;
	return false;
}

static void
fail_start(void)
{
	failed_starts++;
	moved_ns = sim_now_ns();
}

/* ---- the socket pair ---- */

static bool
is_free(const struct login_pair *p)
{
	return p->daemon_fd == 0 && p->other_fd == 0 && !p->is_alive &&
	       !p->is_zombie && !p->is_held;
}

static void
make_empty(struct login_pair *p)
{
	unsigned generation = p->generation + 1;

	bytes_free(&p->users);
	bytes_free(&p->answers);
	bytes_free(&p->lens);
	*p = (struct login_pair){ .generation = generation };
}

WRAP(int, socketpair, int domain, int type, int protocol, int fds[2])
{
	struct login_pair *p = pairs;

	(void)REAL(socketpair);
	(void)domain;
	(void)type;
	(void)protocol;
	while (p < pairs + PAIRS_MAX && !is_free(p))
		p++;
	SIM_CHECK(p < pairs + PAIRS_MAX,
		  "the daemon keeps too many socket pairs");
	make_empty(p);
	fds[0] = fd_open((struct descriptor){ .kind = FD_LOGIN, .pair = p });
	fds[1] = fd_open((struct descriptor){ .kind = FD_LOGIN, .pair = p });
	p->daemon_fd = fds[0];
	p->other_fd = fds[1];
	return 0;
}

/* ---- the program ---- */

static void
run_at(int64_t at_ns, void (*run)(void *who, uint64_t what),
       const struct login_pair *p)
{
	sim_at_machine(at_ns, run, NULL,
		       (uint64_t)(p - pairs) | (uint64_t)p->generation << 32);
}

static struct login_pair *
pair_of(uint64_t what)
{
	struct login_pair *p = &pairs[what & 0xff];

	return p->generation == what >> 32 && p->is_alive ? p : NULL;
}

static void
die(void *who, uint64_t what)
{
	struct login_pair *p = pair_of(what);

	(void)who;
	if (p == NULL)
		return;
	sim_trace("ringtick-login %d ends", p->pid);
	p->is_alive = false;
	p->is_zombie = true;
	p->died_ns = moved_ns = sim_now_ns();
	process_signal(SIGCHLD);
	engine_touch_login(p);
}

static void
put_answer(struct login_pair *p, const struct login_answer *answer, size_t len)
{
	bytes_add(&p->answers, answer, sizeof(*answer));
	bytes_add(&p->lens, &len, sizeof(len));
	engine_touch_login(p);
}

/* It says that it is ready, or why it is not; or nothing. */
static void
begin(void *who, uint64_t what)
{
	struct login_pair *p = pair_of(what);
	struct login_answer answer;

	(void)who;
	if (p == NULL)
		return;
	if (process_is_told_ready() && sim_chance(p->faults.mute_per_mille)) {
		fail_start();
		return;
	}
	if (!sim_chance(p->faults.fail_per_mille)) {
		p->is_ready = true;
		moved_ns = sim_now_ns();
		login_write_ready(&answer, 1, 4096);
		put_answer(p, &answer, sizeof(answer));
		return;
	}
	fail_start();
	if (sim_chance(700)) {
		login_write_failed(&answer, "a line of the file is wrong");
		put_answer(p, &answer, sizeof(answer));
	}
	run_at(sim_now_ns() + sim_between(0, QUICK_NS), die, p);
}

static void
read_users(struct login_pair *p, const char *path)
{
	const struct inode *i = fs_find(path);

	SIM_CHECK(i != NULL, "ringtick-login gets %s, which is not there",
		  path);
	bytes_add(&p->users, fs_bytes(i)->at, fs_bytes(i)->len);
	bytes_add(&p->users, "", 1);
}

WRAP(int, posix_spawn_file_actions_adddup2,
     posix_spawn_file_actions_t *actions, int fd, int as)
{
	(void)REAL(posix_spawn_file_actions_adddup2);
	(void)actions;
	SIM_CHECK(as == LOGIN_FD, "ringtick-login gets descriptor %d", as);
	passed_fd = fd;
	return 0;
}

WRAP(int, posix_spawn, pid_t *pid, const char *path,
     const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attr,
     char *const argv[], char *const environment[])
{
	struct login_pair *p = fd_get(passed_fd)->pair;

	(void)REAL(posix_spawn);
	(void)path;
	(void)actions;
	(void)attr;
	(void)environment;
	SIM_CHECK(jobs_pause(), "the daemon's thread starts a program");
	SIM_CHECK(strcmp(argv[1], "--users") == 0, "it is started with %s",
		  argv[1]);
	p->faults = login_faults;
	if (sim_chance(p->faults.spawn_per_mille)) {
		fail_start();
		return EAGAIN;
	}
	*pid = p->pid = ++last_pid;
	p->is_alive = true;
	moved_ns = sim_now_ns();
	read_users(p, argv[2]);
	sim_trace("ringtick-login %d begins", p->pid);
	run_at(sim_now_ns() + sim_between(NS_PER_MS, SPAWN_NS), begin, p);
	return 0;
}

WRAP(pid_t, waitpid, pid_t pid, int *status, int options)
{
	bool has_some = false;

	/* Of a run that is repeated (shrink.c). */
	if (pid != -1)
		return REAL(waitpid)(pid, status, options);
	SIM_CHECK(options == WNOHANG, "the daemon waits for a program's end");
	for (unsigned i = 0; i < PAIRS_MAX; i++) {
		has_some = has_some || pairs[i].is_alive;
		if (!pairs[i].is_zombie)
			continue;
		pairs[i].is_zombie = false;
		return pairs[i].pid;
	}
	errno = ECHILD;
	return has_some ? 0 : -1;
}

/* ---- requests ---- */

/* The password in the line of a user; NULL: there is no such user. */
static const char *
find_user(const struct login_pair *p, const char *user, size_t *len)
{
	size_t user_len = strlen(user);
	const char *at = (const char *)p->users.at;

	for (; *at != '\0'; at = strchr(at, '\n') + 1) {
		if (strncmp(at, user, user_len) != 0 || at[user_len] != ':')
			continue;
		at += user_len + 1;
		*len = (size_t)(strchr(at, '\n') - at);
		return at;
	}
	return NULL;
}

static enum login_answer_kind
decide(const struct login_pair *p, const struct login_request *r)
{
	size_t len = 0;
	const char *password = find_user(p, r->user, &len);

	if (sim_chance(p->faults.unknown_per_mille))
		return LOGIN_UNKNOWN;
	if (password == NULL)
		return LOGIN_NO;
	return r->kind == LOGIN_ACCOUNT ||
			       (strlen(r->password) == len &&
				memcmp(r->password, password, len) == 0)
		       ? LOGIN_YES
		       : LOGIN_NO;
}

static uint32_t
host_of(const char *peer)
{
	struct in_addr at = { 0 };
	char host[16];

	(void)snprintf(host, sizeof(host), "%.*s", (int)strcspn(peer, ":"),
		       peer);
	(void)inet_pton(AF_INET, host, &at);
	return ntohl(at.s_addr);
}

static unsigned
port_of(const char *peer)
{
	const char *colon = strrchr(peer, ':');

	return colon == NULL ? 0 : (unsigned)strtoul(colon + 1, NULL, 10);
}

static void
answer(void *who, uint64_t what)
{
	struct login_request *r = who;
	struct login_pair *p = pair_of(what);
	struct login_answer a;

	if (p == NULL) {
		free(r);
		return;
	}
	p->asked--;
	login_write_answer(&a, r->id, decide(p, r));
	/* One that is none ends the use of this program. */
	if (sim_chance(p->faults.odd_per_mille)) {
		moved_ns = sim_now_ns();
		a.kind = LOGIN_FAILED + 7;
		put_answer(p, &a, sim_chance(500) ? sizeof(a) / 2 : sizeof(a));
		free(r);
		return;
	}
	world_login_answered(host_of(r->peer), port_of(r->peer), r->user,
			     a.kind == LOGIN_YES  ? SAYS_YES
			     : a.kind == LOGIN_NO ? SAYS_NO
						  : SAYS_UNKNOWN);
	sim_trace("ringtick-login %d: %s from %s: %s", p->pid, r->user,
		  r->kind == LOGIN_CHECK ? r->peer : "the file",
		  a.kind == LOGIN_YES	? "yes"
		  : a.kind == LOGIN_NO ? "no"
					: "unknown");
	put_answer(p, &a, sizeof(a));
	if (sim_chance(p->faults.odd_per_mille))
		put_answer(p, &a, sizeof(a));
	free(r);
}

WRAP(ssize_t, send, int fd, const void *at, size_t len, int flags)
{
	const struct login_request *r = at;
	struct login_pair *p = fd_get(fd)->pair;
	int64_t most_ns, at_ns;
	struct login_request *kept;

	(void)REAL(send);
	SIM_CHECK(fd == p->daemon_fd && (flags & MSG_DONTWAIT) != 0 &&
			  (flags & MSG_NOSIGNAL) != 0,
		  "a request that could wait, or kill");
	if (!p->is_alive || p->is_shut) {
		errno = EPIPE;
		return -1;
	}
	SIM_CHECK(p->is_ready && login_request_is_good(r, len),
		  "ringtick-login is asked badly, or too early");
	SIM_CHECK(r->id >= p->last_id, "a request's number comes again");
	p->last_id = r->id + 1;
	SIM_CHECK(++p->asked <= LOGIN_OUTSTANDING_MAX,
		  "%u requests are without an answer", p->asked);
	world_login_asked(port_of(r->peer), r->user, r->password);
	if (sim_chance(p->faults.die_per_mille))
		run_at(sim_now_ns() + sim_between(0, QUICK_NS), die, p);
	most_ns = sim_chance(500) ? QUICK_NS : p->faults.slow_ns;
	at_ns = sim_now_ns() + sim_between(1, most_ns + QUICK_NS);
	kept = calloc(1, sizeof(*kept));
	CHECK(kept != NULL);
	*kept = *r;
	sim_at_machine(at_ns, answer, kept,
		       (uint64_t)(p - pairs) | (uint64_t)p->generation << 32);
	return (ssize_t)len;
}

/* ---- answers ---- */

/* 0: the end. */
int32_t
login_read(struct login_pair *p, void *at, size_t len)
{
	size_t packet;

	if (p->lens.len == 0)
		return p->is_alive && !p->is_shut ? -EAGAIN : 0;
	memcpy(&packet, p->lens.at, sizeof(packet));
	packet = min_u64(packet, len);
	memcpy(at, p->answers.at, packet);
	bytes_drop(&p->lens, sizeof(packet));
	bytes_drop(&p->answers, sizeof(struct login_answer));
	return (int32_t)packet;
}

WRAP(ssize_t, recv, int fd, void *at, size_t len, int flags)
{
	int32_t n = login_read(fd_get(fd)->pair, at, len);

	(void)REAL(recv);
	SIM_CHECK((flags & MSG_DONTWAIT) != 0,
		  "the daemon waits for an answer");
	if (n >= 0)
		return n;
	errno = -n;
	return -1;
}

bool
login_await(struct login_pair *p, int64_t most_ns)
{
	int64_t until_ns = sim_now_ns() + most_ns;

	while (p->lens.len == 0 && p->is_alive && sim_now_ns() < until_ns)
		SIM_CHECK(jobs_sleep(POLL_STEP_NS),
			  "the daemon's thread waits for ringtick-login");
	return p->lens.len > 0 || !p->is_alive;
}

void
login_hold(struct login_pair *p, bool is_held)
{
	SIM_CHECK(p->is_held != is_held, "two reads at one socket pair");
	p->is_held = is_held;
}

void
login_shut(struct login_pair *p)
{
	p->is_shut = true;
	engine_touch_login(p);
	if (p->is_alive)
		run_at(sim_now_ns() + sim_between(1, SPAWN_NS), die, p);
}

void
login_close_fd(struct login_pair *p, int fd)
{
	if (fd == p->other_fd) {
		p->other_fd = 0;
		return;
	}
	SIM_CHECK(!p->is_held, "the socket of ringtick-login is closed, and a "
			       "read waits for it");
	p->daemon_fd = 0;
	login_shut(p);
}

/* They end with their parent. */
void
login_crash(void)
{
	for (unsigned i = 0; i < PAIRS_MAX; i++)
		make_empty(&pairs[i]);
}

void
login_check(void)
{
	int64_t paused_until_ns = world_paused_until_ns();

	for (unsigned i = 0; i < PAIRS_MAX; i++)
		SIM_CHECK(!pairs[i].is_zombie ||
				  sim_now_ns() - max_i64(pairs[i].died_ns,
							 paused_until_ns) <
					  REAP_NS,
			  "nobody asks how ringtick-login %d has ended",
			  pairs[i].pid);
}
