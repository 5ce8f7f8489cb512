/*
 * The rows of options.def as a table: defaults, limits, texts, and the rules
 * between settings.
 *
 * Invariant: a field of struct settings is only written by option_store, with a
 * value inside the row's limits.  Called by settings_load.c, which knows the
 * file and its lines.  Never does I/O.
 */
#ifndef RINGTICK_CONFIG_OPTIONS_H
#define RINGTICK_CONFIG_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/settings.h"

enum option_kind {
	KIND_SIZE,
	KIND_TIME,
	KIND_COUNT,
	KIND_FLAG,
	KIND_TEXT,
	KIND_CHOICE,
};

struct option {
	enum option_kind kind;
	const char *group, *name;
	const char *written; /* the default, as written in a file */
	int64_t min, max;
	const char *sentence;
	const char *const *names; /* KIND_CHOICE: indexed by value; ends with
				     NULL */
	size_t off;		  /* of the field in struct settings */
};

enum option_idx {
#define OPTION(kind, group, name, written, min, max, sentence) \
	OPTION_##group##_##name,
#include "config/options.def"
#undef OPTION
	OPTION_COUNT
};

extern const struct option options[OPTION_COUNT];

/* Settings without a row, because they have more than one value. */
enum extra_idx {
	EXTRA_SCHEMA_FILE,
	EXTRA_SCHEMA_TABLES,
	EXTRA_LISTEN_NETWORKS,
	EXTRA_LISTEN_ROLES,
	EXTRA_AUTH_ROLES,
	EXTRA_AUTH_RIGHTS,
	EXTRA_COUNT
};

struct extra {
	const char *group, *name, *limits, *sentence;
};

extern const struct extra extras[EXTRA_COUNT];

/* A piece of a message, passed by value: longer text is cut off. */
struct phrase {
	char text[256];
};

__attribute__((format(printf, 1, 2))) struct phrase
phrase_of(const char *format, ...);

/* A value as written in the file or in options.def. */
enum value_kind { VALUE_INTEGER, VALUE_FLAG, VALUE_STRING, VALUE_OTHER };

struct value {
	enum value_kind kind;
	int64_t number;
	const char *string;
};

extern const char option_out_of_memory[];

/*
 * Checks a value and stores it into its field; a text is copied.  Returns NULL,
 * or option_out_of_memory, or a complaint such as "is not a size", which is a
 * constant: then the field is as before.
 */
const char *option_store(struct settings *s, const struct option *o,
			 const struct value *v);

/* The same for a choice without a field of its own: stores its index in
 * *out. */
const char *option_read_choice(const struct option *o, const struct value *v,
			       unsigned *out);

/* The same for a size (bytes) or a time (ns). */
const char *option_read_quantity(const struct option *o, const struct value *v,
				 int64_t *out);

/* The value of a setting, as written in a file. */
struct phrase option_show(const struct settings *s, const struct option *o);

/* Fills in the defaults of a group, or of all (NULL).  false: out of
 * memory. */
bool option_store_defaults(struct settings *s, const char *group);

/* The path `name` relative to the folder of the configuration; an absolute path
 * stays.  The caller frees it.  NULL: out of memory. */
char *option_path_from(const char *config_path, const char *name);

/* Makes paths in the settings relative to the folder of the configuration.
 * false: out of memory. */
bool option_place_files(struct settings *s, const char *config_path);

/* The allowed values, in words. */
struct phrase option_limits(const struct option *o);

/*
 * For an unknown setting of a group, or an unknown group (group NULL): returns
 * the nearest known name, or "" if none is near; *out_all lists all known
 * names.
 */
struct phrase option_guess(const char *group, const char *name,
			   struct phrase *out_all);

/* Fills in the values that a 0 means, and what the zone means.  To be called
 * before options_check. */
void options_derive(struct settings *s);

/* A setting whose value conflicts with others. */
struct disagreement {
	const enum option_idx *involved; /* the first is the one at fault */
	unsigned involved_cnt;
	unsigned listener; /* its number, where that is a setting of one */
	struct phrase text;
};

/* Checks the rules between settings.  false, with *out set, for the first rule
 * that is broken. */
bool options_check(const struct settings *s, struct disagreement *out);

#endif
