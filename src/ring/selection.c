#include "config.h"

#include "ring/selection.h"

#include <stdio.h>

#include "base/util.h"

struct selection
selection_all(const struct schema *schema)
{
	struct selection s = { 0 };

	for (unsigned i = 0; i < schema->tables_cnt; i++)
		selection_add(&s, i);
	return s;
}

void
selection_keep(struct symbols *symbols, struct selection *to,
	       const struct selection *from)
{
	struct symbol_set *before = to->symbols;

	symbols_hold(from->symbols);
	*to = *from;
	symbols_release(symbols, before);
}

void
selection_drop(struct symbols *symbols, struct selection *s)
{
	symbols_release(symbols, s->symbols);
	*s = (struct selection){ 0 };
}

/* "[5]" if the table is filtered by 5 symbols, else "". */
static const char *
filter_text(const struct selection *s, const struct symbols *symbols,
	    unsigned table_idx, char *buf, size_t buf_len)
{
	unsigned cnt = 0;
	uint32_t at = 0;
	const uint8_t *symbol;
	size_t len;

	buf[0] = '\0';
	if (!selection_filters(s, table_idx))
		return buf;
	while (symbols_next(symbols, s->symbols, table_idx, &at, &symbol, &len))
		cnt++;
	(void)snprintf(buf, buf_len, "[%u]", cnt);
	return buf;
}

const char *
selection_text(const struct selection *s, const struct symbols *symbols,
	       const struct schema *schema, char *buf, size_t buf_len)
{
	size_t len = 0;

	CHECK(buf_len >= 8);
	buf[len] = '\0';
	for (unsigned i = 0; i < schema->tables_cnt; i++) {
		const char *name = schema->tables[i].name;
		char filter[16];

		if (!selection_has(s, i))
			continue;
		filter_text(s, symbols, i, filter, sizeof(filter));
		if (len + strlen(name) + strlen(filter) + 5 > buf_len) {
			memcpy(buf + len, "...", 4);
			break;
		}
		len += (size_t)snprintf(buf + len, buf_len - len, "%s%s%s",
					len > 0 ? "," : "", name, filter);
	}
	return buf;
}
