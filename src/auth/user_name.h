/*
 * What the name of a user can be, where names are written down: in the users
 * file, and for `ringtick passwd`.  Pure.
 */
#ifndef RINGTICK_AUTH_USER_NAME_H
#define RINGTICK_AUTH_USER_NAME_H

#include <stddef.h>

/* Why no user can have this name, with what to do, as the rest of a sentence
 * that begins with "the name"; NULL if one can. */
const char *user_name_fault(const char *name, size_t len);

/* Why nobody can have this password, in the same way after "the password": it
 * is empty, too long, or has bytes that a handshake or a file can lose. */
const char *password_fault(const char *password, size_t len);

/* Of a password, without the final NUL: what crypt(3) and PAM take. */
enum { PASSWORD_BYTES_MAX = 511 };

#endif
