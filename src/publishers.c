#include "config.h"

#include "publishers.h"

#include <string.h>

#include "util.h"

#define AWAITED_NS (3600 * NS_PER_S)

static uint64_t
key_of(const char *name, const char *peer)
{
	const char *port = strrchr(peer, ':');
	size_t len = port == NULL ? strlen(peer) : (size_t)(port - peer);
	uint64_t key = UINT64_C(14695981039346656037);

	for (const char *c = name; *c != '\0'; c++)
		key = (key ^ (uint8_t)*c) * UINT64_C(1099511628211);
	key *= UINT64_C(1099511628211); /* the end of the name */
	for (size_t i = 0; i < len; i++)
		key = (key ^ (uint8_t)peer[i]) * UINT64_C(1099511628211);
	return key;
}

static struct publisher *
find(const struct publishers *p, uint64_t key)
{
	for (unsigned i = 0; i < p->cnt; i++)
		if (p->all[i].key == key)
			return (struct publisher *)&p->all[i];
	return NULL;
}

/* A row for one more: the one that went first; NULL: all are here. */
static struct publisher *
make_room(struct publishers *p)
{
	struct publisher *oldest = NULL;

	if (p->cnt < PUBLISHERS_MAX)
		return &p->all[p->cnt++];
	for (unsigned i = 0; i < p->cnt; i++)
		if (p->all[i].here == 0 &&
		    (oldest == NULL || p->all[i].left_ns < oldest->left_ns))
			oldest = &p->all[i];
	return oldest;
}

void
publishers_came(struct publishers *p, const char *name, const char *peer)
{
	uint64_t key = key_of(name, peer);
	struct publisher *one = find(p, key);

	if (one == NULL) {
		one = make_room(p);
		if (one == NULL)
			return;
		*one = (struct publisher){ .key = key };
	}
	one->here++;
}

void
publishers_left(struct publishers *p, const char *name, const char *peer,
		int64_t now_ns)
{
	struct publisher *one = find(p, key_of(name, peer));

	if (one == NULL || one->here == 0)
		return;
	one->here--;
	one->left_ns = now_ns;
}

bool
publishers_may_stay(const struct publishers *p, const char *name,
		    const char *peer, unsigned slots_free, unsigned slots_max,
		    int64_t now_ns)
{
	unsigned share = slots_max / PUBLISHERS_SHARE, awaited = 0;

	if (slots_free >= share)
		return true;
	for (unsigned i = 0; i < p->cnt; i++)
		awaited += p->all[i].here == 0 &&
			   now_ns - p->all[i].left_ns < AWAITED_NS;
	return slots_free >= awaited || find(p, key_of(name, peer)) != NULL;
}
