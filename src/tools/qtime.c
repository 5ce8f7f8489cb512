#include "config.h"

#include "tools/qtime.h"

#include <math.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/util.h"
#include "wire/wire.h"

/* Reads up to `most` digits; -1 if there is no digit. */
static int64_t
read_digits(const char **at, unsigned most, unsigned *out_cnt)
{
	int64_t v = 0;

	for (*out_cnt = 0; *out_cnt < most && **at >= '0' && **at <= '9';
	     ++*out_cnt)
		v = v * 10 + *(*at)++ - '0';
	return *out_cnt > 0 ? v : -1;
}

/* Two digits below 60. */
static int64_t
read_sixtieths(const char **at)
{
	unsigned cnt;
	int64_t v = read_digits(at, 2, &cnt);

	return cnt == 2 && v < 60 ? v : -1;
}

/* hh:mm, hh:mm:ss or hh:mm:ss.f with one to nine digits, and then the end. */
static bool
read_clock(const char *at, int64_t *out_ns)
{
	unsigned cnt;
	int64_t h = read_digits(&at, 2, &cnt), m, s = 0, ns = 0;

	if (h < 0 || *at++ != ':')
		return false;
	m = read_sixtieths(&at);
	if (*at == ':') {
		at++;
		s = read_sixtieths(&at);
		if (*at == '.') {
			at++;
			ns = read_digits(&at, 9, &cnt);
			for (; cnt < 9; cnt++)
				ns *= 10;
		}
	}
	if (m < 0 || s < 0 || ns < 0 || *at != '\0')
		return false;
	*out_ns = ((h * 60 + m) * 60 + s) * NS_PER_S + ns;
	return true;
}

/* 2026.11.22 */
static bool
read_date(const char *text, int64_t *out_days)
{
	struct tm tm = { 0 };
	const char *at = text;
	char again[16];
	unsigned cnt;
	int64_t year = read_digits(&at, 4, &cnt);

	if (cnt != 4 || *at++ != '.')
		return false;
	tm.tm_year = (int)year - 1900;
	tm.tm_mon = (int)read_digits(&at, 2, &cnt) - 1;
	if (cnt != 2 || *at++ != '.')
		return false;
	tm.tm_mday = (int)read_digits(&at, 2, &cnt);
	if (cnt != 2)
		return false;
	*out_days = timegm(&tm) / 86400 - 10957; /* 1970 to 2000 */
	/* timegm accepts the 31st of February too.  The years are those that ns
	 * since 2000 can express. */
	clock_date_text(again, (int32_t)*out_days);
	return year > 1708 && year < 2292 && strncmp(text, again, 10) == 0;
}

bool
qtime_parse(const char *text, struct qtime *out)
{
	const char *at = text;
	struct qtime w = { .has_date = false };
	int64_t days = 0, ns = 0;
	unsigned cnt;

	if (read_date(text, &days)) {
		w.has_date = true;
		at += strlen("2000.01.01");
	} else if (text[strspn(text, "0123456789")] == 'D') {
		days = read_digits(&at, 5, &cnt);
		if (days < 0)
			return false;
	}
	if (at > text && (*at == 'D' || (*at == 'T' && w.has_date)))
		at++;
	else if (at > text && *at != '\0')
		return false;
	if ((at == text || *at != '\0') && !read_clock(at, &ns))
		return false;
	w.ns = days * NS_PER_DAY + ns;
	*out = w;
	return true;
}

/* A count of units of unit_ns; false for null, which is the least value. */
static bool
read_int(const uint8_t *item, int64_t unit_ns, int64_t *out_ns)
{
	int32_t v = (int32_t)wire_load_u32(item);

	/* the infinities of minutes exceed what ns can express */
	return v != INT32_MIN &&
	       !__builtin_mul_overflow((int64_t)v, unit_ns, out_ns);
}

static bool
read_days(const uint8_t *item, int64_t *out_ns)
{
	int64_t bits = (int64_t)wire_load_u64(item);
	double days;

	memcpy(&days, &bits, sizeof(days));
	/* a hundred thousand days: what ns can express */
	if (isnan(days) || fabs(days) > 1e5)
		return false;
	*out_ns = (int64_t)(days * (double)NS_PER_DAY);
	return true;
}

bool
qtime_read(int type, const uint8_t *item, struct qtime *out)
{
	struct qtime w = { .has_date = type == KT_TIMESTAMP ||
				       type == KT_DATETIME };
	bool is_good;

	switch (type) {
	case KT_TIMESTAMP:
	case KT_TIMESPAN:
		w.ns = (int64_t)wire_load_u64(item);
		is_good = w.ns != INT64_MIN;
		break;
	case KT_DATETIME:
		is_good = read_days(item, &w.ns);
		break;
	case KT_MINUTE:
		is_good = read_int(item, 60 * NS_PER_S, &w.ns);
		break;
	case KT_SECOND:
		is_good = read_int(item, NS_PER_S, &w.ns);
		break;
	case KT_TIME:
		is_good = read_int(item, NS_PER_MS, &w.ns);
		break;
	default:
		return false;
	}
	if (is_good)
		*out = w;
	return is_good;
}

bool
qtime_is_before(struct qtime item, struct qtime limit)
{
	if (item.has_date && !limit.has_date) {
		item.ns %= NS_PER_DAY;
		if (item.ns < 0)
			item.ns += NS_PER_DAY;
	}
	return item.ns < limit.ns;
}
