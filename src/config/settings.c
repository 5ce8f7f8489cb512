#include "config.h"

#include "config/settings.h"

#include <stddef.h>

const char *const slow_policy_names[] = { "spill", "disconnect", "skip",
					  "block", NULL };
const char *const engine_mode_names[] = { "auto", "sqpoll", "direct",
					  NULL };

uint32_t
settings_filters_max(const struct settings *s)
{
	return (uint32_t)(3 * s->connections.max + s->streams.max + 13);
}

const struct rights *
settings_rights_of(const struct settings *s, const char *user)
{
	const struct rights *row = rights_search(s->auth.user_rows,
						 s->auth.user_rows_cnt, user);

	return row != NULL ? row : s->auth.others;
}
