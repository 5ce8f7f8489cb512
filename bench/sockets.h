/* TCP over loopback, for the programs of bench/: each gives up on an error. */
#ifndef RINGTICK_BENCH_SOCKETS_H
#define RINGTICK_BENCH_SOCKETS_H

#include <stddef.h>

int socket_connect(int port);
int socket_listen(int port);

/* So that a small message is sent at once. */
void socket_set_nodelay(int fd);

/* Of a socket that waits. */
void send_all(int fd, const void *bytes, size_t len);
void receive_all(int fd, void *bytes, size_t len);

/* A write to a socket that the peer has closed is an error, not a signal. */
void ignore_sigpipe(void);

#endif
