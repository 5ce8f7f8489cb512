/*
 * The shortest run that fails as a given one does.
 */
#ifndef RINGTICK_TESTS_SIM_SHRINK_H
#define RINGTICK_TESTS_SIM_SHRINK_H

#include <stdint.h>

#include "sim.h"

/* What one run is, besides the acts that are kept (sim.h). */
struct run {
	uint64_t seed;
	double days;
	unsigned faults; /* enum world_faults */
};

/* As --faults says them. */
const char *faults_text(char *to, size_t room, unsigned faults);

_Noreturn void run_seed(const struct run *run); /* ends the process */

/* Looks for it for so many seconds, tells the end of its trace, and how to
 * repeat it. */
void shrink(struct run run, double seconds);

#endif
