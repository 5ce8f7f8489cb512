#include "config.h"

#include "auth/users.h"

#include <crypt.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "auth/user_name.h"
#include "base/util.h"

#define MD5_OF_X    "9dd4e461268c8034f5c8564e155c67a6"
#define SHA1_OF_X   "11f6ad8ec52a2984abaafd7c3b516503785c2072"
#define CHEAP	    "$1$saltsalt$"
#define ROUNDS	    "$5$rounds=1000$saltsalt$"
#define SHA256_HASH "1234567890123456789012345678901234567890123"

static char error[1024];
static struct users users;

/* ---- every hash is counted: the linker puts this in its place ---- */

enum { SEEN_MAX = 16 };

static char seen[SEEN_MAX][64]; /* the settings */
static unsigned seen_cnt;
static int crypt_error; /* what it fails with; 0: it does not */

char *__real_crypt_ra(const char *password, const char *setting, void **data,
		      int *size);
char *__wrap_crypt_ra(const char *password, const char *setting, void **data,
		      int *size);
char *
__wrap_crypt_ra(const char *password, const char *setting, void **data,
		int *size)
{
	assert_true(seen_cnt < SEEN_MAX);
	(void)snprintf(seen[seen_cnt++], sizeof(seen[0]), "%s", setting);
	if (crypt_error != 0) {
		errno = crypt_error;
		return NULL;
	}
	return __real_crypt_ra(password, setting, data, size);
}

static int
tear_down(void **state)
{
	(void)state;
	users_fini(&users);
	crypt_error = 0;
	return 0;
}

static void
read_users(const char *text)
{
	users_fini(&users);
	if (users_read(&users, "users", text, strlen(text), error,
		       sizeof(error)) != 0)
		fail_msg("%s", error);
}

static void
refuse(const char *text, const char *message)
{
	users_fini(&users);
	assert_int_equal(users_read(&users, "users", text, strlen(text), error,
				    sizeof(error)),
			 -EINVAL);
	if (strstr(error, message) != error)
		fail_msg("\"%s\", and not \"%s\"", error, message);
	assert_null(strchr(error, '\n'));
	assert_int_equal(users.cnt, 0);
	assert_null(users.text);
}

static enum users_verdict
check(const char *name, const char *password)
{
	struct crypt_hash_memory memory = { .data = NULL };
	enum users_verdict verdict;

	seen_cnt = 0;
	verdict = users_check(&users, &memory, name, password);
	for (int i = 0; i < memory.size; i++)
		assert_int_equal(((const char *)memory.data)[i], 0);
	crypt_hash_free(&memory);
	return verdict;
}

/* The line of a user with a password hashed. */
static const char *
write_line(char *buf, size_t size, const char *name, const char *setting,
	   const char *password)
{
	struct crypt_hash_memory m = { .data = NULL };
	const char *hash = __real_crypt_ra(password, setting, &m.data, &m.size);

	assert_non_null(hash);
	(void)snprintf(buf, size, "%s:%s\n", name, hash);
	crypt_hash_free(&m);
	return buf;
}

static const char *
line_of(char *buf, size_t size, const char *name, const char *setting)
{
	return write_line(buf, size, name, setting, "x");
}

static void
test_kinds(void **state)
{
	(void)state;
	read_users("a:x\nb:" MD5_OF_X "\nc:" SHA1_OF_X "\nd:a:b\n"
		   "e:9DD4E461268C8034F5C8564E155C67A6\nf:11f6ad8ec52a2984\n"
		   "g:$x\nh:$\ni:$$\nj:\xc3\xa4 \xff\nk:!x\nl:x*");
	assert_int_equal(users.cnt, 12);
	assert_int_equal(users.hash_cnt[USER_PLAIN], 9);
	assert_int_equal(users.hash_cnt[USER_MD5], 2);
	assert_int_equal(users.hash_cnt[USER_SHA1], 1);
	assert_int_equal(users.hash_cnt[USER_CRYPT], 0);
	for (const char *name = "abce"; *name != '\0'; name++) {
		const char text[] = { *name, '\0' };

		assert_int_equal(check(text, "x"), USERS_RIGHT);
		assert_int_equal(check(text, "y"), USERS_WRONG);
		assert_int_equal(check(text, "xx"), USERS_WRONG);
		assert_int_equal(check(text, ""), USERS_WRONG);
		assert_int_equal(check(text, MD5_OF_X), USERS_WRONG);
	}
	assert_int_equal(check("d", "a:b"), USERS_RIGHT);
	assert_int_equal(check("f", "11f6ad8ec52a2984"), USERS_RIGHT);
	assert_int_equal(check("j", "\xc3\xa4 \xff"), USERS_RIGHT);
	assert_int_equal(check("m", "x"), USERS_UNKNOWN);
	assert_int_equal(check("", "x"), USERS_UNKNOWN);
	assert_int_equal(check("", ""), USERS_UNKNOWN);
	assert_int_equal(users_find(&users, "d")->line, 4);
}

/* A hash of the empty password opens to nobody. */
static void
test_empty_password(void **state)
{
	char text[512], line[256];

	(void)state;
	(void)snprintf(text, sizeof(text),
		       "a:d41d8cd98f00b204e9800998ecf8427e\n"
		       "b:da39a3ee5e6b4b0d3255bfef95601890afd80709\n%s",
		       write_line(line, sizeof(line), "c", CHEAP, ""));
	read_users(text);
	assert_int_equal(check("a", ""), USERS_WRONG);
	assert_int_equal(check("b", ""), USERS_WRONG);
	assert_int_equal(check("c", ""), USERS_WRONG);
	assert_int_equal(seen_cnt, 1);
}

/* A failure makes one hash of each kind in the file, whoever fails: with the
 * user's own salt for the user's kind. */
static void
test_work(void **state)
{
	char text[2048], line[4][256];

	(void)state;
	(void)snprintf(text, sizeof(text), "%s%s%s%splain:x\nmd5:" MD5_OF_X,
		       line_of(line[0], sizeof(line[0]), "a", CHEAP),
		       line_of(line[1], sizeof(line[1]), "b", "$1$other$"),
		       line_of(line[2], sizeof(line[2]), "c", ROUNDS),
		       line_of(line[3], sizeof(line[3]), "d", "$5$saltsalt$"));
	read_users(text);
	assert_int_equal(users.hash_cnt[USER_CRYPT], 4);
	assert_int_equal(users.kinds_cnt, 3);
	for (const char *const *name = (const char *const[]){ "a", "b", "c",
							      "d", "plain",
							      "md5", "nobody",
							      "", NULL };
	     *name != NULL; name++) {
		enum users_verdict verdict = check(*name, "wrong");

		assert_true(verdict == USERS_WRONG || verdict == USERS_UNKNOWN);
		assert_int_equal(seen_cnt, 3);
		assert_true(strncmp(seen[0], "$1$", 3) == 0);
		assert_true(strncmp(seen[1], ROUNDS, strlen(ROUNDS)) == 0);
		assert_true(strncmp(seen[2], "$5$saltsalt", 11) == 0);
		if (strcmp(*name, "b") == 0)
			assert_true(strncmp(seen[0], "$1$other", 8) == 0);
		assert_int_equal(check(*name, ""), verdict);
		assert_int_equal(seen_cnt, 3);
	}
	assert_int_equal(check("plain", "x"), USERS_RIGHT);
	assert_int_equal(seen_cnt, 0);
	for (const char *name = "abcd"; *name != '\0'; name++)
		assert_int_equal(check((const char[]){ *name, '\0' }, "x"),
				 USERS_RIGHT);
}

static void
test_hash_fails(void **state)
{
	char line[256], text[512];

	(void)state;
	(void)snprintf(text, sizeof(text), "%sb:x\n",
		       line_of(line, sizeof(line), "a", CHEAP));
	read_users(text);
	crypt_error = ENOMEM;
	assert_int_equal(check("a", "x"), USERS_FAILED);
	assert_int_equal(errno, ENOMEM);
	crypt_error = 0;
	/* a cost that crypt(3) does not have, and silently makes another of */
	read_users("a:$5$rounds=1$saltsalt$" SHA256_HASH "\nb:x\n");
	assert_int_equal(check("a", "x"), USERS_FAILED);
	crypt_error = ENOMEM;
	/* where it does not decide, it is for time only */
	assert_int_equal(check("b", "y"), USERS_WRONG);
	assert_int_equal(check("c", "y"), USERS_UNKNOWN);
	assert_int_equal(check("b", "x"), USERS_RIGHT);
}

static void
test_refusals(void **state)
{
	(void)state;
	refuse("", "users:1: there is no user");
	refuse("\n", "users:1: the line is empty");
	refuse("a:x\n\n", "users:2: the line is empty");
	refuse("a", "users:1: there is no colon");
	refuse("a:x\n:y", "users:2: the name is empty");
	refuse("a:x\nb:", "users:2: the password is empty");
	refuse("#a:x", "users:1: the name begins with '#'");
	refuse(" a:x", "users:1: the name begins or ends with a space");
	refuse("a:x ", "users:1: the password begins or ends with a space");
	refuse("a\x7f:x", "users:1: the name has a control character");
	refuse("a:x\ty", "users:1: the password has a control character");
	refuse("a:x\r\n", "users:1: the password ends with a carriage return");
	refuse("b:1\na:1\nb:2\na:2\na:3\n",
	       "users:3: the user \"b\" is on line 1 already");
	refuse("a:*", "users:1: the password looks like that of a locked");
	refuse("a:!!", "users:1: the password looks like that of a locked");
	refuse("a:!$6$a", "users:1: the password looks like that of a locked");
	refuse("a:$apr1$a$b", "users:1: the password is hashed by a method");
	refuse("a:$3$$b", "users:1: the password is hashed by a method");
	refuse("a:$1$saltsalt$short", "users:1: the password is not a whole");
	refuse("a:$1$saltsaltsalt$1234567890123456789012",
	       "users:1: the password is not a whole");
	refuse("a:$1$saltsalt$1234567890123456789012:",
	       "users:1: the password is not a whole");
	refuse("a:$5$rounds=$salt$" SHA256_HASH,
	       "users:1: the password is not a whole");
	refuse("a:$5$rounds=x$salt$" SHA256_HASH,
	       "users:1: the password is not a whole");
	refuse("a:$y$" SHA256_HASH, "users:1: the password is not a whole");
	refuse("a:$y$j9T$" SHA256_HASH, "users:1: the password is not a whole");
	refuse("a:$2b$04$123", "users:1: the password is not a whole");
	refuse("a:$5$rounds=1000$s$" SHA256_HASH
	       "\nb:$5$rounds=1001$s$" SHA256_HASH
	       "\nc:$5$rounds=1002$s$" SHA256_HASH
	       "\nd:$5$rounds=1000$t$" SHA256_HASH
	       "\ne:$5$s$" SHA256_HASH "\nf:$5$rounds=1003$s$" SHA256_HASH,
	       "users:6: the password's hash is of a fifth kind");
}

/* A NUL is a byte of its line as any other. */
static void
test_nul(void **state)
{
	static const char text[] = "a:x\0y\nb:z\n";

	(void)state;
	assert_int_equal(users_read(&users, "users", text, sizeof(text) - 1,
				    error, sizeof(error)),
			 -EINVAL);
	assert_string_equal(error, "users:1: the password has a control "
				   "character: remove it");
}

/* At the limits, and a byte beyond. */
static void
test_limits(void **state)
{
	char text[1024];

	(void)state;
	memset(text, 'n', sizeof(text));
	memcpy(text + 127, ":x", 3);
	read_users(text);
	assert_int_equal(check(users.users[0].name, "x"), USERS_RIGHT);
	memset(text, 'n', 128);
	memcpy(text + 128, ":x", 3);
	refuse(text, "users:1: the name is longer than 127 bytes");
	memset(text, 'p', sizeof(text));
	memcpy(text, "n:", 2);
	text[2 + PASSWORD_BYTES_MAX] = '\0';
	read_users(text);
	assert_int_equal(check("n", text + 2), USERS_RIGHT);
	assert_int_equal(check("n", text + 3), USERS_WRONG);
	text[2 + PASSWORD_BYTES_MAX] = 'p';
	text[2 + PASSWORD_BYTES_MAX + 1] = '\0';
	refuse(text, "users:1: the password is longer than 511 bytes");
}

/* A message is cut, and stays a line, whatever the path. */
static void
test_message(void **state)
{
	char small[16];

	(void)state;
	assert_int_equal(users_read(&users, "a\nb", "x", 1, error,
				    sizeof(error)),
			 -EINVAL);
	assert_true(strstr(error, "a?b:1: there is no colon") == error);
	assert_int_equal(users_read(&users, "path", "x", 1, small,
				    sizeof(small)),
			 -EINVAL);
	assert_string_equal(small, "path:1: there i");
}

static void
test_make(void **state)
{
	char a[CRYPT_HASH_BYTES_MAX + 1], b[CRYPT_HASH_BYTES_MAX + 1];
	struct crypt_hash_memory memory = { .data = NULL };

	(void)state;
	seen_cnt = 0;
	assert_int_equal(crypt_hash_make("x", CRYPT_HASH_COST_MIN, a), 0);
	assert_int_equal(crypt_hash_make("x", CRYPT_HASH_COST_MIN, b), 0);
	assert_string_not_equal(a, b);
	assert_true(crypt_hash_is_meant(a));
	assert_null(crypt_hash_fault(a));
	assert_int_equal(crypt_hash_kind_len(a), 6); /* $y$j75 */
	assert_int_equal(crypt_hash_check(&memory, "x", a), 1);
	assert_int_equal(crypt_hash_check(&memory, "x", b), 1);
	assert_int_equal(crypt_hash_check(&memory, "y", a), 0);
	crypt_hash_free(&memory);
	assert_true(crypt_hash_make("x", 12, a) < 0);
	crypt_error = ENOMEM;
	assert_int_equal(crypt_hash_make("x", CRYPT_HASH_COST_MIN, a), -ENOMEM);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_kinds, tear_down),
		cmocka_unit_test_teardown(test_empty_password, tear_down),
		cmocka_unit_test_teardown(test_work, tear_down),
		cmocka_unit_test_teardown(test_hash_fails, tear_down),
		cmocka_unit_test_teardown(test_refusals, tear_down),
		cmocka_unit_test_teardown(test_nul, tear_down),
		cmocka_unit_test_teardown(test_limits, tear_down),
		cmocka_unit_test_teardown(test_message, tear_down),
		cmocka_unit_test_teardown(test_make, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
