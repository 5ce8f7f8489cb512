/*
 * The acts of a run: counted, left out, recorded.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>

#include "sim.h"

static uint32_t cnts[SIM_STREAMS]; /* of acts so far */

/* The acts that are done, if not all are, sorted. */
static struct act *kept;
static size_t kept_cnt;
static bool is_choosing;

struct record_of_run *sim_record;

static int
compare(const void *a, const void *b)
{
	const struct act *x = a, *y = b;

	if (x->actor != y->actor)
		return x->actor < y->actor ? -1 : 1;
	return x->number < y->number ? -1 : x->number > y->number;
}

void
acts_keep(const struct act *all, size_t cnt)
{
	is_choosing = true;
	kept_cnt = cnt;
	kept = reallocarray(kept, cnt + 1, sizeof(*kept));
	CHECK(kept != NULL);
	if (cnt > 0)
		memcpy(kept, all, cnt * sizeof(*kept));
	qsort(kept, cnt, sizeof(*kept), compare);
}

static bool
is_kept(struct act a)
{
	return !is_choosing ||
	       bsearch(&a, kept, kept_cnt, sizeof(a), compare) != NULL;
}

bool
sim_act(void)
{
	unsigned actor = sim_use_stream(0);
	struct act a;

	(void)sim_use_stream(actor);
	a = (struct act){ actor, cnts[actor]++ };
	sim_draw_anew(a.number);
	if (!is_kept(a))
		return false;
	if (sim_record != NULL && sim_record->cnt < RECORDED_MAX)
		sim_record->acts[sim_record->cnt++] = a;
	sim_trace("act %u:%u", a.actor, a.number);
	return true;
}

/* ---- as a text ---- */

/* Reads a number and moves on. */
static bool
read_number(const char **at, uint32_t *to)
{
	char *end;
	unsigned long n = strtoul(*at, &end, 10);

	if (end == *at || n > RECORDED_MAX)
		return false;
	*to = (uint32_t)n;
	*at = end;
	return true;
}

/* "NUMBER" or "FROM-TO". */
static bool
read_range(const char **at, uint32_t actor, struct bytes *all)
{
	uint32_t from, to;

	if (!read_number(at, &from))
		return false;
	to = from;
	if (**at == '-') {
		(*at)++;
		if (!read_number(at, &to))
			return false;
	}
	for (uint32_t n = from; n <= to; n++)
		bytes_add(all, &(struct act){ actor, n }, sizeof(struct act));
	return true;
}

static bool
read_actor(const char **at, struct bytes *all)
{
	uint32_t actor;

	if (!read_number(at, &actor) || **at != ':')
		return false;
	do {
		(*at)++;
		if (!read_range(at, actor, all))
			return false;
	} while (**at == ',');
	return true;
}

bool
acts_keep_text(const char *text)
{
	struct bytes all = { 0 };

	while (*text != '\0') {
		if (!read_actor(&text, &all))
			return false;
		if (*text == ';')
			text++;
	}
	acts_keep((const void *)all.at, all.len / sizeof(struct act));
	bytes_free(&all);
	return true;
}

char *
acts_text(const struct act *all, size_t cnt)
{
	char *text = NULL;
	size_t len, to;
	FILE *out = open_memstream(&text, &len);

	CHECK(out != NULL);
	acts_keep(all, cnt);
	for (size_t i = 0; i < cnt; i = to + 1) {
		bool is_next = i > 0 && kept[i - 1].actor == kept[i].actor;

		for (to = i; to + 1 < cnt && kept[to + 1].actor ==
						     kept[i].actor &&
			     kept[to + 1].number == kept[to].number + 1;)
			to++;
		if (is_next)
			fputc(',', out);
		else
			fprintf(out, "%s%u:", i > 0 ? ";" : "", kept[i].actor);
		fprintf(out, "%u", kept[i].number);
		if (to > i)
			fprintf(out, "-%u", kept[to].number);
	}
	CHECK(fclose(out) == 0);
	return text;
}
