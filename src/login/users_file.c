#include "config.h"

#include "login/users_file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/login_message.h"
#include "base/clock.h"
#include "base/exits.h"
#include "base/log.h"
#include "base/util.h"

/* ---- reading ---- */

static int
fail(char *err, size_t err_len, const char *path, const char *what, int res)
{
	(void)snprintf(err, err_len, "%s: %s: %s", path, what, strerror(-res));
	return res;
}

/* Reads up to the end, or until the buffer is full. */
static ssize_t
read_all(int fd, char *buf, size_t size)
{
	size_t len = 0;

	while (len < size) {
		ssize_t n = read(fd, buf + len, size - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	return (ssize_t)len;
}

static void
warn_of_readers(const char *path, mode_t mode)
{
	if ((mode & (S_IROTH | S_IWOTH)) != 0)
		log_line(LOG_WARN, "users_file_open",
			 "path=%s mode=%04o hint=\"chmod o-rw\"",
			 LOG_QUOTED(path), mode & 07777u);
}

/* From an open file; buf has room for a byte more than is allowed. */
static int
read_open(struct users *out, int fd, const char *path, char *buf, char *err,
	  size_t err_len)
{
	struct stat about;
	ssize_t len;

	if (fstat(fd, &about) != 0)
		return fail(err, err_len, path, "fstat", -errno);
	if (!S_ISREG(about.st_mode)) {
		(void)snprintf(err, err_len,
			       "%s: is not a file; auth.users names a file "
			       "of lines NAME:PASSWORD",
			       path);
		return -EINVAL;
	}
	len = read_all(fd, buf, USERS_FILE_BYTES_MAX + 1);
	if (len < 0)
		return fail(err, err_len, path, "cannot be read", (int)len);
	if (len > USERS_FILE_BYTES_MAX) {
		(void)snprintf(err, err_len,
			       "%s: is longer than 4 MiB; this is not a users "
			       "file, or has too many users",
			       path);
		return -EINVAL;
	}
	warn_of_readers(path, about.st_mode);
	return users_read(out, path, buf, (size_t)len, err, err_len);
}

int
users_file_read(struct users *out, const char *path, char *err, size_t err_len)
{
	/* Does not wait for the writer of a FIFO. */
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC), res;
	char *buf;

	if (fd < 0)
		return fail(err, err_len, path,
			    "cannot be opened (the daemon's user must be able "
			    "to read it)",
			    -errno);
	buf = malloc(USERS_FILE_BYTES_MAX + 1);
	if (buf == NULL) {
		res = fail(err, err_len, path, "cannot be read", -ENOMEM);
	} else {
		res = read_open(out, fd, path, buf, err, err_len);
		explicit_bzero(buf, USERS_FILE_BYTES_MAX + 1);
	}
	free(buf);
	(void)close(fd);
	return res;
}

/* ---- trying ---- */

/* What is sent if a hash takes too long. */
static struct login_answer too_long;

static void
on_alarm(int signal_number)
{
	(void)signal_number;
	(void)send(LOGIN_FD, &too_long, sizeof(too_long),
		   MSG_DONTWAIT | MSG_NOSIGNAL);
	_exit(EXIT_MEND);
}

static void
set_alarm(const char *path, unsigned line)
{
	char text[LOGIN_TEXT_BYTES_MAX];

	(void)snprintf(text, sizeof(text),
		       "%s:%u: a check of this hash takes more than %d s: "
		       "make a line with `ringtick "
		       "passwd`",
		       path, line, USERS_TRIAL_SECONDS);
	login_write_failed(&too_long, text);
}

int
users_file_try(const struct users *u, const char *path, int64_t *out_ns,
	       char *err, size_t err_len)
{
	const struct sigaction action = { .sa_handler = on_alarm };
	struct crypt_hash_memory memory = { .data = NULL };
	int64_t start_ns = clock_monotonic_ns();
	int res = 0;

	for (unsigned i = 0; i < u->kinds_cnt && res >= 0; i++) {
		/* The text that the handler sends is not changed under it. */
		(void)alarm(0);
		set_alarm(path, u->kinds_line[i]);
		(void)sigaction(SIGALRM, &action, NULL);
		(void)alarm(USERS_TRIAL_SECONDS);
		res = crypt_hash_check(&memory, "trial", u->kinds[i]);
		if (res < 0)
			(void)snprintf(
				err, err_len,
				"%s:%u: the password's hash cannot be made "
				"(%s), if not for its cost then for want of "
				"memory: make a line with `ringtick passwd`",
				path, u->kinds_line[i], strerror(-res));
	}
	(void)alarm(0);
	/* a worker's alarm is the worker's end */
	(void)sigaction(SIGALRM, &(struct sigaction){ .sa_handler = SIG_DFL },
			NULL);
	crypt_hash_free(&memory);
	*out_ns = clock_monotonic_ns() - start_ns;
	return res < 0 ? res : 0;
}
