#include "config.h"

#include "base/process.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

void
process_fill_descriptors(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		int got;

		if (fcntl(fd, F_GETFD) >= 0)
			continue;
		/* This is the lowest free number, so open() returns it. */
		got = open("/dev/null",
			   fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
		/* Without /dev a directory serves: writing to it fails as
		 * well. */
		if (got < 0)
			got = open("/", O_RDONLY | O_DIRECTORY);
		if (got != fd)
			abort();
	}
}

static void
ignore(int number)
{
	(void)sigaction(number, &(struct sigaction){ .sa_handler = SIG_IGN },
			NULL);
}

void
process_ignore_file_limit(void)
{
	ignore(SIGXFSZ);
}

void
process_hold_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR1);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	/* A write to a dead peer is an error, not the end of the process. */
	ignore(SIGPIPE);
}

void
process_hold_stops(void)
{
	sigset_t set = process_signals();

	(void)sigprocmask(SIG_BLOCK, &set, NULL);
}

sigset_t
process_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	return set;
}
