/* Export and import of subscriptions: cursors and generations go on, wakes are made anew. */
#include "dump_unit.h"
#include "store/tools/store_check.h"
#include "subscription_fill.h"

#include "subscription_unit.h" /* last, because of its `f` */

static char *export_keys(struct fixture *a)
{
    char *text = NULL;
    size_t len = 0;
    FILE *file = open_memstream(&text, &len);
    struct store_dump dump = {.file = file, .keys = true};

    ck_assert_msg(store_export(a->conn, &dump) == DS_OK, "%s", dump.reason);
    (void)fclose(file);
    return text;
}

static void hear(void *arg, enum store_check_kind kind, const char *path, const char *text)
{
    (void)arg;
    ck_assert_msg(kind != STORE_CHECK_DAMAGE, "%s: %s", path ? path : "", text);
}

static void expect_sound(struct fixture *b)
{
    struct store_check check = {.database = b->config.database,
                                .busy_timeout_ms = 1000,
                                .now = clock_wall_ms(),
                                .fn = hear};

    ck_assert_msg(store_check(&check) == DS_OK, "%s", check.reason);
}

/* The committer and `f` of subscription_unit.h; the source of the exports is `a`. */
static struct fixture a;

static void open_both(void)
{
    open_fixture(&a);
    fill(&a);
    fill_subscriptions(&a);
    open_all();
}

static void close_both(void)
{
    close_all();
    close_fixture(&a);
}

static void import_into(const char *text, bool skip)
{
    struct store_dump dump;

    ck_assert_msg(import_text(&f, text, skip, &dump) == DS_OK, "%s", dump.reason);
    expect_sound(&f);
}

START_TEST(restores_subscriptions_and_keys)
{
    struct store_dump dump;
    char *first, *second;

    open_both();
    first = export_keys(&a);
    ck_assert_ptr_null(strstr(first, "w_1"));
    ck_assert_ptr_null(strstr(first, "secret"));
    ck_assert_ptr_null(strstr(first, "worker"));
    ck_assert_msg(import_text(&f, first, false, &dump) == DS_OK, "%s", dump.reason);
    ck_assert_int_eq(dump.subscriptions, 3);
    expect_sound(&f);
    second = export_keys(&f);
    ck_assert_str_eq(behind_head(first), behind_head(second));
    ck_assert_int_eq(
        ask("SELECT count(*) FROM subscription WHERE wake_id IS NULL AND token IS NULL "
            "AND holder IS NULL AND lease_until IS NULL AND next_attempt_at IS NULL "
            "AND attempts = 0 AND failed_at IS NULL AND unsettled = 1"),
        3);
    ck_assert_int_eq(ask("SELECT count(*) FROM subscription_link WHERE pending = 1"), 2);
    ck_assert_int_eq(ask("SELECT generation FROM subscription WHERE name = 'pool'"), 3);
    ck_assert_int_eq(ask("SELECT generation FROM subscription_tombstone WHERE name = 'gone'"), 9);
    ck_assert_int_eq(ask("SELECT signs_from FROM webhook_key WHERE length(seed) = 32"),
                     1700000300000);
    free(first);
    free(second);
    close_both();
}
END_TEST

START_TEST(leaves_keys_out_unless_asked)
{
    char *text;

    open_both();
    text = export_text(&a, NULL);
    ck_assert_ptr_null(strstr(text, "seed"));
    import_into(text, false);
    ck_assert_int_eq(ask("SELECT count(*) FROM sqlite_schema WHERE name = 'webhook_key'"), 0);
    free(text);
    text = export_text(&a, "/v1/stream/e/a");
    ck_assert_ptr_null(strstr(text, "subscription"));
    free(text);
    close_both();
}
END_TEST

START_TEST(wakes_what_is_pending_after_an_import)
{
    char *text;
    bool more;
    struct subscription_claim claim;

    open_both();
    text = export_text(&a, NULL);
    import_into(text, false);
    submit_any(run_upkeep, &more);
    expect_sound(&f);
    ck_assert_int_eq(ask("SELECT generation FROM subscription WHERE name = 'pool' AND wake_id "
                         "IS NOT NULL AND lease_until IS NULL"),
                     4);
    ck_assert_int_eq(ask("SELECT messages FROM stream WHERE path = '" WAKES "'"), 1);
    ck_assert_int_eq(ask("SELECT generation FROM subscription WHERE type = 'webhook' AND "
                         "attempts = 0 AND next_attempt_at > 0"),
                     2);
    ck_assert_int_eq(ask("SELECT generation FROM subscription WHERE name = 'quiet' AND wake_id "
                         "IS NULL"),
                     0);
    claim = claim_by("pool", "w");
    ck_assert_int_eq(claim.verdict, DS_OK);
    ck_assert_int_eq(claim.view.links, 3);
    ck_assert_str_eq(claim.view.link[0].path, "/v1/stream/e/a");
    ck_assert_int_eq(claim.view.link[0].acked, 7);
    ck_assert(claim.view.link[0].pending);
    append("/v1/stream/e/b", "[9]");
    ck_assert_int_eq(ask("SELECT count(*) FROM subscription_link WHERE pending = 1 AND path = "
                         "'/v1/stream/e/b'"),
                     2);
    free(text);
    close_both();
}
END_TEST

/* Here the triggers note each imported stream as an arrival, which is settled later. */
START_TEST(keeps_cursors_beside_arrivals)
{
    char *text;
    bool more;

    open_both();
    (void)put_pool("old", "e/*");
    text = export_text(&a, NULL);
    import_into(text, false);
    ck_assert_int_gt(ask("SELECT count(*) FROM subscription_arrival"), 0);
    submit_any(run_upkeep, &more);
    expect_sound(&f);
    ck_assert_int_eq(ask("SELECT count(*) FROM subscription_arrival"), 0);
    ck_assert_int_eq(
        ask("SELECT count(*) FROM subscription_link AS l JOIN subscription AS s ON "
            "s.id = subscription_id WHERE name = 'old' AND acked = -1 AND pending = 1"),
        2);
    ck_assert_int_eq(ask("SELECT count(*) FROM subscription_link AS l JOIN subscription AS s ON "
                         "s.id = subscription_id WHERE name = 'pool'"),
                     3);
    ck_assert_int_eq(
        ask("SELECT acked FROM subscription_link AS l JOIN subscription AS s ON s.id = "
            "subscription_id WHERE name = 'pool' AND path = '/v1/stream/e/a'"),
        7);
    free(text);
    close_both();
}
END_TEST

START_TEST(does_not_trust_the_cursor_of_another_stream)
{
    char *text;

    open_both();
    make("/v1/stream/e/b", "[1,2,3,4,5,6,7,8,9]"); /* another one */
    make("/v1/stream/e/old", "[1]");               /* has no link in the file */
    (void)grow(&a, (struct stream){.path = "/v1/stream/e/fresh"}, "application/json", 1, 0);
    (void)grow(&f, (struct stream){.path = "/v1/stream/e/a"}, "application/json", 0, 0);
    text = export_text(&a, NULL);
    import_into(text, true);
    /* an older copy of the same stream: the cursor is its tail */
    ck_assert_int_eq(ask("SELECT acked + pending FROM subscription_link WHERE path = "
                         "'/v1/stream/e/a'"),
                     0);
    ck_assert_int_eq(ask("SELECT count(*) FROM subscription_link WHERE path = '/v1/stream/e/b' "
                         "AND acked = -1 AND pending = 1"),
                     2);
    ck_assert_int_eq(ask("SELECT acked = 1 AND NOT pending FROM subscription_link WHERE path = "
                         "'/v1/stream/e/old'"),
                     1);
    ck_assert_int_eq(ask("SELECT acked = -1 AND pending FROM subscription_link WHERE path = "
                         "'/v1/stream/e/fresh'"),
                     1);
    free(text);
    close_both();
}
END_TEST

START_TEST(goes_on_counting_generations)
{
    struct subscription_delete deletion = {.name = "pool"};
    char *text;

    open_both();
    (void)put_pool("pool", "e/*");
    (void)put_pool("gone", "e/*");
    type("UPDATE subscription SET generation = 20");
    submit_any(run_delete, &deletion);
    deletion.name = "gone";
    submit_any(run_delete, &deletion);
    text = export_text(&a, NULL);
    import_into(text, false);
    ck_assert_int_eq(ask("SELECT generation FROM subscription WHERE name = 'pool' AND id = 1"), 20);
    ck_assert_int_eq(ask("SELECT generation FROM subscription_tombstone WHERE name = 'gone' AND "
                         "id = 2"),
                     20);
    free(text);
    close_both();
}
END_TEST

START_TEST(refuses_or_skips_existing_names)
{
    struct store_dump dump;
    char *text;

    open_both();
    (void)put_pool("pool", "z/*");
    text = export_text(&a, NULL);
    ck_assert_int_eq(import_text(&f, text, false, &dump), DS_CONFLICT);
    ck_assert_ptr_nonnull(strstr(dump.reason, ": the subscription pool exists"));
    import_into(text, true);
    ck_assert_int_eq(ask("SELECT count(*) FROM subscription WHERE pattern = 'z/*'"), 1);
    ck_assert_int_eq(ask("SELECT count(*) FROM subscription"), 3);
    ck_assert_int_eq(import_text(&f, text, true, &dump), DS_OK);
    ck_assert_int_eq(dump.skipped_subscriptions, 3);
    free(text);
    close_both();
}
END_TEST

START_TEST(leaves_subscriptions_out_on_request)
{
    struct store_dump dump = {.skip_subscriptions = true};
    char *text;

    open_both();
    text = export_keys(&a);
    dump.file = tmpfile();
    (void)fputs(text, dump.file);
    rewind(dump.file);
    ck_assert_msg(store_import(f.conn, &dump) == DS_OK, "%s", dump.reason);
    (void)fclose(dump.file);
    ck_assert_int_eq(dump.skipped_subscriptions, 3);
    ck_assert_int_eq(ask("SELECT count(*) FROM stream"), 12);
    ck_assert_int_eq(ask("SELECT count(*) FROM sqlite_schema WHERE name IN ('subscription', "
                         "'webhook_key')"),
                     0);
    free(text);
    close_both();
}
END_TEST

/* --- no input is trusted --- */

#define HEAD "{\"format\":\"durable-streams-export\",\"version\":1}\n"
#define POOL(more)                                                                                 \
    "{\"subscription\":\"s\",\"type\":\"pull-wake\",\"wake_stream\":\"/w\",\"lease_ttl_ms\":1000," \
    "\"config\":\"{}\",\"base_url\":\"\",\"created_at\":1,\"generation\":1" more "}\n"
#define LINK     "{\"link\":\"/x\",\"explicit\":1}\n"
#define ENDED(n) "{\"end_of_subscription\":\"s\",\"links\":" #n "}\n"
#define STREAM_LINE                                                                                \
    "{\"stream\":\"/x\",\"content_type\":\"a/b\",\"tail\":0,\"messages\":0,\"created_at\":1}\n"
#define BURIED "{\"tombstone\":\"t\",\"generation\":1,\"deleted_at\":1}\n"
#define KEY(kid, x, seed)                                                                          \
    "{\"webhook_key\":\"" kid "\",\"x\":\"" x "\",\"seed\":\"" seed                                \
    "\",\"created_at\":1,\"signs_from\":1}\n"
#define X43 "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ"
#define S32 "abcdefghijklmnopqrstuvwxyzABCDEF"
#define END(n)                                                                                     \
    "{\"end\":\"durable-streams-export\",\"streams\":0,\"rows\":0,\"producers\":0,"                \
    "\"subscriptions\":" #n "}\n"
#define ONE(line) HEAD line END(1)

static const struct {
    int line;
    const char *text;
} malformed[] = {
    {2, HEAD LINK END(0)},
    {2, HEAD ENDED(0) END(0)},
    {2, HEAD END(1)},
    {3, HEAD POOL("") POOL("") END(1)},
    {3, HEAD POOL("") BURIED END(1)},
    {3, HEAD POOL("") KEY("k", X43, S32) END(1)},
    {3, HEAD POOL("") END(1)},
    {3, HEAD POOL("") STREAM_LINE END(1)},
    {3, HEAD POOL("") ENDED(1) END(1)},
    {3, HEAD POOL("") "{\"end_of_subscription\":\"t\",\"links\":0}\n" END(1)},
    {3, HEAD BURIED STREAM_LINE END(0)},
    {3, HEAD STREAM_LINE BURIED END(0)},
    {3, HEAD STREAM_LINE POOL("") END(0)},
    {3, HEAD POOL("") "{\"position\":0,\"appended_at\":1,\"bytes\":1,\"data\":\"a\"}\n" END(1)},
    {3, HEAD POOL("") "{\"link\":\"x\",\"explicit\":1}\n" END(1)},
    {3, HEAD POOL("") "{\"link\":\"/x\"}\n" END(1)},
    {3, HEAD POOL("") "{\"link\":\"/x\",\"explicit\":2}\n" END(1)},
    {3, HEAD POOL("") "{\"link\":\"/x\",\"glob\":1,\"acked\":10000000000000000}\n" END(1)},
    {3, HEAD POOL("") "{\"link\":\"/w\",\"explicit\":1}\n" END(1)},
    {2, ONE(POOL(",\"url\":\"http://h/\""))},
    {2, ONE(POOL(",\"pattern\":\"/a\""))},
    {2, ONE(POOL(",\"pattern\":\"\""))},
    {2, ONE(POOL(",\"description_base64\":\"/w==\""))},
    {2, ONE("{\"subscription\":\"\",\"type\":\"webhook\",\"url\":\"u\",\"lease_ttl_ms\":1000,"
            "\"config\":\"{}\",\"base_url\":\"\",\"created_at\":1,\"generation\":1}\n")},
    {2, ONE("{\"subscription\":\"s\",\"type\":\"other\",\"url\":\"u\",\"lease_ttl_ms\":1000,"
            "\"config\":\"{}\",\"base_url\":\"\",\"created_at\":1,\"generation\":1}\n")},
    {2, ONE("{\"subscription\":\"s\",\"type\":\"webhook\",\"url\":\"u\",\"lease_ttl_ms\":600001,"
            "\"config\":\"{}\",\"base_url\":\"\",\"created_at\":1,\"generation\":1}\n")},
    {2, ONE("{\"subscription\":\"s\",\"type\":\"webhook\",\"url\":\"u\",\"lease_ttl_ms\":1000,"
            "\"config\":\"{\",\"base_url\":\"\",\"created_at\":1,\"generation\":1}\n")},
    {2, ONE("{\"subscription\":\"s\",\"type\":\"webhook\",\"url\":\"u\",\"lease_ttl_ms\":1000,"
            "\"config\":\"{}\",\"base_url\":\"\",\"created_at\":1,"
            "\"generation\":10000000000000000}\n")},
    {2, HEAD "{\"tombstone\":\"a\\u0001\",\"generation\":1,\"deleted_at\":1}\n" END(0)},
    {2, HEAD "{\"tombstone\":\"a\",\"generation\":10000000000000000,\"deleted_at\":1}\n" END(0)},
    {2, HEAD KEY("", X43, S32) END(0)},
    {2, HEAD KEY("k", "x", S32) END(0)},
    {2, HEAD KEY("k", X43, S32 "x") END(0)},
};

START_TEST(refuses_malformed_subscriptions)
{
    char begin[20];
    struct store_dump dump;

    open_all();
    for (size_t i = 0; i < COUNT(malformed); i++) {
        (void)snprintf(begin, sizeof begin, "line %d: ", malformed[i].line);
        ck_assert_msg(import_text(&f, malformed[i].text, false, &dump) == DS_INVALID, "%s",
                      malformed[i].text);
        ck_assert_msg(strncmp(dump.reason, begin, strlen(begin)) == 0, "%s\n%s", dump.reason,
                      malformed[i].text);
        ck_assert_int_eq(store_begin_write(f.conn), DS_OK); /* no transaction is left open */
        ck_assert_int_eq(store_make_subscriptions(f.conn), DS_OK);
        ck_assert_int_eq(store_commit(f.conn), DS_OK);
        ck_assert_msg(ask("SELECT count(*) FROM subscription") == 0, "%s", malformed[i].text);
    }
    ck_assert_msg(import_text(&f, HEAD POOL("") LINK ENDED(1) BURIED KEY("k", X43, S32) END(1),
                              false, &dump) == DS_OK,
                  "%s", dump.reason);
    expect_sound(&f);
    close_all();
}
END_TEST

/* Changes any one byte of an export: no crash, and nothing that contradicts itself. */
START_TEST(survives_a_damaged_file)
{
    struct store_dump dump;
    uint32_t seed = 5;
    char *text;

    open_all();
    open_fixture(&a);
    (void)grow(&a, (struct stream){.path = "/text"}, "text/plain", 1, 0);
    fill_subscriptions(&a);
    text = export_keys(&a);
    for (size_t i = 0, len = strlen(text); i < len; i += 5) {
        char was = text[i];

        text[i] = i % 2 ? (char)(unit_random(&seed) % 255 + 1) : ' ';
        (void)import_text(&f, text, false, &dump);
        text[i] = was;
        if (i % 4 == 0)
            expect_sound(&f);
        run_sql(&f, "DELETE FROM stream; DELETE FROM message; DELETE FROM garbage");
        if (ask("SELECT count(*) FROM sqlite_schema WHERE name = 'subscription'") == 1)
            run_sql(&f, "DELETE FROM subscription; DELETE FROM subscription_tombstone");
    }
    free(text);
    close_both();
}
END_TEST

UNIT_MAIN(store_dump_subscription, restores_subscriptions_and_keys, leaves_keys_out_unless_asked,
          wakes_what_is_pending_after_an_import, keeps_cursors_beside_arrivals,
          does_not_trust_the_cursor_of_another_stream, goes_on_counting_generations,
          refuses_or_skips_existing_names, leaves_subscriptions_out_on_request,
          refuses_malformed_subscriptions, survives_a_damaged_file)
