/*
 * The daemon's configuration; settings_load.h reads it.  (Named settings,
 * because configure writes config.h.)
 *
 * Invariant of a struct settings filled by settings_load: every value is within
 * the limits of options.def, values that depend on each other agree, derived
 * defaults (a 0 that means another setting) are filled in, and the schema is
 * finished.  The caller never has to check a setting again.
 */
#ifndef RINGTICK_CONFIG_SETTINGS_H
#define RINGTICK_CONFIG_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "config/network.h"
#include "config/rights.h"
#include "schema/schema.h"

enum engine_mode { ENGINE_AUTO, ENGINE_SQPOLL, ENGINE_DIRECT };
enum journal_sync { SYNC_NONE, SYNC_INTERVAL, SYNC_BATCH };
enum publish_after { AFTER_RING, AFTER_JOURNAL, AFTER_SYNC };
enum sub_list { SUB_LIST_TYPE, SUB_LIST_MGKDB };
enum slow_policy { SLOW_SPILL, SLOW_DISCONNECT, SLOW_SKIP, SLOW_BLOCK };

extern const char *const slow_policy_names[]; /* by enum slow_policy */
extern const char *const engine_mode_names[];

/* Of the user name in a handshake; a client with a longer one is refused. */
enum { USER_BYTES_MAX = 127 };

/* The value "auto" of a time. */
enum { TIME_AUTO = -1 };

/* Where clients connect: the group `listen`, or one of its list. */
struct listen_settings {
	char *address;
	uint64_t port;
	bool unix_socket; /* the abstract one */
	char *unix_path;  /* of a socket file; "": none */
	char *unix_group; /* "": the daemon's */
	char *unix_mode;  /* octal */
	bool proxy;
	struct network *networks; /* that may connect; none: all */
	unsigned networks_cnt;
	bool has_roles; /* a user must have one of: */
	uint64_t roles[ROLES_MAX / 64];
};

enum {
	LISTENS_MAX = 8,
	LISTEN_SOCKETS_MAX = 16, /* of all of them */
};

struct settings {
	struct listen_settings listen; /* the first one */
	struct listen_settings more_listens[LISTENS_MAX - 1];
	unsigned more_listens_cnt;
	struct {
		char *users; /* path of the users file; "": nobody needs a
				password */
		char *pam;   /* service; "": none */
		bool certificate;
		bool open;
		char *role;
		struct rights *role_rows; /* auth.roles and those built in */
		unsigned role_rows_cnt;
		struct rights *user_rows; /* auth.rights, by user */
		unsigned user_rows_cnt;
		const struct rights *others; /* of everybody else */
	} auth;
	struct {
		uint64_t max;
		uint64_t receive_buffer;
		uint64_t send_buffer;
		int64_t handshake_timeout;
		uint64_t per_address;
		int64_t tcp_user_timeout;
		char *congestion;
	} connections;
	struct {
		enum check_mode check;
	} schema;
	struct {
		uint64_t size;
		bool huge_pages, in_core;
	} ring;
	struct {
		uint64_t max;
		uint64_t ring;
		uint64_t symbols;
	} streams;
	struct {
		uint64_t max;
		uint64_t buffers;
		int64_t timeout;
	} message;
	struct {
		enum engine_mode mode;
		int64_t sq_idle;
		int64_t sq_cpu;
		int64_t cpu;
		int64_t spin; /* or TIME_AUTO */
		uint64_t span_max;
		uint64_t in_flight_max;
	} engine;
	struct {
		enum slow_policy policy;
		uint64_t leave_percent;
		uint64_t return_percent;
		int64_t block_limit;
		int64_t spill_limit;
	} slow;
	struct {
		char *directory;
		char *name;
		enum journal_sync sync;
		int64_t sync_interval;
		bool reserve;
	} journal;
	struct {
		enum publish_after after;
		int64_t interval; /* 0: no batches */
	} publish;
	struct {
		int64_t report;
		uint64_t report_consumers;
	} log;
	struct {
		char *zone;
		bool zone_is_local;
		int64_t zone_offset_ns; /* east of UTC, where not local */
	} day;
	struct {
		enum sub_list sub_list;
	} compatibility;
	struct {
		int64_t timeout;
	} stop;
	struct schema tables;
};

/* The listeners: s->listen is number 0. */
static inline unsigned
settings_listens_cnt(const struct settings *s)
{
	return 1 + s->more_listens_cnt;
}

static inline const struct listen_settings *
settings_listen(const struct settings *s, unsigned idx)
{
	return idx == 0 ? &s->listen : &s->more_listens[idx - 1];
}

/* Whether clients need a password. */
static inline bool
settings_want_password(const struct settings *s)
{
	return s->auth.users[0] != '\0' || s->auth.pam[0] != '\0';
}

/* What a user may do.  The name is compared byte for byte. */
const struct rights *settings_rights_of(const struct settings *s,
					const char *user);

/* How many different filters by symbol there can be at once: for each
 * connection its present, its requested and its previous filter, one for each
 * stream, a few that a request makes, and one for a record being read. */
uint32_t settings_filters_max(const struct settings *s);

/* The abstract socket is not for headers, which whoever is on the machine could
 * send there. */
static inline bool
settings_has_abstract(const struct listen_settings *l)
{
	return l->address[0] != '\0' && l->unix_socket && !l->proxy;
}

/* How many sockets a listener has. */
static inline unsigned
settings_sockets_of(const struct listen_settings *l)
{
	return (l->address[0] != '\0' ? 1u : 0) +
	       (settings_has_abstract(l) ? 1u : 0) +
	       (l->unix_path[0] != '\0' ? 1u : 0);
}

#endif
