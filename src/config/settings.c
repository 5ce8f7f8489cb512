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
