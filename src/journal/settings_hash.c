#include "config.h"

#include "journal/settings_hash.h"

#include <stddef.h>

#include "base/util.h"

enum {
	/* To be raised with each change in which updates update_parse accepts,
	 * or in the length of its result;
	 * tests/unit/journal/test_settings_hash.c notices such a change. */
	FIT_RULES = 2,
};

static void
mix(uint64_t *hash, const void *bytes, size_t len)
{
	const uint8_t *at = bytes;

	for (size_t i = 0; i < len; i++)
		*hash = hash_add(*hash, at[i]);
}

static void
mix_number(uint64_t *hash, uint64_t number)
{
	uint8_t bytes[8];

	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(number >> 8 * i);
	mix(hash, bytes, sizeof(bytes));
}

uint64_t
settings_hash(const struct settings *s)
{
	uint64_t hash = HASH_BEGIN;

	mix_number(&hash, FIT_RULES);
	mix_number(&hash, s->message.max);
	mix_number(&hash, s->schema.check);
	/* In batches a message is not a record. */
	mix_number(&hash, s->publish.interval > 0);
	for (unsigned i = 0; i < s->tables.tables_cnt; i++) {
		const struct schema_table *t = &s->tables.tables[i];

		/* The prefix has the names of the table and its columns. */
		mix_number(&hash, t->publish_prefix_len);
		mix(&hash, t->publish_prefix, t->publish_prefix_len);
		for (unsigned k = 0; k < t->columns_cnt; k++) {
			mix_number(&hash, (uint64_t)t->columns[k].type);
			mix_number(&hash, t->columns[k].is_string);
		}
	}
	return hash;
}
