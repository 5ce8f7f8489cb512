#include "config.h"

#include "wire/proxy.h"

#include <netinet/in.h>
#include <string.h>

#include "base/util.h"

enum {
	FIXED_BYTES = 16, /* signature, command, family, length */
	VERSION_LOCAL = 0x20,
	VERSION_PROXY = 0x21,
	TCP_OVER_IPV4 = 0x11,
	TCP_OVER_IPV6 = 0x21,
	IPV4_BYTES = 12, /* of both addresses and ports */
	IPV6_BYTES = 36,
	/* parts after the addresses */
	PART_CRC32C = 0x03,
	PART_TLS = 0x20,
	PART_TLS_VERSION = 0x21,
	PART_TLS_NAME = 0x22,
	TLS_FIXED_BYTES = 5, /* flags, and the result of the verification */
	/* flags of PART_TLS */
	HAS_TLS = 1,
	HAS_CERTIFICATE = 2 | 4, /* shown now, or when the session began */
};

static const uint8_t signature[12] = { 0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d,
				       0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a };

static const char ends_early[] = "the PROXY header ends within a part";

static size_t
load_u16_be(const uint8_t *at)
{
	return (size_t)at[0] << 8 | at[1];
}

/* ---- parts ---- */

struct part {
	uint8_t type;
	const uint8_t *at;
	size_t len;
};

/* Takes the next part; false if it is longer than what is left. */
static bool
next_part(const uint8_t **at, size_t *left, struct part *out)
{
	if (*left < 3 || load_u16_be(*at + 1) > *left - 3)
		return false;
	*out = (struct part){ **at, *at + 3, load_u16_be(*at + 1) };
	*at += 3 + out->len;
	*left -= 3 + out->len;
	return true;
}

/* Copies a text; false if it does not fit or could be taken for another one. */
static bool
take_text(const struct part *p, char *out, size_t out_max)
{
	if (p->len > out_max || memchr(p->at, '\0', p->len) != NULL)
		return false;
	memcpy(out, p->at, p->len);
	out[p->len] = '\0';
	return true;
}

static const char *
read_tls(const struct part *tls, struct proxy_header *out)
{
	const uint8_t *at = tls->at + TLS_FIXED_BYTES;
	size_t left;
	struct part p;

	if (tls->len < TLS_FIXED_BYTES)
		return ends_early;
	left = tls->len - TLS_FIXED_BYTES;
	out->is_tls = (tls->at[0] & HAS_TLS) != 0;
	out->is_verified = (tls->at[0] & HAS_CERTIFICATE) != 0 &&
			   memcmp(tls->at + 1, "\0\0\0", 4) == 0;
	while (left > 0) {
		if (!next_part(&at, &left, &p))
			return ends_early;
		if (p.type == PART_TLS_VERSION &&
		    !take_text(&p, out->tls, PROXY_TLS_MAX))
			return "the PROXY header has a TLS version that is "
			       "none";
		if (p.type == PART_TLS_NAME &&
		    !take_text(&p, out->name, PROXY_NAME_MAX))
			return "the PROXY header has a common name that no "
			       "user can have";
	}
	return NULL;
}

/* CRC-32C, bit by bit: it comes once a connection. */
static uint32_t
add_to_crc(uint32_t crc, const uint8_t *at, size_t len)
{
	for (; len > 0; len--) {
		crc ^= *at++;
		for (unsigned i = 0; i < 8; i++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	return crc;
}

/* The checksum counts itself as zero. */
static bool
is_crc_good(const uint8_t *header, size_t len, const uint8_t *crc)
{
	static const uint8_t zero[4];
	uint32_t sum = UINT32_MAX;

	sum = add_to_crc(sum, header, (size_t)(crc - header));
	sum = add_to_crc(sum, zero, sizeof(zero));
	sum = ~add_to_crc(sum, crc + 4, len - (size_t)(crc + 4 - header));
	return sum == ((uint32_t)crc[0] << 24 | (uint32_t)crc[1] << 16 |
		       (uint32_t)crc[2] << 8 | crc[3]);
}

static const char *
read_parts(const uint8_t *header, size_t len, size_t off,
	   struct proxy_header *out)
{
	const uint8_t *at = header + off;
	size_t left = len - off;
	bool has_tls = false;

	while (left > 0) {
		const char *why = NULL;
		struct part p;

		if (!next_part(&at, &left, &p))
			return ends_early;
		if (p.type == PART_CRC32C &&
		    (p.len != 4 || !is_crc_good(header, len, p.at)))
			return "the PROXY header has a wrong checksum";
		if (p.type == PART_TLS && has_tls)
			return "the PROXY header tells of TLS twice";
		if (p.type == PART_TLS)
			why = read_tls(&p, out);
		if (why != NULL)
			return why;
		has_tls = has_tls || p.type == PART_TLS;
	}
	return NULL;
}

/* ---- addresses ---- */

/* Returns the bytes of the addresses; 0: this family is not served, or its
 * addresses are not all there. */
static size_t
read_address(uint8_t family, const uint8_t *at, size_t len,
	     struct sockaddr_storage *out)
{
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
	struct sockaddr_in *v4 = (struct sockaddr_in *)out;

	if (family == TCP_OVER_IPV4 && len >= IPV4_BYTES) {
		v4->sin_family = AF_INET;
		memcpy(&v4->sin_addr, at, 4);
		memcpy(&v4->sin_port, at + 8, 2);
		return IPV4_BYTES;
	}
	if (family == TCP_OVER_IPV6 && len >= IPV6_BYTES) {
		v6->sin6_family = AF_INET6;
		memcpy(&v6->sin6_addr, at, 16);
		memcpy(&v6->sin6_port, at + 32, 2);
		return IPV6_BYTES;
	}
	return 0;
}

enum wire_result
proxy_read(const uint8_t *at, size_t avail, struct proxy_header *out,
	   const char **why)
{
	size_t begun = avail < sizeof(signature) ? avail : sizeof(signature);
	size_t len, addresses = 0;

	*out = (struct proxy_header){ 0 };
	*why = "the first bytes are no header of PROXY protocol version 2";
	if (memcmp(at, signature, begun) != 0)
		return WIRE_BAD;
	if (avail < FIXED_BYTES)
		return WIRE_MORE;
	if (at[12] != VERSION_LOCAL && at[12] != VERSION_PROXY)
		return WIRE_BAD;
	len = FIXED_BYTES + load_u16_be(at + 14);
	*why = "the PROXY header is longer than 4096 bytes";
	if (len > PROXY_BYTES_MAX)
		return WIRE_BAD;
	if (avail < len)
		return WIRE_MORE;
	out->consumed = len;
	out->is_local = at[12] == VERSION_LOCAL;
	if (out->is_local)
		return WIRE_OK;
	addresses = read_address(at[13], at + FIXED_BYTES, len - FIXED_BYTES,
				 &out->from);
	*why = "the PROXY header has no address of TCP over IPv4 or IPv6";
	if (addresses == 0)
		return WIRE_BAD;
	*why = read_parts(at, len, FIXED_BYTES + addresses, out);
	return *why == NULL ? WIRE_OK : WIRE_BAD;
}
