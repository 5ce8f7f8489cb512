#include "config.h"

#include "config/rights_load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/reader.h"
#include "config/rights.h"
#include "wire/wire.h"

enum {
	USERS_MAX = 10000, /* rows of auth.rights */
	REQUESTS_MAX = 1000000,
};

static const char table_wanted[] =
	"\"*\" (all tables), or tables of the schema";
static const char text_wanted[] = "a name, such as \"rdb\"";

/* What a row may have besides its name and roles: how it is read, and printed
 * as it is written; `what` is the right, the limit, or the setting that it
 * takes the place of. */
struct member {
	const char *name;
	int (*read)(struct reader *r, config_setting_t *at,
		    struct rights *rights, const struct member *m);
	void (*print)(FILE *out, const struct settings *s,
		      const struct rights *rights, const struct member *m);
	unsigned what;
};

/* ---- tables ---- */

/* Calls one() for each string of a list, or for a single string. */
typedef int (*read_one)(struct reader *r, config_setting_t *at,
			struct rights *rights);

static int
read_each(struct reader *r, config_setting_t *at, struct rights *rights,
	  read_one one)
{
	if (!reader_is_list(at))
		return one(r, at, rights);
	for (int i = 0; i < config_setting_length(at); i++) {
		int res = one(r, config_setting_get_elem(at, (unsigned)i),
			      rights);

		if (res != 0)
			return res;
	}
	return 0;
}

/* The table that is named; *out is NULL for "*". */
static int
find_table(struct reader *r, config_setting_t *at,
	   const struct schema_table **out)
{
	const char *name = config_setting_get_string(at);

	*out = NULL;
	if (name == NULL)
		return reader_refuse(r, at, "is not a string", table_wanted);
	if (strcmp(name, "*") == 0)
		return 0;
	*out = schema_find(&r->s->tables, name, strlen(name));
	return *out != NULL ? 0
			    : reader_refuse(r, at, "is not in the schema",
					    table_wanted);
}

static int
read_publish_one(struct reader *r, config_setting_t *at, struct rights *rights)
{
	const struct schema_table *t;
	int res = find_table(r, at, &t);

	for (unsigned i = 0; res == 0 && i < r->s->tables.tables_cnt; i++)
		if (t == NULL || t->idx == i)
			bits_set(rights->publish, i, true);
	rights->publishes_all =
		rights->publishes_all || (res == 0 && t == NULL);
	return res;
}

static int
read_publish(struct reader *r, config_setting_t *at, struct rights *rights,
	     const struct member *m)
{
	(void)m;
	return read_each(r, at, rights, read_publish_one);
}

/* { table = "trade"; symbols = ( "IBM", "MSFT" ); } */
static int
read_restricted(struct reader *r, config_setting_t *at, struct rights *rights)
{
	static const char wanted[] =
		"{ table = \"trade\"; symbols = ( \"IBM\", ... ); }";
	config_setting_t *table = config_setting_get_member(at, "table");
	config_setting_t *symbols = config_setting_get_member(at, "symbols");
	const struct schema_table *t;
	int res;

	if (table == NULL || symbols == NULL || config_setting_length(at) != 2)
		return reader_refuse(r, at, "is not complete, or has more",
				     wanted);
	res = find_table(r, table, &t);
	if (res != 0)
		return res;
	if (t == NULL)
		return reader_refuse(r, table, "has no symbols of its own",
				     "one table");
	if (t->columns_cnt < 2 || t->columns[1].type != KT_SYMBOL)
		return reader_refuse(r, table, "has no column of symbols",
				     "a table whose second column is of type "
				     "symbol");
	if (!reader_is_list(symbols) || config_setting_length(symbols) == 0)
		return reader_refuse(r, symbols, "is not a list of symbols",
				     wanted);
	for (int i = 0; i < config_setting_length(symbols); i++) {
		config_setting_t *item =
			config_setting_get_elem(symbols, (unsigned)i);
		const char *symbol = config_setting_get_string(item);

		if (symbol == NULL)
			return reader_refuse(r, item, "is not a string",
					     wanted);
		if (!rights_give_symbol(rights, t->idx, symbol))
			return reader_fail_memory(r);
	}
	return 0;
}

static int
read_subscribe_one(struct reader *r, config_setting_t *at,
		   struct rights *rights)
{
	const struct schema_table *t;
	int res;

	if (config_setting_type(at) == CONFIG_TYPE_GROUP)
		return read_restricted(r, at, rights);
	res = find_table(r, at, &t);
	for (unsigned i = 0; res == 0 && i < r->s->tables.tables_cnt; i++)
		if (t == NULL || t->idx == i)
			rights_give_table(rights, i);
	return res;
}

static int
read_subscribe(struct reader *r, config_setting_t *at, struct rights *rights,
	       const struct member *m)
{
	(void)m;
	return read_each(r, at, rights, read_subscribe_one);
}

/* ---- the rest of a row ---- */

static int
read_right(struct reader *r, config_setting_t *at, struct rights *rights,
	   const struct member *m)
{
	if (config_setting_type(at) != CONFIG_TYPE_BOOL)
		return reader_refuse(r, at, "is not a flag", "true or false");
	if (config_setting_get_bool(at))
		rights->may |= m->what;
	return 0;
}

static int
read_policy(struct reader *r, config_setting_t *at, struct rights *rights,
	    const struct member *m)
{
	const struct option *o = &options[OPTION_slow_policy];
	struct value v = reader_value_of(at);
	unsigned choice;
	const char *complaint = option_read_choice(o, &v, &choice);

	(void)m;
	if (complaint != NULL)
		return reader_refuse(r, at, complaint, option_limits(o).text);
	rights->policy = (int)choice;
	return 0;
}

static int
read_spill_limit(struct reader *r, config_setting_t *at, struct rights *rights,
		 const struct member *m)
{
	const struct option *o = &options[OPTION_slow_spill_limit];
	struct value v = reader_value_of(at);
	const char *complaint =
		option_read_quantity(o, &v, &rights->spill_limit);

	(void)m;
	return complaint == NULL
		       ? 0
		       : reader_refuse(r, at, complaint, option_limits(o).text);
}

static uint32_t
limit_max(enum right_limit limit)
{
	switch (limit) {
	case LIMIT_CONNECTIONS:
		return (uint32_t)options[OPTION_connections_max].max;
	case LIMIT_BUFFERS:
		return (uint32_t)options[OPTION_message_buffers].max;
	case LIMIT_REQUESTS:
		return REQUESTS_MAX;
	case LIMIT_SYMBOLS:
		return (uint32_t)options[OPTION_streams_symbols].max;
	case RIGHT_LIMITS:
		break;
	}
	return 0;
}

static int
read_limit(struct reader *r, config_setting_t *at, struct rights *rights,
	   const struct member *m)
{
	struct value v = reader_value_of(at);
	uint32_t max = limit_max(m->what);

	if (v.kind != VALUE_INTEGER || v.number < 1 || v.number > max)
		return reader_refuse(r, at,
				     v.kind == VALUE_INTEGER
					     ? "is out of range"
					     : "is not an integer",
				     phrase_of("1 to %u", max).text);
	rights->limits[m->what] = (uint32_t)v.number;
	return 0;
}

/* ---- as text ---- */

/* As a file has it. */
static void
print_string(FILE *out, const char *text)
{
	(void)putc('"', out);
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;

		if (c < ' ' || c == 127)
			(void)fprintf(out, "\\x%02x", c);
		else
			(void)fprintf(out, "%s%c",
				      c == '"' || c == '\\' ? "\\" : "", c);
	}
	(void)putc('"', out);
}

static void
print_symbols(FILE *out, const struct rights *rights, unsigned table_idx)
{
	unsigned cnt;
	const struct symbol_right *symbols =
		rights_symbols(rights, table_idx, &cnt);

	for (unsigned i = 0; i < cnt; i++) {
		(void)fputs(i == 0 ? "; symbols = ( " : ", ", out);
		print_string(out, symbols[i].symbol);
	}
	(void)fputs(" ); }", out);
}

static bool
has_all(const struct settings *s, const struct rights *rights,
	const uint64_t *tables)
{
	for (unsigned i = 0; i < s->tables.tables_cnt; i++)
		if (!bits_has(tables, i) ||
		    (tables == rights->subscribe &&
		     rights_is_restricted(rights, i)))
			return false;
	return true;
}

static void
print_tables(FILE *out, const struct settings *s, const struct rights *rights,
	     const uint64_t *tables)
{
	const char *between = "";

	if (has_all(s, rights, tables)) {
		(void)fputs("\"*\"", out);
		return;
	}
	(void)fputs("(", out);
	for (unsigned i = 0; i < s->tables.tables_cnt; i++) {
		bool is_restricted = tables == rights->subscribe &&
				     rights_is_restricted(rights, i);

		if (!bits_has(tables, i))
			continue;
		(void)fprintf(out, "%s %s", between,
			      is_restricted ? "{ table = " : "");
		print_string(out, s->tables.tables[i].name);
		if (is_restricted)
			print_symbols(out, rights, i);
		between = ",";
	}
	(void)fputs(" )", out);
}

static void
print_publish(FILE *out, const struct settings *s, const struct rights *rights,
	      const struct member *m)
{
	(void)m;
	print_tables(out, s, rights, rights->publish);
}

static void
print_subscribe(FILE *out, const struct settings *s,
		const struct rights *rights, const struct member *m)
{
	(void)m;
	print_tables(out, s, rights, rights->subscribe);
}

static void
print_right(FILE *out, const struct settings *s, const struct rights *rights,
	    const struct member *m)
{
	(void)s;
	(void)fputs((rights->may & m->what) != 0 ? "true" : "false", out);
}

/* A setting of slow.*, which is the user's own or everybody's. */
static void
print_slow(FILE *out, const struct settings *s, const struct rights *rights,
	   const struct member *m)
{
	const struct option *o = &options[m->what];
	const char *quote = o->kind == KIND_TIME ? "\"" : "";
	struct settings own = *s;

	if (rights->policy >= 0)
		own.slow.policy = (enum slow_policy)rights->policy;
	if (rights->spill_limit >= 0)
		own.slow.spill_limit = rights->spill_limit;
	(void)fprintf(out, "%s%s%s", quote, option_show(&own, o).text, quote);
}

static void
print_limit(FILE *out, const struct settings *s, const struct rights *rights,
	    const struct member *m)
{
	(void)s;
	(void)fprintf(out, "%u", rights->limits[m->what]);
}

/* ---- rows ---- */

static const struct member members[] = {
	{ "publish", read_publish, print_publish, 0 },
	{ "subscribe", read_subscribe, print_subscribe, 0 },
	{ "ask", read_right, print_right, RIGHT_ASK },
	{ "past", read_right, print_right, RIGHT_PAST },
	{ "administer", read_right, print_right, RIGHT_ADMINISTER },
	{ "policy", read_policy, print_slow, OPTION_slow_policy },
	{ "spill_limit", read_spill_limit, print_slow,
	  OPTION_slow_spill_limit },
	{ "connections", read_limit, print_limit, LIMIT_CONNECTIONS },
	{ "buffers", read_limit, print_limit, LIMIT_BUFFERS },
	{ "requests", read_limit, print_limit, LIMIT_REQUESTS },
	{ "symbols", read_limit, print_limit, LIMIT_SYMBOLS },
};

/* Of these, a row with none of the first has the rights of auth.role. */
enum { MEMBERS_OF_RIGHTS = 5 };

static const char members_wanted[] = "publish, subscribe, ask, past, "
				     "administer, policy, spill_limit, "
				     "connections, buffers, requests and "
				     "symbols";

static const struct rights *
find_role(const struct settings *s, const char *name)
{
	return rights_find(s->auth.role_rows, s->auth.role_rows_cnt, name);
}

static int
read_role_name(struct reader *r, config_setting_t *at, struct rights *rights)
{
	const char *name = config_setting_get_string(at);
	const struct rights *role;

	if (name == NULL)
		return reader_refuse(r, at, "is not a string", text_wanted);
	role = find_role(r->s, name);
	if (role == NULL)
		return reader_refuse(
			r, at, "is not a role",
			"\"all\", \"none\", \"admin\", or a role of "
			"auth.roles");
	return rights_add_role(rights, role) ? 0 : reader_fail_memory(r);
}

static int
read_member(struct reader *r, config_setting_t *at, struct rights *rights,
	    bool *has_rights)
{
	const char *name = config_setting_name(at);

	for (size_t i = 0; i < ARRAY_LEN(members); i++) {
		if (strcmp(members[i].name, name) != 0)
			continue;
		*has_rights = *has_rights || i < MEMBERS_OF_RIGHTS;
		return members[i].read(r, at, rights, &members[i]);
	}
	return reader_fail(r, "%s:%u: setting %s: is unknown; allowed: %s",
			   r->path, config_setting_source_line(at),
			   reader_path_of(at).text, members_wanted);
}

/*
 * Reads a row into *rights.  `key` names the member with the row's name.  A
 * user may have roles: they come last, and do not change the user's own
 * settings.
 */
static int
read_members(struct reader *r, config_setting_t *row, const char *key,
	     struct rights *rights)
{
	bool is_user = strcmp(key, "user") == 0, has_rights = false;
	config_setting_t *roles = NULL;

	for (int i = 0; i < config_setting_length(row); i++) {
		config_setting_t *at =
			config_setting_get_elem(row, (unsigned)i);
		const char *name = config_setting_name(at);
		int res;

		if (strcmp(name, key) == 0)
			continue;
		if (is_user && strcmp(name, "roles") == 0) {
			roles = at;
			continue;
		}
		res = read_member(r, at, rights, &has_rights);
		if (res != 0)
			return res;
	}
	if (roles != NULL)
		return read_each(r, roles, rights, read_role_name);
	if (is_user && !has_rights &&
	    !rights_add_role(rights, r->s->auth.others))
		return reader_fail_memory(r);
	return 0;
}

/* Why no client can have this name; NULL if one can (wire_read_hello). */
static const char *
name_fault(const char *name)
{
	if (strlen(name) > USER_BYTES_MAX)
		return "is longer than 127 bytes, and a client with such a "
		       "name is refused";
	if (strchr(name, ':') != NULL)
		return "has a colon, and the password begins there";
	return NULL;
}

static int
read_row(struct reader *r, config_setting_t *row, const char *key,
	 struct rights *all, unsigned *cnt)
{
	config_setting_t *name = NULL;
	const char *text, *complaint;
	int res;

	if (config_setting_type(row) == CONFIG_TYPE_GROUP)
		name = config_setting_get_member(row, key);
	if (name == NULL)
		return reader_refuse(
			r, row, "is not a group with a name",
			phrase_of("{ %s = ...; publish = ...; ... }", key)
				.text);
	text = config_setting_get_string(name);
	if (text == NULL)
		return reader_refuse(r, name, "is not a string", text_wanted);
	complaint = name_fault(text);
	if (complaint != NULL)
		return reader_refuse(r, name, complaint,
				     "a name that a client can have");
	if (rights_find(all, *cnt, text) != NULL)
		return reader_refuse(r, name, "is listed twice, or built in",
				     "each name once");
	if (!rights_init(&all[*cnt], text))
		return reader_fail_memory(r);
	if (all == r->s->auth.role_rows)
		bits_set(all[*cnt].roles, *cnt, true);
	res = read_members(r, row, key, &all[(*cnt)++]);
	rights_finish(&all[*cnt - 1]);
	rights_set_view(&all[*cnt - 1], &r->s->tables);
	return res;
}

static int
read_rows(struct reader *r, config_setting_t *list, const char *key,
	  struct rights *all, unsigned *cnt)
{
	for (int i = 0; list != NULL && i < config_setting_length(list); i++) {
		int res =
			read_row(r, config_setting_get_elem(list, (unsigned)i),
				 key, all, cnt);

		if (res != 0)
			return res;
	}
	return 0;
}

/* ---- all of them ---- */

static struct rights *
make_rows(config_setting_t *list, unsigned more)
{
	size_t cnt = list == NULL ? 0 : (size_t)config_setting_length(list);

	return calloc(cnt + more, sizeof(struct rights));
}

static bool
add_built_in(struct settings *s, const char *name, bool has_all, unsigned may)
{
	struct rights *role = &s->auth.role_rows[s->auth.role_rows_cnt++];

	if (!rights_init(role, name))
		return false;
	bits_set(role->roles, s->auth.role_rows_cnt - 1, true);
	if (has_all)
		rights_give_all(role, &s->tables, may);
	return true;
}

static int
find_others(struct reader *r)
{
	struct settings *s = r->s;
	const char *name = s->auth.role;

	/* Without passwords as in tick.q: everybody may do all. */
	if (name[0] == '\0')
		name = settings_want_password(s) || s->auth.certificate
			       ? "all"
			       : "admin";
	s->auth.others = find_role(s, name);
	if (s->auth.others != NULL)
		return 0;
	return reader_fail(
		r,
		"%s:%u: setting auth.role: \"%.48s\" is not a role; "
		"allowed: \"all\", \"none\", \"admin\", or a role of "
		"auth.roles",
		r->path, r->lines[OPTION_auth_role], s->auth.role);
}

/* The listener with this number in the file. */
static struct listen_settings *
listen_of(struct settings *s, unsigned idx)
{
	return idx == 0 ? &s->listen : &s->more_listens[idx - 1];
}

static int
read_listen_roles(struct reader *r)
{
	for (unsigned i = 0; i < LISTENS_MAX; i++) {
		struct listen_settings *l;
		struct rights sum = { 0 };
		int res;

		if (r->listen_roles[i] == NULL)
			continue;
		l = listen_of(r->s, i);
		if (reader_is_list(r->listen_roles[i]) &&
		    config_setting_length(r->listen_roles[i]) == 0)
			return reader_refuse(r, r->listen_roles[i],
					     "is empty",
					     "roles, or no such setting");
		res = read_each(r, r->listen_roles[i], &sum, read_role_name);
		memcpy(l->roles, sum.roles, sizeof(l->roles));
		l->has_roles = true;
		rights_fini(&sum);
		if (res != 0)
			return res;
	}
	return 0;
}

int
rights_load(struct reader *r)
{
	struct settings *s = r->s;
	int res;

	if (r->roles != NULL && config_setting_length(r->roles) > ROLES_MAX - 3)
		return reader_refuse(r, r->roles, "is too long", "250 roles");
	if (r->rights != NULL && config_setting_length(r->rights) > USERS_MAX)
		return reader_refuse(r, r->rights, "is too long", "10000 rows");
	s->auth.role_rows = make_rows(r->roles, 3);
	s->auth.user_rows = make_rows(r->rights, 1);
	if (s->auth.role_rows == NULL || s->auth.user_rows == NULL ||
	    !add_built_in(s, "none", false, 0) ||
	    !add_built_in(s, "all", true, RIGHT_ASK | RIGHT_PAST) ||
	    !add_built_in(s, "admin", true,
			  RIGHT_ASK | RIGHT_PAST | RIGHT_ADMINISTER))
		return reader_fail_memory(r);
	res = read_rows(r, r->roles, "role", s->auth.role_rows,
			&s->auth.role_rows_cnt);
	if (res == 0)
		res = find_others(r);
	if (res == 0)
		res = read_rows(r, r->rights, "user", s->auth.user_rows,
				&s->auth.user_rows_cnt);
	rights_sort(s->auth.user_rows, s->auth.user_rows_cnt);
	return res != 0 ? res : read_listen_roles(r);
}

/* ---- what each may do ---- */

static void
print_roles(FILE *out, const struct settings *s, const struct rights *rights)
{
	unsigned cnt = s->auth.role_rows_cnt;
	const char *before = " roles = ( ", *after = "";

	for (unsigned i = bits_next(rights->roles, 0, cnt); i < cnt;
	     i = bits_next(rights->roles, i + 1, cnt)) {
		(void)fputs(before, out);
		print_string(out, s->auth.role_rows[i].name);
		before = ", ";
		after = " );";
	}
	(void)fputs(after, out);
}

static bool
is_shown(const struct member *m, const struct rights *rights)
{
	return m->print != print_limit || rights->limits[m->what] > 0;
}

static void
print_row(FILE *out, const struct settings *s, const char *key,
	  const struct rights *rights)
{
	(void)fprintf(out, "{ %s = ", key);
	print_string(out, rights->name);
	(void)putc(';', out);
	if (rights != s->auth.others)
		print_roles(out, s, rights);
	for (size_t i = 0; i < ARRAY_LEN(members); i++) {
		if (!is_shown(&members[i], rights))
			continue;
		(void)fprintf(out, " %s = ", members[i].name);
		members[i].print(out, s, rights, &members[i]);
		(void)putc(';', out);
	}
	(void)fputs(" }", out);
}

void
rights_print(FILE *out, const struct settings *s)
{
	for (unsigned i = 0; i < s->auth.user_rows_cnt; i++) {
		print_row(out, s, "user", &s->auth.user_rows[i]);
		(void)putc('\n', out);
	}
	print_row(out, s, "role", s->auth.others);
	(void)fputs(" # everybody else\n", out);
}
