/*
 * Networks of IP addresses, and lists of them. Pure and thread-safe.
 *
 * Every address is 16 bytes. An IPv4 address is ::ffff:a.b.c.d there (RFC 4291 section 2.5.5.2), so
 * the same code compares both families. A network of IPv6 never contains an IPv4 address.
 */
#ifndef NETWORK_H
#define NETWORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sockaddr;

enum { ADDRESS_BITS = 128 };

struct address {
    unsigned char byte[ADDRESS_BITS / 8];
};

struct network {
    struct address address;
    int64_t bits; /* that are the same in all its addresses */
};

/* Four decimal numbers, or IPv6 without a zone. */
bool address_parse(const char *text, size_t len, struct address *address);

/* Four bytes of an IPv4 address. */
struct address address_from_v4(const unsigned char *bytes);

/* False if it is neither AF_INET nor AF_INET6. */
bool address_from(const struct sockaddr *from, struct address *address);

bool address_is_v4(const struct address *address);

bool address_has_prefix(const struct address *address, const struct address *prefix, int64_t bits);

/* "10.0.0.0/8", or an address. */
bool network_parse(const char *word, struct network *network);

/* Is the address of the network its first one? */
bool network_is_whole(const struct network *network);

/* Does the address lie in a network of the list (config.h)? Words that are none do not count. */
bool network_list_has(const char *list, const struct address *address);

#endif
