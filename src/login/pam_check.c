#include "config.h"

#include "login/pam_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef HAVE_PAM
#include <security/pam_appl.h>
#endif

#include "base/util.h"

#ifdef HAVE_PAM

/* ---- the service ---- */

static bool
has_file(const char *folder, const char *service)
{
	char path[4096];
	int n = snprintf(path, sizeof(path), "%s/%s", folder, service);

	return n < (int)sizeof(path) && access(path, R_OK) == 0;
}

/* PAM itself would turn to the service "other" without a word. */
bool
pam_door_is_good(const struct pam_door *door, char *err, size_t err_len)
{
	static const char *const folders[] = { "/etc/pam.d", "/usr/lib/pam.d",
					       "/usr/share/pam.d" };
	bool is_found = false;

	if (door->service[0] == '\0' || strchr(door->service, '/') != NULL) {
		(void)snprintf(err, err_len,
			       "the PAM service \"%s\" is no name of a file in "
			       "/etc/pam.d",
			       door->service);
		return false;
	}
#ifndef HAVE_PAM_CONFDIR
	if (door->folder != NULL) {
		(void)snprintf(err, err_len,
			       "this PAM has services in /etc/pam.d only");
		return false;
	}
#endif
	for (size_t i = 0; door->folder == NULL && i < ARRAY_LEN(folders); i++)
		is_found = is_found || has_file(folders[i], door->service);
	if (door->folder != NULL)
		is_found = has_file(door->folder, door->service);
	if (!is_found)
		(void)snprintf(err, err_len,
			       "there is no PAM service \"%s\" that can be "
			       "read: make the file %s/%s",
			       door->service,
			       door->folder == NULL ? folders[0]
						    : door->folder,
			       door->service);
	return is_found;
}

/* ---- a check ---- */

struct talk {
	const char *password;
	bool is_told;
};

static void
free_answers(struct pam_response *answers, int cnt)
{
	for (int i = 0; i < cnt; i++) {
		if (answers[i].resp == NULL)
			continue;
		explicit_bzero(answers[i].resp, strlen(answers[i].resp));
		free(answers[i].resp);
	}
	free(answers);
}

static int
converse(int cnt, const struct pam_message **messages,
	 struct pam_response **out, void *at)
{
	struct talk *talk = at;
	struct pam_response *answers;

	if (cnt <= 0 || cnt > PAM_MAX_NUM_MSG)
		return PAM_CONV_ERR;
	answers = calloc((size_t)cnt, sizeof(*answers));
	if (answers == NULL)
		return PAM_BUF_ERR;
	for (int i = 0; i < cnt; i++) {
		int style = messages[i]->msg_style;

		/* The client hears nothing but yes or no. */
		if (style == PAM_TEXT_INFO || style == PAM_ERROR_MSG)
			continue;
		if (style == PAM_PROMPT_ECHO_OFF && !talk->is_told)
			answers[i].resp = strdup(talk->password);
		if (answers[i].resp == NULL) {
			free_answers(answers, cnt);
			return PAM_CONV_ERR;
		}
		talk->is_told = true;
	}
	*out = answers;
	return PAM_SUCCESS;
}

/* Takes the place of PAM's sleep after a failure: the daemon delays the peer,
 * and nobody else. */
static void
no_delay(int result, unsigned usec, void *data)
{
	(void)result;
	(void)usec;
	(void)data;
}

static int
start(const struct pam_door *door, const char *user,
      const struct pam_conv *talk, pam_handle_t **out)
{
#ifdef HAVE_PAM_CONFDIR
	return pam_start_confdir(door->service, user, talk, door->folder, out);
#else
	return pam_start(door->service, user, talk, out);
#endif
}

static int
set_items(pam_handle_t *pam, const struct login_request *request)
{
	char address[LOGIN_PEER_BYTES_MAX + 1];
	int res = pam_set_item(pam, PAM_FAIL_DELAY,
			       (const void *)(uintptr_t)no_delay);

	/* Without one the peer is on this machine. */
	if (res == PAM_SUCCESS && request->peer[0] != '\0' &&
	    strcmp(request->peer, "unix") != 0)
		res = pam_set_item(pam, PAM_RHOST,
				   login_peer_address(address, request->peer));
	return res;
}

static int
ask(pam_handle_t *pam, const struct login_request *request)
{
	int res = set_items(pam, request);

	if (res == PAM_SUCCESS && request->kind == LOGIN_CHECK)
		res = pam_authenticate(pam,
				       PAM_SILENT | PAM_DISALLOW_NULL_AUTHTOK);
	if (res == PAM_SUCCESS)
		res = pam_acct_mgmt(pam,
				    PAM_SILENT | PAM_DISALLOW_NULL_AUTHTOK);
	return res;
}

static enum login_answer_kind
answer_of(int res)
{
	switch (res) {
	case PAM_SUCCESS:
		return LOGIN_YES;
	/* The stack did not come to a decision about the user. */
	case PAM_ABORT:
	case PAM_AUTHINFO_UNAVAIL:
	case PAM_BUF_ERR:
	case PAM_MODULE_UNKNOWN:
	case PAM_OPEN_ERR:
	case PAM_SERVICE_ERR:
	case PAM_SYMBOL_ERR:
	case PAM_SYSTEM_ERR:
		return LOGIN_UNKNOWN;
	default:
		return LOGIN_NO;
	}
}

enum login_answer_kind
pam_door_check(const struct pam_door *door, const struct login_request *request,
	       char *reason, size_t reason_len)
{
	struct talk talk = { .password = request->password };
	const struct pam_conv conversation = { converse, &talk };
	pam_handle_t *pam = NULL;
	int res;

	/* Modules must not be asked about a name that is none, which they would
	 * prompt for; nor about no password. */
	if (user_name_fault(request->user, strlen(request->user)) != NULL ||
	    request->is_too_long ||
	    (request->kind == LOGIN_CHECK && request->password[0] == '\0')) {
		(void)snprintf(reason, reason_len,
			       "no name or password that PAM can be asked "
			       "about");
		return LOGIN_NO;
	}
	res = start(door, request->user, &conversation, &pam);
	if (res == PAM_SUCCESS)
		res = ask(pam, request);
	(void)snprintf(reason, reason_len, "PAM: %s", pam_strerror(pam, res));
	(void)pam_end(pam, res);
	return answer_of(res);
}

#else

bool
pam_door_is_good(const struct pam_door *door, char *err, size_t err_len)
{
	(void)snprintf(err, err_len,
		       "the PAM service \"%s\" cannot be asked: ringtick was "
		       "built without PAM; name a users file, or build it "
		       "where libpam0g-dev is installed",
		       door->service);
	return false;
}

enum login_answer_kind
pam_door_check(const struct pam_door *door, const struct login_request *request,
	       char *reason, size_t reason_len)
{
	(void)door;
	(void)request;
	(void)snprintf(reason, reason_len, "built without PAM");
	return LOGIN_UNKNOWN;
}

#endif
