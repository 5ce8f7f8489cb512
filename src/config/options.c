#include "config.h"

#include "config/options.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

enum {
	MESSAGE_MAX_DEFAULT = 16 << 20,
	ZONE_MINUTES_MAX = 14 * 60,
};

/* ---- the table of settings ---- */

static const char *const schema_check_names[] = { "types", "shape", NULL };
static const char *const journal_sync_names[] = { "none", "interval", "batch",
						  NULL };
static const char *const publish_after_names[] = { "ring", "journal", "sync",
						   NULL };

static const char *const compatibility_sub_list_names[] = { "type", "mgkdb",
							    NULL };

#define NAMES_SIZE(group, name)	  NULL
#define NAMES_TIME(group, name)	  NULL
#define NAMES_COUNT(group, name)  NULL
#define NAMES_FLAG(group, name)	  NULL
#define NAMES_TEXT(group, name)	  NULL
#define NAMES_CHOICE(group, name) group##_##name##_names

const struct option options[OPTION_COUNT] = {
#define OPTION(kind, group, name, written, min, max, sentence) \
	{ KIND_##kind,                                         \
	  #group,                                              \
	  #name,                                               \
	  #written,                                            \
	  min,                                                 \
	  max,                                                 \
	  sentence,                                            \
	  NAMES_##kind(group, name),                           \
	  offsetof(struct settings, group.name) },
#include "config/options.def"
#undef OPTION
};

/* option_store writes the fields through pointers to these types. */
#define CLASS_OF(field)                                                      \
	_Generic((field), uint64_t : 8, int64_t : 8, unsigned : 4, bool : 1, \
		 char * : 0)
#define CLASS_SIZE   8
#define CLASS_TIME   8
#define CLASS_COUNT  8
#define CLASS_CHOICE 4
#define CLASS_FLAG   1
#define CLASS_TEXT   0
#define OPTION(kind, group, name, written, min, max, sentence)         \
	_Static_assert(CLASS_OF(((struct settings *)0)->group.name) == \
			       CLASS_##kind,                           \
		       #group "." #name " is of another kind");
#include "config/options.def"
#undef OPTION

const struct extra extras[EXTRA_COUNT] = {
	[EXTRA_SCHEMA_FILE] = {
		"schema", "file", "a path",
		"path of a kdb+tick schema file, relative to the "
		"configuration's folder; short form: schema = \"sym.q\";",
	},
	[EXTRA_SCHEMA_TABLES] = {
		"schema", "tables", "a list",
		"the schema itself, instead of a file",
	},
	[EXTRA_LISTEN_NETWORKS] = {
		"listen", "networks", "a list",
		"networks that may connect, such as \"10.0.0.0/8\"; none: all",
	},
	[EXTRA_LISTEN_ROLES] = {
		"listen", "roles", "a list",
		"roles of which a user must have one to connect here; none: "
		"all",
	},
	[EXTRA_AUTH_ROLES] = {
		"auth", "roles", "a list",
		"rights with a name, for users who may do the same",
	},
	[EXTRA_AUTH_RIGHTS] = {
		"auth", "rights", "a list",
		"users with rights, limits, or a slow.policy or "
		"slow.spill_limit, of their own",
	},
};

/* ---- texts ---- */

struct phrase
phrase_of(const char *format, ...)
{
	struct phrase t;
	va_list args;

	va_start(args, format);
	vsnprintf(t.text, sizeof(t.text), format, args);
	va_end(args);
	return t;
}

struct unit {
	const char *name;
	int64_t factor;
};

/* Each factor divides the next one. */
static const struct unit size_units[] = {
	{ "", 1 },	  { "K", 1 << 10 }, { "M", 1 << 20 },
	{ "G", 1 << 30 }, { NULL, 0 },
};
static const struct unit time_units[] = {
	{ "ns", 1 },	   { "us", NS_PER_US },	   { "ms", NS_PER_MS },
	{ "s", NS_PER_S }, { "m", 60 * NS_PER_S }, { "h", 3600 * NS_PER_S },
	{ NULL, 0 },
};

static const struct unit *
units_of(enum option_kind kind)
{
	return kind == KIND_TIME ? time_units : size_units;
}

/* A number with the largest unit that leaves no remainder. */
static struct phrase
show_quantity(const struct option *o, int64_t value)
{
	const struct unit *best = units_of(o->kind);

	if (value == 0 || o->kind == KIND_COUNT)
		return phrase_of("%lld", (long long)value);
	for (const struct unit *u = best; u->name != NULL; u++)
		if (value % u->factor == 0)
			best = u;
	return phrase_of("%lld%s", (long long)(value / best->factor),
			 best->name);
}

static bool
is_ring_size(const struct option *o)
{
	return o == &options[OPTION_ring_size] ||
	       o == &options[OPTION_streams_ring];
}

static bool
may_be_auto(const struct option *o)
{
	return o->kind == KIND_TIME && o->min == TIME_AUTO;
}

struct phrase
option_limits(const struct option *o)
{
	struct phrase t = { { 0 } };

	switch (o->kind) {
	case KIND_SIZE:
	case KIND_TIME:
	case KIND_COUNT:
		if (may_be_auto(o))
			return phrase_of("0 to %s, or \"auto\"",
					 show_quantity(o, o->max).text);
		return phrase_of("%s to %s%s", show_quantity(o, o->min).text,
				 show_quantity(o, o->max).text,
				 is_ring_size(o) ? ", a power of two" : "");
	case KIND_FLAG:
		return phrase_of("true or false");
	case KIND_TEXT:
		return phrase_of("%lld to %lld characters", (long long)o->min,
				 (long long)o->max);
	case KIND_CHOICE:
		for (size_t i = 0; o->names[i] != NULL; i++)
			t = phrase_of("%.150s%s\"%s\"", t.text,
				      i == 0			? ""
				      : o->names[i + 1] == NULL ? " or "
								: ", ",
				      o->names[i]);
		return t;
	}
	return t;
}

/* The number of letters to change, add or drop to turn a into the known name
 * b. */
static size_t
distance(const char *a, const char *b)
{
	size_t row[32];
	size_t len = strlen(b);

	CHECK(len < ARRAY_LEN(row));
	for (size_t k = 0; k <= len; k++)
		row[k] = k;
	for (size_t i = 0; a[i] != '\0'; i++) {
		size_t diagonal = row[0];

		row[0] = i + 1;
		for (size_t k = 0; k < len; k++) {
			size_t change = diagonal + (a[i] != b[k]);

			diagonal = row[k + 1];
			row[k + 1] =
				min_u64(min_u64(diagonal, row[k]) + 1, change);
		}
	}
	return row[len];
}

/* The search for the known name that is nearest to an unknown one. */
struct guess {
	const char *group, *name; /* the unknown name; group NULL: of a group */
	size_t distance;
	struct phrase nearest;
};

static void
guess_from(struct guess *g, const char *group, const char *name)
{
	bool is_elsewhere = strcmp(g->name, name) == 0;
	size_t d = SIZE_MAX;

	if (g->group == NULL)
		d = distance(g->name, group);
	else if (strcmp(g->group, group) == 0)
		d = distance(g->name, name);
	if (d > 0 && is_elsewhere)
		d = min_u64(d, 1);
	if (d >= g->distance)
		return;
	g->distance = d;
	g->nearest = g->group == NULL && !is_elsewhere
			     ? phrase_of("%s", group)
			     : phrase_of("%s.%s", group, name);
}

static void
add_to_list(struct phrase *list, const char *word)
{
	*list = phrase_of("%.200s%s%s", list->text,
			  list->text[0] == '\0' ? "" : ", ", word);
}

struct phrase
option_guess(const char *group, const char *name, struct phrase *out_all)
{
	struct guess g = { .group = group, .name = name };
	const char *last = "";

	/* With more than two letters changed, or half of the word, it is
	 * another word. */
	g.distance = min_u64(3, strlen(name) / 2 + 1);
	*out_all = phrase_of("%s", "");
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		const struct option *o = &options[i];

		guess_from(&g, o->group, o->name);
		if (group == NULL && strcmp(o->group, last) != 0)
			add_to_list(out_all, o->group);
		else if (group != NULL && strcmp(o->group, group) == 0)
			add_to_list(out_all, o->name);
		last = o->group;
	}
	for (size_t i = 0; i < EXTRA_COUNT; i++) {
		guess_from(&g, extras[i].group, extras[i].name);
		if (group != NULL && strcmp(extras[i].group, group) == 0)
			add_to_list(out_all, extras[i].name);
	}
	return g.nearest;
}

/* ---- values ---- */

/* `unquoted` holds the bytes of a string. */
static struct value
value_by_default(const struct option *o, struct phrase *unquoted)
{
	if (o->written[0] == '"') {
		*unquoted = phrase_of("%.*s", (int)strlen(o->written) - 2,
				      o->written + 1);
		return (struct value){ .kind = VALUE_STRING,
				       .string = unquoted->text };
	}
	if (o->kind == KIND_FLAG)
		return (struct value){ .kind = VALUE_FLAG,
				       .number = o->written[0] == 't' };
	return (struct value){ .kind = VALUE_INTEGER,
			       .number = strtoll(o->written, NULL, 10) };
}

/* Reads a quantity such as "64K"; beyond 64 bits it becomes INT64_MAX. */
static bool
parse_quantity(const char *string, const struct unit *units, int64_t *out)
{
	const char *at = string;
	int64_t value = 0;
	bool is_over = false;

	for (; *at >= '0' && *at <= '9'; at++)
		is_over |= __builtin_mul_overflow(value, 10, &value) ||
			   __builtin_add_overflow(value, *at - '0', &value);
	if (at == string)
		return false;
	for (const struct unit *u = units; u->name != NULL; u++)
		if (strcmp(at, u->name) == 0) {
			is_over |= __builtin_mul_overflow(value, u->factor,
							  &value);
			*out = is_over ? INT64_MAX : value;
			return true;
		}
	return false;
}

static const char *
check_number(const struct option *o, int64_t number)
{
	if (number < o->min || number > o->max)
		return "is out of range";
	if (is_ring_size(o) && (number & (number - 1)) != 0)
		return "is not a power of two";
	return NULL;
}

const char *
option_read_quantity(const struct option *o, const struct value *v,
		     int64_t *out)
{
	bool is_good = false;

	*out = v->number;
	if (v->kind == VALUE_STRING && may_be_auto(o) &&
	    strcmp(v->string, "auto") == 0) {
		*out = TIME_AUTO;
		return NULL;
	}
	if (v->kind == VALUE_STRING && strcmp(v->string, "0") == 0)
		is_good = true;
	else if (v->kind == VALUE_STRING)
		is_good = parse_quantity(v->string, units_of(o->kind), out);
	else if (v->kind == VALUE_INTEGER)
		is_good = o->kind == KIND_SIZE || v->number == 0;
	if (!is_good)
		return o->kind == KIND_SIZE ? "is not a size"
					    : "is not a time with its unit";
	return check_number(o, *out);
}

const char option_out_of_memory[] = "out of memory";

static const char *
store_text(const struct option *o, const struct value *v, char **field)
{
	char *copy;
	size_t len;

	if (v->kind != VALUE_STRING)
		return "is not a string";
	len = strlen(v->string);
	if (len < (size_t)o->min || len > (size_t)o->max)
		return "is out of range";
	copy = strdup(v->string);
	if (copy == NULL)
		return option_out_of_memory;
	free(*field);
	*field = copy;
	return NULL;
}

const char *
option_read_choice(const struct option *o, const struct value *v, unsigned *out)
{
	if (v->kind != VALUE_STRING)
		return "is not a string";
	for (unsigned i = 0; o->names[i] != NULL; i++)
		if (strcmp(o->names[i], v->string) == 0) {
			*out = i;
			return NULL;
		}
	return "is not one of the choices";
}

const char *
option_store(struct settings *s, const struct option *o, const struct value *v)
{
	void *field = (char *)s + o->off;
	const char *complaint;
	int64_t number;

	switch (o->kind) {
	case KIND_SIZE:
	case KIND_TIME:
		complaint = option_read_quantity(o, v, &number);
		if (complaint == NULL)
			*(int64_t *)field = number;
		return complaint;
	case KIND_COUNT:
		if (v->kind != VALUE_INTEGER)
			return "is not an integer";
		complaint = check_number(o, v->number);
		if (complaint == NULL)
			*(int64_t *)field = v->number;
		return complaint;
	case KIND_FLAG:
		if (v->kind != VALUE_FLAG)
			return "is neither true nor false";
		*(bool *)field = v->number != 0;
		return NULL;
	case KIND_TEXT:
		return store_text(o, v, field);
	case KIND_CHOICE:
		return option_read_choice(o, v, field);
	}
	return NULL;
}

char *
option_path_from(const char *config_path, const char *name)
{
	const char *slash = strrchr(config_path, '/');
	size_t folder_len =
		slash == NULL ? 0 : (size_t)(slash + 1 - config_path);
	char *path;

	if (name[0] == '/')
		folder_len = 0;
	if (asprintf(&path, "%.*s%s", (int)folder_len, config_path, name) < 0)
		return NULL;
	return path;
}

static bool
place(char **path, const char *config_path)
{
	char *placed;

	if ((*path)[0] == '\0') /* none */
		return true;
	placed = option_path_from(config_path, *path);
	if (placed == NULL)
		return false;
	free(*path);
	*path = placed;
	return true;
}

bool
option_place_files(struct settings *s, const char *config_path)
{
	for (unsigned i = 0; i < s->more_listens_cnt; i++)
		if (!place(&s->more_listens[i].unix_path, config_path))
			return false;
	return place(&s->listen.unix_path, config_path) &&
	       place(&s->journal.directory, config_path) &&
	       place(&s->auth.users, config_path);
}

bool
option_store_defaults(struct settings *s, const char *group)
{
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		struct phrase unquoted;
		struct value v = value_by_default(&options[i], &unquoted);
		const char *complaint;

		if (group != NULL && strcmp(options[i].group, group) != 0)
			continue;
		complaint = option_store(s, &options[i], &v);
		CHECK(complaint == NULL || complaint == option_out_of_memory);
		if (complaint != NULL)
			return false;
	}
	return true;
}

/* ---- settings that depend on each other ---- */

static uint64_t
smallest_ring(const struct settings *s)
{
	if (s->streams.max == 0)
		return s->ring.size;
	return min_u64(s->ring.size, s->streams.ring);
}

/* The lag in bytes above which a consumer is slow, at the smallest ring. */
static uint64_t
leave_mark(const struct settings *s)
{
	return percent_of(smallest_ring(s), (unsigned)s->slow.leave_percent);
}

/* "+HH:MM" or "-HH:MM" */
static bool
parse_offset(const char *zone, int64_t *out_ns)
{
	static const char shape[] = "+00:00";
	int digits[6] = { 0 }, minutes;

	if (strlen(zone) != strlen(shape))
		return false;
	for (size_t i = 1; shape[i] != '\0'; i++) {
		bool is_digit = zone[i] >= '0' && zone[i] <= '9';

		if (shape[i] == '0' ? !is_digit : zone[i] != shape[i])
			return false;
		digits[i] = zone[i] - '0';
	}
	minutes =
		(10 * digits[1] + digits[2]) * 60 + 10 * digits[4] + digits[5];
	if ((zone[0] != '+' && zone[0] != '-') || digits[4] > 5 ||
	    minutes > ZONE_MINUTES_MAX)
		return false;
	*out_ns = (zone[0] == '-' ? -60 : 60) * NS_PER_S * minutes;
	return true;
}

void
options_derive(struct settings *s)
{
	if (s->streams.ring == 0)
		s->streams.ring = s->ring.size;
	if (s->message.max == 0)
		s->message.max = min_u64(
			MESSAGE_MAX_DEFAULT,
			min_u64(smallest_ring(s) / 4, leave_mark(s)));
	/* A longer buffer would never be filled. */
	s->connections.receive_buffer =
		min_u64(s->connections.receive_buffer, s->message.max);
	s->day.zone_is_local = strcmp(s->day.zone, "local") == 0;
	s->day.zone_offset_ns = 0;
	(void)parse_offset(s->day.zone, &s->day.zone_offset_ns);
}

static bool
is_stream_ring_good(const struct settings *s)
{
	return s->streams.ring >= (uint64_t)options[OPTION_ring_size].min;
}

static bool
is_message_good(const struct settings *s)
{
	return s->message.max <= smallest_ring(s) / 4;
}

static bool
is_message_under_mark(const struct settings *s)
{
	return s->message.max <= leave_mark(s);
}

static bool
is_span_good(const struct settings *s)
{
	return s->engine.span_max <= s->engine.in_flight_max;
}

static bool
is_return_good(const struct settings *s)
{
	return s->slow.return_percent < s->slow.leave_percent;
}

static bool
is_zone_good(const struct settings *s)
{
	int64_t offset_ns;

	return s->day.zone_is_local || strcmp(s->day.zone, "utc") == 0 ||
	       parse_offset(s->day.zone, &offset_ns);
}

static bool
is_after_good(const struct settings *s)
{
	return s->publish.after == AFTER_RING ||
	       s->journal.directory[0] != '\0';
}

static bool
is_sync_good(const struct settings *s)
{
	return s->publish.after != AFTER_SYNC || s->journal.sync != SYNC_NONE;
}

static bool
is_interval_good(const struct settings *s)
{
	return s->publish.interval == 0 ||
	       (s->publish.interval >= NS_PER_MS && s->streams.max > 0);
}

static bool
is_journal_name_good(const struct settings *s)
{
	return strchr(s->journal.name, '/') == NULL &&
	       s->journal.name[0] != '.';
}

/* As an absolute path it is longer than in the file. */
static bool
is_path_good(const struct settings *s)
{
	return strlen(s->listen.unix_path) <=
	       (size_t)options[OPTION_listen_unix_path].max;
}

/* Somewhere it must listen. */
static bool
is_place_good(const struct settings *s)
{
	return s->listen.address[0] != '\0' || s->listen.unix_path[0] != '\0';
}

static bool
is_mode_good(const struct settings *s)
{
	const char *mode = s->listen.unix_mode;

	return strspn(mode, "01234567") == strlen(mode) &&
	       strtoul(mode, NULL, 8) <= 0777;
}

static const struct rule {
	bool (*is_kept)(const struct settings *s);
	const char *sentence; /* the allowed values of the first setting */
	enum option_idx involved[4];
	unsigned involved_cnt;
} rules[] = {
	{ is_path_good,
	  "at most 107 characters, with the folder of the configuration where "
	  "it is relative",
	  { OPTION_listen_unix_path },
	  1 },
	{ is_place_good,
	  "an address, unless listen.unix_path is set",
	  { OPTION_listen_address, OPTION_listen_unix_path },
	  2 },
	{ is_mode_good,
	  "octal digits, such as \"0660\"",
	  { OPTION_listen_unix_mode },
	  1 },
	{ is_stream_ring_good,
	  "0 for ring.size, or a size that ring.size can have",
	  { OPTION_streams_ring },
	  1 },
	{ is_message_good,
	  "at most a quarter of ring.size and, where streams.max is above 0, "
	  "of streams.ring",
	  { OPTION_message_max, OPTION_ring_size, OPTION_streams_ring,
	    OPTION_streams_max },
	  4 },
	{ is_message_under_mark,
	  "at most slow.leave_percent of ring.size and, where streams.max is "
	  "above 0, of streams.ring: one message must not make its reader slow",
	  { OPTION_message_max, OPTION_slow_leave_percent, OPTION_ring_size,
	    OPTION_streams_ring },
	  4 },
	{ is_span_good,
	  "at most engine.in_flight_max",
	  { OPTION_engine_span_max, OPTION_engine_in_flight_max },
	  2 },
	{ is_return_good,
	  "below slow.leave_percent",
	  { OPTION_slow_return_percent, OPTION_slow_leave_percent },
	  2 },
	{ is_after_good,
	  "\"ring\", unless journal.directory is set",
	  { OPTION_publish_after, OPTION_journal_directory },
	  2 },
	{ is_sync_good,
	  "\"ring\" or \"journal\", unless journal.sync is \"interval\" or "
	  "\"batch\"",
	  { OPTION_publish_after, OPTION_journal_sync },
	  2 },
	{ is_interval_good,
	  "0, or 1ms and more with streams.max above 0",
	  { OPTION_publish_interval, OPTION_streams_max },
	  2 },
	{ is_journal_name_good,
	  "a name without \"/\" that does not begin with \".\"",
	  { OPTION_journal_name },
	  1 },
	{ is_zone_good,
	  "\"local\", \"utc\", or \"-14:00\" to \"+14:00\"",
	  { OPTION_day_zone },
	  1 },
};

struct phrase
option_show(const struct settings *s, const struct option *o)
{
	const void *field = (const char *)s + o->off;

	if (o->kind == KIND_FLAG)
		return phrase_of(*(const bool *)field ? "true" : "false");
	if (o->kind == KIND_TEXT)
		return phrase_of("\"%.60s\"", *(char *const *)field);
	if (o->kind == KIND_CHOICE)
		return phrase_of("\"%s\"",
				 o->names[*(const unsigned *)field]);
	return show_quantity(o, *(const int64_t *)field);
}

/* Of the listeners only the first is looked at. */
static bool
check_rules(const struct settings *s, struct disagreement *out)
{
	const struct rule *rule = rules;
	struct phrase others = { { 0 } };

	while (rule < rules + ARRAY_LEN(rules) && rule->is_kept(s))
		rule++;
	if (rule == rules + ARRAY_LEN(rules))
		return true;
	for (unsigned i = 1; i < rule->involved_cnt; i++) {
		const struct option *o = &options[rule->involved[i]];

		others = phrase_of("%.140s%s%s.%s %s", others.text,
				   i == 1 ? " with " : ", ", o->group, o->name,
				   option_show(s, o).text);
	}
	out->involved = rule->involved;
	out->involved_cnt = rule->involved_cnt;
	out->text = phrase_of("%.20s does not fit%.120s; allowed: %s",
			      option_show(s, &options[rule->involved[0]]).text,
			      others.text, rule->sentence);
	return false;
}

bool
options_check(const struct settings *s, struct disagreement *out)
{
	struct settings one = *s;

	for (unsigned i = 0; i < settings_listens_cnt(s); i++) {
		out->listener = i;
		one.listen = *settings_listen(s, i);
		if (!check_rules(&one, out))
			return false;
	}
	return true;
}
