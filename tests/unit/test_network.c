/*
 * Tests of networks (protocol/network.h).
 */
#include "protocol/network.h"

#include <string.h>

#include "unit.h"

START_TEST(a_list_has_the_addresses_of_its_networks)
{
    static const char list[] = "10.1.0.0/16\0"
                               "192.0.2.7\0"
                               "no-network\0"
                               "fd00:1::/32\0"
                               "::/3\0";
    static const struct {
        const char *address;
        bool has;
    } cases[] = {
        {"10.1.0.0", true},      {"10.1.255.255", true},    {"10.2.0.0", false},
        {"10.0.255.255", false}, {"192.0.2.7", true},       {"192.0.2.6", false},
        {"fd00:1::5", true},     {"fd00:2::5", false},      {"::1", true},
        {"127.0.0.1", false},    {"::ffff:10.1.2.3", true},
    };
    struct address address;

    for (size_t i = 0; i < COUNT(cases); i++) {
        ck_assert(address_parse(cases[i].address, strlen(cases[i].address), &address));
        ck_assert_msg(network_list_has(list, &address) == cases[i].has, "%s", cases[i].address);
        ck_assert(!network_list_has("", &address));
        ck_assert(network_list_has("0.0.0.0/0\0::/0\0", &address));
    }
}
END_TEST

START_TEST(what_is_not_an_address_is_refused)
{
    static const char *const cases[] = {"",           "1",         "10.0.0",    "10.0.0.256",
                                        "fe80::1%lo", "[::1]",     "localhost", "10.0.0.1/8",
                                        " ::1",       "10.0.0.0x1"};
    struct address address;

    for (size_t i = 0; i < COUNT(cases); i++)
        ck_assert_msg(!address_parse(cases[i], strlen(cases[i]), &address), "%s", cases[i]);
}
END_TEST

START_TEST(a_network_has_as_many_bits_as_its_family)
{
    static const char *const wrong[] = {"10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1",
                                        "::/129",      "/8",        "10.0.0.0/8/8"};
    struct network network;

    for (size_t i = 0; i < COUNT(wrong); i++)
        ck_assert_msg(!network_parse(wrong[i], &network), "%s", wrong[i]);
    ck_assert(network_parse("10.0.0.0/8", &network) && network_is_whole(&network));
    ck_assert(network_parse("10.0.0.1/8", &network) && !network_is_whole(&network));
    ck_assert(network_parse("fd00::/8", &network) && network_is_whole(&network));
    ck_assert(network_parse("fd00::1/127", &network) && !network_is_whole(&network));
    ck_assert(network_parse("::1", &network) && network_is_whole(&network));
}
END_TEST

UNIT_MAIN(network, a_list_has_the_addresses_of_its_networks, what_is_not_an_address_is_refused,
          a_network_has_as_many_bits_as_its_family)
