#include "config.h"

#include "measure.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/util.h"

enum { CPUS_MAX = 64 };

void
give_up(const char *format, ...)
{
	int error = errno;
	va_list args;

	va_start(args, format);
	(void)vfprintf(stderr, format, args);
	va_end(args);
	(void)fprintf(stderr, " (errno %d: %s)\n", error, strerror(error));
	exit(2);
}

double
number_from(const char *text)
{
	char *end;
	double number = strtod(text, &end);

	if (end == text || *end != '\0')
		give_up("%s is no number", text);
	return number;
}

int64_t
process_cpu_ns(int pid)
{
	clockid_t clock;
	struct timespec t;

	if (clock_getcpuclockid(pid, &clock) != 0 ||
	    clock_gettime(clock, &t) != 0)
		return 0;
	return t.tv_sec * (int64_t)NS_PER_S + t.tv_nsec;
}

/* The first line of a file in /proc; false without such a file. */
static bool
read_line(const char *path, char *line, int len)
{
	FILE *file = fopen(path, "r");
	bool is_read;

	if (file == NULL)
		return false;
	is_read = fgets(line, len, file) != NULL;
	(void)fclose(file);
	return is_read;
}

/* -1 without such a process. */
static int
find_process(const char *name)
{
	DIR *folder = opendir("/proc");
	struct dirent *entry;
	int found = -1;

	while (folder != NULL && found < 0 &&
	       (entry = readdir(folder)) != NULL) {
		char path[300], line[64];

		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		(void)snprintf(path, sizeof(path), "/proc/%s/comm",
			       entry->d_name);
		if (!read_line(path, line, sizeof(line)))
			continue;
		line[strcspn(line, "\n")] = '\0';
		if (strcmp(line, name) == 0)
			found = (int)strtol(entry->d_name, NULL, 10);
	}
	if (folder != NULL)
		(void)closedir(folder);
	return found;
}

int64_t
ksoftirqd_cpu_ns(int cpu)
{
	static int pids[CPUS_MAX]; /* 0: not looked for yet */
	char name[32];

	if (cpu < 0 || cpu >= CPUS_MAX)
		return 0;
	if (pids[cpu] == 0) {
		(void)snprintf(name, sizeof(name), "ksoftirqd/%d", cpu);
		pids[cpu] = find_process(name);
	}
	return pids[cpu] > 0 ? process_cpu_ns(pids[cpu]) : 0;
}

int64_t
machine_cpu_ns(void)
{
	unsigned long long user, nice, system, idle, io_wait, irq, softirq;
	char line[256];

	if (!read_line("/proc/stat", line, sizeof(line)) ||
	    sscanf(line, "cpu %llu %llu %llu %llu %llu %llu %llu", &user, &nice,
		   &system, &idle, &io_wait, &irq, &softirq) != 7)
		return 0;
	return (int64_t)(user + nice + system + irq + softirq) * 10 * NS_PER_MS;
}

long
process_rss_kib(int pid)
{
	char path[64], line[256];
	long pages, resident;

	(void)snprintf(path, sizeof(path), "/proc/%d/statm", pid);
	if (!read_line(path, line, sizeof(line)) ||
	    sscanf(line, "%ld %ld", &pages, &resident) != 2)
		return -1;
	return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

void
pin_to(int cpu)
{
	cpu_set_t set;

	if (cpu < 0)
		return;
	CPU_ZERO(&set);
	CPU_SET((unsigned)cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) != 0)
		give_up("cannot run on CPU %d", cpu);
}

static int
compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

double
median(double *values, size_t cnt)
{
	qsort(values, cnt, sizeof(values[0]), compare);
	return values[cnt / 2];
}
