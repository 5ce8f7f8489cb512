#include "config.h"

#include "filter.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "util.h"

/* Of a row: a time and a symbol, at least. */
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

int
filter_open(struct filter *f, uint32_t keys_max, uint32_t sets_max,
	    uint32_t streams_max, size_t message_max, uint64_t seed)
{
	size_t words, rows_bytes = (size_t)filter_memory(message_max);
	uint8_t *at;
	int err;

	*f = (struct filter){ .rows_max = rows_max_of(message_max) };
	err = symbols_open(&f->symbols, keys_max, sets_max, streams_max,
			   seed);
	if (err != 0)
		return err;
	words = f->symbols.stream_words + 1;
	f->mapped_bytes = rows_bytes + words * sizeof(*f->wanted_by);
	at = mmap(NULL, f->mapped_bytes, PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (at == MAP_FAILED)
		return -ENOMEM;
	f->wanted_by = (uint64_t *)at;
	f->keys = (uint32_t *)(at + words * sizeof(*f->wanted_by));
	f->picked = f->keys + f->rows_max;
	return 0;
}

void
filter_close(struct filter *f)
{
	symbols_close(&f->symbols);
	if (f->wanted_by != NULL)
		(void)munmap(f->wanted_by, f->mapped_bytes);
	*f = (struct filter){ 0 };
}

static void
want(struct filter *f, uint32_t key)
{
	const uint64_t *bits = symbols_wanted_by(&f->symbols, key);

	for (size_t i = 0; i < f->symbols.stream_words; i++)
		f->wanted_by[i] |= bits[i];
}

void
filter_look(struct filter *f, const struct schema_table *table,
	    struct rows rows)
{
	struct rows_keys keys = rows_keys(&rows);
	int8_t wanted_type = table->columns[1].type;
	struct rows_key key;

	CHECK(rows.cnt <= f->rows_max);
	f->looks++;
	f->table = table;
	f->rows = rows;
	memset(f->wanted_by, 0, f->symbols.stream_words * sizeof(uint64_t));
	for (uint32_t i = 0; rows_next_key(&keys, &key); i++) {
		f->keys[i] = SYMBOLS_NONE;
		/* With schema.check = "shape" it may be of any type. */
		if (key.type == wanted_type)
			f->keys[i] = symbols_find(&f->symbols, table->idx,
						  key.at, key.len);
		if (f->keys[i] != SYMBOLS_NONE)
			want(f, f->keys[i]);
	}
}

uint32_t
filter_pick(struct filter *f, const struct symbol_set *set)
{
	uint32_t cnt = 0;

	/* Nobody can guess which: kept by a step, not by a branch. */
	for (uint32_t i = 0; i < f->rows.cnt; i++) {
		f->picked[cnt] = i;
		cnt += symbols_has(set, f->keys[i]);
	}
	return cnt;
}

size_t
filter_frame_len(const struct filter *f, uint32_t cnt)
{
	return rows_picked_len(f->table, &f->rows, f->picked, cnt);
}

size_t
filter_frame_write(const struct filter *f, uint32_t cnt, uint8_t *at)
{
	return rows_pick(f->table, &f->rows, f->picked, cnt, at);
}
