/* webhook_url.c: which URLs and addresses webhooks may be sent to, in every spelling. */
#include "protocol/webhook_url.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "unit.h"

static const struct webhook_rules plain = {false, "", ""}, local = {true, "", ""};

static bool is_fine(const char *url, const struct webhook_rules *rules)
{
    const char *reason = webhook_url_check(url, rules);

    ck_assert_msg(!reason || (*reason && !strchr(reason, '\n')), "%s", url);
    return !reason;
}

/* The address as the socket call would get it. */
static bool may_connect(const char *text, const char *host, const struct webhook_rules *rules)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};

    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
        return webhook_address_allowed((const struct sockaddr *)&v4, host, rules);
    ck_assert_int_eq(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
    return webhook_address_allowed((const struct sockaddr *)&v6, host, rules);
}

START_TEST(accepts_public_https)
{
    static const char *const cases[] = {
        "https://example.com",
        "https://example.com/",
        "https://example.com/hook?a=b&c=%20[1]",
        "https://EXAMPLE.com./x",
        "HTTPS://example.com:8443/x",
        "https://example.com:1",
        "https://example.com:65535/",
        "https://example.com?x",
        "https://my_service.example/",
        "https://xn--bcher-kva.example/",
        "https://1a.example/",
        "https://0x7g/",
        "https://deadbeef/",
        "https://8.8.8.8/",
        "https://[2606:4700:4700::1111]/",
        "https://[2606:4700:4700::1111]:8443/",
        "https://[64:ff9b::8.8.8.8]/",
        "https://[::ffff:8.8.8.8]/",
        "https://[2002:808:808::1]/",
        "https://a/@b",
        "https://a/b:c",
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        ck_assert_msg(is_fine(cases[i], &plain), "%s: %s", cases[i],
                      webhook_url_check(cases[i], &plain));
        ck_assert_msg(is_fine(cases[i], &local), "%s", cases[i]);
    }
}
END_TEST

START_TEST(refuses_malformed_urls)
{
    static const char *const cases[] = {
        "",
        "example.com",
        "//example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "https:/example.com",
        "https:example.com",
        "https://",
        "https:///x",
        "https://?x",
        "https://:443/",
        " https://example.com/",
        "https://example.com/ ",
        "https://example.com/a b",
        "https://example.com/\n",
        "https://example.com/\x7F",
        "https://exam\tple.com/",
        "https://example.com\r\nHost: x/",
        "https://user@example.com/",
        "https://user:password@example.com/",
        "https://@example.com/",
        "https://example.com#f",
        "https://example.com/#",
        "https://example.com/a#b@c",
        "https://example.com\\@internal/",
        "https://example.com/a\\b",
        "https://example.com/<",
        "https://example.com/%",
        "https://example.com/%4",
        "https://example.com/%zz",
        "https://ex%61mple.com/",
        "https://b\xC3\xBC"
        "cher.example/",
        "https://example.com/\xC3\xBC",
        "https://example\xE3\x80\x82"
        "com/",
        "https://example.com:/",
        "https://example.com:0/",
        "https://example.com:65536/",
        "https://example.com:000080/",
        "https://example.com:99999999999999999999/",
        "https://example.com:+80/",
        "https://example.com:80a/",
        "https://example.com:80:80/",
        "https://example..com/",
        "https://.example.com/",
        "https://example.com../",
        "https://./",
        "https://-a.example/",
        "https://a-.example/",
        "https://a,b/",
        "https://*/",
        "https://a*b/",
        "https://[::1",
        "https://[::1/]",
        "https://[]/",
        "https://[2606:4700:4700::1111]x/",
        "https://[2606:4700:4700::1111]:/",
        "https://2606:4700:4700::1111/",
        "https://[fe80::1%25eth0]/",
        "https://[fe80::1%eth0]/",
        "https://[8.8.8.8]/",
        "https://[v1.x]/",
        "https://[example.com]/",
    };
    static const struct webhook_rules all = {true, "0.0.0.0/0\0::/0\0*.com\0*.example\0", ""};

    for (size_t i = 0; i < COUNT(cases); i++) {
        ck_assert_msg(!is_fine(cases[i], &plain), "%s", cases[i]);
        ck_assert_msg(!is_fine(cases[i], &all), "%s", cases[i]);
    }
}
END_TEST

START_TEST(refuses_long_hosts)
{
    char url[400];

    (void)strcpy(url, "https://");
    memset(url + 8, 'a', 63);
    (void)strcpy(url + 71, ".example/");
    ck_assert(is_fine(url, &plain));
    (void)memmove(url + 72, url + 71, 10);
    url[71] = 'a';
    ck_assert(!is_fine(url, &plain));
    for (int i = 0; i < 254; i += 2)
        memcpy(url + 8 + i, "a.", 3);
    url[8 + 253] = '\0';
    ck_assert(is_fine(url, &plain));
    (void)strcpy(url + 8 + 253, ".");
    ck_assert(is_fine(url, &plain));
    (void)strcpy(url + 8 + 253, "aa");
    ck_assert(!is_fine(url, &plain));
}
END_TEST

/* Each is an address of this machine or of a private network to some programs. */
START_TEST(refuses_numeric_spellings)
{
    static const char *const hosts[] = {
        "2130706433", "0x7f000001",  "017700000001", "127.1",      "127.0.1",
        "0x7f.1",     "0x7f.0.0.1",  "0177.0.0.1",   "127.0.0.01", "127.0.0.0x1",
        "127.0.0.1.", "127.0.0.1..", "10.1",         "256.0.0.1",  "1.2.3.4.5",
        "0",          "0x",          "0x0",          "00",         "1",
        "8.8.2056",   "0X7F000001",  "example.0x7f", "example.1",  "4294967296",
    };
    static const struct webhook_rules all = {true, "0.0.0.0/0\0::/0\0", ""};
    char url[100];

    for (size_t i = 0; i < COUNT(hosts); i++) {
        (void)snprintf(url, sizeof url, "https://%s/", hosts[i]);
        ck_assert_msg(!is_fine(url, &all), "%s", url);
    }
}
END_TEST

/* The first and the last address of each network, and their public neighbours. */
static const struct {
    const char *first, *last, *before, *after; /* NULL: the neighbour is not public either */
} not_public[] = {
    {"0.0.0.0", "0.255.255.255", NULL, "1.0.0.0"},
    {"10.0.0.0", "10.255.255.255", "9.255.255.255", "11.0.0.0"},
    {"100.64.0.0", "100.127.255.255", "100.63.255.255", "100.128.0.0"},
    {"127.0.0.0", "127.255.255.255", "126.255.255.255", "128.0.0.0"},
    {"169.254.0.0", "169.254.255.255", "169.253.255.255", "169.255.0.0"},
    {"172.16.0.0", "172.31.255.255", "172.15.255.255", "172.32.0.0"},
    {"192.0.0.0", "192.0.0.255", "191.255.255.255", "192.0.1.0"},
    {"192.0.2.0", "192.0.2.255", "192.0.1.255", "192.0.3.0"},
    {"192.168.0.0", "192.168.255.255", "192.167.255.255", "192.169.0.0"},
    {"198.18.0.0", "198.19.255.255", "198.17.255.255", "198.20.0.0"},
    {"198.51.100.0", "198.51.100.255", "198.51.99.255", "198.51.101.0"},
    {"203.0.113.0", "203.0.113.255", "203.0.112.255", "203.0.114.0"},
    {"224.0.0.0", "255.255.255.255", "223.255.255.255", NULL},
    {"::", "::1", NULL, NULL},
    {"::2", "64:ff9a:ffff:ffff:ffff:ffff:ffff:ffff", NULL, NULL},
    {"64:ff9b:0:0:0:1::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL, NULL},
    {"2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", "2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
     "2001:200::"},
    {"2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
     "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db9::"},
    {"3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", "3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
     "3fff:1000::"},
    {"4000::", "fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
     NULL},
    {"fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL, NULL},
    {"fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL, NULL},
    {"fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL, NULL},
    {"ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL, NULL},
    {"::ffff:10.0.0.0", "::ffff:10.255.255.255", "::ffff:9.255.255.255", "::ffff:11.0.0.0"},
    {"::ffff:127.0.0.0", "::ffff:127.255.255.255", "::ffff:126.255.255.255", "::ffff:128.0.0.0"},
    {"64:ff9b::169.254.0.0", "64:ff9b::169.254.255.255", "64:ff9b::169.253.255.255",
     "64:ff9b::169.255.0.0"},
    {"2002:a00::", "2002:aff:ffff:ffff:ffff:ffff:ffff:ffff",
     "2002:9ff:ffff:ffff:ffff:ffff:ffff:ffff", "2002:b00::"},
    {"2002:7f00::1", "2002:7fff::1", "2002:7eff::1", "2002:8000::1"},
    {"::10.0.0.1", "::255.255.255.255", NULL, NULL},
};

/* As a literal in the URL, and as what a name resolves to. */
static bool is_allowed(const char *address, const struct webhook_rules *rules)
{
    bool allowed = may_connect(address, "example.com", rules);
    char url[100];

    (void)snprintf(url, sizeof url, strchr(address, ':') ? "https://[%s]/" : "https://%s/",
                   address);
    ck_assert_msg(is_fine(url, rules) == allowed, "%s", address);
    return allowed;
}

START_TEST(refuses_addresses_that_are_not_public)
{
    for (size_t i = 0; i < COUNT(not_public); i++) {
        ck_assert_msg(!is_allowed(not_public[i].first, &plain), "%s", not_public[i].first);
        ck_assert_msg(!is_allowed(not_public[i].last, &plain), "%s", not_public[i].last);
        if (not_public[i].before)
            ck_assert_msg(is_allowed(not_public[i].before, &plain), "%s", not_public[i].before);
        if (not_public[i].after)
            ck_assert_msg(is_allowed(not_public[i].after, &plain), "%s", not_public[i].after);
    }
}
END_TEST

START_TEST(allows_this_machine_only_if_told)
{
    static const char *const cases[] = {
        "http://localhost/",         "http://LOCALHOST:4612/hook", "http://localhost./",
        "http://x.localhost/",       "https://localhost/",         "http://127.0.0.1:4612/webhook",
        "http://127.255.0.3/",       "https://127.0.0.1/",         "http://[::1]:80/",
        "http://[0:0:0:0:0:0:0:1]/", "http://[::ffff:127.0.0.1]/", "http://[::ffff:7f00:1]/",
    };
    static const char *const never[] = {
        "http://10.0.0.1/hook",       "http://0.0.0.0/",           "http://[::]/",
        "http://169.254.169.254/",    "http://example.com/",       "http://8.8.8.8/",
        "http://xlocalhost/",         "http://localhost.example/", "https://[2002:7f00:1::]/",
        "https://[64:ff9b::7f00:1]/", "http://.localhost/",
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        ck_assert_msg(!is_fine(cases[i], &plain), "%s", cases[i]);
        ck_assert_msg(is_fine(cases[i], &local), "%s", cases[i]);
    }
    for (size_t i = 0; i < COUNT(never); i++) {
        ck_assert_msg(!is_fine(never[i], &plain), "%s", never[i]);
        ck_assert_msg(!is_fine(never[i], &local), "%s", never[i]);
    }
    ck_assert(!may_connect("127.0.0.1", "localhost", &plain));
    ck_assert(may_connect("127.0.0.1", "localhost", &local));
    ck_assert(may_connect("::1", "x.localhost.", &local));
    ck_assert(may_connect("::ffff:127.0.0.1", "localhost", &local));
    ck_assert(!may_connect("10.0.0.1", "localhost", &local));
}
END_TEST

/* localhost may be used without https, so a resolver must not send it elsewhere. */
START_TEST(keeps_local_names_on_this_machine)
{
    ck_assert(!may_connect("8.8.8.8", "localhost", &local));
    ck_assert(!may_connect("8.8.8.8", "x.localhost", &local));
    ck_assert(!may_connect("8.8.8.8", "localhost", &plain));
    ck_assert(may_connect("8.8.8.8", "localhost.example", &local));
}
END_TEST

START_TEST(connects_to_the_address_in_the_url)
{
    ck_assert(may_connect("8.8.8.8", "8.8.8.8", &plain));
    ck_assert(!may_connect("8.8.4.4", "8.8.8.8", &plain));
    ck_assert(may_connect("2606:4700::1", "[2606:4700::1]", &plain));
    ck_assert(may_connect("2606:4700::1", "2606:4700::1", &plain));
    ck_assert(!may_connect("2606:4700::2", "[2606:4700::1]", &plain));
    ck_assert(!may_connect("8.8.8.8", "", &plain));
    ck_assert(!may_connect("8.8.8.8", "127.1", &plain));
}
END_TEST

START_TEST(refuses_other_kinds_of_addresses)
{
    struct sockaddr other = {.sa_family = AF_UNIX};

    ck_assert(!webhook_address_allowed(&other, "example.com", &local));
}
END_TEST

START_TEST(allows_listed_hosts_and_networks)
{
    static const struct webhook_rules rules = {
        false,
        "10.1.0.0/16\0worker\0*.Internal.example.\0fd00::/8\0"
        "192.168.0.7\0",
        ""};
    static const char *const cases[] = {
        "http://10.1.2.3/",
        "http://worker:80/",
        "http://WORKER./",
        "http://[fd12::1]/",
        "https://192.168.0.7/",
        "http://a.internal.example/",
        "http://a.b.internal.example./",
        "http://[::ffff:10.1.2.3]/",
        "https://[64:ff9b::10.1.2.3]/",
    };
    static const char *const refused[] = {
        "https://10.2.0.1/",        "http://worker2/",           "http://x.worker/",
        "http://internal.example/", "http://xinternal.example/", "https://192.168.0.8/",
        "https://[fc00::1]/",       "http://example.com/",       "http://localhost/",
    };

    for (size_t i = 0; i < COUNT(cases); i++)
        ck_assert_msg(is_fine(cases[i], &rules), "%s", cases[i]);
    for (size_t i = 0; i < COUNT(refused); i++)
        ck_assert_msg(!is_fine(refused[i], &rules), "%s", refused[i]);
    ck_assert(may_connect("172.16.0.1", "worker", &rules));
    ck_assert(may_connect("127.0.0.1", "a.internal.example", &rules));
    ck_assert(!may_connect("172.16.0.1", "example.com", &rules));
    ck_assert(may_connect("10.1.0.1", "example.com", &rules));
    ck_assert(may_connect("::ffff:10.1.0.1", "example.com", &rules));
}
END_TEST

START_TEST(denies_before_it_allows)
{
    static const struct webhook_rules rules = {true, "10.0.0.0/8\0*.example\0",
                                               "10.9.0.0/16\0bad.example\0*.worse.example\0"
                                               "127.0.0.2\0"};
    static const char *const refused[] = {
        "https://10.9.0.1/",        "https://bad.example/",       "https://BAD.example./",
        "https://a.worse.example/", "https://[::ffff:10.9.0.1]/", "https://[2002:a09:1::]/",
        "http://127.0.0.2/",
    };

    for (size_t i = 0; i < COUNT(refused); i++)
        ck_assert_msg(!is_fine(refused[i], &rules), "%s", refused[i]);
    ck_assert(is_fine("http://10.8.0.1/", &rules));
    ck_assert(is_fine("http://worse.example/", &rules));
    ck_assert(is_fine("http://127.0.0.1/", &rules));
    ck_assert(!may_connect("10.9.0.1", "good.example", &rules));
    ck_assert(!may_connect("8.8.8.8", "bad.example", &rules));
    ck_assert(!may_connect("127.0.0.2", "localhost", &rules));
    ck_assert(may_connect("10.8.0.1", "good.example", &rules));
}
END_TEST

START_TEST(does_not_take_ipv4_for_ipv6)
{
    static const struct webhook_rules six = {false, "::/0\0", ""},
                                      four = {false, "0.0.0.0/0\0", ""};

    ck_assert(may_connect("fd00::1", "example.com", &six));
    ck_assert(!may_connect("10.0.0.1", "example.com", &six));
    ck_assert(!may_connect("::ffff:10.0.0.1", "example.com", &six));
    ck_assert(may_connect("10.0.0.1", "example.com", &four));
    ck_assert(!may_connect("fd00::1", "example.com", &four));
}
END_TEST

START_TEST(checks_words_of_the_lists)
{
    static const char *const fine[] = {
        "10.0.0.0/8",
        "0.0.0.0/0",
        "10.0.0.1",
        "10.0.0.1/32",
        "fd00::/8",
        "::/0",
        "::1",
        "::1/128",
        "worker",
        "WORKER.",
        "*.internal.example",
        "a_b.c-d.e",
        "*.a",
        "::ffff:10.0.0.0/104",
        "10.128.0.0/9",
        "fe80::/10",
    };
    static const char *const wrong[] = {
        "",
        "*",
        "*.",
        "*worker",
        "a.*.b",
        "**.a",
        "10.0.0.0/33",
        "10.0.0.0/",
        "10.0.0.0/-1",
        "10.0.0.0/8/8",
        "10.0.0.1/8",
        "10.0.0.0/ 8",
        "fd00::1/8",
        "::/129",
        "10.0.0",
        "127.1",
        "[::1]",
        "a:80",
        "http://a",
        "a/b",
        "worker/8",
        "a..b",
        "*.10.0.0.1",
        "b\xC3\xBC",
        "a b",
        "-a",
        "10.128.0.0/8",
    };

    for (size_t i = 0; i < COUNT(fine); i++)
        ck_assert_msg(!webhook_rule_check(fine[i]), "%s", fine[i]);
    for (size_t i = 0; i < COUNT(wrong); i++) {
        const char *reason = webhook_rule_check(wrong[i]);

        ck_assert_msg(reason && *reason && !strchr(reason, '\n'), "%s", wrong[i]);
    }
}
END_TEST

UNIT_MAIN(webhook_url, accepts_public_https, refuses_malformed_urls, refuses_long_hosts,
          refuses_numeric_spellings, refuses_addresses_that_are_not_public,
          allows_this_machine_only_if_told, keeps_local_names_on_this_machine,
          connects_to_the_address_in_the_url, refuses_other_kinds_of_addresses,
          allows_listed_hosts_and_networks, denies_before_it_allows, does_not_take_ipv4_for_ipv6,
          checks_words_of_the_lists)
