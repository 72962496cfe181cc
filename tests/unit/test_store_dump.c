/* Export and import: nothing is lost, no stream is imported in part, and no input is trusted. */
#include "dump_unit.h"
#include "hints/renewal.h"
#include "hints/wake.h"
#include "store_fill.h"

/* --- databases --- */

/* All contents of the tables, except for ids. */
static char *describe(struct fixture *f)
{
    static const char *const queries[] = {
        "SELECT s.path, s.content_type, s.tail, s.messages, s.created_at, s.closed_at, "
        "quote(s.closed_producer), s.closed_epoch, s.closed_seq, s.ttl_seconds, s.expires_at, "
        "quote(s.last_seq), source.path, s.fork_position, s.fork_offset, s.fork_sub_offset, "
        "s.deleted_at, s.registry FROM stream s LEFT JOIN stream source ON source.id = s.source_id "
        "ORDER BY s.path",
        "SELECT s.path, position, part, appended_at, typeof(payload), hex(payload) "
        "FROM message JOIN stream s ON s.id = stream_id ORDER BY s.path, position",
        "SELECT s.path, hex(producer_id), epoch, producer.last_seq, updated_at "
        "FROM producer JOIN stream s ON s.id = stream_id ORDER BY 1, 2"};
    struct buf out = {0};
    size_t len;

    for (size_t i = 0; i < COUNT(queries); i++) {
        sqlite3_stmt *stmt;

        ck_assert_int_eq(sqlite3_prepare_v2(f->conn->db, queries[i], -1, &stmt, NULL), SQLITE_OK);
        while (sqlite3_step(stmt) == SQLITE_ROW) {
            for (int c = 0; c < sqlite3_column_count(stmt); c++) {
                const char *text = (const char *)sqlite3_column_text(stmt, c);

                buf_adds(&out, text ? text : "-");
                buf_addc(&out, c + 1 < sqlite3_column_count(stmt) ? '|' : '\n');
            }
        }
        (void)sqlite3_finalize(stmt);
    }
    buf_addc(&out, '\0');
    return buf_take(&out, &len);
}

/* --- nothing is lost --- */

/* Checks that two databases have the same contents. */
static void expect_same(struct fixture *a, struct fixture *b)
{
    char *there = describe(a), *here = describe(b);

    ck_assert_str_eq(there, here);
    free(there);
    free(here);
}

START_TEST(restores_everything)
{
    struct fixture a, b;
    struct store_dump dump;
    char *there, *here, *first, *second;

    open_fixture(&a);
    open_fixture(&b);
    fill(&a);
    first = export_text(&a, NULL);
    ck_assert_msg(import_text(&b, first, false, &dump) == DS_OK, "%s", dump.reason);
    ck_assert_int_eq(dump.streams, 9);
    ck_assert_int_eq(dump.rows, count(&a, "SELECT count(*) FROM message"));
    ck_assert_int_eq(dump.producers, 3);
    there = describe(&a);
    here = describe(&b);
    ck_assert_str_eq(there, here);
    /* to be sure that the text is not empty */
    ck_assert_ptr_nonnull(strstr(here, "/z/binary|image/png|1500|5|"));
    second = export_text(&b, NULL);
    ck_assert_str_eq(behind_head(first), behind_head(second));
    free(there);
    free(here);
    free(first);
    free(second);
    close_fixture(&a);
    close_fixture(&b);
}
END_TEST

START_TEST(reads_a_pipe)
{
    struct fixture a, b;
    struct store_dump dump;
    FILE *pipe;
    char command[100], *text;

    open_fixture(&a);
    open_fixture(&b);
    fill(&a);
    (void)snprintf(command, sizeof command, "cat %s/dump", a.folder);
    text = export_text(&a, NULL);
    (void)snprintf(command, sizeof command, "%s/dump", a.folder);
    pipe = fopen(command, "w");
    ck_assert_ptr_nonnull(pipe);
    (void)fputs(text, pipe);
    (void)fclose(pipe);
    free(text);
    (void)snprintf(command, sizeof command, "cat %s/dump", a.folder);
    pipe = popen(command, "r");
    ck_assert_ptr_nonnull(pipe);
    dump = (struct store_dump){.file = pipe};
    ck_assert_msg(store_import(b.conn, &dump) == DS_OK, "%s", dump.reason);
    (void)pclose(pipe);
    expect_same(&a, &b);
    close_fixture(&a);
    close_fixture(&b);
}
END_TEST

START_TEST(keeps_pruned_streams_pruned)
{
    struct fixture a, b;
    struct store_dump dump;
    char *text;

    open_fixture(&a);
    open_fixture(&b);
    (void)grow(&a, (struct stream){.path = "/json"}, "application/json", 5, 0);
    (void)grow(&a, (struct stream){.path = "/large"}, "a/b", 2, 600 * 1024);
    (void)grow(&a, (struct stream){.path = "/none"}, "a/b", 2, 10);
    run_sql(&a, "DELETE FROM message WHERE position < 300000; DELETE FROM message "
                "WHERE stream_id = (SELECT id FROM stream WHERE path = '/none')");
    text = export_text(&a, NULL);
    ck_assert_msg(import_text(&b, text, false, &dump) == DS_OK, "%s", dump.reason);
    expect_same(&a, &b);
    free(text);
    close_fixture(&a);
    close_fixture(&b);
}
END_TEST

START_TEST(omits_expired_streams_unless_forks_read_them)
{
    struct fixture a, b;
    struct store_dump dump;
    struct stream expired;
    char *text;

    open_fixture(&a);
    open_fixture(&b);
    (void)grow(&a, (struct stream){.path = "/over", .expires_at = 5}, "a/b", 1, 10);
    expired = grow(&a, (struct stream){.path = "/read", .expires_at = 7}, "a/b", 1, 10);
    (void)grow(&a, fork_of(&expired, "/fork", 10), "a/b", 1, 10);
    text = export_text(&a, NULL);
    ck_assert_ptr_null(strstr(text, "/over"));
    ck_assert_msg(import_text(&b, text, false, &dump) == DS_OK, "%s", dump.reason);
    ck_assert_int_eq(dump.streams, 2);
    ck_assert_int_eq(count(&b, "SELECT deleted_at FROM stream WHERE path = '/read'"), 7);
    free(text);
    close_fixture(&a);
    close_fixture(&b);
}
END_TEST

START_TEST(saves_renewals_that_the_database_has_not_seen)
{
    struct fixture f;
    struct stream stream;
    int64_t until = clock_wall_ms() + DAY;
    char *text, expected[60];

    open_fixture(&f);
    stream = grow(&f, (struct stream){.path = "/ttl", .ttl_seconds = 86400, .expires_at = 5}, "a/b",
                  1, 10);
    ck_assert(renewal_note(store_hints(f.store), stream.id, until));
    text = export_text(&f, NULL);
    (void)snprintf(expected, sizeof expected, "\"expires_at\":%lld}", (long long)until);
    ck_assert_ptr_nonnull(strstr(text, expected));
    free(text);
    close_fixture(&f);
}
END_TEST

/* --- one stream --- */

/* A fork exported by itself counts only the messages that its source still has: none here. */
START_TEST(keeps_a_fork_of_pruned_rows_pruned)
{
    struct fixture a, b;
    struct store_dump dump;
    struct stream source;
    char *text;

    open_fixture(&a);
    open_fixture(&b);
    source = grow(&a, (struct stream){.path = "/source"}, "a/b", 2, 10);
    (void)grow(&a, fork_of(&source, "/fork", 20), "a/b", 0, 0);
    run_sql(&a, "DELETE FROM message");
    text = export_text(&a, "/fork");
    ck_assert_msg(import_text(&b, text, false, &dump) == DS_OK, "%s", dump.reason);
    ck_assert_int_eq(count(&b, "SELECT tail FROM stream WHERE messages > 0"), 20);
    free(text);
    close_fixture(&a);
    close_fixture(&b);
}
END_TEST

START_TEST(makes_a_fork_readable_by_itself)
{
    struct fixture a, b;
    struct store_dump dump;
    struct stream there, here;
    static const char *const paths[] = {"/a/fork%2Fdeep", "/before", "/json/fork", "/text"};

    open_fixture(&a);
    open_fixture(&b);
    fill(&a);
    for (size_t i = 0; i < COUNT(paths); i++) {
        char *text = export_text(&a, paths[i]), *read_there, *read_here;
        int64_t end_there, end_here;

        ck_assert_msg(import_text(&b, text, false, &dump) == DS_OK, "%s", dump.reason);
        ck_assert_int_eq(dump.streams, 1);
        ck_assert_int_eq(store_find(a.conn, a.arena, paths[i], 0, &there), DS_OK);
        ck_assert_int_eq(store_find(b.conn, b.arena, paths[i], 0, &here), DS_OK);
        ck_assert_int_eq(here.source_id, 0);
        ck_assert_int_eq(here.tail, there.tail);
        for (int64_t from = 0; from <= there.tail; from += there.kind == HTTP_TYPE_JSON ? 999 : 7) {
            read_there = read_text(&a, &there, from, 1000, &end_there);
            read_here = read_text(&b, &here, from, 1000, &end_here);
            ck_assert_int_eq(end_here, end_there);
            ck_assert_mem_eq(read_here, read_there, (size_t)(end_there - from));
            free(read_there);
            free(read_here);
        }
        free(text);
    }
    /* messages that begin before 475: 2 of 300 bytes, 1 of the fork's; and 1 of its own */
    ck_assert_int_eq(count(&b, "SELECT messages FROM stream WHERE path = '/a/fork%2Fdeep'"),
                     2 + 1 + 1);
    close_fixture(&a);
    close_fixture(&b);
}
END_TEST

START_TEST(reports_a_stream_that_does_not_exist)
{
    struct fixture f;
    struct store_dump dump;
    FILE *file = tmpfile();

    open_fixture(&f);
    fill(&f);
    ck_assert_int_eq(export_to(&f, file, "/nowhere", &dump), DS_NOT_FOUND);
    ck_assert_int_eq(export_to(&f, file, "/z/binary", &dump), DS_GONE);
    ck_assert_str_ne(dump.reason, "");
    (void)fclose(file);
    close_fixture(&f);
}
END_TEST

START_TEST(reports_a_failed_write)
{
    struct fixture f;
    struct store_dump dump;
    FILE *file = fopen("/dev/full", "w");

    open_fixture(&f);
    fill(&f);
    ck_assert_int_eq(export_to(&f, file, NULL, &dump), DS_NO_SPACE);
    ck_assert_str_eq(dump.reason, "cannot write: No space left on device");
    (void)fclose(file);
    close_fixture(&f);
}
END_TEST

/* --- streams that exist already --- */

START_TEST(refuses_or_skips_existing_paths)
{
    struct fixture a, b;
    struct store_dump dump;
    char *text;

    open_fixture(&a);
    open_fixture(&b);
    fill(&a);
    text = export_text(&a, NULL);
    ck_assert_int_eq(import_text(&b, text, false, &dump), DS_OK);
    ck_assert_int_eq(import_text(&b, text, false, &dump), DS_CONFLICT);
    ck_assert_msg(strcmp(dump.reason, "line 2: the stream /z/binary exists") == 0, "%s",
                  dump.reason);
    run_sql(&b, "DELETE FROM stream WHERE path IN ('/json/fork', '/before', '/empty')");
    ck_assert_msg(import_text(&b, text, true, &dump) == DS_OK, "%s", dump.reason);
    ck_assert_int_eq(dump.streams, 3);
    ck_assert_int_eq(dump.skipped, 6);
    expect_same(&a, &b);
    free(text);
    close_fixture(&a);
    close_fixture(&b);
}
END_TEST

START_TEST(replaces_expired_streams)
{
    struct fixture a, b;
    struct store_dump dump;
    char *text;

    open_fixture(&a);
    open_fixture(&b);
    (void)grow(&a, (struct stream){.path = "/x"}, "text/plain", 2, 0);
    (void)grow(&b, (struct stream){.path = "/x", .expires_at = 5}, "a/b", 1, 10);
    text = export_text(&a, NULL);
    ck_assert_msg(import_text(&b, text, false, &dump) == DS_OK, "%s", dump.reason);
    ck_assert_int_eq(count(&b, "SELECT messages FROM stream WHERE path = '/x'"), 2);
    ck_assert_int_eq(count(&b, "SELECT count(*) FROM garbage"), 1);
    free(text);
    close_fixture(&a);
    close_fixture(&b);
}
END_TEST

START_TEST(refuses_a_fork_whose_source_is_another_stream)
{
    struct fixture a, b;
    struct store_dump dump;
    struct stream source;
    char *text;

    open_fixture(&a);
    open_fixture(&b);
    source = grow(&a, (struct stream){.path = "/source"}, "a/b", 3, 10);
    (void)grow(&a, fork_of(&source, "/fork", 20), "a/b", 1, 10);
    (void)grow(&b, (struct stream){.path = "/source"}, "a/b", 3, 10);
    run_sql(&b, "UPDATE stream SET created_at = created_at + 1");
    text = export_text(&a, NULL);
    ck_assert_int_eq(import_text(&b, text, true, &dump), DS_CONFLICT);
    ck_assert_ptr_nonnull(strstr(dump.reason, "/source is not the source of this fork"));
    run_sql(&b, "UPDATE stream SET created_at = created_at - 1, tail = 19");
    ck_assert_int_eq(import_text(&b, text, true, &dump), DS_CONFLICT);
    ck_assert_int_eq(count(&b, "SELECT count(*) FROM stream"), 1);
    free(text);
    close_fixture(&a);
    close_fixture(&b);
}
END_TEST

START_TEST(commits_a_deleted_source_together_with_its_fork)
{
    struct fixture a, b;
    struct store_dump dump;
    struct stream source;
    char *text, *fork;

    open_fixture(&a);
    open_fixture(&b);
    source = grow(&a, (struct stream){.path = "/source"}, "a/b", 3, 10);
    /* does not come between the two */
    (void)grow(&a, (struct stream){.path = "/alone"}, "a/b", 1, 10);
    (void)grow(&a, fork_of(&source, "/fork", 20), "a/b", 1, 10);
    ck_assert_int_eq(store_begin_write(a.conn), DS_OK);
    ck_assert_int_eq(store_delete(a.conn, &source, 9), DS_OK);
    ck_assert_int_eq(store_commit(a.conn), DS_OK);
    text = export_text(&a, NULL);
    fork = strstr(text, "{\"end_of\":\"/fork\"");
    ck_assert_ptr_nonnull(fork);
    fork[12] = 'X';
    ck_assert_int_eq(import_text(&b, text, false, &dump), DS_INVALID);
    ck_assert_int_eq(count(&b, "SELECT count(*) FROM stream"), 0);
    ck_assert_int_eq(count(&b, "SELECT count(*) FROM message"), 0);
    fork[12] = 'f';
    ck_assert_msg(import_text(&b, text, false, &dump) == DS_OK, "%s", dump.reason);
    ck_assert_int_eq(count(&b, "SELECT count(*) FROM stream"), 3);
    free(text);
    close_fixture(&a);
    close_fixture(&b);
}
END_TEST

START_TEST(wakes_readers)
{
    struct fixture a, b;
    struct store_dump dump;
    uint64_t seen;
    int64_t id;
    char *text;

    open_fixture(&a);
    open_fixture(&b);
    (void)grow(&a, (struct stream){.path = "/x"}, "a/b", 3, 10);
    text = export_text(&a, NULL);
    seen = wake_head(store_hints(b.store));
    ck_assert_int_eq(import_text(&b, text, false, &dump), DS_OK);
    ck_assert_int_eq(wake_next(store_hints(b.store), &seen, &id), WAKE_STREAM);
    ck_assert_int_eq(id, count(&b, "SELECT id FROM stream"));
    free(text);
    close_fixture(&a);
    close_fixture(&b);
}
END_TEST

/* --- the registry --- */

static void appoint(struct fixture *f, const char *path)
{
    struct stream registry = grow(f, (struct stream){.path = path}, "application/json", 0, 0);

    ck_assert_int_eq(store_begin_write(f->conn), DS_OK);
    ck_assert_int_eq(store_appoint_registry(f->conn, registry.id), DS_OK);
    ck_assert_int_eq(store_commit(f->conn), DS_OK);
}

/* Number of events of an operation ("": all) in the registry. */
static int64_t events(struct fixture *f, const char *operation)
{
    char sql[200];

    (void)snprintf(sql, sizeof sql,
                   "SELECT count(*) FROM message WHERE stream_id = (SELECT id FROM stream WHERE "
                   "registry = 1) AND CAST(payload AS TEXT) LIKE '%%\"operation\":\"%s%%'",
                   operation);
    return count(f, sql);
}

START_TEST(restores_a_registry_byte_for_byte)
{
    struct fixture a, b;
    struct store_dump dump;
    char *text;

    open_fixture(&a);
    open_fixture(&b);
    appoint(&a, "/registry");
    fill(&a);
    text = export_text(&a, NULL);
    ck_assert_msg(import_text(&b, text, false, &dump) == DS_OK, "%s", dump.reason);
    expect_same(&a, &b);
    ck_assert_int_eq(events(&b, ""), 11);

    /* as if killed before the registry was appointed: the next import does that */
    run_sql(&b, "UPDATE stream SET registry = NULL");
    ck_assert_msg(import_text(&b, text, true, &dump) == DS_OK, "%s", dump.reason);
    ck_assert_int_eq(count(&b, "SELECT count(*) FROM stream WHERE registry = 1"), 1);
    free(text);

    /* exported by itself, it is an ordinary stream */
    text = export_text(&a, "/registry");
    ck_assert_ptr_null(strstr(text, "\"registry\":1"));
    free(text);
    close_fixture(&a);
    close_fixture(&b);
}
END_TEST

START_TEST(announces_imported_streams_in_the_registry)
{
    struct fixture a, b;
    struct store_dump dump;
    uint64_t seen;
    int64_t id, registry_woken = 0;
    char *text;

    open_fixture(&a);
    open_fixture(&b);
    appoint(&a, "/registry");
    fill(&a);
    appoint(&b, "/registry");
    text = export_text(&a, NULL);
    seen = wake_head(store_hints(b.store));
    ck_assert_msg(import_text(&b, text, false, &dump) == DS_OK, "%s", dump.reason);
    ck_assert(dump.kept_registry);
    ck_assert_int_eq(dump.streams, 9);
    /* but none of the two deleted streams, which only forks read */
    ck_assert_int_eq(events(&b, "insert"), 7);
    ck_assert_int_eq(events(&b, ""), 7);
    while (wake_next(store_hints(b.store), &seen, &id) == WAKE_STREAM)
        registry_woken += id == 1;
    ck_assert_int_gt(registry_woken, 0);
    free(text);
    close_fixture(&a);
    close_fixture(&b);
}
END_TEST

/* --- no input is trusted --- */

#define HEAD "{\"format\":\"durable-streams-export\",\"version\":1}\n"
#define STREAM(more)                                                                               \
    "{\"stream\":\"/x\",\"content_type\":\"text/plain\",\"tail\":2,\"messages\":1,"                \
    "\"created_at\":5" more "}\n"
#define ROW      "{\"position\":0,\"appended_at\":1,\"bytes\":2,\"data\":\"ab\"}\n"
#define PRODUCER "{\"producer\":\"p\",\"epoch\":0,\"seq\":1,\"updated_at\":1}\n"
#define END_OF(rows, producers)                                                                    \
    "{\"end_of\":\"/x\",\"rows\":" #rows ",\"producers\":" #producers "}\n"
#define END(streams, rows, producers)                                                              \
    "{\"end\":\"durable-streams-export\",\"streams\":" #streams ",\"rows\":" #rows                 \
    ",\"producers\":" #producers "}\n"
#define WITH(more)                                                                                 \
    HEAD STREAM(more)                                                                              \
    ROW END_OF(1, 0) END(1, 1, 0)
#define JSON_ROW(data)                                                                             \
    HEAD "{\"stream\":\"/x\",\"content_type\":\"application/json\",\"tail\":2,\"messages\":1,"     \
         "\"created_at\":5}\n{\"position\":0,\"appended_at\":1,\"bytes\":2,\"data\":\"" data       \
         "\"}\n" END_OF(1, 0) END(1, 1, 0)

START_TEST(refuses_malformed_files)
{
    static const struct {
        int line; /* 0: the error is reported before the first line */
        const char *text;
    } files[] = {
        {0, ""},
        {0, "hello\n"},
        {0, HEAD},
        {0, HEAD STREAM("") ROW},
        {0, HEAD STREAM("") ROW END_OF(1, 0)},
        {0, HEAD STREAM("") ROW END_OF(1, 0) "{\"end\":\"durable-streams-export\",\"streams\":1"},
        {1, STREAM("") ROW END_OF(1, 0) END(1, 1, 0)},
        {1, "{\"format\":\"other\",\"version\":1}\n" END(0, 0, 0)},
        {1, "{\"format\":\"durable-streams-export\",\"version\":2}\n" END(0, 0, 0)},
        {2, HEAD HEAD END(0, 0, 0)},
        {2, HEAD "\n" END(0, 0, 0)},
        {2, HEAD END(1, 0, 0)},
        {2, HEAD ROW END(0, 1, 0)},
        {2, HEAD PRODUCER END(0, 0, 1)},
        {2, HEAD END_OF(0, 0) END(1, 0, 0)},
        {3, HEAD STREAM("") STREAM("") END(1, 0, 0)},
        {3, HEAD STREAM("") END(1, 0, 0)},
        {4, HEAD STREAM("") ROW "{\"end_of\":\"/y\",\"rows\":1,\"producers\":0}\n" END(1, 1, 0)},
        {4, HEAD STREAM("") ROW END_OF(2, 0) END(1, 1, 0)},
        {4, HEAD STREAM("") ROW END_OF(1, 1) END(1, 1, 0)},
        {5, HEAD STREAM("") ROW END_OF(1, 0) END(2, 1, 0)},
        {5, HEAD STREAM("") ROW END_OF(1, 0) END(1, 2, 0)},
        {5, HEAD STREAM("") ROW END_OF(1, 0) END(1, 1, 1)},
        {6, HEAD STREAM("") ROW END_OF(1, 0) END(1, 1, 0) END(1, 1, 0)},
        {4, HEAD STREAM("") ROW ROW END_OF(2, 0) END(1, 2, 0)},
        {3, HEAD STREAM("") "{\"position\":1,\"appended_at\":1,\"bytes\":2,\"data\":\"ab\"}\n" END(
                1, 1, 0)},
        {3, HEAD STREAM("") "{\"position\":0,\"appended_at\":1,\"bytes\":3,\"data\":\"ab\"}\n" END(
                1, 1, 0)},
        {3, HEAD STREAM("") "{\"position\":0,\"appended_at\":1,\"bytes\":0,\"data\":\"\"}\n" END(
                1, 1, 0)},
        {4, HEAD STREAM("") "{\"position\":0,\"appended_at\":1,\"bytes\":1,\"data\":\"a\"}\n"
                            "{\"position\":1,\"part\":2,\"appended_at\":1,\"bytes\":1,"
                            "\"data\":\"b\"}\n" END(1, 2, 0)},
        {4,
         HEAD STREAM("") "{\"position\":0,\"appended_at\":1,\"bytes\":1,\"data\":\"a\"}\n" END_OF(
             1, 0) END(1, 1, 0)},
        {5,
         HEAD STREAM("") "{\"position\":0,\"appended_at\":1,\"bytes\":1,\"data\":\"a\"}\n"
                         "{\"position\":1,\"appended_at\":1,\"bytes\":1,\"data\":\"a\"}\n" END_OF(
                             2, 0) END(1, 2, 0)},
        {4, HEAD STREAM("") PRODUCER PRODUCER END_OF(0, 2) END(1, 0, 2)},
        {3, HEAD STREAM("") "{\"producer\":\"\",\"epoch\":0,\"seq\":1,\"updated_at\":1}\n" END(1, 0,
                                                                                               1)},
        {3, HEAD STREAM("") "{\"producer\":\"p\",\"epoch\":9007199254740992,\"seq\":1,"
                            "\"updated_at\":1}\n" END(1, 0, 1)},
        {2, HEAD "{\"stream\":\"x\",\"content_type\":\"a/b\",\"tail\":0,\"messages\":0,"
                 "\"created_at\":5}\n" END_OF(0, 0) END(1, 0, 0)},
        {2, HEAD "{\"stream\":\"/%41\",\"content_type\":\"a/b\",\"tail\":0,\"messages\":0,"
                 "\"created_at\":5}\n" END_OF(0, 0) END(1, 0, 0)},
        {2, HEAD "{\"stream_base64\":\"L3gA\",\"content_type\":\"a/b\",\"tail\":0,\"messages\":0,"
                 "\"created_at\":5}\n" END_OF(0, 0) END(1, 0, 0)},
        {2, HEAD "{\"stream\":\"/x\",\"content_type\":\"a/b\\r\\nx: y\",\"tail\":0,\"messages\":0,"
                 "\"created_at\":5}\n" END_OF(0, 0) END(1, 0, 0)},
        {2, HEAD "{\"stream\":\"/x\",\"content_type_base64\":\"YS9iAGMv\",\"tail\":0,"
                 "\"messages\":0,\"created_at\":5}\n" END_OF(0, 0) END(1, 0, 0)},
        {2, HEAD "{\"stream\":\"/x\",\"content_type\":\"a/b\",\"tail\":10000000000000000,"
                 "\"messages\":0,\"created_at\":5}\n" END_OF(0, 0) END(1, 0, 0)},
        {3, HEAD "{\"stream\":\"/x\",\"content_type\":\"a/b\",\"tail\":5,"
                 "\"messages\":0,\"created_at\":5}\n" END_OF(0, 0) END(1, 0, 0)},
        {3, HEAD "{\"stream\":\"/x\",\"content_type\":\"a/b\",\"tail\":0,"
                 "\"messages\":1,\"created_at\":5}\n" END_OF(0, 0) END(1, 0, 0)},
        {2, WITH(",\"closed_at\":0")},
        {2, WITH(",\"closed_producer\":\"p\"")},
        {2, WITH(",\"closed_producer\":\"p\",\"closed_epoch\":0,\"closed_seq\":0")},
        {2, WITH(",\"closed_at\":1,\"closed_producer\":\"p\",\"closed_epoch\":0")},
        {2, WITH(",\"ttl_seconds\":5")},
        {2, WITH(",\"expires_at\":0")},
        {2, WITH(",\"deleted_at\":0")},
        {2, WITH(",\"source\":\"/y\"")},
        {2, WITH(",\"source\":\"/y\",\"source_created_at\":1,\"fork_position\":3,"
                 "\"fork_offset\":0,\"fork_sub_offset\":0")},
        {2, WITH(",\"source\":\"/y\",\"source_created_at\":1,\"fork_position\":1,"
                 "\"fork_offset\":2,\"fork_sub_offset\":0")},
        {2, WITH(",\"source\":\"/y\",\"source_created_at\":1,\"fork_position\":1,"
                 "\"fork_offset\":1,\"fork_sub_offset\":0")},
        {2, WITH(",\"colour\":\"blue\"")},
        {3, JSON_ROW("[1")},
        {3, JSON_ROW("1,")},
    };
    struct fixture f;
    struct store_dump dump;

    open_fixture(&f);
    for (size_t i = 0; i < COUNT(files); i++) {
        char begin[20] = "";

        if (files[i].line > 0)
            (void)snprintf(begin, sizeof begin, "line %d: ", files[i].line);
        ck_assert_msg(import_text(&f, files[i].text, false, &dump) == DS_INVALID, "%s",
                      files[i].text);
        ck_assert_msg(strncmp(dump.reason, begin, strlen(begin)) == 0 &&
                          !strchr(dump.reason, '\n') &&
                          (files[i].line > 0) == (strncmp(dump.reason, "line ", 5) == 0),
                      "%s\n%s", dump.reason, files[i].text);
        /* data after the end of a whole stream is a different error */
        if (!strstr(files[i].text, "end_of") || files[i].line < 5)
            ck_assert_msg(count(&f, "SELECT count(*) FROM stream") == 0, "%s", files[i].text);
        run_sql(&f, "DELETE FROM stream; DELETE FROM message; DELETE FROM producer");
    }
    ck_assert_int_eq(store_begin_write(f.conn), DS_OK); /* no transaction is left open */
    store_rollback(f.conn);
    ck_assert_msg(import_text(&f, WITH(""), false, &dump) == DS_OK, "%s", dump.reason);
    close_fixture(&f);
}
END_TEST

/* Changes any one byte of an export, or cuts it there: no crash, and no part of a stream. */
START_TEST(survives_a_damaged_file)
{
    struct fixture a, b;
    struct store_dump dump;
    struct stream source;
    uint32_t seed = 5;
    size_t len;
    char *text;

    open_fixture(&a);
    open_fixture(&b);
    source = grow(&a, (struct stream){.path = "/source"}, "a/b", 2, 10);
    (void)grow(&a, fork_of(&source, "/fork", 15), "a/b", 1, 10);
    (void)grow(&a, (struct stream){.path = "/json"}, "application/json", 2, 0);
    produce(&a, source.id, "p", 1, 3);
    text = export_text(&a, NULL);
    len = strlen(text);
    for (size_t i = 0; i < len; i += 3) {
        char was = text[i];

        text[i] = i % 2 ? (char)(unit_random(&seed) % 255 + 1) : '\0';
        (void)import_text(&b, text, false, &dump);
        unit_check(count(&b, "SELECT count(*) FROM stream s WHERE tail > 0 AND tail <> (SELECT "
                             "max(position + length(payload)) FROM message m "
                             "WHERE m.stream_id = s.id)") == 0,
                   "byte %zu", i);
        run_sql(&b, "DELETE FROM stream WHERE source_id IS NOT NULL; DELETE FROM stream;"
                    "DELETE FROM message; DELETE FROM producer; DELETE FROM garbage");
        text[i] = was;
    }
    free(text);
    close_fixture(&a);
    close_fixture(&b);
}
END_TEST

UNIT_MAIN(store_dump, restores_everything, reads_a_pipe, keeps_pruned_streams_pruned,
          keeps_a_fork_of_pruned_rows_pruned, omits_expired_streams_unless_forks_read_them,
          saves_renewals_that_the_database_has_not_seen, makes_a_fork_readable_by_itself,
          reports_a_stream_that_does_not_exist, reports_a_failed_write,
          refuses_or_skips_existing_paths, replaces_expired_streams,
          refuses_a_fork_whose_source_is_another_stream,
          commits_a_deleted_source_together_with_its_fork, wakes_readers,
          restores_a_registry_byte_for_byte, announces_imported_streams_in_the_registry,
          refuses_malformed_files, survives_a_damaged_file)
