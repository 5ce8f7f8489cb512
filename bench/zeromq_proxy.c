/*
 * ZeroMQ's own proxy, from XSUB to XPUB: a peer of bench/compare_brokers.sh.
 *
 *   zeromq_proxy PUBLISHER_PORT SUBSCRIBER_PORT HIGH_WATER_MARK
 *
 * HIGH_WATER_MARK: messages that a slow subscriber may lack; 0: any number.
 */
#include <stdio.h>
#include <stdlib.h>
#include <zmq.h>

static void *
open_socket(void *context, int type, int option, int high_water_mark,
	    const char *port)
{
	void *s = zmq_socket(context, type);
	char address[64];

	(void)snprintf(address, sizeof(address), "tcp://127.0.0.1:%s", port);
	if (zmq_setsockopt(s, option, &high_water_mark,
			   sizeof(high_water_mark)) != 0 ||
	    zmq_bind(s, address) != 0) {
		fprintf(stderr, "%s: %s\n", address,
			zmq_strerror(zmq_errno()));
		exit(EXIT_FAILURE);
	}
	return s;
}

int
main(int argc, char **argv)
{
	void *context = zmq_ctx_new(), *from, *to;
	int mark;

	if (argc != 4) {
		fprintf(stderr, "see the head of bench/zeromq_proxy.c\n");
		return EXIT_FAILURE;
	}
	mark = (int)strtol(argv[3], NULL, 10);
	from = open_socket(context, ZMQ_XSUB, ZMQ_RCVHWM, mark, argv[1]);
	to = open_socket(context, ZMQ_XPUB, ZMQ_SNDHWM, mark, argv[2]);
	return zmq_proxy(from, to, NULL);
}
