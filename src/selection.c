#include "config.h"

#include "selection.h"

#include <stdio.h>

#include "util.h"

struct selection
selection_all(const struct schema *schema)
{
	struct selection s = { 0 };

	for (unsigned i = 0; i < schema->tables_cnt; i++)
		selection_add(&s, i);
	return s;
}

const char *
selection_text(const struct selection *s, const struct schema *schema,
	       char *buf, size_t buf_len)
{
	size_t len = 0;

	CHECK(buf_len >= 8);
	buf[len] = '\0';
	for (unsigned i = 0; i < schema->tables_cnt; i++) {
		const char *name = schema->tables[i].name;

		if (!selection_has(s, i))
			continue;
		if (len + strlen(name) + 5 > buf_len) {
			memcpy(buf + len, "...", 4);
			break;
		}
		len += (size_t)snprintf(buf + len, buf_len - len, "%s%s",
					len > 0 ? "," : "", name);
	}
	return buf;
}
