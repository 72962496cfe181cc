/* A VFS that counts, fails and stops: see shim.h. */
#include "shim.h"

#include <string.h>
#include <unistd.h>

#include "proof.h"

struct shim_file {
    sqlite3_file file; /* first: SQLite's view */
    sqlite3_file real[];
};

struct shim shim = {.most = -1, .full_at = -1};

static sqlite3_vfs shim_vfs;
static sqlite3_vfs *real_vfs;

static sqlite3_file *real_of(sqlite3_file *file)
{
    return ((struct shim_file *)(void *)file)->real;
}

/* True if the next change may happen. */
static bool may_change(void)
{
    if (shim.most < 0 || shim.changes < shim.most) {
        shim.changes++;
        return true;
    }
    if (shim.exits)
        _exit(0);
    return false;
}

static int shim_close(sqlite3_file *file)
{
    return real_of(file)->pMethods->xClose(real_of(file));
}

static int shim_read(sqlite3_file *file, void *data, int bytes, sqlite3_int64 start)
{
    return real_of(file)->pMethods->xRead(real_of(file), data, bytes, start);
}

static int shim_write(sqlite3_file *file, const void *data, int bytes, sqlite3_int64 start)
{
    if (!may_change())
        return SQLITE_IOERR_WRITE;
    if (shim.full_at >= 0 && start + bytes > shim.full_at)
        return SQLITE_FULL;
    return real_of(file)->pMethods->xWrite(real_of(file), data, bytes, start);
}

static int shim_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    return may_change() ? real_of(file)->pMethods->xTruncate(real_of(file), size)
                        : SQLITE_IOERR_TRUNCATE;
}

static int shim_sync(sqlite3_file *file, int flags)
{
    if (!may_change() || shim.sync_fails)
        return SQLITE_IOERR_FSYNC;
    return real_of(file)->pMethods->xSync(real_of(file), flags);
}

static int shim_size(sqlite3_file *file, sqlite3_int64 *size)
{
    return real_of(file)->pMethods->xFileSize(real_of(file), size);
}

static int shim_lock(sqlite3_file *file, int lock)
{
    return real_of(file)->pMethods->xLock(real_of(file), lock);
}

static int shim_unlock(sqlite3_file *file, int lock)
{
    return real_of(file)->pMethods->xUnlock(real_of(file), lock);
}

static int shim_is_reserved(sqlite3_file *file, int *reserved)
{
    return real_of(file)->pMethods->xCheckReservedLock(real_of(file), reserved);
}

static int shim_control(sqlite3_file *file, int op, void *arg)
{
    return real_of(file)->pMethods->xFileControl(real_of(file), op, arg);
}

static int shim_sector(sqlite3_file *file)
{
    return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int shim_device(sqlite3_file *file)
{
    return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static const sqlite3_io_methods methods = {
    .iVersion = 1,
    .xClose = shim_close,
    .xRead = shim_read,
    .xWrite = shim_write,
    .xTruncate = shim_truncate,
    .xSync = shim_sync,
    .xFileSize = shim_size,
    .xLock = shim_lock,
    .xUnlock = shim_unlock,
    .xCheckReservedLock = shim_is_reserved,
    .xFileControl = shim_control,
    .xSectorSize = shim_sector,
    .xDeviceCharacteristics = shim_device,
};

static int shim_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *got)
{
    struct shim_file *mine = (struct shim_file *)(void *)file;
    int code;

    (void)vfs;
    if (!(flags & SQLITE_OPEN_WAL))
        return real_vfs->xOpen(real_vfs, name, file, flags, got);
    mine->file.pMethods = NULL;
    mine->real->pMethods = NULL;
    code = real_vfs->xOpen(real_vfs, name, mine->real, flags, got);
    if (mine->real->pMethods)
        mine->file.pMethods = &methods;
    return code;
}

static int draw(sqlite3_vfs *vfs, int bytes, char *to)
{
    struct chance chance = chance_from(shim.random, 0);

    (void)vfs;
    chance_fill(&chance, to, (size_t)bytes);
    return bytes;
}

void shim_register(void)
{
    real_vfs = sqlite3_vfs_find(NULL);
    shim_vfs = *real_vfs;
    shim_vfs.zName = SHIM_VFS;
    shim_vfs.szOsFile = (int)sizeof(struct shim_file) + real_vfs->szOsFile;
    shim_vfs.xOpen = shim_open;
    shim_vfs.xRandomness = draw;
    (void)sqlite3_vfs_register(&shim_vfs, 1);
}

void shim_random(uint64_t random)
{
    shim.random = random;
    sqlite3_randomness(0, NULL); /* starts again, with the numbers of draw() */
}
