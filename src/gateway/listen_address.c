/* The addresses of --listen, in their parts: see listen.h. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "base/digits.h"
#include "base/log.h"
#include "gateway/listen.h"

enum { PORT_MOST = 65535 };

static const char no_address[] =
    "an address is unix:/path or host:port, for HTTP with http: in front, or systemd";

/* If the text begins with the word, moves to what follows it. */
static bool skip_word(const char **text, const char *word)
{
    size_t len = strlen(word);

    if (strncmp(*text, word, len) != 0)
        return false;
    *text += len;
    return true;
}

static const char *parse_path(const char *path, struct listen_address *address)
{
    if (!path[0])
        return "unix: needs a path";
    if (strlen(path) >= sizeof((struct sockaddr_un *)0)->sun_path)
        return "the path of a unix socket has at most 107 bytes";
    address->form = LISTEN_UNIX;
    address->path = path;
    return NULL;
}

/* Splits host:port at the last colon. The colons of an IPv6 address are in brackets. */
static const char *parse_host(const char *text, struct listen_address *address)
{
    const char *colon = strrchr(text, ':');
    size_t len = colon ? (size_t)(colon - text) : sizeof address->host;
    int64_t port;
    bool is_v6;

    if (len >= sizeof address->host || memchr(text, '/', len))
        return no_address; /* http://host:port too */
    if (!digits_parse(colon + 1, strlen(colon + 1), PORT_MOST, &port))
        return "the port must be a number from 0 to 65535";
    is_v6 = len > 2 && text[0] == '[' && colon[-1] == ']';
    text += is_v6;
    len -= is_v6 ? 2 : 0;
    if ((!is_v6 && memchr(text, ':', len)) || memchr(text, '[', len) || memchr(text, ']', len))
        return "an IPv6 address must be in brackets, as in [::1]:4437";
    address->form = LISTEN_INET;
    (void)snprintf(address->host, sizeof address->host, "%.*s", (int)len, text);
    (void)snprintf(address->port, sizeof address->port, "%d", (int)port);
    return NULL;
}

const char *listen_parse(const char *text, struct listen_address *address)
{
    *address = (struct listen_address){.form = LISTEN_PASSED};
    if (strcmp(text, "systemd") == 0)
        return NULL;
    address->kind = skip_word(&text, "http:") ? DOOR_HTTP : DOOR_FCGI;
    return skip_word(&text, "unix:") ? parse_path(text, address) : parse_host(text, address);
}

bool listen_check(const char *const *addresses, int count)
{
    struct listen_address address;
    int passed = 0;

    if (count > LISTEN_MOST) {
        log_error("more than %d sockets to listen on", LISTEN_MOST);
        return false;
    }
    for (int i = 0; i < count; i++) {
        const char *wrong = listen_parse(addresses[i], &address);

        if (!wrong && address.form == LISTEN_PASSED && passed++ > 0)
            wrong = "it stands for all passed sockets, so give it once";
        if (wrong) {
            log_error("cannot listen on %s: %s", addresses[i], wrong);
            return false;
        }
    }
    return true;
}
