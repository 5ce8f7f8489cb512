#include "config.h"

#include "client/shares.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { KEYS_EACH = 2 }; /* of a connection: its address and its user */

int
shares_open(struct shares *s, unsigned connections, uint64_t seed)
{
	unsigned rows = connections * KEYS_EACH;
	unsigned buckets = power_of_two_at_least(rows);

	*s = (struct shares){ .seed = seed, .buckets_mask = buckets - 1 };
	list_init(&s->idle);
	s->rows = calloc(rows, sizeof(*s->rows));
	s->buckets = calloc(buckets, sizeof(*s->buckets));
	if (s->rows == NULL || s->buckets == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < rows; i++)
		list_append(&s->idle, &s->rows[i].idle_node);
	return 0;
}

void
shares_close(struct shares *s)
{
	free(s->rows);
	free(s->buckets);
	*s = (struct shares){ 0 };
}

uint64_t
shares_memory(unsigned connections)
{
	unsigned rows = connections * KEYS_EACH;

	return rows * sizeof(struct share) +
	       power_of_two_at_least(rows) * sizeof(struct share *);
}

/* ---- keys ---- */

enum owner { OWNER_USER = 1, OWNER_IPV4, OWNER_IPV6, OWNER_UID, OWNER_UNKNOWN };

static uint64_t
key_of(const struct shares *s, enum owner owner, const void *bytes, size_t len)
{
	const uint8_t *at = bytes;
	uint64_t key = hash_add(HASH_BEGIN ^ s->seed, owner);

	for (size_t i = 0; i < len; i++)
		key = hash_add(key, at[i]);
	return key ^ key >> 32;
}

uint64_t
shares_of_user(const struct shares *s, const char *name)
{
	return key_of(s, OWNER_USER, name, strlen(name));
}

uint64_t
shares_of_address(const struct shares *s, const struct peer_address *from)
{
	const struct in6_addr *v6 = &from->at.v6.sin6_addr;

	switch (from->at.sa.sa_family) {
	case AF_INET:
		return key_of(s, OWNER_IPV4, &from->at.v4.sin_addr, 4);
	case AF_INET6:
		return IN6_IS_ADDR_V4MAPPED(v6)
			       ? key_of(s, OWNER_IPV4, v6->s6_addr + 12, 4)
			       : key_of(s, OWNER_IPV6, v6->s6_addr, 8);
	case AF_UNIX:
		return key_of(s, OWNER_UID, &from->uid, sizeof(from->uid));
	default:
		return key_of(s, OWNER_UNKNOWN, NULL, 0);
	}
}

/* ---- rows ---- */

static struct share **
bucket_of(struct shares *s, uint64_t key)
{
	return &s->buckets[key & s->buckets_mask];
}

static struct share *
find_row(struct shares *s, uint64_t key)
{
	struct share *row = *bucket_of(s, key);

	while (row != NULL && row->key != key)
		row = row->next;
	return row;
}

static void
take_out(struct shares *s, const struct share *row)
{
	struct share **at = bucket_of(s, row->key);

	while (*at != NULL && *at != row)
		at = &(*at)->next;
	/* A row that was never used is in no bucket. */
	if (*at != NULL)
		*at = row->next;
}

/* The row that has been idle for longest. */
static struct share *
make_row(struct shares *s, uint64_t key)
{
	struct share **at = bucket_of(s, key);
	struct share *row;

	CHECK(!list_is_empty(&s->idle));
	row = container_of(s->idle.next, struct share, idle_node);
	list_remove(&row->idle_node);
	take_out(s, row);
	*row = (struct share){ .key = key, .next = *at };
	*at = row;
	return row;
}

struct share *
shares_join(struct shares *s, uint64_t key, unsigned max)
{
	struct share *row = find_row(s, key);

	if (row != NULL && max > 0 && row->cnt >= max)
		return NULL;
	if (row == NULL)
		row = make_row(s, key);
	if (row->cnt++ == 0)
		list_remove(&row->idle_node);
	return row;
}

void
shares_leave(struct shares *s, struct share *row)
{
	if (row == NULL)
		return;
	CHECK(row->cnt > 0);
	if (--row->cnt == 0)
		list_append(&s->idle, &row->idle_node);
}

/* ---- requests ---- */

bool
share_may_ask(const struct share *share, unsigned per_s, int64_t now_ns)
{
	return max_i64(share->asked_until_ns, now_ns) + NS_PER_S / per_s <=
	       now_ns + NS_PER_S;
}

void
share_note_request(struct share *share, unsigned per_s, int64_t now_ns)
{
	share->asked_until_ns =
		max_i64(share->asked_until_ns, now_ns) + NS_PER_S / per_s;
}
