/*
 * Who may come in, and what he may do then: users, rights, listeners, and the
 * operator who changes them while the daemon runs.  Some runs have these.
 *
 * All that the operator has written is a version.  The daemon has adopted one
 * at its start, and another when the log says that a reload has succeeded; the
 * adoptions of a run are numbered.
 */
#ifndef RINGTICK_TESTS_SIM_DOORS_H
#define RINGTICK_TESTS_SIM_DOORS_H

#include "world.h"

enum {
	DOOR_PLAIN = PORT, /* open to all */
	DOOR_LOCAL,	   /* to one network, and to one role */
	DOOR_PROXY,	   /* behind a TLS terminator */
};

enum { MAY_ASK = 1, MAY_PAST = 2, MAY_ADMINISTER = 4, MAY_ALL = 7 };

/* What a user may do; bits of tables. */
struct right_form {
	unsigned publish, subscribe;
	int symbols[TABLES]; /* of those to subscribe: SYMBOLS_ALL, or bits */
	unsigned may;
};

/* What can be said of a right at some moment between two. */
enum sure { SURE_NOT, SURE_YES, UNSURE };

/* Draws what this run has. */
void doors_open(void);

/* Before a start: what the operator has written. */
void doors_draw(void);

/* Of the configuration: the group listen, and what is in auth. */
void doors_put_listen(char *to, size_t room);
void doors_put_auth(char *to, size_t room);
void doors_ready(void); /* the daemon has begun with it */

/* A line of the log. */
void doors_told(const char *line, size_t len);

/* What the daemon tells of the TLS of the client with a port. */
void doors_check_tls(unsigned port, const char *tls, const char *certificate);

/* Whether a connection ended for a reason of this file's; fails if that cannot
 * be so. */
bool doors_check_end(const char *line, size_t len, const char *user,
		     const char *reason);
void doors_check(void); /* at each look */

bool doors_are_quiet(void);

/* The operator writes another version: its number. */
unsigned doors_write(bool is_broken);
bool doors_refuse_last(void); /* it would let strangers in */
void doors_ask_reload(void); /* and asks the daemon to read it */

/* ---- the clients' side ---- */

unsigned doors_add_user(struct client *c); /* a number for its name */
void doors_was_let_in(struct client *c);
bool doors_has_role(const struct client *c); /* of DOOR_LOCAL */
unsigned doors_password(unsigned user); /* in the file */
unsigned doors_find_user(const char *name);

/* How many adoptions there were. */
unsigned doors_now(void);

/* Whether a client has such a right, at some moment since then. */
enum sure doors_may(const struct client *c, unsigned since, unsigned may);
enum sure doors_may_publish(const struct client *c, unsigned since,
			    unsigned table);
bool doors_are_same(const struct client *c, unsigned since);

/* What of a selection it may have now. */
const struct right_form *doors_rights(const struct client *c);
struct selection doors_allow(const struct client *c, struct selection s);

/* Whether it may keep a subscription, says the last adoption. */
bool doors_cover(const struct client *c, struct selection s);

/* Of connections, the most that some adoption since then has allowed; 0: any.
 */
unsigned doors_most_of_address(unsigned since);
unsigned doors_most_of_user(const struct client *c, unsigned since);

/* Requests in a second and symbols of its user, the same in all versions but
 * for the last ones, which have no limits; 0: none. */
unsigned doors_requests_of(const struct client *c);
unsigned doors_symbols_of(const struct client *c);
unsigned doors_per_address(void); /* of the file */

/* The answer to `tables[]`: those that it may see. */
void doors_put_tables(const struct client *c, struct bytes *b);

/* What the operator has written last, and what the daemon has adopted; a
 * reload that was asked for and answered has adopted what there was. */
struct reloads {
	unsigned written, adopted; /* numbers of versions */
	unsigned succeeded, failed;
};
struct reloads doors_reloads(void);

/* ---- ways in (ways.c) ---- */

/* A client's own way, and its first bytes. */
void ways_draw(struct client *c);
void ways_put_hello(struct client *c);

/* Whether the daemon must not mind it, but for password and role. */
bool ways_is_good(const struct client *c);

/* The terminator has told its name from a good certificate, which counts. */
bool ways_has_certificate(const struct client *c);

/* What the daemon says of its TLS; "": nothing. */
void ways_check_tls(const struct client *c, const char *tls,
		    const char *certificate);

/* A wrong password of a user at an address.  And whether there were so many
 * that a client may be barred. */
void ways_note_failure(const char *user, uint32_t host);
bool ways_has_failed(const struct client *c);

/* ---- limits (limits.c) ---- */

void limits_let_in(struct client *c);

/* A connection was refused for this: whether that can be so. */
bool limits_refuse_address(const struct client *c);
bool limits_refuse_user(const struct client *c);

/* It makes a request that is answered; that is; it leaves. */
void limits_asked(const struct client *c);
void limits_answered(const struct client *c, const struct seen *s);
void limits_left(const struct client *c);

/* Whether a change of what it gets is refused for its symbols. */
enum sure limits_symbols(const struct client *c, struct selection before,
			 struct selection after);

void limits_told(const char *line, size_t len); /* a line of the log */

/* ---- the operator (operator.c) ---- */

void operator_open(void);

/* Before he stops the daemon he may have it read the files. */
void operator_stops_daemon(void);

/* He mends all: everybody is let in again. */
void operator_stop(void);

/* ---- those who should not come in (strangers.c) ---- */

void strangers_open(void);

#endif
