/*
 * The site's own answer to who may come in: a PAM service.  The only file that
 * knows libpam; built without it, there is no service.
 *
 * A client has sent one password and cannot be asked again: modules get it for
 * their first prompt without echo, and a second prompt ends the check.
 */
#ifndef RINGTICK_LOGIN_PAM_CHECK_H
#define RINGTICK_LOGIN_PAM_CHECK_H

#include <stdbool.h>
#include <stddef.h>

#include "auth/login_message.h"

struct pam_door {
	const char *service;
	const char *folder; /* of services; NULL: the system's */
};

/* Whether checks can be made: there is such a service.  Else false with a line
 * in err. */
bool pam_door_is_good(const struct pam_door *door, char *err, size_t err_len);

/* Answers CHECK (authentication and account) and ACCOUNT (account).  LOGIN_YES,
 * LOGIN_NO or LOGIN_UNKNOWN; PAM's reason is in `reason`. */
enum login_answer_kind pam_door_check(const struct pam_door *door,
				      const struct login_request *request,
				      char *reason, size_t reason_len);

#endif
