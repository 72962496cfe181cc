/* Which state of the log is known to be synced, from one process to the next. */
#include "hints/hints.h"
#include "store/sqlite/row_cache.h"
#include "store/sqlite/store_private.h"

#include "store_unit.h"

/* Opens the database as the next process does after this one has ended. */
static void open_again(struct fixture *f, int durability)
{
    store_disconnect(f->conn);
    store_close(f->store, false);
    f->config.durability = durability;
    ck_assert_int_eq(store_open(&f->store, &f->config, true), DS_OK);
    ck_assert_int_eq(store_connect(&f->conn, f->store), DS_OK);
}

static bool is_noted(struct fixture *f)
{
    uint64_t state = row_cache_wal_state(f->conn);

    ck_assert_uint_ne(state, 0);
    return hints_wal_synced(store_hints(f->store)) == state;
}

/* As at the sqlite3 prompt. */
static void write_elsewhere(struct fixture *f)
{
    sqlite3 *db;

    ck_assert_int_eq(sqlite3_open(f->config.database, &db), SQLITE_OK);
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    ck_assert_int_eq(sqlite3_exec(db, "INSERT INTO garbage DEFAULT VALUES", NULL, NULL, NULL),
                     SQLITE_OK);
    ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
}

START_TEST(recognises_a_log_that_ends_with_a_synced_commit)
{
    struct fixture f;
    uint64_t state;

    open_fixture(&f);
    open_again(&f, DURABILITY_FULL);
    (void)make_stream(&f, "/a", "text/plain");
    ck_assert(is_noted(&f));
    state = row_cache_wal_state(f.conn);
    (void)make_stream(&f, "/b", "text/plain");
    ck_assert(is_noted(&f));
    ck_assert_uint_ne(row_cache_wal_state(f.conn), state);
    /* the note survives a rebuild of the log's index, so nothing is synced */
    state = row_cache_wal_state(f.conn);
    open_again(&f, DURABILITY_FULL);
    ck_assert_uint_eq(row_cache_wal_state(f.conn), state);
    ck_assert(is_noted(&f));
    close_fixture(&f);
}
END_TEST

START_TEST(does_not_recognise_a_log_that_others_have_written)
{
    struct fixture f;
    uint64_t noted;

    open_fixture(&f);
    open_again(&f, DURABILITY_FULL);
    (void)make_stream(&f, "/a", "text/plain");
    noted = hints_wal_synced(store_hints(f.store));
    write_elsewhere(&f);
    open_again(&f, DURABILITY_NORMAL); /* a process that syncs nothing notes nothing */
    ck_assert(!is_noted(&f));
    (void)make_stream(&f, "/b", "text/plain");
    ck_assert(!is_noted(&f));
    ck_assert_uint_eq(hints_wal_synced(store_hints(f.store)), noted);
    open_again(&f, DURABILITY_FULL); /* this one has synced the log */
    ck_assert(is_noted(&f));
    close_fixture(&f);
}
END_TEST

UNIT_MAIN(store_sync, recognises_a_log_that_ends_with_a_synced_commit,
          does_not_recognise_a_log_that_others_have_written)
