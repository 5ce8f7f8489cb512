/*
 * Hashes of passwords by crypt(3), such as "$y$j9T$salt$hash": told apart,
 * checked and made.  The only file that knows libcrypt.
 *
 * The kind of a hash is its method and its cost, the text before the salt
 * ("$y$j9T"): two hashes of a kind take the same time.
 */
#ifndef RINGTICK_AUTH_CRYPT_HASH_H
#define RINGTICK_AUTH_CRYPT_HASH_H

#include <stdbool.h>
#include <stddef.h>

enum {
	CRYPT_HASH_BYTES_MAX = 383, /* without the NUL */
	/* of the cost of a new hash: each step doubles time and memory */
	CRYPT_HASH_COST_MIN = 1,
	CRYPT_HASH_COST = 5, /* 16 MiB, and some 25 ms */
	CRYPT_HASH_COST_MAX = 9, /* ringtick-login has memory for these */
};

/* Whether a text says that it is such a hash: "$", letters or digits, "$". */
bool crypt_hash_is_meant(const char *text);

/* Why it is none that can be checked, as the rest of a sentence that begins
 * with "the password"; NULL if it is one. */
const char *crypt_hash_fault(const char *text);

/* The length of its kind.  The hash has no fault. */
size_t crypt_hash_kind_len(const char *hash);

/* The working memory of checks; begins as zeros.  It holds nothing secret
 * between calls. */
struct crypt_hash_memory {
	void *data;
	int size;
};

void crypt_hash_free(struct crypt_hash_memory *m);

/* Whether the password is that of a hash without a fault: 1, 0, or -errno if it
 * cannot be found out.  It takes as long for a right one as for a wrong one. */
int crypt_hash_check(struct crypt_hash_memory *m, const char *password,
		     const char *hash);

/* Makes a yescrypt hash with a salt of its own.  0 or -errno. */
int crypt_hash_make(const char *password, unsigned cost,
		    char out[CRYPT_HASH_BYTES_MAX + 1]);

#endif
