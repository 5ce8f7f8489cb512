#include "config.h"

#include "journal/history.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../frames.h"
#include "base/util.h"

enum {
	FILES = 12,
	RECORDS_MAX = 1 << 16,
	MARK_BYTES = 27,
	FIRST_DAY = 9822,
};

/* ---- the model: every record of every file ---- */

struct record {
	int fd; /* of its file */
	uint64_t off, number, pos;
	int64_t time_ns;
	bool is_ours; /* of this run */
};

static struct history history;
static struct record records[RECORDS_MAX];
static size_t records_cnt;
static uint64_t head_pos;
static int64_t now;
static struct chance chance;

static void
start_at(uint64_t pos)
{
	history_init(&history);
	records_cnt = 0;
	head_pos = pos;
	now = 1;
}

static int
start(void **state)
{
	(void)state;
	start_at(1000);
	return 0;
}

static int
stop(void **state)
{
	(void)state;
	history_close(&history);
	assert_null(history_last(&history));
	return 0;
}

static bool
is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static void
add_record(struct history_file *f, struct record r)
{
	assert_true(records_cnt < RECORDS_MAX);
	records[records_cnt++] = r;
	journal_index_add(&f->index,
			  (struct journal_index_entry){ .off = r.off,
							.record = r.number,
							.pos = r.pos,
							.time_ns = r.time_ns });
}

/* A file with records from before this run, all of one length in bytes. */
static struct history_file *
begin(uint64_t foreign, uint64_t bytes)
{
	struct history_file *f = calloc(1, sizeof(*f));
	size_t first = records_cnt;

	assert_non_null(f);
	f->fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_true(f->fd >= 0);
	f->first_record = foreign;
	f->first_off = 8 + foreign * bytes;
	for (uint64_t i = 0; i < foreign; i++)
		add_record(f, (struct record){ .fd = f->fd,
					       .off = 8 + i * bytes,
					       .number = i });
	history_begin(&history, f, head_pos);
	assert_ptr_equal(history_last(&history), f);
	/* Positions count back from the first record of this run. */
	for (size_t i = first; i < records_cnt; i++)
		records[i].pos = head_pos - (foreign - (i - first)) * bytes;
	return f;
}

/* One more record, in the stream longer than in the file. */
static void
write_record(uint64_t bytes)
{
	struct history_file *f = history_last(&history);

	add_record(f, (struct record){ .fd = f->fd,
				       .off = f->written_off,
				       .number = f->written_records,
				       .pos = head_pos,
				       .time_ns = now,
				       .is_ours = true });
	head_pos += bytes + 30;
	f->written_off += bytes;
	f->written_pos = head_pos;
	f->written_records++;
}

static void
end_day(int32_t day)
{
	history_end(&history, day);
	head_pos += MARK_BYTES;
}

static bool
is_before(uint64_t a, uint64_t b)
{
	return (int64_t)(a - b) < 0;
}

/* The model's record at a place; NULL if no record starts there. */
static const struct record *
record_at(const struct history_place *place)
{
	for (size_t i = 0; i < records_cnt; i++)
		if (records[i].fd == place->file->fd &&
		    records[i].off == place->off)
			return &records[i];
	return NULL;
}

/* A place is a record's, in all its members; or the start of a file. */
static void
check_place(const struct history_place *place)
{
	const struct history_file *f = place->file;
	const struct record *r = record_at(place);

	if (r == NULL || f->index.cnt == 0) {
		assert_int_equal(place->off, f->first_off);
		assert_int_equal(place->pos, f->first_pos);
		assert_int_equal(place->record, f->first_record);
		return;
	}
	assert_int_equal(place->pos, r->pos);
	assert_int_equal(place->record, r->number);
	assert_int_equal(place->time_ns, r->time_ns);
	assert_int_equal(history_time(place), r->time_ns);
}

/* As the journal does it: one file after the other. */
static void
trim(uint64_t tail_pos)
{
	struct history_file *f;

	while ((f = history_trim(&history, tail_pos)) != NULL)
		history_file_free(f);
}

/* ---- single steps ---- */

static void
test_empty(void **state)
{
	struct history_place place;

	(void)state;
	assert_null(history_last(&history));
	assert_false(history_find_pos(&history, 0, &place));
	assert_null(history_find_day(&history, 1, 1));
	assert_false(history_is_long(&history));
	trim(UINT64_MAX);
	history_file_free(NULL);
}

/* No record is in it yet: only its end is found. */
static void
test_an_empty_file(void **state)
{
	struct history_file *f = begin(0, 0);
	struct history_place place;

	(void)state;
	assert_true(history_find_pos(&history, 1000, &place));
	assert_ptr_equal(place.file, f);
	assert_int_equal(place.off, 8);
	assert_int_equal(place.pos, 1000);
	assert_int_equal(place.record, 0);
	assert_false(history_find_pos(&history, 999, &place));
	assert_false(history_find_pos(&history, 1001, &place));
	place = history_find_record(f, 0);
	check_place(&place);
	place = history_start(f);
	check_place(&place);
	assert_int_equal(history_time(&place), 0);
}

/* Records from before this run have positions before the file's first one, for
 * consumers that read them by number. */
static void
test_records_from_before(void **state)
{
	struct history_file *f;
	struct history_place place;

	(void)state;
	head_pos = 100;
	f = begin(20, 100); /* their positions wrap below 0 */
	place = history_find_record(f, 0);
	assert_int_equal(place.off, 8);
	assert_int_equal(place.pos, (uint64_t)100 - 2000);
	check_place(&place);
	assert_int_equal(place.time_ns, 0);
	/* Not by position: no stream ever had them. */
	assert_false(history_find_pos(&history, place.pos, &place));
	write_record(100);
	assert_true(history_find_pos(&history, 100, &place));
	check_place(&place);
	assert_false(is_before(100, place.pos));
	place = history_start(f);
	assert_int_equal(place.off, 8 + 2000);
	assert_int_equal(place.record, 20);
	assert_int_equal(place.pos, 100);
}

/* A mark belongs to the file that it ends, the record after it to the next. */
static void
test_marks(void **state)
{
	struct history_file *first = begin(0, 0), *second;
	struct history_place place;

	(void)state;
	write_record(70);
	end_day(FIRST_DAY);
	assert_true(first->is_ended);
	assert_int_equal(first->day, FIRST_DAY);
	assert_null(history_next(&history, first));
	assert_true(history_find_pos(&history, 1100, &place));
	assert_ptr_equal(place.file, first);
	/* the next file is not known yet */
	assert_false(history_find_pos(&history, 1127, &place));
	second = begin(0, 0);
	assert_ptr_equal(history_next(&history, first), second);
	assert_null(history_next(&history, second));
	assert_true(history_find_pos(&history, 1100, &place));
	assert_ptr_equal(place.file, first);
	assert_true(history_find_pos(&history, 1127, &place));
	assert_ptr_equal(place.file, second);
	assert_int_equal(place.pos, 1127);
	/* days */
	assert_ptr_equal(history_find_day(&history, FIRST_DAY, FIRST_DAY + 1),
			 first);
	assert_ptr_equal(
		history_find_day(&history, FIRST_DAY + 1, FIRST_DAY + 1),
		second);
	assert_null(history_find_day(&history, FIRST_DAY + 2, FIRST_DAY + 1));
	assert_null(history_find_day(&history, FIRST_DAY - 1, FIRST_DAY + 1));
}

/* Only files that no consumer can come to any more are removed; in order, so
 * that there is never a hole; and never the last file that ended. */
static void
test_trim(void **state)
{
	struct history_file *files[4];
	int fds[4];

	(void)state;
	for (int i = 0; i < 4; i++) {
		files[i] = begin(0, 0);
		fds[i] = files[i]->fd;
		write_record(100);
		assert_int_equal(history_is_long(&history), i >= 2);
		if (i < 3)
			end_day(FIRST_DAY + i);
	}
	/* at the mark of the first file */
	trim(files[0]->written_pos);
	assert_true(is_open(fds[0]));
	files[1]->readers++;
	trim(head_pos);
	assert_false(is_open(fds[0]));
	assert_true(is_open(fds[1]));
	assert_true(history_is_long(&history));
	files[1]->readers--;
	trim(files[1]->written_pos);
	assert_true(is_open(fds[1]));
	trim(files[1]->written_pos + 1);
	assert_false(is_open(fds[1]));
	assert_false(history_is_long(&history));
	trim(head_pos);
	assert_true(is_open(fds[2]) && is_open(fds[3]));
	history_close(&history);
	assert_false(is_open(fds[2]) || is_open(fds[3]));
}

/* ---- many files, at any position, against all their records ---- */

/* After the first byte of a record. */
static bool
is_in_mark(uint64_t pos)
{
	for (struct list *n = history.files.next; n != &history.files;
	     n = n->next) {
		const struct history_file *f =
			container_of(n, struct history_file, node);

		if (f->is_ended && is_before(f->written_pos, pos) &&
		    is_before(pos, f->written_pos + MARK_BYTES))
			return true;
	}
	return false;
}

static void
check_pos(uint64_t pos)
{
	const struct history_file *oldest =
		container_of(history.files.next, struct history_file, node);
	struct history_place place;
	const struct record *closest = NULL;

	if (!history_find_pos(&history, pos, &place)) {
		/* before the first record, in a mark, or not written yet */
		assert_true(
			is_before(pos, oldest->first_pos) || is_in_mark(pos) ||
			is_before(history_last(&history)->written_pos, pos));
		return;
	}
	check_place(&place);
	assert_false(is_before(pos, place.pos));
	assert_false(is_before(place.file->written_pos, pos));
	assert_false(is_before(pos, place.file->first_pos));
	/* the walk from there is short, except over earlier runs' records */
	for (size_t i = 0; i < records_cnt; i++)
		if (records[i].fd == place.file->fd && records[i].is_ours &&
		    !is_before(pos, records[i].pos))
			closest = &records[i];
	if (closest != NULL && place.off >= place.file->first_off) {
		assert_true(closest->off - place.off < 256 << 10);
		assert_true(closest->time_ns - place.time_ns < NS_PER_S);
	}
}

static void
check_record(void)
{
	const struct record *r = &records[chance_below(&chance, records_cnt)];
	struct history_place place;

	for (struct list *n = history.files.next; n != &history.files;
	     n = n->next) {
		struct history_file *f =
			container_of(n, struct history_file, node);

		if (f->fd != r->fd)
			continue;
		place = history_find_record(f, r->number);
		check_place(&place);
		assert_true(place.record <= r->number);
		assert_true(place.file == f);
	}
}

static void
walk(uint64_t pos)
{
	start_at(pos);
	for (int i = 0; i < FILES; i++) {
		uint64_t cnt = chance_below(&chance, 400);

		begin(chance_below(&chance, 3) * 10,
		      chance_between(&chance, 60, 5000));
		for (; cnt > 0; cnt--) {
			now += (int64_t)chance_below(&chance, NS_PER_S / 4);
			write_record(chance_between(&chance, 60, 20000));
		}
		for (unsigned k = 0; k < 50 && records_cnt > 0; k++) {
			check_pos(pos - 3000 +
				  chance_below(&chance, head_pos - pos + 4000));
			check_pos(head_pos - chance_below(&chance, 30));
			check_record();
		}
		end_day(FIRST_DAY + i);
	}
	history_close(&history);
}

static void
test_any_position(void **state)
{
	(void)state;
	chance = chance_start("history");
	walk(0);
	walk(UINT64_MAX - 3000000);
	walk((UINT64_C(1) << 63) - 3000000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
		TEST(test_empty),
		TEST(test_an_empty_file),
		TEST(test_records_from_before),
		TEST(test_marks),
		TEST(test_trim),
		cmocka_unit_test(test_any_position),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
