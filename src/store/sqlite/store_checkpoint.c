/*
 * Checkpoints: copying the write-ahead log into the database and restarting the log.
 *
 * SQLite from 3.7.0 to 3.51.2 can lose a committed transaction in a checkpoint
 * (sqlite.org/wal.html, "the WAL-reset bug"; also fixed in 3.44.6 and 3.50.7). A checkpoint reads
 * the header of the log's index, and then asks how much of the log was copied already. A commit
 * between these two steps restarts the log if it was copied completely and has no readers:
 *
 *     checkpoint                     another connection           frames in the log   counted as
 *                                                                                     copied
 *                                                                 1…N                 N
 *     reads the header: N frames
 *                                    commits: frame 1 is new      1                   0
 *     reads that 0 are copied:
 *     copies 2…N of the old log,
 *     and notes that N are                                        1                   N; not so 1
 *                                    commits more                 1…M                 N
 *
 * The next checkpoint skips the frames up to N, so the commits in them are lost.
 *
 * This cannot happen in a checkpoint of this file, whichever SQLite is linked. The argument needs
 * two rules that wal.html states and that hold in wal.c of every affected release:
 *
 *   R1  Only a checkpoint raises the number of copied frames, and only while it holds SQLite's
 *       checkpoint lock (sqlite3WalCheckpoint() takes WAL_CKPT_LOCK before it reads the header;
 *       only walCheckpoint() writes a larger nBackfill).
 *   R2  A commit restarts the log only if all of it was copied (walRestartLog() requires a
 *       connection on WAL_READ_LOCK(0), which walTryBeginRead() gives only if nBackfill equals
 *       mxFrame; and the connection has seen the last commit, or it could not write). Recovery
 *       restarts it too, but needs the checkpoint lock.
 *
 * and two things that we do:
 *
 *   1. One checkpoint runs at a time, over all processes. Each holds the checkpoint lock of the
 *      hints file (duty.h) from before step 2 until SQLite's call has returned, and does not
 *      switch to another hints file meanwhile. If that file was just removed, this
 *      process runs no checkpoint until it has switched to the new one.
 *   2. Right before SQLite's call, a commit of our own writes a row of the table upkeep. Its frames
 *      follow all others, so after it the log is not copied completely.
 *
 * From step 2 on nobody copies frames (1, R1), so nobody can restart the log (R2), until SQLite's
 * call has copied everything itself. Afterwards the call changes nothing; or, with RESTART and
 * TRUNCATE, it holds SQLite's write lock, so that nobody commits. If it does not get that lock,
 * SQLite falls back to PASSIVE, which begins in the same state, so the argument holds for it too.
 *
 * On a full disk there may be no room for step 2. Another connection then holds SQLite's write
 * lock, without having written, while a PASSIVE checkpoint runs: nobody commits, so nobody restarts
 * the log. This makes writers wait, which is why it is the exception.
 *
 * The argument does not cover programs that checkpoint beside us (a sqlite3 prompt that writes,
 * Litestream) on an affected SQLite; deploy/operations.md says which of them are safe.
 * tests/unit/test_store_checkpoint.c forces the interleaving.
 */
#include "hints/duty.h"
#include "hints/hints.h"
#include "store/sqlite/store_private.h"

enum {
    READER_PATIENCE_MS = 20, /* longest wait for a reader, such as one at a prompt */
    MUCH = 1024 * 1024,      /* bytes of log; copying fewer delays writers only by a few ms */
};

const char *store_sqlite_release(void)
{
    return sqlite3_libversion();
}

bool store_release_has_reset_bug(int release)
{
    if (release < 3007000 || release >= 3051003)
        return false;
    return !(release >= 3044006 && release < 3045000) && !(release >= 3050007 && release < 3051000);
}

bool store_sqlite_has_reset_bug(void)
{
    return store_release_has_reset_bug(sqlite3_libversion_number());
}

/* Step 2. The row counts, so that it changes each time. */
static enum ds_status append_to_log(struct store_conn *conn)
{
    enum ds_status status = store_begin_write(conn);

    if (status != DS_OK)
        return status;
    status = stmt_run_ids(conn, STMT_UPKEEP_CHECKPOINT, 0, 0);
    if (status == DS_OK)
        return store_commit(conn);
    store_rollback(conn);
    return status;
}

/* SQLite's call; DS_BUSY if readers kept it from reaching the end of the log. */
static enum ds_status call_checkpoint(struct store_conn *conn, int mode)
{
    int code;

    if (!hints_is_current(conn->store->hints))
        return DS_BUSY;
    code = sqlite3_wal_checkpoint_v2(conn->db, NULL, mode, NULL, NULL);
    return (code & 0xff) == SQLITE_BUSY ? DS_BUSY : store_status(conn, code, "checkpointing");
}

/* For a full disk, see above: copies as much as the database has room for. */
static enum ds_status copy_without_writers(struct store_conn *conn)
{
    struct store_conn *other;
    enum ds_status status = store_connect(&other, conn->store);

    if (status != DS_OK)
        return status;
    status = store_begin_write(other);
    if (status == DS_OK) {
        status = call_checkpoint(conn, SQLITE_CHECKPOINT_PASSIVE);
        store_rollback(other);
    }
    store_disconnect(other);
    return status;
}

/*
 * Copies everything and restarts the log. Writers must wait, because the copy would never reach the
 * end of the log otherwise. Readers in the way, such as a long query at a prompt, are given only a
 * short time.
 */
static enum ds_status restart_wal(struct store_conn *conn, bool leaving)
{
    enum ds_status status, locked;

    locked = hints_lock_writers(conn->store->hints, conn->store->config->busy_timeout_ms);
    if (locked == DS_BUSY)
        return locked;
    (void)sqlite3_busy_timeout(conn->db, READER_PATIENCE_MS);
    status =
        call_checkpoint(conn, leaving ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_RESTART);
    (void)sqlite3_busy_timeout(conn->db, (int)conn->store->config->busy_timeout_ms);
    if (locked == DS_OK)
        hints_unlock_writers(conn->store->hints);
    return status;
}

static enum ds_status run_checkpoint(struct store_conn *conn, bool leaving)
{
    enum ds_status status = append_to_log(conn);

    if (status == DS_NO_SPACE)
        return copy_without_writers(conn);
    if (status == DS_OK && conn->wal_bytes > MUCH) { /* copy most of it while writers continue */
        status = call_checkpoint(conn, SQLITE_CHECKPOINT_PASSIVE);
        if (status == DS_OK || status == DS_BUSY)
            status = append_to_log(conn); /* so that the next call copies it */
    }
    return status == DS_OK ? restart_wal(conn, leaving) : status;
}

enum ds_status store_checkpoint(struct store_conn *conn, bool leaving)
{
    struct hints *hints = conn->store->hints;
    enum ds_status status;

    if (!duty_try_checkpoint(hints)) /* step 1; another thread or process runs a checkpoint */
        return DS_BUSY;
    status = run_checkpoint(conn, leaving);
    duty_end_checkpoint(hints);
    return status;
}
