/*
 * The CPUs that this process has, and what "auto" comes to on them: the mode
 * of the engine, and how long its thread spins.
 *
 * An SQPOLL thread and an application thread that look for work instead of
 * sleeping take a core each; the clients and the kernel's part of the network
 * want two at least.  With fewer, whoever looks keeps the CPU from whom it
 * waits for, and mode direct is the faster one.
 *
 * Called once at the start, by the server, before it pins itself.  cores_look
 * only reads files; cores_decide is a function of its arguments.
 */
#ifndef RINGTICK_CONFIG_CPUS_H
#define RINGTICK_CONFIG_CPUS_H

#include <stdbool.h>
#include <stdint.h>

#include "config/settings.h"

enum { CORES_WANTED = 4 };

struct cores {
	unsigned cpus;		/* it may run on, and those it is pinned to */
	unsigned quota_pct;	/* of its cgroup: 100 is one CPU; 0: none */
	bool is_sqpoll_refused; /* known when it was tried */
};

/* The fields but is_sqpoll_refused. */
struct cores cores_look(const struct settings *set);

enum cores_reason {
	CORES_ENOUGH,
	CORES_FEW,
	CORES_SHARED,  /* both threads have the same single CPU */
	CORES_REFUSED, /* an SQPOLL thread is not permitted */
	CORES_ASKED,   /* direct was asked for: it does not matter */
};
extern const char *const cores_reason_names[];

struct cores_choice {
	enum engine_mode mode; /* never ENGINE_AUTO */
	int64_t spin_ns;
	enum cores_reason reason;
	bool is_vain; /* sqpoll, as asked for, where it cannot help */
};

struct cores_choice cores_decide(const struct cores *cores,
				 const struct settings *set);

/*
 * The least of the limits of a cgroup (as in /proc/self/cgroup: "/a/b") and of
 * those above it, below `mount`: cgroup 2's cpu.max.  0: none.
 */
unsigned cores_quota_pct(const char *mount, const char *cgroup);

#endif
