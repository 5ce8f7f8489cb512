/*
 * A text that one client library sends by default before all else, in a dialect
 * that is not ours (k), recognised as a whole: what it asks is known, its words
 * are its authors'.
 *
 * (text;`name): what is the name?  `_pykx_fn_marker for a function,
 * `_pykx_ctx_marker for a namespace, else its value (tick-contract.md
 * section 8).
 */
#ifndef RINGTICK_Q_PYKX_PROBE_H
#define RINGTICK_Q_PYKX_PROBE_H

#include "q/eval_private.h"

bool probe_is(struct text text);

/* The answer. NULL or the error text. */
const char *probe_answer(struct evaluation *e, const struct request_arg *name,
			 struct request_arg *out);

#endif
