/*
 * Comparing what must stay secret.
 */
#ifndef RINGTICK_AUTH_SECRET_H
#define RINGTICK_AUTH_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether two blocks are equal, in a time that does not depend on where they
 * differ. */
static inline bool
secret_is_equal(const void *a, const void *b, size_t len)
{
	const volatile uint8_t *x = a, *y = b;
	uint8_t different = 0;

	for (size_t i = 0; i < len; i++)
		different = (uint8_t)(different | (x[i] ^ y[i]));
	return different == 0;
}

#endif
