#include "config.h"

#include "tools/log_replay_kinds.h"

#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "wire/wire.h"

/* Whether all items of a general list are strings; nothing else about them
 * affects the answer. */
static bool
are_strings(struct wire_reader r)
{
	uint64_t cnt;

	(void)wire_get_u8(&r);
	cnt = wire_get_count(&r, 1, NULL);
	for (uint64_t i = 0; i < cnt; i++) {
		int type = (int8_t)*r.at;

		if (type != KT_CHAR && type != -KT_CHAR)
			return false;
		wire_skip(&r);
	}
	return true;
}

/* Adds the types and lengths of the columns, or cells, at r to the hash. */
static uint64_t
add_columns(uint64_t hash, struct wire_reader r, uint64_t cnt, uint64_t rows,
	    uint64_t *len)
{
	for (uint64_t i = 0; i < cnt; i++) {
		int type = (int8_t)*r.at;
		const uint8_t *at = r.at;

		hash = hash_add(hash, (uint8_t)type);
		if (type == KT_LIST)
			hash = hash_add(hash, are_strings(r));
		if (wire_is_list(type))
			hash = hash_add(hash, wire_count(&r) == rows);
		wire_skip(&r);
		if (type < 0 && rows > 1)
			*len += rows * (uint64_t)(r.at - at);
	}
	return hash;
}

struct kind *
kinds_find(struct kinds *k, const struct journal_record *record,
	   const struct log_payload *p, uint64_t *out_len)
{
	struct wire_reader r =
		wire_reader(p->columns, p->columns_len, false);
	uint64_t hash = HASH_BEGIN, cnt = 1;
	int type = (int8_t)*r.at;

	*out_len = p->columns_len;
	for (size_t i = 0; i < record->table_len; i++)
		hash = hash_add(hash, (uint8_t)record->table[i]);
	hash = hash_add(hash, (uint8_t)type);
	if (wire_is_list(type)) {
		(void)wire_get_u8(&r);
		cnt = wire_get_count(&r, 1, NULL);
	}
	hash = hash_add(hash, cnt);
	if (type == KT_LIST)
		hash = add_columns(hash, r, cnt, p->rows, out_len);
	hash |= hash == 0;
	for (unsigned i = 0; i < KINDS_MAX; i++) {
		struct kind *kind = &k->all[(hash + i) % KINDS_MAX];

		if (kind->hash == 0)
			*kind = (struct kind){ .hash = hash,
					       .refused_min = UINT64_MAX };
		if (kind->hash == hash)
			return kind;
	}
	return NULL;
}

enum kind_answer
kind_foresee(const struct kind *kind, uint64_t len)
{
	if (kind == NULL)
		return KIND_UNKNOWN;
	if (len <= kind->taken_max)
		return KIND_TAKEN;
	return len >= kind->refused_min ? KIND_REFUSED : KIND_UNKNOWN;
}

void
kind_taken(struct kind *kind, uint64_t len)
{
	if (kind != NULL)
		kind->taken_max = max_u64(kind->taken_max, len);
}

void
kind_refused(struct kind *kind, uint64_t len, uint64_t number,
	     const char *error)
{
	if (kind == NULL)
		return;
	if (kind->refused++ == 0)
		kind->first = number;
	if (error == NULL)
		return;
	(void)snprintf(kind->error, sizeof(kind->error), "%s", error);
	/* Wrong types are wrong at any length. */
	kind->refused_min = strcmp(error, "limit") == 0
				    ? min_u64(kind->refused_min, len)
				    : 0;
}
