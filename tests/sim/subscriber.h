/*
 * A subscriber, for the files that are about them: subscribers.c (what they
 * do), policies.c (what befalls the slow ones), answers.c (what comes to them)
 * and order.c (where that is in the order).
 */
#ifndef RINGTICK_TESTS_SIM_SUBSCRIBER_H
#define RINGTICK_TESTS_SIM_SUBSCRIBER_H

#include "doors.h"

enum { SUBSCRIBERS_MAX = 16, FEEDS = 8 };

struct item {
	enum {
		ITEM_UPDATE,
		ITEM_END,
		ITEM_JUMP,
		ITEM_SKIPS,
		ITEM_CHANGE,
		ITEM_ANSWER, /* to a question, after idx records of day */
	} kind;
	struct selection sel; /* from a jump or change on */
	struct update u;
	int64_t stamp_ns;
	int32_t day;
	unsigned port; /* of the connection on which it came */
	uint64_t idx; /* of a jump; of skips the first record left out */
	uint64_t end_idx; /* the first one after these */
};

/* What it says about itself when it rejoins: since record `base` of `day` it
 * has had cnt messages. */
struct claim {
	bool is_made;
	int64_t epoch;
	unsigned doors;	  /* doors_now() then: rights are in the epoch */
	int32_t day;
	uint64_t base, cnt;
	unsigned unclean; /* world.unclean when it was last true, ... */
	unsigned era;	  /* ... and world.era, ... */
	uint64_t fit;	  /* ... and world.fit */
	unsigned after;	  /* the weakest world.after while it was made */
	bool is_blurred;  /* it has had batches, of which none is counted */
	bool is_beyond;	  /* a crash took some of what it has had */
	bool has_limit;	  /* others have cut out records ... */
	uint64_t limit;	  /* ... from this one on */
	bool is_misdated; /* the daemon has found that its day was wrong */
	bool has_leapt;	  /* its day was left out: it is in a later one */
	bool is_doubtful; /* the date was corrected since, and its file may not
			     have been open when an epoch began */
};

/* A selection, and as it is written in a request. */
struct wish {
	struct selection asked;
	struct selection sel; /* what it may have of that */
	char tables[64], symbols[64];
	bool is_patched; /* .u.add or .u.del made it: no one request does */
};

struct subscriber {
	struct client c;
	struct wish has;
	enum { ASK_SUB, ASK_FROM, ASK_REJOIN } asked;
	enum { HABIT_PROMPT, HABIT_SLOW, HABIT_STOP_AND_GO } habit;
	enum { POLICY_SPILL, POLICY_DISCONNECT, POLICY_SKIP, POLICY_BLOCK }
		policy;
	bool has_spill_limit;
	bool is_absent; /* left out of this run */
	bool is_vanishing;
	bool is_fickle; /* changes its selection */
	bool is_curious; /* asks where the day is */
	unsigned asking; /* questions without an answer, ... */
	unsigned unsure; /* ... of which the first may be of an order that is
			    forgotten */
	size_t down_max; /* of its sockets; 0: as it comes */
	bool is_told_slow; /* by the log, ... */
	unsigned long told_spills; /* ... with so many leaves for the journal */
	bool was_level;	   /* so it does not read what was before it */
	int64_t slow_ns; /* since when it must be slow; 0: it need not be */
	bool is_holding; /* the feeds; then: */
	uint64_t hold_had, hold_sent, hold_idx; /* bytes, and records */
	bool is_placed; /* its request was answered */
	uint64_t from;	/* what it asked for with ASK_FROM */
	int64_t new_epoch;
	unsigned new_doors; /* doors_now(), then */
	struct claim claim;
	struct bytes items;
	/* The place of the first item; in batches each table has its own. */
	int32_t day;
	uint64_t idx[TABLES];
	uint64_t passed; /* records of the day before it; UINT64_MAX: without a
			    journal, until a day begins, nobody knows */
	struct selection items_sel;
	uint64_t lacks; /* the record that it lacked at the last look */
	int64_t moved_ns; /* since when it is that one */
	bool is_changing; /* its selection: the reply has not come yet */
	struct wish next;
	bool is_lying; /* in its claim */
	int64_t asked_ns;
	unsigned asked_since; /* doors_now(), then */
	bool is_refused; /* what it has asked for, for lack of rights */
	enum sure is_over; /* what it has asked for, its user's symbols */
	bool must_go, may_go; /* its rights have changed */
	bool is_unsure;	  /* whether its reply is of that order, too */
	bool has_skipped;
	/* Without a journal: the last update of each feed that it has had, and
	 * one more; 0: none. */
	uint32_t had[FEEDS][TABLES];
	bool is_adrift;	  /* what it gets is of an order that is forgotten */
	bool is_renewing; /* the next message makes its claim a new one */
};

extern struct subscriber subscribers[SUBSCRIBERS_MAX];
extern unsigned subscribers_cnt;

static inline unsigned
subscriber_id(const struct subscriber *s)
{
	return (unsigned)(s - subscribers);
}

static inline struct subscriber *
subscriber_of(struct client *c)
{
	return container_of(c, struct subscriber, c);
}

/* Whether a wish, if it is for a list of tables or for one, or for all, is
 * refused for lack of rights. */
bool subscriber_lacks_right(const struct subscriber *s, const struct wish *w);

/* ---- subscribers.c ---- */

/* It has asked .u.sub for a list of tables, which only mgkdb allows. */
bool subscriber_asks_as_mgkdb(const struct subscriber *s);
void subscriber_ask_from(struct subscriber *s, uint64_t from);
void subscriber_ask_again(struct subscriber *s);
void subscriber_come_later(struct subscriber *s);

/* ---- policies.c ---- */

void policy_draw(struct subscriber *s);
void policy_check(struct subscriber *s, bool is_excused); /* at each look */

/* ---- answers.c ---- */

/* A frame has come. */
void subscriber_take(struct client *c, const struct seen *seen,
		     const uint8_t *at);
void answers_daemon_ended(void);

/* Whether it wants a table that the schema does not have. */
bool subscriber_wants_unknown(const struct subscriber *s);

/* It has records that others have cut out of the file: exactly these are what
 * it cannot claim. */
bool claim_is_beyond_limit(const struct subscriber *s);

/* ---- order.c ---- */

/* It has seen this next, which is compared as soon as that can be. */
void order_add(struct subscriber *s, struct item item);
void order_check(struct subscriber *s);

/* The first known record from its place on that its selection wants;
 * UINT64_MAX: there is none. */
uint64_t order_lacks(const struct subscriber *s);
bool order_sees_all(struct selection sel);
bool order_has_filter(struct selection sel); /* of symbols */

/* No record of an earlier schema is left out. */
bool order_fits_all(void);

#endif
