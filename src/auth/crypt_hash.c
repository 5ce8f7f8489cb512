#include "config.h"

#include "auth/crypt_hash.h"

#include <assert.h>
#include <crypt.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "auth/secret.h"
#include "auth/user_name.h"
#include "base/util.h"

static_assert(CRYPT_HASH_BYTES_MAX + 1 == CRYPT_OUTPUT_SIZE,
	      "a hash is what crypt(3) writes");
static_assert(PASSWORD_BYTES_MAX + 1 == CRYPT_MAX_PASSPHRASE_SIZE,
	      "crypt(3) takes every password that is sent to it");

/* What stands between the method and the salt. */
enum cost_form {
	COST_NONE,
	COST_FIELD,  /* up to a "$" */
	COST_ROUNDS, /* "rounds=N$", which may be left out */
};

/* The methods of crypt(5) that are in use; those not here are weaker than any
 * of them, or unknown. */
static const struct method {
	const char *prefix;
	enum cost_form cost;
	size_t salt_max;  /* 0: the salt is a part of what is after it */
	size_t hash_len;
} methods[] = {
	{ "$y$", COST_FIELD, 86, 43 },	/* yescrypt */
	{ "$gy$", COST_FIELD, 86, 43 }, /* gost-yescrypt */
	{ "$2a$", COST_FIELD, 0, 53 },	/* bcrypt */
	{ "$2b$", COST_FIELD, 0, 53 },
	{ "$2y$", COST_FIELD, 0, 53 },
	{ "$6$", COST_ROUNDS, 16, 86 }, /* SHA-512 */
	{ "$5$", COST_ROUNDS, 16, 43 }, /* SHA-256 */
	{ "$1$", COST_NONE, 8, 22 },	/* MD5, a thousand times */
};

static const char digits[] =
	"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

bool
crypt_hash_is_meant(const char *text)
{
	size_t len;

	if (text[0] != '$')
		return false;
	len = strspn(text + 1, digits + 2); /* no "." or "/" */
	return len > 0 && text[1 + len] == '$';
}

static const struct method *
method_of(const char *text)
{
	for (size_t i = 0; i < ARRAY_LEN(methods); i++)
		if (strncmp(text, methods[i].prefix,
			    strlen(methods[i].prefix)) == 0)
			return &methods[i];
	return NULL;
}

/* The end of the cost, where a "$" and the salt follow; NULL if it has not its
 * form. */
static const char *
cost_end(const struct method *m, const char *text)
{
	const char *at = text + strlen(m->prefix);
	size_t len;

	if (m->cost == COST_NONE ||
	    (m->cost == COST_ROUNDS && strncmp(at, "rounds=", 7) != 0))
		return at - 1;
	if (m->cost == COST_ROUNDS)
		at += 7;
	len = strspn(at, m->cost == COST_ROUNDS ? "0123456789" : digits);
	return len > 0 && at[len] == '$' ? at + len : NULL;
}

/* The salt has none of the characters that separate fields, here or in the
 * file. */
static bool
has_form(const struct method *m, const char *text)
{
	const char *at = cost_end(m, text);
	size_t len;

	if (at == NULL)
		return false;
	at++;
	if (m->salt_max > 0) {
		len = strcspn(at, "$:*!\\ ");
		if (len > m->salt_max || at[len] != '$')
			return false;
		at += len + 1;
	}
	return strlen(at) == m->hash_len && strspn(at, digits) == m->hash_len;
}

const char *
crypt_hash_fault(const char *text)
{
	const struct method *m = method_of(text);
	int salt;

	if (m == NULL)
		return "is hashed by a method that is not known here ($y$, "
		       "$gy$, $2b$, $6$, $5$, $1$ are): make a line with "
		       "`ringtick passwd`";
	if (strlen(text) > CRYPT_HASH_BYTES_MAX || !has_form(m, text))
		return "is not a whole hash of its method: copy all of it, "
		       "and nothing else, or make a line with `ringtick "
		       "passwd`";
	salt = crypt_checksalt(text);
	if (salt != CRYPT_SALT_OK && salt != CRYPT_SALT_METHOD_LEGACY)
		return "is hashed by a method, or with a cost, that this "
		       "machine's libcrypt does not have: make a line with "
		       "`ringtick passwd`";
	return NULL;
}

size_t
crypt_hash_kind_len(const char *hash)
{
	const struct method *m = method_of(hash);
	const char *end = m == NULL ? NULL : cost_end(m, hash);

	CHECK(end != NULL);
	return (size_t)(end - hash);
}

void
crypt_hash_free(struct crypt_hash_memory *m)
{
	free(m->data);
	*m = (struct crypt_hash_memory){ .data = NULL };
}

/* The structure is as new after it, all zeros. */
static void
wipe(struct crypt_hash_memory *m)
{
	if (m->data != NULL)
		explicit_bzero(m->data, (size_t)m->size);
}

/* Whether crypt(3) took the setting of a hash as it is written: it may put
 * another cost in the place of one that it does not have. */
static bool
is_of_setting(const char *made, const char *hash)
{
	return strncmp(made, hash,
		       strlen(hash) - method_of(hash)->hash_len) == 0;
}

int
crypt_hash_check(struct crypt_hash_memory *m, const char *password,
		 const char *hash)
{
	char made[CRYPT_OUTPUT_SIZE] = "", wanted[CRYPT_OUTPUT_SIZE] = "";
	const char *result;
	int res;

	CHECK(strlen(hash) < sizeof(wanted));
	memcpy(wanted, hash, strlen(hash));
	result = crypt_ra(password, hash, &m->data, &m->size);
	if (result == NULL) {
		res = errno == 0 ? -EINVAL : -errno;
	} else if (!is_of_setting(result, hash)) {
		res = -EINVAL;
	} else {
		memcpy(made, result, strlen(result));
		res = secret_is_equal(made, wanted, sizeof(made));
	}
	wipe(m);
	explicit_bzero(made, sizeof(made));
	explicit_bzero(wanted, sizeof(wanted));
	return res;
}

int
crypt_hash_make(const char *password, unsigned cost,
		char out[CRYPT_HASH_BYTES_MAX + 1])
{
	struct crypt_hash_memory m = { .data = NULL };
	char setting[CRYPT_GENSALT_OUTPUT_SIZE];
	const char *made = NULL;
	int res = 0;

	if (crypt_gensalt_rn("$y$", cost, NULL, 0, setting,
			     sizeof(setting)) != NULL)
		made = crypt_ra(password, setting, &m.data, &m.size);
	if (made == NULL)
		res = errno == 0 ? -EINVAL : -errno;
	else
		memcpy(out, made, strlen(made) + 1);
	wipe(&m);
	crypt_hash_free(&m);
	return res;
}
