/* Creating, describing, listing and deleting subscriptions, and what is refused. */
#include "lib_subscription_unit.h"

START_TEST(a_subscription_is_described_as_it_was_created)
{
    const char *const streams[] = {ROOT "late", ROOT "early", ROOT "%65arly", NULL};
    const struct ds_subscription_options options = {
        .pattern = "/jobs//*/",
        .streams = streams,
        .wake_stream = ROOT "%77akes",
        .lease_ttl_ms = 1000,
        .description = "für alle",
    };
    struct ds_store *store = lib_begin();
    struct ds_subscription *made = NULL, *got;
    bool created = false;

    lib_create(store, ROOT "early", "text/plain");
    lib_append(store, ROOT "early", "history");
    lib_create(store, ROOT "jobs/a", "text/plain");
    ck_assert_int_eq(ds_subscription_put(store, "pool é/1", &options, &created, &made, NULL),
                     DS_OK);
    ck_assert(created);
    got = lib_describe(store, "pool é/1");
    for (int i = 0; i < 2; i++) {
        const struct ds_subscription *pool = i ? got : made;

        ck_assert_str_eq(pool->name, "pool é/1");
        ck_assert_int_eq(pool->type, DS_PULL_WAKE);
        ck_assert_str_eq(pool->pattern, "jobs/*");
        ck_assert_str_eq(pool->wake_stream, WAKES);
        ck_assert_ptr_null(pool->url);
        ck_assert_int_eq(pool->lease_ttl_ms, 1000);
        ck_assert_str_eq(pool->description, "für alle");
        ck_assert_int_gt(pool->created_at, 0);
        ck_assert_int_eq(pool->generation, 0);
        ck_assert_ptr_null(pool->wake_id);
        ck_assert_ptr_null(pool->holder);
        ck_assert_ptr_null(pool->failure);
        ck_assert(!pool->pending && pool->lease_until == 0 && pool->failed_at == 0);
        ck_assert_int_eq(pool->link_count, 3);
        ck_assert_uint_eq(pool->links, 3);
        ck_assert_str_eq(pool->link[0].path, ROOT "early");
        ck_assert(pool->link[0].is_explicit && !pool->link[0].is_glob && !pool->link[0].pending);
        ck_assert_str_eq(pool->link[0].acked_offset, OFFSET("7"));
        ck_assert_str_eq(pool->link[0].tail_offset, OFFSET("7"));
        ck_assert_str_eq(pool->link[1].path, ROOT "jobs/a");
        ck_assert(pool->link[1].is_glob && !pool->link[1].is_explicit);
        ck_assert_str_eq(pool->link[2].path, ROOT "late");
        ck_assert_str_eq(pool->link[2].tail_offset, "");
    }
    ds_subscription_free(made);
    ds_subscription_free(got);
    ds_subscription_free(NULL);
    lib_end(store);
}
END_TEST

START_TEST(the_same_again_is_done_and_another_configuration_a_conflict)
{
    struct ds_subscription_options other = lib_jobs;
    struct ds_store *store = lib_begin_pool();
    struct ds_subscription *pool = NULL;
    const char *reason = NULL;
    bool created = true;

    ck_assert_int_eq(ds_subscription_put(store, "pool", &lib_jobs, &created, &pool, NULL), DS_OK);
    ck_assert(!created);
    ck_assert_int_eq(pool->link_count, 1);
    ds_subscription_free(pool);
    other.lease_ttl_ms = 30000; /* the default */
    ck_assert_int_eq(ds_subscription_put(store, "pool", &other, &created, NULL, NULL), DS_OK);
    ck_assert(!created);
    other.lease_ttl_ms = 1000;
    created = true;
    ck_assert_int_eq(ds_subscription_put(store, "pool", &other, &created, NULL, &reason),
                     DS_CONFLICT);
    ck_assert(created); /* untouched */
    ck_assert_ptr_nonnull(reason);
    lib_end(store);
}
END_TEST

START_TEST(options_that_break_a_rule_are_refused_with_a_reason)
{
    static char text[2100], segments[200];
    const char *many[1002];
    const char *const outside[] = {"/other", NULL}, *const root[] = {ROOT, NULL},
                      *const reserved[] = {ROOT "%5F_ds/x", NULL},
                      *const dots[] = {ROOT "../x", NULL}, *const wakes[] = {WAKES, NULL},
                      *const none[] = {NULL};
    const struct ds_subscription_options wrong[] = {
        {.wake_stream = WAKES},
        {.wake_stream = WAKES, .streams = none},
        {.wake_stream = WAKES, .pattern = ""},
        {.wake_stream = WAKES, .pattern = "//"},
        {.wake_stream = WAKES, .pattern = "a%zz"},
        {.wake_stream = WAKES, .pattern = text},
        {.wake_stream = WAKES, .pattern = segments},
        {.wake_stream = WAKES, .streams = outside},
        {.wake_stream = WAKES, .streams = root},
        {.wake_stream = WAKES, .streams = reserved},
        {.wake_stream = WAKES, .streams = dots},
        {.wake_stream = WAKES, .streams = wakes},
        {.wake_stream = WAKES, .streams = many},
        {.pattern = "a"},
        {.pattern = "a", .wake_stream = "/other"},
        {.pattern = "a", .wake_stream = ROOT "__ds/x"},
        {.pattern = "a", .wake_stream = WAKES, .url = "https://example.org/"},
        {.pattern = "a", .wake_stream = WAKES, .base_url = "streams.example"},
        {.pattern = "a", .wake_stream = WAKES, .lease_ttl_ms = 999},
        {.pattern = "a", .wake_stream = WAKES, .lease_ttl_ms = 600001},
        {.pattern = "a", .wake_stream = WAKES, .lease_ttl_ms = -1},
        {.pattern = "a", .wake_stream = WAKES, .description = text},
        {.pattern = "a", .wake_stream = WAKES, .description = "\xff"},
        {.pattern = "a", .wake_stream = WAKES, .type = (enum ds_subscription_type)2},
    };
    const char *const names[] = {NULL, "", "a\nb", "\xff", text};
    struct ds_store *store = lib_begin();
    struct ds_subscription *none_yet = NULL;

    memset(text, 'a', sizeof text - 1);
    for (int i = 0; i < 65; i++)
        (void)strcat(segments, "a/");
    for (size_t i = 0; i < COUNT(many); i++)
        many[i] = i + 1 < COUNT(many) ? ROOT "a" : NULL;
    for (size_t i = 0; i < COUNT(wrong) + COUNT(names) + 1; i++) {
        bool named = i >= COUNT(wrong) && i < COUNT(wrong) + COUNT(names);
        const char *reason = NULL;
        enum ds_status status = ds_subscription_put(store, named ? names[i - COUNT(wrong)] : "x",
                                                    i < COUNT(wrong) ? &wrong[i]
                                                    : named          ? &lib_jobs
                                                                     : NULL,
                                                    NULL, &none_yet, &reason);

        ck_assert_msg(status == DS_INVALID && reason, "row %zu: %d", i, status);
        ck_assert_ptr_null(none_yet);
    }
    ck_assert_int_eq(ds_subscription_get(store, "x", &none_yet), DS_NOT_FOUND);
    ck_assert_int_eq(ds_subscription_get(store, "", &none_yet), DS_INVALID);
    lib_end(store);
}
END_TEST

START_TEST(a_webhook_needs_a_url_that_may_be_public)
{
    const char *const refused[] = {
        "http://example.org/",     "https://10.0.0.1/",  "https://localhost/", "https://[::1]/",
        "https://2130706433/hook", "https://a@b.org/",   "ftp://example.org/", "",
        "http://127.0.0.1:8/hook", "https://127.1/hook",
    };
    struct ds_subscription_options options = {.type = DS_WEBHOOK,
                                              .pattern = "jobs/*",
                                              .url = "https://example.org/hook",
                                              .base_url = "https://streams.example/x//"};
    struct ds_store *store = lib_begin();
    struct ds_claim *claimed = NULL;
    struct ds_subscription *hook;

    lib_put(store, "hook", &options);
    hook = lib_describe(store, "hook");
    ck_assert_int_eq(hook->type, DS_WEBHOOK);
    ck_assert_str_eq(hook->url, "https://example.org/hook");
    ck_assert_ptr_null(hook->wake_stream);
    ds_subscription_free(hook);
    for (size_t i = 0; i < COUNT(refused); i++) {
        const char *reason = NULL;

        options.url = refused[i];
        ck_assert_msg(ds_subscription_put(store, "new", &options, NULL, NULL, &reason) ==
                              DS_INVALID &&
                          reason,
                      "%s", refused[i]);
    }
    options.url = NULL;
    ck_assert_int_eq(ds_subscription_put(store, "new", &options, NULL, NULL, NULL), DS_INVALID);
    options.url = "https://example.org/hook";
    options.wake_stream = WAKES;
    ck_assert_int_eq(ds_subscription_put(store, "new", &options, NULL, NULL, NULL), DS_INVALID);
    options.wake_stream = NULL;
    options.base_url = NULL;
    ck_assert_int_eq(ds_subscription_put(store, "new", &options, NULL, NULL, NULL), DS_INVALID);

    /* its wakes are the business of a server */
    lib_create(store, ROOT "jobs/a", "text/plain");
    lib_append(store, ROOT "jobs/a", "one");
    hook = lib_describe(store, "hook");
    ck_assert(hook->pending && hook->wake_id && hook->generation == 1);
    ck_assert_int_gt(hook->next_attempt_at, 0);
    ck_assert_int_gt(hook->lease_until, 0);
    ds_subscription_free(hook);
    ck_assert_int_eq(ds_subscription_claim(store, "hook", "w", &claimed, NULL), DS_INVALID);
    ck_assert_int_eq(ds_subscription_nudge(store, "hook"), DS_OK);
    lib_end(store);
}
END_TEST

/* --- lists --- */

struct seen {
    struct ds_store *store;
    int count, most;
    char names[4][8];
};

static bool see(void *arg, const struct ds_subscription *subscription)
{
    struct seen *seen = arg;

    ck_assert_ptr_null(subscription->link);
    ck_assert_int_eq(subscription->link_count, 2);
    ck_assert(subscription->pending);
    (void)strcpy(seen->names[seen->count++], subscription->name);
    if (seen->store) /* no transaction is open */
        ck_assert_int_eq(ds_subscription_delete(seen->store, subscription->name), DS_OK);
    return seen->count < seen->most;
}

START_TEST(subscriptions_are_listed_by_name_and_counted)
{
    struct ds_store *store = lib_begin();
    struct seen seen = {.most = 4};

    ck_assert_int_eq(ds_subscription_list(store, see, &seen), DS_OK);
    ck_assert_int_eq(seen.count, 0);
    lib_put(store, "b", &lib_jobs);
    lib_put(store, "B", &lib_jobs);
    lib_put(store, "a", &lib_jobs);
    lib_create(store, ROOT "jobs/1", "text/plain");
    lib_create(store, ROOT "jobs/2", "text/plain");
    lib_append(store, ROOT "jobs/2", "x");
    ck_assert_int_eq(ds_subscription_list(store, see, &seen), DS_OK);
    ck_assert_int_eq(seen.count, 3);
    ck_assert_str_eq(seen.names[0], "B");
    ck_assert_str_eq(seen.names[1], "a");
    ck_assert_str_eq(seen.names[2], "b");
    seen = (struct seen){.most = 2, .store = store};
    ck_assert_int_eq(ds_subscription_list(store, see, &seen), DS_OK);
    ck_assert_int_eq(seen.count, 2);
    seen = (struct seen){.most = 4};
    ck_assert_int_eq(ds_subscription_list(store, see, &seen), DS_OK);
    ck_assert_int_eq(seen.count, 1);
    ck_assert_str_eq(seen.names[0], "b");
    lib_end(store);
}
END_TEST

START_TEST(what_is_deleted_and_created_again_goes_on_counting)
{
    struct ds_store *store = lib_begin_pool();
    struct ds_claim *old, *claimed;
    struct ds_subscription *pool = NULL;

    lib_append(store, ROOT "jobs/a", "one");
    old = lib_claim(store, "pool");
    ck_assert_int_eq(old->generation, 1);
    ck_assert_int_eq(ds_subscription_delete(store, "pool"), DS_OK);
    ck_assert_int_eq(ds_subscription_delete(store, "pool"), DS_NOT_FOUND);
    ck_assert_int_eq(ds_subscription_get(store, "pool", &pool), DS_NOT_FOUND);
    ck_assert_int_eq(lib_finish(store, old, NULL), DS_NOT_FOUND);
    lib_put(store, "pool", &lib_jobs);
    lib_append(store, ROOT "jobs/a", "two");
    claimed = lib_claim(store, "pool");
    ck_assert_int_eq(claimed->generation, 2);
    ck_assert_int_eq(lib_finish(store, old, NULL), DS_FENCED);
    ds_claim_free(old);
    ds_claim_free(claimed);
    lib_end(store);
}
END_TEST

/* --- explicit streams --- */

START_TEST(streams_are_linked_and_unlinked_by_their_paths)
{
    const char *const more[] = {ROOT "x", ROOT "jobs/a", NULL}, *const none[] = {NULL},
                      *const wrong[] = {ROOT "y", "/other", NULL}, *const wakes[] = {WAKES, NULL};
    struct ds_store *store = lib_begin_pool();
    struct ds_subscription *pool;
    const char *reason = NULL;

    ck_assert_int_eq(ds_subscription_add_streams(store, "pool", more, &reason), DS_OK);
    ck_assert_int_eq(ds_subscription_add_streams(store, "pool", more, NULL), DS_OK);
    ck_assert_int_eq(ds_subscription_add_streams(store, "pool", none, NULL), DS_OK);
    ck_assert_int_eq(ds_subscription_add_streams(store, "pool", wrong, &reason), DS_INVALID);
    ck_assert_ptr_nonnull(reason);
    ck_assert_int_eq(ds_subscription_add_streams(store, "pool", wakes, &reason), DS_INVALID);
    ck_assert_int_eq(ds_subscription_add_streams(store, "none", more, &reason), DS_NOT_FOUND);
    pool = lib_describe(store, "pool");
    ck_assert_uint_eq(pool->links, 2);
    ck_assert(pool->link[0].is_explicit && pool->link[0].is_glob); /* jobs/a */
    ck_assert(pool->link[1].is_explicit && !pool->link[1].is_glob);
    ds_subscription_free(pool);

    ck_assert_int_eq(ds_subscription_remove_stream(store, "pool", ROOT "jobs/a"), DS_OK);
    ck_assert_int_eq(ds_subscription_remove_stream(store, "pool", ROOT "%78"), DS_OK);
    ck_assert_int_eq(ds_subscription_remove_stream(store, "pool", ROOT "x"), DS_OK);
    ck_assert_int_eq(ds_subscription_remove_stream(store, "pool", NULL), DS_INVALID);
    ck_assert_int_eq(ds_subscription_remove_stream(store, "none", ROOT "x"), DS_NOT_FOUND);
    pool = lib_describe(store, "pool");
    ck_assert_uint_eq(pool->links, 1);
    ck_assert(!pool->link[0].is_explicit && pool->link[0].is_glob);
    ds_subscription_free(pool);
    lib_end(store);
}
END_TEST

UNIT_MAIN(lib_subscription, a_subscription_is_described_as_it_was_created,
          the_same_again_is_done_and_another_configuration_a_conflict,
          options_that_break_a_rule_are_refused_with_a_reason,
          a_webhook_needs_a_url_that_may_be_public, subscriptions_are_listed_by_name_and_counted,
          what_is_deleted_and_created_again_goes_on_counting,
          streams_are_linked_and_unlinked_by_their_paths)
