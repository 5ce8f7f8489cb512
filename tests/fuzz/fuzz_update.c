/*
 * libFuzzer: an update of a feed, after one byte that chooses table and check.
 * update_parse and wire_check_body agree on which bytes are malformed, although
 * the first reads no more than it must; the written message is as long as
 * announced, good for every subscriber, and the same by a known template.
 */
#include "config.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "schema/template.h"
#include "schema/update.h"
#include "base/util.h"
#include "fuzz_tables.h"
#include "wire/wire.h"

enum { FRAME_MAX = 1 << 20 };

#define STAMP (9822 * NS_PER_DAY + 1)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* The frame that a feed sends x in. Returns its length. */
static size_t
put_frame(const struct schema_table *t, const uint8_t *x, size_t len,
	  uint8_t *at)
{
	struct wire_writer w = wire_writer(at, FRAME_MAX + 64);
	size_t header = wire_begin_frame(&w, WIRE_ASYNC);

	wire_put_list(&w, KT_LIST, KA_NONE, 3);
	wire_put_symbol(&w, ".u.upd");
	wire_put_symbol(&w, t->name);
	wire_put_bytes(&w, x, len);
	wire_end_frame(&w, header);
	return wire_written(&w);
}

/* `written` (u->frame_len bytes) is the frame that the general way makes of x;
 * NULL: it refuses x. */
static void
check_template(const struct schema_table *t, const uint8_t *x, size_t len,
	       struct update *u, const uint8_t *written)
{
	static struct templates templates;
	static uint8_t frame[FRAME_MAX + 64];
	size_t frame_len = put_frame(t, x, len, frame), n = 0;
	const struct template *template =
		template_of(&templates, frame, frame_len);
	uint8_t *at = NULL;
	uint64_t rows = 0;

	if (template != NULL) {
		at = malloc(template_room(template, frame_len));
		CHECK(at != NULL);
		n = template_write(template, frame, frame_len, sizeof(frame),
				   STAMP, at, &rows);
	}
	if (n > 0)
		CHECK(written != NULL && n == u->frame_len &&
		      rows == u->rows && memcmp(at, written, n) == 0);
	free(at);
	if (written == NULL)
		return;
	u->items = frame + frame_len - len + (u->items - x);
	template_learn(&templates, frame, u);
}

static uint8_t *
write_checked(const struct update *u)
{
	uint8_t *frame = malloc(u->frame_len);
	bool has_long_counts = false;
	const char *bad;

	CHECK(frame != NULL);
	update_write(u, STAMP, frame);
	CHECK(wire_load_u32(frame + 4) == u->frame_len);
	bad = wire_check_body(frame + WIRE_HEADER_BYTES,
			      u->frame_len - WIRE_HEADER_BYTES, false,
			      &has_long_counts);
	/* The published message adds levels of its own. */
	CHECK(bad == NULL || strstr(bad, "too deeply") != NULL);
	CHECK(!has_long_counts);
	return frame;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const char *why = NULL, *bad;
	bool has_long_counts = false;
	enum update_result result;
	const struct schema_table *t;
	uint8_t *written = NULL;
	struct update u;

	if (schema.tables_cnt == 0)
		make_schema("s", "s");
	if (len < 1 || len > FRAME_MAX)
		return 0;
	t = &schema.tables[data[0] % schema.tables_cnt];
	result = update_parse(t, data + 1, len - 1,
			      data[0] & 0x80 ? CHECK_SHAPE : CHECK_TYPES, &u,
			      &why);
	CHECK(why != NULL || result == UPDATE_OK || result == UPDATE_REWRITE);
	bad = wire_check_body(data + 1, len - 1, false, &has_long_counts);
	if (len > 1 && (int8_t)data[1] == KT_ERROR)
		CHECK(result == UPDATE_BAD);
	else if (bad == NULL)
		CHECK(result != UPDATE_BAD &&
		      (result == UPDATE_REWRITE) == has_long_counts);
	else if (strstr(bad, "too deeply") == NULL)
		CHECK(result == UPDATE_BAD);
	if (result == UPDATE_OK && u.frame_len > FRAME_MAX)
		return 0;
	if (result == UPDATE_OK && u.rows > 0)
		written = write_checked(&u);
	if (len > 1)
		check_template(t, data + 1, len - 1, &u, written);
	free(written);
	return 0;
}
