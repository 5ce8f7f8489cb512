#include "config.h"

#include "tools/sub_stats.h"

#include <string.h>

#include "base/clock.h"
#include "base/util.h"
#include "wire/wire.h"

void
sub_stats_add_time(struct sub_stats *a, int type, const uint8_t *item,
		   int64_t now_ns)
{
	const int64_t day = NS_PER_DAY;
	int64_t then_ns, late_ns;
	uint64_t late;

	if (type == KT_TIME)
		then_ns = (int32_t)wire_load_u32(item) * NS_PER_MS;
	else if (type == KT_TIMESPAN || type == KT_TIMESTAMP)
		then_ns = (int64_t)wire_load_u64(item);
	else
		return;
	if (type != KT_TIMESTAMP) {
		/* A time just before midnight may be received just after it. */
		now_ns = (now_ns % day + day) % day;
		if (then_ns < 0 || then_ns >= day)
			return;
		if (then_ns - now_ns > day / 2)
			then_ns -= day;
	} else if (then_ns < 0) {
		return;
	}
	late_ns = now_ns - then_ns;
	late = late_ns > 0 ? (uint64_t)late_ns : 0;
	histogram_add(&a->latencies, late);
	histogram_add(&a->recent, late);
}

static void
print_counts(FILE *out, const char *what, const struct sub_counts *c,
	     int64_t span_ns)
{
	double seconds = (double)max_u64((uint64_t)span_ns, 1) / 1e9;

	fprintf(out,
		"%s seconds=%.1f messages=%llu rows=%llu bytes=%llu "
		"messages_s=%.0f rows_s=%.0f mb_s=%.1f",
		what, seconds, (unsigned long long)c->messages,
		(unsigned long long)c->rows, (unsigned long long)c->bytes,
		(double)c->messages / seconds, (double)c->rows / seconds,
		(double)c->bytes / seconds / 1e6);
}

static void
print_latency(FILE *out, const struct histogram *h)
{
	fprintf(out, " p50_us=%.1f p99_us=%.1f max_us=%.1f",
		(double)histogram_percentile(h, 50) / 1e3,
		(double)histogram_percentile(h, 99) / 1e3,
		(double)h->max / 1e3);
}

void
sub_stats_print_rate(struct sub_stats *a, FILE *out, int64_t now_ns)
{
	struct sub_counts c = {
		.messages = a->counts.messages - a->told.messages,
		.rows = a->counts.rows - a->told.rows,
		.bytes = a->counts.bytes - a->told.bytes,
	};

	if (out != NULL) {
		print_counts(out, "rate", &c, now_ns - a->last_ns);
		if (a->is_timing)
			print_latency(out, &a->recent);
		fputc('\n', out);
		fflush(out);
	}
	memset(&a->recent, 0, sizeof(a->recent));
	a->told = a->counts;
	a->last_ns = now_ns;
}

void
sub_stats_print_total(const struct sub_stats *a, FILE *out, int64_t now_ns)
{
	print_counts(out, "total", &a->counts, now_ns - a->start_ns);
	fprintf(out, " ends=%llu others=%llu", (unsigned long long)a->ends,
		(unsigned long long)a->others);
	if (a->is_timing)
		print_latency(out, &a->latencies);
	fputc('\n', out);
}

bool
sub_stats_print_check(const struct sub_tables *tables, FILE *out)
{
	bool is_good = true;
	unsigned checked = 0;

	for (unsigned i = 0; i < tables->tables_cnt; i++) {
		const struct sub_table *t = tables->tables[i];
		const struct sequence *q = &t->sequence;

		if (q->rows == 0)
			continue;
		fprintf(out,
			"check table=%s rows=%llu missing=%llu doubled=%llu "
			"late=%llu strange=%llu result=%s\n",
			t->name, (unsigned long long)q->rows,
			(unsigned long long)q->missing,
			(unsigned long long)q->doubled,
			(unsigned long long)q->late,
			(unsigned long long)q->strange,
			sequence_is_good(q) ? "good" : "bad");
		is_good = is_good && sequence_is_good(q);
		checked++;
	}
	if (checked == 0)
		fputs("check result=bad: no row with a running number came\n",
		      out);
	return is_good && checked > 0;
}
