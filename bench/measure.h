/*
 * What the programs of bench/ share: the CPU time and the memory of processes,
 * CPUs to run on, medians, and the numbers of a command line.
 */
#ifndef RINGTICK_BENCH_MEASURE_H
#define RINGTICK_BENCH_MEASURE_H

#include <stddef.h>
#include <stdint.h>

/* Prints the sentence and what errno says, and ends the program. */
_Noreturn void give_up(const char *format, ...)
	__attribute__((format(printf, 1, 2)));

/* A decimal number of the command line; gives up on any other text. */
double number_from(const char *text);

/*
 * Of all threads of a process, those that have ended too; 0 is this process.
 * Kernel threads that work for it (SQPOLL, io-wq) are among them.  Usual
 * kernels have no IRQ_TIME_ACCOUNTING: softirq work in a thread's context
 * (loopback receives) is included.
 */
int64_t process_cpu_ns(int pid);

/* Under load the loopback receives of a pinned process move to ksoftirqd of its
 * CPU; 0 for a negative one. */
int64_t ksoftirqd_cpu_ns(int cpu);

/* All CPU time of the machine that was not idle; in steps of 10 ms. */
int64_t machine_cpu_ns(void);

/* -1 if there is no such process. */
long process_rss_kib(int pid);

/* A negative CPU leaves the process where it is. */
void pin_to(int cpu);

/* Sorts the values. */
double median(double *values, size_t cnt);

#endif
