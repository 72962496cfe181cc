/*
 * Checkpoints and SQLite's WAL-reset bug. A VFS in front of the real one forces the race: it lets
 * another connection write in the middle of a checkpoint, after the checkpoint has read the header
 * of the log's index and before it reads how much of the log was copied. If the SQLite in use has
 * the bug, its own checkpoints lose rows, which shows that these tests detect it. The store's
 * checkpoints must lose nothing.
 */
#include <sys/stat.h>

#include "store/sqlite/store_private.h"
#include "store_unit.h"

enum { CHECKPOINT_LOCK = 1, FIRST_ROWS = 30, MORE_ROWS = 60 };

/* --- the VFS in front of the real one --- */

static sqlite3_vfs front;
static sqlite3_vfs *behind;
static sqlite3_io_methods front_methods, log_methods;
static const sqlite3_io_methods *behind_methods;
static sqlite3_int64 log_limit = -1; /* bytes of log that fit on the disk; -1: no limit */

static void (*before_checkpoint)(void); /* called once, before the checkpoint takes a lock */
static void (*after_header)(void);      /* called once, after the header was read */
static int headers;                     /* how often after_header was due */

static void call_once(void (**what)(void))
{
    void (*now)(void) = *what;

    *what = NULL;
    if (now)
        now();
}

static int front_lock(sqlite3_file *file, int first, int n, int flags)
{
    if (first == CHECKPOINT_LOCK && n == 1 && flags == (SQLITE_SHM_LOCK | SQLITE_SHM_EXCLUSIVE))
        call_once(&before_checkpoint);
    return behind_methods->xShmLock(file, first, n, flags);
}

/* A checkpoint calls this first when it has read a header that it did not know. */
static int front_unfetch(sqlite3_file *file, sqlite3_int64 offset, void *page)
{
    if (!page && after_header) {
        headers++;
        call_once(&after_header);
    }
    return behind_methods->xUnfetch(file, offset, page);
}

static int log_write(sqlite3_file *file, const void *data, int bytes, sqlite3_int64 start)
{
    if (log_limit >= 0 && start + bytes > log_limit)
        return SQLITE_FULL;
    return behind_methods->xWrite(file, data, bytes, start);
}

static int front_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *got)
{
    int code = behind->xOpen(behind, name, file, flags, got);

    (void)vfs;
    if (code != SQLITE_OK || !(flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL)))
        return code;
    behind_methods = file->pMethods; /* the same for both files */
    if (flags & SQLITE_OPEN_WAL) {
        log_methods = *behind_methods;
        log_methods.xWrite = log_write;
        file->pMethods = &log_methods;
    } else {
        front_methods = *behind_methods;
        front_methods.xShmLock = front_lock;
        front_methods.xUnfetch = front_unfetch;
        file->pMethods = &front_methods;
    }
    return code;
}

static void put_in_front(void)
{
    if (behind) /* set by an earlier race of the same test */
        return;
    behind = sqlite3_vfs_find(NULL);
    front = *behind;
    front.zName = "front";
    front.xOpen = front_open;
    ck_assert_int_eq(sqlite3_vfs_register(&front, 1), SQLITE_OK);
    store_own_process(); /* registers its VFS before ours */
}

/* --- the other writer: any program that has the database open --- */

static sqlite3 *writer;
static int rows; /* number of acknowledged rows */

static int run_as_writer(const char *sql)
{
    return sqlite3_exec(writer, sql, NULL, NULL, NULL);
}

static void write_rows(int n, int bytes)
{
    char sql[100];

    for (int i = 0; i < n; i++) {
        (void)snprintf(sql, sizeof sql, "INSERT INTO noted (data) VALUES (randomblob(%d))", bytes);
        ck_assert_int_eq(run_as_writer(sql), SQLITE_OK);
        rows++;
    }
}

static void write_one(void)
{
    write_rows(1, 10);
}

/* Inside a checkpoint that may hold the write lock, so failure is allowed. */
static void try_to_write_one(void)
{
    if (run_as_writer("INSERT INTO noted (data) VALUES ('x')") == SQLITE_OK)
        rows++;
}

static void begin_to_write(void)
{
    ck_assert_int_eq(run_as_writer("BEGIN IMMEDIATE; INSERT INTO noted (data) VALUES ('x')"),
                     SQLITE_OK);
}

static void write_and_begin(void)
{
    write_one(); /* else the header would be that of the checkpoint's own commit */
    begin_to_write();
}

static void end_to_write(void)
{
    ck_assert_int_eq(run_as_writer("COMMIT"), SQLITE_OK);
    rows++;
}

static void open_raced(struct fixture *f)
{
    put_in_front();
    open_fixture(f);
    f->config.busy_timeout_ms = 50;
    rows = headers = 0;
    before_checkpoint = after_header = NULL;
    ck_assert_int_eq(sqlite3_open(f->config.database, &writer), SQLITE_OK);
    (void)sqlite3_wal_autocheckpoint(writer, 0);
    (void)sqlite3_db_config(writer, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    ck_assert_int_eq(run_as_writer("CREATE TABLE noted (id INTEGER PRIMARY KEY, data)"), SQLITE_OK);
}

/* Checks, in a new process, that all acknowledged rows are there and the database is sound. */
static bool is_all_there(struct fixture *f)
{
    sqlite3 *db;
    sqlite3_stmt *stmt;
    int64_t found = -1, wrong = -1;

    ck_assert_int_eq(sqlite3_close(writer), SQLITE_OK);
    store_disconnect(f->conn);
    store_close(f->store, true);
    ck_assert_int_eq(sqlite3_open(f->config.database, &db), SQLITE_OK);
    if (sqlite3_prepare_v2(db,
                           "SELECT (SELECT count(*) FROM noted), (SELECT count(*) FROM "
                           "pragma_integrity_check WHERE integrity_check <> 'ok')",
                           -1, &stmt, NULL) == SQLITE_OK &&
        sqlite3_step(stmt) == SQLITE_ROW) {
        found = sqlite3_column_int64(stmt, 0);
        wrong = sqlite3_column_int64(stmt, 1);
    }
    (void)sqlite3_finalize(stmt);
    (void)sqlite3_close(db);
    ck_assert_int_eq(store_open(&f->store, &f->config, true), DS_OK);
    ck_assert_int_eq(store_connect(&f->conn, f->store), DS_OK);
    return found == rows && wrong == 0;
}

/* --- a checkpoint at any time, as SQLite does it --- */

static void call_sqlite(struct store_conn *conn, int mode)
{
    int code = sqlite3_wal_checkpoint_v2(conn->db, NULL, mode, NULL, NULL);

    ck_assert(code == SQLITE_OK || code == SQLITE_BUSY);
}

/* State of the log when a checkpoint begins: written, and copied completely by another process. */
static void fill_and_copy(struct fixture *f, int bytes)
{
    struct store_conn *other;

    ck_assert_int_eq(store_connect(&other, f->store), DS_OK);
    write_rows(FIRST_ROWS, bytes);
    call_sqlite(other, SQLITE_CHECKPOINT_PASSIVE);
    store_disconnect(other);
}

START_TEST(the_bug_loses_rows_if_a_checkpoint_begins_on_a_copied_log)
{
    struct fixture f;

    open_raced(&f);
    fill_and_copy(&f, 3000);
    after_header = write_one;
    call_sqlite(f.conn, SQLITE_CHECKPOINT_PASSIVE);
    ck_assert_int_eq(headers, 1);
    write_rows(MORE_ROWS, 3000);
    call_sqlite(f.conn, SQLITE_CHECKPOINT_RESTART);
    write_one();
    ck_assert_int_eq(is_all_there(&f), !store_sqlite_has_reset_bug());
    close_fixture(&f);
}
END_TEST

START_TEST(the_bug_loses_rows_if_a_restart_meets_a_writer)
{
    struct fixture f;

    open_raced(&f);
    fill_and_copy(&f, 3000);
    before_checkpoint = begin_to_write;
    after_header = end_to_write;
    call_sqlite(f.conn, SQLITE_CHECKPOINT_RESTART);
    ck_assert_int_eq(headers, 1);
    write_rows(MORE_ROWS, 3000);
    call_sqlite(f.conn, SQLITE_CHECKPOINT_RESTART);
    write_one();
    ck_assert_int_eq(is_all_there(&f), !store_sqlite_has_reset_bug());
    close_fixture(&f);
}
END_TEST

/* --- a checkpoint of the store --- */

/*
 * The same races against the store's checkpoints, which must lose nothing. If the log was not
 * copied before, they copy most of it while others write.
 */
static void race(bool copied, bool leaving, void (*before)(void), void (*after)(void))
{
    struct fixture f;

    open_raced(&f);
    if (copied)
        fill_and_copy(&f, 3000);
    else
        write_rows(FIRST_ROWS, 100000);
    before_checkpoint = before;
    after_header = after;
    (void)store_checkpoint(f.conn, leaving);
    call_once(&after_header); /* if the checkpoint has not called it */
    write_rows(MORE_ROWS, 3000);
    ck_assert_int_eq(store_checkpoint(f.conn, leaving), DS_OK);
    write_one();
    ck_assert(is_all_there(&f));
    close_fixture(&f);
}

START_TEST(loses_nothing_while_writers_continue)
{
    race(false, false, write_one, write_one);
    ck_assert_int_eq(headers, 1); /* otherwise there was no race */
    race(false, true, write_one, write_one);
    ck_assert_int_eq(headers, 1);
}
END_TEST

START_TEST(loses_nothing_while_writers_are_held_off)
{
    race(true, false, write_one, try_to_write_one);
    race(true, true, write_one, try_to_write_one);
}
END_TEST

START_TEST(loses_nothing_if_a_restart_meets_a_writer)
{
    race(true, false, begin_to_write, end_to_write); /* as in the test above that loses rows */
    race(true, false, write_and_begin, end_to_write);
    race(true, true, begin_to_write, end_to_write);
    race(true, true, write_and_begin, end_to_write);
}
END_TEST

static struct fixture *of_other_process;

static void checkpoint_too(void)
{
    struct store *other;
    struct store_conn *conn;

    ck_assert_int_eq(store_open(&other, &of_other_process->config, true), DS_OK);
    ck_assert_int_eq(store_connect(&conn, other), DS_OK);
    ck_assert_int_eq(store_checkpoint(conn, false), DS_BUSY);
    store_disconnect(conn);
    store_close(other, true);
    ck_assert_int_eq(store_checkpoint(of_other_process->conn, false), DS_BUSY);
    write_one();
}

START_TEST(is_run_by_one_connection_at_a_time)
{
    struct fixture f;

    open_raced(&f);
    of_other_process = &f;
    write_rows(FIRST_ROWS, 3000);
    before_checkpoint = checkpoint_too;
    ck_assert_int_eq(store_checkpoint(f.conn, false), DS_OK);
    ck_assert_ptr_null(before_checkpoint);
    ck_assert(is_all_there(&f));
    close_fixture(&f);
}
END_TEST

START_TEST(begins_with_a_commit_of_its_own)
{
    struct fixture f;
    int64_t checkpoints = 0;

    open_raced(&f);
    write_rows(FIRST_ROWS, 3000);
    ck_assert_int_eq(store_checkpoint(f.conn, false), DS_OK);
    ck_assert_int_eq(stmt_ask_int(f.conn, "SELECT checkpoints FROM upkeep", &checkpoints), DS_OK);
    ck_assert_int_eq(checkpoints, 1);
    /* as someone may do at the prompt */
    ck_assert_int_eq(run_as_writer("DELETE FROM upkeep"), SQLITE_OK);
    ck_assert_int_eq(store_checkpoint(f.conn, true), DS_OK);
    ck_assert_int_eq(stmt_ask_int(f.conn, "SELECT checkpoints FROM upkeep", &checkpoints), DS_OK);
    ck_assert_int_eq(checkpoints, 1);
    ck_assert(is_all_there(&f));
    close_fixture(&f);
}
END_TEST

START_TEST(is_refused_after_the_hints_file_was_replaced)
{
    struct fixture f;
    char name[80];

    open_raced(&f);
    write_rows(FIRST_ROWS, 3000);
    (void)snprintf(name, sizeof name, "%s-wake", f.config.database);
    ck_assert_int_eq(unlink(name), 0);
    ck_assert_int_eq(store_checkpoint(f.conn, false), DS_BUSY);
    ck_assert(is_all_there(&f));
    /* opened again, with a new hints file */
    ck_assert_int_eq(store_checkpoint(f.conn, false), DS_OK);
    close_fixture(&f);
}
END_TEST

START_TEST(makes_room_in_a_log_that_cannot_grow)
{
    struct fixture f;
    struct stat log;
    char name[80];

    open_raced(&f);
    write_rows(FIRST_ROWS, 3000);
    (void)snprintf(name, sizeof name, "%s-wal", f.config.database);
    ck_assert_int_eq(stat(name, &log), 0);
    log_limit = log.st_size;
    ck_assert_int_eq(run_as_writer("INSERT INTO noted (data) VALUES ('x')"), SQLITE_FULL);
    /* the checkpoint has the write lock, so this write must fail */
    before_checkpoint = try_to_write_one;
    ck_assert_int_eq(store_checkpoint(f.conn, false), DS_OK);
    ck_assert_int_eq(rows, FIRST_ROWS);
    write_rows(1, 3000); /* from the start of the log */
    log_limit = -1;
    ck_assert(is_all_there(&f));
    close_fixture(&f);
}
END_TEST

START_TEST(knows_which_releases_have_the_bug)
{
    static const struct {
        int version;
        bool has;
    } releases[] = {
        {3006023, false}, {3007000, true},  {3040001, true},  {3044005, true},  {3044006, false},
        {3044009, false}, {3045000, true},  {3050006, true},  {3050007, false}, {3051000, true},
        {3051002, true},  {3051003, false}, {3052000, false}, {4000000, false},
    };

    for (size_t i = 0; i < sizeof releases / sizeof releases[0]; i++)
        ck_assert_msg(store_release_has_reset_bug(releases[i].version) == releases[i].has, "%d",
                      releases[i].version);
}
END_TEST

UNIT_MAIN(store_checkpoint, the_bug_loses_rows_if_a_checkpoint_begins_on_a_copied_log,
          the_bug_loses_rows_if_a_restart_meets_a_writer, loses_nothing_while_writers_continue,
          loses_nothing_while_writers_are_held_off, loses_nothing_if_a_restart_meets_a_writer,
          is_run_by_one_connection_at_a_time, begins_with_a_commit_of_its_own,
          is_refused_after_the_hints_file_was_replaced, makes_room_in_a_log_that_cannot_grow,
          knows_which_releases_have_the_bug)
