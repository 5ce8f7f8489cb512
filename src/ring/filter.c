#include "config.h"

#include "ring/filter.h"

#include <errno.h>
#include <string.h>

#include "base/memory.h"
#include "base/util.h"

/* A row has at least a time and a symbol. */
enum { ROW_BYTES_MIN = 5 };

static uint32_t
rows_max_of(size_t message_max)
{
	return (uint32_t)(message_max / ROW_BYTES_MIN) + 1;
}

uint64_t
filter_memory(size_t message_max)
{
	return (uint64_t)rows_max_of(message_max) * 2 * sizeof(uint32_t);
}

static int
map_rows(struct filter *f, const struct symbols *known, size_t message_max)
{
	size_t words = known->stream_words + 1;
	uint8_t *at;

	f->known = known;
	f->rows_max = rows_max_of(message_max);
	f->mapped_bytes = (size_t)filter_memory(message_max) +
			  words * sizeof(*f->wanted_by);
	at = memory_map(f->mapped_bytes);
	if (at == NULL)
		return -ENOMEM;
	f->wanted_by = (uint64_t *)at;
	f->keys = (uint32_t *)(at + words * sizeof(*f->wanted_by));
	f->picked = f->keys + f->rows_max;
	return 0;
}

int
filter_open(struct filter *f, uint32_t keys_max, uint32_t sets_max,
	    uint32_t streams_max, size_t message_max, uint64_t seed)
{
	int err;

	*f = (struct filter){ 0 };
	err = symbols_open(&f->symbols, keys_max, sets_max, streams_max,
			   seed);
	return err != 0 ? err : map_rows(f, &f->symbols, message_max);
}

int
filter_open_beside(struct filter *f, const struct filter *of,
		   size_t message_max)
{
	*f = (struct filter){ 0 };
	return map_rows(f, &of->symbols, message_max);
}

void
filter_close(struct filter *f)
{
	symbols_close(&f->symbols);
	memory_unmap(f->wanted_by, f->mapped_bytes);
	*f = (struct filter){ 0 };
}

static void
note_wanted(struct filter *f, uint32_t key)
{
	const uint64_t *bits = symbols_wanted_by(f->known, key);

	for (size_t i = 0; i < f->known->stream_words; i++)
		f->wanted_by[i] |= bits[i];
}

void
filter_look_begin(struct filter *f, const struct schema_table *table,
		  struct rows rows)
{
	CHECK(rows.cnt <= f->rows_max);
	f->looks++;
	f->table = table;
	f->rows = rows;
	f->left = row_ops_keys(&rows);
	f->looked_cnt = 0;
	memset(f->wanted_by, 0, f->known->stream_words * sizeof(uint64_t));
}

bool
filter_look_some(struct filter *f, uint32_t rows_max)
{
	const struct schema_table *table = f->table;
	int8_t wanted_type = table->columns[1].type;
	struct rows_keys keys = f->left;
	struct rows_key key;
	uint32_t i = f->looked_cnt;
	uint32_t left = f->rows.cnt - i;
	uint32_t end = i + (rows_max < left ? rows_max : left);

	for (; i < end && row_ops_next_key(&keys, &key); i++) {
		f->keys[i] = SYMBOLS_NONE;
		/* With schema.check = "shape" the key may be of any type. */
		if (key.type == wanted_type)
			f->keys[i] = symbols_find(f->known, table->idx,
						  key.at, key.len);
		if (f->keys[i] != SYMBOLS_NONE)
			note_wanted(f, f->keys[i]);
	}
	f->left = keys;
	f->looked_cnt = i;
	return i == f->rows.cnt;
}

void
filter_look(struct filter *f, const struct schema_table *table,
	    struct rows rows)
{
	filter_look_begin(f, table, rows);
	(void)filter_look_some(f, rows.cnt);
}

uint32_t
filter_pick(struct filter *f, const struct symbol_set *set)
{
	uint32_t cnt = 0;

	f->picks++;
	/* Which rows are picked is unpredictable: a conditional step is cheaper
	 * than a branch. */
	for (uint32_t i = 0; i < f->rows.cnt; i++) {
		f->picked[cnt] = i;
		cnt += symbols_has(set, f->keys[i]);
	}
	return cnt;
}

size_t
filter_frame_len(const struct filter *f, uint32_t cnt)
{
	return row_ops_picked_len(f->table, &f->rows, f->picked, cnt);
}

size_t
filter_frame_write(const struct filter *f, uint32_t cnt, uint8_t *at)
{
	return row_ops_pick(f->table, &f->rows, f->picked, cnt, at);
}

void
filter_write_begin(struct filter *f, uint32_t cnt, uint8_t *at)
{
	row_ops_pick_begin(&f->writing, f->table, &f->rows, f->picked, cnt, at);
}

bool
filter_write_some(struct filter *f, uint32_t rows_max, size_t *out_len)
{
	bool is_whole = row_ops_pick_some(&f->writing, rows_max);

	*out_len = f->writing.len;
	return is_whole;
}
