/*
 * Rows of subscriptions that were damaged by the disk or by a statement at the prompt: each column
 * gets absurd values, and then everything is done that can be done with subscriptions. Nothing may
 * crash or run forever, and if something fails, the check must say why.
 */
#include "damage_unit.h"
#include "store/tools/store_dump.h"
#include "subscription_fill.h"

#include "subscription_unit.h" /* last, because of its `f` */

static const char *const columns[][2] = {
    {"subscription", "name"},
    {"subscription", "type"},
    {"subscription", "pattern"},
    {"subscription", "url"},
    {"subscription", "wake_stream"},
    {"subscription", "lease_ttl_ms"},
    {"subscription", "description"},
    {"subscription", "config"},
    {"subscription", "base_url"},
    {"subscription", "created_at"},
    {"subscription", "generation"},
    {"subscription", "wake_id"},
    {"subscription", "token"},
    {"subscription", "woken_at"},
    {"subscription", "event_due"},
    {"subscription", "holder"},
    {"subscription", "lease_until"},
    {"subscription", "attempts"},
    {"subscription", "next_attempt_at"},
    {"subscription", "failed_at"},
    {"subscription", "failure"},
    {"subscription", "unsettled"},
    {"subscription_link", "subscription_id"},
    {"subscription_link", "path"},
    {"subscription_link", "stream_id"},
    {"subscription_link", "is_explicit"},
    {"subscription_link", "is_glob"},
    {"subscription_link", "acked"},
    {"subscription_link", "pending"},
    {"subscription_tombstone", "name"},
    {"subscription_tombstone", "id"},
    {"subscription_tombstone", "generation"},
    {"subscription_tombstone", "deleted_at"},
    {"webhook_key", "kid"},
    {"webhook_key", "x"},
    {"webhook_key", "seed"},
    {"webhook_key", "created_at"},
    {"webhook_key", "signs_from"},
    {"webhook_key", "signs_until"},
    {"subscription_arrival", "stream_id"},
    {"stream", "subscribed"},
    {"stream", "tail"},
    {"stream", "path"},
};

static const char *const names[] = {"pool", "h\303\266ok /1", "quiet", "gone", "new", "9"};

static bool refused; /* some call returned DS_FAILED */

/* --- using the damaged database --- */

/* Any status is right, except for a crash. */
static enum ds_status try_any(enum ds_status (*run)(struct batch *batch, void *request),
                              void *request)
{
    struct any any = {
        .write = {.apply = apply_any, .finish = finish_any}, .run = run, .request = request};

    commit_submit(committer, &any.write);
    ck_assert(any.status >= DS_OK && any.status <= DS_DENIED);
    refused |= any.status == DS_FAILED;
    return any.status;
}

static void look_at_all(void)
{
    struct store_dump dump = {.file = fopen("/dev/null", "w"), .keys = true};
    struct webhook_key keys[WEBHOOK_KEYS_MOST];
    size_t n;
    int64_t at;
    bool need;

    for (size_t i = 0; i < COUNT(names); i++) {
        struct subscription_view view;
        struct buf buf = {0};
        enum ds_status status = subscription_read(f.conn, f.arena, names[i], &view);

        refused |= status == DS_FAILED;
        if (status == DS_OK)
            subscription_add_json(&buf, &view, "kid");
        buf_close(&buf);
    }
    refused |= store_export(f.conn, &dump) == DS_FAILED;
    (void)fclose(dump.file);
    ck_assert(store_webhook_keys(f.conn, keys, &n) != DS_OK || n <= WEBHOOK_KEYS_MOST);
    (void)store_next_attempt(f.conn, &at);
    (void)store_next_lease_end(f.conn, &at);
    (void)store_subscriptions_need(f.conn, clock_wall_ms(), &need);
}

static void attempt_all(void)
{
    struct subscription_begin begin = {.arena = f.arena, .most = 10};

    type("UPDATE OR IGNORE subscription SET next_attempt_at = 1 "
         "WHERE typeof(next_attempt_at) = 'integer'");
    if (try_any(run_begin, &begin) != DS_OK)
        return;
    for (size_t i = 0; i < begin.attempts; i++) {
        struct subscription_end end = {.attempt = &begin.attempt[i],
                                       .outcome = (enum subscription_outcome)(i % 3),
                                       .failure = "no"};
        struct buf buf = {0};

        subscription_add_webhook(&buf, &begin.attempt[i]);
        buf_close(&buf);
        (void)try_any(run_end, &end);
    }
}

/* Everything that a client can ask for. */
static void use_one(const char *name)
{
    static const char *const streams[] = {"/v1/stream/e/a", "/text"};
    struct subscription_put put = {.name = name,
                                   .pattern = "**",
                                   .wake_stream = WAKES,
                                   .lease_ttl_ms = 30000,
                                   .base_url = "",
                                   .most = 100,
                                   .arena = f.arena};
    struct subscription_claim claim = {.name = name, .worker = "w", .arena = f.arena};
    struct subscription_nudge nudge = {.name = name};
    struct subscription_streams change = {.name = name, .stream = streams, .streams = 2};
    struct subscription_offset ack = {.path = streams[0], .position = 29};
    struct subscription_answer answer = {.name = name, .ack = &ack, .acks = 1};

    (void)try_any(run_put, &put);
    (void)try_any(run_streams, &change);
    (void)try_any(run_nudge, &nudge);
    type("UPDATE OR IGNORE subscription SET lease_until = 1 WHERE typeof(lease_until) = 'integer' "
         "AND type = 'pull-wake'");
    if (try_any(run_claim, &claim) == DS_OK && claim.verdict == DS_OK) {
        answer.token = claim.token;
        answer.wake_id = claim.view.row.wake_id;
        answer.generation = claim.generation;
    }
    for (int reply = SUBSCRIPTION_CALLBACK; reply <= SUBSCRIPTION_RELEASE; reply++) {
        answer.reply = (enum subscription_reply)reply;
        answer.done = reply == SUBSCRIPTION_ACK;
        (void)try_any(run_answer, &answer);
    }
    change.removes = true;
    (void)try_any(run_streams, &change);
}

static void upkeep_until_done(void)
{
    bool more = true;

    for (int slices = 0; more; slices++) {
        ck_assert_msg(slices < 200, "upkeep never ends");
        if (try_any(run_upkeep, &more) != DS_OK)
            return;
    }
}

/* Streams come, grow and go. */
static void use_streams(void)
{
    static const char *const paths[] = {"/v1/stream/e/a", "/v1/stream/e/none", "/text", WAKES};

    for (size_t i = 0; i < COUNT(paths); i++) {
        struct request append = {
            .append = {.path = paths[i], .body = {.data = "[1]", .len = 3, .max_messages = 9}}};
        struct request create = {.create = {.path = paths[i],
                                            .content_type = "application/json",
                                            .ttl_seconds = -1,
                                            .expires_at = -1,
                                            .fork_offset = -1,
                                            .arena = f.arena,
                                            .body = append.append.body}};
        struct request deletion = {.deletion = {.path = paths[i]}};

        (void)submit_request(committer, &append, apply_append);
        (void)submit_request(committer, &deletion, apply_delete);
        (void)submit_request(committer, &create, apply_create);
        (void)submit_request(committer, &append, apply_append);
    }
}

static void use_all(const char *what, int before)
{
    look_at_all();
    ck_assert_msg(!refused || run_check(&f) > before, "%s: refused, and nothing found", what);
    upkeep_until_done();
    attempt_all();
    for (size_t i = 0; i < COUNT(names); i++)
        use_one(names[i]);
    use_streams();
    upkeep_until_done();
    attempt_all();
    for (size_t i = 0; i < COUNT(names); i++) {
        struct subscription_delete deletion = {.name = names[i]};

        (void)try_any(run_delete, &deletion);
        use_one(names[i]);
    }
    look_at_all();
}

/* --- tests --- */

static void reopen(void)
{
    ck_assert_int_eq(store_open(&f.store, &f.config, true), DS_OK);
    ck_assert_int_eq(store_connect(&f.conn, f.store), DS_OK);
    ck_assert_int_eq(commit_start(&committer, f.store, &f.config, false), DS_OK);
    f.arena = arena_new();
}

static void shut(void)
{
    commit_free(committer);
    arena_free(f.arena);
    store_disconnect(f.conn);
    store_close(f.store, true);
}

START_TEST(no_damaged_value_causes_a_hang_or_a_crash)
{
    const char *const *column = columns[_i];
    char what[300];
    int before;

    open_all();
    fill(&f);
    fill_subscriptions(&f);
    run_sql(&f, "INSERT INTO subscription_arrival SELECT id FROM stream WHERE path = '/json'");
    drop_rules(&f);
    ck_assert_int_eq(store_checkpoint(f.conn, true), DS_OK);
    (void)snprintf(what, sizeof what, "cp %s/streams.db %s/pristine", f.folder, f.folder);
    ck_assert_int_eq(system(what), 0);
    shut();
    for (size_t i = 0; i < COUNT(values); i++) {
        (void)snprintf(what, sizeof what, "cd %s && rm -f streams.db-* && cp pristine streams.db",
                       f.folder);
        ck_assert_int_eq(system(what), 0);
        reopen();
        (void)snprintf(what, sizeof what, "%s.%s = %s", column[0], column[1], values[i]);
        before = run_check(&f);
        damage(&f, column[0], column[1], values[i]);
        refused = false;
        use_all(what, before);
        shut();
    }
    reopen();
    close_all();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("subscription_damage");
    TCase *tcase = tcase_create("subscription_damage");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, no_damaged_value_causes_a_hang_or_a_crash, 0, (int)COUNT(columns));
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
