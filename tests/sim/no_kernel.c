/*
 * What of io/engine.h and daemon/selftest.h has nothing to do where there is no
 * kernel below: in the simulation, and in bench/update_cost.c.
 */
#include "config.h"

#include "daemon/selftest.h"
#include "io/engine.h"

void
engine_close(struct engine *e)
{
	(void)e;
}

bool
engine_register(struct engine *e, void *base, size_t len, char *err,
		size_t err_len)
{
	(void)e;
	(void)base;
	(void)len;
	(void)err;
	(void)err_len;
	return true;
}

bool
selftest_straddle(struct engine *e, const struct ring *ring, size_t before,
		  char *err, size_t err_len)
{
	(void)e;
	(void)ring;
	(void)before;
	(void)err;
	(void)err_len;
	return true;
}

size_t
selftest_message_len(void)
{
	return 0;
}
