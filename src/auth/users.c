#include "config.h"

#include "auth/users.h"

#include <errno.h>
#include <nettle/md5.h>
#include <nettle/sha1.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/secret.h"
#include "auth/user_name.h"
#include "base/util.h"

static const char hex_digits[] = "0123456789abcdef";

/* ---- reading ---- */

struct users_reader {
	struct users *u;
	const char *path;
	char *err;
	size_t err_len;
	unsigned line;
};

/* PATH:LINE: ... */
__attribute__((format(printf, 2, 3))) static int
refuse(struct users_reader *r, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	(void)snprintf(r->err, r->err_len, "%s:%u: %s", r->path, r->line, text);
	/* One line, whatever the path and the name are. */
	for (char *c = r->err; *c != '\0'; c++)
		if ((unsigned char)*c < ' ' || *c == 127)
			*c = '?';
	return -EINVAL;
}

static int
fail_memory(struct users_reader *r)
{
	(void)snprintf(r->err, r->err_len, "%s: out of memory", r->path);
	return -ENOMEM;
}

/* Lines as shadow(5) has them: "*" and "!" lock a user there, and would be
 * passwords here. */
static bool
is_locked(const char *password)
{
	size_t marks = strspn(password, "!*");

	return marks > 0 && (password[marks] == '\0' || password[marks] == '$');
}

static enum user_hash
hash_of(const char *password, size_t len)
{
	if (crypt_hash_is_meant(password))
		return USER_CRYPT;
	if (strspn(password, "0123456789abcdefABCDEF") == len) {
		if (len == 2 * MD5_DIGEST_SIZE)
			return USER_MD5;
		if (len == 2 * SHA1_DIGEST_SIZE)
			return USER_SHA1;
	}
	return USER_PLAIN;
}

static int
take_kind(struct users_reader *r, struct user *user)
{
	struct users *u = r->u;
	const char *fault = crypt_hash_fault(user->password);
	size_t len;
	unsigned i;

	if (fault != NULL)
		return refuse(r, "the password %s", fault);
	len = crypt_hash_kind_len(user->password);
	for (i = 0; i < u->kinds_cnt; i++)
		if (crypt_hash_kind_len(u->kinds[i]) == len &&
		    memcmp(u->kinds[i], user->password, len) == 0)
			break;
	if (i == USERS_KINDS_MAX)
		return refuse(r,
			      "the password's hash is of a fifth kind, and a "
			      "login that fails costs one hash of each: make "
			      "a line with `ringtick passwd`");
	if (i == u->kinds_cnt) {
		u->kinds[i] = user->password;
		u->kinds_line[i] = r->line;
		u->kinds_cnt++;
	}
	user->kind = (uint16_t)i;
	return 0;
}

/* Whether a line was added to one that had no end. */
static bool
has_second_line(const char *password)
{
	const char *colon = strrchr(password, ':');

	return colon != NULL && crypt_hash_is_meant(colon + 1) &&
	       crypt_hash_fault(colon + 1) == NULL;
}

static int
take_password(struct users_reader *r, struct user *user, char *password,
	      size_t len)
{
	const char *fault = password_fault(password, len);

	user->password = password;
	if (fault != NULL)
		return refuse(r, "the password %s", fault);
	if (is_locked(password))
		return refuse(r, "the password looks like that of a locked "
				 "user: remove the line, or give it another");
	if (has_second_line(password))
		return refuse(r, "the password has another user's line at its "
				 "end: begin a new line there");
	user->hash = (uint16_t)hash_of(password, len);
	if (user->hash == USER_MD5 || user->hash == USER_SHA1)
		for (char *c = password; *c != '\0'; c++)
			*c = *c >= 'A' && *c <= 'F' ? (char)(*c + 'a' - 'A')
						    : *c;
	r->u->hash_cnt[user->hash]++;
	return user->hash == USER_CRYPT ? take_kind(r, user) : 0;
}

/* The line is terminated; only its bytes are changed. */
static int
take_line(struct users_reader *r, char *line, size_t len)
{
	struct users *u = r->u;
	char *colon = memchr(line, ':', len);
	struct user *user = &u->users[u->cnt];
	const char *fault;

	if (len == 0)
		return refuse(r, "the line is empty, which kdb+ does not allow "
				 "either: remove it");
	if (colon == NULL)
		return refuse(r, "there is no colon: write NAME:PASSWORD, a "
				 "line for each user");
	if (u->cnt == USERS_MAX)
		return refuse(r, "this is one user more than 100000: remove "
				 "some");
	fault = user_name_fault(line, (size_t)(colon - line));
	if (fault != NULL)
		return refuse(r, "the name %s", fault);
	*colon = '\0';
	*user = (struct user){ .name = line, .line = r->line };
	u->cnt++;
	return take_password(r, user, colon + 1,
			     (size_t)(line + len - (colon + 1)));
}

static unsigned
count_lines(const char *text, size_t len)
{
	unsigned cnt = 1;

	for (const char *end = text + len;
	     (text = memchr(text, '\n', (size_t)(end - text))) != NULL; text++)
		cnt++;
	return cnt;
}

static int
take_lines(struct users_reader *r)
{
	char *at = r->u->text, *end = at + r->u->text_len;

	while (at < end) {
		char *stop = memchr(at, '\n', (size_t)(end - at));
		int res;

		/* the text has a NUL at its end */
		stop = stop == NULL ? end : stop;
		*stop = '\0';
		r->line++;
		res = take_line(r, at, (size_t)(stop - at));
		if (res != 0)
			return res;
		at = stop + 1;
	}
	return 0;
}

static int
by_name(const void *a, const void *b)
{
	const struct user *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	if (order != 0)
		return order;
	return x->line < y->line ? -1 : x->line > y->line;
}

static int
sort(struct users_reader *r)
{
	struct users *u = r->u;
	const struct user *twice = NULL;

	qsort(u->users, u->cnt, sizeof(u->users[0]), by_name);
	for (unsigned i = 1; i < u->cnt; i++)
		if (strcmp(u->users[i - 1].name, u->users[i].name) == 0 &&
		    (twice == NULL || u->users[i].line < twice->line))
			twice = &u->users[i];
	if (twice == NULL)
		return 0;
	r->line = twice->line;
	return refuse(r, "the user \"%s\" is on line %u already: remove one of "
			 "the lines",
		      twice->name, twice[-1].line);
}

static int
read_text(struct users_reader *r, const char *text, size_t len)
{
	struct users *u = r->u;
	unsigned lines = count_lines(text, len);
	int res;

	u->text = malloc(len + 1);
	u->users = calloc(lines < USERS_MAX ? lines : USERS_MAX,
			  sizeof(u->users[0]));
	if (u->text == NULL || u->users == NULL)
		return fail_memory(r);
	memcpy(u->text, text, len);
	u->text[len] = '\0';
	u->text_len = len;
	res = take_lines(r);
	if (res != 0)
		return res;
	r->line = 1;
	if (u->cnt == 0)
		return refuse(r, "there is no user: write a line "
				 "NAME:PASSWORD, which `ringtick passwd NAME` "
				 "makes");
	return sort(r);
}

int
users_read(struct users *out, const char *path, const char *text, size_t len,
	   char *err, size_t err_len)
{
	struct users_reader r = {
		.u = out, .path = path, .err = err, .err_len = err_len,
		.line = 0
	};
	int res;

	*out = (struct users){ .cnt = 0 };
	CHECK(len <= USERS_FILE_BYTES_MAX);
	res = read_text(&r, text, len);
	if (res != 0)
		users_fini(out);
	return res;
}

void
users_fini(struct users *u)
{
	if (u->text != NULL)
		explicit_bzero(u->text, u->text_len);
	free(u->text);
	free(u->users);
	*u = (struct users){ .cnt = 0 };
}

/* ---- asking ---- */

static int
name_against(const void *name, const void *user)
{
	return strcmp(name, ((const struct user *)user)->name);
}

const struct user *
users_find(const struct users *u, const char *name)
{
	return bsearch(name, u->users, u->cnt, sizeof(u->users[0]),
		       name_against);
}

/* A password in each way in which a file can have it, padded with zeros. */
struct forms {
	char text[USER_CRYPT][PASSWORD_BYTES_MAX + 1];
};

static void
write_hex(char *out, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		*out++ = hex_digits[bytes[i] >> 4];
		*out++ = hex_digits[bytes[i] & 15];
	}
}

static void
make_forms(struct forms *out, const char *password, size_t len)
{
	uint8_t digest[SHA1_DIGEST_SIZE];
	struct sha1_ctx sha1;
	struct md5_ctx md5;

	memset(out, 0, sizeof(*out));
	memcpy(out->text[USER_PLAIN], password, len);
	md5_init(&md5);
	md5_update(&md5, len, (const uint8_t *)password);
	md5_digest(&md5, MD5_DIGEST_SIZE, digest);
	write_hex(out->text[USER_MD5], digest, MD5_DIGEST_SIZE);
	sha1_init(&sha1);
	sha1_update(&sha1, len, (const uint8_t *)password);
	sha1_digest(&sha1, SHA1_DIGEST_SIZE, digest);
	write_hex(out->text[USER_SHA1], digest, SHA1_DIGEST_SIZE);
	explicit_bzero(digest, sizeof(digest));
	explicit_bzero(&md5, sizeof(md5));
	explicit_bzero(&sha1, sizeof(sha1));
}

/* The ways that cost next to nothing: all are gone for every user. */
static bool
is_cheap_right(const struct user *user, const char *password, size_t len)
{
	char wanted[PASSWORD_BYTES_MAX + 1] = "";
	enum user_hash hash = USER_PLAIN;
	struct forms forms;
	bool is_right;

	if (user != NULL && user->hash != USER_CRYPT) {
		hash = user->hash;
		memcpy(wanted, user->password, strlen(user->password));
	}
	make_forms(&forms, password, len);
	is_right = secret_is_equal(forms.text[hash], wanted, sizeof(wanted));
	explicit_bzero(&forms, sizeof(forms));
	explicit_bzero(wanted, sizeof(wanted));
	return is_right && user != NULL && user->hash == hash;
}

enum users_verdict
users_check(const struct users *u, struct crypt_hash_memory *m,
	    const char *name, const char *password)
{
	const struct user *user = users_find(u, name);
	size_t len = strlen(password);
	int failure = 0;

	CHECK(len <= PASSWORD_BYTES_MAX);
	/* Nobody has the empty password, whatever the file's hash is of. */
	if (is_cheap_right(user, password, len) && len > 0)
		return USERS_RIGHT;
	for (unsigned i = 0; i < u->kinds_cnt; i++) {
		bool is_own = user != NULL && user->hash == USER_CRYPT &&
			      user->kind == i;
		int res = crypt_hash_check(
			m, password, is_own ? user->password : u->kinds[i]);

		if (is_own && res == 1 && len > 0)
			return USERS_RIGHT;
		if (is_own && res < 0)
			failure = -res;
	}
	errno = failure;
	if (failure != 0)
		return USERS_FAILED;
	return user == NULL ? USERS_UNKNOWN : USERS_WRONG;
}
