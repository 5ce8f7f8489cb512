#include "config.h"

#include "q/pykx_probe.h"

#include <string.h>

/* The text is recognised by its length and its FNV-1a hash. */
enum { PROBE_BYTES = 93 };
#define PROBE_HASH UINT64_C(0x80bfa85220692af1)

bool
probe_is(struct text text)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	if (text.len != PROBE_BYTES)
		return false;
	for (size_t i = 0; i < text.len; i++)
		hash = (hash ^ (uint8_t)text.at[i]) * UINT64_C(0x100000001b3);
	return hash == PROBE_HASH;
}

const char *
probe_answer(struct evaluation *e, const struct request_arg *name,
	     struct request_arg *out)
{
	struct text asked = value_symbol(name);
	/* q has this namespace, and the library asks for it first. */
	bool is_space = asked.len == 2 && memcmp(asked.at, ".q", 2) == 0;
	const char *error =
		is_space ? NULL : evaluate_name(e, asked, out);
	size_t off = wire_written(&e->work);

	if (error != NULL)
		return error;
	if (is_space || value_is_own(out, OWN_SPACE))
		wire_put_symbol(&e->work, "_pykx_ctx_marker");
	else if (value_is_function(out))
		wire_put_symbol(&e->work, "_pykx_fn_marker");
	else
		return NULL;
	return evaluation_take(e, off, out);
}
