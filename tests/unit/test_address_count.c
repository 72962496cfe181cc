/* Counting connections by address: each client has its own limit, and nothing is left behind. */
#include "gateway/address_count.h"
#include "protocol/network.h"
#include "unit.h"

static struct address address_of(const char *text)
{
    struct address address;

    ck_assert(address_parse(text, strlen(text), &address));
    return address;
}

/* Do the two share one limit? */
static bool are_one(const char *one, const char *other)
{
    struct address a = address_of(one), b = address_of(other);
    struct address_count count;
    struct address_entry *first, *second;
    bool shared;

    address_count_open(&count);
    first = address_count_enter(&count, &a, 1);
    ck_assert_ptr_nonnull(first);
    second = address_count_enter(&count, &b, 1);
    shared = second == NULL;
    address_count_leave(&count, first);
    if (second)
        address_count_leave(&count, second);
    for (int i = 0; i < ADDRESS_BUCKETS; i++)
        ck_assert(SLIST_EMPTY(&count.bucket[i]));
    address_count_close(&count);
    return shared;
}

START_TEST(an_address_is_one_client)
{
    ck_assert(are_one("192.0.2.1", "192.0.2.1"));
    ck_assert(!are_one("192.0.2.1", "192.0.2.2"));
    ck_assert(are_one("::ffff:192.0.2.1", "192.0.2.1"));
    ck_assert(are_one("2001:db8::1", "2001:db8::2"));
    ck_assert(!are_one("2001:db8::1", "2001:db8:0:1::1"));
    ck_assert(!are_one("::1", "192.0.2.1"));
}
END_TEST

START_TEST(a_client_has_as_many_as_the_limit_says)
{
    struct address a = address_of("192.0.2.1");
    struct address_entry *entry = NULL;
    struct address_count count;

    address_count_open(&count);
    for (int i = 0; i < 5; i++)
        ck_assert_ptr_nonnull(entry = address_count_enter(&count, &a, 5));
    ck_assert_ptr_null(address_count_enter(&count, &a, 5));
    address_count_leave(&count, entry);
    ck_assert_ptr_nonnull(address_count_enter(&count, &a, 5));
    ck_assert_ptr_null(address_count_enter(&count, &a, 5));
    address_count_close(&count);
}
END_TEST

START_TEST(many_clients_are_counted_apart)
{
    enum { CLIENTS = 5000 };
    static struct address_entry *entries[CLIENTS];
    struct address_count count;

    address_count_open(&count);
    for (int turn = 0; turn < 2; turn++) {
        for (uint32_t i = 0; i < CLIENTS; i++) {
            struct address a = address_from_v4((const unsigned char *)&i);

            entries[i] = address_count_enter(&count, &a, 1);
            ck_assert_ptr_nonnull(entries[i]);
            ck_assert_ptr_null(address_count_enter(&count, &a, 1));
        }
        for (int i = 0; i < CLIENTS; i++)
            address_count_leave(&count, entries[i]);
    }
    address_count_close(&count);
}
END_TEST

UNIT_MAIN(address_count, an_address_is_one_client, a_client_has_as_many_as_the_limit_says,
          many_clients_are_counted_apart)
