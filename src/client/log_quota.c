#include "config.h"

#include "client/log_quota.h"

#include <stdio.h>
#include <string.h>

#include "base/util.h"

#define LINE_NS	   (1 * NS_PER_S)  /* one more line is free after each */
#define PAUSE_NS   (1 * NS_PER_S)  /* without a line: the burst has ended */
#define LONGEST_NS (10 * NS_PER_S) /* a longer burst is summed up in parts */
#define SURE_NS	   (64 * NS_PER_S) /* between two lines whatever others do */

const char *const peers_event_names[PEERS_EVENTS] = {
	[PEERS_CONNECT] = "connect",
	[PEERS_DISCONNECT] = "disconnect",
	[PEERS_SUBSCRIBE] = "subscribe",
	[PEERS_REJECTED] = "rejected",
	[PEERS_REQUEST_FAILED] = "request_failed",
	[PEERS_CONSUMER] = "consumer",
	[PEERS_SKIP] = "skip",
	[PEERS_UNREAD] = "unread",
};

void
peers_init(struct peers *p, uint64_t burst, uint64_t seed)
{
	burst = min_u64(max_u64(burst, PEERS_BURST_MIN), PEERS_BURST_MAX);
	*p = (struct peers){ .seed = seed,
			     .burst_ns = (int64_t)burst * LINE_NS };
}

/* Without the port, which differs from connection to connection. */
static size_t
address_len(const char *peer)
{
	const char *port = strrchr(peer, ':');

	return port == NULL ? strlen(peer) : (size_t)(port - peer);
}

/* The NUL that ends each text makes ("ab";"c") differ from ("a";"bc"). */
static uint64_t
add_text(uint64_t hash, const char *text, size_t len)
{
	for (size_t i = 0; i <= len; i++)
		hash = hash_add(hash, i < len ? (uint8_t)text[i] : 0);
	return hash;
}

uint64_t
peers_client(uint64_t address, const char *name)
{
	return add_text(address, name, strlen(name));
}

static uint64_t
key_of(const struct peers *p, const struct peers_line *line, const char *user)
{
	uint64_t hash = p->seed;

	hash = add_text(hash, line->peer, address_len(line->peer));
	hash = add_text(hash, user, strlen(user));
	hash = add_text(hash, peers_event_names[line->event],
			strlen(peers_event_names[line->event]));
	hash = add_text(hash, line->reason, strlen(line->reason));
	return hash ^ hash >> 32;
}

static void
hold_line(struct peers_held *held, const struct peers_line *line, uint64_t key,
	  int64_t now_ns)
{
	if (held->lines++ == 0) {
		held->first_ns = now_ns;
		held->key = key;
		(void)snprintf(held->address, sizeof(held->address), "%.*s",
			       (int)address_len(line->peer), line->peer);
		(void)snprintf(held->user, sizeof(held->user), "%s",
			       line->user);
		held->event = line->event;
		held->reason = line->reason;
	}
	held->has_others = held->has_others || held->key != key;
	held->last_ns = now_ns;
}

/*
 * Estimates how many addresses there are.  Each sets a bit by its hash.  While
 * a part p of the bits is clear, only p of all new addresses set a bit, so one
 * that does so counts as 1 / p.
 */
static void
note_address(struct peers_total *total, uint64_t hash)
{
	unsigned bit = (unsigned)((hash ^ hash >> 32) % PEERS_BITS);
	uint64_t mask = UINT64_C(1) << bit % 64;

	if ((total->seen[bit / 64] & mask) != 0)
		return;
	total->held.addresses +=
		(double)PEERS_BITS / (double)(PEERS_BITS - total->seen_cnt);
	total->seen[bit / 64] |= mask;
	total->seen_cnt++;
}

static bool
is_used_up(const struct peers *p, int64_t *used_until_ns, int64_t line_ns,
	   int64_t now_ns)
{
	if (*used_until_ns < now_ns)
		*used_until_ns = now_ns;
	return *used_until_ns + line_ns > now_ns + p->burst_ns;
}

/* Other clients may not hide all lines of one that publishes or subscribes. */
static bool
is_sure(const struct peers *p, const struct peers_line *line, unsigned of,
	int64_t now_ns)
{
	return line->is_known && now_ns >= p->rows[of].sure_ns;
}

bool
peers_may(struct peers *p, const struct peers_line *line, int64_t now_ns)
{
	uint64_t key = key_of(p, line, line->user);
	uint64_t address = key_of(p, line, "");
	unsigned idx = (unsigned)(key % PEERS_ROWS);
	unsigned of = (unsigned)(address % PEERS_ROWS);
	struct peers_total *total = &p->totals[line->event];
	int64_t *used = &p->rows[idx].used_until_ns;
	int64_t *used_of = &p->rows[of].address_until_ns;
	int64_t *used_all = &total->used_until_ns[line->is_known];

	/* Names are not checked: a client in a loop may give a new one each
	 * time. */
	if (is_used_up(p, used, LINE_NS, now_ns)) {
		hold_line(&p->rows[idx].held, line, key, now_ns);
	} else if (is_used_up(p, used_of, LINE_NS / PEERS_NAMES, now_ns)) {
		hold_line(&p->rows[of].held, line, key, now_ns);
	} else if (is_used_up(p, used_all, LINE_NS / PEERS_ALL, now_ns) &&
		   !is_sure(p, line, of, now_ns)) {
		hold_line(&total->held, line, key, now_ns);
		note_address(total, address);
	} else {
		*used += LINE_NS;
		*used_of += LINE_NS / PEERS_NAMES;
		*used_all = min_i64(*used_all + LINE_NS / PEERS_ALL,
				    now_ns + p->burst_ns);
		p->rows[of].sure_ns = now_ns + SURE_NS;
		return true;
	}
	return false;
}

/* Whether there are lines to be summed up; if so, takes them. */
static bool
take_held(struct peers_held *held, int64_t now_ns, bool wants_all,
	  struct peers_held *out)
{
	if (held->lines == 0 ||
	    (!wants_all && now_ns - held->last_ns < PAUSE_NS &&
	     now_ns - held->first_ns < LONGEST_NS))
		return false;
	*out = *held;
	*held = (struct peers_held){ 0 };
	return true;
}

bool
peers_next_held(struct peers *p, unsigned *idx, int64_t now_ns, bool wants_all,
		struct peers_held *out)
{
	while (*idx < PEERS_ROWS)
		if (take_held(&p->rows[(*idx)++].held, now_ns, wants_all, out))
			return true;
	while (*idx < PEERS_ROWS + PEERS_EVENTS) {
		struct peers_total *total = &p->totals[(*idx)++ - PEERS_ROWS];

		if (!take_held(&total->held, now_ns, wants_all, out))
			continue;
		memset(total->seen, 0, sizeof(total->seen));
		total->seen_cnt = 0;
		return true;
	}
	return false;
}

uint64_t
fault_hash(const char *of, const char *error)
{
	return add_text(add_text(HASH_BEGIN, of, strlen(of)), error,
			strlen(error));
}

static bool
is_told(const struct faults *f, uint64_t fault)
{
	for (unsigned i = 0; i < f->told_cnt; i++)
		if (f->told[i] == fault)
			return true;
	return false;
}

bool
faults_may(struct faults *f, uint64_t fault, int64_t now_ns)
{
	uint64_t held;

	return (f->told_cnt < FAULTS_TOLD && !is_told(f, fault)) ||
	       log_may(&f->limit, now_ns, &held);
}

void
faults_note(struct faults *f, uint64_t fault)
{
	if (f->told_cnt < FAULTS_TOLD && !is_told(f, fault))
		f->told[f->told_cnt++] = fault;
}
