#include "config.h"

#include "client/publishers.h"

#include "base/util.h"
#include "client/log_quota.h"

#define AWAITED_MIN_NS (10 * NS_PER_S)
#define AWAITED_MAX_NS (3600 * NS_PER_S)

static struct publisher *
find_publisher(const struct publishers *p, uint64_t key)
{
	for (unsigned i = 0; i < p->cnt; i++)
		if (p->all[i].key == key)
			return (struct publisher *)&p->all[i];
	return NULL;
}

/* A row for a new publisher; NULL if all rows that the address may have are of
 * publishers that are connected. */
static struct publisher *
make_room(struct publishers *p, uint64_t address)
{
	struct publisher *first = NULL;
	unsigned of_address = 0;
	bool has_share;

	for (unsigned i = 0; i < p->cnt; i++)
		of_address += p->all[i].address == address;
	has_share = of_address >= PUBLISHERS_OF_ADDRESS;
	if (!has_share && p->cnt < PUBLISHERS_MAX)
		return &p->all[p->cnt++];
	for (unsigned i = 0; i < p->cnt; i++) {
		struct publisher *one = &p->all[i];

		if (one->here == 0 && (!has_share || one->address == address) &&
		    (first == NULL || one->until_ns < first->until_ns))
			first = one;
	}
	return first;
}

void
publishers_came(struct publishers *p, const char *name, uint64_t address,
		int64_t now_ns)
{
	uint64_t key = peers_client(address, name);
	struct publisher *one = find_publisher(p, key);

	if (one == NULL) {
		one = make_room(p, address);
		if (one == NULL)
			return;
		*one = (struct publisher){ .key = key, .address = address };
	}
	if (one->here++ == 0)
		one->since_ns = now_ns;
}

void
publishers_left(struct publishers *p, const char *name, uint64_t address,
		int64_t now_ns)
{
	struct publisher *one = find_publisher(p, peers_client(address, name));
	int64_t for_ns;

	if (one == NULL || one->here == 0 || --one->here > 0)
		return;
	for_ns = now_ns - one->since_ns;
	if (for_ns < AWAITED_MIN_NS)
		for_ns = AWAITED_MIN_NS;
	if (for_ns > AWAITED_MAX_NS)
		for_ns = AWAITED_MAX_NS;
	/* A short visit does not shorten the time earned by a long one. */
	if (now_ns + for_ns > one->until_ns)
		one->until_ns = now_ns + for_ns;
}

bool
publishers_know(const struct publishers *p, const char *name, uint64_t address)
{
	return find_publisher(p, peers_client(address, name)) != NULL;
}

bool
publishers_may_stay(const struct publishers *p, const char *name,
		    uint64_t address, bool may_publish, unsigned slots_free,
		    unsigned slots_max, int64_t now_ns)
{
	unsigned share = slots_max / PUBLISHERS_SHARE, awaited = 0;

	if (slots_free >= share)
		return true;
	if (!may_publish)
		return false;
	for (unsigned i = 0; i < p->cnt; i++)
		awaited +=
			p->all[i].here == 0 && now_ns < p->all[i].until_ns;
	return slots_free >= awaited ||
	       publishers_know(p, name, address);
}
