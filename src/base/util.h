/*
 * Small tools for every file: CHECK, array length, an intrusive doubly linked
 * list, bits, a hash.  Includes no other header of ours.
 */
#ifndef RINGTICK_BASE_UTIL_H
#define RINGTICK_BASE_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * An invariant of our own code.  Always compiled in: continuing with a broken
 * offset would corrupt every subscriber's stream, stopping does not.
 */
#define CHECK(cond)                                                            \
	((cond) ? (void)0 : check_failed(#cond, __FILE__, __LINE__))

_Noreturn void check_failed(const char *cond, const char *file, int line);

/* Writes the line of a failed CHECK.  log_open puts a function here that does
 * not block on the reader of the log. */
extern void (*check_say)(const char *line, size_t len);

/* Writes the reason into err and sets errno.  Always returns false. */
bool fail_with(int error, char *err, size_t err_len, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#define NS_PER_US 1000ll
#define NS_PER_MS 1000000ll
#define NS_PER_S  1000000000ll

#define container_of(ptr, type, member)                                        \
	((type *)((char *)(ptr)-offsetof(type, member)))

/* A node is in a list exactly while next != NULL. The head is a node too. */
struct list {
	struct list *next, *prev;
};

static inline void
list_init(struct list *head)
{
	head->next = head->prev = head;
}

static inline bool
list_is_empty(const struct list *head)
{
	return head->next == head;
}

static inline bool
list_is_linked(const struct list *node)
{
	return node->next != NULL;
}

static inline void
list_append(struct list *head, struct list *node)
{
	CHECK(node->next == NULL);
	node->prev = head->prev;
	node->next = head;
	head->prev->next = node;
	head->prev = node;
}

/* Does nothing to a node that is in no list. */
static inline void
list_remove(struct list *node)
{
	if (node->next == NULL)
		return;
	node->prev->next = node->next;
	node->next->prev = node->prev;
	node->next = node->prev = NULL;
}

/* ---- bit sets, 64 bits to a word ---- */

static inline bool
bits_has(const uint64_t *bits, unsigned i)
{
	return bits[i / 64] >> (i % 64) & 1;
}

static inline void
bits_set(uint64_t *bits, unsigned i, bool is_set)
{
	uint64_t bit = UINT64_C(1) << (i % 64);

	bits[i / 64] = is_set ? bits[i / 64] | bit : bits[i / 64] & ~bit;
}

/* The first set bit among i .. cnt - 1; cnt if there is none. */
static inline unsigned
bits_next(const uint64_t *bits, unsigned i, unsigned cnt)
{
	while (i < cnt) {
		uint64_t word = bits[i / 64] >> (i % 64);

		if (word != 0) {
			i += (unsigned)__builtin_ctzll(word);
			return i < cnt ? i : cnt;
		}
		i = (i / 64 + 1) * 64;
	}
	return cnt;
}

/* FNV-1a, for bytes, or words of up to 64 bits: the hash begins as HASH_BEGIN.
 * It detects accidents, not attacks. */
#define HASH_BEGIN UINT64_C(0xcbf29ce484222325)

static inline uint64_t
hash_add(uint64_t hash, uint64_t word)
{
	return (hash ^ word) * UINT64_C(0x100000001b3);
}

/* A uint64_t field of entries in a circle, of which it sorts cnt.  Its values
 * are modular: the last is less than 2^63 after the first. */
struct sorted_fields {
	const uint8_t *first; /* the field of the entry at place 0 */
	size_t stride;	      /* bytes from an entry to the next */
	size_t begin, cnt;    /* the place of the lowest, below capacity */
	size_t capacity;
};

/* How many of them are at or before a value. */
size_t sorted_count(const struct sorted_fields *fields, uint64_t value);

static inline uint64_t
min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline int64_t
max_i64(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static inline int64_t
min_i64(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* For n up to 2^31. */
static inline uint32_t
power_of_two_at_least(uint32_t n)
{
	uint32_t p = 1;

	while (p < n)
		p *= 2;
	return p;
}

/* Cannot overflow for percent up to 100. */
static inline uint64_t
percent_of(uint64_t bytes, unsigned percent)
{
	return bytes / 100 * percent + bytes % 100 * percent / 100;
}

static inline uint64_t
max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

#endif
