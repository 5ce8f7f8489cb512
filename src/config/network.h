/*
 * Networks by CIDR: "10.0.0.0/8", "2001:db8::/32", or one address.
 *
 * IPv4 is held as the mapped IPv6 address ::ffff:a.b.c.d: so both are compared
 * in one way, and an IPv4 client of a socket on "::" is in networks of IPv4.
 */
#ifndef RINGTICK_CONFIG_NETWORK_H
#define RINGTICK_CONFIG_NETWORK_H

#include <stdbool.h>
#include <stdint.h>

struct sockaddr;

struct network {
	uint8_t address[16];
	unsigned bits; /* of the address that count: 0 to 128 */
};

/* Returns NULL, or a complaint: then *out is not set. */
const char *network_parse(const char *text, struct network *out);

/* Whether the address is in it.  An address that is neither IPv4 nor IPv6 is in
 * no network. */
bool network_has(const struct network *n, const struct sockaddr *at);

#endif
