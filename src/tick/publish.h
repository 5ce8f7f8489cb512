/*
 * Publishing: an update is checked, stamped, and put into the main stream.
 * Updates that begin like earlier ones take a faster way (publish_by_template).
 */
#ifndef RINGTICK_TICK_PUBLISH_H
#define RINGTICK_TICK_PUBLISH_H

#include "tick/call.h"

/* .u.upd[table;x].  Returns NULL or an error text. */
const char *publish_update(struct call *c, const struct request_arg *table,
			   const struct request_arg *x);

/* The same as a function of the table of names. */
const char *publish_upd(void *context, const struct request_arg *args,
			unsigned args_cnt, struct wire_writer *out);

#endif
