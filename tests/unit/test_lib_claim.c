/* Workers of subscriptions: claims, acks, leases, and who is refused. */
#include <pthread.h>
#include <time.h>

#include "lib_subscription_unit.h"

START_TEST(a_worker_claims_what_is_pending_and_acks_it)
{
    struct ds_store *store = lib_begin_pool();
    struct ds_subscription *pool;
    struct ds_claim *claimed = NULL, *other = NULL;
    const char *reason = NULL;
    bool next = true;

    ck_assert_int_eq(ds_subscription_claim(store, "pool", "w", &claimed, &reason), DS_IDLE);
    ck_assert_ptr_nonnull(reason);
    lib_append(store, ROOT "jobs/a", "one ");
    ck_assert_int_eq(lib_events(store), 1);
    ck_assert_int_eq(ds_wait(store, WAKES, DS_START, 0), DS_OK);

    claimed = lib_claim(store, "pool");
    ck_assert_int_eq(claimed->generation, 1);
    ck_assert_int_eq(claimed->lease_ttl_ms, 30000);
    ck_assert_uint_eq(claimed->links, 1);
    ck_assert(!claimed->more_links && claimed->link[0].pending && claimed->link[0].is_glob);
    ck_assert_str_eq(claimed->link[0].path, ROOT "jobs/a");
    ck_assert_str_eq(claimed->link[0].acked_offset, DS_START);
    ck_assert_str_eq(claimed->link[0].tail_offset, OFFSET("4"));
    lib_expect(store, claimed->link[0].path, claimed->link[0].acked_offset, "one ");
    pool = lib_describe(store, "pool");
    ck_assert_str_eq(pool->holder, "w");
    ck_assert_str_eq(pool->wake_id, claimed->wake_id);
    ds_subscription_free(pool);
    reason = NULL;
    ck_assert_int_eq(ds_subscription_claim(store, "pool", "w", &other, &reason), DS_CLAIMED);
    ck_assert_ptr_nonnull(reason);
    ck_assert_ptr_null(other);

    ck_assert_int_eq(lib_ack(store, claimed, ROOT "jobs/a", DS_START), DS_OK); /* nothing yet */
    lib_expect_cursor(store, ROOT "jobs/a", OFFSET("0"), true);
    ck_assert_int_eq(lib_ack(store, claimed, ROOT "%6Aobs/a", OFFSET("4")), DS_OK);
    lib_expect_cursor(store, ROOT "jobs/a", OFFSET("4"), false);
    lib_append(store, ROOT "jobs/a", "two ");
    ck_assert_int_eq(lib_events(store), 1); /* one wake at a time */
    ck_assert_int_eq(lib_finish(store, claimed, &next), DS_OK);
    ck_assert(next);
    ck_assert_int_eq(lib_events(store), 2);
    ck_assert_int_eq(lib_finish(store, claimed, &next), DS_FENCED);
    ds_claim_free(claimed);

    claimed = lib_claim(store, "pool");
    ck_assert_int_eq(claimed->generation, 2);
    ck_assert_str_eq(claimed->link[0].acked_offset, OFFSET("4"));
    ck_assert_int_eq(lib_ack(store, claimed, ROOT "jobs/a", OFFSET("8")), DS_OK);
    ck_assert_int_eq(lib_finish(store, claimed, &next), DS_OK);
    ck_assert(!next);
    ds_claim_free(claimed);
    ds_claim_free(NULL);
    ck_assert_int_eq(ds_subscription_claim(store, "pool", "w", &other, NULL), DS_IDLE);
    ck_assert_ptr_null(other);
    lib_end(store);
}
END_TEST

START_TEST(acks_move_all_cursors_or_none)
{
    const struct {
        const char *path, *offset;
        enum ds_status status;
    } rows[] = {
        {ROOT "jobs/none", OFFSET("0"), DS_CONFLICT}, /* not linked */
        {"/other", OFFSET("0"), DS_CONFLICT},
        {ROOT "jobs/b", OFFSET("9"), DS_CONFLICT}, /* beyond the tail */
        {ROOT "jobs/b", OFFSET("0"), DS_CONFLICT}, /* before the cursor */
        {ROOT "jobs/b", DS_NOW, DS_INVALID},
        {ROOT "jobs/b", "7", DS_INVALID},
        {ROOT "jobs/b", NULL, DS_INVALID},
        {NULL, OFFSET("4"), DS_INVALID},
        {"jobs/b", OFFSET("4"), DS_INVALID},
    };
    static const struct ds_ack many[1001];
    struct ds_store *store = lib_begin_pool();
    struct ds_claim *claimed;

    lib_create(store, ROOT "jobs/b", "text/plain");
    lib_append(store, ROOT "jobs/a", "one ");
    lib_append(store, ROOT "jobs/b", "one ");
    claimed = lib_claim(store, "pool");
    ck_assert_uint_eq(claimed->links, 2);
    ck_assert_int_eq(lib_ack(store, claimed, ROOT "jobs/b", OFFSET("4")), DS_OK);
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct ds_ack acks[] = {{ROOT "jobs/a", OFFSET("4")}, {rows[i].path, rows[i].offset}};
        const char *reason = NULL;
        enum ds_status status =
            ds_subscription_ack(store, "pool", claimed, acks, COUNT(acks), true, NULL, &reason);

        ck_assert_msg(status == rows[i].status && reason, "row %zu: %d", i, status);
        lib_expect_cursor(store, ROOT "jobs/a", DS_START, true);
    }
    ck_assert_int_eq(ds_subscription_ack(store, "pool", claimed, many, 1001, true, NULL, NULL),
                     DS_INVALID);
    ck_assert_int_eq(ds_subscription_ack(store, "pool", claimed, NULL, 1, true, NULL, NULL),
                     DS_INVALID);
    ck_assert_int_eq(ds_subscription_ack(store, "pool", NULL, NULL, 0, true, NULL, NULL),
                     DS_INVALID);
    ck_assert_int_eq(lib_ack(store, claimed, ROOT "jobs/a", OFFSET("4")),
                     DS_OK); /* still its lease */
    ds_claim_free(claimed);
    lib_end(store);
}
END_TEST

START_TEST(only_the_token_of_this_wake_counts)
{
    const struct ds_subscription_options other = {.pattern = "jobs/*", .wake_stream = ROOT "w2"};
    struct ds_store *store = lib_begin_pool();
    struct ds_claim *claimed, *foreign, forged;

    lib_put(store, "other", &other);
    lib_append(store, ROOT "jobs/a", "one ");
    claimed = lib_claim(store, "pool");
    foreign = lib_claim(store, "other");
    forged = *claimed;
    forged.token = foreign->token;
    ck_assert_int_eq(lib_finish(store, &forged, NULL), DS_DENIED);
    ck_assert_int_eq(ds_subscription_release(store, "pool", &forged), DS_DENIED);
    forged.token = "nonsense";
    ck_assert_int_eq(lib_finish(store, &forged, NULL), DS_DENIED);
    forged.token = NULL;
    ck_assert_int_eq(lib_finish(store, &forged, NULL), DS_DENIED);
    forged = *claimed;
    forged.wake_id = foreign->wake_id;
    ck_assert_int_eq(lib_finish(store, &forged, NULL), DS_FENCED);
    forged.wake_id = NULL;
    ck_assert_int_eq(lib_finish(store, &forged, NULL), DS_FENCED);
    forged = *claimed;
    forged.generation++;
    ck_assert_int_eq(lib_finish(store, &forged, NULL), DS_FENCED);
    ck_assert_int_eq(ds_subscription_release(store, "none", claimed), DS_NOT_FOUND);
    ck_assert_int_eq(ds_subscription_release(store, "pool", NULL), DS_INVALID);
    forged = (struct ds_claim){
        .generation = claimed->generation, .wake_id = claimed->wake_id, .token = claimed->token};
    ck_assert_int_eq(lib_finish(store, &forged, NULL), DS_OK); /* these three are all it takes */
    ds_claim_free(claimed);
    ds_claim_free(foreign);
    lib_end(store);
}
END_TEST

START_TEST(what_a_worker_releases_is_claimed_by_the_next)
{
    struct ds_store *store = lib_begin_pool();
    struct ds_claim *first, *second;

    lib_append(store, ROOT "jobs/a", "one ");
    first = lib_claim(store, "pool");
    ck_assert_int_eq(ds_subscription_release(store, "pool", first), DS_OK);
    ck_assert_int_eq(lib_events(store), 2);
    second = lib_claim(store, "pool");
    ck_assert_int_eq(second->generation, 2);
    ck_assert_str_eq(second->link[0].acked_offset, DS_START);
    ck_assert_int_eq(ds_subscription_release(store, "pool", first), DS_FENCED);
    ck_assert_int_eq(lib_ack(store, first, ROOT "jobs/a", OFFSET("4")), DS_FENCED);
    lib_expect_cursor(store, ROOT "jobs/a", DS_START, true);
    ds_claim_free(first);
    ds_claim_free(second);
    lib_end(store);
}
END_TEST

static void pause_ms(long ms)
{
    const struct timespec time = {.tv_nsec = ms * 1000000};

    (void)nanosleep(&time, NULL);
}

START_TEST(a_worker_whose_lease_has_ended_is_overtaken)
{
    struct ds_subscription_options brief = lib_jobs;
    struct ds_store *store = lib_begin();
    struct ds_claim *first, *second = NULL;
    enum ds_status status;

    brief.lease_ttl_ms = 1000;
    lib_create(store, WAKES, "application/json");
    lib_put(store, "pool", &brief);
    lib_create(store, ROOT "jobs/a", "text/plain");
    lib_append(store, ROOT "jobs/a", "one ");
    first = lib_claim(store, "pool");
    while ((status = ds_subscription_claim(store, "pool", "w2", &second, NULL)) == DS_CLAIMED)
        pause_ms(20);
    ck_assert_int_eq(status, DS_OK);
    ck_assert_int_gt(second->generation, first->generation);
    ck_assert_int_eq(lib_ack(store, first, ROOT "jobs/a", OFFSET("4")), DS_FENCED);
    lib_expect_cursor(store, ROOT "jobs/a", DS_START, true);
    ck_assert_int_eq(lib_ack(store, second, ROOT "jobs/a", OFFSET("4")), DS_OK);
    ds_claim_free(first);
    ds_claim_free(second);
    lib_end(store);
}
END_TEST

START_TEST(a_nudge_repeats_the_event_of_an_unclaimed_wake)
{
    struct ds_store *store = lib_begin_pool();
    struct ds_claim *claimed;

    ck_assert_int_eq(ds_subscription_nudge(store, "none"), DS_NOT_FOUND);
    ck_assert_int_eq(ds_subscription_nudge(store, ""), DS_INVALID);
    ck_assert_int_eq(ds_subscription_nudge(store, "pool"), DS_IDLE);
    lib_append(store, ROOT "jobs/a", "one ");
    ck_assert_int_eq(lib_events(store), 1);
    ck_assert_int_eq(ds_subscription_nudge(store, "pool"), DS_OK);
    ck_assert_int_eq(lib_events(store), 2);
    claimed = lib_claim(store, "pool");
    ck_assert_int_eq(claimed->generation, 1);
    ck_assert_int_eq(ds_subscription_nudge(store, "pool"), DS_CLAIMED);
    ck_assert_int_eq(lib_events(store), 2);
    ds_claim_free(claimed);
    lib_end(store);
}
END_TEST

START_TEST(a_claim_names_pending_streams_first_and_not_all_streams)
{
    enum { STREAMS = 1003 };
    struct ds_store *store = lib_begin_pool();
    struct ds_subscription *pool;
    struct ds_claim *claimed;
    char path[40];
    bool next = false;

    for (int i = 1; i < STREAMS; i++) { /* jobs/a is the first */
        (void)snprintf(path, sizeof path, ROOT "jobs/n%04d", i);
        lib_create(store, path, "text/plain");
    }
    lib_append(store, path, "one ");
    claimed = lib_claim(store, "pool");
    ck_assert_uint_eq(claimed->links, 1000);
    ck_assert(claimed->more_links);
    ck_assert_str_eq(claimed->link[0].path, path);
    ck_assert(claimed->link[0].pending && !claimed->link[1].pending);
    ck_assert_int_eq(lib_ack(store, claimed, path, OFFSET("4")), DS_OK);
    ck_assert_int_eq(lib_finish(store, claimed, &next), DS_OK);
    ck_assert(!next);
    ds_claim_free(claimed);
    pool = lib_describe(store, "pool");
    ck_assert_int_eq(pool->link_count, STREAMS);
    ck_assert_uint_eq(pool->links, STREAMS);
    ds_subscription_free(pool);
    lib_end(store);
}
END_TEST

/* --- crowds --- */

enum { WORKERS = 8, ROUNDS = 40 };

struct worker {
    struct ds_store *store;
    pthread_barrier_t *barrier;
    struct ds_claim *claimed[ROUNDS];
    enum ds_status status[ROUNDS];
};

static void *work(void *arg)
{
    struct worker *worker = arg;

    for (int i = 0; i < ROUNDS; i++) {
        (void)pthread_barrier_wait(worker->barrier); /* this round has something pending */
        worker->status[i] =
            ds_subscription_claim(worker->store, "pool", "w", &worker->claimed[i], NULL);
        (void)pthread_barrier_wait(worker->barrier); /* all have tried */
    }
    return NULL;
}

START_TEST(one_of_many_workers_gets_the_claim)
{
    struct ds_store *store = lib_begin_pool();
    struct worker workers[WORKERS];
    pthread_t threads[WORKERS];
    pthread_barrier_t barrier;

    (void)pthread_barrier_init(&barrier, NULL, WORKERS + 1);
    for (int i = 0; i < WORKERS; i++) {
        workers[i] = (struct worker){.store = store, .barrier = &barrier};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (int round = 0; round < ROUNDS; round++) {
        int winners = 0;

        lib_append(store, ROOT "jobs/a", "x");
        (void)pthread_barrier_wait(&barrier);
        (void)pthread_barrier_wait(&barrier);
        for (int i = 0; i < WORKERS; i++) {
            struct ds_claim *claimed = workers[i].claimed[round];

            ck_assert(workers[i].status[round] == (claimed ? DS_OK : DS_CLAIMED));
            if (!claimed)
                continue;
            winners++;
            ck_assert_int_eq(claimed->generation, round + 1);
            ck_assert_int_eq(lib_ack(store, claimed, ROOT "jobs/a", claimed->link[0].tail_offset),
                             DS_OK);
            ck_assert_int_eq(lib_finish(store, claimed, NULL), DS_OK);
            ds_claim_free(claimed);
        }
        ck_assert_int_eq(winners, 1);
    }
    for (int i = 0; i < WORKERS; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    (void)pthread_barrier_destroy(&barrier);
    lib_end(store);
}
END_TEST

START_TEST(an_overtaken_worker_cannot_append_its_output)
{
    struct ds_append_options output = {.producer_id = "pool", .producer_epoch = 1};
    struct ds_store *store = lib_begin_pool();
    struct ds_claim *first, *second;

    lib_create(store, ROOT "output", "text/plain");
    lib_append(store, ROOT "jobs/a", "one ");
    first = lib_claim(store, "pool");
    ck_assert_int_eq(ds_subscription_release(store, "pool", first), DS_OK);
    second = lib_claim(store, "pool");
    output.producer_epoch = second->generation;
    ck_assert_int_eq(ds_append(store, ROOT "output", "new", 3, &output, NULL), DS_OK);
    output.producer_epoch = first->generation;
    ck_assert_int_eq(ds_append(store, ROOT "output", "old", 3, &output, NULL), DS_FENCED);
    lib_expect(store, ROOT "output", NULL, "new");
    ds_claim_free(first);
    ds_claim_free(second);
    lib_end(store);
}
END_TEST

START_TEST(a_restart_loses_nothing)
{
    struct ds_store *store = lib_begin_pool();
    struct ds_claim *claimed;

    lib_append(store, ROOT "jobs/a", "one ");
    claimed = lib_claim(store, "pool");
    ds_store_close(store);
    store = lib_open();
    ck_assert_int_eq(lib_ack(store, claimed, ROOT "jobs/a", OFFSET("4")), DS_OK);
    ds_store_close(store);
    store = lib_open();
    lib_expect_cursor(store, ROOT "jobs/a", OFFSET("4"), false);
    ck_assert_int_eq(lib_finish(store, claimed, NULL), DS_OK);
    ds_claim_free(claimed);
    lib_end(store);
}
END_TEST

UNIT_MAIN(lib_claim, a_worker_claims_what_is_pending_and_acks_it, acks_move_all_cursors_or_none,
          only_the_token_of_this_wake_counts, what_a_worker_releases_is_claimed_by_the_next,
          a_worker_whose_lease_has_ended_is_overtaken,
          a_nudge_repeats_the_event_of_an_unclaimed_wake,
          a_claim_names_pending_streams_first_and_not_all_streams,
          one_of_many_workers_gets_the_claim, an_overtaken_worker_cannot_append_its_output,
          a_restart_loses_nothing)
