#include "config.h"

#include "config/network.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

enum {
	MAPPED_BITS = 96, /* before an IPv4 address */
	TEXT_MAX = INET6_ADDRSTRLEN,
};

static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

/* A number of at most `max`, without sign or blanks. */
static bool
read_bits(const char *text, unsigned max, unsigned *out)
{
	*out = 0;
	if (*text == '\0' || strlen(text) > 3)
		return false;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9')
			return false;
		*out = 10 * *out + (unsigned)(*text - '0');
	}
	return *out <= max;
}

static bool
has_bit(const uint8_t *address, unsigned i)
{
	return address[i / 8] >> (7 - i % 8) & 1;
}

const char *
network_parse(const char *text, struct network *out)
{
	const char *slash = strchr(text, '/');
	size_t len = slash != NULL ? (size_t)(slash - text) : strlen(text);
	struct network n = { .bits = 0 };
	char address[TEXT_MAX + 1];
	unsigned before = 0, bits;

	if (len > TEXT_MAX)
		return "is not an address";
	memcpy(address, text, len);
	address[len] = '\0';
	if (inet_pton(AF_INET, address, n.address + sizeof(mapped)) == 1) {
		memcpy(n.address, mapped, sizeof(mapped));
		before = MAPPED_BITS;
	} else if (inet_pton(AF_INET6, address, n.address) != 1) {
		return "is not an address";
	}
	bits = 128 - before;
	if (slash != NULL && !read_bits(slash + 1, bits, &bits))
		return "has no number of bits after the slash";
	n.bits = before + bits;
	for (unsigned i = n.bits; i < 128; i++)
		if (has_bit(n.address, i))
			return "has bits after those that count";
	*out = n;
	return NULL;
}

static bool
has_address(const struct network *n, const uint8_t *address)
{
	unsigned whole = n->bits / 8;

	if (memcmp(n->address, address, whole) != 0)
		return false;
	for (unsigned i = 8 * whole; i < n->bits; i++)
		if (has_bit(n->address, i) != has_bit(address, i))
			return false;
	return true;
}

bool
network_has(const struct network *n, const struct sockaddr *at)
{
	uint8_t address[16];

	if (at->sa_family == AF_INET6) {
		const struct sockaddr_in6 *v6 = (const void *)at;

		return has_address(n, v6->sin6_addr.s6_addr);
	}
	if (at->sa_family == AF_INET) {
		const struct sockaddr_in *v4 = (const void *)at;

		memcpy(address, mapped, sizeof(mapped));
		memcpy(address + sizeof(mapped), &v4->sin_addr, 4);
		return has_address(n, address);
	}
	return false;
}
