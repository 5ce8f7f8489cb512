#include "config.h"

#include "tick/request_text.h"

#include <string.h>

#include "base/util.h"
#include "schema/schema.h"
#include "wire/wire.h"

/* A text that was cut ends in "..". */
struct asked {
	char *text;
	size_t len;
	bool is_cut;
};

static void
put_chars(struct asked *a, const char *s, size_t len)
{
	for (size_t i = 0; i < len && !a->is_cut; i++) {
		char c = s[i];

		if (a->len == ASKED_BYTES - 3) {
			memcpy(a->text + a->len, "..", 2);
			a->len += 2;
			a->is_cut = true;
			return;
		}
		if (c < ' ' || c > '~' || c == '"' || c == '\\')
			c = '?';
		a->text[a->len++] = c;
	}
}

static void
put_name(struct asked *a, const char *name)
{
	put_chars(a, name, strlen(name));
}

/* Writes names and texts as they are, and the type of any other item.  Returns
 * whether r is after the item. */
static bool
put_item(struct asked *a, struct wire_reader *r)
{
	int type = (int8_t)*r->at;
	const char *name;
	size_t len;

	if (type == -KT_SYMBOL) {
		r->at++;
		name = wire_get_symbol(r, &len);
		if (name != NULL)
			put_chars(a, name, len);
		return r->bad == NULL;
	}
	if (type == KT_CHAR) {
		r->at++;
		len = (size_t)wire_get_count(r, 1, NULL);
		if (r->bad == NULL)
			put_chars(a, (const char *)r->at, len);
		r->at += r->bad == NULL ? len : 0;
		return r->bad == NULL;
	}
	put_name(a, schema_type_name(type));
	if (!wire_is_atom(type))
		return false;
	r->at += 1 + wire_item_bytes(-type);
	return true;
}

const char *
asked_text(char *buf, const uint8_t *body, size_t len)
{
	struct wire_reader r = wire_reader(body, len, false);
	struct asked a = { .text = buf };
	uint64_t cnt;

	if ((int8_t)*body != KT_LIST && (int8_t)*body != KT_SYMBOL) {
		(void)put_item(&a, &r);
	} else {
		bool is_names = (int8_t)*r.at++ == KT_SYMBOL;
		bool is_known = true;

		cnt = wire_get_count(&r, 1, NULL);
		put_chars(&a, "(", 1);
		for (uint64_t i = 0; i < cnt && is_known && !a.is_cut; i++) {
			const char *name = NULL;

			if (i > 0)
				put_chars(&a, ";", 1);
			if (is_names)
				name = wire_get_symbol(&r, &len);
			if (name != NULL)
				put_chars(&a, name, len);
			else
				is_known = !is_names && put_item(&a, &r);
			if (!is_known && i + 1 < cnt)
				put_name(&a, ";..");
		}
		put_chars(&a, ")", 1);
	}
	buf[a.len] = '\0';
	return buf;
}
