#include "config.h"

#include "journal_model.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "frames.h"
#include "journal/file.h"
#include "base/log.h"
#include "base/disk_read.h"
#include "schema/update.h"
#include "base/util.h"
#include "wire/wire.h"

enum {
	WANTED_MAX = 8 << 20,
	RECORDS_MAX = 16384,
	DAYS_MAX = 256,
	EVENTS_MAX = 64,
	TURNS_MAX = 100,
};

/* Nothing may depend on the order of positions. */
#define START_POS (UINT64_MAX - 4000)

struct day {
	int32_t date;
	uint64_t first;	 /* number of its first record */
	uint64_t pos;	 /* in the stream, after the mark before it */
	uint64_t off;	 /* of its first record, in its file */
	uint64_t before; /* records that its file had already */
};

struct model m;

/*
 *   wanted:  | record 0 | record 1 | record 2 | record 3 |
 *            ends[0]    ends[1]    ends[2]    ends[3]    ends[m.records]
 *            days[0].first         days[1].first
 */
static uint8_t wanted[WANTED_MAX];
static struct {
	uint64_t pos; /* in the stream */
	size_t at;    /* in wanted */
} ends[RECORDS_MAX + 1];
static struct day days[DAYS_MAX];
static unsigned days_cnt;

static unsigned files_cnt; /* open before the journal was */

static char folder[] = "/tmp/ringtick-test-XXXXXX", name[] = "sym";
static const char *events[EVENTS_MAX];
static unsigned events_cnt;

/* ---- the log, and the end ---- */

void
log_line(enum log_level level, const char *event, const char *format, ...)
{
	(void)level;
	(void)format;
	if (events_cnt < EVENTS_MAX)
		events[events_cnt++] = event;
}

unsigned
model_said(const char *event)
{
	unsigned cnt = 0;

	for (unsigned i = 0; i < events_cnt; i++)
		cnt += strcmp(events[i], event) == 0;
	return cnt;
}

void
die(enum exit_status status, const char *format, ...)
{
	va_list args;

	m.last_status = status;
	va_start(args, format);
	(void)vsnprintf(m.last_words, sizeof(m.last_words), format, args);
	va_end(args);
	longjmp(m.death, 1);
}

/* ---- the model ---- */

const char *
model_path(int32_t date)
{
	static char path[128];
	char as_text[16];

	(void)snprintf(path, sizeof(path), "%s/%s%s", folder, name,
		       clock_date_text(as_text, date));
	return path;
}

uint64_t
model_pos(uint64_t n)
{
	return ends[n].pos;
}

size_t
model_bytes(void)
{
	return ends[m.records].at;
}

/* Where the day's record n begins in the file. */
static uint64_t
off_of(const struct day *d, uint64_t n)
{
	return d->off + ends[n].at - ends[d->first].at;
}

/* The position when n records are done with, and the marks before the day. */
static uint64_t
pos_of(const struct day *d, uint64_t n)
{
	return n > d->first ? ends[n].pos : d->pos;
}

/* Behind the day's last record so far. */
static uint64_t
last_of(const struct day *d)
{
	return d + 1 < days + days_cnt ? d[1].first : m.records;
}

/* The records up to n are whole in the day's file, and after them is nothing
 * but the beginning of those that follow. Returns its length. */
static uint64_t
check_file(const char *path, const struct day *d, uint64_t n)
{
	static uint8_t bytes[WANTED_MAX];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len = read(fd, bytes, sizeof(bytes));
	struct journal_check found;
	struct journal_bytes all;

	(void)close(fd);
	assert_in_range(len, off_of(d, n), off_of(d, last_of(d)));
	assert_memory_equal(bytes + d->off, wanted + ends[d->first].at,
			    (uint64_t)len - d->off);
	all = journal_bytes_all(bytes, off_of(d, n));
	found = journal_check(&all, NULL);
	assert_int_equal(found.verdict, JOURNAL_WHOLE);
	assert_int_equal(found.records, d->before + n - d->first);
	return (uint64_t)len;
}

static void
check_roll(void)
{
	const struct day *d = &days[m.rolled++];

	assert_int_equal(m.journal.state.marks, m.rolled);
	assert_int_equal(m.written, last_of(d));
	assert_int_equal(m.synced, m.written);
	assert_int_equal(check_file(model_path(d->date), d, m.written),
			 off_of(d, m.written));
}

static void
check(void)
{
	const struct journal_state *s = &m.journal.state;
	const uint64_t visible_pos[] = {
		[AFTER_RING] = m.all.main.head_pos,
		[AFTER_JOURNAL] = s->written_pos,
		[AFTER_SYNC] = s->synced_pos,
	};
	const struct day *d;
	char path[64];

	if (m.settings.journal.sync == SYNC_NONE)
		m.synced = m.written;
	if (s->marks != m.rolled)
		check_roll();
	d = &days[m.rolled];
	assert_string_equal(s->path, model_path(d->date));
	assert_int_equal(s->stream_records, m.written);
	assert_int_equal(s->records, d->before + m.written - d->first);
	assert_int_equal(s->written_pos, pos_of(d, m.written));
	assert_int_equal(s->synced_records, d->before + m.synced - d->first);
	assert_int_equal(s->synced_pos, pos_of(d, m.synced));
	assert_int_equal(m.all.main.visible_pos,
			 visible_pos[m.settings.publish.after]);
	/* by its descriptor: the test may have taken its name */
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", s->fd);
	if (check_file(path, d, m.written) != off_of(d, m.written))
		assert_true(disk_op(OP_WRITE) != NULL ||
			    m.journal.phase == JOURNAL_CUTTING);
}

/* ---- the engine ---- */

static void
submit(struct op op)
{
	assert_true(m.ops_cnt < ARRAY_LEN(m.ops));
	assert_int_equal(op.fd, m.journal.state.fd);
	assert_int_equal(op.ticket.kind, ENGINE_JOURNAL);
	if (op.kind != OP_RECYCLE) {
		assert_null(disk_op(OP_WRITE));
		assert_null(disk_op(OP_SYNC));
	}
	m.ops[m.ops_cnt++] = op;
}

void
engine_append_file(struct engine *e, int fd, const void *at, size_t len,
		  uint64_t off, struct ticket ticket)
{
	const struct day *d = &days[m.journal.state.marks];
	struct op op = { OP_WRITE, fd, at, len, off, m.written, ticket };

	(void)e;
	while (op.upto < last_of(d) && off_of(d, op.upto) < off + len)
		op.upto++;
	assert_int_equal(off_of(d, op.upto), off + len);
	submit(op);
}

void
engine_sync_file(struct engine *e, int fd, struct ticket ticket)
{
	(void)e;
	submit((struct op){ OP_SYNC, fd, NULL, 0, 0, m.written, ticket });
}

void
engine_stat(struct engine *e, const char *path, struct statx *out,
	    struct ticket ticket)
{
	(void)e;
	assert_null(m.look_at);
	m.look_path = path;
	m.look_at = out;
	m.look_ticket = ticket;
}

void
engine_recycle_file(struct engine *e, int fd, uint64_t off, unsigned len,
		    struct ticket ticket)
{
	(void)e;
	submit((struct op){ OP_RECYCLE, fd, NULL, len, off, 0, ticket });
}

/* ---- what is on the disk ---- */

int
disk_read_open(const char *path)
{
	return open(path, O_RDONLY | O_CLOEXEC);
}

ssize_t
disk_read_at(int fd, void *at, size_t len, uint64_t off)
{
	ssize_t n = pread(fd, at, len, (off_t)off);

	assert_int_equal((uintptr_t)at % DISK_READ_ALIGN, 0);
	assert_int_equal(off % DISK_READ_ALIGN, 0);
	if (m.lost_off != 0 && off + (uint64_t)n > m.lost_off) {
		uint64_t from = max_u64(m.lost_off, off) - off;

		memset((char *)at + from, 0, (size_t)n - from);
		if (m.does_disk_heal)
			m.lost_off = 0;
	}
	return n;
}

void
file_job_start(struct file_jobs *jobs, struct file_job *job)
{
	assert_ptr_equal(jobs, &m.jobs);
	assert_false(job->is_busy);
	assert_true(m.jobs_cnt < ARRAY_LEN(m.job));
	job->is_busy = true;
	m.job[m.jobs_cnt++] = job;
	m.jobs.busy_cnt++;
}

const char *
file_jobs_running(struct file_jobs *jobs)
{
	assert_ptr_equal(jobs, &m.jobs);
	return m.jobs_cnt > 0 ? m.job[0]->what : NULL;
}

bool
file_jobs_finish(struct file_jobs *jobs, int64_t until_ns)
{
	(void)until_ns;
	assert_ptr_equal(jobs, &m.jobs);
	while (m.jobs_cnt > 0)
		disk_do_job();
	return true;
}

/* ---- what the disk does ---- */

void
disk_do_job(void)
{
	struct file_job *job = m.job[0];

	assert_true(m.jobs_cnt > 0);
	m.jobs_cnt--;
	memmove(m.job, m.job + 1, m.jobs_cnt * sizeof(m.job[0]));
	job->run(job);
	job->is_busy = false;
	m.jobs.busy_cnt--;
	m.jobs.done_cnt++;
	job->done(job, m.now_ns);
}

void
disk_look(void)
{
	struct statx *at = m.look_at;
	int res;

	assert_non_null(at);
	res = statx(AT_FDCWD, m.look_path, 0, STATX_BASIC_STATS, at);
	m.look_at = NULL;
	journal_completed(&m.journal, m.look_ticket, res == 0 ? 0 : -errno,
			  m.now_ns);
}

const struct op *
disk_op(enum op_kind kind)
{
	for (unsigned i = 0; i < m.ops_cnt; i++)
		if (m.ops[i].kind == kind)
			return &m.ops[i];
	return NULL;
}

size_t
disk_asked(void)
{
	const struct op *op = disk_op(OP_WRITE);

	return op == NULL ? 0 : op->len;
}

void
disk_complete(enum op_kind kind, int32_t result)
{
	const struct op *op = disk_op(kind);
	struct op done;

	assert_non_null(op);
	done = *op;
	m.ops[op - m.ops] = m.ops[--m.ops_cnt];
	assert_int_equal(done.fd, m.journal.state.fd);
	if (kind == OP_WRITE && result == (int32_t)done.len)
		m.written = done.upto;
	if (kind == OP_SYNC && result == 0)
		m.synced = done.upto;
	journal_completed(&m.journal, done.ticket, result, m.now_ns);
	check();
	/* what a failed write left is cut off at once */
	while (m.journal.phase == JOURNAL_CUTTING && !m.are_jobs_held)
		disk_do_job();
	check();
}

void
disk_write(size_t len, int32_t result)
{
	const struct op *op = disk_op(OP_WRITE);

	assert_non_null(op);
	assert_int_equal(pwrite(op->fd, op->at, len, (off_t)op->off), len);
	disk_complete(OP_WRITE, result);
}

void
disk_write_all(void)
{
	disk_write(disk_asked(), (int32_t)disk_asked());
}

void
disk_drain(void)
{
	model_turn(0);
	/* Pages after the last record are given back too. */
	for (unsigned i = 0;
	     i < TURNS_MAX &&
	     (m.synced < m.records || !journal_has_drained(&m.journal));
	     i++) {
		while (m.ops_cnt > 0) {
			if (m.ops[0].kind == OP_WRITE)
				disk_write_all();
			else
				disk_complete(m.ops[0].kind, 0);
			model_turn(0);
		}
		model_turn(MODEL_RETRY_NS);
	}
	model_turn(MODEL_RETRY_NS); /* for the last look */
	assert_int_equal(m.synced, m.records);
	assert_int_equal(m.rolled + 1, days_cnt);
	assert_true(journal_has_drained(&m.journal));
	assert_int_equal(journal_due_ns(&m.journal), INT64_MAX);
}

/* ---- what goes on ---- */

/* The record as it must be in the file; *out_x is what a feed sends. */
static size_t
make_record(const struct schema_table *t, size_t text_len, uint8_t **out_x)
{
	size_t at = ends[m.records].at;
	struct wire_writer w = wire_writer(wanted + at, WANTED_MAX - at);

	assert_in_range(at + text_len, 0, WANTED_MAX - 200);
	wire_put_list(&w, KT_LIST, KA_NONE, 3);
	wire_put_symbol(&w, "upd");
	wire_put_symbol(&w, t->name);
	*out_x = w.at;
	wire_put_list(&w, KT_LIST, KA_NONE, 3);
	wire_put_list(&w, KT_TIMESPAN, KA_NONE, 1);
	wire_put_u64(&w, m.records);
	wire_put_list(&w, KT_SYMBOL, KA_NONE, 1);
	wire_put_symbol_item(&w, "abcdefgh", m.records % 9);
	wire_put_list(&w, KT_LIST, KA_NONE, 1);
	wire_put_list(&w, KT_CHAR, KA_NONE, (uint32_t)text_len);
	bytes_make(w.at, m.records, text_len);
	return wire_written(&w) + text_len;
}

bool
model_put(size_t text_len)
{
	const struct schema_table *t = &m.settings.tables.tables[m.records % 2];
	size_t at = ends[m.records].at, len;
	struct update u;
	const char *why;
	uint8_t *x;

	len = make_record(t, text_len, &x);
	assert_int_equal(update_parse(t, x, (size_t)(wanted + at + len - x),
				      CHECK_TYPES, &u, &why),
			 UPDATE_OK);
	if (!stream_has_room(&m.all.main, u.frame_len))
		return false;
	update_write(&u, m.local_ns, stream_head(&m.all.main));
	stream_commit(&m.all.main, u.frame_len, 1, m.now_ns);
	assert_true(m.records++ < RECORDS_MAX);
	ends[m.records].pos = m.all.main.head_pos;
	ends[m.records].at = at + len;
	return true;
}

void
model_put_many(unsigned cnt)
{
	while (cnt-- > 0)
		assert_true(model_put(5));
}

static void
begin_day(int32_t date)
{
	assert_true(days_cnt < DAYS_MAX);
	m.today = date;
	m.local_ns = date * NS_PER_DAY + NS_PER_DAY / 2;
	days[days_cnt++] = (struct day){ .date = date,
					 .first = m.records,
					 .pos = m.all.main.head_pos,
					 .off = JOURNAL_HEADER_BYTES };
}

bool
model_end_day(int32_t skipped)
{
	if (!frame_put(&m.all.main, NULL, (uint64_t)m.today, 0, m.now_ns))
		return false;
	begin_day(m.today + 1 + skipped);
	return true;
}

void
model_turn(int64_t ns)
{
	unsigned turns = 0;

	m.now_ns += ns;
	do {
		assert_true(turns++ < TURNS_MAX);
		journal_run(&m.journal, m.today, m.local_ns, m.now_ns);
		check();
		while ((m.jobs_cnt > 0 && !m.are_jobs_held) ||
		       (m.look_at != NULL && !m.are_looks_held)) {
			if (m.look_at != NULL && !m.are_looks_held)
				disk_look();
			else
				disk_do_job();
			check();
			journal_run(&m.journal, m.today, m.local_ns, m.now_ns);
			check();
		}
	} while (journal_due_ns(&m.journal) <= m.now_ns);
	if (m.journal.state.synced_pos != m.all.main.head_pos &&
	    m.ops_cnt == 0 && m.jobs_cnt == 0 && m.look_at == NULL)
		assert_true(journal_due_ns(&m.journal) != INT64_MAX);
}

/* ---- the whole ---- */

static unsigned
count_open_files(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned cnt = 0;

	assert_non_null(dir);
	while (readdir(dir) != NULL)
		cnt++;
	(void)closedir(dir);
	return cnt;
}

static bool
open_on(int32_t date, char *err, size_t err_len)
{
	const struct journal_moment noon = {
		.utc_ns = date * NS_PER_DAY + NS_PER_DAY / 2,
		.local_ns = date * NS_PER_DAY + NS_PER_DAY / 2,
	};

	streams_open_at(&m.all, &m.settings.tables, MODEL_RING_BYTES, 0, 0,
			START_POS);
	ends[0].pos = START_POS;
	m.records = m.written = m.synced = 0;
	m.jobs_cnt = m.jobs.busy_cnt = 0;
	m.are_jobs_held = m.are_looks_held = false;
	m.look_at = NULL;
	m.rolled = m.ops_cnt = days_cnt = events_cnt = 0;
	m.now_ns = 1000 * NS_PER_S;
	files_cnt = count_open_files();
	begin_day(date);
	return journal_open(&m.journal, &m.settings, NULL, &m.jobs, &m.all,
			    &noon, err, err_len);
}

static void
start_on(int32_t date)
{
	char err[1024];

	if (!open_on(date, err, sizeof(err)))
		fail_msg("%s", err);
}

void
model_start(enum journal_sync sync, enum publish_after after)
{
	m.settings.journal.directory = folder;
	m.settings.journal.name = name;
	m.settings.journal.sync = sync;
	m.settings.journal.sync_interval = MODEL_INTERVAL_NS;
	m.settings.publish.after = after;
	m.settings.message.max = MODEL_RING_BYTES / 4;
	start_on(MODEL_FIRST_DATE);
	check();
}

void
model_restart(void)
{
	uint64_t records = m.journal.state.records;
	uint64_t bytes = off_of(&days[m.rolled], m.written);

	(void)journal_close(&m.journal, INT32_MIN, 0);
	assert_int_equal(count_open_files(), files_cnt);
	assert_int_equal(model_said("journal_lost"), 0);
	streams_close(&m.all);
	start_on(m.today);
	days[0].before = records;
	days[0].off = bytes;
	check();
}

bool
model_rise(char *err, size_t err_len)
{
	const struct day *d = &days[m.rolled];
	uint64_t records = d->before + m.written - d->first;
	uint64_t bytes = off_of(d, m.written);
	bool is_up;

	(void)close(m.journal.lock_fd);
	history_file_free(m.journal.next.file);
	history_close(&m.journal.history);
	ring_close(&m.journal.staging);
	streams_close(&m.all);
	is_up = open_on(m.today, err, err_len);
	days[0].before = records;
	days[0].off = bytes;
	if (is_up)
		check();
	return is_up;
}

int
model_stop(void **state)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;

	(void)state;
	(void)journal_close(&m.journal, INT32_MIN, 0);
	/* is left where operations were in flight */
	ring_close(&m.journal.staging);
	streams_close(&m.all);
	if (dir == NULL)
		return -1;
	while ((entry = readdir(dir)) != NULL)
		if (unlinkat(dirfd(dir), entry->d_name, 0) != 0)
			(void)unlinkat(dirfd(dir), entry->d_name, AT_REMOVEDIR);
	return closedir(dir);
}

int
model_open(void **state)
{
	(void)state;
	schema_of(&m.settings.tables,
		  "trade:([]time:`timespan$();sym:`symbol$();text:())\n"
		  "t:([]time:`timespan$();sym:`symbol$();text:())\n");
	return mkdtemp(folder) == NULL ? -1 : 0;
}

int
model_close(void **state)
{
	(void)state;
	schema_fini(&m.settings.tables);
	return rmdir(folder);
}
