#include "config.h"

#include "tools/log.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/util.h"
#include "journal/file.h"
#include "tools/client.h"
#include "tools/json.h"
#include "tools/log_payload.h"
#include "tools/log_repair.h"
#include "tools/log_replay.h"
#include "tools/log_tables.h"
#include "tools/mapped_file.h"
#include "tools/print.h"
#include "tools/qtime.h"

enum log_mode {
	LOG_PRINT,
	LOG_JSON,
	LOG_COUNT,
	LOG_VERIFY,
	LOG_TABLES,
	LOG_REPAIR,
	LOG_FILTER,
	LOG_REPLAY,
	LOG_MODE_COUNT
};

/* What can be combined with what. */
static const struct {
	const char *option; /* that chooses it; NULL: none does */
	bool takes_tables, takes_range, takes_follow;
} modes[LOG_MODE_COUNT] = {
	[LOG_PRINT] = { NULL, true, true, true },
	[LOG_JSON] = { "--json", true, true, true },
	[LOG_COUNT] = { "--count", true, true, false },
	[LOG_VERIFY] = { "--verify", false, false, false },
	[LOG_TABLES] = { "--tables", true, true, false },
	[LOG_REPAIR] = { "--repair", false, false, false },
	[LOG_FILTER] = { "--filter", false, true, false },
	[LOG_REPLAY] = { "--replay", true, true, false },
};

/* --from or --to: a record number, or a time. */
struct log_limit {
	bool is_number, is_time;
	uint64_t number;
	struct when when;
};

struct logtool {
	/* options */
	enum log_mode mode;
	const char *path; /* of a day that followed: day_path */
	const char *out_path;
	const char *from_text, *to_text;
	struct log_limit from, to;
	bool is_following;
	bool has_speed;

	char day_path[PATH_MAX];
	struct mapping file;
	struct journal_check check; /* how far, and how it ended */
	bool is_judged;		    /* check.verdict is set */
	bool was_torn;		    /* the file of a day before */
	struct table_list tables;
	uint64_t selected;
	uint64_t left_out; /* of a replay */

	struct print_table print;
	struct payload_table made;
	struct salvage_copy copy;
	struct replay replay;
	char host[256];
};

static int
fail(const char *what, const char *why)
{
	fprintf(stderr, "ringtick log: %s: %s\n", what, why);
	return -EINVAL;
}

/* ---- records as text ---- */

static struct wire_reader
reader_of(const struct journal_record *record, const uint8_t *at)
{
	return wire_reader(at, (size_t)(record->at + record->len - at), false);
}

static void
print_record(struct logtool *t, const struct journal_record *record,
	     const struct payload *p, uint64_t number)
{
	struct print_text text = { .len = 0 };
	size_t len;
	const uint8_t *table = payload_make_table(&t->made, p, record, &len);

	if (table != NULL) {
		print_table(&t->print, record->table, record->table_len, table,
			    len);
		return;
	}
	t->print.columns_cnt = 0; /* a header comes before the next row */
	if (record->unknown != NULL) {
		printf("record %llu, %zu bytes, is not shown: %s\n",
		       (unsigned long long)number, record->len,
		       record->unknown);
		return;
	}
	print_object(&text, reader_of(record, record->at));
	puts(text.text);
}

static void
print_json(struct logtool *t, const struct journal_record *record,
	   const struct payload *p, uint64_t number)
{
	size_t len;
	const uint8_t *bytes = payload_make_table(&t->made, p, record, &len);
	struct wire_reader table = wire_reader(bytes, len, false);
	struct wire_reader x = reader_of(record, record->x);

	printf("{\"i\":%llu,\"table\":", (unsigned long long)number);
	json_string(stdout, record->table, record->table_len);
	if (record->unknown != NULL) {
		fputs(",\"unknown\":", stdout);
		json_string(stdout, record->unknown, strlen(record->unknown));
	} else if (bytes == NULL) {
		fputs(",\"value\":", stdout);
		json_object(stdout, &x);
	} else {
		if (p->form == PAYLOAD_TABLE) {
			fputs(",\"columns\":", stdout);
			json_names(stdout, table);
		}
		fputs(",\"rows\":", stdout);
		if (json_rows(stdout, table) < 0)
			fputs("null", stdout);
	}
	puts("}");
}

/* ---- which records, and what is done with one ---- */

/* 1 if it is in the range of times, 0 if not, -EINVAL if nobody can tell. */
static int
is_in_time(const struct logtool *t, const struct payload *p)
{
	const struct log_limit *limits[] = { &t->from, &t->to };
	struct when when;

	if (!t->from.is_time && !t->to.is_time)
		return 1;
	if (p->time_first == NULL ||
	    !when_read(p->time_type, p->time_first, &when))
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(limits); i++)
		if (limits[i]->is_time && limits[i]->when.has_date &&
		    !when.has_date)
			return fail(t->path, "the times in it have no date; "
					     "give --from and --to without "
					     "one, such as 09:30");
	if (t->from.is_time && when_is_before(when, t->from.when))
		return 0;
	return !t->to.is_time || when_is_before(when, t->to.when);
}

/* 0 to go on, or -errno; what went wrong is told. */
static int
take_record(struct logtool *t, const struct journal_record *record,
	    uint64_t number)
{
	struct payload p = { .rows = 0 };
	struct table_sums *table;
	int got;

	if (t->mode == LOG_VERIFY || t->mode == LOG_REPAIR)
		return 0;
	if (t->from.is_number && number < t->from.number)
		return 0;
	table = table_list_find(&t->tables, record);
	if (table == NULL)
		return fail(t->path, "no memory for the names of its tables");
	if (!table->is_wanted)
		return 0;
	if (t->mode != LOG_COUNT || t->from.is_time || t->to.is_time)
		payload_read(&p, record);
	got = is_in_time(t, &p);
	if (got <= 0)
		return got;
	t->selected++;
	table->records++;
	if (t->mode == LOG_PRINT) {
		print_record(t, record, &p, number);
	} else if (t->mode == LOG_JSON) {
		print_json(t, record, &p, number);
	} else if (t->mode == LOG_TABLES) {
		table_sums_add(table, record, &p);
	} else if (t->mode == LOG_FILTER) {
		return salvage_add(&t->copy, record);
	} else if (t->mode == LOG_REPLAY && record->unknown != NULL) {
		/* The server would close the connection. */
		fprintf(stderr,
			"ringtick log: %s: record %llu is not sent: %s\n",
			t->path, (unsigned long long)number, record->unknown);
		t->left_out++;
	} else if (t->mode == LOG_REPLAY) {
		t->replay.at_off = t->check.good_bytes;
		t->replay.file_len = t->file.len;
		return replay_record(&t->replay, record, &p, number);
	}
	return 0;
}

/* ---- the walk ---- */

/* What is wrong with the file, and what can be done. */
static void
tell_verdict(const struct logtool *t)
{
	const struct journal_check *c = &t->check;
	unsigned long long records = c->records, good = c->good_bytes;
	unsigned long long next = c->next_record_off;

	if (c->verdict == JOURNAL_FOREIGN)
		fprintf(stderr, "ringtick log: %s: this is no journal: %s\n",
			t->path, c->why);
	else if (c->verdict == JOURNAL_TORN)
		fprintf(stderr,
			"ringtick log: %s: record %llu, at byte %llu, is not "
			"whole (%s). If nobody writes it any more: `ringtick "
			"log --repair FILE` moves the last %llu bytes into a "
			"side file\n",
			t->path, records, good, c->why,
			(unsigned long long)t->file.len - good);
	if (c->behind_records > 0)
		fprintf(stderr,
			"ringtick log: %s: from byte %llu up to the end there "
			"are %llu whole records: a count before them is "
			"damaged, no crash does that. Save them with `(head -c "
			"8 FILE; tail -c +%llu FILE) >BEHIND` before you "
			"repair it\n",
			t->path, (unsigned long long)c->behind_off,
			(unsigned long long)c->behind_records,
			(unsigned long long)c->behind_off + 1);
	if (c->verdict == JOURNAL_DAMAGED)
		fprintf(stderr,
			"ringtick log: %s: record %llu, at byte %llu, is "
			"damaged (%s); records go on at byte %llu. What stood "
			"between is lost. Take the file from a copy; or save "
			"what is in front with `head -c %llu FILE >FRONT`, "
			"and what is behind with `(head -c 8 FILE; tail -c "
			"+%llu FILE) >BEHIND`\n",
			t->path, records, good, c->why, next, good, next + 1);
}

/* Why it is not read further; 0, or -errno with a sentence on stderr. */
static int
tell_change(const struct logtool *t, int err)
{
	if (err == -ESTALE)
		(void)fail(t->path, "the file was cut while it was read");
	else if (err == -ENOENT)
		(void)fail(t->path, "the file was deleted while it was read");
	else if (err != -EINTR)
		(void)fail(t->path, strerror(-err));
	return err == -EINTR ? 0 : err;
}

/* Of the header alone.  Whether it may be a journal. */
static bool
read_header(struct logtool *t)
{
	t->check = journal_check(t->file.bytes,
				 min_u64(t->file.len, JOURNAL_HEADER_BYTES),
				 NULL);
	t->is_judged = t->check.verdict == JOURNAL_FOREIGN;
	return !t->is_judged;
}

static int
open_file(struct logtool *t)
{
	int err = mapping_open(&t->file, t->path, t->mode == LOG_REPAIR);

	if (err == -EINVAL)
		return fail(t->path, "it is not a regular file");
	return err < 0 ? fail(t->path, strerror(-err)) : 0;
}

/*
 * The day has ended: on with the file of the next one, all of it.  1, 0 if
 * that was all, or -errno.
 */
static int
next_day(struct logtool *t, enum journal_step step, const char *why)
{
	if (step != JOURNAL_END) {
		journal_judge(&t->check, t->file.bytes, t->file.len, step, why);
		tell_verdict(t);
		t->was_torn = true;
	}
	t->from.is_number = false;
	/* Numbers are those of one file. */
	if (t->to.is_number)
		return 0;
	fprintf(stderr, "ringtick log: %s: the day has ended; on with %s\n",
		t->path, t->file.next);
	memcpy(t->day_path, t->file.next, sizeof(t->day_path));
	t->path = t->day_path;
	mapping_close(&t->file);
	if (open_file(t) < 0)
		return -EINVAL;
	return read_header(t) ? 1 : 0;
}

/* No record at good_bytes.  1: look again, 0: that was all, or -errno. */
static int
reach_end(struct logtool *t, enum journal_step step, const char *why)
{
	int got = 0;

	if (t->is_following && step != JOURNAL_BAD) {
		fflush(stdout);
		got = mapping_wait(&t->file);
		if (got == 0)
			return next_day(t, step, why);
		return got < 0 ? tell_change(t, got) : 1;
	}
	/* Half a record may be one that is just being written. */
	if (step != JOURNAL_END) {
		got = mapping_grow(&t->file);
		if (got < 0)
			return tell_change(t, got);
	}
	if (got == 0) {
		t->is_judged = true;
		journal_judge(&t->check, t->file.bytes, t->file.len, step, why);
	}
	return got;
}

static bool
is_stopped(const struct logtool *t)
{
	return client_stopped() || t->replay.is_ending;
}

static int
walk(struct logtool *t)
{
	struct journal_check *c = &t->check;
	int got = 1;

	while (got > 0 && !is_stopped(t)) {
		struct journal_record record;
		enum journal_step step;
		const char *why = NULL;

		if (t->to.is_number && c->records >= t->to.number)
			return 0;
		mapping_touch(&t->file, c->good_bytes);
		step = journal_next(t->file.bytes, t->file.len, c->good_bytes,
				    &record, &why);
		if (step != JOURNAL_RECORD) {
			got = reach_end(t, step, why);
			continue;
		}
		got = take_record(t, &record, c->records);
		if (got < 0)
			break;
		got = 1;
		journal_count(c, &record);
	}
	return got < 0 ? got : 0;
}

/* ---- how it ended ---- */

static void
print_verdict(const struct logtool *t, int64_t span_ns)
{
	static const char *const names[] = {
		[JOURNAL_WHOLE] = "whole",
		[JOURNAL_TORN] = "torn",
		[JOURNAL_DAMAGED] = "damaged",
		[JOURNAL_FOREIGN] = "foreign",
	};
	const struct journal_check *c = &t->check;
	double seconds = (double)max_u64((uint64_t)span_ns, 1) / 1e9;

	printf("verify result=%s records=%llu bytes=%llu good_bytes=%llu",
	       names[c->verdict], (unsigned long long)c->records,
	       (unsigned long long)t->file.len,
	       (unsigned long long)c->good_bytes);
	if (c->verdict == JOURNAL_DAMAGED)
		printf(" next_record=%llu",
		       (unsigned long long)c->next_record_off);
	if (c->unknown_records > 0)
		printf(" unknown_records=%llu unknown_first=%llu",
		       (unsigned long long)c->unknown_records,
		       (unsigned long long)c->unknown_first);
	printf(" seconds=%.3f gb_s=%.2f\n", seconds,
	       (double)c->good_bytes / seconds / 1e9);
}

/* Of a verify and a repair: what was kept without being understood. */
static void
tell_unknown(const struct logtool *t)
{
	const struct journal_check *c = &t->check;

	if (c->unknown_records > 0)
		fprintf(stderr,
			"ringtick log: %s: %llu records have lengths that add "
			"up and something that ringtick does not know; the "
			"first is record %llu (%s). They stay where they "
			"are\n",
			t->path, (unsigned long long)c->unknown_records,
			(unsigned long long)c->unknown_first, c->unknown_why);
}

/* The exit status of a repair, once the file is judged. */
static int
repair(struct logtool *t)
{
	if (t->check.verdict == JOURNAL_TORN)
		return salvage_cut(&t->file, &t->check) < 0
			       ? CLIENT_EXIT_TROUBLE
			       : 0;
	if (t->check.verdict == JOURNAL_WHOLE) {
		printf("repair result=whole records=%llu bytes=%llu\n",
		       (unsigned long long)t->check.records,
		       (unsigned long long)t->check.good_bytes);
		return 0;
	}
	tell_verdict(t);
	return CLIENT_EXIT_CHECK;
}

/* err: of the walk.  The exit status. */
static int
finish(struct logtool *t, int err, int64_t span_ns)
{
	int status = err < 0 ? CLIENT_EXIT_TROUBLE : 0;

	if (t->mode == LOG_FILTER) {
		if (err == 0 && client_stopped())
			err = -EINTR;
		if (salvage_close(&t->copy, err) < 0)
			return CLIENT_EXIT_TROUBLE;
		printf("filter records=%llu bytes=%llu\n",
		       (unsigned long long)t->copy.records,
		       (unsigned long long)t->copy.bytes);
	} else if (t->mode == LOG_REPLAY) {
		status = replay_close(&t->replay, err);
		if (status == 0 && t->left_out > 0)
			status = CLIENT_EXIT_CHECK;
	}
	if (status != 0)
		return status;
	if (t->mode == LOG_REPAIR || t->mode == LOG_VERIFY)
		tell_unknown(t);
	if (t->mode == LOG_REPAIR)
		return repair(t);
	if (t->mode == LOG_COUNT)
		printf("%llu\n", (unsigned long long)t->selected);
	else if (t->mode == LOG_TABLES)
		table_list_print(&t->tables);
	else if (t->mode == LOG_VERIFY)
		print_verdict(t, span_ns);
	table_list_tell_missing(&t->tables, t->path);
	if (!t->is_judged || t->check.verdict == JOURNAL_WHOLE)
		return t->was_torn ? CLIENT_EXIT_CHECK : 0;
	fflush(stdout);
	tell_verdict(t);
	return CLIENT_EXIT_CHECK;
}

static int
run(struct logtool *t)
{
	int64_t start_ns = clock_monotonic_ns();
	int err = open_file(t);

	if (err < 0)
		return CLIENT_EXIT_TROUBLE;
	if (!read_header(t)) {
		if (t->mode == LOG_VERIFY)
			print_verdict(t, clock_monotonic_ns() - start_ns);
		tell_verdict(t);
		return CLIENT_EXIT_CHECK;
	}
	if (t->is_following || t->mode == LOG_FILTER || t->mode == LOG_REPLAY)
		client_catch_signals();
	if (t->mode == LOG_FILTER && salvage_open(&t->copy, t->out_path) < 0)
		return CLIENT_EXIT_TROUBLE;
	if (t->mode == LOG_REPLAY && replay_open(&t->replay) < 0)
		return CLIENT_EXIT_TROUBLE;
	err = walk(t);
	return finish(t, err, clock_monotonic_ns() - start_ns);
}

/* ---- command line ---- */

enum { OPTION_FROM = 256, OPTION_TO, OPTION_SPEED, OPTION_OUT };

static const struct option options[] = {
	{ "json", no_argument, NULL, LOG_JSON },
	{ "count", no_argument, NULL, LOG_COUNT },
	{ "verify", no_argument, NULL, LOG_VERIFY },
	{ "tables", no_argument, NULL, LOG_TABLES },
	{ "repair", no_argument, NULL, LOG_REPAIR },
	{ "filter", required_argument, NULL, LOG_FILTER },
	{ "replay", required_argument, NULL, LOG_REPLAY },
	{ "out", required_argument, NULL, OPTION_OUT },
	{ "speed", required_argument, NULL, OPTION_SPEED },
	{ "user", required_argument, NULL, 'u' },
	{ "table", required_argument, NULL, 't' },
	{ "from", required_argument, NULL, OPTION_FROM },
	{ "to", required_argument, NULL, OPTION_TO },
	{ "follow", no_argument, NULL, 'f' },
	{ "help", no_argument, NULL, 'H' },
	{ 0 },
};

static const char usage[] =
	"usage: ringtick log [OPTION]... FILE\n"
	"\n"
	"Prints the records of a journal, of ringtickd or of q, as rows.\n"
	"\n"
	"      --json              as JSON lines\n"
	"      --count             how many records\n"
	"      --tables            of each table: records, rows, bytes, times\n"
	"      --verify            whether every byte belongs to a record\n"
	"      --repair            move a torn end into FILE.torn.N\n"
	"      --filter NAMES --out FILE2\n"
	"                          a journal of these tables only\n"
	"      --replay HOST:PORT  publish the records again with .u.upd\n"
	"      --speed X           with the gaps between their times; 10: ten\n"
	"                          times faster; 0: without (0)\n"
	"      --user NAME         NAME or NAME:PASSWORD, to replay ($USER)\n"
	"\n"
	"  -t, --table NAMES       only these tables, commas between them\n"
	"      --from N|TIME       from record N, counted from 0, or this "
	"time\n"
	"      --to N|TIME         up to it, without it\n"
	"  -f, --follow            wait for more, and for the next day's file\n"
	"      --help\n"
	"\n"
	"TIME is such as 09:30, 09:30:00.000, 0D09:30, 2026.11.22D09:30.\n"
	"Exit status: 0 good, 1 the file is not whole or records were "
	"refused,\n2 usage, system, connection.\n";

static bool
parse_limit(const char *option, const char *text, struct log_limit *out)
{
	if (text[0] != '\0' && text[strspn(text, "0123456789")] == '\0') {
		out->is_number = true;
		return client_parse_number(option, text, 0, INT64_MAX,
					   &out->number);
	}
	out->is_time = when_parse(text, &out->when);
	if (!out->is_time)
		fprintf(stderr,
			"ringtick: %s: \"%s\" is neither a record number nor "
			"a time such as 09:30:00.000 or 2026.11.22D09:30\n",
			option, text);
	return out->is_time;
}

static bool
parse_speed(struct logtool *t, const char *text)
{
	char *end;

	t->has_speed = true;
	errno = 0;
	t->replay.speed = strtod(text, &end);
	if (*text != '\0' && *end == '\0' && errno == 0 &&
	    isfinite(t->replay.speed) && t->replay.speed >= 0)
		return true;
	fprintf(stderr,
		"ringtick: --speed: \"%s\" is not allowed; give a number such "
		"as 1, 10 or 0.5\n",
		text);
	return false;
}

/* HOST:PORT; the host may have colons in it. */
static bool
parse_target(struct logtool *t, const char *text)
{
	const char *colon = strrchr(text, ':');
	size_t len = colon == NULL ? 0 : (size_t)(colon - text);

	if (len == 0 || len >= sizeof(t->host)) {
		fprintf(stderr,
			"ringtick: --replay: \"%s\" is not HOST:PORT, such as "
			"127.0.0.1:5010\n",
			text);
		return false;
	}
	memcpy(t->host, text, len);
	t->host[len] = '\0';
	t->replay.target.host = t->host;
	return client_target_option(&t->replay.target, 'p', colon + 1);
}

static bool
choose_mode(struct logtool *t, enum log_mode mode, const char *value)
{
	if (t->mode != LOG_PRINT && t->mode != mode) {
		fprintf(stderr, "ringtick log: %s and %s do not go together\n",
			modes[t->mode].option, modes[mode].option);
		return false;
	}
	t->mode = mode;
	if (mode == LOG_FILTER)
		t->tables.wanted = value;
	return mode != LOG_REPLAY || parse_target(t, value);
}

static bool
take_option(struct logtool *t, int option, const char *value)
{
	switch (option) {
	case 'f':
		t->is_following = true;
		return true;
	case 't':
		if (t->mode == LOG_FILTER) {
			fputs("ringtick log: --filter has the names already; "
			      "leave --table out\n",
			      stderr);
			return false;
		}
		t->tables.wanted = value;
		return true;
	case OPTION_FROM:
		t->from_text = value;
		return parse_limit("--from", value, &t->from);
	case OPTION_TO:
		t->to_text = value;
		return parse_limit("--to", value, &t->to);
	case OPTION_SPEED:
		return parse_speed(t, value);
	case OPTION_OUT:
		t->out_path = value;
		return true;
	case 'u':
		return client_target_option(&t->replay.target, 'u', value);
	default:
		return choose_mode(t, (enum log_mode)option, value);
	}
}

/* What does not go together, in words; NULL if all is well. */
static const char *
find_conflict(const struct logtool *t)
{
	if (t->is_following && !modes[t->mode].takes_follow)
		return "--follow goes with rows and --json only";
	if ((t->from_text != NULL || t->to_text != NULL) &&
	    !modes[t->mode].takes_range)
		return "--verify and --repair look at the whole file, without "
		       "--from and --to";
	if (t->tables.wanted != NULL && t->mode != LOG_FILTER &&
	    !modes[t->mode].takes_tables)
		return "--verify and --repair look at all tables, without "
		       "--table";
	if ((t->mode == LOG_FILTER) != (t->out_path != NULL))
		return "--filter NAMES and --out FILE2 need each other";
	if (t->has_speed && t->mode != LOG_REPLAY)
		return "--speed goes with --replay only";
	return NULL;
}

/* -1 to go on, else the exit status. */
static int
take_options(struct logtool *t, int argc, char **argv)
{
	const char *conflict;
	int option;

	while ((option = getopt_long(argc, argv, "t:f", options, NULL)) != -1) {
		if (option == 'H') {
			fputs(usage, stdout);
			return 0;
		}
		if (option == '?') {
			fputs("try `ringtick log --help`\n", stderr);
			return CLIENT_EXIT_TROUBLE;
		}
		if (!take_option(t, option, optarg))
			return CLIENT_EXIT_TROUBLE;
	}
	conflict = find_conflict(t);
	if (argc - optind != 1)
		conflict = "give one FILE; try `ringtick log --help`";
	if (conflict != NULL) {
		fprintf(stderr, "ringtick log: %s\n", conflict);
		return CLIENT_EXIT_TROUBLE;
	}
	t->path = argv[optind];
	return -1;
}

int
logtool_main(int argc, char **argv)
{
	/* Static: the printed table and the batch are large. */
	static struct logtool tool = {
		.file = { .fd = -1, .watch_fd = -1 },
		.replay.client.fd = -1,
	};
	struct logtool *t = &tool;
	int status;

	client_target_init(&t->replay.target);
	t->replay.target.place_option = "--replay HOST:PORT";
	t->replay.target.port_option = "--replay";
	t->print.out = stdout;
	status = take_options(t, argc, argv);
	if (status >= 0)
		return status;
	(void)setvbuf(stdout, NULL, _IOFBF, 256 << 10);
	status = run(t);
	table_list_fini(&t->tables);
	payload_table_fini(&t->made);
	client_close(&t->replay.client);
	mapping_close(&t->file);
	return status;
}
