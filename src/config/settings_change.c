#include "config.h"

#include "config/settings_change.h"

#include <stdio.h>
#include <string.h>

#include "config/options.h"

/* What can change while the daemon runs; so can auth.roles, auth.rights,
 * listen.networks and listen.roles. */
static const enum option_idx changing[] = {
	OPTION_auth_users,
	OPTION_auth_pam,
	OPTION_auth_certificate,
	OPTION_auth_role,
	OPTION_connections_handshake_timeout,
	OPTION_connections_per_address,
	OPTION_connections_tcp_user_timeout,
	OPTION_message_timeout,
	OPTION_slow_policy,
	OPTION_slow_leave_percent,
	OPTION_slow_return_percent,
	OPTION_slow_block_limit,
	OPTION_slow_spill_limit,
	OPTION_log_report,
	OPTION_log_report_consumers,
	OPTION_stop_timeout,
};

static bool
can_change(unsigned idx)
{
	for (size_t i = 0; i < ARRAY_LEN(changing); i++)
		if (changing[i] == idx)
			return true;
	return false;
}

/* ---- differences ---- */

static size_t
bytes_of(const struct option *o)
{
	switch (o->kind) {
	case KIND_FLAG:
		return sizeof(bool);
	case KIND_CHOICE:
		return sizeof(unsigned);
	case KIND_TEXT:
		return sizeof(char *);
	case KIND_SIZE:
	case KIND_TIME:
	case KIND_COUNT:
		break;
	}
	return sizeof(uint64_t);
}

static bool
is_equal(const struct option *o, const struct settings *a,
	 const struct settings *b)
{
	const char *x = (const char *)a + o->off, *y = (const char *)b + o->off;

	if (o->kind == KIND_TEXT)
		return strcmp(*(char *const *)x, *(char *const *)y) == 0;
	return memcmp(x, y, bytes_of(o)) == 0;
}

static bool
is_equal_listen(const struct listen_settings *a,
		const struct listen_settings *b)
{
	return strcmp(a->address, b->address) == 0 && a->port == b->port &&
	       a->unix_socket == b->unix_socket && a->proxy == b->proxy &&
	       strcmp(a->unix_path, b->unix_path) == 0 &&
	       strcmp(a->unix_group, b->unix_group) == 0 &&
	       strcmp(a->unix_mode, b->unix_mode) == 0;
}

/* The listeners after the first one, whose settings are options. */
static bool
are_listens_equal(const struct settings *a, const struct settings *b)
{
	if (a->more_listens_cnt != b->more_listens_cnt)
		return false;
	for (unsigned i = 0; i < a->more_listens_cnt; i++)
		if (!is_equal_listen(&a->more_listens[i], &b->more_listens[i]))
			return false;
	return true;
}

static bool
are_tables_equal(const struct schema *a, const struct schema *b)
{
	if (a->tables_cnt != b->tables_cnt)
		return false;
	for (unsigned i = 0; i < a->tables_cnt; i++) {
		const struct schema_table *x = &a->tables[i];
		const struct schema_table *y = &b->tables[i];

		if (strcmp(x->name, y->name) != 0 ||
		    x->sub_reply_len != y->sub_reply_len ||
		    memcmp(x->sub_reply, y->sub_reply, x->sub_reply_len) != 0)
			return false;
	}
	return true;
}

bool
settings_next_kept(const struct settings *running,
		   const struct settings *loaded, unsigned *at, char *buf,
		   size_t buf_len)
{
	for (; *at < OPTION_COUNT; (*at)++) {
		const struct option *o = &options[*at];

		if (can_change(*at) || is_equal(o, running, loaded))
			continue;
		(void)snprintf(buf, buf_len, "%s.%s=%s", o->group, o->name,
			       option_show(running, o).text);
		(*at)++;
		return true;
	}
	if ((*at)++ == OPTION_COUNT && !are_listens_equal(running, loaded)) {
		(void)snprintf(buf, buf_len, "listen=%u listeners",
			       settings_listens_cnt(running));
		return true;
	}
	return false;
}

/* ---- the change ---- */

static void
exchange(void *a, void *b, size_t len)
{
	uint8_t *x = a, *y = b;

	for (size_t i = 0; i < len; i++) {
		uint8_t byte = x[i];

		x[i] = y[i];
		y[i] = byte;
	}
}

static void
exchange_options(struct settings *a, struct settings *b)
{
	for (size_t i = 0; i < ARRAY_LEN(changing); i++) {
		const struct option *o = &options[changing[i]];

		exchange((char *)a + o->off, (char *)b + o->off, bytes_of(o));
	}
}

static struct listen_settings *
listen_at(struct settings *s, unsigned idx)
{
	return idx == 0 ? &s->listen : &s->more_listens[idx - 1];
}

/* The number of the listener in the file that is this one, which is number idx
 * now, and none of `taken`; LISTENS_MAX: there is none. */
static unsigned
find_same(const struct settings *loaded, unsigned idx,
	  const struct listen_settings *l, unsigned taken)
{
	unsigned found = LISTENS_MAX;

	for (unsigned i = 0; i < settings_listens_cnt(loaded); i++)
		if ((taken >> i & 1) == 0 && found != idx &&
		    is_equal_listen(settings_listen(loaded, i), l))
			found = i;
	return found;
}

/* A listener that is not in the file any more is served until a restart, for
 * the roles of the same names, whose numbers have changed. */
static void
keep_roles(struct listen_settings *l, const struct settings *before,
	   const struct settings *now)
{
	uint64_t roles[ARRAY_LEN(l->roles)] = { 0 };

	for (unsigned i = 0; i < before->auth.role_rows_cnt; i++) {
		const struct rights *role =
			rights_find(now->auth.role_rows,
				    now->auth.role_rows_cnt,
				    before->auth.role_rows[i].name);

		if (role != NULL && bits_has(l->roles, i))
			bits_set(roles,
				 (unsigned)(role - now->auth.role_rows), true);
	}
	memcpy(l->roles, roles, sizeof(roles));
}

/* Networks and roles of a listener that both have. */
static void
exchange_doors(struct listen_settings *a, struct listen_settings *b)
{
	exchange(&a->networks, &b->networks, sizeof(a->networks));
	exchange(&a->networks_cnt, &b->networks_cnt, sizeof(a->networks_cnt));
	exchange(&a->has_roles, &b->has_roles, sizeof(a->has_roles));
	exchange(a->roles, b->roles, sizeof(a->roles));
}

bool
settings_can_adopt(const struct settings *running,
		   const struct settings *loaded, char *err, size_t err_len)
{
	struct settings would = *running, old = *loaded;
	struct disagreement d;
	bool is_good;

	if (!are_tables_equal(&running->tables, &loaded->tables)) {
		(void)snprintf(err, err_len, "the schema has changed: restart");
		return false;
	}
	exchange_options(&would, &old);
	is_good = options_check(&would, &d);
	if (!is_good)
		(void)snprintf(err, err_len, "setting %s.%s: %s",
			       options[d.involved[0]].group,
			       options[d.involved[0]].name, d.text.text);
	return is_good;
}

void
settings_adopt(struct settings *running, struct settings *loaded)
{
	unsigned taken = 0; /* listeners in the file: bits */

	exchange_options(running, loaded);
	exchange(&running->auth.role_rows, &loaded->auth.role_rows,
		 sizeof(running->auth.role_rows));
	exchange(&running->auth.role_rows_cnt, &loaded->auth.role_rows_cnt,
		 sizeof(running->auth.role_rows_cnt));
	exchange(&running->auth.user_rows, &loaded->auth.user_rows,
		 sizeof(running->auth.user_rows));
	exchange(&running->auth.user_rows_cnt, &loaded->auth.user_rows_cnt,
		 sizeof(running->auth.user_rows_cnt));
	exchange(&running->auth.others, &loaded->auth.others,
		 sizeof(running->auth.others));
	for (unsigned i = 0; i < settings_listens_cnt(running); i++) {
		struct listen_settings *l = listen_at(running, i);
		unsigned now = find_same(loaded, i, l, taken);

		taken |= 1u << now;
		if (now < LISTENS_MAX)
			exchange_doors(l, listen_at(loaded, now));
		else
			keep_roles(l, loaded, running);
	}
}
