#include "config.h"

#include "daemon/login_start.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "auth/login_message.h"
#include "base/util.h"

static const char program[] = "ringtick-login";

/* Beside the daemon where that was built, else where it is installed. */
static void
find_program(char *path, size_t path_len)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	self[n < 0 ? 0 : n] = '\0';
	(void)snprintf(path, path_len, "%s/%s", n < 0 ? "." : dirname(self),
		       program);
	if (n < 0 || access(path, X_OK) != 0)
		(void)snprintf(path, path_len, PKGLIBEXECDIR "/%s", program);
}

/* Of signals it has the defaults, and none is blocked. */
static int
set_signals(posix_spawnattr_t *attr)
{
	sigset_t none, all;

	sigemptyset(&none);
	sigfillset(&all);
	return posix_spawnattr_setsigmask(attr, &none) != 0 ||
			       posix_spawnattr_setsigdefault(attr, &all) != 0 ||
			       posix_spawnattr_setflags(
				       attr, POSIX_SPAWN_SETSIGMASK |
						     POSIX_SPAWN_SETSIGDEF) != 0
		       ? -ENOMEM
		       : 0;
}

static int
spawn(const struct settings *s, const char *path, int fd)
{
	bool has_pam = s->auth.pam[0] != '\0';
	char *argv[] = { (char *)program, has_pam ? "--pam" : "--users",
			 has_pam ? s->auth.pam : s->auth.users, NULL };
	char *environment[] = { NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	pid_t pid;
	int err;

	if (posix_spawn_file_actions_init(&actions) != 0)
		return -ENOMEM;
	if (posix_spawnattr_init(&attr) != 0) {
		(void)posix_spawn_file_actions_destroy(&actions);
		return -ENOMEM;
	}
	err = set_signals(&attr);
	if (err == 0)
		err = -posix_spawn_file_actions_adddup2(&actions, fd, LOGIN_FD);
	if (err == 0)
		err = -posix_spawn(&pid, path, &actions, &attr, argv,
				   environment);
	(void)posix_spawnattr_destroy(&attr);
	(void)posix_spawn_file_actions_destroy(&actions);
	return err;
}

/* 0 when it says that it is ready. */
static int
await_ready(int fd, const char *path, unsigned *out_memory_kb, char *err,
	    size_t err_len)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct login_answer answer;
	ssize_t n = 0;

	if (poll(&p, 1, LOGIN_START_SECONDS * 1000) == 1)
		n = recv(fd, &answer, sizeof(answer), MSG_DONTWAIT);
	if (n > 0 && login_answer_is_good(&answer, (size_t)n)) {
		*out_memory_kb = answer.memory_kb;
		if (answer.kind == LOGIN_READY)
			return 0;
		(void)snprintf(err, err_len, "%s", answer.text);
		return -EINVAL;
	}
	(void)snprintf(err, err_len,
		       "%s: %s; its log lines say why, if it could start", path,
		       n == 0 && p.revents == 0 ? "was not ready in time"
						: "ended before it was ready");
	return -EIO;
}

int
login_start(const struct settings *settings, unsigned *out_memory_kb,
	    char *err, size_t err_len)
{
	char path[PATH_MAX + 32];
	int fds[2], res;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0) {
		(void)snprintf(err, err_len, "socketpair: %s", strerror(errno));
		return -errno;
	}
	find_program(path, sizeof(path));
	res = spawn(settings, path, fds[1]);
	(void)close(fds[1]);
	if (res != 0)
		(void)snprintf(err, err_len, "cannot start %s: %s", path,
			       strerror(-res));
	else
		res = await_ready(fds[0], path, out_memory_kb, err, err_len);
	if (res == 0)
		return fds[0];
	(void)close(fds[0]);
	return res;
}
