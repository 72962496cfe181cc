/*
 * Where webhooks may be sent: see webhook_url.h.
 *
 * Programs read unusual URLs in different ways, and then they check one host and connect to
 * another. So the URL is parsed strictly (RFC 3986), and what could be read in two ways is refused:
 * user names, backslashes, and numeric hosts such as 127.1 that are not four decimal numbers.
 *
 * Every address is judged as 16 bytes (network.h).
 */
#include "protocol/webhook_url.h"

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/digits.h"
#include "protocol/network.h"

enum {
    HOST_MOST = 253, /* bytes, without the full stop at the end (RFC 1035 section 2.3.4) */
    LABEL_MOST = 63,
    PORT_MOST = 65535,
};

struct host {
    char name[HOST_MOST + 1]; /* lower case, no full stop at the end; "" if it is an address */
    bool is_address;
    struct address address;
};

/* This machine. A list as in config.h, like the next one. */
static const char loopback[] = "127.0.0.0/8\0"
                               "::1\0";

/* Not public, by the registries of special addresses of IANA (RFC 6890). Of IPv6, only 2000::/3 is
   given out. */
static const char not_public[] = "0.0.0.0/8\0"
                                 "10.0.0.0/8\0"
                                 "100.64.0.0/10\0"
                                 "127.0.0.0/8\0"
                                 "169.254.0.0/16\0"
                                 "172.16.0.0/12\0"
                                 "192.0.0.0/24\0"
                                 "192.0.2.0/24\0"
                                 "192.168.0.0/16\0"
                                 "198.18.0.0/15\0"
                                 "198.51.100.0/24\0"
                                 "203.0.113.0/24\0"
                                 "224.0.0.0/3\0"
                                 "::/3\0"
                                 "2001::/23\0"
                                 "2001:db8::/32\0"
                                 "3fff::/20\0"
                                 "4000::/2\0"
                                 "8000::/1\0";

/* The IPv4 address to which a translator or tunnel passes packets on; otherwise the same. */
static struct address inner_address(const struct address *address)
{
    static const struct address nat64 = {{0x00, 0x64, 0xFF, 0x9B}}, six_to_four = {{0x20, 0x02}};

    if (address_has_prefix(address, &nat64, 96)) /* RFC 6052 */
        return address_from_v4(address->byte + 12);
    if (address_has_prefix(address, &six_to_four, 16)) /* RFC 3056 */
        return address_from_v4(address->byte + 2);
    return *address;
}

/* --- hosts --- */

/* Would a program take the last label for a part of an IPv4 address: decimal, octal or hex? */
static bool is_number(const char *label)
{
    if (label[0] == '0' && (label[1] | 0x20) == 'x')
        return label[2 + strspn(label + 2, "0123456789abcdefABCDEF")] == '\0';
    return label[strspn(label, "0123456789")] == '\0';
}

/* A name of labels of letters, digits, hyphens and underscores, in lower case. */
static bool is_host_name(const char *name)
{
    for (;;) {
        size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_");

        if (len == 0 || len > LABEL_MOST || name[0] == '-' || name[len - 1] == '-')
            return false;
        if (name[len] == '\0')
            return !is_number(name);
        if (name[len] != '.')
            return false;
        name += len + 1;
    }
}

/* An address, perhaps in brackets, or a name. */
static bool parse_host(const char *text, size_t len, struct host *host)
{
    host->name[0] = '\0';
    host->is_address = address_parse(text, len, &host->address);
    if (len > 2 && text[0] == '[' && text[len - 1] == ']')
        host->is_address =
            memchr(text, ':', len) && address_parse(text + 1, len - 2, &host->address);
    if (host->is_address)
        return true;
    len -= len > 0 && text[len - 1] == '.'; /* "localhost." is localhost */
    if (len == 0 || len > HOST_MOST)
        return false;
    for (size_t i = 0; i < len; i++)
        host->name[i] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] | 0x20 : text[i]);
    host->name[len] = '\0';
    return is_host_name(host->name);
}

/* Is it a name below the suffix, ".localhost" for example? */
static bool is_below(const char *name, const char *suffix, size_t suffix_len)
{
    size_t len = strlen(name);

    return len > suffix_len && strncasecmp(name + len - suffix_len, suffix, suffix_len) == 0;
}

static bool is_local_name(const struct host *host)
{
    return strcmp(host->name, "localhost") == 0 || is_below(host->name, ".localhost", 10);
}

/* Has a list this name, or a word with a star for it? */
static bool has_name(const char *list, const struct host *host)
{
    if (host->is_address)
        return false;
    for (; *list; list += strlen(list) + 1) {
        size_t len = strlen(list);

        len -= list[len - 1] == '.';
        if (list[0] == '*' ? is_below(host->name, list + 1, len - 1)
                           : strlen(host->name) == len && strncasecmp(host->name, list, len) == 0)
            return true;
    }
    return false;
}

const char *webhook_rule_check(const char *word)
{
    struct network network;
    struct host host;
    size_t len = strlen(word);

    if (network_parse(word, &network))
        return network_is_whole(&network)
                   ? NULL
                   : "the address of a network must be its first one, as in 10.0.0.0/8";
    if (strncmp(word, "*.", 2) == 0) {
        word += 2;
        len -= 2;
    }
    if (!parse_host(word, len, &host) || host.is_address)
        return "must be a network such as 10.0.0.0/8, an address, or a host name";
    return NULL;
}

/* --- the rules --- */

/* May a connection to the address be opened, if the URL names this host? */
static bool is_allowed(const struct address *address, const struct host *host,
                       const struct webhook_rules *rules)
{
    struct address inner = inner_address(address);

    if (has_name(rules->deny, host) || network_list_has(rules->deny, address) ||
        network_list_has(rules->deny, &inner))
        return false;
    if (has_name(rules->allow, host) || network_list_has(rules->allow, address) ||
        network_list_has(rules->allow, &inner))
        return true;
    if (rules->local && network_list_has(loopback, address))
        return true;
    /* a local name is allowed without https, so it must not lead elsewhere */
    return !is_local_name(host) && !network_list_has(not_public, &inner);
}

bool webhook_address_allowed(const struct sockaddr *address, const char *host,
                             const struct webhook_rules *rules)
{
    struct address bytes;
    struct host parsed;

    if (!parse_host(host, strlen(host), &parsed))
        return false;
    if (!address_from(address, &bytes))
        return false;
    if (parsed.is_address && memcmp(&parsed.address, &bytes, sizeof bytes) != 0)
        return false;
    return is_allowed(&bytes, &parsed, rules);
}

/* Returns a reason if webhooks may not be sent to the host, else NULL. */
static const char *check_host(const struct host *host, bool secure,
                              const struct webhook_rules *rules)
{
    bool is_local =
        host->is_address ? network_list_has(loopback, &host->address) : is_local_name(host);
    bool is_listed = has_name(rules->allow, host) ||
                     (host->is_address && network_list_has(rules->allow, &host->address));

    if (has_name(rules->deny, host) ||
        (host->is_address && network_list_has(rules->deny, &host->address)))
        return "this server does not send webhooks to the host of the URL";
    if (is_local && !rules->local && !is_listed)
        return "this server does not send webhooks to its own machine";
    if (host->is_address && !is_allowed(&host->address, host, rules))
        return "the host of the URL is not a public address";
    if (!secure && !is_local && !is_listed)
        return "the URL must begin with https://";
    return NULL;
}

/* --- the URL --- */

/* Are these the characters of a path and query (RFC 3986 appendix A), with '[' and ']', which
   browsers do not encode? */
static bool is_path_and_query(const char *text)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  "-._~!$&'()*+,;=:@/?%[]";
    const char *end = text + strlen(text);

    for (const char *at = text; *at; at++)
        if (!strchr(allowed, *at) || (*at == '%' && digits_percent(at, end) < 0))
            return false;
    return true;
}

static bool is_port(const char *text, size_t len)
{
    int64_t port;

    return len <= 5 && digits_parse(text, len, PORT_MOST, &port) && port > 0;
}

const char *webhook_url_check(const char *url, const struct webhook_rules *rules)
{
    bool secure = strncasecmp(url, "https://", 8) == 0;
    const char *at = url + (secure ? 8 : 7), *path, *host_end;
    struct host host;

    if (!secure && strncasecmp(url, "http://", 7) != 0)
        return "the URL must begin with https:// or http://";
    path = at + strcspn(at, "/?#");
    if (memchr(at, '@', (size_t)(path - at)))
        return "the URL must not contain a user name or password";
    if (strchr(path, '#'))
        return "the URL must not contain a fragment";
    if (!is_path_and_query(path))
        return "the URL contains a character that must be percent-encoded, or a malformed "
               "percent-encoding";
    host_end = at + (*at == '[' ? strcspn(at, "]") : strcspn(at, ":/?"));
    host_end += *at == '[' && *host_end == ']';
    if (host_end > path || !parse_host(at, (size_t)(host_end - at), &host))
        return "the host of the URL must be a name, four decimal numbers or an IPv6 address in "
               "brackets";
    if (host_end < path &&
        (*host_end != ':' || !is_port(host_end + 1, (size_t)(path - host_end - 1))))
        return "the port of the URL must be from 1 to 65535";
    return check_host(&host, secure, rules);
}
