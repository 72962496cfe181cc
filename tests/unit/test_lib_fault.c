/* Setting, listing and clearing faults. The system tests look at the servers that obey them. */
#include <math.h>

#include "lib_unit.h"

struct seen {
    int count, most;
    char path[8][40];
    struct ds_fault fault[8];
    char method[8];
    char event[2][16];
};

static bool see(void *arg, const char *path, const struct ds_fault *fault)
{
    struct seen *seen = arg;

    (void)strcpy(seen->path[seen->count], path);
    seen->fault[seen->count++] = *fault;
    if (fault->method)
        (void)strcpy(seen->method, fault->method);
    if (fault->sse_event_type) {
        (void)strcpy(seen->event[0], fault->sse_event_type);
        (void)strcpy(seen->event[1], fault->sse_event_data);
    }
    return seen->count < seen->most;
}

static void list(struct ds_store *store, struct seen *seen)
{
    *seen = (struct seen){.most = 8};
    ck_assert_int_eq(ds_fault_list(store, see, seen), DS_OK);
}

START_TEST(what_was_set_is_listed_and_replaced_and_cleared)
{
    const struct ds_fault full = {
        .status = 503,
        .count = 7,
        .has_retry_after = true,
        .retry_after = 0,
        .delay_ms = 10,
        .jitter_ms = 20,
        .has_truncate = true,
        .truncate_body_bytes = 0,
        .has_probability = true,
        .probability = 0.25,
        .method = "POST",
    };
    const struct ds_fault drop = {.drop_connection = true};
    const struct ds_fault event = {.sse_event_type = "odd", .sse_event_data = "a\nb"};
    struct ds_store *store = lib_begin();
    struct seen seen;

    list(store, &seen);
    ck_assert_int_eq(seen.count, 0);
    ck_assert_int_eq(ds_fault_set(store, "/v1/stream/%62", &full), DS_OK);
    ck_assert_int_eq(ds_fault_set(store, "/v1/stream/a", &full), DS_OK);
    ck_assert_int_eq(ds_fault_set(store, "/v1/stream/a", &drop), DS_OK);
    ck_assert_int_eq(ds_fault_set(store, "/v1/stream/c", &event), DS_OK);
    list(store, &seen);
    ck_assert_int_eq(seen.count, 3);
    ck_assert_str_eq(seen.path[0], "/v1/stream/a");
    ck_assert(seen.fault[0].drop_connection && seen.fault[0].status == 0);
    ck_assert_int_eq(seen.fault[0].count, 1);
    ck_assert_ptr_null(seen.fault[0].method);
    ck_assert(!seen.fault[0].has_retry_after && !seen.fault[0].has_truncate);
    ck_assert(!seen.fault[0].has_probability);
    ck_assert_str_eq(seen.path[1], "/v1/stream/b");
    ck_assert_int_eq(seen.fault[1].status, 503);
    ck_assert_int_eq(seen.fault[1].count, 7);
    ck_assert(seen.fault[1].has_retry_after && seen.fault[1].retry_after == 0);
    ck_assert_int_eq(seen.fault[1].delay_ms, 10);
    ck_assert_int_eq(seen.fault[1].jitter_ms, 20);
    ck_assert(seen.fault[1].has_truncate && seen.fault[1].truncate_body_bytes == 0);
    ck_assert(seen.fault[1].has_probability && fabs(seen.fault[1].probability - 0.25) < 1e-9);
    ck_assert_str_eq(seen.method, "POST");
    ck_assert_str_eq(seen.event[0], "odd");
    ck_assert_str_eq(seen.event[1], "a\nb");

    ck_assert_int_eq(ds_fault_clear(store, "/v1/stream/a"), DS_OK);
    ck_assert_int_eq(ds_fault_clear(store, "/v1/stream/a"), DS_OK);
    list(store, &seen);
    ck_assert_int_eq(seen.count, 2);
    seen = (struct seen){.most = 1};
    ck_assert_int_eq(ds_fault_list(store, see, &seen), DS_OK);
    ck_assert_int_eq(seen.count, 1);
    ck_assert_int_eq(ds_fault_clear(store, NULL), DS_OK);
    list(store, &seen);
    ck_assert_int_eq(seen.count, 0);
    lib_end(store);
}
END_TEST

START_TEST(faults_that_make_no_sense_are_refused)
{
    const struct ds_fault wrong[] = {
        {.count = 5},
        {.method = "GET"},
        {.status = 199},
        {.status = 600},
        {.status = -1},
        {.status = 500, .count = -1},
        {.status = 500, .has_retry_after = true, .retry_after = -1},
        {.delay_ms = -1},
        {.delay_ms = INT64_MAX},
        {.delay_ms = 1, .jitter_ms = -1},
        {.has_truncate = true, .truncate_body_bytes = -1},
        {.status = 500, .has_probability = true, .probability = 1.5},
        {.status = 500, .has_probability = true, .probability = -0.1},
        {.status = 500, .has_probability = true, .probability = NAN},
        {.status = 500, .method = "GET\nX"},
        {.sse_event_type = "a\nb"},
        {.sse_event_data = "without a type", .status = 500},
    };
    const struct ds_fault fault = {.status = 500};
    struct ds_store *store = lib_begin();
    struct seen seen;

    for (size_t i = 0; i < COUNT(wrong); i++)
        ck_assert_msg(ds_fault_set(store, "/a", &wrong[i]) == DS_INVALID, "row %zu", i);
    ck_assert_int_eq(ds_fault_set(store, "/a", NULL), DS_INVALID);
    ck_assert_int_eq(ds_fault_set(store, "a", &fault), DS_INVALID);
    ck_assert_int_eq(ds_fault_set(store, NULL, &fault), DS_INVALID);
    ck_assert_int_eq(ds_fault_clear(store, "a"), DS_INVALID);
    list(store, &seen);
    ck_assert_int_eq(seen.count, 0);
    lib_end(store);
}
END_TEST

UNIT_MAIN(lib_fault, what_was_set_is_listed_and_replaced_and_cleared,
          faults_that_make_no_sense_are_refused)
