/*
 * The users file: kdb+'s own (-u, -U), a line NAME:PASSWORD for each user, read
 * from its text in memory.  Pure; read and asked by ringtick-login only.
 *
 * A password is written as it is, as an MD5 (32 hexadecimal digits) or SHA-1
 * (40), or, which kdb+ does not have, as a hash of crypt(3) ($y$...).  A file
 * may have all of them.  Everything that is doubtful is refused with its line:
 * an empty line, as kdb+'s documentation forbids it; a name that is there
 * twice; an empty password.
 *
 * Time tells nothing: a check that fails has made one hash of each kind that is
 * in the file, whether there is such a user or not, and whatever kind of hash
 * the user has.  The dearest kind is what all of that costs, and there are at
 * most USERS_KINDS_MAX.
 */
#ifndef RINGTICK_AUTH_USERS_H
#define RINGTICK_AUTH_USERS_H

#include <stddef.h>
#include <stdint.h>

#include "auth/crypt_hash.h"

enum {
	USERS_FILE_BYTES_MAX = 4 << 20,
	USERS_MAX = 100000,
	USERS_KINDS_MAX = 4, /* of crypt(3)'s hashes */
};

enum user_hash {
	USER_PLAIN,
	USER_MD5,
	USER_SHA1,
	USER_CRYPT,
	USER_HASH_COUNT,
};

struct user {
	const char *name;
	const char *password; /* as in the file; the digits of MD5 and SHA-1
				 are lower case */
	uint32_t line;	      /* counted from 1 */
	uint16_t hash;	      /* enum user_hash */
	uint16_t kind;	      /* of USER_CRYPT: its place in kinds[] */
};

struct users {
	char *text; /* the file's; names and passwords are terminated there */
	size_t text_len;
	struct user *users; /* by name */
	unsigned cnt;
	unsigned hash_cnt[USER_HASH_COUNT];
	/* A hash of each kind, whose users fail or succeed by their own. */
	const char *kinds[USERS_KINDS_MAX];
	unsigned kinds_line[USERS_KINDS_MAX];
	unsigned kinds_cnt;
};

/*
 * Reads the text of a file that is called `path` in messages.  0; or -EINVAL
 * or -ENOMEM with a line that names the place, the reason and what to do, and
 * never a password.  Then *out is empty.
 */
int users_read(struct users *out, const char *path, const char *text,
	       size_t len, char *err, size_t err_len);

/* Accepts zeros.  Nothing of the file is left in memory. */
void users_fini(struct users *u);

/* NULL if there is none. */
const struct user *users_find(const struct users *u, const char *name);

enum users_verdict {
	USERS_RIGHT,
	USERS_WRONG,   /* there is such a user, with another password */
	USERS_UNKNOWN, /* there is no such user */
	USERS_FAILED,  /* a hash could not be made; errno says why */
};

/* The password has at most PASSWORD_BYTES_MAX bytes. */
enum users_verdict users_check(const struct users *u,
			       struct crypt_hash_memory *m, const char *name,
			       const char *password);

#endif
