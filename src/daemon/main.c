#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/exits.h"
#include "base/log.h"
#include "base/process.h"
#include "base/timezone.h"
#include "client/listener.h"
#include "config/rights_load.h"
#include "config/settings_load.h"
#include "daemon/login_start.h"
#include "daemon/reload.h"
#include "daemon/selftest.h"
#include "daemon/server_open.h"
#include "daemon/turn.h"
#include "journal/folder.h"

enum { OPTION_CHECK = 256, OPTION_RIGHTS, OPTION_SELF_TEST };

static const struct option options[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "port", required_argument, NULL, 'p' },
	{ "check", no_argument, NULL, OPTION_CHECK },
	{ "rights", no_argument, NULL, OPTION_RIGHTS },
	{ "self-test", no_argument, NULL, OPTION_SELF_TEST },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

static void
print_help(void)
{
	printf("Usage: ringtickd -c FILE [OPTION]...\n"
	       "A native tickerplant for kdb+.\n"
	       "\n"
	       "  -c, --config FILE  the configuration\n"
	       "  -p, --port PORT    listen there instead of on listen.port\n"
	       "      --check        test the configuration and exit\n"
	       "      --rights       print what each user may do, and exit\n"
	       "      --self-test    test the ring and both engine modes at "
	       "every offset\n"
	       "                     around the ring's seam, and exit\n"
	       "  -h, --help         print this and exit\n"
	       "  -V, --version      print the version and exit\n"
	       "\n"
	       "Settings of the configuration file, with their defaults:\n\n");
	settings_print_help(stdout);
}

static uint64_t
parse_port(const char *text)
{
	char *end;
	unsigned long port;

	errno = 0;
	port = strtoul(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || port > 65535)
		die(EXIT_MEND, "-p %s: not a port; allowed: 0 to 65535", text);
	return port;
}

/* Lost output is a failure, whether the last flush failed or an earlier one. */
static void
end_output(void)
{
	bool is_lost = ferror(stdout) != 0;

	errno = 0;
	if (fflush(stdout) != 0 || is_lost)
		die(EXIT_OTHER, "standard output: %s",
		    errno != 0 ? strerror(errno) : "it cannot be written");
}

struct command_line {
	const char *file;
	bool has_port, is_check, is_rights, is_self_test;
	uint64_t port;
};

static struct command_line
parse_command_line(int argc, char **argv)
{
	struct command_line line = { 0 };
	int option;

	while ((option = getopt_long(argc, argv, "c:p:hV", options, NULL)) !=
	       -1) {
		switch (option) {
		case 'c':
			line.file = optarg;
			break;
		case 'p':
			line.port = parse_port(optarg);
			line.has_port = true;
			break;
		case OPTION_CHECK:
			line.is_check = true;
			break;
		case OPTION_RIGHTS:
			line.is_rights = true;
			break;
		case OPTION_SELF_TEST:
			line.is_self_test = true;
			break;
		case 'h':
			print_help();
			end_output();
			exit(EXIT_SUCCESS);
		case 'V':
			printf("ringtickd %s\n", PACKAGE_VERSION);
			end_output();
			exit(EXIT_SUCCESS);
		default:
			exit(EXIT_MEND);
		}
	}
	if (optind < argc)
		die(EXIT_MEND,
		    "unexpected argument \"%s\"; see: ringtickd --help",
		    argv[optind]);
	if (line.file == NULL)
		die(EXIT_MEND, "no configuration; see: ringtickd --help");
	return line;
}

/* The users file, or the PAM service, as a start would use it. */
static void
check_users(const struct settings *settings)
{
	char err[JOURNAL_PATH_MAX + 1024];
	unsigned memory_kb;
	int fd;

	if (!settings_want_password(settings))
		return;
	fd = login_start(settings, &memory_kb, err, sizeof(err));
	if (fd < 0)
		die(EXIT_MEND, "%s", err);
	(void)close(fd);
}

/* Ends as a start would that refuses; warns of what a start would do. */
static void
check(const struct settings *settings, const char *file)
{
	char err[JOURNAL_PATH_MAX + 1024], warning[8192], *next;

	if (!listeners_check(settings, err, sizeof(err)))
		die(EXIT_MEND, "%s", err);
	if (!journal_folder_check(settings, err, sizeof(err)) ||
	    !journal_folder_foresee(settings, warning, sizeof(warning), err,
				    sizeof(err)))
		die(exit_status_of(errno), "%s", err);
	check_users(settings);
	for (char *at = warning; at != NULL && *at != '\0'; at = next) {
		next = strchr(at, '\n');
		if (next != NULL)
			*next++ = '\0';
		fprintf(stderr, "ringtickd: warning: %s\n", at);
	}
	journal_folder_text(settings, err, sizeof(err));
	printf("%s: good, tables: %u, %s\n", file, settings->tables.tables_cnt,
	       err);
}

int
main(int argc, char **argv)
{
	struct command_line line;
	struct settings settings;
	struct server server;
	char err[1024];
	int res, status = EXIT_SUCCESS;

	process_fill_descriptors();
	process_ignore_file_limit();
	process_hold_signals();
	log_open();
	line = parse_command_line(argc, argv);
	res = settings_load(&settings, line.file, err, sizeof(err));
	if (res != 0)
		die(exit_status_of(-res), "%s", err);
	if (settings.day.zone_is_local && !timezone_is_known(err, sizeof(err)))
		die(EXIT_MEND, "%s", err);
	if (line.has_port)
		settings.listen.port = line.port;
	if (line.is_check) {
		check(&settings, line.file);
	} else if (line.is_rights) {
		rights_print(stdout, &settings);
	} else if (line.is_self_test) {
		status = selftest_run(&settings) ? EXIT_SUCCESS : EXIT_BUG;
	} else {
		log_line(LOG_INFO, "start",
			 "version=%s config=%s tables=%u",
			 PACKAGE_VERSION, LOG_QUOTED(line.file),
			 settings.tables.tables_cnt);
		server_open(&server, &settings, line.file);
		status = turn_run(&server);
		/* A job that hangs still uses memory that would be freed. */
		if (file_jobs_are_busy(&server.file_jobs) ||
		    !reload_close(&server))
			_exit(status);
		server_close(&server);
	}
	settings_fini(&settings);
	end_output();
	return status;
}
