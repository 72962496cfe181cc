/* The check of a database: it accepts a sound one, and finds and names each kind of damage. */
#include "store/tools/store_check.h"

#include "subscription_fill.h"

/* The findings of a check, one on each line: "damage PATH: TEXT" or "note PATH: TEXT". */
struct heard {
    char text[4000];
};

static void hear(void *arg, enum store_check_kind kind, const char *path, const char *text)
{
    struct heard *heard = arg;
    size_t len = strlen(heard->text);

    (void)snprintf(heard->text + len, sizeof heard->text - len, "%s %s: %s\n",
                   kind == STORE_CHECK_DAMAGE ? "damage" : "note", path ? path : "-", text);
}

static enum ds_status run_check(struct fixture *f, struct heard *heard, struct store_check *check)
{
    heard->text[0] = '\0';
    *check = (struct store_check){.database = f->config.database,
                                  .busy_timeout_ms = 1000,
                                  .now = clock_wall_ms(),
                                  .fn = hear,
                                  .arg = heard};
    return store_check(check);
}

START_TEST(finds_nothing_wrong_in_a_sound_database)
{
    struct fixture f;
    struct store_check check;
    struct heard heard;

    open_fixture(&f);
    ck_assert_int_eq(run_check(&f, &heard, &check), DS_OK);
    ck_assert_str_eq(heard.text, "");
    fill(&f);
    ck_assert_int_eq(run_check(&f, &heard, &check), DS_OK);
    ck_assert_str_eq(heard.text, "");
    ck_assert_int_eq(check.damages, 0);
    ck_assert_int_eq(check.streams, 9);
    ck_assert_int_eq(check.rows, count(&f, "SELECT count(*) FROM message"));
    close_fixture(&f);
}
END_TEST

/* Replaces text in the SQL of the table message. The fixture's connections may not do that. */
static void change_schema(struct fixture *f, const char *from, const char *to)
{
    sqlite3 *db;
    char sql[400];

    (void)snprintf(sql, sizeof sql,
                   "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = "
                   "replace(sql, '%s', '%s') WHERE name = 'message'",
                   from, to);
    ck_assert_int_eq(sqlite3_open(f->config.database, &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_changes(db), 1);
    (void)sqlite3_close(db);
}

START_TEST(compares_the_schema_without_its_comments)
{
    struct fixture f;
    struct store_check check;
    struct heard heard;

    open_fixture(&f);
    change_schema(&f, "-- 0 in the first row", "-- reworded, it''s \"quoted\":");
    change_schema(&f, "INTEGER PRIMARY KEY,", "INTEGER  PRIMARY KEY, -- added\n");
    ck_assert_int_eq(run_check(&f, &heard, &check), DS_OK);
    ck_assert_str_eq(heard.text, "");
    change_schema(&f, "payload     BLOB", "payload     TEXT");
    ck_assert_int_eq(run_check(&f, &heard, &check), DS_OK);
    ck_assert_str_eq(heard.text, "damage -: the table message was changed\n");
    close_fixture(&f);
}
END_TEST

START_TEST(only_notes_changes_that_people_may_make)
{
    struct fixture f;
    struct store_check check;
    struct heard heard;

    open_fixture(&f);
    fill(&f);
    run_sql(&f, "DELETE FROM message WHERE stream_id = (SELECT id FROM stream WHERE path = '/text')"
                " AND position < 20;"
                "DELETE FROM message WHERE stream_id = (SELECT id FROM stream WHERE "
                "path = '/a/fork%2Fdeep');"
                "UPDATE stream SET expires_at = 5 WHERE path = '/empty';"
                "UPDATE stream SET deleted_at = 5 WHERE path = '/json/fork';"
                "DELETE FROM stream WHERE path = '/large'; CREATE TABLE mine (a)");
    ck_assert_int_eq(run_check(&f, &heard, &check), DS_OK);
    ck_assert_str_eq(
        heard.text,
        "note /json/fork: it is deleted and no fork reads it: the sweep will delete it\n"
        "note -: 1 streams have expired: the sweep will delete them\n"
        "note -: messages of 1 deleted streams are left: the sweep will delete them\n"
        "note /a/fork%2Fdeep: its first rows were deleted: 475 to 495\n"
        "note /text: its first rows were deleted: 0 to 24\n");
    ck_assert_int_eq(check.damages, 0);
    ck_assert_int_eq(check.notes, 5);
    close_fixture(&f);
}
END_TEST

/* Statements that damage a database, and the findings that they cause. */
static const struct {
    const char *sql, *said;
} damages[] = {
    {"UPDATE stream SET tail = tail + 1 WHERE path = '/text'",
     "damage /text: the tail is 97, but the rows end at 96\n"},
    {"UPDATE stream SET tail = 3 WHERE path = '/empty'",
     "damage /empty: the tail is 3, but the rows end at 0\n"},
    {"UPDATE stream SET messages = 4 WHERE path = '/json'",
     "damage /json: it counts 4 messages, but there are 7\n"},
    {"UPDATE stream SET messages = 2 WHERE path = '/empty'; UPDATE stream SET messages = 1 "
     "WHERE path = '/before'",
     "damage /before: it counts 1 messages, but there are 2\n"
     "damage /empty: it counts 2 messages, but there are 0\n"},
    {"DELETE FROM message WHERE stream_id = (SELECT id FROM stream WHERE path = '/z/binary') "
     "AND position IN (300, 900)",
     "damage /z/binary: no row contains the bytes from 300 to 600 (2 in all)\n"},
    {"UPDATE message SET position = position - 2 WHERE position = 300",
     "damage /z/binary: no row contains the bytes from 598 to 600 (1 in all)\n"
     "damage /z/binary: two rows contain the bytes from 298 to 300 (1 in all)\n"},
    {"UPDATE message SET position = 440 WHERE position = 450",
     "damage /a/fork: no row contains the bytes from 490 to 500 (1 in all)\n"
     "damage /a/fork: a row at 440 lies before the fork position, 450\n"},
    {"UPDATE message SET part = 2 WHERE part = 1",
     "damage /large: the row at 262144 is part 2, which is out of order (4 in all)\n"},
    {"UPDATE message SET part = 1 WHERE position = 0 AND stream_id = "
     "(SELECT id FROM stream WHERE path = '/json')",
     "damage /json: the row at 0 is part 1, which is out of order (1 in all)\n"
     "damage /json: it counts 7 messages, but there are 6\n"},
    {"UPDATE message SET payload = CAST(payload AS TEXT) WHERE position = 0 AND stream_id = "
     "(SELECT id FROM stream WHERE path = '/text')",
     "damage /text: the payload at 0 is not a BLOB (1 in all)\n"},
    {"UPDATE message SET payload = x'7b' || substr(payload, 1, length(payload) - 1) WHERE "
     "position = 0 AND stream_id = (SELECT id FROM stream WHERE path = '/json/fork')",
     "damage /json/fork: the payload at 0 is not a BLOB (1 in all)\n"
     "damage /json/fork: the message at 0 is not JSON (1 in all)\n"},
    {"INSERT INTO message (stream_id, position, part, appended_at, payload) "
     "SELECT id, 0, 0, 5, x'' FROM stream WHERE path = '/empty'; "
     "UPDATE stream SET messages = 1 WHERE path = '/empty'",
     "damage /empty: the row at 0 is empty (1 in all)\n"},
    {"INSERT INTO message (stream_id, position, part, appended_at, payload) VALUES "
     "(999, 0, 0, 5, x'6162'), (999, 2, 0, 5, x'63'); INSERT INTO producer VALUES "
     "(998, 'p', 0, 0, 5)",
     "damage -: 2 rows of messages, 3 bytes, belong to no stream (id 999)\n"
     "damage -: 1 producers belong to no stream (id 998)\n"},
    {"UPDATE producer SET epoch = -1 WHERE producer_id = 'other'",
     "damage /a/fork: producer 'other': epoch -1, sequence 0\n"},
    {"INSERT INTO garbage SELECT id FROM stream WHERE path = '/json'",
     "damage /json: it exists, but its messages are marked for deletion (id 2)\n"
     "note -: messages of 1 deleted streams are left: the sweep will delete them\n"},
    {"UPDATE stream SET closed_epoch = NULL WHERE path = '/text'",
     "damage /text: its closing columns contradict each other: closed at 1700000300000, by "
     "'gr\303\274n', "
     "epoch NULL, sequence 5\n"},
    {"UPDATE stream SET closed_at = NULL WHERE path = '/text'",
     "damage /text: its closing columns contradict each other: closed at NULL, by 'gr\303\274n', "
     "epoch 2, "
     "sequence 5\n"},
    {"UPDATE stream SET expires_at = NULL WHERE path = '/text'",
     "damage /text: it has a TTL of 3600 seconds, but the deadline NULL\n"},
    {"UPDATE stream SET fork_sub_offset = NULL WHERE path = '/before'",
     "damage /before: its fork columns are incomplete: source 6, fork position 100, offset 99, "
     "sub-offset "
     "NULL\n"},
    {"UPDATE stream SET fork_offset = 101 WHERE path = '/before'",
     "damage /before: its fork position 100 does not fit its fork offset 101\n"},
    {"UPDATE stream SET source_id = 5 WHERE path = '/before'",
     "damage /before: forked at 100, but /empty ends at 0\n"},
    {"PRAGMA foreign_keys = OFF; UPDATE stream SET source_id = 999 WHERE path = '/before'",
     "damage /before: its source, the stream with id 999, does not exist\n"
     "damage /before: forked from a stream that is not older (id 8 from 999)\n"},
    {"UPDATE stream SET path = '/gr\303\274n' WHERE path = '/text'",
     "damage /gr\303\274n: no URL can have this path\n"},
    {"UPDATE stream SET content_type = 'a/b' || char(13) WHERE path = '/large'",
     "damage /large: its content type is not valid: a/b\r\n"},
    {"DROP TRIGGER stream_keep_source; DROP INDEX stream_by_expiry; "
     "DROP VIEW message_text; CREATE VIEW message_text AS SELECT 1",
     "damage -: the index stream_by_expiry is missing\n"
     "damage -: the trigger stream_keep_source is missing\n"
     "damage -: the view message_text was changed\n"},
    {"UPDATE stream SET registry = 1 WHERE path = '/json'",
     "damage -: the view registry_event is missing\n"
     "damage -: the trigger registry_append is missing\n"
     "damage -: the trigger registry_stream_made is missing\n"
     "damage -: the trigger registry_stream_deleted is missing\n"
     "damage -: the trigger registry_stream_changed is missing\n"},
};

START_TEST(finds_each_kind_of_damage)
{
    struct fixture f;
    struct store_check check;
    struct heard heard;

    open_fixture(&f);
    fill(&f);
    run_sql(&f, damages[_i].sql);
    ck_assert_int_eq(run_check(&f, &heard, &check), DS_OK);
    ck_assert_str_eq(heard.text, damages[_i].said);
    ck_assert_int_gt(check.damages, 0);
    close_fixture(&f);
}
END_TEST

/* The same for subscriptions. */
static const struct {
    const char *sql, *said;
} unsound[] = {
    {"DROP TRIGGER subscription_stream_made; DROP VIEW subscription_overview; "
     "ALTER TABLE webhook_key ADD COLUMN more",
     "damage -: the trigger subscription_stream_made is missing\n"
     "damage -: the view subscription_overview is missing\n"
     "damage -: the table webhook_key was changed\n"},
    {"UPDATE subscription SET attempts = 'x' WHERE name = 'pool'",
     "damage -: the subscription 'pool': its attempts is not valid: 'x'\n"},
    {"UPDATE subscription SET pattern = x'00', lease_until = -1 WHERE name = 'pool'",
     "damage -: the subscription 'pool': its pattern is not valid: X'00'\n"
     "damage -: the subscription 'pool': its lease_until is not valid: -1\n"},
    {"UPDATE subscription SET holder = NULL, wake_id = NULL, next_attempt_at = 5 "
     "WHERE name = 'quiet'",
     "damage -: the subscription 'quiet': it has no wake, but the holder NULL, a lease until NULL, "
     "the next attempt at 5\n"},
    {"UPDATE subscription SET lease_until = NULL WHERE name = 'pool'",
     "damage -: the subscription 'pool': 'worker' holds it without a lease\n"},
    {"UPDATE subscription SET token = NULL WHERE name = 'pool'",
     "damage -: the subscription 'pool': its wake has the generation 3 and the token NULL\n"},
    {"UPDATE subscription SET lease_until = NULL, next_attempt_at = NULL WHERE type = 'webhook'",
     "damage -: the subscription 'h\303\266ok /1': its wake has neither a lease nor a next "
     "attempt: "
     "nobody will be told\n"},
    {"UPDATE subscription SET wake_id = NULL, holder = NULL, lease_until = NULL "
     "WHERE name = 'pool'",
     "damage -: the subscription 'pool': 1 of its streams are pending, but it has no wake\n"},
    {"UPDATE subscription_tombstone SET name = 'pool'",
     "damage -: the subscription 'pool': deleted ones have the same name or id ('pool')\n"},
    {"UPDATE subscription_tombstone SET generation = -1",
     "damage -: the deleted subscription 'gone': id 4, generation -1, deleted at 5\n"},
    {"INSERT INTO subscription_tombstone SELECT 'too', id, 1, 5 FROM subscription_tombstone",
     "damage -: deleted subscriptions share the id 4\n"},
    {"INSERT INTO subscription_link VALUES (99, '/nowhere', NULL, 1, 0, 0, 0)",
     "damage /nowhere: its link to the subscription NULL (id 99): there is no such subscription\n"},
    {"UPDATE subscription_link SET is_glob = 2 WHERE path = '/v1/stream/e/a'",
     "damage /v1/stream/e/a: its link to the subscription 'pool' (id 1): its columns are not "
     "valid: stream 10, explicit 0, glob 2, cursor 7, pending 1\n"},
    {"UPDATE subscription_link SET is_explicit = 0 WHERE path = '/text'",
     "damage /text: its link to the subscription 'h\303\266ok /1' (id 2): neither a client nor a "
     "pattern has made it\n"},
    {"UPDATE subscription_link SET is_glob = 1 WHERE path = '/v1/stream/e/none'",
     "damage /v1/stream/e/none: its link to the subscription 'pool' (id 1): its stream does not "
     "exist, but a pattern has matched it\n"},
    {"UPDATE subscription_link SET path = '/v1/stream/e/x' WHERE path = '/v1/stream/e/a'",
     "damage /v1/stream/e/x: its link to the subscription 'pool' (id 1): it means the stream "
     "'/v1/stream/e/a' (id 10)\n"},
    {"UPDATE subscription_link SET stream_id = NULL, acked = -1, pending = 0 WHERE path = '/text'",
     "damage /text: its link to the subscription 'h\303\266ok /1' (id 2): it does not know that "
     "the stream exists (id 3)\n"},
    {"UPDATE subscription_link SET acked = 1000, pending = 0 WHERE path = '/v1/stream/e/a'",
     "damage /v1/stream/e/a: its link to the subscription 'pool' (id 1): its cursor, 1000, is "
     "beyond the tail, 87\n"},
    {"UPDATE subscription_link SET pending = 0 WHERE path = '/text'",
     "damage /text: its link to the subscription 'h\303\266ok /1' (id 2): it is not pending, but "
     "its cursor is -1 and the tail 96\n"},
    {"UPDATE subscription_link SET acked = 87 WHERE path = '/v1/stream/e/a'",
     "damage /v1/stream/e/a: its link to the subscription 'pool' (id 1): it is pending, but its "
     "cursor is 87 and the tail 87\n"},
    {"UPDATE stream SET subscribed = NULL WHERE path = '/text'",
     "damage /text: its link to the subscription 'h\303\266ok /1' (id 2): its stream is not marked "
     "as subscribed: an append makes no wake\n"},
    {"UPDATE subscription SET wake_stream = '/v1/stream/e/a' WHERE name = 'quiet'",
     "damage /v1/stream/e/a: its link to the subscription 'pool' (id 1): a pattern must not match "
     "a registry or a wake stream\n"},
    {"UPDATE webhook_key SET seed = x'01'", "damage -: the webhook key 'ds_test' is not valid\n"},
    {"WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 16) "
     "INSERT INTO webhook_key SELECT 'k' || i, x, seed, 1, 1, NULL FROM n, webhook_key",
     "damage -: there are 17 webhook keys: only the first 16 are used\n"},
};

START_TEST(finds_each_kind_of_damage_of_subscriptions)
{
    struct fixture f;
    struct store_check check;
    struct heard heard;

    open_fixture(&f);
    fill(&f);
    fill_subscriptions(&f);
    run_sql(&f, "UPDATE subscription_tombstone SET deleted_at = 5");
    ck_assert_int_eq(run_check(&f, &heard, &check), DS_OK);
    ck_assert_str_eq(heard.text, "");
    run_sql(&f, "PRAGMA ignore_check_constraints = ON");
    run_sql(&f, unsound[_i].sql);
    ck_assert_int_eq(run_check(&f, &heard, &check), DS_OK);
    /* the check of the file names constraints besides */
    ck_assert_msg(strstr(heard.text, unsound[_i].said) != NULL, "%s", heard.text);
    close_fixture(&f);
}
END_TEST

/* What a person or an import leaves to upkeep is no damage. */
START_TEST(accepts_work_that_is_left_to_upkeep)
{
    struct fixture f;
    struct store_check check;
    struct heard heard;

    open_fixture(&f);
    fill(&f);
    fill_subscriptions(&f);
    (void)grow(&f, (struct stream){.path = "/v1/stream/e/none"}, "application/json", 1, 0);
    (void)grow(&f, (struct stream){.path = "/v1/stream/e/new"}, "application/json", 1, 0);
    run_sql(&f, "UPDATE subscription SET wake_id = NULL, holder = NULL, lease_until = NULL, "
                "unsettled = 1 WHERE name = 'pool';"
                "DELETE FROM stream WHERE path = '/text';"
                "DELETE FROM subscription WHERE name = 'quiet'");
    ck_assert_int_eq(run_check(&f, &heard, &check), DS_OK);
    ck_assert_int_eq(check.damages, 0);
    close_fixture(&f);
}
END_TEST

/* Overwrites the first page of a table or index: SQLite cannot read it, and the check says so. */
static const char *const trees[] = {
    "stream", "message", "producer", "garbage", "message_by_position", "stream_by_source"};

START_TEST(finds_damage_of_the_file)
{
    struct fixture f;
    struct store_check check;
    struct heard heard;
    char sql[100];
    int64_t page;
    FILE *file;

    open_fixture(&f);
    fill(&f);
    (void)snprintf(sql, sizeof sql, "SELECT rootpage FROM sqlite_schema WHERE name = '%s'",
                   trees[_i]);
    page = count(&f, sql);
    run_sql(&f, "PRAGMA wal_checkpoint(TRUNCATE)");
    store_disconnect(f.conn);
    file = fopen(f.config.database, "r+");
    ck_assert_ptr_nonnull(file);
    (void)fseek(file, 4096 * (page - 1), SEEK_SET);
    for (int i = 0; i < 512; i++)
        (void)fputc(0x55, file);
    (void)fclose(file);
    ck_assert_int_eq(run_check(&f, &heard, &check), DS_OK);
    ck_assert_msg(strstr(heard.text, "damage -: the file: ") != NULL, "%s", heard.text);
    ck_assert_int_eq(store_connect(&f.conn, f.store), DS_OK);
    close_fixture(&f);
}
END_TEST

START_TEST(names_files_that_are_not_databases_of_ours)
{
    struct fixture f;
    struct store_check check;
    struct heard heard;
    char *name;

    open_fixture(&f);
    name = f.config.database;
    run_sql(&f, "PRAGMA user_version = 99");
    ck_assert_int_eq(run_check(&f, &heard, &check), DS_FAILED);
    ck_assert_ptr_nonnull(strstr(check.reason, "newer version"));
    run_sql(&f, "PRAGMA user_version = 1");
    ck_assert_int_eq(run_check(&f, &heard, &check), DS_FAILED);
    ck_assert_ptr_nonnull(strstr(check.reason, "export it with"));
    run_sql(&f, "PRAGMA application_id = 7");
    ck_assert_int_eq(run_check(&f, &heard, &check), DS_FAILED);
    ck_assert_ptr_nonnull(strstr(check.reason, "database of another program"));
    f.config.database = f.folder; /* a folder */
    ck_assert_int_eq(run_check(&f, &heard, &check), DS_FAILED);
    f.config.database = (char *)(uintptr_t) "/nowhere/at/all";
    ck_assert_int_eq(run_check(&f, &heard, &check), DS_NOT_FOUND);
    f.config.database = (char *)(uintptr_t) "/etc/passwd";
    ck_assert_int_eq(run_check(&f, &heard, &check), DS_FAILED);
    ck_assert_ptr_nonnull(strstr(check.reason, "not a database"));
    f.config.database = name;
    close_fixture(&f);
}
END_TEST

START_TEST(works_beside_a_writer)
{
    struct fixture f;
    struct store_check check;
    struct heard heard;
    struct stream stream;

    open_fixture(&f);
    fill(&f);
    stream = make_stream(&f, "/new", "a/b");
    ck_assert_int_eq(store_begin_write(f.conn), DS_OK);
    /* the tail is not updated */
    ck_assert_int_eq(store_append(f.conn, &stream, "abc", 3, 5), DS_OK);
    ck_assert_int_eq(run_check(&f, &heard, &check), DS_OK);
    ck_assert_str_eq(heard.text, "");
    store_rollback(f.conn);
    close_fixture(&f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store_check");
    TCase *tcase = tcase_create("store_check");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, finds_nothing_wrong_in_a_sound_database);
    tcase_add_test(tcase, compares_the_schema_without_its_comments);
    tcase_add_test(tcase, only_notes_changes_that_people_may_make);
    tcase_add_loop_test(tcase, finds_each_kind_of_damage, 0, (int)COUNT(damages));
    tcase_add_loop_test(tcase, finds_each_kind_of_damage_of_subscriptions, 0, (int)COUNT(unsound));
    tcase_add_test(tcase, accepts_work_that_is_left_to_upkeep);
    tcase_add_loop_test(tcase, finds_damage_of_the_file, 0, (int)COUNT(trees));
    tcase_add_test(tcase, names_files_that_are_not_databases_of_ours);
    tcase_add_test(tcase, works_beside_a_writer);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
