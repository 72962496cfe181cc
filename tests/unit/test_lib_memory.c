/*
 * Memory and other resources that run out. For each call of the library, the first allocation (or
 * write, mapping, descriptor, thread) and all after it fail, then the second and all after it, and
 * so on until the call succeeds.
 */
#include "failing.h"
#include "lib_unit.h"

static struct ds_store *store;

static bool count(void *arg, const struct ds_stream *stream)
{
    (void)stream;
    ++*(int *)arg;
    return true;
}

static bool count_fault(void *arg, const char *path, const struct ds_fault *fault)
{
    (void)path;
    (void)fault;
    ++*(int *)arg;
    return true;
}

static bool count_subscription(void *arg, const struct ds_subscription *subscription)
{
    *(int64_t *)arg += subscription->link_count;
    return true;
}

/* --- calls, each of which frees its results --- */

static enum ds_status call_open(void)
{
    const struct ds_store_options options = {.registry = "/r"};
    struct ds_store *other = NULL;
    enum ds_status status = ds_store_open(":memory:", &options, &other);

    (void)failing_disarm();
    ck_assert((status == DS_OK) == (other != NULL));
    ds_store_close(other);
    return status;
}

static enum ds_status call_create(void)
{
    const struct ds_create_options options = {
        .content_type = "application/json", .data = "[1,2]", .len = 5};
    struct ds_stream *stream = NULL;
    enum ds_status status = ds_create(store, "/new", &options, NULL, &stream);

    (void)failing_disarm(); /* before Check allocates and writes */
    ds_stream_free(stream);
    return status;
}

static enum ds_status call_fork(void)
{
    return ds_fork(store, "/a", "/fork", NULL, NULL);
}

static enum ds_status call_append(void)
{
    const struct ds_append_options options = {.producer_id = "p", .close = false};
    struct ds_append_result result;
    enum ds_status status = ds_append(store, "/a", "x", 1, &options, &result);

    (void)failing_disarm(); /* before Check allocates and writes */
    ck_assert((status == DS_OK) == (result.reason == NULL));
    return status;
}

static enum ds_status call_get(void)
{
    struct ds_stream *stream = NULL;
    enum ds_status status = ds_get(store, "/fork", &stream);

    (void)failing_disarm(); /* before Check allocates and writes */
    ck_assert((status == DS_OK) == (stream != NULL));
    ds_stream_free(stream);
    return status;
}

static enum ds_status call_read(void)
{
    struct ds_read_result read = {.data = NULL};
    enum ds_status status = ds_read(store, "/fork", NULL, &read);

    (void)failing_disarm(); /* before Check allocates and writes */
    ck_assert((status == DS_OK) == (read.data != NULL));
    ds_read_free(&read);
    return status;
}

static enum ds_status call_wait(void)
{
    return ds_wait(store, "/a", DS_START, 5);
}

static enum ds_status call_cancel(void)
{
    struct ds_cancel *cancel = NULL;
    enum ds_status status = ds_cancel_new(store, &cancel);

    (void)failing_disarm();
    ck_assert((status == DS_OK) == (cancel != NULL));
    ds_cancel_free(cancel);
    return status;
}

static bool count_message(void *arg, const struct ds_message *message)
{
    (void)message;
    ++*(int *)arg;
    return true;
}

static enum ds_status call_messages(void)
{
    int messages = 0;
    enum ds_status status = ds_read_messages(store, "/a", NULL, count_message, &messages, NULL);

    (void)failing_disarm();
    ck_assert_int_ge(messages, status == DS_OK ? 1 : 0);
    return status;
}

static enum ds_status call_watch(void)
{
    struct ds_watch *watch = NULL;
    enum ds_status status = ds_watch_open(store, &watch);
    bool is_open = status == DS_OK;

    if (is_open)
        status = ds_watch_add(watch, "/a", DS_START, NULL);
    (void)failing_disarm(); /* before Check allocates and writes */
    ck_assert(is_open == (watch != NULL));
    ds_watch_close(watch);
    return status;
}

static enum ds_status call_list(void)
{
    int streams = 0;
    enum ds_status status = ds_list(store, NULL, count, &streams);

    (void)failing_disarm(); /* before Check allocates and writes */
    ck_assert_int_eq(streams, status == DS_OK ? 103 : 0);
    return status;
}

static enum ds_status call_fault_set(void)
{
    const struct ds_fault fault = {.status = 500};

    return ds_fault_set(store, "/a", &fault);
}

static enum ds_status call_fault_list(void)
{
    int faults = 0;

    return ds_fault_list(store, count_fault, &faults);
}

static enum ds_status call_fault_clear(void)
{
    return ds_fault_clear(store, "/a");
}

#define WAKES "/v1/stream/wakes"

static enum ds_status call_subscribe(void)
{
    const char *const streams[] = {"/v1/stream/job", "/v1/stream/other", NULL};
    const struct ds_subscription_options options = {
        .pattern = "*", .streams = streams, .wake_stream = WAKES, .description = "all"};
    struct ds_subscription *pool = NULL;
    const char *reason = NULL;
    enum ds_status status = ds_subscription_put(store, "pool", &options, NULL, &pool, &reason);

    (void)failing_disarm(); /* before Check allocates and writes */
    ck_assert((status == DS_OK) == (pool != NULL));
    ck_assert((status == DS_OK) == (reason == NULL));
    ds_subscription_free(pool);
    return status;
}

static enum ds_status call_describe(void)
{
    struct ds_subscription *pool = NULL;
    enum ds_status status = ds_subscription_get(store, "pool", &pool);

    (void)failing_disarm();
    ck_assert((status == DS_OK) == (pool != NULL));
    ds_subscription_free(pool);
    return status;
}

static enum ds_status call_subscriptions(void)
{
    int64_t links = 0;
    enum ds_status status = ds_subscription_list(store, count_subscription, &links);

    (void)failing_disarm();
    ck_assert_int_eq(links, status == DS_OK ? 2 : links);
    return status;
}

/* Paths in number, which need several blocks of an arena. */
static enum ds_status call_link(void)
{
    static char path[100][120];
    const char *streams[COUNT(path) + 1] = {NULL};
    const char *reason = NULL;
    enum ds_status status;

    for (size_t i = 0; i < COUNT(path); i++) {
        (void)snprintf(path[i], sizeof path[i], "/v1/stream/%0100zu", i);
        streams[i] = path[i];
    }
    status = ds_subscription_add_streams(store, "pool", streams, &reason);
    (void)failing_disarm();
    ck_assert((status == DS_OK) == (reason == NULL));
    return status;
}

static enum ds_status call_unlink(void)
{
    return ds_subscription_remove_stream(store, "pool", "/v1/stream/other");
}

static enum ds_status call_nudge(void)
{
    return ds_subscription_nudge(store, "pool");
}

static struct ds_claim *claimed;

static enum ds_status call_claim(void)
{
    enum ds_status status = ds_subscription_claim(store, "pool", "w", &claimed, NULL);

    (void)failing_disarm();
    ck_assert((status == DS_OK) == (claimed != NULL));
    return status;
}

static enum ds_status call_ack(void)
{
    const struct ds_ack ack = {"/v1/stream/job", claimed->link[0].acked_offset};

    return ds_subscription_ack(store, "pool", claimed, &ack, 1, false, NULL, NULL);
}

static enum ds_status call_release(void)
{
    return ds_subscription_release(store, "pool", claimed);
}

static enum ds_status call_unsubscribe(void)
{
    return ds_subscription_delete(store, "pool");
}

static enum ds_status call_delete(void)
{
    return ds_delete(store, "/new");
}

static enum ds_status call_paths(void)
{
    char path[400] = "/", *encoded, *decoded;

    memset(path + 1, 'a', sizeof path - 2);
    encoded = ds_path_encode(path);
    decoded = encoded ? ds_path_decode(encoded) : NULL;
    free(encoded);
    free(decoded);
    return decoded ? DS_OK : DS_NO_MEMORY;
}

/* Returns how often the call failed before it succeeded. */
static int exhaust(enum ds_status (*call)(void), const char *name, enum failing kind, int step)
{
    for (int n = 0;; n += step) {
        enum ds_status status;

        failing_arm(kind, n, true);
        status = call();
        (void)failing_disarm();
        if (status == DS_OK)
            return n;
        /* SQLite reports some of them as a file that cannot be opened */
        if (status != DS_NO_MEMORY && status != DS_FAILED && kind == FAIL_MEMORY)
            ck_abort_msg("%s, allocation %d: %s", name, n, ds_status_text(status));
        unit_check(n < 100000, "%s never succeeds", name);
    }
}

#define EXHAUST(call)                                                                              \
    ck_assert_msg(exhaust(call, #call, FAIL_MEMORY, 1) > 0, "%s allocates nothing", #call)

/* Calls that can be repeated. */
static enum ds_status (*const calls[])(void) = {
    call_get,   call_read, call_wait,       call_cancel,    call_messages,
    call_watch, call_list, call_fault_list, call_fault_set, call_fault_clear};

START_TEST(every_call_survives_every_allocation_that_fails)
{
    char path[16];

    failing_begin();
    lib_silence(); /* hundreds of lines about memory */
    store = lib_begin();
    lib_create(store, "/a", "text/plain");
    lib_append(store, "/a", "text");
    for (int i = 0; i < 100; i++) {
        (void)snprintf(path, sizeof path, "/more/%d", i);
        lib_create(store, path, "text/plain");
    }
    EXHAUST(call_create);
    EXHAUST(call_fork);
    EXHAUST(call_append);
    EXHAUST(call_get);
    EXHAUST(call_read);
    EXHAUST(call_wait);
    EXHAUST(call_cancel);
    EXHAUST(call_messages);
    EXHAUST(call_watch);
    EXHAUST(call_list);
    EXHAUST(call_fault_set);
    EXHAUST(call_fault_list);
    EXHAUST(call_fault_clear);
    for (int kind = FAIL_MEMORY + 1; kind < FAIL_KINDS; kind++)
        for (size_t i = 0; kind != FAIL_LOCK && i < COUNT(calls); i++)
            (void)exhaust(calls[i], "", (enum failing)kind, 1);
    EXHAUST(call_delete);
    EXHAUST(call_paths);
    lib_expect(store, "/a", NULL, "textx"); /* stored once, whatever failed before */
    lib_end(store);
}
END_TEST

START_TEST(calls_of_subscriptions_survive_every_allocation_that_fails)
{
    struct ds_stream *wakes = NULL;

    failing_begin();
    lib_silence();
    store = lib_begin();
    lib_create(store, WAKES, "application/json");
    lib_create(store, "/v1/stream/job", "text/plain");
    EXHAUST(call_subscribe);
    EXHAUST(call_describe);
    EXHAUST(call_subscriptions);
    EXHAUST(call_link);
    EXHAUST(call_unlink);
    lib_append(store, "/v1/stream/job", "text");
    EXHAUST(call_nudge);
    EXHAUST(call_claim);
    EXHAUST(call_ack);
    EXHAUST(call_release);
    ds_claim_free(claimed);
    ck_assert_int_eq(ds_get(store, WAKES, &wakes), DS_OK);
    ck_assert_int_eq(wakes->messages,
                     3); /* append, nudge and release: once, whatever failed before */
    ds_stream_free(wakes);
    EXHAUST(call_unsubscribe);
    lib_end(store);
}
END_TEST

START_TEST(opening_survives_every_allocation_that_fails)
{
    failing_begin();
    lib_silence();
    /* some 10,000 allocations; FULL=1 CK_TIMEOUT_MULTIPLIER=10 tries each */
    ck_assert_int_gt(exhaust(call_open, "call_open", FAIL_MEMORY, getenv("FULL") ? 1 : 61), 0);
    for (int kind = FAIL_MEMORY + 1; kind < FAIL_KINDS; kind++)
        if (kind != FAIL_LOCK) /* SQLite would wait 10 s for each */
            (void)exhaust(call_open, "call_open", (enum failing)kind, 1);
}
END_TEST

UNIT_MAIN(lib_memory, every_call_survives_every_allocation_that_fails,
          calls_of_subscriptions_survive_every_allocation_that_fails,
          opening_survives_every_allocation_that_fails)
