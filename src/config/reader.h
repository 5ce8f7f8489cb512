/*
 * The configuration file while it is read: errors that name the setting and its
 * line, and values.  The only place, with those who read it (settings_load.c,
 * rights_load.c), that knows libconfig.
 */
#ifndef RINGTICK_CONFIG_READER_H
#define RINGTICK_CONFIG_READER_H

#include <libconfig.h>
#include <stddef.h>

#include "config/options.h"
#include "config/settings.h"

struct reader {
	struct settings *s;
	const char *path;
	char *err;
	size_t err_len;
	unsigned lines[OPTION_COUNT]; /* line of each setting; 0: not in the
					 file */
	unsigned schema_line;	      /* line of schema.file or schema.tables */
	unsigned listen_idx; /* of the listener being read */
	unsigned listen_lines[LISTENS_MAX]; /* of a list; else 0 */
	config_setting_t *listen_roles[LISTENS_MAX]; /* or NULL; read last */
	config_setting_t *roles, *rights; /* auth.roles and auth.rights, or
					     NULL: they are read last */
};

/* These write one line to r->err, and return -EINVAL or -ENOMEM. */
__attribute__((format(printf, 2, 3))) int reader_fail(struct reader *r,
						      const char *format, ...);
int reader_fail_memory(struct reader *r);

/* FILE:LINE: setting NAME: VALUE COMPLAINT; allowed: ALLOWED */
int reader_refuse(struct reader *r, config_setting_t *at, const char *complaint,
		  const char *allowed);

/* The setting's name from the top: "auth.rights[2].user". */
struct phrase reader_path_of(config_setting_t *at);

/* Its value; a string points into the setting. */
struct value reader_value_of(config_setting_t *at);

/* A list or an array. */
static inline bool
reader_is_list(const config_setting_t *at)
{
	return config_setting_type(at) == CONFIG_TYPE_LIST ||
	       config_setting_type(at) == CONFIG_TYPE_ARRAY;
}

#endif
