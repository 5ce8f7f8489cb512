#include "config.h"

#include "base/sigbus.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { LEN = 1 << 20 };

struct work {
	FILE *file;
	const uint8_t *bytes;
	long cut_at; /* where the file is cut during the work; -1: it is not */
	unsigned sum;
};

static void
sum_up(void *data)
{
	struct work *w = data;

	for (size_t i = 0; i < LEN; i++) {
		w->sum += w->bytes[i];
		if (i == LEN / 2 && w->cut_at >= 0)
			(void)ftruncate(fileno(w->file), w->cut_at);
	}
}

static struct work
open_work(long cut_at)
{
	struct work w = { .file = tmpfile(), .cut_at = cut_at };

	assert_non_null(w.file);
	assert_int_equal(ftruncate(fileno(w.file), LEN), 0);
	w.bytes = mmap(NULL, LEN, PROT_READ, MAP_SHARED, fileno(w.file), 0);
	assert_ptr_not_equal(w.bytes, MAP_FAILED);
	return w;
}

static void
close_work(struct work *w)
{
	assert_int_equal(munmap((void *)(uintptr_t)w->bytes, LEN), 0);
	assert_int_equal(fclose(w->file), 0);
}

static void
test_cut(void **state)
{
	/* Several times: work that was left in the middle can be done again. */
	static const long cuts[] = { -1, 3 * LEN / 4, 0, -1 };

	(void)state;
	for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
		struct work w = open_work(cuts[i]);

		assert_int_equal(sigbus_guard(w.bytes, LEN, sum_up, &w),
				 cuts[i] < 0);
		close_work(&w);
	}
}

/* A fault elsewhere still ends the process with a core dump. */
static void
test_elsewhere(void **state)
{
	struct work w = open_work(0);
	pid_t child = fork();
	int status;

	(void)state;
	assert_true(child >= 0);
	if (child == 0) {
		static uint8_t other[16];

		(void)alarm(20);
		(void)sigbus_guard(other, sizeof(other), sum_up, &w);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) != 0);
	close_work(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_elsewhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
