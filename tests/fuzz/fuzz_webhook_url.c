/*
 * URLs of webhooks, and words of the lists. A URL that is accepted is printable, and names a host
 * that no program can take for another one; without rules, its literal address is public.
 */
#include "fuzz.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <strings.h>
#include <sys/socket.h>

#include "protocol/webhook_url.h"

/* The host as the simplest reader finds it: between the slashes and the port. */
static void copy_host(const char *url, char *host)
{
    const char *at = strstr(url, "//") + 2;
    size_t len = strcspn(at, "/?");

    if (*at == '[')
        len = strcspn(at, "]") + 1;
    else if (memchr(at, ':', len))
        len = strcspn(at, ":");
    memcpy(host, at, len);
    host[len] = '\0';
}

static void check_accepted(const char *url, const struct webhook_rules *rules)
{
    const struct sockaddr_in loopback = {.sin_family = AF_INET,
                                         .sin_addr = {htonl(INADDR_LOOPBACK)}};
    char *host = malloc(strlen(url) + 1);

    fuzz_require(host);
    copy_host(url, host);
    fuzz_require(strncasecmp(url, "https://", 8) == 0 ||
                 (rules->local && strncasecmp(url, "http://", 7) == 0));
    for (const char *at = url; *at; at++)
        fuzz_require(*at > ' ' && *at < 0x7F && !strchr("\\#\"<>", *at));
    fuzz_require(*host && !strpbrk(host, "@%/?"));
    if (!rules->local)
        fuzz_require(!webhook_address_allowed((const struct sockaddr *)&loopback, host, rules));
    if (host[strspn(host, "0123456789.")] == '\0') {
        struct in_addr address;

        fuzz_require(inet_pton(AF_INET, host, &address) == 1);
        fuzz_require(rules->local || ntohl(address.s_addr) >> 24 != 127);
        fuzz_require(ntohl(address.s_addr) >> 24 != 10);
    }
    free(host);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct webhook_rules rules[] = {{false, "", ""}, {true, "", ""}};
    char *text = fuzz_string(data, size), *list = malloc(strlen(text) + 2);

    fuzz_require(list);
    for (size_t i = 0; i < 2; i++) {
        const char *reason = webhook_url_check(text, &rules[i]);

        fuzz_require(!reason || (*reason && !strchr(reason, '\n')));
        if (!reason)
            check_accepted(text, &rules[i]);
    }
    memcpy(list, text, strlen(text) + 1);
    list[strlen(text) + 1] = '\0';
    if (!webhook_rule_check(text)) { /* in a list of one word, it can only refuse more */
        struct webhook_rules denied = {true, list, list};

        fuzz_require(*text);
        (void)webhook_url_check("https://8.8.8.8/", &denied);
        fuzz_require(webhook_url_check("https://10.0.0.1/", &denied));
    }
    free(list);
    free(text);
    return 0;
}
