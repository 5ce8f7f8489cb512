#include "config.h"

#include "config/cpus.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/util.h"

#define IDLE   (20 * NS_PER_MS)
#define AUTO   ENGINE_AUTO
#define SQPOLL ENGINE_SQPOLL
#define DIRECT ENGINE_DIRECT

/* A machine with its configuration, and the decision. */
static const struct {
	unsigned cpus, quota_pct;
	bool is_refused;
	int cpu, sq_cpu;
	enum engine_mode asked;
	int64_t spin_ns;
	enum engine_mode mode;
	int64_t out_spin_ns;
	enum cpus_reason reason;
	bool is_pointless;
} cases[] = {
	/* the number of CPUs */
	{ 1, 0, 0, -1, -1, AUTO, TIME_AUTO, DIRECT, 0, CPUS_SHARED, 0 },
	{ 2, 0, 0, -1, -1, AUTO, TIME_AUTO, DIRECT, 0, CPUS_FEW, 0 },
	{ 3, 0, 0, -1, -1, AUTO, TIME_AUTO, DIRECT, 0, CPUS_FEW, 0 },
	{ 4, 0, 0, -1, -1, AUTO, TIME_AUTO, SQPOLL, IDLE, CPUS_ENOUGH, 0 },
	{ 64, 0, 0, -1, -1, AUTO, TIME_AUTO, SQPOLL, IDLE, CPUS_ENOUGH, 0 },
	/* the quota */
	{ 64, 50, 0, -1, -1, AUTO, TIME_AUTO, DIRECT, 0, CPUS_FEW, 0 },
	{ 64, 399, 0, -1, -1, AUTO, TIME_AUTO, DIRECT, 0, CPUS_FEW, 0 },
	{ 64, 400, 0, -1, -1, AUTO, TIME_AUTO, SQPOLL, IDLE, CPUS_ENOUGH, 0 },
	{ 2, 400, 0, -1, -1, AUTO, TIME_AUTO, DIRECT, 0, CPUS_FEW, 0 },
	/* pinned threads */
	{ 4, 0, 0, 2, 3, AUTO, TIME_AUTO, SQPOLL, IDLE, CPUS_ENOUGH, 0 },
	{ 4, 0, 0, 2, -1, AUTO, TIME_AUTO, SQPOLL, IDLE, CPUS_ENOUGH, 0 },
	{ 4, 0, 0, -1, 2, AUTO, TIME_AUTO, SQPOLL, IDLE, CPUS_ENOUGH, 0 },
	{ 2, 0, 0, 0, 1, AUTO, TIME_AUTO, DIRECT, 0, CPUS_FEW, 0 },
	{ 8, 0, 0, 2, 2, AUTO, TIME_AUTO, DIRECT, 0, CPUS_SHARED, 0 },
	{ 8, 0, 0, 0, 0, AUTO, TIME_AUTO, DIRECT, 0, CPUS_SHARED, 0 },
	/* no permission */
	{ 8, 0, 1, -1, -1, AUTO, TIME_AUTO, DIRECT, 0, CPUS_REFUSED, 0 },
	{ 2, 0, 1, -1, -1, AUTO, TIME_AUTO, DIRECT, 0, CPUS_FEW, 0 },
	/* sqpoll as asked for: a warning where it cannot help */
	{ 8, 0, 0, -1, -1, SQPOLL, TIME_AUTO, SQPOLL, IDLE, CPUS_ENOUGH, 0 },
	{ 2, 0, 0, -1, -1, SQPOLL, TIME_AUTO, SQPOLL, 0, CPUS_FEW, 1 },
	{ 8, 200, 0, -1, -1, SQPOLL, TIME_AUTO, SQPOLL, 0, CPUS_FEW, 1 },
	{ 8, 0, 0, 5, 5, SQPOLL, TIME_AUTO, SQPOLL, 0, CPUS_SHARED, 1 },
	{ 1, 0, 0, -1, -1, SQPOLL, TIME_AUTO, SQPOLL, 0, CPUS_SHARED, 1 },
	/* direct as asked for */
	{ 8, 0, 0, -1, -1, DIRECT, TIME_AUTO, DIRECT, 0, CPUS_ASKED, 0 },
	{ 1, 0, 0, 0, 0, DIRECT, TIME_AUTO, DIRECT, 0, CPUS_ASKED, 0 },
	/* spin as asked for */
	{ 2, 0, 0, -1, -1, AUTO, NS_PER_MS, DIRECT, NS_PER_MS, CPUS_FEW, 0 },
	{ 2, 0, 0, -1, -1, SQPOLL, NS_PER_S, SQPOLL, NS_PER_S, CPUS_FEW, 1 },
	{ 8, 0, 0, -1, -1, AUTO, 0, SQPOLL, 0, CPUS_ENOUGH, 0 },
	{ 8, 0, 0, -1, -1, DIRECT, 7, DIRECT, 7, CPUS_ASKED, 0 },
};

static void
test_decides(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct settings set = { 0 };
		struct cpus cpus = {
			.cnt = cases[i].cpus,
			.quota_pct = cases[i].quota_pct,
			.is_sqpoll_refused = cases[i].is_refused,
		};
		struct cpus_choice c;

		set.engine.mode = cases[i].asked;
		set.engine.sq_idle = IDLE;
		set.engine.cpu = cases[i].cpu;
		set.engine.sq_cpu = cases[i].sq_cpu;
		set.engine.spin = cases[i].spin_ns;
		c = cpus_decide(&cpus, &set);
		if (c.mode != cases[i].mode ||
		    c.spin_ns != cases[i].out_spin_ns ||
		    c.reason != cases[i].reason ||
		    c.is_pointless != cases[i].is_pointless)
			fail_msg("%zu: mode %u spin %lld reason %s vain %d", i,
				 (unsigned)c.mode, (long long)c.spin_ns,
				 cpus_reason_names[c.reason], c.is_pointless);
	}
}

/* ---- the quota ---- */

static char mount[] = "/tmp/ringtick-test-XXXXXX";

static int
set_up(void **state)
{
	char path[64];

	(void)state;
	if (mkdtemp(mount) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/a", mount);
	if (mkdir(path, 0700) != 0)
		return -1;
	snprintf(path, sizeof(path), "%s/a/b", mount);
	return mkdir(path, 0700);
}

/* text NULL: no such file */
static void
put_limit(const char *group, const char *text)
{
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "%s%s/cpu.max", mount, group);
	(void)unlink(path);
	if (text == NULL)
		return;
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static int
tear_down(void **state)
{
	static const char *const groups[] = { "/a/b", "/a", "" };
	char path[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
		put_limit(groups[i], NULL);
		snprintf(path, sizeof(path), "%s%s", mount, groups[i]);
		if (rmdir(path) != 0)
			return -1;
	}
	return 0;
}

static void
test_the_least_limit_of_all_above_counts(void **state)
{
	(void)state;
	assert_int_equal(cpus_quota_pct(mount, "/a/b"), 0);
	put_limit("/a/b", "max 100000\n");
	assert_int_equal(cpus_quota_pct(mount, "/a/b"), 0);
	put_limit("/a/b", "350000 100000\n");
	assert_int_equal(cpus_quota_pct(mount, "/a/b"), 350);
	put_limit("", "800000 100000\n");
	assert_int_equal(cpus_quota_pct(mount, "/a/b"), 350);
	put_limit("/a", "100000 50000\n");
	assert_int_equal(cpus_quota_pct(mount, "/a/b"), 200);
	assert_int_equal(cpus_quota_pct(mount, "/a"), 200);
	assert_int_equal(cpus_quota_pct(mount, "/"), 800);
	assert_int_equal(cpus_quota_pct(mount, ""), 800);
	/* a path of another namespace does not exist under this mount */
	assert_int_equal(cpus_quota_pct(mount, "/x/y"), 800);
}

static void
test_what_is_no_limit(void **state)
{
	static const char *const texts[] = {
		"", "100000\n", "100000 0\n", "max\n",
		"18446744073709551615 1\n", "99999999999999 1\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		put_limit("/a", texts[i]);
		put_limit("/a/b", NULL);
		put_limit("", NULL);
		assert_int_equal(cpus_quota_pct(mount, "/a"), 0);
	}
	put_limit("/a", "1000 1000000\n");
	assert_int_equal(cpus_quota_pct(mount, "/a"), 1);
}

/* On this machine: only what holds on every machine can be checked. */
static void
test_looks(void **state)
{
	struct settings set = { .engine = { .cpu = -1, .sq_cpu = -1 } };
	struct cpus cpus = cpus_look(&set);

	(void)state;
	assert_in_range(cpus.cnt, 1, 8192);
	/* a CPU that surely is not in the affinity counts, and once */
	set.engine.cpu = set.engine.sq_cpu = 4095;
	assert_int_equal(cpus_look(&set).cnt, cpus.cnt + 1);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decides),
		cmocka_unit_test(test_the_least_limit_of_all_above_counts),
		cmocka_unit_test(test_what_is_no_limit),
		cmocka_unit_test(test_looks),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
