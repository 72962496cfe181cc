/*
 * Rows that were damaged by the disk or by a statement at the prompt: each column of each table
 * gets absurd values, and then all reads and writes are done. None may crash or run forever, and if
 * a stream is refused as damaged, the check must say why.
 */
#include "damage_unit.h"
#include "protocol/fault.h"
#include "store/store_list.h"
#include "store/tools/store_dump.h"
#include "store_fill.h"
#include "store_request.h"

static const char *const columns[][2] = {
    {"stream", "path"},
    {"stream", "content_type"},
    {"stream", "tail"},
    {"stream", "messages"},
    {"stream", "created_at"},
    {"stream", "closed_at"},
    {"stream", "closed_producer"},
    {"stream", "closed_epoch"},
    {"stream", "closed_seq"},
    {"stream", "ttl_seconds"},
    {"stream", "expires_at"},
    {"stream", "last_seq"},
    {"stream", "source_id"},
    {"stream", "fork_position"},
    {"stream", "fork_offset"},
    {"stream", "fork_sub_offset"},
    {"stream", "deleted_at"},
    {"stream", "registry"},
    {"message", "stream_id"},
    {"message", "position"},
    {"message", "part"},
    {"message", "appended_at"},
    {"message", "payload"},
    {"producer", "stream_id"},
    {"producer", "producer_id"},
    {"producer", "epoch"},
    {"producer", "last_seq"},
    {"producer", "updated_at"},
    {"garbage", "stream_id"},
    {"faults", "path"},
    {"faults", "method"},
    {"faults", "count"},
    {"faults", "probability"},
    {"faults", "delay_ms"},
    {"faults", "jitter_ms"},
    {"faults", "drop_connection"},
    {"faults", "status"},
    {"faults", "retry_after"},
    {"faults", "truncate_body_bytes"},
    {"faults", "corrupt_body"},
    {"faults", "sse_event_type"},
    {"faults", "sse_event_data"},
};

static const char *const paths[] = {
    "/z/binary",      "/json",   "/text",      "/large",    "/empty", "/a/fork",
    "/a/fork%2Fdeep", "/before", "/json/fork", "/registry", "/new",   "",
};

static struct commit *committer;
static bool refused; /* some call returned DS_FAILED */

static enum ds_status ordinary(enum ds_status status)
{
    ck_assert(status >= DS_OK && status <= DS_DENIED);
    refused |= status == DS_FAILED;
    return status;
}

static void add_faults(struct fixture *f)
{
    const struct fault fault = {.path = "/text",
                                .count = 100,
                                .probability = 1,
                                .delay_ms = 1,
                                .retry_after = 1,
                                .mangle = {.bytes = 5, .truncate = true},
                                .event_type = "a",
                                .event_data = "b"};

    ck_assert_int_eq(store_fault_set(f->conn, &fault), DS_OK);
    run_sql(f, "INSERT INTO garbage VALUES (900), (901); "
               "INSERT INTO message (stream_id, position, part, appended_at, payload) "
               "VALUES (900, 0, 0, 1, 'x'), (900, 1, 0, 1, 'y'), (901, 0, 0, 1, 'z'); "
               "INSERT INTO producer VALUES (900, 'p', 1, 1, 1)");
}

/* --- using the damaged database --- */

static void submit(struct request *request, apply_fn *apply)
{
    (void)ordinary(submit_request(committer, request, apply));
}

/* Reads from here to the end, or until a failure. Each read must advance. */
static void read_on(struct fixture *f, const struct stream *stream, int64_t from, size_t limit)
{
    int64_t next = from;

    for (int steps = 0; steps < 5; steps++) {
        struct buf out = {0};
        enum ds_status status = ordinary(store_read(f->conn, stream, from, limit, &out, &next));

        buf_close(&out);
        if (status != DS_OK || next >= stream->tail)
            return;
        /* the first position may lie inside a message; the read then starts before it */
        ck_assert(steps == 0 ? next != from : next > from);
        from = next;
    }
}

static void read_stream(struct fixture *f, const char *path)
{
    static const int64_t places[] = {0, 1, 7, 450, 300000, 9999999999999999};
    struct stream stream;
    int64_t position;

    if (ordinary(store_hold(f->conn, f->arena, path, clock_wall_ms(), &stream)) == DS_OK) {
        ck_assert(stream.tail >= 0 && stream.tail <= 9999999999999999);
        ck_assert_ptr_null(strpbrk(stream.content_type, "\r\n"));
        for (size_t i = 0; i < COUNT(places); i++) {
            read_on(f, &stream, places[i], 1);
            read_on(f, &stream, places[i], 1 << 16);
            (void)ordinary(store_resolve(f->conn, &stream, places[i], 0, &position));
            (void)ordinary(store_resolve(f->conn, &stream, places[i], 3, &position));
        }
        read_on(f, &stream, stream.tail, 100);
    }
    store_end_read(f->conn);
}

static void write_stream(struct fixture *f, const char *path)
{
    static const char *const types[] = {NULL, "application/json"};
    struct request fork = {.create = {.path = "/forked",
                                      .ttl_seconds = -1,
                                      .expires_at = -1,
                                      .source = path,
                                      .fork_offset = -1,
                                      .arena = f->arena}};

    for (size_t i = 0; i < COUNT(types); i++) {
        struct request append = {.append = {.path = path,
                                            .content_type = types[i],
                                            .body = {.data = "7", .len = 1, .max_messages = 10},
                                            .seq = i % 2 ? "zz" : NULL,
                                            .producer = {"p", 1, 3, 8 + (int64_t)i}}};
        struct request create = {.create = {.path = path,
                                            .content_type = types[i],
                                            .ttl_seconds = i == 1 ? 9007199254740991 : -1,
                                            .expires_at = -1,
                                            .arena = f->arena}};

        submit(&append, apply_append);
        submit(&create, apply_create);
    }
    submit(&fork, apply_create);
    read_stream(f, "/forked");
    fork.create.fork_offset = 5;
    fork.create.path = "/forked/again";
    submit(&fork, apply_create);
}

static bool list_one(void *arg, const struct stream *stream, const char *source,
                     enum ds_status life)
{
    (void)source;
    (void)life;
    ck_assert_ptr_nonnull(stream->path);
    return ++*(int *)arg < 1000;
}

static void look_at_all(struct fixture *f)
{
    struct store_dump dump = {.file = fopen("/dev/null", "w")};
    int listed = 0;

    for (int order = STORE_LIST_BY_PATH; order <= STORE_LIST_BY_EXPIRES; order++) {
        const struct store_list list = {.order = (enum store_list_order)order, .dead = true};

        (void)ordinary(store_list(f->conn, &list, clock_wall_ms(), list_one, &listed));
    }
    (void)ordinary(store_export(f->conn, &dump));
    for (size_t i = 0; i < COUNT(paths); i += 4) {
        dump.path = paths[i];
        (void)ordinary(store_export(f->conn, &dump));
    }
    (void)fclose(dump.file);
}

static void meet_faults(struct fixture *f)
{
    struct fault fault;
    struct buf out = {0};

    if (ordinary(store_fault_meet(f->conn, f->arena, "/text", "GET", 0.5, &fault)) == DS_OK)
        ck_assert(fault_delay(&fault) >= 0 && fault_delay(&fault) <= 2 * FAULT_MOST_MS + 1);
    (void)ordinary(store_fault_after(f->conn, f->arena, "", &fault));
    (void)ordinary(store_fault_list(f->conn, &out));
    (void)ordinary(store_fault_clear(f->conn, "/text"));
    buf_close(&out);
}

static void do_upkeep(struct fixture *f)
{
    struct request sweep = {.more = true};
    bool needed;

    for (int slices = 0; sweep.more; slices++) {
        ck_assert_msg(slices < 200, "the sweep never ends");
        sweep.more = false;
        submit(&sweep, apply_sweep);
        sweep.more &= sweep.status == DS_OK;
    }
    (void)ordinary(store_sweep_needed(f->conn, clock_wall_ms(), &needed));
}

/* --- tests --- */

static void open_all(struct fixture *f)
{
    ck_assert_int_eq(store_open(&f->store, &f->config, true), DS_OK);
    ck_assert_int_eq(store_connect(&f->conn, f->store), DS_OK);
    ck_assert_int_eq(commit_start(&committer, f->store, &f->config, false), DS_OK);
    f->arena = arena_new();
}

static void close_all(struct fixture *f)
{
    commit_free(committer);
    arena_free(f->arena);
    store_disconnect(f->conn);
    store_close(f->store, true);
}

/* before: number of findings without the damage. */
static void use_all(struct fixture *f, const char *what, int before)
{
    int found;

    if (strncmp(what, "faults", 6) == 0) {
        meet_faults(f);
        return;
    }
    for (size_t i = 0; i < COUNT(paths); i++)
        read_stream(f, paths[i]);
    look_at_all(f);
    found = run_check(f) - before;
    ck_assert_msg(!refused || found > 0, "%s: refused, and nothing found", what);
    for (size_t i = 0; i < COUNT(paths); i++)
        write_stream(f, paths[i]);
    meet_faults(f);
    do_upkeep(f);
    for (size_t i = 0; i < COUNT(paths); i++) {
        struct request request = {.deletion = {.path = paths[i]}};

        submit(&request, apply_delete);
        read_stream(f, paths[i]);
    }
    do_upkeep(f);
}

START_TEST(no_damaged_value_causes_a_hang_or_a_crash)
{
    const char *const *column = columns[_i];
    char what[300];
    struct fixture f;
    int before;

    (void)setenv("DS_TEST_ENDPOINTS", "1", 1);
    open_fixture(&f);
    fill(&f);
    add_faults(&f);
    drop_rules(&f);
    ck_assert_int_eq(store_checkpoint(f.conn, true), DS_OK);
    (void)snprintf(what, sizeof what, "cp %s/streams.db %s/pristine", f.folder, f.folder);
    ck_assert_int_eq(system(what), 0);
    store_disconnect(f.conn);
    store_close(f.store, true);
    arena_free(f.arena);
    for (size_t i = 0; i < COUNT(values); i++) {
        (void)snprintf(what, sizeof what, "cd %s && rm -f streams.db-* && cp pristine streams.db",
                       f.folder);
        ck_assert_int_eq(system(what), 0);
        open_all(&f);
        (void)snprintf(what, sizeof what, "%s.%s = %s", column[0], column[1], values[i]);
        before = run_check(&f);
        damage(&f, column[0], column[1], values[i]);
        refused = false;
        use_all(&f, what, before);
        close_all(&f);
    }
    ck_assert_int_eq(store_open(&f.store, &f.config, true), DS_OK);
    ck_assert_int_eq(store_connect(&f.conn, f.store), DS_OK);
    f.arena = arena_new();
    close_fixture(&f);
}
END_TEST

/* Streams that are forks of each other, or of themselves. */
START_TEST(a_circle_of_forks_ends)
{
    static const char *const circles[] = {
        "UPDATE stream SET source_id = id, fork_position = 1000, tail = 1005, fork_offset = 1, "
        "fork_sub_offset = 0",
        "UPDATE stream SET source_id = 1 + id % 9, fork_position = tail, fork_offset = 0, "
        "fork_sub_offset = 0",
        "UPDATE stream SET source_id = 11 - id, fork_position = 0, fork_offset = 0, "
        "fork_sub_offset = 0 WHERE id > 1",
    };
    struct fixture f;

    open_fixture(&f);
    fill(&f);
    ck_assert_int_eq(commit_start(&committer, f.store, &f.config, false), DS_OK);
    run_sql(&f, circles[_i]);
    refused = false;
    for (size_t i = 0; i < COUNT(paths); i++)
        read_stream(&f, paths[i]);
    ck_assert(refused);
    look_at_all(&f);
    ck_assert_int_gt(run_check(&f), 0);
    for (size_t i = 0; i < COUNT(paths); i++) {
        struct request request = {.deletion = {.path = paths[i]}};

        submit(&request, apply_delete);
    }
    do_upkeep(&f);
    commit_free(committer);
    close_fixture(&f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store_damage");
    TCase *tcase = tcase_create("store_damage");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, no_damaged_value_causes_a_hang_or_a_crash, 0, (int)COUNT(columns));
    tcase_add_loop_test(tcase, a_circle_of_forks_ends, 0, 3);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
