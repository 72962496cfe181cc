/* deliver_key.c: keys are made, published before use, and removed when no receiver needs them. */
#include "deliver/deliver_key.h"

#include <string.h>

#include "deliver/deliver_sign.h"
#include "store_unit.h"

enum { NOW = 1000000000 };

static struct fixture f;
static struct deliver_keys keys;

static struct webhook_key key_of(int64_t from, int64_t until)
{
    return (struct webhook_key){.signs_from = from, .signs_until = until};
}

START_TEST(plans_the_first_key)
{
    struct webhook_key later = key_of(NOW + 1, 0);
    size_t which;

    ck_assert_int_eq(deliver_keys_plan(NULL, 0, NOW, &which), KEY_FIRST);
    ck_assert_int_eq(deliver_keys_plan(&later, 1, NOW, &which), KEY_FIRST);
    ck_assert_int_eq(deliver_keys_plan(&later, 1, NOW + 1, &which), KEY_KEEP);
    ck_assert_uint_eq(which, 0);
}
END_TEST

START_TEST(plans_a_successor_once)
{
    struct webhook_key some[] = {key_of(NOW - 9, NOW), key_of(NOW + KEY_PUBLISHED_MS, 0)};
    size_t which;

    ck_assert_int_eq(deliver_keys_plan(some, 1, NOW, &which), KEY_SUCCEED);
    ck_assert_uint_eq(which, 0);
    ck_assert_int_eq(deliver_keys_plan(some, 2, NOW, &which), KEY_KEEP);
    ck_assert_uint_eq(which, 0); /* which signs until the other does */
    ck_assert_int_eq(deliver_keys_plan(some, 2, NOW + KEY_PUBLISHED_MS, &which), KEY_KEEP);
    ck_assert_uint_eq(which, 1);
}
END_TEST

START_TEST(plans_the_end_of_a_key_after_its_last_signatures)
{
    struct webhook_key some[] = {key_of(NOW - 9, NOW), key_of(NOW, 0)};
    size_t which;

    ck_assert_int_eq(deliver_keys_plan(some, 2, NOW + KEY_KEPT_MS, &which), KEY_KEEP);
    ck_assert_int_eq(deliver_keys_plan(some, 2, NOW + KEY_KEPT_MS + 1, &which), KEY_REMOVE);
    ck_assert_uint_eq(which, 0);
    /* the plan was too early: it has signed until the other began */
    some[0].signs_until = NOW - 8;
    ck_assert_int_eq(deliver_keys_plan(some, 2, NOW + KEY_KEPT_MS, &which), KEY_KEEP);
    some[0].signs_until = 0; /* no end is planned */
    ck_assert_int_eq(deliver_keys_plan(some, 2, NOW + 2 * KEY_KEPT_MS, &which), KEY_KEEP);
}
END_TEST

START_TEST(never_makes_more_keys_than_are_read)
{
    struct webhook_key many[WEBHOOK_KEYS_MOST];
    size_t which;

    for (size_t i = 0; i < WEBHOOK_KEYS_MOST; i++)
        many[i] = key_of(NOW + 1, 0);
    ck_assert_int_eq(deliver_keys_plan(many, WEBHOOK_KEYS_MOST, NOW, &which), KEY_KEEP);
    for (size_t i = 0; i < WEBHOOK_KEYS_MOST; i++)
        many[i] = key_of(NOW - 1, NOW);
    ck_assert_int_eq(deliver_keys_plan(many, WEBHOOK_KEYS_MOST, NOW, &which), KEY_KEEP);
}
END_TEST

static size_t mend_at(int64_t now, struct webhook_key key[static WEBHOOK_KEYS_MOST])
{
    size_t n;

    ck_assert_int_eq(deliver_keys_mend(&keys, f.conn, now), DS_OK);
    ck_assert_int_eq(store_webhook_keys(f.conn, key, &n), DS_OK);
    ck_assert_ptr_nonnull(keys.signer);
    return n;
}

START_TEST(rotates_a_key_in_the_database)
{
    struct webhook_key key[WEBHOOK_KEYS_MOST];
    char first[WEBHOOK_KID_SIZE];

    open_fixture(&f);
    ck_assert_uint_eq(mend_at(NOW, key), 1);
    ck_assert_int_eq(key[0].signs_from, NOW);
    ck_assert_int_eq(key[0].signs_until, 0);
    ck_assert_str_eq(signer_kid(keys.signer), key[0].kid);
    ck_assert_uint_eq(mend_at(NOW + 1000, key), 1);
    (void)strcpy(first, key[0].kid);

    key[0].signs_until = NOW + 2000;
    ck_assert_int_eq(store_webhook_key_put(f.conn, &key[0]), DS_OK);
    ck_assert_uint_eq(mend_at(NOW + 2000, key), 2);
    ck_assert_str_eq(key[0].kid, first);
    ck_assert_int_eq(key[0].signs_until, NOW + 2000 + KEY_PUBLISHED_MS);
    ck_assert_int_eq(key[1].signs_from, NOW + 2000 + KEY_PUBLISHED_MS);
    ck_assert_str_eq(signer_kid(keys.signer), first);

    ck_assert_uint_eq(mend_at(NOW + 2000 + KEY_PUBLISHED_MS, key), 2);
    ck_assert_str_eq(signer_kid(keys.signer), key[1].kid);
    ck_assert_uint_eq(mend_at(NOW + 2001 + KEY_PUBLISHED_MS + KEY_KEPT_MS, key), 1);
    ck_assert_str_eq(signer_kid(keys.signer), key[0].kid);
    ck_assert_str_ne(key[0].kid, first);
    deliver_keys_close(&keys);
    close_fixture(&f);
}
END_TEST

UNIT_MAIN(deliver_key, plans_the_first_key, plans_a_successor_once,
          plans_the_end_of_a_key_after_its_last_signatures, never_makes_more_keys_than_are_read,
          rotates_a_key_in_the_database)
