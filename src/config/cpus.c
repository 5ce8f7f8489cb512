#include "config.h"

#include "config/cpus.h"

#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"

const char *const cpus_reason_names[] = {
	[CPUS_ENOUGH] = "enough_cpus",
	[CPUS_FEW] = "few_cpus",
	[CPUS_SHARED] = "shared_cpu",
	[CPUS_REFUSED] = "sqpoll_refused",
	[CPUS_ASKED] = "asked",
};

/* ---- what the machine has ---- */

/* The limit in a file cpu.max, in percent of a CPU; 0 if there is no limit or
 * no file. */
static unsigned
read_cpu_max(const char *path)
{
	FILE *f = fopen(path, "re");
	unsigned long long quota_us, period_us, pct = 0;

	if (f == NULL)
		return 0;
	/* "max 100000" is no limit. */
	if (fscanf(f, "%llu %llu", &quota_us, &period_us) == 2 &&
	    period_us > 0 && quota_us < ULLONG_MAX / 100)
		pct = max_u64(1, quota_us * 100 / period_us);
	(void)fclose(f);
	return pct < UINT_MAX ? (unsigned)pct : 0;
}

unsigned
cpus_quota_pct(const char *mount, const char *cgroup)
{
	char path[PATH_MAX];
	size_t mount_len = strlen(mount), len = mount_len + strlen(cgroup);
	unsigned least = 0;

	if (len + sizeof("/cpu.max") > sizeof(path))
		return 0;
	(void)snprintf(path, sizeof(path), "%s%s", mount, cgroup);
	for (;;) {
		unsigned pct;

		(void)snprintf(path + len, sizeof(path) - len, "/cpu.max");
		pct = read_cpu_max(path);
		if (pct > 0 && (least == 0 || pct < least))
			least = pct;
		while (len > mount_len && path[len - 1] != '/')
			len--;
		if (len <= mount_len)
			return least;
		len--;
	}
}

static unsigned
own_quota_pct(void)
{
	FILE *f = fopen("/proc/self/cgroup", "re");
	char line[PATH_MAX];
	unsigned pct = 0;

	if (f == NULL)
		return 0;
	/* The line of cgroup 2 is "0::/PATH". */
	while (pct == 0 && fgets(line, sizeof(line), f) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, "0::", 3) == 0)
			pct = cpus_quota_pct("/sys/fs/cgroup", line + 3);
	}
	(void)fclose(f);
	return pct;
}

/* The CPUs of the affinity, and the two CPUs of the settings: CPUs that are
 * isolated for this process are not in its affinity. */
static unsigned
count_cpus(const struct settings *set)
{
	cpu_set_t cpus[8]; /* 8192 CPUs, the most that Linux supports */

	if (sched_getaffinity(0, sizeof(cpus), cpus) != 0)
		return (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
	if (set->engine.cpu >= 0)
		CPU_SET_S((size_t)set->engine.cpu, sizeof(cpus), cpus);
	if (set->engine.sq_cpu >= 0)
		CPU_SET_S((size_t)set->engine.sq_cpu, sizeof(cpus), cpus);
	return (unsigned)CPU_COUNT_S(sizeof(cpus), cpus);
}

struct cpus
cpus_look(const struct settings *set)
{
	return (struct cpus){
		.cnt = count_cpus(set),
		.quota_pct = own_quota_pct(),
	};
}

/* ---- the decision ---- */

static enum cpus_reason
judge_cpus(const struct cpus *cpus, const struct settings *set)
{
	bool is_shared =
		cpus->cnt == 1 || (set->engine.cpu >= 0 &&
				   set->engine.cpu == set->engine.sq_cpu);

	if (set->engine.mode == ENGINE_DIRECT)
		return CPUS_ASKED;
	if (is_shared)
		return CPUS_SHARED;
	if (cpus->cnt < CPUS_WANTED ||
	    (cpus->quota_pct > 0 && cpus->quota_pct < 100 * CPUS_WANTED))
		return CPUS_FEW;
	if (cpus->is_sqpoll_refused)
		return CPUS_REFUSED;
	return CPUS_ENOUGH;
}

struct cpus_choice
cpus_decide(const struct cpus *cpus, const struct settings *set)
{
	enum cpus_reason reason = judge_cpus(cpus, set);
	struct cpus_choice c = {
		.mode = set->engine.mode,
		.spin_ns = set->engine.spin,
		.reason = reason,
	};

	if (c.mode == ENGINE_AUTO)
		c.mode = reason == CPUS_ENOUGH ? ENGINE_SQPOLL : ENGINE_DIRECT;
	c.is_pointless = c.mode == ENGINE_SQPOLL && reason != CPUS_ENOUGH;
	/* As long as the SQPOLL thread: both go to sleep together. */
	if (c.spin_ns == TIME_AUTO)
		c.spin_ns = c.mode == ENGINE_SQPOLL && !c.is_pointless
				    ? set->engine.sq_idle
				    : 0;
	return c;
}
