#include "config.h"

#include "wire/wire.h"

#include "base/util.h"

/* Takes the next len bytes of the buffer.  NULL, and nothing is taken, if there
 * is no room. */
static uint8_t *
room(struct wire_writer *w, size_t len)
{
	uint8_t *at = w->at;

	if (w->is_full || len > (size_t)(w->end - w->at)) {
		w->is_full = true;
		return NULL;
	}
	w->at += len;
	return at;
}

void
wire_put_bytes(struct wire_writer *w, const void *bytes, size_t len)
{
	uint8_t *at = room(w, len);

	if (at != NULL && len > 0)
		memcpy(at, bytes, len);
}

void
wire_put_u8(struct wire_writer *w, uint8_t v)
{
	wire_put_bytes(w, &v, sizeof(v));
}

void
wire_put_u32(struct wire_writer *w, uint32_t v)
{
	uint8_t *at = room(w, sizeof(v));

	if (at != NULL)
		wire_store_u32(at, v);
}

void
wire_put_u64(struct wire_writer *w, uint64_t v)
{
	uint8_t *at = room(w, sizeof(v));

	if (at != NULL)
		wire_store_u64(at, v);
}

void
wire_put_list(struct wire_writer *w, int type, uint8_t attr, uint32_t count)
{
	uint8_t *at = room(w, 6);

	if (at == NULL)
		return;
	at[0] = (uint8_t)type;
	at[1] = attr;
	wire_store_u32(at + 2, count);
}

/* Writes a type byte (none if type is 0), the text and a NUL, or nothing at
 * all if they do not fit. */
static void
put_text(struct wire_writer *w, int type, const char *s, size_t len)
{
	uint8_t *at = room(w, (type != 0) + len + 1);

	if (at == NULL)
		return;
	if (type != 0)
		*at++ = (uint8_t)type;
	if (len > 0)
		memcpy(at, s, len);
	at[len] = 0;
}

void
wire_put_symbol_item(struct wire_writer *w, const char *s, size_t len)
{
	put_text(w, 0, s, len);
}

void
wire_put_symbol(struct wire_writer *w, const char *s)
{
	put_text(w, -KT_SYMBOL, s, strlen(s));
}

void
wire_put_error(struct wire_writer *w, const char *text)
{
	put_text(w, KT_ERROR, text, strlen(text));
}

void
wire_put_string(struct wire_writer *w, const char *s)
{
	size_t len = strlen(s);
	uint8_t *at;

	CHECK(len <= UINT32_MAX);
	at = room(w, 6 + len);
	if (at == NULL)
		return;
	at[0] = KT_CHAR;
	at[1] = KA_NONE;
	wire_store_u32(at + 2, (uint32_t)len);
	memcpy(at + 6, s, len);
}

static void
put_atom_u32(struct wire_writer *w, int type, uint32_t v)
{
	uint8_t *at = room(w, 5);

	if (at == NULL)
		return;
	at[0] = (uint8_t)-type;
	wire_store_u32(at + 1, v);
}

void
wire_put_int(struct wire_writer *w, int32_t v)
{
	put_atom_u32(w, KT_INT, (uint32_t)v);
}

void
wire_put_date(struct wire_writer *w, int32_t days)
{
	put_atom_u32(w, KT_DATE, (uint32_t)days);
}

void
wire_put_long(struct wire_writer *w, int64_t v)
{
	uint8_t *at = room(w, 9);

	if (at == NULL)
		return;
	at[0] = (uint8_t)-KT_LONG;
	wire_store_u64(at + 1, (uint64_t)v);
}

void
wire_put_null(struct wire_writer *w)
{
	static const uint8_t null[] = { KT_UNARY, 0 };

	wire_put_bytes(w, null, sizeof(null));
}

size_t
wire_begin_frame(struct wire_writer *w, enum wire_message message)
{
	const uint8_t header[WIRE_HEADER_BYTES] = { 1, (uint8_t)message };
	size_t header_off = wire_written(w);

	wire_put_bytes(w, header, sizeof(header));
	return header_off;
}

void
wire_end_frame(struct wire_writer *w, size_t header_off)
{
	size_t len = wire_written(w) - header_off;

	if (w->is_full)
		return;
	CHECK(len >= WIRE_FRAME_MIN && len <= UINT32_MAX);
	wire_store_u32(w->base + header_off + 4, (uint32_t)len);
}
