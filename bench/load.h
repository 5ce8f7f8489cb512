/*
 * The load generator's parts: load_generator.c has the command line and the
 * connections, load_throughput.c and load_latency.c measure, load_verify.c
 * compares.  One thread.
 */
#ifndef RINGTICK_BENCH_LOAD_H
#define RINGTICK_BENCH_LOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "load_frames.h"

enum { LOAD_EVENTS = 64 };

struct load {
	/* the command line */
	const struct load_protocol *protocol;
	const char *mode;
	int port, publisher_port; /* 0: the same */
	int daemon_pid, daemon_cpu, cpu; /* CPUs: -1 if not pinned */
	size_t size; /* of a message as it is sent */
	unsigned subs;
	double secs, rate, megabytes_max;

	struct load_frame sent, delivered;
	int publisher, *subscribers;
	int poller; /* of the subscribers, by their index */
	uint64_t *got; /* of each subscriber: bytes, or messages */
};

extern struct load load;

/* The least of got[], from that subscriber on. */
uint64_t load_least_got(unsigned from);

/* What is taken from the clocks at both ends of a measurement. */
struct load_usage {
	int64_t at_ns, daemon_cpu_ns, own_cpu_ns, machine_cpu_ns;
};

struct load_usage load_usage(void);

/* Cores that neither the daemon nor this process had, from a to b. */
double load_others(const struct load_usage *a, const struct load_usage *b);

/* Receives once from a subscriber and takes each message that is whole.  False:
 * the connection has ended. */
bool load_receive(unsigned subscriber,
		  void (*take)(unsigned subscriber, const uint8_t *frame));
void load_receivers_open(void);

/* Each prints a line of JSON. */
void load_throughput(bool is_one_stopped);
void load_latency(void);
void load_verify(void);

#endif
