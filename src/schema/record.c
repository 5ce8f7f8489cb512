#include "config.h"

#include "schema/record.h"

#include <endian.h>
#include <string.h>

#include "base/util.h"
#include "wire/wire.h"

enum {
	/* list of 3, `upd with type byte and NUL: (`upd; */
	START_BYTES = WIRE_LIST_HEADER_BYTES + 5,
};

const struct schema_table *
record_table(const struct schema *schema, const uint8_t *frame)
{
	/* after the type byte of the table's symbol */
	const char *name =
		(const char *)frame + WIRE_HEADER_BYTES + START_BYTES + 1;
	const struct schema_table *t =
		schema_find(schema, name, strlen(name));

	CHECK(t != NULL);
	return t;
}

size_t
record_frame_start_len(const struct schema_table *t)
{
	return t->publish_prefix_len - WIRE_LIST_HEADER_BYTES;
}

size_t
record_start_len(const struct schema_table *t)
{
	return START_BYTES + 1 + strlen(t->name) + 1;
}

size_t
record_saves(const struct schema_table *t)
{
	return record_frame_start_len(t) - record_start_len(t);
}

size_t
record_from_frame(const struct schema_table *t, const uint8_t *frame,
		  size_t frame_len, uint8_t *at)
{
	size_t start = record_start_len(t),
	       columns_off = record_frame_start_len(t);

	memcpy(at, frame + WIRE_HEADER_BYTES, start);
	memcpy(at + start, frame + columns_off, frame_len - columns_off);
	return start + frame_len - columns_off;
}

void
record_write_frame_start(const struct schema_table *t, size_t record_len,
			 uint8_t *at)
{
	uint32_t len = htole32((uint32_t)(record_len + record_saves(t)));

	memcpy(at, t->publish_prefix, record_frame_start_len(t));
	memcpy(at + 4, &len, sizeof(len));
}

void
record_to_frame(const struct schema_table *t, const uint8_t *record,
		size_t record_len, uint8_t *at)
{
	size_t start = record_start_len(t);

	record_write_frame_start(t, record_len, at);
	memcpy(at + record_frame_start_len(t), record + start,
	       record_len - start);
}
