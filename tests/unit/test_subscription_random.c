/*
 * Subscriptions under random requests, several in a batch: after every batch the tables must agree
 * with each other, and whatever is pending must have a wake that somebody will hear of.
 */
#include "subscription_unit.h"

enum { ROUNDS = 40, BATCHES = 150, MOST = 6, PATHS = 9, NAMES = 4 };

static const char *const paths[PATHS] = {"/v1/stream/e/0",   "/v1/stream/e/1", "/v1/stream/e/2",
                                         "/v1/stream/e/x/3", "/v1/stream/o/4", "/v1/stream/o/5",
                                         "/v1/stream/w0",    "/v1/stream/w1",  "/elsewhere"};
static const char *const names[NAMES] = {"a", "b", "c", "d"};
static const char *const patterns[] = {"e/*", "**", "e/**", "o/*/none", NULL};

/* Each must find nothing. */
static const char *const laws[] = {
    /* pending says whether there is data after the cursor */
    "SELECT count(*) FROM subscription_link AS l LEFT JOIN stream AS s ON s.id = l.stream_id "
    "WHERE l.pending <> (s.id IS NOT NULL AND s.tail > max(l.acked, 0))",
    /* something pending has a wake */
    "SELECT count(*) FROM subscription AS s WHERE wake_id IS NULL AND EXISTS "
    "(SELECT 1 FROM subscription_link WHERE subscription_id = s.id AND pending = 1)",
    /* a wake is due, or has a lease, or its event is where workers look */
    "SELECT count(*) FROM subscription AS s WHERE wake_id IS NOT NULL AND event_due IS NULL "
    "AND lease_until IS NULL AND next_attempt_at IS NULL AND NOT EXISTS "
    "(SELECT 1 FROM stream AS w JOIN message AS m ON m.stream_id = w.id "
    "WHERE w.path = s.wake_stream AND CAST(m.payload AS TEXT) GLOB "
    "'*\"subscription_id\":\"' || s.name || '\",*\"generation\":' || s.generation || ',*')",
    /* a webhook that is woken has a lease */
    "SELECT count(*) FROM subscription WHERE type = 'webhook' AND wake_id IS NOT NULL AND "
    "lease_until IS NULL",
    /* an idle one has nothing of a wake */
    "SELECT count(*) FROM subscription WHERE wake_id IS NULL AND (holder IS NOT NULL OR "
    "lease_until IS NOT NULL OR next_attempt_at IS NOT NULL OR event_due IS NOT NULL)",
    /* a cursor is not beyond its stream */
    "SELECT count(*) FROM subscription_link AS l JOIN stream AS s ON s.id = l.stream_id "
    "WHERE l.acked > s.tail OR l.path <> s.path OR s.deleted_at IS NOT NULL",
    /* a link has a stream, or is explicit and its stream does not exist, or has expired */
    "SELECT count(*) FROM subscription_link AS l WHERE stream_id IS NULL AND (is_explicit = 0 OR "
    "EXISTS (SELECT 1 FROM stream WHERE path = l.path AND deleted_at IS NULL "
    "AND expires_at IS NULL))",
    "SELECT count(*) FROM subscription_link WHERE is_explicit = 0 AND is_glob = 0",
    "SELECT count(*) FROM subscription_link WHERE subscription_id NOT IN "
    "(SELECT id FROM subscription)",
    /* streams know that they are watched */
    "SELECT count(*) FROM stream AS s WHERE (subscribed = 1) IS NOT "
    "(CASE WHEN EXISTS (SELECT 1 FROM subscription_link WHERE stream_id = s.id) THEN 1 END)",
    /* a pattern has every stream that it matches, and no wake stream */
    "SELECT count(*) FROM subscription AS p JOIN stream AS s WHERE deleted_at IS NULL AND "
    "expires_at IS NULL AND "
    "s.path GLOB '/v1/stream/*' AND (p.pattern = '**' OR "
    "(p.pattern IN ('e/*', 'e/**') AND s.path GLOB '/v1/stream/e/[0-9]') OR "
    "(p.pattern = 'e/**' AND s.path GLOB '/v1/stream/e/x/*')) AND "
    "s.path NOT IN (SELECT wake_stream FROM subscription WHERE wake_stream IS NOT NULL) AND "
    "s.path NOT IN ('/v1/stream/w0', '/v1/stream/w1') AND NOT EXISTS "
    "(SELECT 1 FROM subscription_link WHERE stream_id = s.id AND subscription_id = p.id "
    "AND is_glob = 1)",
    "SELECT count(*) FROM subscription_link AS l JOIN subscription AS s "
    "ON s.wake_stream = l.path WHERE l.is_glob = 1",
    "SELECT count(*) FROM subscription_arrival",
    "SELECT count(*) FROM subscription WHERE unsettled IS NOT NULL",
    "SELECT count(*) FROM subscription_tombstone AS t JOIN subscription AS s "
    "ON s.name = t.name OR s.id = t.id",
};

static uint32_t seed;

static uint32_t chance(uint32_t of)
{
    return unit_random(&seed) % of;
}

/* A write of any kind. What it needs lives as long as the arena of the fixture. */
struct random_write {
    struct any any;
    struct request request;
    struct subscription_put put;
    struct subscription_delete deletion;
    struct subscription_streams streams;
    struct subscription_claim claim;
    struct subscription_answer answer;
    struct subscription_offset ack;
    struct subscription_begin begin;
    struct subscription_end end;
    struct subscription_nudge nudge;
    bool more;
    const char *path;
};

/* The last claim or attempt of each subscription. */
static struct {
    const char *token, *wake_id;
    int64_t generation;
    struct subscription_attempt *attempt;
} last[NAMES];

static void use(struct random_write *write,
                enum ds_status (*run)(struct batch *batch, void *request), void *request)
{
    write->any = (struct any){
        .write = {.apply = apply_any, .finish = finish_any}, .run = run, .request = request};
}

static void fill_create(struct random_write *write)
{
    write->request.create = (struct stream_create){
        .path = write->path,
        .content_type = chance(4) == 0 ? "text/plain" : "application/json",
        .ttl_seconds = -1,
        .expires_at = chance(8) == 0 ? 1 : -1, /* has expired when it is made */
        .fork_offset = -1,
        .closed = chance(16) == 0,
        .arena = f.arena,
        .body = {.data = "[1,2]", .len = chance(2) ? 5 : 0, .max_messages = 9}};
    if (chance(4) == 0) {
        write->request.create.source = paths[chance(PATHS)];
        write->request.create.content_type = NULL;
    }
}

static void fill_stream(struct random_write *write, uint32_t kind)
{
    apply_fn *apply = kind == 0 ? apply_create : kind == 1 ? apply_delete : apply_append;

    if (kind == 0)
        fill_create(write);
    write->request.deletion.path = write->path;
    write->request.append = (struct stream_append){
        .path = write->path,
        .closes = chance(20) == 0,
        .body = {.data = "12", .len = chance(10) == 0 ? 0 : 2, .max_messages = 9}};
    write->request.write.apply = apply;
    write->request.write.finish = finish_request;
}

static void fill_put(struct random_write *write, uint32_t name)
{
    bool webhook = name % 2 == 1;

    write->put = (struct subscription_put){.name = names[name],
                                           .is_webhook = webhook,
                                           .pattern = patterns[chance(5)],
                                           .stream = &write->path,
                                           .streams = 1,
                                           .url = webhook ? "http://127.0.0.1:9/" : NULL,
                                           .wake_stream = webhook ? NULL : paths[6 + chance(2)],
                                           .lease_ttl_ms = 30000,
                                           .base_url = "http://h",
                                           .most = 3,
                                           .arena = f.arena};
    use(write, run_put, &write->put);
}

static void fill_answer(struct random_write *write, uint32_t name)
{
    write->ack = (struct subscription_offset){.path = write->path, .position = chance(9)};
    write->answer = (struct subscription_answer){.name = names[name],
                                                 .reply = name % 2 == 1    ? SUBSCRIPTION_CALLBACK
                                                          : chance(4) == 0 ? SUBSCRIPTION_RELEASE
                                                                           : SUBSCRIPTION_ACK,
                                                 .token = last[name].token,
                                                 .wake_id = last[name].wake_id,
                                                 .generation = last[name].generation,
                                                 .ack = &write->ack,
                                                 .acks = chance(3) == 0 ? 0 : 1,
                                                 .done = chance(2) == 0};
    use(write, run_answer, &write->answer);
}

static void fill_end(struct random_write *write, uint32_t name)
{
    if (!last[name].attempt) {
        use(write, run_upkeep, &write->more);
        return;
    }
    write->end = (struct subscription_end){.attempt = last[name].attempt,
                                           .outcome = (enum subscription_outcome)chance(3),
                                           .failure = "it failed"};
    use(write, run_end, &write->end);
}

static void fill_subscription(struct random_write *write, uint32_t kind, uint32_t name)
{
    switch (kind) {
    case 0:
        fill_put(write, name);
        break;
    case 1:
        write->deletion = (struct subscription_delete){.name = names[name]};
        use(write, run_delete, &write->deletion);
        break;
    case 2:
        write->streams = (struct subscription_streams){
            .name = names[name], .stream = &write->path, .streams = 1, .removes = chance(2) == 0};
        use(write, run_streams, &write->streams);
        break;
    case 3:
        write->nudge = (struct subscription_nudge){.name = names[name]};
        use(write, run_nudge, &write->nudge);
        break;
    case 4:
    case 5:
        write->claim =
            (struct subscription_claim){.name = names[name], .worker = "w", .arena = f.arena};
        use(write, run_claim, &write->claim);
        break;
    case 6:
        write->begin = (struct subscription_begin){.arena = f.arena, .most = 3};
        use(write, run_begin, &write->begin);
        break;
    case 7:
        fill_end(write, name);
        break;
    case 8:
        use(write, run_upkeep, &write->more);
        break;
    default:
        fill_answer(write, name);
        break;
    }
}

static struct commit_write *fill_write(struct random_write *write)
{
    memset(write, 0, sizeof *write);
    write->path = paths[chance(chance(8) == 0 ? PATHS : 6)];
    if (chance(2) == 0) {
        fill_stream(write, chance(6));
        return &write->request.write;
    }
    fill_subscription(write, chance(12), chance(NAMES));
    return &write->any.write;
}

static void remember(const struct random_write *write)
{
    for (uint32_t i = 0; i < NAMES; i++) {
        if (write->claim.token && strcmp(write->claim.name, names[i]) == 0) {
            last[i].token = write->claim.token;
            last[i].wake_id = write->claim.view.row.wake_id;
            last[i].generation = write->claim.generation;
        }
        for (size_t n = 0; n < write->begin.attempts; n++) {
            struct subscription_attempt *attempt = &write->begin.attempt[n];

            if (strcmp(attempt->view.row.name, names[i]) != 0)
                continue;
            last[i].attempt = attempt;
            last[i].token = attempt->token;
            last[i].wake_id = attempt->view.row.wake_id;
            last[i].generation = attempt->view.row.generation;
        }
    }
}

/* What time, and people at the prompt, do between two batches. */
static void disturb(void)
{
    bool more;

    switch (chance(12)) {
    case 0:
        type("UPDATE subscription SET lease_until = 1 WHERE lease_until IS NOT NULL");
        break;
    case 1:
        type("UPDATE subscription SET next_attempt_at = 1 WHERE next_attempt_at IS NOT NULL");
        break;
    case 2:
        type("DELETE FROM stream WHERE path = '/v1/stream/e/1' AND NOT EXISTS "
             "(SELECT 1 FROM stream AS fork WHERE fork.source_id = stream.id)");
        break;
    case 3:
        type("INSERT OR IGNORE INTO stream (path, content_type, tail, created_at) "
             "VALUES ('/v1/stream/e/2', 'text/plain', 0, 0)");
        break;
    case 4:
        type("DELETE FROM subscription WHERE name = 'c'");
        break;
    case 5:
        type("UPDATE stream SET deleted_at = 1 WHERE path = '/v1/stream/o/4'");
        break;
    default:
        return;
    }
    submit_any(run_upkeep, &more);
}

static void check_laws(int round, int batch)
{
    bool has;

    ck_assert_int_eq(store_has_subscriptions(f.conn, &has), DS_OK);
    for (size_t i = 0; has && i < sizeof laws / sizeof laws[0]; i++)
        ck_assert_msg(ask(laws[i]) == 0, "round %d, batch %d breaks: %s", round, batch, laws[i]);
}

static void check_generations(int64_t before[static NAMES])
{
    bool has;

    ck_assert_int_eq(store_has_subscriptions(f.conn, &has), DS_OK);
    for (size_t i = 0; has && i < NAMES; i++) {
        char sql[200];
        int64_t now;

        (void)snprintf(sql, sizeof sql,
                       "SELECT generation FROM subscription WHERE name = '%s' UNION ALL "
                       "SELECT generation FROM subscription_tombstone WHERE name = '%s'",
                       names[i], names[i]);
        now = ask(sql);
        ck_assert_int_ge(now, before[i]);
        before[i] = now;
    }
}

START_TEST(random_batches_keep_the_laws)
{
    struct batch_context context;

    for (int round = 0; round < ROUNDS; round++) {
        int64_t generations[NAMES] = {0};

        seed = (uint32_t)round + 1;
        memset(last, 0, sizeof last);
        open_all();
        (void)put_pool("a", "e/*"); /* makes the tables */
        context = (struct batch_context){.config = &f.config, .hints = store_hints(f.store)};
        for (int batch = 0; batch < BATCHES; batch++) {
            struct commit_writes writes = STAILQ_HEAD_INITIALIZER(writes);
            struct random_write write[MOST];
            uint32_t n = 1 + chance(MOST);

            for (uint32_t i = 0; i < n; i++) {
                struct commit_write *one = fill_write(&write[i]);

                STAILQ_INSERT_TAIL(&writes, one, link);
            }
            batch_run(&context, f.conn, &writes);
            for (uint32_t i = 0; i < n; i++) {
                ck_assert_int_eq(write[i].any.status, DS_OK);
                ck_assert_int_eq(write[i].request.status, DS_OK);
                remember(&write[i]);
            }
            check_laws(round, batch);
            disturb();
            check_laws(round, batch);
            check_generations(generations);
        }
        batch_context_close(&context);
        close_all();
    }
}
END_TEST

UNIT_MAIN(subscription_random, random_batches_keep_the_laws)
