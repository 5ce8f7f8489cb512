/*
 * libFuzzer: the text of a configuration.  Settings that were read are within
 * the limits of options.def, agree with each other and have a schema; a refusal
 * is one line that begins with the file's name.  The same text has the same
 * meaning twice.
 */
#include "config.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/util.h"
#include "config/cpus.h"
#include "config/options.h"
#include "config/settings_load.h"

enum { TEXT_MAX = 16384, ERROR_BYTES = 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* libconfig forgets a string before a syntax error; the daemon then ends. */
const char *__lsan_default_suppressions(void);
const char *
__lsan_default_suppressions(void)
{
	return "leak:libconfig.so";
}

static int fd = -1;
static char path[64];

static void
open_file(void)
{
	fd = memfd_create("ringtick.conf", MFD_CLOEXEC);
	CHECK(fd >= 0);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
}

static void
check_option(const struct settings *s, const struct option *o)
{
	const void *field = (const char *)s + o->off;
	unsigned names_cnt = 0;
	int64_t number;

	switch (o->kind) {
	case KIND_SIZE:
	case KIND_TIME:
	case KIND_COUNT:
		memcpy(&number, field, sizeof(number));
		/* A 0 that means another setting was filled in; of a receive
		 * buffer no more than message.max is used. */
		CHECK(number >= o->min ||
		      (field == &s->connections.receive_buffer &&
		       number == (int64_t)s->message.max));
		CHECK(number <= o->max);
		break;
	case KIND_FLAG:
		break;
	case KIND_TEXT:
		CHECK(*(char *const *)field != NULL);
		break;
	case KIND_CHOICE:
		while (o->names[names_cnt] != NULL)
			names_cnt++;
		CHECK(*(const unsigned *)field < names_cnt);
		break;
	}
}

static void
check_settings(const struct settings *s)
{
	static const struct cpus cpus = { .cnt = 8 };
	struct disagreement d;

	for (unsigned i = 0; i < OPTION_COUNT; i++)
		check_option(s, &options[i]);
	CHECK(options_check(s, &d));
	CHECK(s->message.max > 0 && s->streams.ring > 0);
	CHECK(s->tables.tables_cnt > 0);
	for (unsigned i = 0; i < s->tables.tables_cnt; i++) {
		const struct schema_table *t = &s->tables.tables[i];

		CHECK(schema_find(&s->tables, t->name, strlen(t->name)) == t);
		CHECK(t->publish_prefix_len < s->message.max);
	}
	for (unsigned i = 0; i < s->auth.user_rows_cnt; i++)
		CHECK(strlen(s->auth.user_rows[i].name) <= USER_BYTES_MAX);
	CHECK(settings_rights_of(s, "") != NULL);
	CHECK(settings_filters_max(s) > s->connections.max);
	CHECK(cpus_decide(&cpus, s).mode != ENGINE_AUTO);
}

static void
check_error(int result, const char *error)
{
	CHECK(result < 0 && result != -ENOMEM);
	CHECK(error[0] != '\0' && strchr(error, '\n') == NULL);
}

/* Whether a schema file may be named: other files are not this target's, and
 * those beside this one are the process's descriptors. */
static bool
names_file(const uint8_t *data, size_t len)
{
	const uint8_t *end = data + len, *at = data;

	if (memmem(data, len, "file", 4) != NULL)
		return true;
	while ((at = memmem(at, (size_t)(end - at), "schema", 6)) != NULL) {
		at += 6;
		while (at < end && strchr(" \t\n\r\f=:", *at) != NULL)
			at++;
		if (at < end && *at == '"')
			return true;
	}
	return false;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char error[ERROR_BYTES] = "", again[ERROR_BYTES] = "";
	struct settings s, t;
	int result;

	if (fd < 0)
		open_file();
	if (len > TEXT_MAX || names_file(data, len))
		return 0;
	CHECK(ftruncate(fd, 0) == 0);
	CHECK(pwrite(fd, data, len, 0) == (ssize_t)len);
	result = settings_load(&s, path, error, sizeof(error));
	if (result == 0)
		check_settings(&s);
	else
		check_error(result, error);
	CHECK(settings_load(&t, path, again, sizeof(again)) == result);
	CHECK(strcmp(error, again) == 0);
	settings_fini(&s);
	settings_fini(&t);
	return 0;
}
