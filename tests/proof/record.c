/*
 * Preloaded into a program, records its changes to the files of a database: see trace.h.
 *
 *     PROOF_TRACE=FILE      the trace
 *     PROOF_DATABASE=FILE   database, -wal and -journal are recorded; -shm and -wake are hints
 *     PROOF_NO_SYNC=1       syncs are not recorded: a disk that lies
 *
 * No file is really synced, because the power cuts are simulated. A sync takes a moment, in which
 * other processes continue, and makes only the writes before its start durable.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "trace.h"

#define PUBLIC __attribute__((visibility("default")))

static struct trace trace;
static const char *database;
static bool tracing, lies;

static int (*real_open)(const char *, int, ...);
static int (*real_openat)(int, const char *, int, ...);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_writev)(int, const struct iovec *, int);
static ssize_t (*real_pwritev)(int, const struct iovec *, int, off_t);
static int (*real_truncate)(int, off_t);
static int (*real_fsync)(int);
static int (*real_allocate)(int, off_t, off_t);
static int (*real_unlink)(const char *);
static int (*real_unlinkat)(int, const char *, int);
static int (*real_rename)(const char *, const char *);

static void *find(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);

    if (!found)
        abort();
    return found;
}

/* Constructors of the program may run earlier. */
static void prepare(void)
{
    const char *name = getenv("PROOF_TRACE");

    if (real_open)
        return;
    *(void **)&real_openat = find("openat64");
    *(void **)&real_pwrite = find("pwrite64");
    *(void **)&real_write = find("write");
    *(void **)&real_writev = find("writev");
    *(void **)&real_pwritev = find("pwritev64");
    *(void **)&real_truncate = find("ftruncate64");
    *(void **)&real_fsync = find("fsync");
    *(void **)&real_allocate = find("posix_fallocate64");
    *(void **)&real_unlink = find("unlink");
    *(void **)&real_unlinkat = find("unlinkat");
    *(void **)&real_rename = find("rename");
    *(void **)&real_open = find("open64");
    database = getenv("PROOF_DATABASE");
    lies = getenv("PROOF_NO_SYNC") != NULL;
    tracing = name && database && trace_open(&trace, name, database);
    if (name && !tracing)
        abort();
}

__attribute__((constructor)) static void begin(void)
{
    prepare();
}

/* The name in the folder if the file is recorded, otherwise NULL. */
static const char *watched(const char *path)
{
    size_t len;
    const char *suffix;

    prepare();
    if (!tracing || !path)
        return NULL;
    len = strlen(database);
    suffix = path + len;
    if (strncmp(path, database, len) != 0 ||
        (*suffix && strcmp(suffix, "-wal") != 0 && strcmp(suffix, "-journal") != 0))
        return NULL;
    return strrchr(path, '/') + 1;
}

/* Takes the lock and returns the file of the descriptor; -1, unlocked, if it is not recorded. */
static int lock_file(int fd)
{
    struct stat info;
    int file;

    prepare();
    if (!tracing || fstat(fd, &info) != 0 || !(S_ISREG(info.st_mode) || S_ISDIR(info.st_mode)))
        return -1;
    trace_lock(&trace);
    file = trace_find(&trace, info.st_dev, info.st_ino);
    if (file < 0)
        trace_unlock(&trace);
    return file;
}

static int open_file(const char *path, int flags, mode_t mode)
{
    const char *name = watched(path);
    struct stat info;
    bool makes;
    int fd, file = -1;

    if (!name)
        return real_open(path, flags, mode);
    trace_lock(&trace);
    makes = (flags & O_CREAT) != 0 && trace_find_name(&trace, name) < 0;
    if ((flags & O_TRUNC) != 0)
        trace_odd(&trace, "a file was opened with O_TRUNC");
    if (makes) {
        file = trace_add_file(&trace, name, 0, 0);
        trace_announce(&trace, TRACE_CREATE, (uint32_t)file, 0, NULL, 0);
    }
    fd = real_open(path, flags, mode);
    if (makes && fd >= 0 && fstat(fd, &info) == 0) {
        trace.header->file[file].device = info.st_dev;
        trace.header->file[file].inode = info.st_ino;
        trace_done(&trace);
    } else if (makes) {
        trace.header->file[file].there = false;
        trace_failed(&trace);
    }
    trace_unlock(&trace);
    return fd;
}

static mode_t mode_of(int flags, va_list args)
{
    return (flags & O_CREAT) != 0 ? va_arg(args, mode_t) : 0;
}

PUBLIC int open(const char *path, int flags, ...)
{
    va_list args;
    mode_t mode;

    va_start(args, flags);
    mode = mode_of(flags, args);
    va_end(args);
    return open_file(path, flags, mode);
}

PUBLIC int open64(const char *path, int flags, ...)
{
    va_list args;
    mode_t mode;

    va_start(args, flags);
    mode = mode_of(flags, args);
    va_end(args);
    return open_file(path, flags, mode);
}

static int open_there(int folder, const char *path, int flags, mode_t mode)
{
    prepare();
    return folder == AT_FDCWD || path[0] == '/' ? open_file(path, flags, mode)
                                                : real_openat(folder, path, flags, mode);
}

PUBLIC int openat(int folder, const char *path, int flags, ...)
{
    va_list args;
    mode_t mode;

    va_start(args, flags);
    mode = mode_of(flags, args);
    va_end(args);
    return open_there(folder, path, flags, mode);
}

PUBLIC int openat64(int folder, const char *path, int flags, ...)
{
    va_list args;
    mode_t mode;

    va_start(args, flags);
    mode = mode_of(flags, args);
    va_end(args);
    return open_there(folder, path, flags, mode);
}

static ssize_t write_at(int fd, const void *data, size_t len, off_t at)
{
    int file = lock_file(fd);
    ssize_t n;

    if (file < 0)
        return real_pwrite(fd, data, len, at);
    trace_announce(&trace, TRACE_WRITE, (uint32_t)file, (uint64_t)at, data, len);
    n = real_pwrite(fd, data, len, at);
    if (n == (ssize_t)len)
        trace_done(&trace);
    else
        trace_failed(&trace);
    if (n > 0 && n < (ssize_t)len)
        (void)trace_add(&trace, TRACE_WRITE, (uint32_t)file, (uint64_t)at, data, (size_t)n);
    trace_unlock(&trace);
    return n;
}

PUBLIC ssize_t pwrite(int fd, const void *data, size_t len, off_t at)
{
    return write_at(fd, data, len, at);
}

PUBLIC ssize_t pwrite64(int fd, const void *data, size_t len, off_t at)
{
    return write_at(fd, data, len, at);
}

/* Neither our code nor SQLite writes to the files in one of these ways. */
static void must_not(int fd, const char *what)
{
    int e = errno;

    if (lock_file(fd) >= 0) {
        trace_odd(&trace, what);
        trace_unlock(&trace);
    }
    errno = e;
}

PUBLIC ssize_t write(int fd, const void *data, size_t len)
{
    must_not(fd, "write() to a file of the database");
    return real_write(fd, data, len);
}

PUBLIC ssize_t writev(int fd, const struct iovec *pieces, int n)
{
    must_not(fd, "writev() to a file of the database");
    return real_writev(fd, pieces, n);
}

PUBLIC ssize_t pwritev(int fd, const struct iovec *pieces, int n, off_t at)
{
    must_not(fd, "pwritev() to a file of the database");
    return real_pwritev(fd, pieces, n, at);
}

PUBLIC int posix_fallocate(int fd, off_t at, off_t len)
{
    must_not(fd, "posix_fallocate() of a file of the database");
    return real_allocate(fd, at, len);
}

PUBLIC int posix_fallocate64(int fd, off_t at, off_t len)
{
    must_not(fd, "posix_fallocate() of a file of the database");
    return real_allocate(fd, at, len);
}

static int truncate_to(int fd, off_t size)
{
    int file = lock_file(fd), result;

    if (file < 0)
        return real_truncate(fd, size);
    trace_announce(&trace, TRACE_TRUNCATE, (uint32_t)file, (uint64_t)size, NULL, 0);
    result = real_truncate(fd, size);
    if (result == 0)
        trace_done(&trace);
    else
        trace_failed(&trace);
    trace_unlock(&trace);
    return result;
}

PUBLIC int ftruncate(int fd, off_t size)
{
    return truncate_to(fd, size);
}

PUBLIC int ftruncate64(int fd, off_t size)
{
    return truncate_to(fd, size);
}

static int sync_file(int fd)
{
    static atomic_uint turn;
    const struct timespec moment = {0, 400000};
    int file = lock_file(fd);
    uint64_t number;

    if (file < 0)
        return tracing ? 0 : real_fsync(fd);
    number = lies ? 0 : trace_add(&trace, TRACE_SYNC, (uint32_t)file, 0, NULL, 0);
    trace_unlock(&trace);
    if (atomic_fetch_add(&turn, 1) % 3 == 0)
        (void)nanosleep(&moment, NULL);
    if (lies)
        return 0;
    trace_lock(&trace);
    (void)trace_add(&trace, TRACE_SYNCED, (uint32_t)file, number, NULL, 0);
    trace_unlock(&trace);
    return 0;
}

PUBLIC int fsync(int fd)
{
    return sync_file(fd);
}

PUBLIC int fdatasync(int fd)
{
    return sync_file(fd);
}

static int unlink_file(const char *path, const char *name)
{
    int file, result;

    trace_lock(&trace);
    file = trace_find_name(&trace, name);
    if (file >= 0)
        trace_announce(&trace, TRACE_UNLINK, (uint32_t)file, 0, NULL, 0);
    result = real_unlink(path);
    if (file >= 0 && result == 0) {
        trace.header->file[file].there = false;
        trace_done(&trace);
    } else if (file >= 0) {
        trace_failed(&trace);
    }
    trace_unlock(&trace);
    return result;
}

PUBLIC int unlink(const char *path)
{
    const char *name = watched(path);

    return name ? unlink_file(path, name) : real_unlink(path);
}

PUBLIC int unlinkat(int folder, const char *path, int flags)
{
    const char *name = watched(path);

    return name ? unlink_file(path, name) : real_unlinkat(folder, path, flags);
}

PUBLIC int rename(const char *from, const char *to)
{
    if (watched(from) || watched(to)) {
        trace_lock(&trace);
        trace_odd(&trace, "a file of the database was renamed");
        trace_unlock(&trace);
    }
    return real_rename(from, to);
}
