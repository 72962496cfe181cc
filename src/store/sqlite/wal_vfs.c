/*
 * A VFS of SQLite's: the default one, but for the write-ahead log, which is written with one system
 * call a transaction.
 *
 * SQLite writes each page into the log with two calls, its frame's header and then the page; next
 * to the sync that is most of what a commit asks of the system. So what one COMMIT writes to the
 * log is collected, and goes out
 *
 *   - with the frame that ends the transaction: an error (a full disk) is the answer to that write
 *     as it would have been, and SQLite tells nobody of frames that are not in the file;
 *   - before SQLite does anything else with the log, or writes elsewhere than where the last write
 *     ended: the order stays;
 *   - when MOST bytes have come together.
 *
 * Only frames are collected, as a header and its page each. Whatever else is written goes to the
 * file at once: nothing could say of it that it was the last of a transaction.
 *
 * Only store_commit() has it collected, and drops what is left when COMMIT has failed: written
 * later, it would land among the frames of whoever writes next. What a transaction writes before
 * its commit (when its pages do not fit into the cache) goes out as it comes.
 *
 * All other files are the default VFS's own.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/sqlite/store_private.h"

#define VFS_NAME "durable-streams"

enum {
    FRAME_HEADER = 24, /* bytes; the second four are 0 but in the frame that ends a transaction */
    FIRST = 16 * 1024, /* as much as an ordinary transaction needs */
    MOST = 60 * 1024,  /* and a page: SQLite's unix VFS takes less than 128 KiB at once */
};

struct log_file {
    sqlite3_file file; /* first: SQLite's view */
    char *collected;
    size_t bytes, room;
    sqlite3_int64 start; /* of what is collected, in the file */
    bool collects;       /* within a COMMIT, before its last frame */
    bool headed;         /* the last write was a frame's header */
    bool ends;           /* it said that the transaction ends with its page */
    sqlite3_file real[]; /* szOsFile bytes, the default VFS's */
};

static sqlite3_vfs log_vfs;
static sqlite3_vfs *real_vfs;

static struct log_file *log_of(sqlite3_file *file)
{
    return (struct log_file *)(void *)file;
}

static int write_out(struct log_file *log)
{
    size_t bytes = log->bytes;

    log->bytes = 0;
    return bytes == 0
               ? SQLITE_OK
               : log->real->pMethods->xWrite(log->real, log->collected, (int)bytes, log->start);
}

/* At once, behind what is collected. */
static int write_through(struct log_file *log, const void *data, int bytes, sqlite3_int64 start)
{
    int code = write_out(log);

    return code == SQLITE_OK ? log->real->pMethods->xWrite(log->real, data, bytes, start) : code;
}

static bool make_room(struct log_file *log, size_t needed)
{
    size_t room = log->room ? log->room : FIRST;
    char *grown;

    while (room < needed)
        room *= 2;
    if (room == log->room)
        return true;
    grown = realloc(log->collected, room);
    if (!grown)
        return false;
    log->collected = grown;
    log->room = room;
    return true;
}

static int collect(struct log_file *log, const void *data, int bytes, sqlite3_int64 start)
{
    bool page = bytes != FRAME_HEADER;
    int code = SQLITE_OK;

    if (start != log->start + (sqlite3_int64)log->bytes)
        code = write_out(log);
    if (code != SQLITE_OK)
        return code;
    if (!make_room(log, log->bytes + (size_t)bytes)) {
        log->collects = false;
        return write_through(log, data, bytes, start);
    }
    if (log->bytes == 0)
        log->start = start;
    memcpy(log->collected + log->bytes, data, (size_t)bytes);
    log->bytes += (size_t)bytes;
    log->headed = !page;
    if (!page)
        log->ends = memcmp((const char *)data + 4, "\0\0\0\0", 4) != 0;
    else if (log->ends)
        log->collects = false;
    return !log->collects || log->bytes >= MOST ? write_out(log) : SQLITE_OK;
}

static int log_write(sqlite3_file *file, const void *data, int bytes, sqlite3_int64 start)
{
    struct log_file *log = log_of(file);

    return log->collects && (bytes == FRAME_HEADER || log->headed)
               ? collect(log, data, bytes, start)
               : write_through(log, data, bytes, start);
}

static int log_close(sqlite3_file *file)
{
    struct log_file *log = log_of(file);

    free(log->collected);
    return log->real->pMethods->xClose(log->real);
}

static int log_read(sqlite3_file *file, void *data, int bytes, sqlite3_int64 start)
{
    struct log_file *log = log_of(file);
    int code = write_out(log);

    return code == SQLITE_OK ? log->real->pMethods->xRead(log->real, data, bytes, start) : code;
}

static int log_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    struct log_file *log = log_of(file);
    int code = write_out(log);

    return code == SQLITE_OK ? log->real->pMethods->xTruncate(log->real, size) : code;
}

static int log_sync(sqlite3_file *file, int flags)
{
    struct log_file *log = log_of(file);
    int code = write_out(log);

    return code == SQLITE_OK ? log->real->pMethods->xSync(log->real, flags) : code;
}

static int log_size(sqlite3_file *file, sqlite3_int64 *size)
{
    struct log_file *log = log_of(file);
    int code = write_out(log);

    return code == SQLITE_OK ? log->real->pMethods->xFileSize(log->real, size) : code;
}

static int log_lock(sqlite3_file *file, int lock)
{
    return log_of(file)->real->pMethods->xLock(log_of(file)->real, lock);
}

static int log_unlock(sqlite3_file *file, int lock)
{
    return log_of(file)->real->pMethods->xUnlock(log_of(file)->real, lock);
}

static int log_is_reserved(sqlite3_file *file, int *reserved)
{
    return log_of(file)->real->pMethods->xCheckReservedLock(log_of(file)->real, reserved);
}

static int log_control(sqlite3_file *file, int op, void *arg)
{
    return log_of(file)->real->pMethods->xFileControl(log_of(file)->real, op, arg);
}

static int log_sector(sqlite3_file *file)
{
    return log_of(file)->real->pMethods->xSectorSize(log_of(file)->real);
}

static int log_device(sqlite3_file *file)
{
    return log_of(file)->real->pMethods->xDeviceCharacteristics(log_of(file)->real);
}

static const sqlite3_io_methods log_methods = {
    .iVersion = 1, /* shared memory and mappings belong to the database's file */
    .xClose = log_close,
    .xRead = log_read,
    .xWrite = log_write,
    .xTruncate = log_truncate,
    .xSync = log_sync,
    .xFileSize = log_size,
    .xLock = log_lock,
    .xUnlock = log_unlock,
    .xCheckReservedLock = log_is_reserved,
    .xFileControl = log_control,
    .xSectorSize = log_sector,
    .xDeviceCharacteristics = log_device,
};

/*
 * When the default VFS cannot open a file for writing, for whatever reason, it opens it only for
 * reading: after a moment without a free descriptor, a connection would refuse every write from
 * then on. Here that is an error, unless we are not allowed to write the file.
 */
static int open_real(const char *name, sqlite3_file *file, int flags, int *got)
{
    int as = 0, code = real_vfs->xOpen(real_vfs, name, file, flags, &as);

    if (got)
        *got = as;
    if (code != SQLITE_OK || !(flags & SQLITE_OPEN_READWRITE) || !(as & SQLITE_OPEN_READONLY) ||
        access(name, W_OK) != 0)
        return code;
    (void)file->pMethods->xClose(file);
    file->pMethods = NULL;
    return SQLITE_CANTOPEN;
}

static int open_file(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *got)
{
    struct log_file *log = log_of(file);
    int code;

    (void)vfs;
    if (!(flags & SQLITE_OPEN_WAL))
        return open_real(name, file, flags, got);
    *log = (struct log_file){0};
    log->real->pMethods = NULL;
    code = open_real(name, log->real, flags, got);
    if (log->real->pMethods) /* to be closed, also after an error */
        log->file.pMethods = &log_methods;
    return code;
}

void wal_vfs_register(void)
{
    if (!real_vfs)
        real_vfs = sqlite3_vfs_find(NULL);
    if (!real_vfs || log_vfs.xOpen)
        return;
    log_vfs = *real_vfs; /* the other methods know no file of ours */
    log_vfs.zName = VFS_NAME;
    log_vfs.szOsFile = (int)sizeof(struct log_file) + real_vfs->szOsFile;
    log_vfs.xOpen = open_file;
    if (sqlite3_vfs_register(&log_vfs, 0) != SQLITE_OK)
        real_vfs = NULL;
}

const char *wal_vfs_name(void)
{
    return real_vfs ? VFS_NAME : NULL;
}

void wal_vfs_collect(struct store_conn *conn, bool collects)
{
    sqlite3_file *file = NULL;

    if (sqlite3_file_control(conn->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, (void *)&file) !=
            SQLITE_OK ||
        !file || file->pMethods != &log_methods)
        return;
    log_of(file)->collects = collects;
    log_of(file)->bytes = 0;
    log_of(file)->headed = log_of(file)->ends = false;
}
