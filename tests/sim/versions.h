/*
 * The versions of the configuration of doors: for versions.c, which draws and
 * writes them, and doors.c, which says what they mean.
 */
#ifndef RINGTICK_TESTS_SIM_VERSIONS_H
#define RINGTICK_TESTS_SIM_VERSIONS_H

#include "doors.h"

enum { USERS_MAX = 40, OTHERS = USERS_MAX, ROLES = 2, MARKS = 24 };
enum { ROLE_ADMIN = 2 }; /* of versions_built_in */

struct user_form {
	struct right_form own, sum; /* sum: with those of its roles */
	unsigned roles;
	unsigned password;
	unsigned connections, buffers; /* at once; 0: no limit */
	bool has_account;
};

struct version {
	unsigned number;
	bool has_users; /* passwords are needed */
	bool is_broken; /* nothing can be made of it */
	bool is_open;	/* auth.open, in the file */
	bool is_refused; /* it would let strangers in, and so is broken */
	struct right_form roles[ROLES];
	unsigned others_role; /* of those without a row */
	unsigned per_address; /* connections; 0: no limit */
	bool is_free;	      /* of the other limits */
	struct user_form users[USERS_MAX];
};

extern struct versions {
	struct client *users[USERS_MAX];
	unsigned users_cnt;
	struct user_limits {
		unsigned requests, symbols; /* 0: no limit */
	} limits[USERS_MAX];
	struct version written[MARKS]; /* by number */
	unsigned number; /* of the last one written; 0: none */
	bool was_broken; /* one written since the log told of a reload */
	bool is_open;	 /* auth.open, since the start */
} versions;

extern const struct right_form versions_built_in[];

const struct version *versions_last(void);

#endif
