/* ZeroMQ XSUB -> XPUB forwarder (the canonical zmq_proxy broker).  zeromq_proxy
 * pubport subport [hwm] [io_threads] */
#include <stdlib.h>
#include <stdio.h>
#include <zmq.h>
int
main(int c, char **v)
{
	char e[64];
	int hwm = c > 3 ? atoi(v[3]) : 1000;
	void *x = zmq_ctx_new(), *a = zmq_socket(x, ZMQ_XSUB),
	     *b = zmq_socket(x, ZMQ_XPUB);
	if (c > 4)
		zmq_ctx_set(x, ZMQ_IO_THREADS, atoi(v[4]));
	if (hwm >= 0) {
		zmq_setsockopt(a, ZMQ_RCVHWM, &hwm, sizeof hwm);
		zmq_setsockopt(b, ZMQ_SNDHWM, &hwm, sizeof hwm);
	}
	snprintf(e, sizeof e, "tcp://127.0.0.1:%s", v[1]);
	if (zmq_bind(a, e))
		return 1;
	snprintf(e, sizeof e, "tcp://127.0.0.1:%s", v[2]);
	if (zmq_bind(b, e))
		return 1;
	return zmq_proxy(a, b, NULL);
}
