/* The registry: what its triggers write, how it is switched on and off, and its events. */
#include <sqlite3.h>

#include "failing_memory.h"
#include "hints/wake.h"
#include "store/sqlite/schema.h"
#include "store/sqlite/store_private.h"
#include "store_unit.h"

enum { T = 1000 };

#define REGISTRY "/v1/stream/__registry__"

static void open_with(struct fixture *f, const char *registry)
{
    (void)setenv("DS_REGISTRY", registry, 1);
    open_fixture(f);
}

/* Restarts the store on the same database. */
static enum ds_status start_again(struct fixture *f, const char *registry)
{
    enum ds_status status;
    char error[160];

    store_disconnect(f->conn);
    store_close(f->store, false);
    config_close(&f->config);
    f->conn = NULL;
    f->store = NULL;
    (void)setenv("DS_REGISTRY", registry, 1);
    ck_assert_msg(config_load(&f->config, error, sizeof error), "%s", error);
    status = store_open(&f->store, &f->config, true);
    if (status == DS_OK)
        ck_assert_int_eq(store_connect(&f->conn, f->store), DS_OK);
    return status;
}

/* Returns one text from the database, in a static buffer. */
static const char *ask(struct fixture *f, const char *sql)
{
    static char text[8192];
    sqlite3_stmt *stmt;

    ck_assert_msg(sqlite3_prepare_v2(f->conn->db, sql, -1, &stmt, NULL) == SQLITE_OK, "%s",
                  sqlite3_errmsg(f->conn->db));
    ck_assert_int_eq(sqlite3_step(stmt), SQLITE_ROW);
    (void)snprintf(text, sizeof text, "%s",
                   sqlite3_column_text(stmt, 0) ? (const char *)sqlite3_column_text(stmt, 0) : "");
    (void)sqlite3_finalize(stmt);
    return text;
}

/* The registry's events in order, "+a" for an insertion and "-a" for a deletion. */
static const char *said(struct fixture *f)
{
    return ask(f, "SELECT group_concat(CASE json_extract(event, '$.headers.operation') "
                  "WHEN 'insert' THEN '+' WHEN 'delete' THEN '-' ELSE '?' END || "
                  "json_extract(event, '$.key'), ' ') FROM (SELECT CAST(payload AS TEXT) AS event "
                  "FROM message WHERE stream_id = (SELECT id FROM stream WHERE registry = 1) "
                  "ORDER BY position)");
}

static void prompt(struct fixture *f, const char *sql)
{
    char *error = NULL;

    ck_assert_msg(sqlite3_exec(f->conn->db, sql, NULL, NULL, &error) == SQLITE_OK, "%s: %s", sql,
                  error);
}

static struct stream make_fork(struct fixture *f, const char *path, const struct stream *source)
{
    struct stream fork = *source;

    fork.path = path;
    fork.source_id = source->id;
    ck_assert_int_eq(store_begin_write(f->conn), DS_OK);
    ck_assert_int_eq(store_insert(f->conn, &fork), DS_OK);
    ck_assert_int_eq(store_commit(f->conn), DS_OK);
    return fork;
}

static void delete_stream(struct fixture *f, const char *path)
{
    struct stream stream;

    ck_assert_int_eq(store_begin_write(f->conn), DS_OK);
    ck_assert_int_eq(store_find(f->conn, f->arena, path, T, &stream), DS_OK);
    ck_assert_int_eq(store_delete(f->conn, &stream, T), DS_OK);
    ck_assert_int_eq(store_commit(f->conn), DS_OK);
}

START_TEST(has_state_protocol_events_for_each_stream)
{
    struct fixture f;
    struct stream registry;
    int64_t next;
    char *text;

    open_with(&f, REGISTRY);
    (void)make_stream(&f, "/v1/stream/a/b%20c", "text/plain; x=\"a\\\"b\"");
    delete_stream(&f, "/v1/stream/a/b%20c");
    ck_assert_int_eq(store_find(f.conn, f.arena, REGISTRY, T, &registry), DS_OK);
    ck_assert(registry.is_registry);
    ck_assert_int_eq(registry.messages, 2);
    text = read_text(&f, &registry, 0, 10000, &next);
    ck_assert_str_eq(text, "[{\"type\":\"stream\",\"key\":\"a/b%20c\",\"value\":{\"path\":"
                           "\"a/b%20c\",\"contentType\":\"text/plain; x=\\\"a\\\\\\\"b\\\"\","
                           "\"createdAt\":1},\"headers\":{\"operation\":\"insert\","
                           "\"offset\":\"0000000000000000_0000000000000148\"}},"
                           "{\"type\":\"stream\",\"key\":\"a/b%20c\",\"headers\":{\"operation\":"
                           "\"delete\",\"offset\":\"0000000000000000_0000000000000214\"}}]");
    ck_assert_int_eq(next, registry.tail);
    free(text);
    close_fixture(&f);
}
END_TEST

START_TEST(announces_a_deleted_source_once)
{
    struct fixture f;
    struct stream a, b;

    open_with(&f, REGISTRY);
    a = make_stream(&f, "/v1/stream/a", "text/plain");
    b = make_fork(&f, "/v1/stream/b", &a);
    (void)make_fork(&f, "/v1/stream/c", &b);
    delete_stream(&f, "/v1/stream/a");
    delete_stream(&f, "/v1/stream/b");
    ck_assert_str_eq(said(&f), "+a +b +c -a -b");
    delete_stream(&f, "/v1/stream/c"); /* also deletes the rows of the others */
    ck_assert_str_eq(said(&f), "+a +b +c -a -b -c");
    ck_assert_str_eq(ask(&f, "SELECT count(*) FROM stream"), "1");
    close_fixture(&f);
}
END_TEST

START_TEST(follows_statements_at_the_prompt)
{
    struct fixture f;
    struct stream a;

    open_with(&f, REGISTRY);
    a = make_stream(&f, "/v1/stream/a", "text/plain");
    (void)make_fork(&f, "/v1/stream/f", &a);
    (void)make_stream(&f, "/x", "text/plain");
    (void)make_stream(&f, "/v1/stream//x", "text/plain"); /* not the same path as /x */
    (void)make_stream(&f, "/v1/stream/", "text/plain");
    ck_assert_str_eq(said(&f), "+a +f +/x +/v1/stream//x +/v1/stream/");
    prompt(&f, "DELETE FROM stream WHERE path IN ('/x', '/v1/stream//x', '/v1/stream/')");
    prompt(&f, "UPDATE stream SET deleted_at = 5 WHERE path = '/v1/stream/a'");
    prompt(&f, "UPDATE stream SET deleted_at = 6 WHERE path = '/v1/stream/a'");
    prompt(&f, "UPDATE stream SET deleted_at = NULL WHERE path = '/v1/stream/a'");
    prompt(&f, "UPDATE stream SET path = '/v1/stream/b' WHERE path = '/v1/stream/a'");
    prompt(&f, "UPDATE stream SET tail = tail, closed_at = 7");
    ck_assert_str_eq(ask(&f, "SELECT closed_at FROM stream WHERE registry = 1"), "7");
    prompt(&f, "INSERT INTO stream (path, content_type, created_at) VALUES ('/no', 'a/b', 1)");
    ck_assert_msg(!strstr(said(&f), "+/no"), "nothing is added to a closed registry: %s", said(&f));
    prompt(&f, "UPDATE stream SET closed_at = NULL WHERE registry = 1");
    prompt(&f, "INSERT INTO stream (path, content_type, created_at) VALUES "
               "('/v1/stream/q\"\\', 'a/b; c=\"\xC3\xA9\"', 1), ('/v1/stream/\xC3\xA9', 'a/b', 1), "
               "('/v1/stream/line\n', 'a/b', 1)");
    ck_assert_str_eq(said(&f), "+a +f +/x +/v1/stream//x +/v1/stream/ -/x -/v1/stream//x "
                               "-/v1/stream/ -a +a -a +b +q\"\\");
    ck_assert_str_eq(ask(&f, "SELECT json_extract(CAST(payload AS TEXT), '$.value.contentType') "
                             "FROM message ORDER BY position DESC LIMIT 1"),
                     "a/b");
    prompt(&f, "DELETE FROM stream WHERE source_id IS NOT NULL");
    prompt(&f, "DELETE FROM stream"); /* also deletes the registry, in the middle */
    ck_assert_str_eq(ask(&f, "SELECT count(*) FROM stream"), "0");
    close_fixture(&f);
}
END_TEST

START_TEST(stays_valid_json_whatever_the_prompt_writes)
{
    struct fixture f;

    open_with(&f, REGISTRY);
    prompt(&f, "INSERT INTO stream (path, content_type, created_at) VALUES "
               "('/v1/stream/a', 'a' || char(7) || ';b', 1), ('/v1/stream/b', x'ff', 1), "
               "(CAST('/v1/stream/c' AS BLOB), 'a/b', 1), ('/v1/stream/d', ';', 1)");
    ck_assert_str_eq(said(&f), "+a +b +d");
    ck_assert_str_eq(ask(&f, "SELECT group_concat(DISTINCT json_extract(CAST(payload AS TEXT), "
                             "'$.value.contentType')) FROM message"),
                     "application/octet-stream,;");
    close_fixture(&f);
}
END_TEST

START_TEST(is_off_by_default)
{
    struct fixture f;

    (void)unsetenv("DS_REGISTRY");
    open_fixture(&f);
    (void)make_stream(&f, "/v1/stream/a", "text/plain");
    delete_stream(&f, "/v1/stream/a");
    ck_assert_str_eq(ask(&f, "SELECT count(*) FROM message"), "0");
    ck_assert_str_eq(ask(&f, "SELECT count(*) FROM stream"), "0");
    close_fixture(&f);
}
END_TEST

/* The part of the schema that the registry needs: a view and four triggers. */
#define OBJECTS "SELECT count(*) FROM sqlite_schema WHERE name GLOB 'registry_*'"

START_TEST(is_in_the_schema_only_while_it_is_on)
{
    struct fixture f;

    open_with(&f, "");
    ck_assert_str_eq(ask(&f, OBJECTS), "0");
    ck_assert_int_eq(start_again(&f, "off"), DS_OK);
    ck_assert_str_eq(ask(&f, OBJECTS), "0");
    ck_assert_int_eq(start_again(&f, REGISTRY), DS_OK);
    ck_assert_str_eq(ask(&f, OBJECTS), "5");
    ck_assert_int_eq(start_again(&f, "/all"), DS_OK);
    ck_assert_int_eq(start_again(&f, ""), DS_OK);
    ck_assert_str_eq(ask(&f, OBJECTS), "5");
    prompt(&f, "DELETE FROM stream WHERE registry = 1");
    ck_assert_int_eq(start_again(&f, "/all"), DS_OK);
    ck_assert_str_eq(said(&f), "+__registry__");
    prompt(&f, "DELETE FROM stream WHERE registry = 1");
    ck_assert_int_eq(start_again(&f, "off"), DS_OK);
    ck_assert_str_eq(ask(&f, OBJECTS), "0");
    close_fixture(&f);
}
END_TEST

START_TEST(is_repaired_at_the_next_start)
{
    struct fixture f;

    open_with(&f, REGISTRY);
    prompt(&f, "DROP TRIGGER registry_stream_made");
    (void)make_stream(&f, "/v1/stream/a", "text/plain");
    ck_assert_ptr_null(strstr(said(&f), "+a"));
    ck_assert_int_eq(start_again(&f, REGISTRY), DS_OK);
    (void)make_stream(&f, "/v1/stream/b", "text/plain");
    ck_assert_str_eq(said(&f), "+a +b");
    close_fixture(&f);
}
END_TEST

START_TEST(catches_up_when_it_is_switched_on)
{
    struct fixture f;
    struct stream a;

    open_with(&f, "");
    a = make_stream(&f, "/v1/stream/a", "text/plain");
    (void)make_stream(&f, "/v1/stream/b", "text/plain");
    (void)make_fork(&f, "/v1/stream/fork", &a);
    delete_stream(&f, "/v1/stream/a");
    ck_assert_int_eq(start_again(&f, REGISTRY), DS_OK);
    ck_assert_str_eq(said(&f), "+b +fork");
    (void)make_stream(&f, "/v1/stream/c", "text/plain");
    ck_assert_int_eq(start_again(&f, REGISTRY), DS_OK);
    ck_assert_int_eq(start_again(&f, ""), DS_OK); /* the setting "" leaves it as it is */
    (void)make_stream(&f, "/v1/stream/d", "text/plain");
    ck_assert_str_eq(said(&f), "+b +fork +c +d");
    ck_assert_int_eq(start_again(&f, "off"), DS_OK);
    ck_assert_str_eq(ask(&f, "SELECT count(*) FROM stream WHERE registry = 1"), "0");
    (void)make_stream(&f, "/v1/stream/e", "text/plain");
    delete_stream(&f, "/v1/stream/b");
    delete_stream(&f, "/v1/stream/d");
    (void)make_stream(&f, "/v1/stream/d", "text/plain");
    ck_assert_int_eq(start_again(&f, REGISTRY), DS_OK);
    ck_assert_str_eq(said(&f), "+b +fork +c +d -b +e");
    close_fixture(&f);
}
END_TEST

START_TEST(moves_to_another_path)
{
    struct fixture f;

    open_with(&f, REGISTRY);
    (void)make_stream(&f, "/v1/stream/a", "text/plain");
    ck_assert_int_eq(start_again(&f, "/all"), DS_OK);
    ck_assert_str_eq(said(&f), "+__registry__ +a");
    delete_stream(&f, REGISTRY); /* now an ordinary stream */
    ck_assert_str_eq(said(&f), "+__registry__ +a -__registry__");
    ck_assert_str_eq(ask(&f, "SELECT path FROM stream WHERE registry = 1"), "/all");
    close_fixture(&f);
}
END_TEST

START_TEST(can_only_be_an_open_json_stream)
{
    static const char *const unfit[] = {
        "UPDATE stream SET content_type = 'text/plain'",
        "UPDATE stream SET closed_at = 5",
        "UPDATE stream SET expires_at = 9999999999999",
        "UPDATE stream SET deleted_at = 5",
    };
    struct fixture f;
    struct stream mine;

    for (size_t i = 0; i < COUNT(unfit); i++) {
        open_with(&f, "");
        (void)make_stream(&f, "/mine", "application/json");
        prompt(&f, unfit[i]);
        ck_assert_int_eq(start_again(&f, "/mine"), DS_FAILED);
        ck_assert_int_eq(start_again(&f, ""), DS_OK);
        ck_assert_str_eq(ask(&f, "SELECT count(*) FROM stream WHERE registry = 1"), "0");
        close_fixture(&f);
    }
    open_with(&f, "");
    mine = make_stream(&f, "/mine", "application/json; charset=utf-8");
    (void)make_stream(&f, "/v1/stream/a", "text/plain");
    ck_assert_int_eq(store_begin_write(f.conn), DS_OK);
    ck_assert_int_eq(store_append(f.conn, &mine, "7", 1, T), DS_OK);
    ck_assert_int_eq(store_append(f.conn, &mine, "{\"type\":\"user\",\"key\":\"u\"}", 25, T),
                     DS_OK);
    ck_assert_int_eq(store_update(f.conn, &mine), DS_OK);
    ck_assert_int_eq(store_commit(f.conn), DS_OK);
    ck_assert_int_eq(start_again(&f, "/mine"), DS_OK);
    ck_assert_str_eq(ask(&f, "SELECT json_extract(CAST(payload AS TEXT), '$.key') FROM message "
                             "WHERE position = 26"),
                     "a");
    ck_assert_str_eq(ask(&f, "SELECT messages FROM stream WHERE registry = 1"), "3");
    close_fixture(&f);
}
END_TEST

START_TEST(adds_no_scan_to_any_statement)
{
    static const enum stmt writes[] = {STMT_STREAM_INSERT, STMT_STREAM_DELETE, STMT_STREAM_COLLECT,
                                       STMT_STREAM_MARK_DELETED, STMT_STREAM_UPDATE};
    struct fixture f;
    bool triggers = false;

    open_with(&f, REGISTRY);
    ck_assert_int_eq(sqlite3_db_config(f.conn->db, SQLITE_DBCONFIG_TRIGGER_EQP, 1, NULL),
                     SQLITE_OK);
    for (size_t i = 0; i < COUNT(writes); i++) {
        sqlite3_stmt *plan = NULL;
        char *sql = sqlite3_mprintf("EXPLAIN QUERY PLAN %s", stmt_sql[writes[i]]);

        ck_assert_int_eq(sqlite3_prepare_v2(f.conn->db, sql, -1, &plan, NULL), SQLITE_OK);
        while (sqlite3_step(plan) == SQLITE_ROW) {
            const char *detail = (const char *)sqlite3_column_text(plan, 3);

            triggers |= strstr(detail, "stream_registry") != NULL;
            ck_assert_msg(strncmp(detail, "SCAN", 4) != 0 || strstr(detail, "CONSTANT ROW"),
                          "%s: %s", stmt_sql[writes[i]], detail);
        }
        (void)sqlite3_finalize(plan);
        sqlite3_free(sql);
    }
    ck_assert(triggers);
    close_fixture(&f);
}
END_TEST

/* --- events --- */

struct heard {
    char text[512];
};

static void hear(void *arg, const struct ds_event *event)
{
    struct heard *heard = arg;
    size_t used = strlen(heard->text);

    (void)snprintf(heard->text + used, sizeof heard->text - used, "%s%s(%s,%d,%d) ",
                   event->kind == DS_EVENT_CREATED ? "+" : "-", event->path, event->content_type,
                   (int)event->created_at, (int)event->at);
}

START_TEST(sends_events_of_committed_changes)
{
    struct fixture f;
    struct heard heard = {""};
    struct stream a, gone = {.path = "/gone", .content_type = "a/b", .ttl_seconds = -1};

    open_with(&f, "");
    store_on_event(f.store, hear, &heard);
    a = make_stream(&f, "/a", "text/plain");
    (void)make_fork(&f, "/f", &a);
    ck_assert_int_eq(store_begin_write(f.conn), DS_OK);
    ck_assert_int_eq(store_insert(f.conn, &gone), DS_OK);
    store_rollback(f.conn);
    ck_assert_str_eq(heard.text, "");
    store_deliver_events(f.conn);
    ck_assert_str_eq(heard.text, "+/a(text/plain,1,1) +/f(text/plain,1,1) ");
    heard.text[0] = '\0';
    delete_stream(&f, "/a");
    delete_stream(&f, "/f"); /* also deletes the row of /a */
    store_deliver_events(f.conn);
    ck_assert_str_eq(heard.text, "-/a(text/plain,1,1000) -/f(text/plain,1,1000) ");
    heard.text[0] = '\0';
    store_deliver_events(f.conn);
    ck_assert_str_eq(heard.text, "");
    /* its event is lost when the connection closes */
    (void)make_stream(&f, "/untold", "text/plain");
    close_fixture(&f);
}
END_TEST

START_TEST(announces_expired_streams)
{
    struct fixture f;
    struct heard heard = {""};
    struct stream source;
    int64_t ended[SWEEP_STREAMS];
    size_t n;
    bool more;

    open_with(&f, REGISTRY);
    store_on_event(f.store, hear, &heard);
    (void)make_stream(&f, "/v1/stream/plain", "a/b");
    source = make_stream(&f, "/v1/stream/source", "a/b");
    (void)make_fork(&f, "/v1/stream/fork", &source);
    prompt(&f, "UPDATE stream SET expires_at = 900 WHERE path LIKE '/v1/stream/_%e' OR "
               "path LIKE '%plain'");
    store_deliver_events(f.conn);
    heard.text[0] = '\0';
    ck_assert_int_eq(store_begin_write(f.conn), DS_OK);
    ck_assert_int_eq(store_sweep(f.conn, f.arena, T, ended, &n, &more), DS_OK);
    ck_assert_int_eq(store_commit(f.conn), DS_OK);
    store_deliver_events(f.conn);
    ck_assert_uint_eq(n, 2);
    ck_assert_str_eq(said(&f), "+plain +source +fork -plain -source");
    ck_assert_str_eq(heard.text, "-/v1/stream/plain(a/b,1,1000) -/v1/stream/source(a/b,1,1000) ");
    /* no event, but it is in the registry */
    prompt(&f, "DELETE FROM stream WHERE path LIKE '%fork'");
    ck_assert_int_eq(store_begin_write(f.conn), DS_OK);
    ck_assert_int_eq(store_sweep_orphaned(f.conn, f.arena, T), DS_OK);
    ck_assert_int_eq(store_commit(f.conn), DS_OK);
    heard.text[0] = '\0';
    store_deliver_events(f.conn);
    ck_assert_str_eq(heard.text, "");
    ck_assert_str_eq(said(&f), "+plain +source +fork -plain -source -fork");
    ck_assert_str_eq(ask(&f, "SELECT count(*) FROM stream"), "1");
    close_fixture(&f);
}
END_TEST

START_TEST(wakes_readers_of_the_registry)
{
    struct fixture f;
    struct hints *hints;
    struct stream registry;
    uint64_t seen;
    int64_t id = 0;

    open_with(&f, REGISTRY);
    hints = store_hints(f.store);
    ck_assert_int_eq(store_find(f.conn, f.arena, REGISTRY, T, &registry), DS_OK);
    seen = wake_head(hints);
    (void)make_stream(&f, "/v1/stream/a", "a/b");
    ck_assert_int_eq(wake_next(hints, &seen, &id), WAKE_STREAM);
    ck_assert_int_eq(id, registry.id);
    delete_stream(&f, "/v1/stream/a");
    ck_assert_int_eq(wake_next(hints, &seen, &id), WAKE_STREAM);
    ck_assert_int_eq(id, registry.id);
    ck_assert_int_eq(wake_next(hints, &seen, &id), WAKE_NONE);
    close_fixture(&f);
}
END_TEST

/* --- out of memory --- */

/* Creates a stream and deletes another one, on a connection without prepared statements. */
static enum ds_status live_and_die(struct store *store, struct arena *arena, const char *path,
                                   const char *doomed)
{
    struct store_conn *conn = NULL;
    struct stream made = {.path = path, .content_type = "a/b", .ttl_seconds = -1}, found;
    enum ds_status status = store_connect(&conn, store);

    if (status == DS_OK)
        status = store_begin_write(conn);
    if (status == DS_OK)
        status = store_insert(conn, &made);
    if (status == DS_OK)
        status = store_find(conn, arena, doomed, T, &found);
    if (status == DS_OK)
        status = store_delete(conn, &found, T);
    if (status == DS_OK)
        status = store_commit(conn);
    else if (conn)
        store_rollback(conn);
    if (status == DS_OK)
        store_deliver_events(conn);
    store_disconnect(conn);
    return status;
}

START_TEST(sends_no_event_of_a_failed_change)
{
    struct fixture f;
    struct heard heard = {""};
    enum ds_status status = DS_FAILED;
    int fails = 0;

    use_failing_memory();
    open_with(&f, REGISTRY);
    (void)make_stream(&f, "/v1/stream/old", "a/b");
    store_on_event(f.store, hear, &heard);
    for (int n = 0; status != DS_OK; n++) {
        ck_assert_int_lt(n, 5000);
        allocations_left = n;
        status = live_and_die(f.store, f.arena, "/v1/stream/new", "/v1/stream/old");
        allocations_left = -1;
        fails += status != DS_OK;
        if (status != DS_OK) {
            ck_assert_str_eq(said(&f), "+old");
            ck_assert_str_eq(heard.text, "");
        }
    }
    ck_assert_int_gt(fails, 50);
    ck_assert_str_eq(said(&f), "+old +new -old");
    ck_assert_str_eq(heard.text, "+/v1/stream/new(a/b,0,0) -/v1/stream/old(a/b,1,1000) ");
    close_fixture(&f);
}
END_TEST

UNIT_MAIN(store_registry, has_state_protocol_events_for_each_stream,
          announces_a_deleted_source_once, follows_statements_at_the_prompt,
          stays_valid_json_whatever_the_prompt_writes, is_off_by_default,
          is_in_the_schema_only_while_it_is_on, is_repaired_at_the_next_start,
          catches_up_when_it_is_switched_on, moves_to_another_path, can_only_be_an_open_json_stream,
          adds_no_scan_to_any_statement, sends_events_of_committed_changes,
          announces_expired_streams, wakes_readers_of_the_registry,
          sends_no_event_of_a_failed_change)
