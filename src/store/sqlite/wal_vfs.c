/*
 * An SQLite VFS: the default one, except that it writes each transaction to the write-ahead log
 * with one system call.
 *
 * SQLite writes each page to the log with two calls, one for the frame's header and one for the
 * page; after the sync, that is most of the system time of a commit. So this VFS collects what one
 * COMMIT writes to the log, and writes it out:
 *
 *   - with the frame that ends the transaction. An error, such as a full disk, is then the result
 *     of that write, as without this VFS, and SQLite publishes no frame that is not in the file;
 *   - before SQLite does anything else with the log, or writes at a place where the last write did
 *     not end, so that the order stays the same;
 *   - when MOST bytes are collected.
 *
 * It collects only frames, each with a header and a page. It writes everything else at once, since
 * only a frame says whether it is the last one of its transaction.
 *
 * Only store_commit() switches collecting on. If COMMIT fails, store_commit() drops what is left,
 * which would otherwise be written among the frames of the next writer. Frames that a transaction
 * writes before its commit, because its pages do not fit into the cache, are written at once.
 *
 * All other files belong to the default VFS.
 */
#include "store/sqlite/wal_vfs.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/sqlite/store_private.h"

#define VFS_NAME "durable-streams"

/* Sizes in bytes. */
enum {
    FRAME_HEADER = 24, /* its second four are 0, except in the last frame of a transaction */
    FIRST = 16 * 1024, /* enough for most transactions */
    MOST = 60 * 1024,  /* plus a page: SQLite's unix VFS writes less than 128 KiB at once */
};

struct log_file {
    sqlite3_file file; /* first: what SQLite sees */
    char *collected;
    size_t bytes, room;
    sqlite3_int64 start; /* where the collected bytes belong in the file */
    bool collects;       /* inside a COMMIT, before its last frame */
    bool headed;         /* the last write was the header of a frame */
    bool ends;           /* and that frame is the last one of its transaction */
    sqlite3_file real[]; /* szOsFile bytes for the default VFS */
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

/* Writes at once, after what is collected. */
static int write_through(struct log_file *log, const void *data, int bytes, sqlite3_int64 start)
{
    int code = write_out(log);

    return code == SQLITE_OK ? log->real->pMethods->xWrite(log->real, data, bytes, start) : code;
}

static bool make_log_room(struct log_file *log, size_t needed)
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

static int collect_write(struct log_file *log, const void *data, int bytes, sqlite3_int64 start)
{
    bool page = bytes != FRAME_HEADER;
    int code = SQLITE_OK;

    if (start != log->start + (sqlite3_int64)log->bytes)
        code = write_out(log);
    if (code != SQLITE_OK)
        return code;
    if (!make_log_room(log, log->bytes + (size_t)bytes)) {
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
               ? collect_write(log, data, bytes, start)
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
    .iVersion = 1, /* only the database file has shared memory and mappings */
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
 * If the default VFS cannot open a file for writing, it opens it for reading only. A short lack of
 * file descriptors would thus make a connection refuse every later write. Here it is an error,
 * unless we really lack the permission to write the file.
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
    if (log->real->pMethods) /* SQLite closes the file even after an error */
        log->file.pMethods = &log_methods;
    return code;
}

void wal_vfs_register(void)
{
    if (!real_vfs)
        real_vfs = sqlite3_vfs_find(NULL);
    if (!real_vfs || log_vfs.xOpen)
        return;
    log_vfs = *real_vfs; /* no other method gets one of our files */
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
