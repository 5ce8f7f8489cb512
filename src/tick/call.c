#include "config.h"

#include "tick/call.h"

#include <string.h>

#include "q/parse.h"

const char call_bad_rank[] = "rank";
const char call_no_access[] = "access";

const char *
call_must_wait(struct call *c, enum wait_reason why)
{
	bool is_pointless = why == WAIT_FILE && c->tick->journal->is_file_stuck;

	c->out->waits_for = why;
	if (!c->has_effects && !c->client->is_late && !is_pointless)
		return request_must_wait;
	if (why == WAIT_DEAR)
		return query_limit;
	if (why == WAIT_RELOAD)
		return "reload";
	return why == WAIT_FILE ? "journal" : "full";
}

const char *
call_refuse(const struct call *c)
{
	c->tick->counters->refused++;
	return call_no_access;
}

bool
call_may(const struct call *c, unsigned right)
{
	return (c->client->may & right) != 0;
}

bool
call_may_follow(const struct call *c)
{
	return rights_may_subscribe_any(c->client->rights) ||
	       (c->client->may & (RIGHT_ASK | RIGHT_PAST)) != 0;
}

const char *
call_name_error(struct tick *t, const struct request_arg *symbol)
{
	size_t len = symbol->len - 2; /* without type byte and NUL */

	len = len < sizeof(t->error) ? len : sizeof(t->error) - 1;
	memcpy(t->error, symbol->at + 1, len);
	t->error[len] = '\0';
	return t->error;
}

bool
call_is_too_brief(const struct call *c)
{
	return c->client->is_brief && !c->has_effects;
}
