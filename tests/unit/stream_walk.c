#include "config.h"

#include "stream_walk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"

struct streams all;
struct chance chance;
int64_t now;
int64_t (*clock_ns)(void);

uint64_t starts[WALK_FRAMES_MAX + 1];
size_t frames_cnt, visible_cnt;
size_t begun_at[WALK_FILTERED_MAX];
struct refused refused;
struct kind kinds[KINDS];

/* Like the journal's cursor: holds the frames that are not visible. */
static struct cursor shown;

int64_t
hasty_clock(void)
{
	static int64_t time_ns = 1;

	time_ns += chance_below(&chance, 3) == 0 ? 0 : NS_PER_S;
	return time_ns;
}

void
walk_open(const struct streams_options *options, uint64_t pos, bool is_gated)
{
	assert_true(options->filtered_max <= WALK_FILTERED_MAX);
	streams_open_with(&all, &schema, options, pos);
	all.clock_ns = clock_ns;
	if (clock_ns != NULL)
		all.long_bytes = 0;
	if (is_gated) {
		all.main.is_gated = true;
		cursor_attach(&shown, &all.main, all.main.visible_pos);
	}
	starts[0] = pos;
	frames_cnt = visible_cnt = 0;
	now = 1;
}

void
walk_close(void)
{
	streams_detach(&shown);
	streams_close(&all);
}

/* ---- the list ---- */

bool
is_before(uint64_t a, uint64_t b)
{
	return (int64_t)(a - b) < 0;
}

void
walk_note_frame(void)
{
	assert_true(frames_cnt < WALK_FRAMES_MAX);
	starts[++frames_cnt] = all.main.head_pos;
	if (!all.main.is_gated)
		visible_cnt = frames_cnt;
}

size_t
walk_frame_at(uint64_t pos)
{
	size_t i = frames_cnt;

	while (i > 0 && is_before(pos, starts[i]))
		i--;
	assert_int_equal(starts[i], pos);
	return i;
}

void
walk_show(void)
{
	if (!all.main.is_gated)
		return;
	visible_cnt += chance_below(&chance, frames_cnt - visible_cnt + 1);
	stream_show(&all.main, starts[visible_cnt], now);
	shown.pos = all.main.visible_pos;
}

/* ---- streams ---- */

bool
is_in_use(const struct stream *s)
{
	return s->is_main || s->fed.stream != NULL;
}

bool
is_any_free(void)
{
	for (unsigned i = 0; i < all.filtered_cnt; i++)
		if (!is_in_use(&all.filtered[i]))
			return true;
	return false;
}

const struct stream *
filtered_in_use(const struct selection *s)
{
	for (unsigned i = 0; i < all.filtered_cnt; i++)
		if (is_in_use(&all.filtered[i]) &&
		    selection_is_equal(s, &all.filtered[i].selection))
			return &all.filtered[i];
	return NULL;
}

bool
walk_may_refuse(const struct stream *s, size_t i, uint64_t kept_bytes)
{
	if (all.main.head_pos - starts[i] > kept_bytes)
		return ++refused.main_gone;
	if (s == NULL)
		return !is_any_free() && ++refused.none_free;
	if (s->is_main)
		return false;
	if (is_before(s->fed.pos, starts[i]))
		return ++refused.not_fed;
	return i < begun_at[s->id - 1] && ++refused.too_early;
}

/* ---- readers ---- */

bool
walk_nap(bool *is_asleep, unsigned awake_times, unsigned asleep_times)
{
	if (chance_below(&chance, *is_asleep ? asleep_times : awake_times) == 0)
		*is_asleep = !*is_asleep;
	return *is_asleep;
}

uint64_t
walk_part(uint64_t lag, unsigned times)
{
	return chance_below(&chance, times) == 0
		       ? lag
		       : chance_below(&chance, lag + 1);
}

/* ---- kinds of subscribers ---- */

struct symbols *
symbols(void)
{
	return &all.filter.symbols;
}

void
kinds_begin(void)
{
	memset(kinds, 0, sizeof(kinds));
	for (size_t i = 0; i < KINDS; i++)
		kind_change(&kinds[i]);
}

void
kinds_end(void)
{
	for (size_t i = 0; i < KINDS; i++)
		selection_drop(symbols(), &kinds[i].selection);
	assert_int_equal(symbols()->keys_cnt, 0);
}

void
kind_change(struct kind *k)
{
	selection_drop(symbols(), &k->selection);
	k->wants = wants_any(&chance);
	if (chance_below(&chance, 6) == 0)
		k->wants = (struct wants){ .is_wanted = { true, true, true } };
	k->selection = wants_selection(&k->wants, symbols());
}

void
kind_keep(struct kind *to, const struct kind *from)
{
	to->wants = from->wants;
	selection_keep(symbols(), &to->selection, &from->selection);
}
