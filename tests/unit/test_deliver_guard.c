/* deliver_guard.c: connections are opened to allowed addresses only. */
#include "deliver/deliver_guard.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "protocol/webhook_url.h"
#include "unit.h"

static const struct webhook_rules plain = {false, "", ""}, local = {true, "", ""};
static const struct webhook_rules inside = {false, "10.0.0.0/8\0worker\0", "10.6.6.0/24\0"};

static struct guard guard;

/* libcurl's struct curl_sockaddr has room for an IPv4 address only in the header. */
static curl_socket_t open_to(const char *text, const char *host, const struct webhook_rules *rules,
                             curlsocktype purpose)
{
    union {
        struct curl_sockaddr address;
        char room[sizeof(struct curl_sockaddr) + sizeof(struct sockaddr_in6)];
    } to;
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    void *at = &to.address.addr;

    memset(&to, 0, sizeof to);
    to.address.socktype = SOCK_STREAM;
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
        to.address.family = AF_INET;
        memcpy(at, &v4, sizeof v4);
    } else {
        ck_assert_int_eq(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
        to.address.family = AF_INET6;
        memcpy(at, &v6, sizeof v6);
    }
    guard = (struct guard){.host = host, .rules = rules};
    return guard_open_socket(&guard, purpose, &to.address);
}

static bool is_opened(const char *text, const char *host, const struct webhook_rules *rules)
{
    curl_socket_t fd = open_to(text, host, rules, CURLSOCKTYPE_IPCXN);

    if (fd != CURL_SOCKET_BAD)
        ck_assert_int_eq(close(fd), 0);
    ck_assert_int_eq(guard.refused[0] != '\0', fd == CURL_SOCKET_BAD);
    return fd != CURL_SOCKET_BAD;
}

START_TEST(opens_public_addresses)
{
    ck_assert(is_opened("93.184.216.34", "example.com", &plain));
}
END_TEST

START_TEST(refuses_others_and_says_which)
{
    static const char *const refused[] = {
        "10.0.0.1", "127.0.0.1",  "169.254.169.254",  "192.168.1.1",
        "0.0.0.0",  "100.64.0.1", "224.0.0.1",        "::1",
        "::",       "fe80::1",    "::ffff:127.0.0.1", "64:ff9b::a00:1",
        "fd00::1",  "ff02::1",    "2002:7f00:1::"};

    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        ck_assert_msg(!is_opened(refused[i], "example.com", &plain), "%s", refused[i]);
        ck_assert_str_eq(guard.refused, refused[i]);
    }
}
END_TEST

START_TEST(obeys_the_settings)
{
    ck_assert(is_opened("127.0.0.1", "localhost", &local));
    ck_assert(!is_opened("127.0.0.1", "localhost", &plain));
    ck_assert(!is_opened("10.0.0.1", "localhost", &local));
    ck_assert(is_opened("10.0.0.1", "example.com", &inside));
    ck_assert(!is_opened("10.6.6.6", "example.com", &inside));
    ck_assert(is_opened("192.168.1.1", "worker", &inside));
}
END_TEST

START_TEST(opens_nothing_for_another_purpose)
{
    ck_assert_int_eq(open_to("93.184.216.34", "example.com", &plain, CURLSOCKTYPE_ACCEPT),
                     CURL_SOCKET_BAD);
}
END_TEST

UNIT_MAIN(deliver_guard, opens_public_addresses, refuses_others_and_says_which, obeys_the_settings,
          opens_nothing_for_another_purpose)
