/* Injected faults in the database: set at the prompt, counted, and converted from and to JSON. */
#include "protocol/fault.h"
#include "store/sqlite/store_private.h"
#include "store_unit.h"

static void open_testing(struct fixture *fixture)
{
    (void)setenv("DS_TEST_ENDPOINTS", "1", 1);
    open_fixture(fixture);
}

static int run_sql(struct fixture *fixture, const char *sql)
{
    return sqlite3_exec(fixture->conn->db, sql, NULL, NULL, NULL);
}

static enum ds_status meet(struct fixture *fixture, const char *path, const char *method,
                           struct fault *fault)
{
    return store_fault_meet(fixture->conn, fixture->arena, path, method, 0.5, fault);
}

/* Number of requests, of ten, that meet the fault. */
static int count_meetings(struct fixture *fixture, const char *path)
{
    struct fault fault;
    int met = 0;

    for (int i = 0; i < 10; i++)
        met += meet(fixture, path, "GET", &fault) == DS_OK;
    return met;
}

static enum ds_status parse(struct fixture *fixture, const char *json, struct fault *fault,
                            const char **reason)
{
    return store_fault_parse(fixture->conn, fixture->arena, json, strlen(json), fault, reason);
}

START_TEST(accepts_a_row_with_only_the_required_columns)
{
    struct fixture f;
    struct fault fault;

    open_testing(&f);
    ck_assert_int_eq(run_sql(&f, "INSERT INTO faults (path, status) VALUES ('/v1/stream/x', 503)"),
                     SQLITE_OK);
    ck_assert_int_eq(meet(&f, "/v1/stream/y", "GET", &fault), DS_NOT_FOUND);
    ck_assert_int_eq(meet(&f, "/v1/stream/x", "GET", &fault), DS_OK);
    ck_assert_int_eq(fault.status, 503);
    ck_assert_int_eq(fault.retry_after, -1);
    ck_assert_int_eq(fault_delay(&fault), 0);
    ck_assert(!fault.drop && !mangle_is_any(&fault.mangle) && !fault.event_type);
    ck_assert_int_eq(meet(&f, "/v1/stream/x", "GET", &fault), DS_NOT_FOUND);
    close_fixture(&f);
}
END_TEST

START_TEST(makes_the_table_only_when_needed)
{
    struct fixture f;
    struct store *second;
    struct fault fault = {.path = "/x",
                          .count = 1,
                          .probability = 1,
                          .status = 500,
                          .delay_ms = -1,
                          .retry_after = -1};

    (void)setenv("DS_TEST_ENDPOINTS", "0", 1);
    open_fixture(&f);
    ck_assert_int_eq(run_sql(&f, "SELECT * FROM faults"), SQLITE_ERROR);
    ck_assert_int_eq(store_fault_clear(f.conn, NULL), DS_OK);
    ck_assert_int_eq(store_fault_after(f.conn, f.arena, "", &fault), DS_NOT_FOUND);
    ck_assert_int_eq(run_sql(&f, "SELECT * FROM faults"), SQLITE_ERROR);
    f.config.test_endpoints = 1; /* another process opens the database */
    ck_assert_int_eq(store_open(&second, &f.config, true), DS_OK);
    store_close(second, false);
    ck_assert_int_eq(run_sql(&f, "DELETE FROM faults; DROP TABLE faults"), SQLITE_OK);
    ck_assert_int_eq(store_fault_set(f.conn, &fault), DS_OK); /* as the library may do */
    ck_assert_int_eq(meet(&f, "/x", "GET", &fault), DS_OK);
    close_fixture(&f);
}
END_TEST

START_TEST(is_met_exactly_count_times)
{
    static const struct {
        const char *count;
        int met;
    } cases[] = {{"3", 3}, {"1", 1}, {"0", 1}, {"-5", 1}, {"2.5", 3}, {"10", 10}};
    struct fixture f;

    open_testing(&f);
    for (size_t i = 0; i < COUNT(cases); i++) {
        char sql[120];

        (void)snprintf(sql, sizeof sql,
                       "REPLACE INTO faults (path, status, count) "
                       "VALUES ('/x', 500, %s)",
                       cases[i].count);
        ck_assert_int_eq(run_sql(&f, sql), SQLITE_OK);
        ck_assert_msg(count_meetings(&f, "/x") == cases[i].met, "count %s", cases[i].count);
    }
    close_fixture(&f);
}
END_TEST

START_TEST(counts_only_requests_that_meet_it)
{
    struct fixture f;
    struct fault fault;

    open_testing(&f);
    ck_assert_int_eq(run_sql(&f, "INSERT INTO faults (path, status, method, probability) "
                                 "VALUES ('/x', 500, 'post', 0.6), ('/y', 500, NULL, 0.4)"),
                     SQLITE_OK);
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(meet(&f, "/x", "GET", &fault), DS_NOT_FOUND);
        ck_assert_int_eq(meet(&f, "/y", "GET", &fault), DS_NOT_FOUND); /* the test draws 0.5 */
    }
    ck_assert_int_eq(meet(&f, "/x", "POST", &fault), DS_OK);
    ck_assert_int_eq(meet(&f, "/x", "POST", &fault), DS_NOT_FOUND);
    close_fixture(&f);
}
END_TEST

START_TEST(refuses_invalid_rows_at_the_prompt)
{
    static const char *const rows[] = {
        "(path) VALUES ('/x')",
        "(path, status) VALUES ('x', 500)",
        "(path, status) VALUES ('/x?offset=-1', 500)",
        "(path, status) VALUES (x'2f78', 500)",
        "(path, status) VALUES (NULL, 500)",
        "(path, status) VALUES ('/x', 'broken')",
        "(path, status) VALUES ('/x', 99)",
        "(path, status) VALUES ('/x', 1000)",
        "(path, status, count) VALUES ('/x', 500, 'many')",
        "(path, status, count) VALUES ('/x', 500, NULL)",
        "(path, status, probability) VALUES ('/x', 500, 50)",
        "(path, status, method) VALUES ('/x', 500, x'00')",
        "(path, status, retry_after) VALUES ('/x', 500, 'later')",
        "(path, delay_ms) VALUES ('/x', -1)",
        "(path, delay_ms) VALUES ('/x', 1e300)",
        "(path, delay_ms, jitter_ms) VALUES ('/x', 1, 'some')",
        "(path, drop_connection) VALUES ('/x', 'yes')",
        "(path, corrupt_body) VALUES ('/x', 2)",
        "(path, truncate_body_bytes) VALUES ('/x', -1)",
        "(path, sse_event_type) VALUES ('/x', 'a' || char(10) || 'b')",
        "(path, sse_event_type) VALUES ('/x', 'a' || char(13))",
        "(path, sse_event_type, sse_event_data) VALUES ('/x', 'a', x'ff')",
    };
    struct fixture f;

    open_testing(&f);
    for (size_t i = 0; i < COUNT(rows); i++) {
        char sql[160];

        (void)snprintf(sql, sizeof sql, "INSERT INTO faults %s", rows[i]);
        ck_assert_msg((run_sql(&f, sql) & 0xff) == SQLITE_CONSTRAINT, "taken: %s", rows[i]);
    }
    close_fixture(&f);
}
END_TEST

START_TEST(reads_every_field_in_any_order)
{
    static const char json[] =
        "{\"injectSseEvent\": {\"data\": \"a\\nb\", \"eventType\": \"odd\", \"more\": 1},"
        " \"corruptBody\": true, \"probability\": 0.25, \"unknown\": [1, {}], \"method\": \"put\","
        " \"truncateBodyBytes\": 50, \"dropConnection\": true, \"jitterMs\": 30, \"delayMs\": 1e3,"
        " \"retryAfter\": 5, \"count\": 7, \"status\": 429, \"path\": \"/v1/stream/\\u00e9\"}";
    struct fixture f;
    struct fault fault;
    const char *reason;

    open_testing(&f);
    ck_assert_int_eq(parse(&f, json, &fault, &reason), DS_OK);
    ck_assert_str_eq(fault.path, "/v1/stream/\303\251");
    ck_assert_str_eq(fault.method, "put");
    ck_assert_int_eq(fault.count, 7);
    ck_assert(fault.probability == 0.25);
    ck_assert_int_eq(fault.delay_ms, 1000);
    ck_assert_int_eq(fault.jitter_ms, 30);
    ck_assert(fault.drop && fault.mangle.truncate && fault.mangle.corrupt);
    ck_assert_int_eq(fault.mangle.bytes, 50);
    ck_assert_int_eq(fault.status, 429);
    ck_assert_int_eq(fault.retry_after, 5);
    ck_assert_str_eq(fault.event_type, "odd");
    ck_assert_str_eq(fault.event_data, "a\nb");
    close_fixture(&f);
}
END_TEST

START_TEST(treats_null_and_false_as_absent)
{
    struct fixture f;
    struct fault fault;
    const char *reason;

    open_testing(&f);
    ck_assert_int_eq(parse(&f,
                           "{\"path\":\"/x\",\"status\":500,\"count\":null,\"delayMs\":null,"
                           "\"dropConnection\":false,\"injectSseEvent\":null}",
                           &fault, &reason),
                     DS_OK);
    ck_assert_int_eq(fault.count, 1);
    ck_assert_int_eq(fault.delay_ms, -1);
    ck_assert(!fault.drop && !fault.event_type);
    ck_assert(fault.probability == 1);
    close_fixture(&f);
}
END_TEST

START_TEST(gives_a_reason_for_each_refusal)
{
    static const struct {
        const char *json, *reason;
    } cases[] = {
        {"", "empty"},
        {"{", "not valid JSON"},
        {"{\"path\":\"/x\",\"status\":500,}", "not valid JSON"},
        {"\xff", "UTF-8"},
        {"[]", "must be a JSON object"},
        {"\"path\"", "must be a JSON object"},
        {"{}", "path is missing"},
        {"{\"status\":500}", "path is missing"},
        {"{\"path\":\"\",\"status\":500}", "path is missing"},
        {"{\"path\":null,\"status\":500}", "path is missing"},
        {"{\"path\":7,\"status\":500}", "path must be"},
        {"{\"path\":\"/x\"}", "one of status"},
        {"{\"path\":\"/x\",\"count\":2,\"jitterMs\":5,\"retryAfter\":1,\"method\":\"GET\"}",
         "one of status"},
        {"{\"path\":\"/x\",\"dropConnection\":false,\"corruptBody\":false}", "one of status"},
        {"{\"path\":\"/x\",\"status\":\"503\"}", "status must be"},
        {"{\"path\":\"/x\",\"status\":99}", "status must be"},
        {"{\"path\":\"/x\",\"status\":true}", "status must be"},
        {"{\"path\":\"/x\",\"delayMs\":-1}", "delayMs must be"},
        {"{\"path\":\"/x\",\"delayMs\":1e99}", "delayMs must be"},
        {"{\"path\":\"/x\",\"delayMs\":1,\"jitterMs\":[]}", "jitterMs must be"},
        {"{\"path\":\"/x\",\"dropConnection\":1}", "dropConnection must be"},
        {"{\"path\":\"/x\",\"corruptBody\":\"true\"}", "corruptBody must be"},
        {"{\"path\":\"/x\",\"truncateBodyBytes\":-5}", "truncateBodyBytes must be"},
        {"{\"path\":\"/x\",\"status\":500,\"count\":\"all\"}", "count must be"},
        {"{\"path\":\"/x\",\"status\":500,\"probability\":1.5}", "probability must be"},
        {"{\"path\":\"/x\",\"status\":500,\"method\":1}", "method must be"},
        {"{\"path\":\"/x\",\"status\":500,\"retryAfter\":-1}", "retryAfter must be"},
        {"{\"path\":\"/x\",\"injectSseEvent\":\"x\"}", "injectSseEvent must be"},
        {"{\"path\":\"/x\",\"injectSseEvent\":{\"eventType\":\"x\"}}", "injectSseEvent must be"},
        {"{\"path\":\"/x\",\"injectSseEvent\":{\"eventType\":\"a\\nb\",\"data\":\"\"}}",
         "eventType must be"},
        {"{\"path\":\"/x\",\"injectSseEvent\":{\"eventType\":\"a\",\"data\":{}}}", "data must be"},
    };
    struct fixture f;
    struct fault fault;

    open_testing(&f);
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *reason = NULL;

        ck_assert_msg(parse(&f, cases[i].json, &fault, &reason) == DS_INVALID, "taken: %s",
                      cases[i].json);
        ck_assert_msg(strstr(reason, cases[i].reason), "%s: %s", cases[i].json, reason);
    }
    close_fixture(&f);
}
END_TEST

START_TEST(reads_all_faults_and_clears_one)
{
    struct fixture f;
    struct fault fault = {.path = ""};

    open_testing(&f);
    ck_assert_int_eq(run_sql(&f, "INSERT INTO faults (path, status, count) "
                                 "VALUES ('/b', 501, 2), ('/c', 502, 3), ('/a', 500, 1)"),
                     SQLITE_OK);
    ck_assert_int_eq(store_fault_clear(f.conn, "/b"), DS_OK);
    ck_assert_int_eq(store_fault_clear(f.conn, "/b"), DS_OK);
    ck_assert_int_eq(store_fault_after(f.conn, f.arena, fault.path, &fault), DS_OK);
    ck_assert_str_eq(fault.path, "/a");
    ck_assert_int_eq(fault.count, 1);
    ck_assert_int_eq(store_fault_after(f.conn, f.arena, fault.path, &fault), DS_OK);
    ck_assert_str_eq(fault.path, "/c");
    ck_assert_int_eq(fault.status, 502);
    ck_assert_int_eq(store_fault_after(f.conn, f.arena, fault.path, &fault), DS_NOT_FOUND);
    close_fixture(&f);
}
END_TEST

START_TEST(lists_faults_in_the_form_that_it_accepts)
{
    static const char *const texts[] = {
        "{\"path\":\"/a\",\"count\":2,\"status\":429,\"retryAfter\":5}",
        "{\"path\":\"/b\",\"method\":\"GET\",\"count\":1,\"probability\":0.5,\"delayMs\":10,"
        "\"jitterMs\":20,\"dropConnection\":true,\"truncateBodyBytes\":0,\"corruptBody\":true,"
        "\"injectSseEvent\":{\"eventType\":\"x\",\"data\":\"a\\nb\"}}",
    };
    struct fixture f;
    struct fault fault;
    struct buf out = {0};
    char expected[600];
    const char *reason;

    open_testing(&f);
    for (size_t i = 0; i < COUNT(texts); i++) {
        ck_assert_int_eq(parse(&f, texts[i], &fault, &reason), DS_OK);
        ck_assert_int_eq(store_fault_set(f.conn, &fault), DS_OK);
        ck_assert_int_eq(store_fault_set(f.conn, &fault), DS_OK); /* one fault for each path */
    }
    ck_assert_int_eq(store_fault_list(f.conn, &out), DS_OK);
    buf_addc(&out, '\0');
    (void)snprintf(expected, sizeof expected, "[%s,%s]", texts[0], texts[1]);
    ck_assert_str_eq(out.data, expected);
    buf_clear(&out);
    ck_assert_int_eq(store_fault_clear(f.conn, NULL), DS_OK);
    ck_assert_int_eq(store_fault_list(f.conn, &out), DS_OK);
    ck_assert_int_eq(out.len, 2);
    ck_assert_mem_eq(out.data, "[]", 2);
    buf_close(&out);
    close_fixture(&f);
}
END_TEST

UNIT_MAIN(store_fault, accepts_a_row_with_only_the_required_columns,
          makes_the_table_only_when_needed, is_met_exactly_count_times,
          counts_only_requests_that_meet_it, refuses_invalid_rows_at_the_prompt,
          reads_every_field_in_any_order, treats_null_and_false_as_absent,
          gives_a_reason_for_each_refusal, reads_all_faults_and_clears_one,
          lists_faults_in_the_form_that_it_accepts)
