#include "config.h"

#include "tick.h"

#include "log.h"
#include "record.h"

void
tick_begin_day(struct tick *t, int32_t day, int32_t day_floor)
{
	t->day = day;
	t->day_floor = day_floor;
}

bool
tick_end_day(struct tick *t)
{
	struct stream *s = &t->streams->main;
	char date[16];

	if (!stream_has_room(s, MARK_BYTES))
		return false;
	mark_write(stream_head(s), t->day);
	stream_commit(s, MARK_BYTES, 0, t->now_ns);
	log_line(LOG_NOTE, "end_of_day", "date=%s records=%llu",
		 clock_date_text(date, t->day), (unsigned long long)s->records);
	t->day_floor = ++t->day;
	t->day_begin = s->records;
	return true;
}

uint64_t
tick_day_record(const struct tick *t, uint64_t stream_record)
{
	const struct journal_state *j = t->journal;
	uint64_t begin = t->day_begin;
	int64_t record;

	/* Its file may have had records before this run. */
	if (j->is_on && j->marks == t->streams->main.marks)
		begin = j->stream_records - j->records;
	record = (int64_t)(stream_record - begin);
	return record < 0 ? 0 : (uint64_t)record;
}

bool
tick_set_time(struct tick *t, int64_t utc_ns, int64_t now_ns)
{
	int32_t today;

	t->local_ns = zone_local_ns(&t->zone, utc_ns);
	t->now_ns = now_ns;
	/* A clock that steps back never takes the day back. */
	today = clock_day(t->local_ns);
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
