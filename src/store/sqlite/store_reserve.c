/*
 * Room for deletions on a full disk.
 *
 * Every transaction writes to the write-ahead log first, even a deletion. The log can restart only
 * after a checkpoint has copied all of it, for which the database file may have to grow. On a disk
 * that appends have filled, neither would work, and nothing could ever make room. So a file beside
 * the database (DATABASE-reserve) keeps blocks for later:
 *
 *     database  ═════════════╤ ─ ─ ─ ─ ─ ─ ┐   growth: what a checkpoint would add to the file
 *     log       ═════════════╪═══ … ═══════╡
 *     reserve   ═════════════╧═══ growth ══╧═══ DS_RESERVE_BYTES ══┤
 *
 * Must hold: after every transaction the reserve is at least as large as the growth; after one that
 * is not a deletion, it is also DS_RESERVE_BYTES larger. Then room can always be made, because:
 *
 *   1. A transaction calls store_keep_room() before it commits, inside SQLite's write transaction,
 *      so that no other transaction grows a file meanwhile. The call enlarges a reserve that is too
 *      small. If the disk has no room for that, the transaction is refused (507) and rolled back,
 *      so appends find the disk full earlier than deletions. The transaction's pages go to the log
 *      only after the call; a transaction so large that pages go there earlier also calls it before
 *      its first change. So the log never takes the reserved blocks.
 *   2. A checkpoint that finds the disk full gets the growth, which is exactly what it needs
 *      (store_checkpoint_anyway()). The log then restarts, in the blocks that it has.
 *   3. A deletion that finds the disk full makes the log restart. That may not be enough: the log
 *      may have been truncated, by a clean stop for example, or a reader may keep it from
 *      restarting. So the deletion gets the rest of the reserve except for the growth, and is
 *      tried again (batch.c). It needs a few pages; a slice of the sweep needs some 2 MiB.
 *   4. A process that opens the database and has no room for the files beside it takes the room
 *      from the reserve (store_make_way()).
 *   5. The next transaction that is not a deletion fills the reserve again, or is refused. Deleted
 *      rows leave free pages in the database, and appends into them need no growth. Such appends
 *      succeed even if other programs have taken the blocks that were given away, as long as the
 *      log has blocks to overwrite. So while the disk is full, the log keeps its blocks, even at a
 *      clean stop (upkeep.c).
 *
 * We never measure free space. The file system decides by granting or refusing blocks, so quotas
 * and other programs' files count too. Only a program that writes all the time can take blocks
 * between our giving them away and our using them. A limit on file sizes (RLIMIT_FSIZE) is another
 * matter: no transaction makes the database larger than that (store_connection.c).
 *
 * Every change of the file happens under the write lock of all processes. A process that cut it to
 * a size that it had read before another one cut it further would make a hole, which has no blocks
 * to give.
 *
 * The state is the size of the file, which all processes see. A size that is not a whole number of
 * blocks says that the disk had no room when the reserve last had to grow (struct look, low).
 * Upkeep tries again each second.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/descriptors.h"
#include "base/log.h"
#include "base/place.h"
#include "hints/hints.h"
#include "store/sqlite/store_private.h"

enum {
    BLOCK = 4096,                  /* bytes: sizes are whole multiples, or one byte less */
    MARGIN_BYTES = 64 * 1024,      /* for other writes of a checkpoint */
    START_BYTES = 2 * 1024 * 1024, /* for files that SQLite creates when it opens a database */
};

/* The state of the reserve, from the size of its file. */
struct look {
    bool there, low;
    int64_t bytes; /* in whole blocks */
};

static struct look look_of(const struct stat *info)
{
    int64_t bytes = (info->st_size + BLOCK - 1) / BLOCK * BLOCK;

    return (struct look){
        .there = true, .low = bytes != info->st_size || bytes == 0, .bytes = bytes};
}

static struct look look_at(const struct store *store)
{
    char name[PLACE_NAME_SIZE];
    struct stat info;

    if (!place_beside(name, store->config->database, "-reserve") || lstat(name, &info) != 0)
        return (struct look){.there = false};
    return look_of(&info);
}

bool store_is_low(const struct store *store)
{
    struct look look = {.low = false};

    if (store_has_reserve(store))
        look = look_at(store);
    return look.there && look.low;
}

/* Sets the owner, so that every user of the database may write it; refuses a file of other
   users. */
static int take_reserve(int fd, const char *name, struct store *store)
{
    fd = descriptor_high(fd);
    if (fd < 0)
        return -1;
    if (place_trusts(fd, name, store->config->database)) {
        if (geteuid() == 0)
            place_give(fd, store->config->database);
        return fd;
    }
    store->no_reserve = true; /* logged once */
    (void)close(fd);
    errno = EACCES;
    return -1;
}

static int open_reserve(struct store *store, bool make)
{
    const int flags = O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
    char name[PLACE_NAME_SIZE];
    int fd;

    if (!place_beside(name, store->config->database, "-reserve"))
        return -1;
    fd = open(name, flags);
    if (fd >= 0)
        return take_reserve(fd, name, store);
    if (!make || errno != ENOENT)
        return -1;
    fd = descriptor_high(open(name, flags | O_CREAT | O_EXCL, 0600));
    if (fd >= 0)
        place_give(fd, store->config->database);
    return fd;
}

static void log_disk(const struct store *store, bool low)
{
    if (low)
        log_warn("the disk of %s is full: appends may be refused (507), deletions still work",
                 store->config->database);
    else
        log_info("the disk of %s has room again", store->config->database);
}

static bool cut_reserve(int fd, int64_t bytes)
{
    return ftruncate(fd, bytes) == 0;
}

/* Logs each time that the disk becomes full, from whichever process notices first. */
static void mark_reserve(const struct store *store, int fd, struct look before, int64_t bytes,
                         bool low)
{
    int64_t size = low && bytes > 0 ? bytes - 1 : bytes;

    if (cut_reserve(fd, size) && low != (before.there && before.low))
        log_disk(store, low);
}

static bool is_no_room(int error)
{
    return error == ENOSPC || error == EDQUOT;
}

/* Is this more than the process may write to a file? SIGXFSZ would end it. */
static bool is_beyond_limit(int64_t bytes)
{
    struct rlimit limit;

    return getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
           (uint64_t)bytes > limit.rlim_cur;
}

/* Grows the file. 0, or an errno; the file never gets smaller. */
static int extend_reserve(int fd, int64_t before, int64_t bytes)
{
    if (bytes <= before)
        return 0;
    return is_beyond_limit(bytes) ? EFBIG : posix_fallocate(fd, before, bytes - before);
}

static int64_t round_up(int64_t bytes)
{
    return (bytes + BLOCK - 1) / BLOCK * BLOCK;
}

/*
 * Grows the reserve to `ample` bytes, so that not every transaction has to, or to `least` if the
 * disk has room for no more. DS_NO_SPACE if it has not even that. Only upkeep removes the mark of a
 * full disk.
 */
static enum ds_status grow_reserve(struct store *store, int64_t least, int64_t ample,
                                   struct look *look)
{
    int fd = open_reserve(store, true), error;
    struct look before = *look;
    bool low = before.there && before.low;
    int64_t got = ample;

    error = fd < 0 ? errno : extend_reserve(fd, before.bytes, ample);
    if (fd >= 0 && is_no_room(error)) {
        /* the blocks that it got may be those that the rest needs */
        (void)cut_reserve(fd, before.bytes);
        error = extend_reserve(fd, before.bytes, got = least);
        low = true;
    }
    if (error == 0)
        look->bytes = before.bytes > got ? before.bytes : got;
    if (fd >= 0 && (error == 0 || low))
        mark_reserve(store, fd, before, look->bytes, low);
    if (fd >= 0)
        (void)close(fd);
    if (error == 0)
        return DS_OK;
    if (is_no_room(error))
        return DS_NO_SPACE;
    store->no_reserve = true;
    if (error != EFBIG) /* otherwise the limit of pages refuses the transaction */
        log_warn("%s-reserve cannot be created (%s): a full disk will refuse deletions too",
                 store->config->database, strerror(error));
    return DS_OK;
}

/* Finds where the database ends after this transaction, in bytes. */
static enum ds_status find_end(struct store_conn *conn, int64_t *end)
{
    int64_t pages;
    enum ds_status status = DS_OK;

    if (conn->page_bytes == 0)
        status = stmt_ask_int(conn, "PRAGMA page_size", &conn->page_bytes);
    if (status == DS_OK)
        status = stmt_query_int(conn, STMT_PAGE_COUNT, 0, 0, &pages);
    *end = status == DS_OK ? pages * conn->page_bytes : 0;
    return status;
}

/* How many bytes a checkpoint would add to the file. */
static int64_t growth_to(const struct store *store, int64_t end)
{
    struct stat info;
    int64_t size = stat(store->config->database, &info) == 0 ? info.st_size : 0;

    return end > size ? end - size : 0;
}

/* How many bytes of log there are to overwrite after the next checkpoint. */
static int64_t log_bytes(const struct store *store)
{
    char name[PLACE_NAME_SIZE];
    struct stat info;

    if (!store->config->checkpoint || !place_beside(name, store->config->database, "-wal") ||
        stat(name, &info) != 0)
        return 0;
    return info.st_size < store->config->wal_bytes ? info.st_size : store->config->wal_bytes;
}

enum ds_status store_keep_room(struct store_conn *conn, bool deletes)
{
    struct store *store = conn->store;
    int64_t spare = deletes ? 0 : store->config->reserve_bytes, end, growth, least;
    struct look look;
    enum ds_status status;

    if (!store_has_reserve(store))
        return DS_OK;
    status = find_end(conn, &end);
    if (status != DS_OK)
        return status;
    look = look_at(store);
    /* usually nothing has changed: files only grow, unless they are rewritten and become shorter */
    if (look.bytes == conn->reserve_seen && end >= conn->end_seen && end <= conn->end_kept) {
        conn->end_seen = end;
        return DS_OK;
    }
    growth = growth_to(store, end);
    least = round_up(growth + spare);
    if (look.bytes < least)
        status = grow_reserve(store, least, least + round_up(spare), &look);
    if (status == DS_NO_SPACE && !deletes && growth == 0) { /* it needs no reserve for itself */
        least = round_up(spare / 2 - log_bytes(store));
        return look.bytes < least ? grow_reserve(store, least, least, &look) : DS_OK;
    }
    if (status != DS_OK || deletes)
        return status;
    conn->reserve_seen = look.bytes;
    conn->end_seen = end;
    conn->end_kept = end - growth + look.bytes - spare;
    return DS_OK;
}

void store_note_full(struct store_conn *conn)
{
    struct store *store = conn->store;
    struct look before = look_at(store);
    int fd;

    if (!store_has_reserve(store) || before.low || store_lock_write(conn) == DS_BUSY)
        return;
    before = look_at(store);
    fd = before.low ? -1 : open_reserve(store, true);
    if (fd >= 0) {
        mark_reserve(store, fd, before, before.bytes, true);
        (void)close(fd);
    }
    store_rollback(conn); /* releases the lock */
}

/* Gives blocks back to the disk, except for this many bytes. */
static bool release_reserve(struct store *store, int64_t but)
{
    struct look before = look_at(store);
    int fd = store_has_reserve(store) && before.bytes > but ? open_reserve(store, false) : -1;

    if (fd < 0)
        return false;
    mark_reserve(store, fd, before, but, true);
    (void)close(fd);
    return true;
}

/* Gives a checkpoint the blocks that it needs. */
static bool give_growth(struct store_conn *conn)
{
    int64_t end, kept;
    bool given;

    if (find_end(conn, &end) != DS_OK || store_lock_write(conn) == DS_BUSY)
        return false;
    kept = look_at(conn->store).bytes - round_up(growth_to(conn->store, end)) - MARGIN_BYTES;
    given = release_reserve(conn->store, kept > 0 ? kept : 0);
    store_rollback(conn); /* releases the lock */
    return given;
}

/* Resizes the reserve to the growth, plus `spare` bytes if there is room. Under the write lock. */
static void keep_growth(struct store_conn *conn, int64_t spare)
{
    struct store *store = conn->store;
    int64_t end, growth;
    struct look look = look_at(store);

    if (!store_has_reserve(store) || find_end(conn, &end) != DS_OK)
        return;
    growth = round_up(growth_to(store, end));
    if (look.bytes < growth + spare)
        (void)grow_reserve(store, growth, growth + round_up(spare), &look);
    else
        (void)release_reserve(store, growth + round_up(spare));
}

enum ds_status store_checkpoint_anyway(struct store_conn *conn, bool leaving)
{
    enum ds_status status = store_checkpoint(conn, leaving);

    if (status != DS_NO_SPACE || !give_growth(conn))
        return status;
    status = store_checkpoint(conn, leaving);
    if (status != DS_OK && store_begin_write(conn) == DS_OK) {
        /* the next try will need this room */
        keep_growth(conn, conn->store->config->reserve_bytes);
        store_rollback(conn);
    }
    return status;
}

bool store_begin_reclaim(struct store_conn *conn)
{
    if (conn->store->config->checkpoint)
        (void)store_checkpoint_anyway(conn, false);
    if (store_lock_write(conn) == DS_BUSY)
        return false;
    /* the lock keeps other writers from taking the room before this deletion commits */
    keep_growth(conn, 0);
    /* otherwise SQLite writes zeros over everything that is freed, through the log */
    (void)stmt_ask_int(conn, "PRAGMA secure_delete", &conn->secure_delete);
    (void)sqlite3_exec(conn->db, "PRAGMA secure_delete = OFF", NULL, NULL, NULL);
    return true;
}

void store_end_reclaim(struct store_conn *conn)
{
    char sql[60];

    (void)snprintf(sql, sizeof sql, "PRAGMA secure_delete = %d", (int)conn->secure_delete);
    (void)sqlite3_exec(conn->db, sql, NULL, NULL, NULL);
}

/* Removes the mark if the reserve can be made ample and as much again stays free on the disk. */
static void mend_reserve(struct store *store, int64_t growth, struct look look)
{
    int64_t ample = round_up(growth + 2 * store->config->reserve_bytes);
    int fd = open_reserve(store, false), error;

    if (fd < 0)
        return;
    error = extend_reserve(fd, look.bytes, ample + store->config->reserve_bytes);
    if (error == 0)
        mark_reserve(store, fd, look, ample, false);
    else
        (void)cut_reserve(fd, look.low && look.bytes > 0 ? look.bytes - 1 : look.bytes);
    (void)close(fd);
}

void store_mend_reserve(struct store_conn *conn)
{
    struct store *store = conn->store;
    struct look look = look_at(store);
    int64_t most = store->config->wal_bytes + 2 * store->config->reserve_bytes, end;

    /* it was made for a log that was longer */
    if (!store_has_reserve(store) || !look.there || (!look.low && look.bytes <= most) ||
        store_begin_write(conn) != DS_OK)
        return;
    if (find_end(conn, &end) == DS_OK)
        mend_reserve(store, growth_to(store, end), look_at(store));
    store_rollback(conn);
}

/* Releases START_BYTES if the disk has no room for as many more. */
static bool release_start(struct store *store)
{
    struct look look = look_at(store);
    int fd = look.bytes > 0 ? open_reserve(store, false) : -1, error;

    if (fd < 0)
        return false;
    error = extend_reserve(fd, look.bytes, look.bytes + START_BYTES);
    (void)cut_reserve(fd, look.low ? look.bytes - 1 : look.bytes);
    (void)close(fd);
    return is_no_room(error) &&
           release_reserve(store, look.bytes > START_BYTES ? look.bytes - START_BYTES : 0);
}

bool store_make_way(struct store *store)
{
    enum ds_status locked = DS_FAILED; /* without the mapped file, there is no such lock */
    bool made = false;

    if (!store_has_reserve(store))
        return false;
    if (store->hints)
        locked = hints_lock_writers(store->hints, store->config->busy_timeout_ms);
    if (locked != DS_BUSY)
        made = release_start(store);
    if (locked == DS_OK)
        hints_unlock_writers(store->hints);
    return made;
}
