/* Writes to the log: one for each commit, in order, and none left after a failed commit. */
#include <errno.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/sqlite/wal_vfs.h"
#include "store_fill.h"

/* Replaces SQLite's pwrite(): counts writes to the log, and lets them fail on request. */
static int writes;
static int writes_left = -1; /* until the disk is full; negative: never */
static size_t longest;

static ssize_t counted_write(int fd, const void *data, size_t bytes, off_t start)
{
    char link[40], name[200];
    ssize_t len;

    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    len = readlink(link, name, sizeof name);
    if (len < 4 || memcmp(name + len - 4, "-wal", 4) != 0)
        return pwrite(fd, data, bytes, start);
    if (writes_left == 0) {
        errno = ENOSPC;
        return -1;
    }
    writes++;
    writes_left -= writes_left > 0;
    longest = bytes > longest ? bytes : longest;
    return pwrite(fd, data, bytes, start);
}

static void open_counted(struct fixture *f)
{
    sqlite3_vfs *vfs;

    store_own_process();
    vfs = sqlite3_vfs_find(NULL);
    ck_assert_int_eq(vfs->xSetSystemCall(vfs, "pwrite", (sqlite3_syscall_ptr)counted_write),
                     SQLITE_OK);
    ck_assert_int_eq(vfs->xSetSystemCall(vfs, "pwrite64", (sqlite3_syscall_ptr)counted_write),
                     SQLITE_OK);
    open_fixture(f);
}

/* Appends messages of this many bytes in one transaction. */
static enum ds_status append(struct fixture *f, struct stream *stream, int messages, size_t bytes)
{
    static char payload[8192];
    struct stream grown = *stream;
    enum ds_status status = store_begin_write(f->conn);

    ck_assert_int_eq(status, DS_OK);
    memset(payload, 'a' + (int)(stream->messages % 26), bytes);
    for (int i = 0; i < messages; i++)
        ck_assert_int_eq(store_append(f->conn, &grown, payload, bytes, 1), DS_OK);
    grown.change = STREAM_CHANGED;
    ck_assert_int_eq(store_update(f->conn, &grown), DS_OK);
    status = store_commit(f->conn);
    if (status == DS_OK)
        *stream = grown;
    return status;
}

/* Checks that another connection, and one that reads the log again, find everything. */
static void expect_messages(struct fixture *f, const struct stream *stream, int64_t messages)
{
    char *text;
    int64_t next;

    ck_assert_int_eq(count(f, "SELECT count(*) FROM message"), messages);
    ck_assert_int_eq(count(f, "SELECT count(*) FROM pragma_integrity_check "
                              "WHERE integrity_check <> 'ok'"),
                     0);
    text = read_text(f, stream, 0, SIZE_MAX, &next);
    ck_assert_int_eq(next, stream->tail);
    free(text);
}

START_TEST(writes_once_for_each_commit)
{
    struct fixture f;
    struct stream stream;

    open_counted(&f);
    stream = make_stream(&f, "/s", "text/plain");
    for (int i = 0; i < 50; i++) {
        writes = 0;
        ck_assert_int_eq(append(&f, &stream, 1 + i % 10, 256), DS_OK);
        ck_assert_int_eq(writes, 1);
    }
    expect_messages(&f, &stream, 275);
    close_fixture(&f);
}
END_TEST

START_TEST(writes_large_transactions_in_pieces)
{
    struct fixture f;
    struct stream stream;

    open_counted(&f);
    stream = make_stream(&f, "/s", "text/plain");
    for (int messages = 1; messages <= 64; messages++) { /* sizes around each limit */
        writes = 0;
        ck_assert_int_eq(append(&f, &stream, messages, 4000), DS_OK);
        ck_assert_int_le(writes, 1 + messages * 5 / 60);
        ck_assert_uint_lt(longest, 128 * 1024);
    }
    /* more than fits into the page cache: pages go to the log before the commit, and again with
       it */
    ck_assert_int_eq(append(&f, &stream, 2000, 4000), DS_OK);
    expect_messages(&f, &stream, 64 * 65 / 2 + 2000);
    close_fixture(&f);
}
END_TEST

START_TEST(collects_nothing_but_frames)
{
    static const char data[4120] = {0};
    struct fixture f;
    sqlite3_file *log = NULL;

    open_counted(&f);
    (void)make_stream(&f, "/s", "text/plain");
    ck_assert_int_eq(sqlite3_file_control(f.conn->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log),
                     SQLITE_OK);
    wal_vfs_collect(f.conn, true);
    writes = 0;
    /* far behind the end: a frame, another write, a frame, and one that is written at once */
    ck_assert_int_eq(log->pMethods->xWrite(log, data, 24, 1000000), SQLITE_OK);
    ck_assert_int_eq(log->pMethods->xWrite(log, data, 4096, 1000024), SQLITE_OK);
    ck_assert_int_eq(writes, 0);
    ck_assert_int_eq(log->pMethods->xWrite(log, data, 32, 2000000), SQLITE_OK);
    ck_assert_int_eq(writes, 2);
    ck_assert_int_eq(log->pMethods->xWrite(log, data, 24, 1004120), SQLITE_OK);
    ck_assert_int_eq(log->pMethods->xWrite(log, data, 4096, 1004144), SQLITE_OK);
    ck_assert_int_eq(writes, 2);
    ck_assert_int_eq(log->pMethods->xWrite(log, data, 4120, 1008240), SQLITE_OK);
    ck_assert_int_eq(writes, 4);
    wal_vfs_collect(f.conn, false);
    close_fixture(&f);
}
END_TEST

START_TEST(a_full_disk_fails_the_commit)
{
    struct fixture f;
    struct stream stream;
    struct store_conn *first, *other;

    open_counted(&f);
    ck_assert_int_eq(store_connect(&other, f.store), DS_OK);
    first = f.conn;
    stream = make_stream(&f, "/s", "text/plain");
    ck_assert_int_eq(append(&f, &stream, 3, 256), DS_OK);
    for (int after = 0; after < 6; after++) {
        writes_left = after;
        ck_assert_int_eq(append(&f, &stream, 80, 4000), DS_NO_SPACE);
        /* another connection writes where the failed writes would have gone */
        writes_left = -1;
        f.conn = other;
        ck_assert_int_eq(append(&f, &stream, 1, 256), DS_OK);
        f.conn = first;
        expect_messages(&f, &stream, stream.messages);
        ck_assert_int_eq(append(&f, &stream, 1, 256), DS_OK);
        f.conn = other;
        expect_messages(&f, &stream, 3 + 2 * (after + 1));
        f.conn = first;
    }
    store_disconnect(other);
    close_fixture(&f);
}
END_TEST

/* A process that opens the database after a kill finds every commit. */
START_TEST(the_next_process_finds_every_commit)
{
    struct fixture f;
    struct stream stream;
    int status, pipe_fds[2];

    open_counted(&f);
    stream = make_stream(&f, "/s", "text/plain");
    store_disconnect(f.conn);
    store_close(f.store, false);
    ck_assert_int_eq(pipe(pipe_fds), 0);
    if (fork() == 0) {
        if (store_open(&f.store, &f.config, true) != DS_OK ||
            store_connect(&f.conn, f.store) != DS_OK)
            _exit(1);
        for (int i = 0; i < 40; i++)
            if (append(&f, &stream, 1 + i, 300) != DS_OK)
                _exit(1);
        (void)!write(pipe_fds[1], &stream, sizeof stream);
        (void)raise(SIGKILL);
    }
    ck_assert_int_gt(wait(&status), 0);
    ck_assert(WIFSIGNALED(status));
    ck_assert_int_eq(read(pipe_fds[0], &stream, sizeof stream), sizeof stream);
    ck_assert_int_eq(store_open(&f.store, &f.config, true), DS_OK);
    ck_assert_int_eq(store_connect(&f.conn, f.store), DS_OK);
    expect_messages(&f, &stream, 40 * 41 / 2);
    close_fixture(&f);
}
END_TEST

UNIT_MAIN(wal_vfs, writes_once_for_each_commit, writes_large_transactions_in_pieces,
          collects_nothing_but_frames, a_full_disk_fails_the_commit,
          the_next_process_finds_every_commit)
