/*
 * A text that one client library sends first by default.  It is written in k,
 * which is not supported, and is recognised as a whole by its hash: the text
 * itself is its authors' work and is not repeated here.
 *
 * (text;`name): what is the name? `_pykx_fn_marker for a function,
 * `_pykx_ctx_marker for a namespace, else its value (doc/notes/clients.md).
 */
#ifndef RINGTICK_Q_PYKX_PROBE_H
#define RINGTICK_Q_PYKX_PROBE_H

#include <stdbool.h>

#include "q/value.h"

bool probe_is(struct text text);

/* Whether the answer does not depend on a value: q has this namespace, which
 * the library asks for first. */
bool probe_knows(struct text name);

/* The symbol to answer instead of the name's value; NULL: the value. */
const char *probe_marker(struct text name, const struct request_arg *value);

#endif
