/* The identity of the file: a dump that lost its application_id, or a file that was replaced. */
#include "store/tools/store_check.h"
#include "store_fill.h"

static void ignore_finding(void *arg, enum store_check_kind kind, const char *path,
                           const char *text)
{
    (void)arg;
    (void)kind;
    (void)path;
    (void)text;
}

static void close_store(struct fixture *f)
{
    store_disconnect(f->conn);
    store_close(f->store, true);
    f->conn = NULL;
    f->store = NULL;
}

static void run_on_file(const char *database, const char *sql)
{
    sqlite3 *db;

    ck_assert_int_eq(sqlite3_open(database, &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    (void)sqlite3_close(db);
}

static void shell(const char *folder, const char *command)
{
    char line[300];

    (void)snprintf(line, sizeof line, "cd %s && %s", folder, command);
    ck_assert_int_eq(system(line), 0);
}

START_TEST(advises_how_to_repair_a_restored_dump)
{
    struct fixture f;
    struct store_check check = {.fn = ignore_finding, .busy_timeout_ms = 1000};
    char *sql;

    open_fixture(&f);
    fill(&f);
    close_store(&f);
    check.database = f.config.database;
    run_on_file(f.config.database, "PRAGMA application_id = 0; PRAGMA user_version = 0");
    ck_assert_int_eq(store_open(&f.store, &f.config, true), DS_FAILED);
    ck_assert_int_eq(store_check(&check), DS_FAILED);
    sql = strstr(check.reason, "\"PRAGMA application_id");
    ck_assert_msg(sql != NULL, "%s", check.reason);
    *strrchr(sql, '"') = '\0';
    run_on_file(f.config.database, sql + 1); /* follows the advice of the message */
    ck_assert_int_eq(store_check(&check), DS_OK);
    ck_assert_int_eq(check.damages, 0);

    /* a file of another program gets no such advice */
    run_on_file(f.config.database, "PRAGMA application_id = 0; ALTER TABLE stream DROP COLUMN "
                                   "last_seq");
    ck_assert_int_eq(store_check(&check), DS_FAILED);
    ck_assert_ptr_nonnull(strstr(check.reason, "of another program"));
    ck_assert_ptr_null(strstr(check.reason, "PRAGMA"));
    run_on_file(f.config.database, "PRAGMA application_id = 1148408692; PRAGMA user_version = 0");
    shell(f.folder, "rm -f streams.db*");
    ck_assert_int_eq(store_open(&f.store, &f.config, true), DS_OK);
    ck_assert_int_eq(store_connect(&f.conn, f.store), DS_OK);
    close_fixture(&f);
}
END_TEST

START_TEST(refuses_writes_after_the_file_was_replaced)
{
    struct fixture f;

    open_fixture(&f);
    log_open(LOG_ERR_);
    (void)make_stream(&f, "/a", "a/b");
    ck_assert_int_eq(store_find_place(f.store), STORE_SAME);

    shell(f.folder, "cp streams.db copy && mv streams.db away");
    ck_assert_int_eq(store_find_place(f.store), STORE_MISSING);
    ck_assert_int_eq(store_begin_write(f.conn), DS_BUSY);
    shell(f.folder, "mv away streams.db");
    ck_assert_int_eq(store_find_place(f.store), STORE_SAME);
    (void)make_stream(&f, "/b", "a/b");

    shell(f.folder, "mv copy streams.db");
    ck_assert_int_eq(store_find_place(f.store), STORE_MIXED);
    ck_assert_int_eq(store_begin_write(f.conn), DS_BUSY);
    shell(f.folder, "rm streams.db-wal"); /* other processes may still have the log's index open */
    ck_assert_int_eq(store_find_place(f.store), STORE_MIXED);
    shell(f.folder, "rm streams.db-shm");
    ck_assert_int_eq(store_find_place(f.store), STORE_REPLACED);
    ck_assert_int_eq(store_begin_write(f.conn), DS_BUSY);
    ck_assert_int_eq(store_begin_read(f.conn), DS_OK);
    store_end_read(f.conn);
    close_fixture(&f);
}
END_TEST

UNIT_MAIN(database_file, advises_how_to_repair_a_restored_dump,
          refuses_writes_after_the_file_was_replaced)
