/*
 * libFuzzer: an update of a feed, after one byte that chooses table and check.
 * Rows of its message are picked, and messages are merged.  The result is as
 * long as announced, good for every subscriber, and has the right rows: a
 * message that is taken apart into its rows and put together again is the same.
 */
#include "config.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "schema/row_ops.h"
#include "schema/update.h"
#include "base/util.h"
#include "fuzz_tables.h"
#include "wire/wire.h"

enum {
	FRAME_MAX = 1 << 18,
	APART_MAX = 64, /* rows of a message that is taken apart */
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Each column has that many rows, of any type; and there are as many keys. */
static struct rows
check_message(const struct schema_table *t, const uint8_t *frame, size_t len,
	      uint32_t cnt)
{
	struct rows rows = row_ops_of_frame(t, frame);
	struct rows_keys keys = row_ops_keys(&rows);
	struct rows_key key;
	struct wire_reader r = wire_reader(rows.columns, rows.len, false);
	bool has_long_counts = false;
	const char *bad = wire_check_body(frame + WIRE_HEADER_BYTES,
					  len - WIRE_HEADER_BYTES, false,
					  &has_long_counts);

	CHECK(!has_long_counts);
	CHECK(wire_load_u32(frame + 4) == len && rows.cnt == cnt);
	for (unsigned i = 0; i < t->columns_cnt && r.bad == NULL; i++) {
		CHECK(wire_count(&r) == cnt);
		wire_skip(&r);
	}
	/* The published message adds levels of its own. */
	if (bad == NULL)
		CHECK(r.bad == NULL && r.at == r.end);
	else
		CHECK(strstr(bad, "too deeply") != NULL);
	while (row_ops_next_key(&keys, &key)) {
		CHECK(key.at + key.len <= r.end);
		CHECK(cnt-- > 0);
	}
	CHECK(cnt == 0);
	return rows;
}

static struct rows
pick(const struct schema_table *t, const struct rows *from,
     const uint32_t *picked, uint32_t cnt, uint8_t **out)
{
	size_t len = row_ops_picked_len(t, from, picked, cnt);

	CHECK(len <= t->publish_prefix_len + from->len);
	*out = malloc(len);
	CHECK(*out != NULL);
	CHECK(row_ops_pick(t, from, picked, cnt, *out) == len);
	return check_message(t, *out, len, cnt);
}

static struct rows
merge(const struct schema_table *t, struct rows_source *sources, size_t cnt,
      uint8_t sym_attr, uint8_t **out)
{
	size_t max = 0, len;
	uint32_t rows_cnt = 0;

	for (size_t i = 0; i < cnt; i++) {
		rows_cnt += sources[i].rows.cnt;
		max += t->publish_prefix_len + sources[i].rows.len;
	}
	*out = malloc(max);
	CHECK(*out != NULL);
	len = row_ops_merge(t, sources, cnt, sym_attr, *out);
	CHECK(len <= max);
	return check_message(t, *out, len, rows_cnt);
}

/* Each row as a message of its own, and all of these in one. */
static void
take_apart(const struct schema_table *t, const struct rows *from)
{
	struct rows_source sources[APART_MAX];
	uint8_t *frames[APART_MAX], *all, *whole;
	uint32_t picked[APART_MAX];
	struct rows a, b;

	for (uint32_t i = 0; i < from->cnt; i++) {
		picked[i] = i;
		sources[i].rows = pick(t, from, &i, 1, &frames[i]);
	}
	a = merge(t, sources, from->cnt, KA_NONE, &whole);
	b = pick(t, from, picked, from->cnt, &all);
	CHECK(a.len == b.len && memcmp(a.columns, b.columns, a.len) == 0);
	for (uint32_t i = 0; i < from->cnt; i++)
		free(frames[i]);
	free(whole);
	free(all);
}

/* Some rows, the others, and all, in one message. */
static void
pick_and_merge(const struct schema_table *t, const struct rows *from,
	       uint64_t bits)
{
	uint32_t *picked = malloc(2 * sizeof(*picked) * from->cnt);
	uint32_t *others = picked + from->cnt, picked_cnt = 0, others_cnt = 0;
	uint8_t *frames[2] = { NULL, NULL }, *merged;
	struct rows_source sources[3];
	size_t cnt = 1;

	CHECK(picked != NULL);
	for (uint32_t i = 0; i < from->cnt; i++) {
		bits = bits * 6364136223846793005u + 1442695040888963407u;
		if (bits >> 63 != 0)
			picked[picked_cnt++] = i;
		else
			others[others_cnt++] = i;
	}
	sources[0].rows = *from;
	if (picked_cnt > 0)
		sources[cnt++].rows =
			pick(t, from, picked, picked_cnt, &frames[0]);
	if (others_cnt > 0)
		sources[cnt++].rows =
			pick(t, from, others, others_cnt, &frames[1]);
	(void)merge(t, sources, cnt, KA_GROUPED, &merged);
	free(merged);
	free(frames[0]);
	free(frames[1]);
	free(picked);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const struct schema_table *t;
	const char *why = NULL;
	struct update u;
	struct rows rows;
	uint8_t *frame;

	if (schema.tables_cnt == 0)
		make_schema("j", "list");
	if (len < 1 || len > FRAME_MAX)
		return 0;
	t = &schema.tables[data[0] % schema.tables_cnt];
	if (update_parse(t, data + 1, len - 1,
			 data[0] & 0x80 ? CHECK_SHAPE : CHECK_TYPES, &u,
			 &why) != UPDATE_OK ||
	    u.rows == 0 || u.frame_len > FRAME_MAX)
		return 0;
	frame = malloc(u.frame_len);
	CHECK(frame != NULL);
	update_write(&u, 9822 * NS_PER_DAY + 1, frame);
	rows = check_message(t, frame, u.frame_len, (uint32_t)u.rows);
	pick_and_merge(t, &rows, data[len - 1] * 0x9e3779b97f4a7c15u + len);
	if (rows.cnt <= APART_MAX)
		take_apart(t, &rows);
	free(frame);
	return 0;
}
