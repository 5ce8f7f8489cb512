/*
 * The definition of a function that the linker calls in place of one of libc's
 * (--wrap=NAME).  Where it has nothing simulated to do it calls REAL(NAME).
 */
#ifndef RINGTICK_TESTS_SIM_WRAP_H
#define RINGTICK_TESTS_SIM_WRAP_H

#define REAL(name) __real_##name

#define WRAP(type, name, ...)                                                  \
	type __real_##name(__VA_ARGS__);                                       \
	type __wrap_##name(__VA_ARGS__);                                       \
	type __wrap_##name(__VA_ARGS__)

#endif
