/*
 * A text that one client library sends first by default.  It is written in k,
 * which is not supported, and is recognised as a whole by its hash: the text
 * itself is its authors' work and is not repeated here.
 *
 * (text;`name): what is the name? `_pykx_fn_marker for a function,
 * `_pykx_ctx_marker for a namespace, else its value (tick-contract.md section
 * 8).
 */
#ifndef RINGTICK_Q_PYKX_PROBE_H
#define RINGTICK_Q_PYKX_PROBE_H

#include "q/eval_private.h"

bool probe_is(struct text text);

/* Sets *out to the answer.  Returns NULL or the error text. */
const char *probe_answer(struct evaluation *e, const struct request_arg *name,
			 struct request_arg *out);

#endif
