/*
 * The program `ringtick-login`, which ringtickd starts: checks passwords, so
 * that no hash and no server holds the daemon's thread.  What they say to each
 * other is in auth/login_message.h.
 */
#include "config.h"

#include <argp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "auth/login_message.h"
#include "base/exits.h"
#include "base/log.h"
#include "base/process.h"
#include "base/util.h"
#include "login/crew.h"
#include "login/sandbox.h"
#include "login/users_file.h"

enum { WORKERS = 2 };

struct arguments {
	const char *users_path; /* NULL: with PAM */
	struct pam_door pam;
	unsigned workers_cnt;
};

enum { KEY_USERS = 256, KEY_PAM, KEY_PAM_FOLDER, KEY_WORKERS };

static const struct argp_option options[] = {
	{ "users", KEY_USERS, "FILE", 0, "the users file", 0 },
	{ "pam", KEY_PAM, "SERVICE", 0, "the PAM service, instead", 0 },
	{ "pam-folder", KEY_PAM_FOLDER, "FOLDER", 0,
	  "where the service is (the system's folders)", 0 },
	{ "workers", KEY_WORKERS, "N", 0, "checks at a time, 1 to 16 (2)", 0 },
	{ 0 },
};

static error_t
take_option(int key, char *value, struct argp_state *state)
{
	struct arguments *a = state->input;
	char *end;
	long number;

	switch (key) {
	case KEY_USERS:
		a->users_path = value;
		return 0;
	case KEY_PAM:
		a->pam.service = value;
		return 0;
	case KEY_PAM_FOLDER:
		a->pam.folder = value;
		return 0;
	case KEY_WORKERS:
		number = strtol(value, &end, 10);
		if (*value == '\0' || *end != '\0' || number < 1 ||
		    number > CREW_MAX)
			argp_error(state, "--workers: \"%s\" is not 1 to %d",
				   value, CREW_MAX);
		a->workers_cnt = (unsigned)number;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "\"%s\" is not an option", value);
		return 0;
	case ARGP_KEY_END:
		if ((a->users_path == NULL) == (a->pam.service == NULL))
			argp_error(state, "give --users FILE or --pam SERVICE");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* ---- the start ---- */

static void
check_socket(void)
{
	int type = 0;
	socklen_t len = sizeof(type);

	if (getsockopt(LOGIN_FD, SOL_SOCKET, SO_TYPE, &type, &len) == 0 &&
	    type == SOCK_SEQPACKET)
		return;
	fprintf(stderr, "ringtick-login: this program is started by ringtickd, "
			"with a socket as descriptor 3\n");
	exit(EXIT_MEND);
}

/*
 * The process ends with the daemon and not before it, whatever signal is sent
 * to all processes of a terminal or of a unit.  What the daemon blocks is not
 * blocked here.
 */
static void
set_signals(void)
{
	static const int ignored[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1,
				       SIGPIPE };
	sigset_t none;

	for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
		(void)sigaction(ignored[i],
				&(struct sigaction){ .sa_handler = SIG_IGN },
				NULL);
	(void)sigaction(SIGCHLD, &(struct sigaction){ .sa_handler = SIG_DFL },
			NULL);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The daemon says it to the operator. */
_Noreturn static void
refuse_start(const char *text, int res)
{
	struct login_answer a;

	login_write_failed(&a, text);
	(void)send(LOGIN_FD, &a, sizeof(a), MSG_NOSIGNAL);
	_exit((int)exit_status_of(-res));
}

/* Returns how much memory a process may take, in KiB; 0: that is not known. */
static unsigned
open_door(struct door *door, const struct arguments *arguments)
{
	char err[LOGIN_TEXT_BYTES_MAX + 1] = "";
	const struct users *u = &door->users;
	int64_t check_ns = 0;
	unsigned memory_kb;
	int res;

	*door = (struct door){ .has_pam = arguments->users_path == NULL,
			       .pam = arguments->pam };
	if (door->has_pam) {
		if (!pam_door_is_good(&door->pam, err, sizeof(err)))
			refuse_start(err, -EINVAL);
		return 0;
	}
	sandbox_limit_memory();
	res = users_file_read(&door->users, arguments->users_path, err,
			      sizeof(err));
	if (res == 0)
		res = users_file_try(u, arguments->users_path, &check_ns, err,
				     sizeof(err));
	if (res != 0)
		refuse_start(err, res);
	memory_kb = sandbox_keep_memory();
	log_line(LOG_INFO, "login_ready",
		 "users=%u plain=%u md5=%u sha1=%u crypt=%u kinds=%u "
		 "check_us=%lld memory_kb=%u",
		 u->cnt, u->hash_cnt[USER_PLAIN], u->hash_cnt[USER_MD5],
		 u->hash_cnt[USER_SHA1], u->hash_cnt[USER_CRYPT], u->kinds_cnt,
		 (long long)(check_ns / NS_PER_US), memory_kb);
	return memory_kb;
}

int
main(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = take_option,
		.doc = "Checks passwords for ringtickd, which starts it.",
	};
	struct arguments arguments = { .workers_cnt = WORKERS };
	struct login_answer ready;
	unsigned memory_kb;
	struct door door;
	int res;

	process_fill_descriptors();
	process_ignore_file_limit();
	argp_program_version = PACKAGE_STRING;
	argp_err_exit_status = EXIT_MEND;
	(void)argp_parse(&argp, argc, argv, 0, NULL, &arguments);
	check_socket();
	(void)close_range(LOGIN_FD + 1, ~0u, 0);
	set_signals();
	/* Before it: after it /proc/self is root's. */
	log_open();
	sandbox_begin();
	memory_kb = open_door(&door, &arguments);
	login_write_ready(&ready, door.users.cnt,
			  (1 + arguments.workers_cnt) * memory_kb);
	if (send(LOGIN_FD, &ready, sizeof(ready), MSG_NOSIGNAL) < 0)
		_exit(0);
	res = crew_run(&door, arguments.workers_cnt);
	users_fini(&door.users);
	_exit(res == 0 ? 0 : (int)exit_status_of(-res));
}
