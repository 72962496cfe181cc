/* A store with the subscription "pool", and what a worker of it does. */
#ifndef LIB_SUBSCRIPTION_UNIT_H
#define LIB_SUBSCRIPTION_UNIT_H

#include "lib_unit.h"

#define ROOT      "/v1/stream/"
#define WAKES     ROOT "wakes"
#define OFFSET(n) ("0000000000000000_000000000000000" n)

static const struct ds_subscription_options lib_jobs = {.pattern = "jobs/*", .wake_stream = WAKES};

static inline void lib_put(struct ds_store *store, const char *name,
                           const struct ds_subscription_options *options)
{
    const char *reason = "";
    enum ds_status status = ds_subscription_put(store, name, options, NULL, NULL, &reason);

    ck_assert_msg(status == DS_OK, "%s: %s", name, reason);
    ck_assert_ptr_null(reason);
}

/* A store with the subscription "pool", whose stream jobs/a has no data yet. */
static inline struct ds_store *lib_begin_pool(void)
{
    struct ds_store *store = lib_begin();

    lib_create(store, WAKES, "application/json");
    lib_put(store, "pool", &lib_jobs);
    lib_create(store, ROOT "jobs/a", "text/plain");
    return store;
}

static inline struct ds_subscription *lib_describe(struct ds_store *store, const char *name)
{
    struct ds_subscription *subscription = NULL;

    ck_assert_int_eq(ds_subscription_get(store, name, &subscription), DS_OK);
    ck_assert_str_eq(subscription->name, name);
    return subscription;
}

static inline struct ds_claim *lib_claim(struct ds_store *store, const char *name)
{
    struct ds_claim *claimed = NULL;
    const char *reason = "";

    ck_assert_int_eq(ds_subscription_claim(store, name, "w", &claimed, &reason), DS_OK);
    ck_assert_ptr_null(reason);
    return claimed;
}

static inline enum ds_status lib_ack(struct ds_store *store, const struct ds_claim *claimed,
                                     const char *path, const char *offset)
{
    const struct ds_ack one = {path, offset};

    return ds_subscription_ack(store, "pool", claimed, &one, 1, false, NULL, NULL);
}

static inline enum ds_status lib_finish(struct ds_store *store, const struct ds_claim *claimed,
                                        bool *next)
{
    return ds_subscription_ack(store, "pool", claimed, NULL, 0, true, next, NULL);
}

static inline void lib_expect_cursor(struct ds_store *store, const char *path, const char *acked,
                                     bool pending)
{
    struct ds_subscription *pool = lib_describe(store, "pool");
    bool found = false;

    for (size_t i = 0; i < pool->links; i++) {
        if (strcmp(pool->link[i].path, path) != 0)
            continue;
        ck_assert_str_eq(pool->link[i].acked_offset, acked);
        ck_assert_int_eq(pool->link[i].pending, pending);
        found = true;
    }
    ck_assert_msg(found, "%s is not linked", path);
    ds_subscription_free(pool);
}

/* The number of messages in the wake stream. */
static inline int lib_events(struct ds_store *store)
{
    struct ds_stream *wakes = NULL;
    int count;

    ck_assert_int_eq(ds_get(store, WAKES, &wakes), DS_OK);
    count = (int)wakes->messages;
    ds_stream_free(wakes);
    return count;
}

#endif
