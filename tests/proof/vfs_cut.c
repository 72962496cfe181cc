/*
 * A process dies between two of its writes to the log, at each possible place.
 *
 * A child process appends to a database in a few transactions, and ends after 0, 1, 2, … writes,
 * truncations and syncs of the log, until one child reaches its end. In other children all later
 * ones fail instead, and the child continues despite the errors. Its files must open with SQLite's
 * own VFS and with the store, and have every acknowledged transaction, and all or nothing of the
 * next one; and the store must be able to write to them.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/log.h"
#include "proof.h"
#include "shim.h"
#include "store/sqlite/store_private.h"

enum { TRANSACTIONS = 3, MOST_MESSAGES = 400 };

static struct {
    int64_t cuts, failures, through, acknowledged;
} covered;

/* One transaction of a round; each message of it is a line. */
static struct plan {
    int messages;
    int64_t bytes;    /* of each, roughly */
    int cache;        /* pages of the page cache: with few, they are written before the commit */
    bool checkpoints; /* before the transaction, so that it may restart the log */
} plan[1 + TRANSACTIONS];

static struct config config;
static const char path[] = "/v1/stream/cut";

static void make_plan(void)
{
    struct chance chance = chance_from(proof.seed, 3);

    for (int i = 0; i <= TRANSACTIONS; i++) {
        static const int64_t sizes[] = {10, 200, 4000, 9000};
        static const int caches[] = {2000, 2000, 10, 1};

        plan[i] = (struct plan){
            .messages = (int)chance_between(&chance, 1, chance_one_in(&chance, 2) ? 4 : 40),
            .bytes = sizes[chance_below(&chance, 4)],
            .cache = caches[chance_below(&chance, 4)],
            .checkpoints = chance_one_in(&chance, 3),
        };
    }
}

static size_t message(char *to, int transaction, int i)
{
    size_t len = (size_t)sprintf(to, "%d %d ", transaction, i);
    size_t bytes = (size_t)plan[transaction].bytes;

    for (; len < bytes; len++)
        to[len] = (char)('a' + (transaction * 7 + i + (int)len) % 26);
    to[len++] = '\n';
    return len;
}

/* The contents of the stream after this number of transactions, to be freed. */
static char *expected(int transactions, size_t *len)
{
    char *text = malloc(MOST_MESSAGES * 10000 + 1);

    PROOF(text, "out of memory");
    *len = 0;
    for (int t = 0; t < transactions; t++)
        for (int i = 0; i < plan[t].messages; i++)
            *len += message(text + *len, t, i);
    return text;
}

/* --- in the child --- */

static enum ds_status find(struct store_conn *conn, struct arena *arena, struct stream *stream)
{
    enum ds_status status = store_find(conn, arena, path, 1, stream);

    if (status != DS_NOT_FOUND)
        return status;
    *stream = (struct stream){.path = path,
                              .content_type = "text/plain",
                              .kind = HTTP_TYPE_TEXT,
                              .created_at = 1,
                              .ttl_seconds = -1};
    return store_insert(conn, stream);
}

static enum ds_status transact(struct store_conn *conn, int transaction)
{
    static char text[10000];
    struct arena *arena = arena_new();
    struct stream stream;
    char sql[60];
    enum ds_status status;

    (void)snprintf(sql, sizeof sql, "PRAGMA cache_size = %d", plan[transaction].cache);
    (void)sqlite3_exec(conn->db, sql, NULL, NULL, NULL);
    status = store_begin_write(conn);
    if (status == DS_OK)
        status = find(conn, arena, &stream);
    for (int i = 0; status == DS_OK && i < plan[transaction].messages; i++)
        status = store_append(conn, &stream, text, message(text, transaction, i), 1);
    stream.change = STREAM_CHANGED;
    if (status == DS_OK)
        status = store_update(conn, &stream);
    if (status == DS_OK)
        status = store_commit(conn);
    else
        store_rollback(conn);
    arena_free(arena);
    return status;
}

static void open_store(struct store **store, struct store_conn *conn[2])
{
    log_open(LOG_ERR_);
    PROOF(store_open(store, &config, true) == DS_OK, "the store cannot be opened");
    for (int i = 0; i < 2; i++)
        PROOF(store_connect(&conn[i], *store) == DS_OK, "no connection to the store");
}

/* Reports each committed transaction at once. */
static _Noreturn void work(int to, int64_t most, bool exits)
{
    struct store *store;
    struct store_conn *conn[2];

    (void)dup2(open("/dev/null", O_WRONLY), 2); /* hides the errors that the store logs */
    open_store(&store, conn);
    shim.most = shim.changes + most;
    shim.exits = exits;
    for (int t = 1; t <= TRANSACTIONS; t++) {
        if (plan[t].checkpoints)
            (void)store_checkpoint(conn[1], t % 2 == 0);
        if (transact(conn[t % 2], t) != DS_OK)
            break;
        (void)!write(to, "+", 1);
    }
    if (shim.changes < shim.most)
        (void)!write(to, ".", 1);          /* reached the end */
    (void)transact(conn[0], TRANSACTIONS); /* may fail, or be there as one more transaction */
    _exit(0);
}

/* --- in another process: the check --- */

static void look_by_sqlite(const char *name, size_t *len, char **text)
{
    sqlite3 *db;
    sqlite3_stmt *stmt;
    struct buf out = {0};

    PROOF(sqlite3_open_v2(name, &db, SQLITE_OPEN_READWRITE, "unix") == SQLITE_OK, "no database");
    PROOF(sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &stmt, NULL) == SQLITE_OK &&
              sqlite3_step(stmt) == SQLITE_ROW &&
              strcmp((const char *)sqlite3_column_text(stmt, 0), "ok") == 0,
          "SQLite finds damage: %s", sqlite3_errmsg(db));
    (void)sqlite3_finalize(stmt);
    PROOF(sqlite3_prepare_v2(db, "SELECT payload FROM message ORDER BY position", -1, &stmt,
                             NULL) == SQLITE_OK,
          "%s", sqlite3_errmsg(db));
    while (sqlite3_step(stmt) == SQLITE_ROW)
        buf_add(&out, (const char *)sqlite3_column_blob(stmt, 0),
                (size_t)sqlite3_column_bytes(stmt, 0));
    PROOF(sqlite3_finalize(stmt) == SQLITE_OK, "%s", sqlite3_errmsg(db));
    (void)sqlite3_close(db);
    *text = buf_take(&out, len);
}

static void look_by_store(size_t *len, char **text)
{
    struct store *store;
    struct store_conn *conn[2];
    struct arena *arena = arena_new();
    struct stream stream;
    struct buf out = {0};
    int64_t next = 0;

    open_store(&store, conn);
    PROOF(store_hold(conn[0], arena, path, 1, &stream) == DS_OK, "the stream is not there");
    while (next < stream.tail)
        PROOF(store_read(conn[0], &stream, next, 100000, &out, &next) == DS_OK,
              "the stream cannot be read");
    store_end_read(conn[0]);
    *text = buf_take(&out, len);
    PROOF(transact(conn[1], 0) == DS_OK, "the store cannot go on");
    arena_free(arena);
    for (int i = 0; i < 2; i++)
        store_disconnect(conn[i]);
    store_close(store, true);
}

static void judge(const char *who, const char *text, size_t len, int acknowledged)
{
    for (int t = 1 + acknowledged; t <= 2 + acknowledged && t <= 1 + TRANSACTIONS; t++) {
        size_t wanted_len;
        char *wanted = expected(t, &wanted_len);
        bool same = len == wanted_len && memcmp(text, wanted, len) == 0;

        free(wanted);
        if (same)
            return;
    }
    proof_fail("%s finds %zu bytes after %d acknowledged transactions: no whole number of them",
               who, len, 1 + acknowledged);
}

static void look(int acknowledged)
{
    size_t len, again_len;
    char *text, *again;

    shim.most = -1;
    proof_copy(proof_file("cut.db"), proof_file("stock.db"));
    proof_copy(proof_file("cut.db-wal"), proof_file("stock.db-wal"));
    (void)unlink(proof_file("stock.db-shm"));
    look_by_sqlite(proof_file("stock.db"), &len, &text);
    judge("SQLite", text, len, acknowledged);
    look_by_store(&again_len, &again);
    judge("the store", again, again_len, acknowledged);
    PROOF(len == again_len, "SQLite and the store find different transactions");
    free(text);
    free(again);
    _exit(0);
}

/* --- a round --- */

static void must_end_well(pid_t pid, const char *what)
{
    int status;

    PROOF(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0,
          "%s ended with status %x", what, (unsigned)status);
}

static pid_t fork_child(void)
{
    pid_t pid = fork();

    PROOF(pid >= 0, "cannot fork");
    return pid;
}

/* The database as every child finds it: with one transaction in the log. */
static void make_base(void)
{
    pid_t pid = fork_child();

    if (pid == 0) {
        struct store *store;
        struct store_conn *conn[2];

        open_store(&store, conn);
        PROOF(transact(conn[0], 0) == DS_OK, "the first transaction fails");
        _exit(0);
    }
    must_end_well(pid, "making the database");
    proof_copy(proof_file("cut.db"), proof_file("base.db"));
    proof_copy(proof_file("cut.db-wal"), proof_file("base.db-wal"));
}

/* True if the child reached its end. */
static bool cut_after(int64_t changes, bool exits)
{
    char said[TRANSACTIONS + 3] = "";
    int ends[2], acknowledged = 0;
    bool through;
    ssize_t n;
    pid_t pid;

    proof_copy(proof_file("base.db"), proof_file("cut.db"));
    proof_copy(proof_file("base.db-wal"), proof_file("cut.db-wal"));
    (void)unlink(proof_file("cut.db-shm"));
    PROOF(pipe(ends) == 0, "no pipe");
    pid = fork_child();
    if (pid == 0)
        work(ends[1], changes, exits);
    (void)close(ends[1]);
    n = read(ends[0], said, sizeof said - 1);
    for (ssize_t more = n; more > 0; n += more)
        more = read(ends[0], said + n, sizeof said - 1 - (size_t)n);
    (void)close(ends[0]);
    must_end_well(pid, "a writer");
    through = strchr(said, '.') != NULL;
    while (said[acknowledged] == '+')
        acknowledged++;
    covered.cuts += exits;
    covered.failures += !exits;
    covered.acknowledged += acknowledged;
    if (through) {
        PROOF(acknowledged == TRANSACTIONS, "only %d transactions of %d", acknowledged,
              TRANSACTIONS);
        covered.through++;
        return true;
    }
    pid = fork_child();
    if (pid == 0)
        look(acknowledged);
    must_end_well(pid, "a reader, as was said above:");
    return false;
}

int main(int argc, char **argv)
{
    char error[160];

    proof_begin("vfs_cut", argc, argv);
    shim_register();
    store_own_process();
    while (proof_round()) {
        make_plan();
        (void)setenv("DS_DATABASE", proof_file("cut.db"), 1);
        (void)setenv("DS_WAL_BYTES", "65536", 1);
        PROOF(config_load(&config, error, sizeof error), "%s", error);
        make_base();
        for (int exits = 0; exits < 2; exits++)
            for (int64_t n = 0; !cut_after(n, exits != 0); n++)
                ;
        config_close(&config);
    }
    proof_end("%lld processes ended and %lld stopped between two writes to the log, "
              "%lld transactions acknowledged, each there once",
              (long long)covered.cuts, (long long)covered.failures,
              (long long)covered.acknowledged);
    return 0;
}
