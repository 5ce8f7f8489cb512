#include "config.h"

#include "tools/log.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/util.h"
#include "journal/file.h"
#include "tools/cli.h"
#include "tools/json.h"
#include "tools/log_file.h"
#include "tools/log_options.h"
#include "tools/log_payload.h"
#include "tools/log_repair.h"
#include "tools/log_replay.h"
#include "tools/log_tables.h"
#include "tools/print.h"
#include "tools/qtime.h"

struct log_tool {
	struct log_options options;
	enum log_mode mode;
	struct log_bound from, to; /* limits in the file that is being read */
	const char *path;	   /* of a later day: day_path */

	char day_path[PATH_MAX];
	struct log_file file;
	struct journal_check check; /* how far the walk is, and how it ended */
	bool is_judged;		    /* check.verdict is set */
	bool was_torn;		    /* the file of an earlier day was */
	struct log_tables tables;
	uint64_t selected;
	uint64_t left_out; /* of a replay */

	struct print_table print;
	struct log_payload_table made;
	struct log_copy copy;
	struct log_replay replay;
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
print_record(struct log_tool *t, const struct journal_record *record,
	     const struct log_payload *p, uint64_t number)
{
	struct print_text text = { .len = 0 };
	size_t len;
	const uint8_t *table =
		log_payload_make_table(&t->made, p, record, &len);

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
print_json(struct log_tool *t, const struct journal_record *record,
	   const struct log_payload *p, uint64_t number)
{
	size_t len;
	const uint8_t *bytes =
		log_payload_make_table(&t->made, p, record, &len);
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

/* ---- selecting records, and the work on each ---- */

/* 1 if the payload is in the range of times, 0 if not, -EINVAL if its times
 * have no date and the limits do. */
static int
is_in_time(const struct log_tool *t, const struct log_payload *p)
{
	const struct log_bound *limits[] = { &t->from, &t->to };
	struct qtime when;

	if (!t->from.is_time && !t->to.is_time)
		return 1;
	if (p->time_first == NULL ||
	    !qtime_read(p->time_type, p->time_first, &when))
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(limits); i++)
		if (limits[i]->is_time && limits[i]->when.has_date &&
		    !when.has_date)
			return fail(t->path, "its times have no date; give "
					     "--from and --to without one, "
					     "such as 09:30");
	if (t->from.is_time && qtime_is_before(when, t->from.when))
		return 0;
	return !t->to.is_time || qtime_is_before(when, t->to.when);
}

/* 0 to continue, or -errno after a sentence on stderr. */
static int
take_record(struct log_tool *t, const struct journal_record *record,
	    uint64_t number)
{
	struct log_payload p = { .rows = 0 };
	struct log_table *table;
	int got;

	if (t->mode == LOG_VERIFY || t->mode == LOG_REPAIR)
		return 0;
	if (t->from.is_number && number < t->from.number)
		return 0;
	table = log_tables_find(&t->tables, record);
	if (table == NULL)
		return fail(t->path, "no memory for the names of its tables");
	if (!table->is_wanted)
		return 0;
	if (t->mode != LOG_COUNT || t->from.is_time || t->to.is_time)
		log_payload_read(&p, record);
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
		log_table_add(table, record, &p);
	} else if (t->mode == LOG_FILTER) {
		return log_repair_add_record(&t->copy, record);
	} else if (t->mode == LOG_REPLAY && record->unknown != NULL) {
		/* The server would close the connection. */
		fprintf(stderr,
			"ringtick log: %s: record %llu is not sent: %s\n",
			t->path, (unsigned long long)number, record->unknown);
		t->left_out++;
	} else if (t->mode == LOG_REPLAY) {
		t->replay.at_off = t->check.good_bytes;
		t->replay.file_len = t->file.window.bytes.len;
		return log_replay_record(&t->replay, record, &p, number);
	}
	return 0;
}

/* ---- the walk ---- */

/* Says what is wrong with the file, and what can be done. */
static void
tell_verdict(const struct log_tool *t)
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
			"whole (%s). If no process writes it any more: "
			"`ringtick log --repair FILE` moves the last %llu "
			"bytes into a side file\n",
			t->path, records, good, c->why,
			(unsigned long long)t->file.window.bytes.len - good);
	if (c->tail_records > 0)
		fprintf(stderr,
			"ringtick log: %s: from byte %llu up to the end there "
			"are %llu whole records: a count before them is "
			"damaged, which no crash does. Save them with `(head "
			"-c 8 FILE; tail -c +%llu FILE) >BEHIND` before you "
			"repair it\n",
			t->path, (unsigned long long)c->tail_records_off,
			(unsigned long long)c->tail_records,
			(unsigned long long)c->tail_records_off + 1);
	if (c->verdict == JOURNAL_DAMAGED)
		fprintf(stderr,
			"ringtick log: %s: record %llu, at byte %llu, is "
			"damaged (%s); records continue at byte %llu. The "
			"bytes between are lost. Take the file from a copy; or "
			"save the records before them with `head -c %llu FILE "
			">FRONT`, and those after them with `(head -c 8 FILE; "
			"tail -c +%llu FILE) >BEHIND`\n",
			t->path, records, good, c->why, next, good, next + 1);
}

/* Says why reading ends.  0 for a signal, or -errno after a sentence on
 * stderr. */
static int
tell_change(const struct log_tool *t, int err)
{
	if (err == -ESTALE)
		(void)fail(t->path, "the file was cut while it was read");
	else if (err == -ENOENT)
		(void)fail(t->path, "the file was deleted while it was read");
	else if (err != -EINTR)
		(void)fail(t->path, strerror(-err));
	return err == -EINTR ? 0 : err;
}

/* Checks the header alone.  1 if the file may be a journal, 0 if not; or
 * -errno. */
static int
read_header(struct log_tool *t)
{
	t->check = journal_begin(&t->file.window.bytes);
	if (t->file.window.err != 0)
		return tell_change(t, t->file.window.err);
	t->is_judged = t->check.verdict == JOURNAL_FOREIGN;
	return !t->is_judged;
}

/* 0 or -errno. */
static int
judge(struct log_tool *t, enum journal_step step, const char *why)
{
	journal_judge(&t->check, &t->file.window.bytes, step, why);
	return t->file.window.err != 0 ? tell_change(t, t->file.window.err) : 0;
}

static int
open_file(struct log_tool *t)
{
	int err = log_file_open(&t->file, t->path, t->mode == LOG_REPAIR);

	if (err == -EINVAL)
		return fail(t->path, "it is not a regular file");
	return err < 0 ? fail(t->path, strerror(-err)) : 0;
}

/*
 * The day has ended: continues with the whole file of the next day.  1; 0 if
 * there is no more to read; or -errno.
 */
static int
next_day(struct log_tool *t, enum journal_step step, const char *why)
{
	if (step != JOURNAL_END) {
		if (judge(t, step, why) < 0)
			return -EIO;
		tell_verdict(t);
		t->was_torn = true;
	}
	t->from.is_number = false;
	/* Record numbers belong to one file. */
	if (t->to.is_number)
		return 0;
	fprintf(stderr, "ringtick log: %s: the day has ended; continuing with "
			"%s\n",
		t->path, t->file.next);
	memcpy(t->day_path, t->file.next, sizeof(t->day_path));
	t->path = t->day_path;
	log_file_close(&t->file);
	if (open_file(t) < 0)
		return -EINVAL;
	return read_header(t);
}

/* There is no record at good_bytes.  1: look again; 0: there is no more to
 * read; or -errno. */
static int
reach_end(struct log_tool *t, enum journal_step step, const char *why)
{
	int got = 0;

	if (t->file.window.err != 0)
		return tell_change(t, t->file.window.err);
	if (t->options.is_following && step != JOURNAL_BAD) {
		fflush(stdout);
		got = log_file_wait(&t->file);
		if (got == 0)
			return next_day(t, step, why);
		return got < 0 ? tell_change(t, got) : 1;
	}
	/* Half a record may be one that is being written just now. */
	if (step != JOURNAL_END) {
		got = log_file_grow(&t->file);
		if (got < 0)
			return tell_change(t, got);
	}
	if (got == 0) {
		t->is_judged = true;
		got = judge(t, step, why);
	}
	return got;
}

static bool
is_stopped(const struct log_tool *t)
{
	return cli_stopped() || t->replay.is_ending;
}

static int
walk_records(struct log_tool *t)
{
	struct journal_check *c = &t->check;
	int got = 1;

	while (got > 0 && !is_stopped(t)) {
		struct journal_record record;
		enum journal_step step;
		const char *why = NULL;

		if (t->to.is_number && c->records >= t->to.number)
			return 0;
		step = journal_read(&t->file.window.bytes, c->good_bytes,
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
print_verdict(const struct log_tool *t, int64_t span_ns)
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
	       (unsigned long long)t->file.window.bytes.len,
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

/* After a verify or a repair: says which records were kept without being
 * understood. */
static void
tell_unknown(const struct log_tool *t)
{
	const struct journal_check *c = &t->check;

	if (c->unknown_records > 0)
		fprintf(stderr,
			"ringtick log: %s: %llu records have correct lengths "
			"but contents that ringtick does not know; the first "
			"is record %llu (%s). They stay as they are\n",
			t->path, (unsigned long long)c->unknown_records,
			(unsigned long long)c->unknown_first, c->unknown_why);
}

/* Repairs the file, once it is judged.  The exit status. */
static int
repair(struct log_tool *t)
{
	if (t->check.verdict == JOURNAL_TORN)
		return log_repair_cut(&t->file, &t->check) < 0
			       ? CLI_EXIT_TROUBLE
			       : 0;
	if (t->check.verdict == JOURNAL_WHOLE) {
		printf("repair result=whole records=%llu bytes=%llu\n",
		       (unsigned long long)t->check.records,
		       (unsigned long long)t->check.good_bytes);
		return 0;
	}
	tell_verdict(t);
	return CLI_EXIT_CHECK;
}

/* Prints the result. err is that of the walk.  The exit status. */
static int
print_result(struct log_tool *t, int err, int64_t span_ns)
{
	int status = err < 0 ? CLI_EXIT_TROUBLE : 0;

	if (t->mode == LOG_FILTER) {
		if (err == 0 && cli_stopped())
			err = -EINTR;
		if (log_repair_close_copy(&t->copy, err) < 0)
			return CLI_EXIT_TROUBLE;
		printf("filter records=%llu bytes=%llu\n",
		       (unsigned long long)t->copy.records,
		       (unsigned long long)t->copy.bytes);
	} else if (t->mode == LOG_REPLAY) {
		status = log_replay_close(&t->replay, err);
		if (status == 0 && t->left_out > 0)
			status = CLI_EXIT_CHECK;
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
		log_tables_print(&t->tables);
	else if (t->mode == LOG_VERIFY)
		print_verdict(t, span_ns);
	log_tables_tell_missing(&t->tables, t->path);
	if (!t->is_judged || t->check.verdict == JOURNAL_WHOLE)
		return t->was_torn ? CLI_EXIT_CHECK : 0;
	fflush(stdout);
	tell_verdict(t);
	return CLI_EXIT_CHECK;
}

static int
run(struct log_tool *t)
{
	int64_t start_ns = clock_monotonic_ns();
	int err = open_file(t);

	if (err < 0)
		return CLI_EXIT_TROUBLE;
	err = read_header(t);
	if (err < 0)
		return CLI_EXIT_TROUBLE;
	if (err == 0) {
		if (t->mode == LOG_VERIFY)
			print_verdict(t, clock_monotonic_ns() - start_ns);
		tell_verdict(t);
		return CLI_EXIT_CHECK;
	}
	if (t->options.is_following || t->mode == LOG_FILTER ||
	    t->mode == LOG_REPLAY)
		cli_catch_signals();
	if (t->mode == LOG_FILTER &&
	    log_repair_open_copy(&t->copy, t->options.out_path) < 0)
		return CLI_EXIT_TROUBLE;
	if (t->mode == LOG_REPLAY && log_replay_open(&t->replay) < 0)
		return CLI_EXIT_TROUBLE;
	err = walk_records(t);
	return print_result(t, err, clock_monotonic_ns() - start_ns);
}

/* ---- the whole ---- */

int
log_main(int argc, char **argv)
{
	/* Static: the printed table and the batch are large. */
	static struct log_tool tool = {
		.file = { .fd = -1, .watch_fd = -1 },
		.replay.client.fd = -1,
	};
	struct log_tool *t = &tool;
	int status;

	log_options_read(&t->options, argc, argv);
	t->mode = t->options.mode;
	t->from = t->options.from;
	t->to = t->options.to;
	t->path = t->options.path;
	t->tables.wanted = t->options.wanted;
	t->replay.target = t->options.target;
	t->replay.speed = t->options.speed;
	t->print.out = stdout;
	(void)setvbuf(stdout, NULL, _IOFBF, 256 << 10);
	status = run(t);
	log_tables_fini(&t->tables);
	log_payload_fini(&t->made);
	client_close(&t->replay.client);
	log_file_close(&t->file);
	return status;
}
