#include "config.h"

#include "config/cpus.h"

#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"

const char *const cores_reason_names[] = {
	[CORES_ENOUGH] = "enough_cpus",
	[CORES_FEW] = "few_cpus",
	[CORES_SHARED] = "shared_cpu",
	[CORES_REFUSED] = "sqpoll_refused",
	[CORES_ASKED] = "asked",
};

/* ---- what there is ---- */

/* In percent of a CPU; 0 where the file has no limit, or is not there. */
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
cores_quota_pct(const char *mount, const char *cgroup)
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
			pct = cores_quota_pct("/sys/fs/cgroup", line + 3);
	}
	(void)fclose(f);
	return pct;
}

/* Those of the affinity, and the two of the settings if they are not of it:
 * CPUs that were kept free for this are not in it. */
static unsigned
count_cpus(const struct settings *set)
{
	cpu_set_t cpus[8]; /* 8192 CPUs are the most that Linux has */

	if (sched_getaffinity(0, sizeof(cpus), cpus) != 0)
		return (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
	if (set->engine.cpu >= 0)
		CPU_SET_S((size_t)set->engine.cpu, sizeof(cpus), cpus);
	if (set->engine.sq_cpu >= 0)
		CPU_SET_S((size_t)set->engine.sq_cpu, sizeof(cpus), cpus);
	return (unsigned)CPU_COUNT_S(sizeof(cpus), cpus);
}

struct cores
cores_look(const struct settings *set)
{
	return (struct cores){
		.cpus = count_cpus(set),
		.quota_pct = own_quota_pct(),
	};
}

/* ---- what it comes to ---- */

static enum cores_reason
judge(const struct cores *cores, const struct settings *set)
{
	bool is_shared =
		cores->cpus == 1 || (set->engine.cpu >= 0 &&
				     set->engine.cpu == set->engine.sq_cpu);

	if (set->engine.mode == ENGINE_DIRECT)
		return CORES_ASKED;
	if (is_shared)
		return CORES_SHARED;
	if (cores->cpus < CORES_WANTED ||
	    (cores->quota_pct > 0 && cores->quota_pct < 100 * CORES_WANTED))
		return CORES_FEW;
	if (cores->is_sqpoll_refused)
		return CORES_REFUSED;
	return CORES_ENOUGH;
}

struct cores_choice
cores_decide(const struct cores *cores, const struct settings *set)
{
	enum cores_reason reason = judge(cores, set);
	struct cores_choice c = {
		.mode = set->engine.mode,
		.spin_ns = set->engine.spin,
		.reason = reason,
	};

	if (c.mode == ENGINE_AUTO)
		c.mode = reason == CORES_ENOUGH ? ENGINE_SQPOLL : ENGINE_DIRECT;
	c.is_vain = c.mode == ENGINE_SQPOLL && reason != CORES_ENOUGH;
	/* As long as the SQPOLL thread: both rest together. */
	if (c.spin_ns == TIME_AUTO)
		c.spin_ns = c.mode == ENGINE_SQPOLL && !c.is_vain
				    ? set->engine.sq_idle
				    : 0;
	return c;
}
