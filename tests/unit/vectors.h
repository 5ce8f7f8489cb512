/*
 * For the tests of the codec: tests/data/vectors.json, and a page that faults
 * one byte after the input.  Failures here end the test program.
 */
#ifndef RINGTICK_TESTS_VECTORS_H
#define RINGTICK_TESTS_VECTORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vector {
	char name[48];
	char kind[24];	  /* "ipc", "golden", "compressed", "malformed", ... */
	bool is_accepted; /* strict_verdict; true where there is none */
	uint8_t *bytes;
	size_t len;
};

struct vectors {
	struct vector *items;
	size_t cnt;
};

extern struct vectors vectors;

/* Group set-up and tear-down: the vectors, and the fences. */
int vectors_open(void **state);
int vectors_close(void **state);

/* Ends the program if there is none. */
const struct vector *vectors_find(const char *name);

bool vector_is(const struct vector *v, const char *kind);

/* A whole, good, uncompressed frame. */
bool vector_is_plain(const struct vector *v);

/* Reads hex digits and skips spaces; returns the bytes written to out. */
size_t hex_bytes(const char *hex, uint8_t *out, size_t out_len);

/* Memory that ends at a page without access. */
struct fence {
	uint8_t *base, *end;
	size_t mapped;
};

enum { FENCE_BYTES = 1 << 20 };

/* What is read ends at one of them, what is written at the other. */
extern struct fence in_fence, out_fence;

void fences_open(void);
void fences_close(void);

void fence_init(struct fence *f, size_t len_max);
void fence_fini(struct fence *f);

/* A copy that ends exactly at the fence. */
uint8_t *fence_place(struct fence *f, const uint8_t *bytes, size_t len);

/* The last len bytes in front of the fence, for output. */
uint8_t *fence_room(struct fence *f, size_t len);

#endif
