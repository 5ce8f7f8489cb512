/*
 * libFuzzer: the text of a schema file.  A schema that was read can be
 * finished, each table is found by its name, and its constant bytes are good
 * objects; a refusal names a place inside the text and says why in one line.
 */
#include "config.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "schema/schema.h"
#include "base/util.h"
#include "wire/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
check_table(const struct schema *s, unsigned idx)
{
	const struct schema_table *t = &s->tables[idx];
	struct wire_reader r =
		wire_reader(t->sub_reply, t->sub_reply_len, false);
	struct wire_header h;
	const char *why;
	uint8_t *frame;

	CHECK(t->idx == idx);
	CHECK(schema_find(s, t->name, strlen(t->name)) == t);
	CHECK(t->columns_cnt >= 2);
	wire_skip(&r);
	CHECK(r.bad == NULL && r.at == r.end);

	frame = malloc(t->publish_prefix_len);
	CHECK(frame != NULL);
	memcpy(frame, t->publish_prefix, t->publish_prefix_len);
	wire_store_u32(frame + 4, (uint32_t)t->publish_prefix_len);
	CHECK(wire_read_header(frame, t->publish_prefix_len, UINT32_MAX, &h,
			       &why) == WIRE_OK);
	CHECK(h.message == WIRE_ASYNC && h.len == t->publish_prefix_len);
	free(frame);
}

static void
check_error(const struct schema_error *err, const uint8_t *data, size_t len)
{
	unsigned lines = 1;

	for (size_t i = 0; i < len; i++)
		lines += data[i] == '\n';
	CHECK(err->line >= 1 && err->line <= lines);
	CHECK(err->column >= 1 && err->column <= len + 1);
	CHECK(err->text[0] != '\0' && strchr(err->text, '\n') == NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct schema s = { 0 };
	struct schema_error err;
	int res = schema_parse(&s, (const char *)data, len, &err);

	if (res != 0) {
		CHECK(res == -EINVAL);
		check_error(&err, data, len);
	} else if (s.tables_cnt > 0) {
		CHECK(schema_finish(&s, &err) == 0);
		for (unsigned i = 0; i < s.tables_cnt; i++)
			check_table(&s, i);
	}
	schema_fini(&s);
	return 0;
}
