/*
 * libFuzzer: the text of a users file.  A file that was read has the users that
 * its lines say, each found by name, with names and passwords that a client can
 * have, and no more kinds of hashes than there may be; a refusal is one line
 * that names a line of the text, and no password.  A password that is written
 * plainly opens, and longer by a byte it does not.
 */
#include "config.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/user_name.h"
#include "auth/users.h"
#include "base/util.h"
#include "config/settings.h"

enum { ERROR_BYTES = 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* A hash takes too long here. */
static void
check_plain(const struct users *u, const struct user *user)
{
	struct crypt_hash_memory memory = { .data = NULL };
	char longer[PASSWORD_BYTES_MAX + 2];

	if (u->kinds_cnt > 0 || user->hash != USER_PLAIN)
		return;
	CHECK(users_check(u, &memory, user->name, user->password) ==
	      USERS_RIGHT);
	(void)snprintf(longer, sizeof(longer), "%sx", user->password);
	if (strlen(longer) <= PASSWORD_BYTES_MAX)
		CHECK(users_check(u, &memory, user->name, longer) ==
		      USERS_WRONG);
	crypt_hash_free(&memory);
}

static void
check_user(const struct users *u, const struct user *user)
{
	size_t name_len = strlen(user->name);

	CHECK(user_name_fault(user->name, name_len) == NULL);
	CHECK(password_fault(user->password, strlen(user->password)) == NULL);
	CHECK(name_len <= USER_BYTES_MAX);
	CHECK(strlen(user->password) <= PASSWORD_BYTES_MAX);
	CHECK(users_find(u, user->name) == user);
	if (user->hash == USER_CRYPT) {
		CHECK(crypt_hash_fault(user->password) == NULL);
		CHECK(user->kind < u->kinds_cnt);
		CHECK(crypt_hash_kind_len(user->password) ==
		      crypt_hash_kind_len(u->kinds[user->kind]));
	}
	check_plain(u, user);
}

/* Every user is on a line of its own, as it is there. */
static void
check_users(const struct users *u, const uint8_t *data, size_t len)
{
	unsigned lines = 0, cnt = 0;

	for (size_t i = 0; i < len; i++)
		lines += data[i] == '\n';
	lines += data[len - 1] != '\n';
	CHECK(u->cnt == lines);
	for (unsigned i = 0; i < USER_HASH_COUNT; i++)
		cnt += u->hash_cnt[i];
	CHECK(cnt == u->cnt);
	CHECK(u->kinds_cnt <= USERS_KINDS_MAX);
	for (unsigned i = 0; i < u->cnt; i++) {
		CHECK(u->users[i].line >= 1 && u->users[i].line <= lines);
		if (i < 64)
			check_user(u, &u->users[i]);
	}
}

static void
check_error(const char *error, size_t len)
{
	char *end;
	unsigned long line;

	CHECK(strncmp(error, "users:", 6) == 0);
	line = strtoul(error + 6, &end, 10);
	CHECK(line >= 1 && line <= len + 1 && *end == ':');
	CHECK(strchr(error, '\n') == NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char error[ERROR_BYTES] = "";
	struct users u;
	int result;

	if (len > USERS_FILE_BYTES_MAX)
		return 0;
	result = users_read(&u, "users", (const char *)data, len, error,
			    sizeof(error));
	if (result == 0) {
		check_users(&u, data, len);
	} else {
		CHECK(result == -EINVAL && u.cnt == 0 && u.text == NULL);
		check_error(error, len);
	}
	users_fini(&u);
	return 0;
}
