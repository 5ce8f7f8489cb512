#include "config.h"

#include "login/sandbox.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#ifdef HAVE_SECCOMP
#include <seccomp.h>
#endif

#include "base/util.h"

enum {
	MEMORY_BYTES_MAX = 512 << 20, /* CRYPT_HASH_COST_MAX needs half */
	/* beyond what was needed: the stack, a log line */
	SPARE_KB = 1024,
	/* PAM's modules open files and sockets */
	PAM_FILES_MAX = 256,
	/* poll takes as many; all numbers below are taken */
	WORKER_FILES_MAX = 1,
};

/* The sanitizers map terabytes, and open files to say what they found. */
#ifdef __SANITIZE_ADDRESS__
enum { IS_SANITIZED = 1 };
#else
enum { IS_SANITIZED = 0 };
#endif

static void
limit(int what, rlim_t max)
{
	struct rlimit now, new = { .rlim_cur = max, .rlim_max = max };

	/* A lower one that was there stays. */
	if (getrlimit((__rlimit_resource_t)what, &now) == 0 &&
	    now.rlim_max < max)
		new.rlim_cur = new.rlim_max = now.rlim_max;
	(void)setrlimit((__rlimit_resource_t)what, &new);
}

void
sandbox_begin(void)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)prctl(PR_SET_DUMPABLE, 0);
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	limit(RLIMIT_CORE, 0);
}

void
sandbox_limit_memory(void)
{
	if (!IS_SANITIZED)
		limit(RLIMIT_AS, MEMORY_BYTES_MAX);
}

/* The most addresses that this process has had. */
static unsigned
peak_kb(void)
{
	FILE *f = fopen("/proc/self/status", "re");
	unsigned kb = 0;
	char line[128];

	while (f != NULL && kb == 0 && fgets(line, sizeof(line), f) != NULL)
		(void)sscanf(line, "VmPeak: %u kB", &kb);
	if (f != NULL)
		(void)fclose(f);
	return kb;
}

unsigned
sandbox_keep_memory(void)
{
	unsigned kb = IS_SANITIZED ? 0 : peak_kb();

	if (kb == 0)
		return MEMORY_BYTES_MAX / 1024;
	kb += SPARE_KB;
	limit(RLIMIT_AS, (rlim_t)kb * 1024);
	return kb;
}

#ifdef HAVE_SECCOMP
static int
add_rules(scmp_filter_ctx filter)
{
	static const int calls[] = {
		/* the socket, the log */
		SCMP_SYS(recvfrom),
		SCMP_SYS(sendto),
		SCMP_SYS(write),
		SCMP_SYS(pwritev2),
		SCMP_SYS(poll),
		SCMP_SYS(ppoll),
		SCMP_SYS(fcntl),
		SCMP_SYS(clock_gettime),
		SCMP_SYS(clock_nanosleep),
		SCMP_SYS(alarm),
		SCMP_SYS(setitimer), /* where alarm is made of it */
		/* memory */
		SCMP_SYS(brk),
		SCMP_SYS(munmap),
		SCMP_SYS(madvise),
		SCMP_SYS(getrandom),
		/* the end, also that by a failed CHECK */
		SCMP_SYS(exit_group),
		SCMP_SYS(rt_sigprocmask),
		SCMP_SYS(getpid),
		SCMP_SYS(gettid),
		SCMP_SYS(tgkill),
		SCMP_SYS(futex),
		SCMP_SYS(restart_syscall),
		SCMP_SYS(rt_sigreturn),
	};
	int res;

	for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
		res = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
		if (res != 0)
			return res;
	}
	/* Memory that can be executed is no memory. */
	return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
				SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
}

static int
load_filter(void)
{
	/* The thread is the process.  KILL_PROCESS needs the system call
	 * seccomp, which the unit's own filter refuses; this is done with
	 * prctl then. */
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_THREAD);
	int res;

	if (filter == NULL)
		return -ENOMEM;
	res = add_rules(filter);
	if (res == 0)
		res = seccomp_load(filter);
	seccomp_release(filter);
	return res;
}
#else
static int
load_filter(void)
{
	return -EOPNOTSUPP;
}
#endif

int
sandbox_worker(bool has_pam)
{
	if (has_pam) {
		limit(RLIMIT_NOFILE, PAM_FILES_MAX);
		return 0;
	}
	if (IS_SANITIZED)
		return 0;
	/* What a log on a terminal needs to know of the zone, it has read: a
	 * line came before this. */
	limit(RLIMIT_NOFILE, WORKER_FILES_MAX);
	return load_filter();
}
