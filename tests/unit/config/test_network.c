#include "config.h"

#include "config/network.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"

static bool
has(const char *network, const char *address)
{
	union {
		struct sockaddr sa;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} at = { .v6 = { .sin6_family = AF_INET6 } };
	struct network n;

	assert_null(network_parse(network, &n));
	if (strchr(address, ':') == NULL) {
		at.v4.sin_family = AF_INET;
		assert_int_equal(inet_pton(AF_INET, address, &at.v4.sin_addr),
				 1);
	} else {
		assert_int_equal(inet_pton(AF_INET6, address, &at.v6.sin6_addr),
				 1);
	}
	return network_has(&n, &at.sa);
}

static void
test_who_is_in_it(void **state)
{
	(void)state;
	assert_true(has("10.0.0.0/8", "10.255.255.255"));
	assert_false(has("10.0.0.0/8", "11.0.0.0"));
	assert_false(has("10.0.0.0/8", "9.255.255.255"));
	assert_true(has("192.0.2.128/25", "192.0.2.128"));
	assert_false(has("192.0.2.128/25", "192.0.2.127"));
	assert_true(has("192.0.2.7", "192.0.2.7"));
	assert_false(has("192.0.2.7", "192.0.2.6"));
	assert_true(has("0.0.0.0/0", "203.0.113.9"));
	assert_true(has("2001:db8::/33", "2001:db8:7fff::1"));
	assert_false(has("2001:db8::/33", "2001:db8:8000::1"));
	assert_true(has("::1", "::1"));
	assert_false(has("::1", "::2"));
	/* A client of IPv4, as a socket on "::" shows it. */
	assert_true(has("10.0.0.0/8", "::ffff:10.1.2.3"));
	assert_true(has("::ffff:10.0.0.0/104", "10.1.2.3"));
	assert_false(has("0.0.0.0/0", "2001:db8::1"));
	assert_true(has("::/0", "2001:db8::1"));
}

static void
test_an_address_of_another_kind(void **state)
{
	struct sockaddr at = { .sa_family = AF_UNIX };
	struct network all;

	(void)state;
	assert_null(network_parse("::/0", &all));
	assert_false(network_has(&all, &at));
}

static void
test_mistakes(void **state)
{
	static const char *const bad[] = {
		"",	     "/",	     "10.0.0.0/",     "10.0.0.0/33",
		"10.0.0/8",  "10.0.0.0/-1",  "10.0.0.0/ 8",   "10.0.0.0/8/8",
		"::/129",    "::/0128",	     "10.0.0.1/8",    "2001:db8::1/32",
		"localhost", "10.0.0.256",   "10.0.0.0/+8",   "::1 ",
		"10.0.0.1/31", "2001:db8::1234:5678:9abc:def0:1234:5678:9abc",
	};
	struct network n;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (network_parse(bad[i], &n) == NULL)
			fail_msg("%s was taken", bad[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_is_in_it),
		cmocka_unit_test(test_an_address_of_another_kind),
		cmocka_unit_test(test_mistakes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
