#include "config.h"

#include "config/rights_load.h"

#include <stdlib.h>
#include <string.h>

#include "config/rights.h"
#include "wire/wire.h"

enum {
	USERS_MAX = 10000, /* rows of auth.rights */
	REQUESTS_MAX = 1000000,
};

static const char table_wanted[] =
	"\"*\" (all tables), or tables of the schema";
static const char text_wanted[] = "a name, such as \"rdb\"";

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
read_publish(struct reader *r, config_setting_t *at, struct rights *rights)
{
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
read_subscribe(struct reader *r, config_setting_t *at, struct rights *rights)
{
	return read_each(r, at, rights, read_subscribe_one);
}

/* ---- the rest of a row ---- */

static int
read_right(struct reader *r, config_setting_t *at, struct rights *rights,
	   enum right right)
{
	if (config_setting_type(at) != CONFIG_TYPE_BOOL)
		return reader_refuse(r, at, "is not a flag", "true or false");
	if (config_setting_get_bool(at))
		rights->may |= right;
	return 0;
}

static int
read_ask(struct reader *r, config_setting_t *at, struct rights *rights)
{
	return read_right(r, at, rights, RIGHT_ASK);
}

static int
read_past(struct reader *r, config_setting_t *at, struct rights *rights)
{
	return read_right(r, at, rights, RIGHT_PAST);
}

static int
read_administer(struct reader *r, config_setting_t *at, struct rights *rights)
{
	return read_right(r, at, rights, RIGHT_ADMINISTER);
}

static int
read_policy(struct reader *r, config_setting_t *at, struct rights *rights)
{
	const struct option *o = &options[OPTION_slow_policy];
	struct value v = reader_value_of(at);
	unsigned choice;
	const char *complaint = option_read_choice(o, &v, &choice);

	if (complaint != NULL)
		return reader_refuse(r, at, complaint, option_limits(o).text);
	rights->policy = (int)choice;
	return 0;
}

static int
read_spill_limit(struct reader *r, config_setting_t *at, struct rights *rights)
{
	const struct option *o = &options[OPTION_slow_spill_limit];
	struct value v = reader_value_of(at);
	const char *complaint =
		option_read_quantity(o, &v, &rights->spill_limit);

	return complaint == NULL
		       ? 0
		       : reader_refuse(r, at, complaint, option_limits(o).text);
}

static int
read_limit(struct reader *r, config_setting_t *at, struct rights *rights,
	   enum right_limit limit, uint32_t max)
{
	struct value v = reader_value_of(at);

	if (v.kind != VALUE_INTEGER || v.number < 1 || v.number > max)
		return reader_refuse(r, at,
				     v.kind == VALUE_INTEGER
					     ? "is out of range"
					     : "is not an integer",
				     phrase_of("1 to %u", max).text);
	rights->limits[limit] = (uint32_t)v.number;
	return 0;
}

static int
read_connections(struct reader *r, config_setting_t *at, struct rights *rights)
{
	return read_limit(r, at, rights, LIMIT_CONNECTIONS,
			  (uint32_t)options[OPTION_connections_max].max);
}

static int
read_buffers(struct reader *r, config_setting_t *at, struct rights *rights)
{
	return read_limit(r, at, rights, LIMIT_BUFFERS,
			  (uint32_t)options[OPTION_message_buffers].max);
}

static int
read_requests(struct reader *r, config_setting_t *at, struct rights *rights)
{
	return read_limit(r, at, rights, LIMIT_REQUESTS, REQUESTS_MAX);
}

static int
read_symbols(struct reader *r, config_setting_t *at, struct rights *rights)
{
	return read_limit(r, at, rights, LIMIT_SYMBOLS,
			  (uint32_t)options[OPTION_streams_symbols].max);
}

/* ---- rows ---- */

static const struct {
	const char *name;
	read_one read;
} members[] = {
	{ "publish", read_publish },
	{ "subscribe", read_subscribe },
	{ "ask", read_ask },
	{ "past", read_past },
	{ "administer", read_administer },
	{ "policy", read_policy },
	{ "spill_limit", read_spill_limit },
	{ "connections", read_connections },
	{ "buffers", read_buffers },
	{ "requests", read_requests },
	{ "symbols", read_symbols },
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
		return members[i].read(r, at, rights);
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
		name = settings_want_password(s) ? "all" : "admin";
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
