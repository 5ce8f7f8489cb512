/*
 * The judge knows one thing: the order of the records of each day.  It learns
 * each place of it from the first who sees it, the journal's reader or a
 * subscriber, and from then on all others must see the same.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "world.h"

enum { DAYS_MAX = 1024, MEMORY_BYTES = 4 << 20 };

struct record {
	struct update u;
	int64_t stamp_ns;
	int64_t seen_ns; /* when a subscriber first had it; 0: nobody yet */
};

struct day {
	int32_t day;
	struct bytes records; /* struct record */
	bool has_ended;
	int32_t next; /* the day that came after it; 0: not known */
	uint64_t at_start; /* records that this run has found */
	uint64_t read_off, read_records; /* of the journal's file */
	struct bytes ends; /* uint64_t: where each record ends in it */
};

static struct day days[DAYS_MAX];
static unsigned cnt;

/* Of each feed the last update in the order. */
static int64_t last_numbers[16];

static struct day *
find(int32_t number)
{
	for (unsigned i = 0; i < cnt; i++)
		if (days[i].day == number)
			return &days[i];
	SIM_CHECK(cnt < DAYS_MAX, "too many days");
	days[cnt] = (struct day){ .day = number };
	if (cnt == 0)
		for (size_t i = 0; i < ARRAY_LEN(last_numbers); i++)
			last_numbers[i] = -1;
	return &days[cnt++];
}

static uint64_t
count(const struct day *d)
{
	return d->records.len / sizeof(struct record);
}

static struct record *
record(const struct day *d, uint64_t idx)
{
	return (struct record *)(void *)d->records.at + idx;
}

uint64_t
judge_count(int32_t day)
{
	return count(find(day));
}

bool
judge_knows(int32_t day, uint64_t idx, struct update *u, int64_t *stamp_ns)
{
	const struct day *d = find(day);

	if (idx >= count(d))
		return false;
	*u = record(d, idx)->u;
	*stamp_ns = record(d, idx)->stamp_ns;
	return true;
}

void
judge_tell(int32_t day, uint64_t idx, struct update u, int64_t stamp_ns)
{
	struct day *d = find(day);
	struct record r;

	/* Its padding too. */
	memset(&r, 0, sizeof(r));
	r.u = u;
	r.stamp_ns = stamp_ns;
	if (idx < count(d)) {
		const struct record *is = record(d, idx);

		SIM_CHECK(is->u.feed == u.feed && is->u.number == u.number &&
				  is->stamp_ns == stamp_ns,
			  "record %" PRIu64 " of day %d: update %u of feed %u "
			  "for one, %u of %u for another",
			  idx, day, is->u.number, is->u.feed, u.number,
			  u.feed);
		return;
	}
	SIM_CHECK(idx == count(d),
		  "record %" PRIu64 " of day %d is seen, which has %" PRIu64,
		  idx, day, count(d));
	SIM_CHECK(!d->has_ended, "day %d goes on after its end", day);
	feeds_check_sent(u, stamp_ns);
	SIM_CHECK((int64_t)u.number > last_numbers[u.feed],
		  "update %u of feed %u comes after %" PRId64, u.number, u.feed,
		  last_numbers[u.feed]);
	last_numbers[u.feed] = u.number;
	feeds_note_accepted(u);
	bytes_add(&d->records, &r, sizeof(r));
	sim_mix((uint64_t)u.feed << 32 | u.number);
}

void
judge_note_seen(int32_t day, uint64_t idx)
{
	struct record *r = record(find(day), idx);

	if (r->seen_ns == 0)
		r->seen_ns = sim_now_ns();
}

int64_t
judge_seen_ns(int32_t day, uint64_t idx)
{
	const struct day *d = find(day);

	return idx < count(d) ? record(d, idx)->seen_ns : 0;
}

bool
judge_has_ended(int32_t day)
{
	return find(day)->has_ended;
}

void
judge_tell_next(int32_t day, int32_t next)
{
	find(day)->next = next;
}

int32_t
judge_day_after(int32_t day)
{
	int32_t next = find(day)->next;

	return next != 0 ? next : day + 1;
}

bool
judge_tell_end(int32_t day, uint64_t records)
{
	struct day *d = find(day);

	if (records == UINT64_MAX)
		return d->has_ended;
	SIM_CHECK(records == count(d) || (!d->has_ended && records > count(d)),
		  "day %d ends after %" PRIu64 " records, and it has %" PRIu64,
		  day, records, count(d));
	if (records > count(d))
		return false;
	d->has_ended = true;
	return true;
}

/* ---- the journal, as another process reads it ---- */

static struct inode *
file_of(const struct day *d)
{
	char path[64], date[16];

	(void)snprintf(path, sizeof(path), "/journal/sym%s",
		       clock_date_text(date, d->day));
	return fs_find(path);
}

static void
read_more(struct day *d)
{
	static const uint8_t header[] = { 0xff, 1, 0, 0, 0, 0, 0, 0 };
	const struct inode *file = file_of(d);
	const struct bytes *b;
	int32_t running;

	if (file == NULL || damage_is_strange(file) ||
	    (world.is_damaged && judge_find_running(&running) &&
	     d->day == running))
		return;
	b = fs_bytes(file);
	if (d->read_off == 0 && b->len >= sizeof(header)) {
		SIM_CHECK(memcmp(b->at, header, sizeof(header)) == 0,
			  "the journal's header");
		d->read_off = sizeof(header);
	}
	/* After a failed write the file is cut back, and written again.  One
	 * without records, as the next day's, is not synced by a stop. */
	if (b->len < d->read_off) {
		SIM_CHECK(world_has_disk_trouble() || d->read_records == 0,
			  "the journal of day %d was cut", d->day);
		d->read_off = sizeof(header);
		d->read_records = d->ends.len = 0;
	}
	while (d->read_off > 0 && d->read_off < b->len) {
		const uint8_t *at = b->at + d->read_off;
		struct seen s = read_record(at, b->len - d->read_off);
		struct bytes wanted = { 0 };

		if (s.kind == SEEN_MORE)
			break;
		judge_tell(d->day, d->read_records, s.update, s.stamp_ns);
		put_record(&wanted, s.update, s.stamp_ns);
		SIM_CHECK(wanted.len == s.len &&
				  memcmp(wanted.at, at, s.len) == 0,
			  "record %" PRIu64 " of day %d in the journal has "
			  "other bytes than were sent",
			  d->read_records, d->day);
		bytes_free(&wanted);
		d->read_off += s.len;
		d->read_records++;
		bytes_add(&d->ends, &d->read_off, sizeof(d->read_off));
	}
}

static void
find_days(void)
{
	const struct inode *folder = fs_find("/journal");
	const char *name;
	int32_t day;

	for (unsigned i = 0; (name = fs_entry(folder, i)) != NULL; i++)
		if (strncmp(name, "sym", 3) == 0 && strlen(name) == 13 &&
		    clock_read_date(name + 3, &day))
			(void)find(day);
}

/* The days before it have ended. */
bool
judge_find_running(int32_t *day)
{
	return clock_read_date(world.journal + strlen("/journal/sym"), day);
}

static struct day *
first_after(int32_t day)
{
	struct day *first = NULL;

	for (unsigned i = 0; i < cnt; i++)
		if (days[i].day > day &&
		    (first == NULL || days[i].day < first->day))
			first = &days[i];
	return first;
}

/* Day by day: what a feed has sent is in their order. */
void
judge_read_journal(void)
{
	struct day *d;
	int32_t running;

	/* What is left after a power loss is looked at by the next start; until
	 * then answers that were sent before it still arrive. */
	if (!world.is_ready && world.has_lost_power)
		return;
	find_days();
	for (d = first_after(INT32_MIN); d != NULL; d = first_after(d->day)) {
		read_more(d);
		/* Perhaps only subscribers with a filter saw its end, and they
		 * cannot tell how many records it has. */
		if (file_of(d) != NULL && judge_find_running(&running) &&
		    d->day < running)
			d->has_ended = true;
	}
}

/* journal.sync_interval, and some time for the sync. */
#define UNSYNCED_NS (2 * NS_PER_S)

void
judge_check_synced(bool is_excused)
{
	static struct {
		const struct inode *file;
		uint64_t len; /* what it had then */
		int64_t at_ns;
		unsigned start; /* each cuts off what is torn */
	} due;
	const struct inode *file = fs_find(world.journal);

	if (is_excused || world.sync == SYNC_NONE || world.is_damaged ||
	    file == NULL || file != due.file || due.start != world.starts ||
	    fs_size_on_disk(file) >= min_u64(due.len, fs_size(file))) {
		due.file = file;
		due.len = file == NULL ? 0 : fs_size(file);
		due.at_ns = sim_now_ns();
		due.start = world.starts;
	}
	SIM_CHECK(sim_now_ns() - due.at_ns < UNSYNCED_NS,
		  "the disk lacks what was written to %s %lld ms ago",
		  world.journal,
		  (long long)(sim_now_ns() - due.at_ns) / NS_PER_MS);
}

static uint64_t
end_of(const struct day *d, uint64_t idx)
{
	return ((const uint64_t *)(const void *)d->ends.at)[idx];
}

uint64_t
judge_bytes_from(int32_t day, uint64_t idx)
{
	const struct day *d = find(day);
	uint64_t from = idx == 0 ? 0 : idx - 1;

	if (idx >= d->read_records)
		return 0;
	return d->read_off - (idx == 0 ? 0 : end_of(d, from));
}

uint64_t
judge_boundary(int32_t day, uint64_t off)
{
	const struct day *d = find(day);
	uint64_t n = d->read_records;

	while (n > 0 && end_of(d, n - 1) > off)
		n--;
	return n == 0 ? 0 : end_of(d, n - 1);
}

bool
judge_has_written(int32_t day, uint64_t idx, bool is_on_disk)
{
	const struct day *d = find(day);

	if (idx >= d->read_records)
		judge_read_journal();
	return idx < d->read_records &&
	       (!is_on_disk ||
		fs_size_on_disk(file_of(d)) >= end_of(d, idx));
}

bool
judge_is_written(struct update u, bool is_on_disk)
{
	judge_read_journal();
	for (unsigned i = cnt; i-- > 0;) {
		const struct day *d = &days[i];

		for (uint64_t n = d->read_records; n-- > 0;) {
			const struct record *r = record(d, n);

			if (r->u.feed != u.feed)
				continue;
			/* A file may be seen before that of an earlier day. */
			if (r->u.number < u.number)
				break;
			if (r->u.number == u.number)
				return !is_on_disk ||
				       fs_size_on_disk(file_of(d)) >=
					       end_of(d, n);
		}
	}
	return false;
}

/* ---- another day runs ---- */

/* After each day comes that of the next file, up to the running one: a start
 * knows no others. */
static void
join_days(void)
{
	int32_t running;

	if (!judge_find_running(&running))
		return;
	for (unsigned i = 0; i < cnt; i++) {
		int32_t next = running;

		for (unsigned n = 0; n < cnt; n++)
			if (days[n].day > days[i].day && days[n].day < next &&
			    file_of(&days[n]) != NULL)
				next = days[n].day;
		if (days[i].day < running)
			days[i].next = next;
	}
}

void
judge_correct_day(int32_t day)
{
	for (unsigned i = 0; i < cnt; i++)
		days[i].has_ended = days[i].has_ended && days[i].day < day;
	join_days();
}

/* ---- after a crash ---- */

static void
recover_day(struct day *d, bool has_lost_power)
{
	uint64_t before = d->read_records;
	int32_t running;

	d->read_off = d->read_records = d->ends.len = 0;
	read_more(d);
	SIM_CHECK(has_lost_power || world_has_disk_trouble() ||
			  world.is_tampered || d->read_records >= before,
		  "day %d had %" PRIu64 " records in the journal, and after "
		  "the crash of the process %" PRIu64,
		  d->day, before, d->read_records);
	if (d->read_records < count(d)) {
		sim_trace("day %d: %" PRIu64 " of %" PRIu64 " records are left",
			  d->day, d->read_records, count(d));
		for (uint64_t i = d->read_records;
		     world.is_tampered && i < count(d); i++)
			feeds_forgive(record(d, i)->u);
		d->records.len = d->read_records * sizeof(struct record);
	}
	d->at_start = d->read_records;
	/* If it runs again, its end comes again. */
	if (judge_find_running(&running))
		d->has_ended = d->day < running;
	subscribers_recovered(d->day, d->read_records);
}

void
judge_recover(bool has_lost_power)
{
	find_days();
	for (unsigned i = 0; i < cnt; i++)
		recover_day(&days[i], has_lost_power);
	join_days();
}

void
judge_lose(int32_t number, uint64_t bytes, uint64_t kept, uint64_t lost)
{
	struct day *d = find(number);
	struct record *all = (void *)d->records.at;
	uint64_t seen;

	/* What this run has written is in memory: at least the last 4 MB, of
	 * all that the file should have. */
	SIM_CHECK(lost == 0 || kept + lost <= d->at_start ||
			  bytes > MEMORY_BYTES,
		  "records %" PRIu64 " to %" PRIu64 " of day %d are lost, "
		  "and memory had those from %" PRIu64 " on",
		  kept, kept + lost, number, d->at_start);
	/* What was written since the damage, and has left memory, perhaps
	 * nobody has seen. */
	SIM_CHECK(kept + lost <= count(d) || bytes > MEMORY_BYTES,
		  "more is lost than there was");
	seen = min_u64(kept + lost, count(d));
	d->read_off = d->read_records = d->ends.len = 0;
	if (lost == 0)
		return;
	subscribers_records_lost(number, kept, lost);
	for (uint64_t i = kept; i < seen; i++)
		feeds_forgive(all[i].u);
	if (seen < kept + lost)
		for (unsigned i = 0; i < feeds_cnt(); i++)
			feeds_forgive_after(i, last_numbers[i]);
	memmove(&all[kept], &all[seen], (count(d) - seen) * sizeof(*all));
	d->records.len -= (seen - kept) * sizeof(*all);
	d->at_start = min_u64(d->at_start, kept);
}

/* ---- the end ---- */

static struct bytes accepted[16];

static bool
was_accepted(struct update u)
{
	return accepted[u.feed].at[u.number] != 0;
}

void
judge_finish(void)
{
	judge_read_journal();
	for (unsigned i = 0; i < feeds_cnt(); i++)
		bytes_resize(&accepted[i], feed_sent(i));
	for (unsigned i = 0; i < cnt; i++) {
		SIM_CHECK(days[i].read_records == count(&days[i]),
			  "the journal of day %d has %" PRIu64 " of %" PRIu64
			  " records",
			  days[i].day, days[i].read_records, count(&days[i]));
		for (uint64_t n = 0; n < count(&days[i]); n++) {
			struct update u = record(&days[i], n)->u;

			accepted[u.feed].at[u.number] = 1;
		}
	}
	feeds_check_fates(was_accepted);
}
