#include "config.h"

#include "base/timezone.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"

static void
test_rules(void **state)
{
	static const char *const good[] = {
		"UTC0",
		"CET-1CEST",
		"CET-1CEST,M3.5.0,M10.5.0/3",
		"EST5EDT,J60/2:00:00,J300",
		"NZST-12:00:00NZDT-13:00:00,M10.1.0,M3.3.0",
		"<-03>3<-02>,M3.5.0/-2,M10.5.0/-1",
		"<+0545>-5:45",
		"AAA+24",
		"IST-2IDT,M3.4.4/26,M10.5.0",
		"EST5EDT,0/0,364",
	};
	static const char *const bad[] = {
		"",	      "europe/zurich",	"Nowhere",
		"CET",	      "CE-1",		"CET-1CE",
		"CET-25",     "CET-1:60",	"CET-1CEST,",
		"CET-1CEST,M3.5.0",		"CET-1CEST,M13.5.0,M10.5.0",
		"CET-1CEST,M3.6.0,M10.5.0",	"CET-1CEST,J0,J1",
		"<->3",	      "<+05",		"CET-1CEST,M3.5.0,M10.5.0/3 ",
		"CET-1CEST,M3.5.0/168,M10.5.0", "CET-11111111111",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		if (!timezone_is_rule(good[i]))
			fail_msg("%s is refused", good[i]);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (timezone_is_rule(bad[i]))
			fail_msg("%s is accepted", bad[i]);
}

static void
test_names(void **state)
{
	static const struct {
		const char *zone;
		bool is_known;
	} zones[] = {
		{ "", true },	      { "UTC", true },
		{ ":UTC", true },     { "CET-1CEST", true },
		{ "Nowhere", false }, { "europe/nowhere", false },
		{ "..", false },      { "/etc/passwd", false },
	};
	char err[512], source[128];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(zones); i++) {
		assert_int_equal(setenv("TZ", zones[i].zone, 1), 0);
		err[0] = '\0';
		if (timezone_is_known(err, sizeof(err)) != zones[i].is_known)
			fail_msg("TZ=%s: %s", zones[i].zone, err);
		assert_true((err[0] == '\0') == zones[i].is_known);
		assert_string_equal(timezone_source(source, sizeof(source)),
				    zones[i].zone);
	}
	assert_int_equal(unsetenv("TZ"), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
