#include "config.h"

#include "wire/proxy.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../frames.h"

/* TCP over IPv4 from 192.0.2.7:4711, TLSv1.3, a certificate of "feed". */
static const uint8_t whole[] = {
	0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a,
	0x21, 0x11, 0x00, 0x25, 192,  0,    2,	  7,	203,  0,    113,  1,
	0x12, 0x67, 0x13, 0x92, 0x20, 0x00, 0x16, 0x07, 0,    0,    0,	  0,
	0x21, 0x00, 0x07, 'T',	'L',  'S',  'v',  '1',	'.',  '3',  0x22, 0x00,
	0x04, 'f',  'e',  'e',	'd',
};

static void
test_all_of_it(void **state)
{
	struct proxy_header h;
	const struct sockaddr_in *from = (struct sockaddr_in *)&h.from;
	char text[INET_ADDRSTRLEN];
	const char *why;

	(void)state;
	assert_int_equal(proxy_read(whole, sizeof(whole), &h, &why), WIRE_OK);
	assert_int_equal(h.consumed, sizeof(whole));
	assert_int_equal(from->sin_family, AF_INET);
	assert_int_equal(ntohs(from->sin_port), 4711);
	assert_string_equal(
		inet_ntop(AF_INET, &from->sin_addr, text, sizeof(text)),
		"192.0.2.7");
	assert_true(h.is_tls && h.is_verified && !h.is_local);
	assert_string_equal(h.tls, "TLSv1.3");
	assert_string_equal(h.name, "feed");
}

/* A header that is not there as a whole is neither good nor bad. */
static void
test_each_beginning(void **state)
{
	struct proxy_header h;
	const char *why;

	(void)state;
	for (size_t len = 0; len < sizeof(whole); len++) {
		uint8_t *copy = malloc(len + 1);

		assert_non_null(copy);
		memcpy(copy, whole, len);
		assert_int_equal(proxy_read(copy, len, &h, &why), WIRE_MORE);
		free(copy);
	}
}

/* Whatever is changed: the result is one of three, and what is said to be read
 * is there. */
static void
test_changed_bytes(void **state)
{
	struct chance chance = chance_start("changed bytes");

	(void)state;
	for (unsigned turn = 0; turn < 20000; turn++) {
		uint8_t *copy = malloc(sizeof(whole));
		struct proxy_header h;
		const char *why = NULL;
		unsigned cnt = 1 + (unsigned)chance_below(&chance, 3);

		assert_non_null(copy);
		memcpy(copy, whole, sizeof(whole));
		while (cnt-- > 0)
			copy[chance_below(&chance, sizeof(whole))] =
				(uint8_t)chance_below(&chance, 256);
		switch (proxy_read(copy, sizeof(whole), &h, &why)) {
		case WIRE_OK:
			assert_true(h.consumed <= sizeof(whole));
			assert_true(strlen(h.name) <= PROXY_NAME_MAX);
			break;
		case WIRE_MORE:
			break;
		case WIRE_BAD:
			assert_non_null(why);
			break;
		}
		free(copy);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_of_it),
		cmocka_unit_test(test_each_beginning),
		cmocka_unit_test(test_changed_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
