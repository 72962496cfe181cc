/* Subscriptions of every kind, and a key, in a database that fill() has filled. */
#ifndef SUBSCRIPTION_FILL_H
#define SUBSCRIPTION_FILL_H

#include "store/store_subscription.h"
#include "store_fill.h"

#define WAKES "/v1/stream/wakes"

static inline void add_link(struct fixture *f, const struct subscription *row,
                            struct subscription_link link)
{
    struct stream stream;

    if (link.is_glob || link.acked != 0) {
        ck_assert_int_eq(store_find(f->conn, f->arena, link.path, 0, &stream), DS_OK);
        link.stream_id = stream.id;
        if (link.acked > stream.tail)
            link.acked = stream.tail;
        link.pending = stream.tail > (link.acked > 0 ? link.acked : 0);
    }
    ck_assert_int_eq(store_link_put(f->conn, row->id, &link), DS_OK);
}

/* A pull-wake that a worker holds, with streams that are pending, read, and missing. */
static inline void add_pool(struct fixture *f, int64_t now)
{
    struct subscription pool = {.name = "pool",
                                .pattern = "e/*",
                                .wake_stream = WAKES,
                                .lease_ttl_ms = 30000,
                                .config = "{\"type\":\"pull-wake\"}",
                                .base_url = "http://h",
                                .created_at = 1700000000000};

    ck_assert_int_eq(store_subscription_insert(f->conn, &pool), DS_OK);
    add_link(f, &pool, (struct subscription_link){"/v1/stream/e/a", .is_glob = true, .acked = 7});
    add_link(f, &pool,
             (struct subscription_link){"/v1/stream/e/b", .is_glob = true, .acked = INT64_MAX});
    add_link(f, &pool, (struct subscription_link){"/v1/stream/e/none", .is_explicit = true});
    pool.generation = 3;
    pool.wake_id = "w_1";
    pool.token = "secret";
    pool.woken_at = now;
    pool.holder = "worker";
    pool.lease_until = now + 30000;
    ck_assert_int_eq(store_subscription_update(f->conn, &pool), DS_OK);
}

/* A webhook whose receiver fails. */
static inline void add_hook(struct fixture *f, int64_t now)
{
    struct subscription hook = {.name = "h\303\266ok /1",
                                .is_webhook = true,
                                .url = "http://127.0.0.1:9/hook",
                                .lease_ttl_ms = 1000,
                                .description = "of \"the\" test",
                                .config = "{\"type\":\"webhook\"}",
                                .base_url = "",
                                .created_at = 1700000000001};

    ck_assert_int_eq(store_subscription_insert(f->conn, &hook), DS_OK);
    add_link(f, &hook, (struct subscription_link){"/text", .is_explicit = true, .acked = -1});
    hook.generation = 1;
    hook.wake_id = "w_2";
    hook.token = "secret";
    hook.woken_at = now;
    hook.lease_until = now + 1000;
    hook.attempts = 2;
    hook.next_attempt_at = now + 500;
    hook.failed_at = now;
    hook.failure = "it answered 500";
    ck_assert_int_eq(store_subscription_update(f->conn, &hook), DS_OK);
}

/* One that is idle, and one that was deleted. */
static inline void add_quiet(struct fixture *f)
{
    struct subscription quiet = {.name = "quiet",
                                 .pattern = "e/b",
                                 .wake_stream = WAKES,
                                 .lease_ttl_ms = 30000,
                                 .config = "{}",
                                 .base_url = "http://h",
                                 .created_at = 1700000000002},
                        gone = quiet;

    gone.name = "gone";
    ck_assert_int_eq(store_subscription_insert(f->conn, &quiet), DS_OK);
    add_link(f, &quiet,
             (struct subscription_link){"/v1/stream/e/b", .is_glob = true, .is_explicit = true,
                                        .acked = INT64_MAX});
    ck_assert_int_eq(store_subscription_insert(f->conn, &gone), DS_OK);
    gone.generation = 9;
    ck_assert_int_eq(store_subscription_update(f->conn, &gone), DS_OK);
    ck_assert_int_eq(store_subscription_delete(f->conn, gone.id), DS_OK);
}

static inline void fill_subscriptions(struct fixture *f)
{
    const struct webhook_key key = {.kid = "ds_test",
                                    .x = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ",
                                    .seed = {1, 0, 255},
                                    .created_at = 1700000000000,
                                    .signs_from = 1700000300000};
    int64_t now = clock_wall_ms();

    (void)grow(f, (struct stream){.path = "/v1/stream/e/a"}, "application/json", 3, 0);
    (void)grow(f, (struct stream){.path = "/v1/stream/e/b"}, "application/json", 1, 0);
    (void)grow(f, (struct stream){.path = WAKES}, "application/json", 0, 0);
    ck_assert_int_eq(store_begin_write(f->conn), DS_OK);
    ck_assert_int_eq(store_make_subscriptions(f->conn), DS_OK);
    add_pool(f, now);
    add_hook(f, now);
    add_quiet(f);
    ck_assert_int_eq(store_commit(f->conn), DS_OK);
    ck_assert_int_eq(store_webhook_key_put(f->conn, &key), DS_OK);
}

#endif
