/*
 * Where webhooks may be sent (protocol section 12.8): a client chooses the URL, so it could make
 * this server send requests into networks that the client cannot reach. The URL is checked when a
 * subscription is created, and each address that its host resolves to when a connection is opened,
 * because a name may resolve to anything, and later to something else.
 *
 *     refused   addresses that are not public: this machine, private networks, link-local,
 *               multicast, documentation; IPv4 within IPv6 (mapped, NAT64, 6to4) is judged by the
 *               IPv4 address
 *     local     this machine: localhost, *.localhost, 127.0.0.0/8, ::1. Allowed with rules.local
 *     allow     hosts and networks that are allowed all the same
 *     deny      hosts and networks that are refused all the same, also if allow has them
 *
 * The URL needs https, except for a local target if rules.local is set, and for a target in allow.
 *
 * Pure: nothing is resolved. Thread-safe.
 */
#ifndef WEBHOOK_URL_H
#define WEBHOOK_URL_H

#include <stdbool.h>

struct sockaddr;

/*
 * Lists are as in config.h: words, each followed by a NUL; another NUL ends the list, and "" is an
 * empty one. A word is a
 * network (`10.0.0.0/8`, `fd00::/8`), an address (`10.0.0.1`), a host name (`worker`), or a name
 * with a star for one or more labels (`*.internal.example`). A host in allow may resolve to any
 * address.
 */
struct webhook_rules {
    bool local; /* local targets are allowed */
    const char *allow, *deny;
};

/* Returns NULL if webhooks may be sent to the URL, else the reason: a static string of one line,
 * for the client. */
const char *webhook_url_check(const char *url, const struct webhook_rules *rules);

/* May a connection to this address (AF_INET, AF_INET6) be opened? host is that of the URL, which
 * has passed webhook_url_check(); an IPv6 address may have brackets. */
bool webhook_address_allowed(const struct sockaddr *address, const char *host,
                             const struct webhook_rules *rules);

/* Returns NULL if the word can be in a list, else what is wrong: a static string of one line. */
const char *webhook_rule_check(const char *word);

#endif
