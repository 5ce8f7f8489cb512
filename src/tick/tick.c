#include "config.h"

#include "tick/tick.h"

#include <errno.h>
#include <string.h>

#include "base/memory.h"
#include "base/util.h"

static size_t
longest_reply(const struct schema *schema)
{
	/* A request can name a table more than once; 4 KiB are for the rest. */
	size_t len = 4096 + JOURNAL_PATH_MAX;

	for (unsigned i = 0; i < schema->tables_cnt; i++)
		len += 2 * (schema->tables[i].sub_reply_len +
			    strlen(schema->tables[i].name));
	return len;
}

int
tick_open(struct tick *t, const struct settings *settings,
	  struct streams *streams, struct counters *counters,
	  const struct journal_state *journal, const struct history *history)
{
	size_t scratch = settings->message.max;

	*t = (struct tick){ .settings = settings,
			    .streams = streams,
			    .counters = counters,
			    .journal = journal,
			    .history = history };
	t->reply_max = longest_reply(&settings->tables);
	zone_init(&t->zone, settings->day.zone_is_local,
		  settings->day.zone_offset_ns);
	t->day = clock_day(zone_local_ns(&t->zone, clock_utc_ns()));
	t->day_floor = INT32_MIN;
	t->rewritten = memory_map(scratch);
	/* Room for a usual reply and its parts, or for a long reply alone. */
	t->work_len =
		REQUEST_WORK_BYTES + max_u64(2 * t->reply_max, scratch);
	t->work = memory_map(t->work_len);
	if (t->rewritten != NULL && t->work != NULL &&
	    inflate_long_open(&t->inflate_long, scratch) == 0)
		return 0;
	tick_close(t);
	return -ENOMEM;
}

void
tick_close(struct tick *t)
{
	inflate_long_close(&t->inflate_long);
	if (t->rewritten != NULL)
		memory_unmap(t->rewritten, t->settings->message.max);
	memory_unmap(t->work, t->work_len);
	*t = (struct tick){ 0 };
}

bool
tick_is_late(struct tick *t)
{
	return cpu_limit_is_over(&t->time);
}
