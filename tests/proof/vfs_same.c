/*
 * The VFS of the store writes the same bytes as SQLite's own.
 *
 * Two databases take the same thousands of transactions, one by the VFS of wal_vfs.c and one
 * without it. The transactions are small, large, larger than the page cache, rolled back, with
 * savepoints, or fail (the disk is full, a sync fails); they come from several connections, with
 * VACUUM, checkpoints of all modes, and readers in the way. After each, database and log must be
 * the same, byte by byte, and so must be the results of SQLite.
 *
 * After a full disk, the bytes behind the last commit in the log may differ, because a VFS that
 * writes more at once writes less before the first error. SQLite never reads them. From then on the
 * logs are compared up to their last commits, until they are the same again.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proof.h"
#include "shim.h"
#include "store/sqlite/store_private.h"
#include "store/sqlite/wal_vfs.h"

enum {
    CONNECTIONS = 3,
    STEPS = 600, /* of a round */
    WAL_HEADER = 32,
    FRAME_HEADER = 24,
    MOST_PAYLOAD = 20000,
};

struct side {
    const char *vfs;
    char name[220], log[230];
    struct store_conn conn[CONNECTIONS]; /* all but db is NULL: wal_vfs_collect() wants no more */
};

enum what {
    WRITES, /* a transaction */
    CHECKPOINT,
    READER_COMES,
    READER_GOES,
    VACUUMS,
    REOPENS,
    LIMITS_LOG,
    LIMITS_CACHE,
    SYNCHRONIZES,
};

static const struct {
    const char *name;
    uint64_t weight;
} steps[] = {
    [WRITES] = {"transaction", 100},     [CHECKPOINT] = {"checkpoint", 25},
    [READER_COMES] = {"reader", 6},      [READER_GOES] = {"reader's end", 8},
    [VACUUMS] = {"vacuum", 1},           [REOPENS] = {"connection", 3},
    [LIMITS_LOG] = {"log limit", 3},     [LIMITS_CACHE] = {"cache size", 6},
    [SYNCHRONIZES] = {"synchronous", 3},
};

static struct {
    int64_t transactions, committed, rolled_back, failed, checkpoints, whole, bytes;
} covered;

static bool plain_sync; /* the disk of this round may damage the bytes beside a write */
static int page_size;
static bool differs; /* behind the last commit, since the disk was full */

static void exec(sqlite3 *db, const char *sql)
{
    int code = sqlite3_exec(db, sql, NULL, NULL, NULL);

    PROOF(code == SQLITE_OK, "%s: %s", sql, sqlite3_errmsg(db));
}

static int64_t ask(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *stmt = NULL;
    int64_t value = -1;

    if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK &&
        sqlite3_step(stmt) == SQLITE_ROW)
        value = sqlite3_column_int64(stmt, 0);
    (void)sqlite3_finalize(stmt);
    return value;
}

static void connect(struct side *side, int i)
{
    char uri[300], sql[100];

    (void)snprintf(uri, sizeof uri, "file:%s?psow=%d", side->name, !plain_sync);
    PROOF(sqlite3_open_v2(uri, &side->conn[i].db,
                          SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_URI,
                          side->vfs) == SQLITE_OK,
          "cannot open %s", uri);
    (void)snprintf(sql, sizeof sql, "PRAGMA page_size = %d", page_size);
    exec(side->conn[i].db, sql);
    exec(side->conn[i].db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; "
                           "PRAGMA wal_autocheckpoint = 0;");
    (void)sqlite3_db_config(side->conn[i].db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
}

static void open_side(struct side *side, const char *name, const char *vfs, uint64_t random)
{
    memset(side, 0, sizeof *side);
    side->vfs = vfs;
    (void)snprintf(side->name, sizeof side->name, "%s", proof_file(name));
    (void)snprintf(side->log, sizeof side->log, "%s-wal", side->name);
    shim_random(random);
    for (int i = 0; i < CONNECTIONS; i++)
        connect(side, i);
    exec(side->conn[0].db, "CREATE TABLE t (id INTEGER PRIMARY KEY, k INTEGER, payload BLOB);"
                           "CREATE INDEX t_by_k ON t (k);");
}

static void close_side(struct side *side)
{
    for (int i = 0; i < CONNECTIONS; i++)
        PROOF(sqlite3_close(side->conn[i].db) == SQLITE_OK, "a connection cannot be closed");
}

/* --- one transaction --- */

static int insert(sqlite3 *db, struct chance *chance, int64_t most)
{
    static char payload[MOST_PAYLOAD];
    size_t len = (size_t)chance_between(chance, 0, most);
    sqlite3_stmt *stmt;
    int code =
        sqlite3_prepare_v2(db, "INSERT INTO t (k, payload) VALUES (?1, ?2)", -1, &stmt, NULL);

    if (code != SQLITE_OK)
        return code;
    chance_fill(chance, payload, len);
    (void)sqlite3_bind_int64(stmt, 1, (int64_t)chance_below(chance, 1000));
    (void)sqlite3_bind_blob(stmt, 2, payload, (int)len, SQLITE_STATIC);
    (void)sqlite3_step(stmt);
    return sqlite3_finalize(stmt);
}

static int change(sqlite3 *db, struct chance *chance, int64_t most)
{
    char sql[160];
    int key = (int)chance_below(chance, 1000);

    switch (chance_below(chance, 12)) {
    case 0: /* as many pages as there are */
        (void)snprintf(sql, sizeof sql, "UPDATE t SET k = (k * 7 + 1) %% 1000 WHERE k %% 10 = %d",
                       key % 10);
        break;
    case 1: /* more than there are, so that the files stay short */
        (void)snprintf(sql, sizeof sql, "DELETE FROM t WHERE k BETWEEN %d AND %d", key, key + 200);
        break;
    case 2:
        (void)snprintf(sql, sizeof sql, "SAVEPOINT s%d", key % 3);
        break;
    case 3:
        (void)snprintf(sql, sizeof sql, "ROLLBACK TO s%d", key % 3);
        break;
    case 4:
        (void)snprintf(sql, sizeof sql, "RELEASE s%d", key % 3);
        break;
    default:
        return insert(db, chance, most);
    }
    return sqlite3_exec(db, sql, NULL, NULL, NULL);
}

static bool is_fatal(int code)
{
    return code != SQLITE_OK && code != SQLITE_ERROR; /* there may be no such savepoint */
}

/* The results of SQLite for the statements, mixed into one number. */
static uint64_t write_some(struct side *side, struct chance *chance)
{
    struct store_conn *conn = &side->conn[chance_below(chance, CONNECTIONS)];
    static const int64_t sizes[] = {30, 300, 3000, MOST_PAYLOAD};
    int64_t most = sizes[chance_below(chance, 4)], changes = chance_between(chance, 1, 8);
    bool gives_up = chance_one_in(chance, 8);
    uint64_t answers = 0;
    int code = sqlite3_exec(conn->db, "BEGIN IMMEDIATE", NULL, NULL, NULL);

    if (code != SQLITE_OK)
        return (uint64_t)code; /* it is reading */
    if (chance_one_in(chance, 4)) {
        changes = chance_between(chance, 10, 150);
    } else if (chance_one_in(chance, 40)) {
        changes = chance_between(chance, 200, 800);
        most = 3000;
    }
    for (int64_t i = 0; i < changes && !is_fatal(code) && !sqlite3_get_autocommit(conn->db); i++) {
        code = change(conn->db, chance, most);
        answers = answers * 31 + (uint64_t)code;
    }
    if (!is_fatal(code) && !gives_up) {
        wal_vfs_collect(conn, true);
        code = sqlite3_exec(conn->db, "COMMIT", NULL, NULL, NULL);
        wal_vfs_collect(conn, false);
    }
    if (!sqlite3_get_autocommit(conn->db))
        answers = answers * 31 + (uint64_t)sqlite3_exec(conn->db, "ROLLBACK", NULL, NULL, NULL);
    if (side->vfs == NULL || strcmp(side->vfs, SHIM_VFS) != 0) {
        covered.transactions++;
        covered.failed += is_fatal(code);
        covered.rolled_back += gives_up && !is_fatal(code);
        covered.committed += !gives_up && !is_fatal(code);
    }
    return answers * 31 + (uint64_t)code;
}

/* --- other steps --- */

static uint64_t checkpoint(struct side *side, struct chance *chance)
{
    static const int modes[] = {SQLITE_CHECKPOINT_PASSIVE, SQLITE_CHECKPOINT_FULL,
                                SQLITE_CHECKPOINT_RESTART, SQLITE_CHECKPOINT_TRUNCATE};
    int frames = 0, copied = 0;
    sqlite3 *db = side->conn[chance_below(chance, CONNECTIONS)].db;
    int code =
        sqlite3_wal_checkpoint_v2(db, NULL, modes[chance_below(chance, 4)], &frames, &copied);

    covered.checkpoints++;
    return ((uint64_t)code * 1000003 + (uint64_t)frames) * 1000003 + (uint64_t)copied;
}

static uint64_t vacuum(struct side *side, struct chance *chance)
{
    struct store_conn *conn = &side->conn[chance_below(chance, CONNECTIONS)];

    return (uint64_t)sqlite3_exec(conn->db, "VACUUM", NULL, NULL, NULL);
}

static uint64_t set(struct side *side, struct chance *chance, const char *pragma,
                    const int64_t values[4])
{
    char sql[100];

    (void)snprintf(sql, sizeof sql, "PRAGMA %s = %lld", pragma,
                   (long long)values[chance_below(chance, 4)]);
    return (uint64_t)sqlite3_exec(side->conn[chance_below(chance, CONNECTIONS)].db, sql, NULL, NULL,
                                  NULL);
}

static uint64_t carry_out(enum what what, struct side *side, struct chance chance)
{
    static const int64_t log_limits[4] = {-1, 0, 20000, 200000}, caches[4] = {1, 5, 20, -2000},
                         syncs[4] = {0, 1, 2, 2};
    int i;

    switch (what) {
    case WRITES:
        return write_some(side, &chance);
    case CHECKPOINT:
        return checkpoint(side, &chance);
    case READER_COMES: /* the last connection, so that others can write */
        return (uint64_t)sqlite3_exec(side->conn[CONNECTIONS - 1].db,
                                      "BEGIN; SELECT count(*) FROM t", NULL, NULL, NULL);
    case READER_GOES:
        return (uint64_t)sqlite3_exec(side->conn[CONNECTIONS - 1].db, "COMMIT", NULL, NULL, NULL);
    case VACUUMS:
        return vacuum(side, &chance);
    case REOPENS:
        i = (int)chance_below(&chance, CONNECTIONS);
        (void)sqlite3_close(side->conn[i].db);
        connect(side, i);
        return 0;
    case LIMITS_LOG:
        return set(side, &chance, "journal_size_limit", log_limits);
    case LIMITS_CACHE:
        return set(side, &chance, "cache_size", caches);
    case SYNCHRONIZES:
        return set(side, &chance, "synchronous", syncs);
    }
    return 0;
}

/* --- comparing --- */

static uint32_t word(const unsigned char *at, bool big)
{
    return big ? (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3]
               : (uint32_t)at[3] << 24 | (uint32_t)at[2] << 16 | (uint32_t)at[1] << 8 | at[0];
}

static void add_checksum(uint32_t sum[2], const unsigned char *data, size_t len, bool big)
{
    for (size_t i = 0; i < len; i += 8) {
        sum[0] += word(data + i, big) + sum[1];
        sum[1] += word(data + i + 4, big) + sum[0];
    }
}

/* Where the last commit of a log ends (sqlite.org/fileformat2.html, section 4.1). */
static size_t committed_end(const char *data, size_t len)
{
    const unsigned char *log = (const unsigned char *)data;
    size_t frame = FRAME_HEADER + (size_t)page_size, end = 0;
    uint32_t sum[2] = {0, 0};
    bool big;

    if (len < WAL_HEADER)
        return 0;
    big = (log[3] & 1) != 0;
    add_checksum(sum, log, 24, big);
    if (sum[0] != word(log + 24, true) || sum[1] != word(log + 28, true))
        return 0;
    for (size_t at = WAL_HEADER; at + frame <= len; at += frame) {
        if (memcmp(log + at + 8, log + 16, 8) != 0)
            break;
        add_checksum(sum, log + at, 8, big);
        add_checksum(sum, log + at + FRAME_HEADER, (size_t)page_size, big);
        if (sum[0] != word(log + at + 16, true) || sum[1] != word(log + at + 20, true))
            break;
        if (word(log + at + 4, true) != 0)
            end = at + frame;
    }
    return end;
}

struct view {
    const char *data;
    size_t len;
};

/* A file as it is now; the logs are long, and looked at after every step. */
static struct view view(const char *name)
{
    struct view view = {"", 0};
    struct stat info;
    int fd = open(name, O_RDONLY);
    void *memory;

    if (fd >= 0 && fstat(fd, &info) == 0 && info.st_size > 0) {
        memory = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_SHARED, fd, 0);
        PROOF(memory != MAP_FAILED, "cannot map %s", name);
        view = (struct view){memory, (size_t)info.st_size};
    }
    if (fd >= 0)
        (void)close(fd);
    return view;
}

static void unview(struct view view)
{
    if (view.len > 0)
        (void)munmap((void *)(uintptr_t)view.data, view.len);
}

static void compare(const char *first, const char *second, int step, const char *what, bool is_log)
{
    struct view one = view(first), other = view(second);
    size_t len = one.len, other_len = other.len, at = 0;

    if (is_log && differs && len == other_len && memcmp(one.data, other.data, len) == 0)
        differs = false;
    if (is_log && differs) {
        len = committed_end(one.data, len);
        other_len = committed_end(other.data, other_len);
    } else {
        covered.whole += is_log;
    }
    covered.bytes += (int64_t)len;
    if (len != other_len || memcmp(one.data, other.data, len) != 0) {
        while (at < len && at < other_len && one.data[at] == other.data[at])
            at++;
        proof_fail("step %d (%s): %s and %s differ at byte %zu of %zu and %zu", step, what, first,
                   second, at, len, other_len);
    }
    unview(one);
    unview(other);
}

/* --- a round --- */

static enum what choose(struct chance *chance)
{
    uint64_t sum = 0, drawn;
    size_t i;

    for (i = 0; i < sizeof steps / sizeof *steps; i++)
        sum += steps[i].weight;
    drawn = chance_below(chance, sum);
    for (i = 0; drawn >= steps[i].weight; i++)
        drawn -= steps[i].weight;
    return (enum what)i;
}

/* Chooses the failures of this step, the same for both databases. */
static void choose_failure(struct chance *chance, enum what what, const struct side *side)
{
    struct stat info;

    shim.sync_fails = what == WRITES && chance_one_in(chance, 30);
    shim.full_at = -1;
    if (what == WRITES && chance_one_in(chance, 15)) {
        if (stat(side->log, &info) != 0)
            info.st_size = 0;
        shim.full_at = (int64_t)chance_below(chance, (uint64_t)info.st_size + 100000);
        differs = true;
    }
}

static void run_round(void)
{
    static const int page_sizes[] = {4096, 4096, 512, 1024, 8192, 65536};
    struct chance chance = chance_from(proof.seed, 1);
    struct side stock, ours;

    page_size = page_sizes[chance_below(&chance, 6)];
    plain_sync = chance_one_in(&chance, 4);
    differs = false;
    open_side(&stock, "stock", SHIM_VFS, proof.seed);
    open_side(&ours, "ours", wal_vfs_name(), proof.seed);
    for (int step = 0; step < STEPS; step++) {
        enum what what = choose(&chance);
        uint64_t random = chance_next(&chance), answer, other;

        choose_failure(&chance, what, &stock);
        shim_random(random);
        answer = carry_out(what, &stock, chance_from(random, 2));
        shim_random(random);
        other = carry_out(what, &ours, chance_from(random, 2));
        shim.full_at = -1;
        shim.sync_fails = false;
        PROOF(answer == other, "step %d: SQLite answered a %s %llu, and %llu through our VFS", step,
              steps[what].name, (unsigned long long)answer, (unsigned long long)other);
        compare(stock.log, ours.log, step, steps[what].name, true);
        compare(stock.name, ours.name, step, steps[what].name, false);
    }
    PROOF(ask(ours.conn[0].db, "SELECT count(*) FROM pragma_integrity_check "
                               "WHERE integrity_check <> 'ok'") == 0,
          "the database is damaged");
    close_side(&stock);
    close_side(&ours);
}

int main(int argc, char **argv)
{
    proof_begin("vfs_same", argc, argv);
    shim_register();
    wal_vfs_register();
    while (proof_round())
        run_round();
    PROOF(covered.failed > 0 && covered.rolled_back > 0 && covered.whole > 0, "nothing was tried");
    proof_end(
        "%lld transactions (%lld committed, %lld rolled back, %lld failed), %lld checkpoints, "
        "logs the same %lld times, %lld MB compared",
        (long long)covered.transactions, (long long)covered.committed,
        (long long)covered.rolled_back, (long long)covered.failed,
        (long long)covered.checkpoints / 2, (long long)covered.whole,
        (long long)covered.bytes / 1000000);
    return 0;
}
