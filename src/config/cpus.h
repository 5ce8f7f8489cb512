/*
 * The CPUs of this process, and what "auto" means on them: the mode of the
 * engine, and how long the application thread spins.
 *
 * An SQPOLL thread and an application thread that look for work instead of
 * sleeping take a CPU each; the clients and the kernel's network code need at
 * least two more.  With fewer CPUs a spinning thread takes the CPU from those
 * it waits for, and mode direct is faster.
 *
 * Called once at the start, by the server, before it pins its threads.
 * cpus_look only reads files; cpus_decide is a function of its arguments.
 */
#ifndef RINGTICK_CONFIG_CPUS_H
#define RINGTICK_CONFIG_CPUS_H

#include <stdbool.h>
#include <stdint.h>

#include "config/settings.h"

enum { CPUS_WANTED = 4 };

struct cpus {
	unsigned cnt;		/* that it may run on or is to be pinned to */
	unsigned quota_pct;	/* of its cgroup: 100 is one CPU; 0: no quota */
	bool is_sqpoll_refused; /* found out by the caller, by trying */
};

/* Fills in all fields but is_sqpoll_refused. */
struct cpus cpus_look(const struct settings *set);

enum cpus_reason {
	CPUS_ENOUGH,
	CPUS_FEW,
	CPUS_SHARED,  /* both threads have the same single CPU */
	CPUS_REFUSED, /* an SQPOLL thread is not permitted */
	CPUS_ASKED,   /* direct was asked for: CPUs do not matter */
};
extern const char *const cpus_reason_names[];

struct cpus_choice {
	enum engine_mode mode; /* never ENGINE_AUTO */
	int64_t spin_ns;
	enum cpus_reason reason;
	bool is_pointless; /* sqpoll was asked for where it cannot help */
};

struct cpus_choice cpus_decide(const struct cpus *cpus,
			       const struct settings *set);

/*
 * The lowest limit (cpu.max of cgroup 2), in percent of a CPU, of a cgroup and
 * of those above it under `mount`.  The cgroup is written as in
 * /proc/self/cgroup: "/a/b".  0: no limit.
 */
unsigned cpus_quota_pct(const char *mount, const char *cgroup);

#endif
