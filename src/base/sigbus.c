#include "config.h"

#include "base/sigbus.h"

#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <unistd.h>

#include "base/util.h"

struct guard {
	sigjmp_buf back;
	uintptr_t from, to; /* whole pages */
};

static _Thread_local struct guard *current;

static void
on_bus_error(int number, siginfo_t *info, void *context)
{
	uintptr_t at = (uintptr_t)info->si_addr;

	(void)context;
	if (current != NULL && at >= current->from && at < current->to)
		siglongjmp(current->back, 1);
	/* Outside of any guard: the instruction faults again, and now that ends
	 * the process. */
	(void)sigaction(number, &(struct sigaction){ .sa_handler = SIG_DFL },
			NULL);
}

bool
sigbus_guard(const void *bytes, size_t len, void (*run)(void *work), void *work)
{
	struct sigaction action = { .sa_sigaction = on_bus_error,
				    .sa_flags = SA_SIGINFO };
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	struct guard guard = {
		.from = (uintptr_t)bytes & ~(page - 1),
		.to = ((uintptr_t)bytes + len + page - 1) & ~(page - 1),
	};

	CHECK(current == NULL);
	sigemptyset(&action.sa_mask);
	(void)sigaction(SIGBUS, &action, NULL);
	if (sigsetjmp(guard.back, 1) != 0) {
		current = NULL;
		return false;
	}
	current = &guard;
	run(work);
	current = NULL;
	return true;
}
