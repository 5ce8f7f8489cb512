/*
 * How far the journal is, as clients ask for it: .u.i, .u.j, .u.L and .u.l.
 * Rows of the names in tick.c; see call.h, which has what others need of it.
 */
#ifndef RINGTICK_TICK_POSITION_H
#define RINGTICK_TICK_POSITION_H

#include "q/eval.h"

const char *position_i(void *context, const struct request_arg *args,
		       unsigned args_cnt, struct wire_writer *out);
const char *position_j(void *context, const struct request_arg *args,
		       unsigned args_cnt, struct wire_writer *out);
const char *position_L(void *context, const struct request_arg *args,
		       unsigned args_cnt, struct wire_writer *out);
const char *position_l(void *context, const struct request_arg *args,
		       unsigned args_cnt, struct wire_writer *out);

#endif
