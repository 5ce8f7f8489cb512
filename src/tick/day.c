#include "config.h"

#include "tick/tick.h"

#include "base/clock.h"
#include "base/log.h"
#include "schema/mark.h"

/* A larger step is no slow adjustment of the clock. */
#define STEP_NS (1 * NS_PER_S)

void
tick_begin_day(struct tick *t, int32_t day, int32_t day_floor)
{
	char from[16], to[16];

	if (day < t->day)
		log_line(LOG_WARN, "date_corrected",
			 "from=%s to=%s hint=\"the clock was ahead when the "
			 "day began, and nothing has come in it\"",
			 clock_date_text(from, t->day),
			 clock_date_text(to, day));
	t->day = day;
	t->day_floor = day_floor;
}

/* ---- a clock that is wrong ---- */

void
tick_check_clock(const struct tick *t)
{
	char now[16], release[16];

	if (t->day < RELEASE_DAY)
		log_line(LOG_WARN, "clock_far",
			 "clock=%s release=%s hint=\"no clock is right that "
			 "says less than the release: set it, then start "
			 "again\"",
			 clock_date_text(now, t->day),
			 clock_date_text(release, RELEASE_DAY));
}

int32_t
tick_right_day(const struct tick *t)
{
	int32_t today = clock_day(t->local_ns);
	int32_t right = today > t->day_floor ? today : t->day_floor;

	return right < t->day ? right : t->day;
}

void
tick_report_date(const struct tick *t)
{
	int32_t ahead = t->day - clock_day(t->local_ns);
	char date[16];

	/* If the date is one day ahead, a client has mostly asked for the end
	 * of the day. */
	if (ahead <= 0 || (ahead == 1 && t->day_floor == t->day))
		return;
	log_line(LOG_WARN, "date_ahead",
		 "date=%s days=%d hint=\"the clock was ahead, or a file of "
		 "that day has records: the date stays until the clock has "
		 "come to it\"",
		 clock_date_text(date, t->day), ahead);
}

/* Logs that the clock was set back; its slow adjustment is not logged. */
static void
watch_clock(struct tick *t, int64_t utc_ns, int64_t now_ns)
{
	int64_t off_ns = utc_ns - now_ns, step_ns = off_ns - t->clock_off_ns;
	bool is_known = t->clock_off_ns != 0;
	uint64_t held;
	char date[16];

	t->clock_off_ns = off_ns;
	if (is_known && step_ns < -STEP_NS &&
	    log_may(&t->step_log, now_ns, &held))
		log_line(LOG_WARN, "clock_stepped_back",
			 "seconds=%lld date=%s held=%llu hint=\"stamps go "
			 "back with it; the date only if nothing has come in "
			 "it\"",
			 -step_ns / NS_PER_S, clock_date_text(date, t->day),
			 (unsigned long long)held);
}

/* Corrects the day if there is no journal; with one, the daemon does that with
 * its files. */
static void
correct_day(struct tick *t)
{
	int32_t right = tick_right_day(t);

	if (t->journal->is_on || right == t->day ||
	    t->streams->main.records != t->day_begin)
		return;
	tick_begin_day(t, right, t->day_floor);
}

/* ---- the end of the day ---- */

/* The number in the main stream of the running day's record 0: the day's file
 * may have records from before this run. */
static uint64_t
begin_of_day(const struct tick *t)
{
	const struct journal_state *j = t->journal;

	return j->is_on && j->marks == t->streams->main.marks
		       ? j->stream_records - j->records
		       : t->day_begin;
}

bool
tick_end_day(struct tick *t)
{
	struct stream *s = &t->streams->main;
	uint64_t before_begin = begin_of_day(t);
	char date[16];

	if (!stream_has_room(s, MARK_BYTES))
		return false;
	mark_write(stream_head(s), t->day);
	stream_commit(s, MARK_BYTES, 0, t->now_ns);
	log_line(LOG_NOTE, "end_of_day", "date=%s records=%llu",
		 clock_date_text(date, t->day), (unsigned long long)s->records);
	t->before_begin = before_begin;
	t->day_floor = ++t->day;
	t->day_begin = s->records;
	return true;
}

bool
tick_is_between_files(const struct tick *t)
{
	const struct stream *main = &t->streams->main;

	return main->marks != t->journal->marks ||
	       stream_has_mark_after(main, main->visible_pos);
}

uint64_t
tick_day_marks(const struct tick *t, uint64_t pos)
{
	const struct stream *main = &t->streams->main;

	return main->marks - (stream_has_mark_after(main, pos) ? 1 : 0);
}

void
tick_count_loss(struct tick *t)
{
	const struct journal_loss *loss = &t->journal->loss;

	if (loss->marks != t->streams->main.marks)
		t->before_begin += loss->cnt;
}

uint64_t
tick_day_record(const struct tick *t, uint64_t stream_record, uint64_t pos)
{
	uint64_t begin = stream_has_mark_after(&t->streams->main, pos)
				 ? t->before_begin
				 : begin_of_day(t);
	int64_t record = (int64_t)(stream_record - begin);

	return record < 0 ? 0 : (uint64_t)record;
}

bool
tick_set_time(struct tick *t, int64_t utc_ns, int64_t now_ns)
{
	int32_t today;

	t->local_ns = zone_local_ns(&t->zone, utc_ns);
	t->now_ns = now_ns;
	watch_clock(t, utc_ns, now_ns);
	today = clock_day(t->local_ns);
	/* When the clock steps back, a day that has ended or has records
	 * stays. */
	if (today < t->day)
		correct_day(t);
	t->is_day_pending = today > t->day &&
			    !stream_has_room(&t->streams->main, MARK_BYTES);
	if (today <= t->day || t->is_day_pending)
		return !t->is_day_pending;
	if (today > t->day + 1)
		log_line(LOG_WARN, "days_skipped",
			 "days=%d hint=\"the clock jumped, or the machine "
			 "slept; the day ends now, once\"",
			 today - t->day - 1);
	(void)tick_end_day(t);
	t->day = today;
	return true;
}
