#include "config.h"

#include "daemon/buffers.h"

#include <string.h>

bool
buffers_is_of_share(const struct connection *c,
		    const struct connection *holder)
{
	if (c->is_publisher && !holder->is_publisher)
		return false;
	return c->consumer.address == holder->consumer.address ||
	       strcmp(c->user, holder->user) == 0;
}

unsigned
buffers_kept_from(const struct connection *c)
{
	return c->is_publisher ? 0 : 1;
}

bool
buffers_may_take(const struct server *s, const struct connection *c,
		 enum pool_use use)
{
	unsigned of_address = 0, of_user = 0, going_out = 0;
	unsigned own = c->rights->limits[LIMIT_BUFFERS];
	unsigned share = s->pool.cnt / 2;

	for (unsigned i = 0; i < s->pool.cnt; i++) {
		const struct pool_hold *hold = &s->pool.holds[i];
		const struct connection *other = hold->holder;

		if (other == NULL)
			continue;
		if (buffers_is_of_share(c, other)) {
			of_address += c->consumer.address ==
				      other->consumer.address;
			of_user += strcmp(c->user, other->user) == 0;
		}
		going_out += hold->use != POOL_INPUT;
	}
	if (own == 0)
		own = share;
	return s->pool.free_cnt > buffers_kept_from(c) &&
	       of_address < max_u64(own, share) && of_user < own &&
	       (use == POOL_INPUT || going_out < share);
}

uint8_t *
buffers_take(struct server *s, struct connection *c, enum pool_use use)
{
	struct pool_hold hold = { .holder = c,
				  .use = use,
				  .since_ns = s->now_ns,
				  .moved_ns = s->now_ns };

	return buffers_may_take(s, c, use) ? pool_take(&s->pool, hold) : NULL;
}

int64_t
buffers_due_ns(const struct server *s)
{
	return s->pool.free_cnt == s->pool.cnt ? INT64_MAX
					       : s->next_buffers_check_ns;
}
