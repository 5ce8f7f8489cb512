#include "config.h"

#include "config/reader.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int
reader_fail(struct reader *r, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(r->err, r->err_len, format, args);
	va_end(args);
	/* One line, even if a quoted value has control characters. */
	for (char *c = r->err; *c != '\0'; c++)
		if ((unsigned char)*c < ' ' || *c == 127)
			*c = '?';
	return -EINVAL;
}

int
reader_fail_memory(struct reader *r)
{
	(void)reader_fail(r, "%s: out of memory", r->path);
	return -ENOMEM;
}

struct phrase
reader_path_of(config_setting_t *at)
{
	config_setting_t *parent = config_setting_parent(at);
	const char *name = config_setting_name(at);
	struct phrase t;

	if (parent == NULL)
		return phrase_of("%s", "");
	t = reader_path_of(parent);
	if (name == NULL)
		return phrase_of("%.150s[%d]", t.text,
				 config_setting_index(at));
	return phrase_of("%.100s%s%.60s", t.text, t.text[0] == '\0' ? "" : ".",
			 name);
}

/* A value from the file, shortened if it is too long. */
static struct phrase
show_value(config_setting_t *at)
{
	const char *string;

	switch (config_setting_type(at)) {
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		return phrase_of("%lld", config_setting_get_int64(at));
	case CONFIG_TYPE_FLOAT:
		return phrase_of("%g", config_setting_get_float(at));
	case CONFIG_TYPE_BOOL:
		return phrase_of(config_setting_get_bool(at) ? "true"
							     : "false");
	case CONFIG_TYPE_STRING:
		string = config_setting_get_string(at);
		return phrase_of("\"%.48s%s\"", string,
				 strlen(string) > 48 ? "..." : "");
	case CONFIG_TYPE_GROUP:
		return phrase_of("a group");
	default:
		return phrase_of("a list");
	}
}

int
reader_refuse(struct reader *r, config_setting_t *at, const char *complaint,
	      const char *allowed)
{
	return reader_fail(r, "%s:%u: setting %s: %s %s; allowed: %s", r->path,
			   config_setting_source_line(at),
			   reader_path_of(at).text, show_value(at).text,
			   complaint, allowed);
}

struct value
reader_value_of(config_setting_t *at)
{
	switch (config_setting_type(at)) {
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		return (struct value){ .kind = VALUE_INTEGER,
				       .number = config_setting_get_int64(at) };
	case CONFIG_TYPE_BOOL:
		return (struct value){ .kind = VALUE_FLAG,
				       .number = config_setting_get_bool(at) };
	case CONFIG_TYPE_STRING:
		return (struct value){ .kind = VALUE_STRING,
				       .string =
					       config_setting_get_string(at) };
	default:
		return (struct value){ .kind = VALUE_OTHER };
	}
}
