#include "config.h"

#include "tools/sub_rejoin.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"

/* ---- names ---- */

bool
sub_rejoin_next_name(const char **at, const char **out_name, size_t *out_len)
{
	if (**at == '\0')
		return false;
	*out_name = *at;
	*out_len = strcspn(*at, ",");
	*at += *out_len;
	*at += **at == ',';
	return true;
}

static bool
are_names(const char *tables)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789_,";
	size_t len = strlen(tables);

	return tables[strspn(tables, allowed)] == '\0' && tables[0] != ',' &&
	       (len == 0 || tables[len - 1] != ',') &&
	       strstr(tables, ",,") == NULL;
}

void
sub_rejoin_put_names(struct wire_writer *w, const char *names)
{
	const char *at = names, *name;
	uint32_t cnt = 0;
	size_t len;

	while (sub_rejoin_next_name(&at, &name, &len))
		cnt++;
	if (cnt == 0) {
		wire_put_symbol(w, "");
		return;
	}
	wire_put_list(w, KT_SYMBOL, KA_NONE, cnt);
	for (at = names; sub_rejoin_next_name(&at, &name, &len);)
		wire_put_symbol_item(w, name, len);
}

/* ---- the first request ---- */

bool
sub_rejoin_put_first(struct wire_writer *w, const char *tables,
		     const char *symbols, bool has_from, uint64_t from)
{
	char i[24] = ".u.i", text[128]; /* .u.i: the number of records now */

	if (!are_names(tables))
		return false;
	if (has_from)
		(void)snprintf(i, sizeof(i), "%" PRIu64, from);
	(void)snprintf(text, sizeof(text),
		       "{(.ringtick.subfrom[x;y;%s];%s;.u.d;.ringtick.epoch)}",
		       i, i);
	wire_put_list(w, KT_LIST, KA_NONE, 3);
	wire_put_string(w, text);
	sub_rejoin_put_names(w, tables);
	sub_rejoin_put_names(w, symbols);
	return !w->is_full;
}

static bool
read_long(struct wire_reader *r, int64_t *out)
{
	bool is_long = (int8_t)wire_get_u8(r) == -KT_LONG;

	*out = (int64_t)wire_get_u64(r);
	return is_long && r->bad == NULL && *out >= 0;
}

bool
sub_rejoin_read_first(struct wire_reader *r, struct sub_rejoin *out)
{
	struct wire_reader rest;
	uint8_t attr;
	int64_t i;

	if (wire_get_u8(r) != KT_LIST || wire_get_count(r, 1, &attr) != 4)
		return false;
	rest = *r;
	wire_skip(&rest);
	*out = (struct sub_rejoin){ .n = 0 };
	if (!read_long(&rest, &i) || (int8_t)wire_get_u8(&rest) != -KT_DATE)
		return false;
	out->i = (uint64_t)i;
	out->day = (int32_t)wire_get_u32(&rest);
	return read_long(&rest, &out->epoch);
}

/* ---- the requests after it ---- */

void
sub_rejoin_put_epoch(struct wire_writer *w)
{
	wire_put_string(w, ".ringtick.epoch");
}

bool
sub_rejoin_read_epoch(struct wire_reader *r, int64_t *out)
{
	return read_long(r, out);
}

void
sub_rejoin_put(struct wire_writer *w, const struct sub_rejoin *j,
	       const char *tables, const char *symbols)
{
	wire_put_list(w, KT_LIST, KA_NONE, 4);
	wire_put_symbol(w, ".ringtick.rejoin");
	sub_rejoin_put_names(w, tables);
	sub_rejoin_put_names(w, symbols);
	wire_put_list(w, KT_LIST, KA_NONE, 4);
	wire_put_long(w, j->epoch);
	wire_put_date(w, j->day);
	wire_put_long(w, (int64_t)j->i);
	wire_put_long(w, (int64_t)j->n);
}

const char *
sub_rejoin_explain(const char *error)
{
	static const struct {
		const char *error, *meaning;
	} rows[] = {
		{ "range", "the day has fewer records" },
		{ "epoch", "a crash of the server lost records that had come "
			   "here, or its journal was changed; begin again with "
			   "--from 0" },
		{ "day", "the server no longer has that day's journal open; "
			 "begin again with --from 0" },
		{ "schema", "the server's schema or settings have changed, so "
			    "that it cannot tell what has come here; begin "
			    "again with --from 0" },
		{ "nyi", "the server publishes in batches, whose messages "
			 "cannot be counted; begin again with --from 0" },
		{ "journal", "the server cannot write its journal now, so that "
			     "it cannot tell what has come here; try again "
			     "later" },
		{ ".ringtick.subfrom", "the server has no journal, or is not "
				       "ringtickd" },
		{ ".ringtick.rejoin", "the server has no journal any more" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (strcmp(error, rows[i].error) == 0)
			return rows[i].meaning;
	return "an unknown table is answered with its name";
}
