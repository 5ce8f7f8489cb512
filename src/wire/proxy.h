/*
 * The header of PROXY protocol version 2, which a TLS terminator sends before
 * the bytes of its client: who the client is, and what TLS has found out.
 *
 * Source: haproxy.org/download/2.6/doc/proxy-protocol.txt, sections 2.2 to
 * 2.2.7.  Pure; reads only bytes that are there.
 */
#ifndef RINGTICK_WIRE_PROXY_H
#define RINGTICK_WIRE_PROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "wire/wire.h"

enum {
	PROXY_BYTES_MAX = 4096, /* of a header; a longer one is refused */
	PROXY_NAME_MAX = 127,	/* bytes of a certificate's common name */
	PROXY_TLS_MAX = 15,	/* bytes of a TLS version */
};

struct proxy_header {
	size_t consumed; /* bytes of the header */
	bool is_local;	 /* the terminator speaks for itself: no address */
	struct sockaddr_storage from; /* the client, IPv4 or IPv6 */
	bool is_tls;
	char tls[PROXY_TLS_MAX + 1]; /* "TLSv1.3"; "" if it is not told */
	bool is_verified; /* the client has shown a certificate, and the
			     terminator found it good */
	char name[PROXY_NAME_MAX + 1]; /* its common name; "" if it is not
					  told */
};

/*
 * Reads the header at the front of a connection's bytes.  WIRE_MORE:
 * incomplete. WIRE_BAD: *why is a constant sentence.  Unknown parts are passed
 * over; a checksum is checked if there is one.
 */
enum wire_result proxy_read(const uint8_t *at, size_t avail,
			    struct proxy_header *out, const char **why);

#endif
