/*
 * Checkpoints: the write-ahead log is copied into the database, and started anew.
 *
 * SQLite from 3.7.0 to 3.51.2 can lose a committed transaction in a checkpoint
 * (sqlite.org/wal.html, "the WAL-reset bug"; also mended in 3.44.6 and 3.50.7). A checkpoint reads
 * the header of the log's index, and then asks how much of the log was copied already. A commit
 * that comes between the two, and finds the log wholly copied and without readers, restarts it:
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
 * The next checkpoint skips the frames up to N, and the commits in them are lost.
 *
 * No checkpoint of this file can meet that, whichever SQLite is linked. The argument needs two
 * rules that wal.html states and that hold in wal.c of every release with the fault:
 *
 *   R1  Only a checkpoint raises the number of copied frames, and only while it holds the one
 *       checkpoint lock (sqlite3WalCheckpoint() takes WAL_CKPT_LOCK before it reads the header;
 *       walCheckpoint() alone writes a larger nBackfill).
 *   R2  A commit restarts the log only where all of it was copied (walRestartLog() wants a
 *       connection on WAL_READ_LOCK(0), which walTryBeginRead() gives only where nBackfill equals
 *       mxFrame, and which has seen the last commit, or it could not write). So does recovery,
 *       which also wants the checkpoint lock.
 *
 * and two things that we do:
 *
 *   1. One checkpoint at a time, over all processes: each holds the checkpoint lock of the hints
 *      file (duty.h) from before step 2 until SQLite's call has returned, and does not go over to
 *      another file meanwhile. Where somebody has just removed that file, whose name then stands
 *      for another one, there is no checkpoint until this process has gone over to it.
 *   2. Right before SQLite's call, a commit of our own writes a row (upkeep). Its frames lie behind
 *      all that was there, so at its end the log is not wholly copied.
 *
 * From 2 on, nobody copies frames (1, R1), so nobody can restart the log (R2), until the call
 * itself has copied all. After that it changes nothing any more; or (RESTART, TRUNCATE) it holds
 * SQLite's write lock, with which nobody commits. Where it does not get that lock, SQLite falls
 * back to PASSIVE, which begins in the same state: the argument holds for it, too.
 *
 * On a full disk there may be no room for step 2. Then another connection holds SQLite's write
 * lock, without having written, while a PASSIVE checkpoint runs: nobody commits, so nobody restarts
 * the log. Writers wait meanwhile, which is why this is not the rule.
 *
 * The argument does not reach programs that checkpoint beside us (a sqlite3 prompt that writes,
 * Litestream) on an SQLite with the fault; deploy/backup.md says which of them are safe.
 * tests/unit/test_store_checkpoint.c forces the interleaving.
 */
#include "hints/duty.h"
#include "hints/hints.h"
#include "store/sqlite/store_private.h"

enum {
    READER_PATIENCE_MS = 20, /* a reader that takes longer (a person's) is not waited for */
    MUCH = 1024 * 1024,      /* bytes of log: copying fewer holds writers off for a few ms only */
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

/* Step 2. Counted, so that the row differs each time. */
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

/* SQLite's call: DS_BUSY where readers kept it from the end of the log. */
static enum ds_status call(struct store_conn *conn, int mode)
{
    int code;

    if (!hints_is_current(conn->store->hints))
        return DS_BUSY;
    code = sqlite3_wal_checkpoint_v2(conn->db, NULL, mode, NULL, NULL);
    return (code & 0xff) == SQLITE_BUSY ? DS_BUSY : store_status(conn, code, "checkpointing");
}

/* On a full disk, see above: as much as there is room for in the database. */
static enum ds_status copy_without_writers(struct store_conn *conn)
{
    struct store_conn *other;
    enum ds_status status = store_connect(&other, conn->store);

    if (status != DS_OK)
        return status;
    status = store_begin_write(other);
    if (status == DS_OK) {
        status = call(conn, SQLITE_CHECKPOINT_PASSIVE);
        store_rollback(other);
    }
    store_disconnect(other);
    return status;
}

/*
 * All of it, and the log starts anew: with writers held off, or it would never come to its end.
 * Readers in the way (a long look at the prompt) are waited for only shortly.
 */
static enum ds_status restart(struct store_conn *conn, bool leaving)
{
    enum ds_status status, locked;

    locked = hints_lock_writers(conn->store->hints, conn->store->config->busy_timeout_ms);
    if (locked == DS_BUSY)
        return locked;
    (void)sqlite3_busy_timeout(conn->db, READER_PATIENCE_MS);
    status = call(conn, leaving ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_RESTART);
    (void)sqlite3_busy_timeout(conn->db, (int)conn->store->config->busy_timeout_ms);
    if (locked == DS_OK)
        hints_unlock_writers(conn->store->hints);
    return status;
}

static enum ds_status checkpoint(struct store_conn *conn, bool leaving)
{
    enum ds_status status = append_to_log(conn);

    if (status == DS_NO_SPACE)
        return copy_without_writers(conn);
    if (status == DS_OK && conn->wal_bytes > MUCH) { /* most of it while writers go on */
        status = call(conn, SQLITE_CHECKPOINT_PASSIVE);
        if (status == DS_OK || status == DS_BUSY)
            status = append_to_log(conn); /* for the next call */
    }
    return status == DS_OK ? restart(conn, leaving) : status;
}

enum ds_status store_checkpoint(struct store_conn *conn, bool leaving)
{
    struct hints *hints = conn->store->hints;
    enum ds_status status;

    if (!duty_try_checkpoint(hints)) /* step 1; another one's does as well */
        return DS_BUSY;
    status = checkpoint(conn, leaving);
    duty_end_checkpoint(hints);
    return status;
}
