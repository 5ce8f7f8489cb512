#include "config.h"

#include "base/clock.h"

#include <stdio.h>
#include <time.h>

#include "base/util.h"

#define ZONE_VALID_NS (15 * 60 * NS_PER_S)

/* Days from the start of the reckoning in clock_read_date (March of year 0) to
 * 2000.01.01, which is day 0. */
#define DAYS_BEFORE_2000 730426

static int64_t
timespec_ns(const struct timespec *ts)
{
	return (int64_t)ts->tv_sec * NS_PER_S + ts->tv_nsec;
}

int64_t
clock_monotonic_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return timespec_ns(&ts);
}

int64_t
clock_cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return timespec_ns(&ts);
}

void
cpu_limit_begin(struct cpu_limit *l, int64_t limit_ns)
{
	if (l->clock_ns == NULL)
		return;
	l->look_ns = l->clock_ns() + limit_ns / 10;
	l->limit_ns = limit_ns;
	l->cpu_until_ns = INT64_MAX;
}

bool
cpu_limit_is_over(struct cpu_limit *l)
{
	int64_t now_ns, cpu_ns;

	if (l->clock_ns == NULL)
		return false;
	now_ns = l->clock_ns();
	if (now_ns < l->look_ns)
		return false;
	cpu_ns = l->cpu_ns();
	if (l->cpu_until_ns == INT64_MAX)
		l->cpu_until_ns = cpu_ns + l->limit_ns - l->limit_ns / 10;
	if (cpu_ns >= l->cpu_until_ns)
		return true;
	l->look_ns = now_ns + l->cpu_until_ns - cpu_ns;
	return false;
}

int64_t
clock_utc_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return timespec_ns(&ts) - CLOCK_KDB_EPOCH_S * NS_PER_S;
}

void
zone_init(struct zone *z, bool is_local, int64_t offset_ns)
{
	*z = (struct zone){ .is_local = is_local, .offset_ns = offset_ns };
	tzset();
}

static void
zone_look_up(struct zone *z, int64_t utc_ns)
{
	time_t unix_s = (time_t)(utc_ns / NS_PER_S + CLOCK_KDB_EPOCH_S);
	struct tm tm;

	if (localtime_r(&unix_s, &tm) != NULL)
		z->offset_ns = (int64_t)tm.tm_gmtoff * NS_PER_S;
	z->valid_from_ns = utc_ns - utc_ns % ZONE_VALID_NS;
	z->valid_until_ns = z->valid_from_ns + ZONE_VALID_NS;
}

int64_t
zone_local_ns(struct zone *z, int64_t utc_ns)
{
	if (z->is_local &&
	    (utc_ns < z->valid_from_ns || utc_ns >= z->valid_until_ns))
		zone_look_up(z, utc_ns);
	return utc_ns + z->offset_ns;
}

int32_t
clock_day(int64_t ns)
{
	int64_t day = ns / NS_PER_DAY;

	return (int32_t)(day - (ns % NS_PER_DAY < 0));
}

/* The value of two digits; above 99 if either is not a digit. */
static int
read_two(const char *text)
{
	int tens = text[0] - '0', ones = text[1] - '0';

	return tens < 0 || tens > 9 || ones < 0 || ones > 9 ? INT16_MAX
							    : tens * 10 + ones;
}

bool
clock_read_date(const char *text, int32_t *out_day)
{
	/* Days before each month of a year that begins in March, so that a leap
	 * day is the last day of its year. */
	static const int before[] = { 0,   31,	61,  92,  122, 153, 184,
				      214, 245, 275, 306, 337, 366 };
	int century = read_two(text), year = read_two(text + 2);
	int month = read_two(text + 5), day = read_two(text + 8), shifted;
	bool is_leap = year % 4 == 0 && (year != 0 || century % 4 == 0);

	if (text[4] != '.' || text[7] != '.' || century < 10 || century > 99 ||
	    year > 99 || month < 1 || month > 12)
		return false;
	shifted = (month + 9) % 12;
	if (day < 1 || day > before[shifted + 1] - before[shifted] ||
	    (month == 2 && day == 29 && !is_leap))
		return false;
	year += century * 100 - (month <= 2);
	*out_day = year * 365 + year / 4 - year / 100 + year / 400 +
		   before[shifted] + day - DAYS_BEFORE_2000;
	return true;
}

const char *
clock_date_text(char *buf, int32_t day)
{
	time_t unix_s = (time_t)((int64_t)day * 86400 + CLOCK_KDB_EPOCH_S);
	struct tm tm;

	gmtime_r(&unix_s, &tm);
	strftime(buf, 16, "%Y.%m.%d", &tm);
	return buf;
}
