#include "config.h"

#include "frames.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "wire/wire.h"

struct schema schema;

_Noreturn static void
give_up(const char *what, const char *which)
{
	fprintf(stderr, "Bail out! %s %s\n", what, which);
	exit(EXIT_FAILURE);
}

/* ---- chance ---- */

struct chance
chance_start(const char *what)
{
	const char *given = getenv("RINGTICK_SEED");
	struct timespec now;
	struct chance c;

	clock_gettime(CLOCK_REALTIME, &now);
	c.state = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	if (given != NULL)
		c.state = strtoull(given, NULL, 0);
	printf("# %s: RINGTICK_SEED=%llu\n", what, (unsigned long long)c.state);
	fflush(stdout);
	return c;
}

/* splitmix64 */
static uint64_t
mixed(uint64_t z)
{
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

uint64_t
chance_bits(struct chance *c)
{
	c->state += 0x9e3779b97f4a7c15u;
	return mixed(c->state);
}

uint64_t
chance_below(struct chance *c, uint64_t below)
{
	return chance_bits(c) % below;
}

uint64_t
chance_between(struct chance *c, uint64_t from, uint64_t to)
{
	return from + chance_below(c, to - from + 1);
}

/* ---- tables ---- */

void
schema_of(struct schema *s, const char *text)
{
	struct schema_error err;

	*s = (struct schema){ 0 };
	if (schema_parse(s, text, strlen(text), &err) != 0 ||
	    schema_finish(s, &err) != 0)
		give_up("no schema:", err.text);
}

void
schema_of_three(struct schema *s)
{
	schema_of(s, "trade:([]time:`timespan$();sym:`symbol$();p:`float$())\n"
		     "quote:([]time:`timespan$();sym:`symbol$();b:`float$())\n"
		     "ref:([]time:`timespan$();sym:`symbol$())\n");
	for (unsigned i = 0; i < s->tables_cnt; i++)
		if (s->tables[i].publish_prefix_len > FRAME_RECORD_MIN)
			give_up("too long a prefix:", s->tables[i].name);
}

int
schema_open_three(void **state)
{
	(void)state;
	schema_of_three(&schema);
	return 0;
}

int
schema_open_texts(void **state)
{
	(void)state;
	schema_of(&schema,
		  "t:([]time:`timespan$();sym:`symbol$();text:())\n");
	return 0;
}

int
schema_close(void **state)
{
	(void)state;
	schema_fini(&schema);
	return 0;
}

const struct schema_table *
schema_named(const struct schema *s, const char *name)
{
	const struct schema_table *t = schema_find(s, name, strlen(name));

	if (t == NULL)
		give_up("no table", name);
	return t;
}

/* ---- frames ---- */

void
bytes_make(uint8_t *at, uint64_t number, size_t len)
{
	for (size_t i = 0; i < len; i += sizeof(uint64_t)) {
		uint64_t word = mixed(number * 0x9e3779b97f4a7c15u + i + 1);
		size_t left = len - i;

		memcpy(at + i, &word,
		       left < sizeof(word) ? left : sizeof(word));
	}
}

size_t
frame_make(uint8_t *at, const struct schema_table *t, uint64_t number,
	   size_t len)
{
	struct wire_writer w = wire_writer(at, FRAME_MARK_BYTES);
	size_t header;

	if (t != NULL) {
		if (len < FRAME_RECORD_MIN)
			give_up("too short a frame of", t->name);
		memcpy(at, t->publish_prefix, t->publish_prefix_len);
		bytes_make(at + t->publish_prefix_len, number,
			   len - t->publish_prefix_len);
		wire_store_u32(at + 4, (uint32_t)len);
		return len;
	}
	header = wire_begin_frame(&w, WIRE_ASYNC);
	wire_put_list(&w, KT_LIST, KA_NONE, 2);
	wire_put_symbol(&w, ".u.end");
	wire_put_date(&w, (int32_t)(uint32_t)number);
	wire_end_frame(&w, header);
	if (w.is_full || wire_written(&w) != FRAME_MARK_BYTES)
		give_up("a mark is not what it", "was");
	return FRAME_MARK_BYTES;
}

bool
frame_put(struct stream *s, const struct schema_table *t, uint64_t number,
	  size_t len, int64_t now_ns)
{
	if (t == NULL)
		len = FRAME_MARK_BYTES;
	if (!stream_has_room(s, len))
		return false;
	frame_make(stream_head(s), t, number, len);
	stream_commit(s, len, t != NULL, now_ns);
	return true;
}

bool
streams_put(struct streams *all, const struct schema_table *t, uint64_t number,
	    size_t len, int64_t now_ns)
{
	if (t == NULL)
		return frame_put(&all->main, NULL, number, 0, now_ns);
	if (!stream_has_room(&all->main, len))
		return false;
	frame_make(stream_head(&all->main), t, number, len);
	streams_commit(all, t->idx, len, now_ns);
	return true;
}

/* ---- streams ---- */

void
streams_open_with(struct streams *all, const struct schema *tables,
		  const struct streams_options *options, uint64_t pos)
{
	if (streams_open(all, tables, options) != 0)
		give_up("no memory for", "streams");
	all->main.head_pos = all->main.tail_pos = all->main.visible_pos = pos;
	all->shown.pos = pos;
	for (unsigned i = 0; i < all->filtered_cnt; i++) {
		struct stream *s = &all->filtered[i];

		s->head_pos = s->tail_pos = s->visible_pos = pos;
	}
}

void
streams_open_at(struct streams *all, const struct schema *tables,
		size_t main_bytes, unsigned filtered_max, size_t filtered_bytes,
		uint64_t pos)
{
	const struct streams_options options = {
		.main_bytes = main_bytes,
		.filtered_max = filtered_max,
		.filtered_bytes = filtered_bytes,
		.symbols_max = 64,
		.sets_max = 64,
		.message_max = main_bytes / 4,
	};

	streams_open_with(all, tables, &options, pos);
}
