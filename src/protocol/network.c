/*
 * Networks of IP addresses: see network.h.
 */
#include "protocol/network.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>

#include "base/digits.h"

enum { V4_BITS = 96 }; /* before the IPv4 address in ::ffff:0:0/96 */

bool address_has_prefix(const struct address *address, const struct address *prefix, int64_t bits)
{
    size_t bytes = (size_t)bits / 8, rest = (size_t)bits % 8;

    return memcmp(address->byte, prefix->byte, bytes) == 0 &&
           (rest == 0 || (address->byte[bytes] ^ prefix->byte[bytes]) >> (8 - rest) == 0);
}

struct address address_from_v4(const unsigned char *bytes)
{
    struct address address = {{[10] = 0xFF, [11] = 0xFF}};

    memcpy(address.byte + V4_BITS / 8, bytes, 4);
    return address;
}

bool address_is_v4(const struct address *address)
{
    static const struct address prefix = {{[10] = 0xFF, [11] = 0xFF}};

    return address_has_prefix(address, &prefix, V4_BITS);
}

bool address_parse(const char *text, size_t len, struct address *address)
{
    char copy[INET6_ADDRSTRLEN];
    unsigned char v4[4];

    if (len >= sizeof copy)
        return false;
    memcpy(copy, text, len);
    copy[len] = '\0';
    if (inet_pton(AF_INET, copy, v4) != 1)
        return inet_pton(AF_INET6, copy, address->byte) == 1;
    *address = address_from_v4(v4);
    return true;
}

bool network_parse(const char *word, struct network *network)
{
    size_t len = strcspn(word, "/");
    int64_t before;

    if (!address_parse(word, len, &network->address))
        return false;
    network->bits = ADDRESS_BITS;
    if (word[len] == '\0')
        return true;
    before = memchr(word, ':', len) ? 0 : V4_BITS;
    if (!digits_parse(word + len + 1, strlen(word + len + 1), ADDRESS_BITS - before,
                      &network->bits))
        return false;
    network->bits += before;
    return true;
}

bool network_list_has(const char *list, const struct address *address)
{
    struct network network;

    for (; *list; list += strlen(list) + 1)
        if (network_parse(list, &network) &&
            address_has_prefix(address, &network.address, network.bits) &&
            (network.bits >= V4_BITS || !address_is_v4(address)))
            return true;
    return false;
}

bool network_is_whole(const struct network *network)
{
    for (int64_t bit = network->bits; bit < ADDRESS_BITS; bit++)
        if (network->address.byte[bit / 8] & 0x80 >> bit % 8)
            return false;
    return true;
}

bool address_from(const struct sockaddr *from, struct address *address)
{
    if (from->sa_family == AF_INET) {
        struct sockaddr_in v4;
        unsigned char four[4];

        memcpy(&v4, from, sizeof v4); /* it may not be aligned */
        memcpy(four, &v4.sin_addr, sizeof four);
        *address = address_from_v4(four);
    } else if (from->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;

        memcpy(&v6, from, sizeof v6);
        memcpy(address->byte, &v6.sin6_addr, sizeof address->byte);
    } else {
        return false;
    }
    return true;
}
