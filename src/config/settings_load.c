#include "config.h"

#include "config/settings_load.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"
#include "config/options.h"
#include "config/reader.h"
#include "config/rights_load.h"
#include "config/source_text.h"
#include "wire/wire.h"

enum {
	FILE_BYTES_MAX = 16 << 20, /* of a configuration or a schema */
};

/* ---- errors ---- */

/* As reader_refuse, with the complaint of schema/schema.h. */
static int
refuse_schema(struct reader *r, config_setting_t *at, int code,
	      const struct schema_error *e)
{
	if (code == -ENOMEM)
		return reader_fail_memory(r);
	return reader_fail(r, "%s:%u: setting %s: %s", r->path,
			   config_setting_source_line(at),
			   reader_path_of(at).text, e->text);
}

static int
refuse_unknown(struct reader *r, const char *group, config_setting_t *at)
{
	struct phrase all;
	struct phrase nearest =
		option_guess(group, config_setting_name(at), &all);

	if (nearest.text[0] != '\0')
		return reader_fail(
			r, "%s:%u: setting %s: is unknown; did you mean %s?",
			r->path, config_setting_source_line(at),
			reader_path_of(at).text, nearest.text);
	return reader_fail(r, "%s:%u: setting %s: is unknown; allowed: %s",
			   r->path, config_setting_source_line(at),
			   reader_path_of(at).text, all.text);
}

static int
read_option(struct reader *r, enum option_idx idx, config_setting_t *at)
{
	const struct option *o = &options[idx];
	struct value v = reader_value_of(at);
	const char *complaint = option_store(r->s, o, &v);
	struct phrase allowed = option_limits(o);

	if (complaint == option_out_of_memory)
		return reader_fail_memory(r);
	r->lines[idx] = config_setting_source_line(at);
	if (complaint == NULL)
		return 0;
	if ((o->kind == KIND_SIZE || o->kind == KIND_TIME) &&
	    o->written[0] == '"' && o->min >= 0)
		allowed = phrase_of("%.100s, such as %.100s", allowed.text,
				    o->written);
	return reader_refuse(r, at, complaint, allowed.text);
}

/* ---- files ---- */

/* Opens a file, and nothing else: a FIFO would be waited for, perhaps for ever,
 * and no reload would come after that.  Or -errno; -ENXIO: is no file. */
static int
open_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat about;
	int err = 0;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &about) != 0)
		err = -errno;
	else if (!S_ISREG(about.st_mode))
		err = -ENXIO;
	if (err == 0)
		return fd;
	(void)close(fd);
	return err;
}

static const char *
why_unread(int err)
{
	return err == -ENXIO ? "it is not a file" : strerror(-err);
}

/* Reads up to the end, and puts a NUL after it. */
static int
read_open(int fd, char **text, size_t *len)
{
	size_t room = 0;
	ssize_t n;

	*len = 0;
	do {
		if (room - *len <= 1) {
			char *larger;

			room = room == 0 ? 16384 : 2 * room;
			larger = realloc(*text, room);
			if (larger == NULL)
				return -ENOMEM;
			*text = larger;
		}
		n = pread(fd, *text + *len, room - *len - 1,
			  (off_t)*len);
		if (n < 0 && errno != EINTR)
			return -errno;
		*len += n > 0 ? (size_t)n : 0;
		if (*len > FILE_BYTES_MAX)
			return -EFBIG;
	} while (n != 0);
	(*text)[*len] = '\0';
	return 0;
}

/* Reads the whole file and puts a NUL after it.  The caller frees *out. */
static int
read_file(const char *path, char **out, size_t *out_len)
{
	int fd = open_file(path), err;

	*out = NULL;
	if (fd < 0)
		return fd;
	err = read_open(fd, out, out_len);
	(void)close(fd);
	if (err != 0) {
		free(*out);
		*out = NULL;
	}
	return err;
}

/* Mends or refuses what libconfig would misread.  The caller frees *out. */
static int
prepare(struct reader *r, const char *text, size_t len, char **out)
{
	struct source_fault f;

	*out = source_text_prepare(text, len, &f);
	if (*out != NULL)
		return 0;
	if (f.why == NULL)
		return reader_fail_memory(r);
	return reader_fail(r, "%s:%u: %.*s %s", r->path, f.line,
			   (int)min_u64(f.word_len, 100), f.word, f.why);
}

/* ---- the schema ---- */

static int
begin_schema(struct reader *r, config_setting_t *at)
{
	if (r->schema_line != 0)
		return reader_refuse(r, at, "is a second schema",
				     "one of schema.file and schema.tables");
	r->schema_line = config_setting_source_line(at);
	return 0;
}

static int
parse_schema_file(struct reader *r, config_setting_t *at, const char *path)
{
	struct schema *schema = &r->s->tables;
	struct schema_error e;
	char *text;
	size_t len;
	int err = read_file(path, &text, &len);

	if (err == -ENOMEM)
		return reader_fail_memory(r);
	if (err != 0)
		return reader_fail(r, "%s:%u: setting %s: cannot read %s: %s",
				   r->path, config_setting_source_line(at),
				   reader_path_of(at).text, path,
				   why_unread(err));
	err = schema_parse(schema, text, len, &e);
	free(text);
	if (err == 0 && schema->tables_cnt == 0)
		err = reader_fail(r,
				  "%s:1:1: there is no table in it; allowed: "
				  "definitions such as "
				  "trade:([]time:`timespan$();sym:`symbol$())",
				  path);
	else if (err == -ENOMEM)
		err = reader_fail_memory(r);
	else if (err != 0)
		err = reader_fail(r, "%s:%u:%u: %s", path, e.line, e.column,
				  e.text);
	return err;
}

static int
read_schema_file(struct reader *r, config_setting_t *at)
{
	int res = begin_schema(r, at);
	char *path;

	if (res != 0)
		return res;
	if (config_setting_type(at) != CONFIG_TYPE_STRING)
		return reader_refuse(r, at, "is not a string",
				     "the path of a schema, such as \"sym.q\"");
	path = option_path_from(r->path, config_setting_get_string(at));
	if (path == NULL)
		return reader_fail_memory(r);
	res = parse_schema_file(r, at, path);
	free(path);
	return res;
}

/* "sym symbol g": name, type and attribute; type and attribute are optional */
static int
add_column(struct reader *r, config_setting_t *at, struct schema_table *t,
	   char *words)
{
	static const char *const attrs[] = { "", "s", "u", "p", "g" };
	static const char blanks[] = " \t\r\n";
	char *rest;
	const char *name = strtok_r(words, blanks, &rest);
	const char *type = strtok_r(NULL, blanks, &rest);
	const char *attr = strtok_r(NULL, blanks, &rest);
	uint8_t code = KA_NONE;
	struct schema_error e;
	int res;

	if (attr != NULL)
		while (++code < ARRAY_LEN(attrs) &&
		       strcmp(attrs[code], attr) != 0)
			;
	if (name == NULL || code == ARRAY_LEN(attrs) ||
	    strtok_r(NULL, blanks, &rest) != NULL)
		return reader_refuse(r, at, "is not a column",
				     "\"NAME\", \"NAME TYPE\" or \"NAME TYPE "
				     "ATTRIBUTE\", with s, u, p or g");
	res = schema_add_column(t, name, type == NULL ? "" : type, code, &e);
	return res == 0 ? 0 : refuse_schema(r, at, res, &e);
}

static int
read_columns(struct reader *r, config_setting_t *at, struct schema_table *t)
{
	int type = config_setting_type(at);

	if (type != CONFIG_TYPE_LIST && type != CONFIG_TYPE_ARRAY)
		return reader_refuse(
			r, at, "is not a list",
			"( \"time timespan\", \"sym symbol\", ... )");
	for (int i = 0; i < config_setting_length(at); i++) {
		config_setting_t *item =
			config_setting_get_elem(at, (unsigned)i);
		char *words;
		int res;

		if (config_setting_type(item) != CONFIG_TYPE_STRING)
			return reader_refuse(
				r, item, "is not a string",
				"a column, such as \"price float\"");
		words = strdup(config_setting_get_string(item));
		if (words == NULL)
			return reader_fail_memory(r);
		res = add_column(r, item, t, words);
		free(words);
		if (res != 0)
			return res;
	}
	return 0;
}

/* Finds the name and the columns of a table.  Any other member is refused. */
static int
find_members(struct reader *r, config_setting_t *at, config_setting_t **name,
	     config_setting_t **columns)
{
	static const char allowed[] = "{ name = ...; columns = ...; }";

	if (config_setting_type(at) != CONFIG_TYPE_GROUP)
		return reader_refuse(r, at, "is not a group", allowed);
	*name = config_setting_get_member(at, "name");
	*columns = config_setting_get_member(at, "columns");
	if (*name == NULL || *columns == NULL)
		return reader_refuse(r, at, "is not complete", allowed);
	for (int i = 0; i < config_setting_length(at); i++) {
		config_setting_t *member =
			config_setting_get_elem(at, (unsigned)i);

		if (member != *name && member != *columns)
			return reader_fail(
				r, "%s:%u: setting %s: is unknown; allowed: %s",
				r->path, config_setting_source_line(member),
				reader_path_of(member).text, allowed);
	}
	return 0;
}

static int
read_schema_tables(struct reader *r, config_setting_t *at)
{
	int res = begin_schema(r, at);

	if (res != 0)
		return res;
	if (config_setting_type(at) != CONFIG_TYPE_LIST)
		return reader_refuse(r, at, "is not a list",
				     "( { name = ...; columns = ...; }, ... )");
	for (int i = 0; i < config_setting_length(at); i++) {
		config_setting_t *item =
			config_setting_get_elem(at, (unsigned)i);
		config_setting_t *name = NULL, *columns = NULL;
		struct schema_table *t;
		struct schema_error e;

		res = find_members(r, item, &name, &columns);
		if (res != 0)
			return res;
		if (config_setting_type(name) != CONFIG_TYPE_STRING)
			return reader_refuse(r, name, "is not a string",
					     "a name, such as \"trade\"");
		res = schema_add_table(&r->s->tables,
				       config_setting_get_string(name), &t, &e);
		if (res != 0)
			return refuse_schema(r, name, res, &e);
		res = read_columns(r, columns, t);
		if (res != 0)
			return res;
	}
	return 0;
}

/* ---- listen ---- */

static int
read_networks(struct reader *r, config_setting_t *at)
{
	static const char wanted[] = "( \"10.0.0.0/8\", \"::1\", ... )";
	struct listen_settings *l = &r->s->listen;
	int cnt = config_setting_length(at);

	if (!reader_is_list(at) || cnt == 0)
		return reader_refuse(r, at, "is not a list", wanted);
	l->networks = calloc((size_t)cnt, sizeof(*l->networks));
	if (l->networks == NULL)
		return reader_fail_memory(r);
	for (int i = 0; i < cnt; i++) {
		config_setting_t *item =
			config_setting_get_elem(at, (unsigned)i);
		const char *text = config_setting_get_string(item);
		const char *complaint =
			text == NULL ? "is not a string"
				     : network_parse(text, &l->networks[i]);

		if (complaint != NULL)
			return reader_refuse(r, item, complaint, wanted);
	}
	l->networks_cnt = (unsigned)cnt;
	return 0;
}

/* Begins another listener of the list: s->listen is the one being read. */
static int
next_listen(struct reader *r, config_setting_t *at)
{
	struct settings *s = r->s;

	if (s->more_listens_cnt == ARRAY_LEN(s->more_listens))
		return reader_fail(r, "%s:%u: setting listen: there are too "
				      "many; allowed: %d",
				   r->path, config_setting_source_line(at),
				   LISTENS_MAX);
	s->more_listens[s->more_listens_cnt++] = s->listen;
	s->listen = (struct listen_settings){ 0 };
	r->listen_idx++;
	return option_store_defaults(s, "listen") ? 0 : reader_fail_memory(r);
}

/* The one that was read last comes to the end, the first one to s->listen. */
static void
order_listens(struct settings *s)
{
	struct listen_settings last = s->listen;

	if (s->more_listens_cnt == 0)
		return;
	s->listen = s->more_listens[0];
	memmove(s->more_listens, s->more_listens + 1,
		(s->more_listens_cnt - 1) * sizeof(last));
	s->more_listens[s->more_listens_cnt - 1] = last;
}

/* ---- the whole ---- */

/* Keeps a list until the schema is known. */
static int
take_rows(struct reader *r, config_setting_t *at, config_setting_t **out)
{
	if (config_setting_type(at) != CONFIG_TYPE_LIST)
		return reader_refuse(r, at, "is not a list",
				     "( { ... }, ... )");
	*out = at;
	return 0;
}

static int
read_extra(struct reader *r, enum extra_idx idx, config_setting_t *at)
{
	switch (idx) {
	case EXTRA_SCHEMA_FILE:
		return read_schema_file(r, at);
	case EXTRA_SCHEMA_TABLES:
		return read_schema_tables(r, at);
	case EXTRA_LISTEN_NETWORKS:
		return read_networks(r, at);
	case EXTRA_LISTEN_ROLES:
		r->listen_roles[r->listen_idx] = at;
		return 0;
	case EXTRA_AUTH_ROLES:
		return take_rows(r, at, &r->roles);
	case EXTRA_AUTH_RIGHTS:
		return take_rows(r, at, &r->rights);
	case EXTRA_COUNT:
		break;
	}
	CHECK(idx < EXTRA_COUNT);
	return 0;
}

static int
read_setting(struct reader *r, const char *group, config_setting_t *at)
{
	const char *name = config_setting_name(at);

	for (unsigned i = 0; i < OPTION_COUNT; i++)
		if (strcmp(options[i].group, group) == 0 &&
		    strcmp(options[i].name, name) == 0)
			return read_option(r, i, at);
	for (unsigned i = 0; i < EXTRA_COUNT; i++)
		if (strcmp(extras[i].group, group) == 0 &&
		    strcmp(extras[i].name, name) == 0)
			return read_extra(r, i, at);
	return refuse_unknown(r, group, at);
}

static int
read_members(struct reader *r, const char *group, config_setting_t *at)
{
	for (int i = 0; i < config_setting_length(at); i++) {
		int res = read_setting(
			r, group, config_setting_get_elem(at, (unsigned)i));

		if (res != 0)
			return res;
	}
	return 0;
}

static int
check_sockets(struct reader *r, config_setting_t *at)
{
	unsigned cnt = 0;

	for (unsigned i = 0; i < settings_listens_cnt(r->s); i++)
		cnt += settings_sockets_of(settings_listen(r->s, i));
	if (cnt <= LISTEN_SOCKETS_MAX)
		return 0;
	return reader_fail(r,
			   "%s:%u: setting listen: %u sockets are too many; "
			   "allowed: %u in all: one for each address, "
			   "unix_socket and unix_path",
			   r->path, config_setting_source_line(at), cnt,
			   LISTEN_SOCKETS_MAX);
}

static int
read_listens(struct reader *r, config_setting_t *at)
{
	int res = 0;

	for (int i = 0; res == 0 && i < config_setting_length(at); i++) {
		config_setting_t *item =
			config_setting_get_elem(at, (unsigned)i);

		if (config_setting_type(item) != CONFIG_TYPE_GROUP)
			return reader_refuse(r, item, "is not a group",
					     "{ address = ...; ... }");
		if (i > 0)
			res = next_listen(r, item);
		r->listen_lines[r->listen_idx] =
			config_setting_source_line(item);
		if (res == 0)
			res = read_members(r, "listen", item);
	}
	order_listens(r->s);
	return res == 0 ? check_sockets(r, at) : res;
}

static int
read_group(struct reader *r, config_setting_t *at)
{
	const char *name = config_setting_name(at);
	bool is_schema = strcmp(name, "schema") == 0;
	bool is_known = false;

	for (size_t i = 0; i < OPTION_COUNT; i++)
		is_known = is_known || strcmp(options[i].group, name) == 0;
	if (!is_known)
		return refuse_unknown(r, NULL, at);
	if (is_schema && config_setting_type(at) == CONFIG_TYPE_STRING)
		return read_schema_file(r, at);
	if (strcmp(name, "listen") == 0 &&
	    config_setting_type(at) == CONFIG_TYPE_LIST)
		return read_listens(r, at);
	if (config_setting_type(at) != CONFIG_TYPE_GROUP)
		return reader_refuse(
			r, at, "is not a group",
			is_schema ? "a path, or { NAME = VALUE; ... }"
				  : "{ NAME = VALUE; ... }");
	return read_members(r, name, at);
}

static int
read_groups(struct reader *r, config_setting_t *root)
{
	for (int i = 0; i < config_setting_length(root); i++) {
		int res = read_group(
			r, config_setting_get_elem(root, (unsigned)i));

		if (res != 0)
			return res;
	}
	if (r->schema_line == 0)
		return reader_fail(
			r,
			"%s: setting schema: is missing; allowed: schema = "
			"\"sym.q\", or a group with file or tables",
			r->path);
	return 0;
}

/* Refuses a table whose shortest message is too long ever to be published. */
static int
check_tables(struct reader *r)
{
	const struct schema *schema = &r->s->tables;

	for (unsigned i = 0; i < schema->tables_cnt; i++) {
		const struct schema_table *t = &schema->tables[i];
		/* Each column is a vector of one item of at least one byte. */
		size_t shortest = t->publish_prefix_len +
				  (6 + 1) * (size_t)t->columns_cnt;

		if (shortest > r->s->message.max)
			return reader_fail(
				r,
				"%s:%u: setting schema: a row of table %s "
				"takes %zu bytes or more; allowed: "
				"message.max, here %llu",
				r->path, r->schema_line, t->name, shortest,
				(unsigned long long)r->s->message.max);
	}
	return 0;
}

static int
check_options(struct reader *r)
{
	struct disagreement d;
	const struct option *o;
	unsigned line = 0;

	if (options_check(r->s, &d))
		return 0;
	o = &options[d.involved[0]];
	if (strcmp(o->group, "listen") == 0)
		line = r->listen_lines[d.listener];
	for (unsigned i = 0; line == 0 && i < d.involved_cnt; i++)
		line = r->lines[d.involved[i]];
	return reader_fail(r, "%s:%u: setting %s.%s: %s", r->path, line,
			   o->group, o->name, d.text.text);
}

static int
check_all(struct reader *r)
{
	struct schema_error e;
	int res;

	options_derive(r->s);
	res = check_options(r);
	if (res != 0)
		return res;
	res = schema_finish(&r->s->tables, &e);
	if (res == -ENOMEM)
		return reader_fail_memory(r);
	if (res != 0)
		return reader_fail(r, "%s:%u: setting schema: %s", r->path,
				   r->schema_line, e.text);
	return check_tables(r);
}

static int
parse_text(struct reader *r, config_t *config, const char *text)
{
	if (config_read_string(config, text) == CONFIG_TRUE)
		return read_groups(r, config_root_setting(config));
	return reader_fail(r,
			   "%s:%d: %s, here or in the line before; allowed: "
			   "GROUP = { NAME = VALUE; ... };",
			   r->path, config_error_line(config),
			   config_error_text(config));
}

int
settings_load(struct settings *s, const char *path, char *err, size_t err_len)
{
	struct reader r = {
		.s = s, .path = path, .err = err, .err_len = err_len
	};
	char *text = NULL, *wide = NULL;
	config_t config;
	size_t len;
	int res;

	*s = (struct settings){ 0 };
	res = read_file(path, &text, &len);
	if (res != 0) {
		(void)reader_fail(&r, "%s: cannot be read: %s", path,
				  why_unread(res));
		return res;
	}
	config_init(&config);
	if (strlen(text) < len)
		res = reader_fail(&r, "%s: cannot be read: it contains a NUL",
				  path);
	if (res == 0)
		res = prepare(&r, text, len, &wide);
	if (res == 0 && !option_store_defaults(s, NULL))
		res = reader_fail_memory(&r);
	if (res == 0)
		res = parse_text(&r, &config, wide);
	if (res == 0 && !option_place_files(s, path))
		res = reader_fail_memory(&r);
	if (res == 0)
		res = check_all(&r);
	if (res == 0)
		res = rights_load(&r);
	config_destroy(&config);
	free(wide);
	free(text);
	if (res != 0)
		settings_fini(s);
	return res;
}

static void
listen_fini(struct listen_settings *l)
{
	free(l->address);
	free(l->unix_path);
	free(l->unix_group);
	free(l->unix_mode);
	free(l->networks);
}

void
settings_fini(struct settings *s)
{
	for (size_t i = 0; i < OPTION_COUNT; i++)
		if (options[i].kind == KIND_TEXT)
			free(*(char **)((char *)s + options[i].off));
	free(s->listen.networks);
	for (unsigned i = 0; i < s->more_listens_cnt; i++)
		listen_fini(&s->more_listens[i]);
	for (unsigned i = 0; i < s->auth.role_rows_cnt; i++)
		rights_fini(&s->auth.role_rows[i]);
	for (unsigned i = 0; i < s->auth.user_rows_cnt; i++)
		rights_fini(&s->auth.user_rows[i]);
	free(s->auth.role_rows);
	free(s->auth.user_rows);
	schema_fini(&s->tables);
	*s = (struct settings){ 0 };
}

/* ---- help ---- */

static void
print_help_row(FILE *out, const char *group, const char *name,
	       const char *written, const char *limits, const char *sentence)
{
	fprintf(out, "  %-29s %-13s %-32s %s\n",
		phrase_of("%s.%s", group, name).text, written, limits,
		sentence);
}

void
settings_print_help(FILE *out)
{
	for (size_t i = 0; i < OPTION_COUNT; i++)
		print_help_row(out, options[i].group, options[i].name,
			       options[i].written,
			       option_limits(&options[i]).text,
			       options[i].sentence);
	for (size_t i = 0; i < EXTRA_COUNT; i++)
		print_help_row(out, extras[i].group, extras[i].name, "",
			       extras[i].limits, extras[i].sentence);
}
