/* The records of all changes to a database: see trace.h. */
#include "trace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static const size_t TRACE_BYTES = (size_t)1 << 30; /* of a file that has holes */

static struct trace_record *record_at(const struct trace *trace, uint64_t at)
{
    return (struct trace_record *)(void *)(trace->records + at);
}

static bool map(struct trace *trace, int fd, const char *database)
{
    const char *slash = strrchr(database, '/');
    void *memory =
        fd < 0 ? MAP_FAILED : mmap(NULL, TRACE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    if (fd >= 0)
        (void)close(fd);
    if (memory == MAP_FAILED || !slash)
        return false;
    (void)snprintf(trace->folder, sizeof trace->folder, "%.*s", (int)(slash - database), database);
    trace->header = memory;
    trace->records = (char *)memory + (sizeof *trace->header + 7) / 8 * 8;
    return true;
}

bool trace_open(struct trace *trace, const char *name, const char *database)
{
    return map(trace, open(name, O_RDWR | O_CLOEXEC), database);
}

static bool add_existing(struct trace *trace, const char *database, const char *suffix)
{
    char name[300];
    struct stat info;

    (void)snprintf(name, sizeof name, "%s%s", database, suffix);
    if (stat(name, &info) != 0)
        return errno == ENOENT;
    return trace_add_file(trace, strrchr(name, '/') + 1, info.st_dev, info.st_ino) >= 0;
}

bool trace_make(struct trace *trace, const char *name, const char *database)
{
    int fd = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    pthread_mutexattr_t attr;
    struct stat info;

    if (fd < 0 || ftruncate(fd, (off_t)TRACE_BYTES) != 0 || !map(trace, fd, database))
        return false;
    (void)pthread_mutexattr_init(&attr);
    (void)pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    (void)pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
    (void)pthread_mutex_init(&trace->header->lock, &attr);
    return stat(trace->folder, &info) == 0 &&
           trace_add_file(trace, "", info.st_dev, info.st_ino) == TRACE_FOLDER &&
           add_existing(trace, database, "") && add_existing(trace, database, "-wal") &&
           add_existing(trace, database, "-journal");
}

void trace_close(struct trace *trace)
{
    (void)munmap(trace->header, TRACE_BYTES);
}

/*
 * Carries out a change that a dead process has announced. It uses system calls, because record.c
 * replaces the functions of the C library. The file stays open, because closing it would release
 * all locks that this process has on it.
 */
static void carry_out(struct trace *trace)
{
    struct trace_record *record = record_at(trace, trace->header->last);
    struct trace_file *file = &trace->header->file[record->file];
    char name[300];
    bool ok = true;
    int fd;

    if (trace->header->records == 0 || !record->announced)
        return;
    (void)snprintf(name, sizeof name, "%s/%s", trace->folder, file->name);
    if (record->kind == TRACE_UNLINK) {
        (void)syscall(SYS_unlinkat, AT_FDCWD, name, 0);
        file->there = false;
    } else if (record->kind == TRACE_CREATE) {
        struct stat info;

        fd = (int)syscall(SYS_openat, AT_FDCWD, name, O_RDWR | O_CREAT | O_CLOEXEC, 0660);
        ok = fd >= 0 && fstat(fd, &info) == 0;
        if (ok) {
            file->device = info.st_dev;
            file->inode = info.st_ino;
        }
    } else {
        fd = (int)syscall(SYS_openat, AT_FDCWD, name, O_RDWR | O_CLOEXEC);
        ok = fd >= 0 && (record->kind == TRACE_WRITE
                             ? syscall(SYS_pwrite64, fd, record->data, record->len, record->at) ==
                                   (long)record->len
                             : syscall(SYS_ftruncate, fd, record->at) == 0);
    }
    if (!ok)
        trace_odd(trace, "what a killed process had begun could not be ended");
    record->announced = 0;
}

void trace_lock(struct trace *trace)
{
    int code = pthread_mutex_lock(&trace->header->lock);

    if (code == EOWNERDEAD) {
        carry_out(trace);
        (void)pthread_mutex_consistent(&trace->header->lock);
    } else if (code != 0) {
        trace_odd(trace, "the lock of the trace is broken");
    }
}

void trace_unlock(struct trace *trace)
{
    (void)pthread_mutex_unlock(&trace->header->lock);
}

static uint64_t append(struct trace *trace, const struct trace_record *begin, const void *data)
{
    struct trace_header *header = trace->header;
    struct trace_record *record = record_at(trace, header->used);
    size_t bytes = sizeof *record + (begin->len + 7) / 8 * 8;

    if (sizeof *header + 8 + header->used + bytes > TRACE_BYTES) {
        trace_odd(trace, "the trace is full");
        return header->records;
    }
    if (begin->len > 0 && data)
        memcpy(record->data, data, begin->len);
    *record = *begin;
    /* in this order: a process may end at each of these */
    header->last = header->used;
    header->used += bytes;
    return header->records++;
}

uint64_t trace_add(struct trace *trace, enum trace_kind kind, uint32_t file, uint64_t at,
                   const void *data, size_t len)
{
    const struct trace_record begin = {(uint32_t)kind, file, at, (uint32_t)len, 0};

    return append(trace, &begin, data);
}

void trace_announce(struct trace *trace, enum trace_kind kind, uint32_t file, uint64_t at,
                    const void *data, size_t len)
{
    const struct trace_record begin = {(uint32_t)kind, file, at, (uint32_t)len, 1};

    (void)append(trace, &begin, data);
}

void trace_done(struct trace *trace)
{
    record_at(trace, trace->header->last)->announced = 0;
}

void trace_failed(struct trace *trace)
{
    trace_done(trace);
    trace->header->used = trace->header->last;
    trace->header->records--;
}

int trace_find(const struct trace *trace, dev_t device, ino_t inode)
{
    for (int i = (int)trace->header->files - 1; i >= 0; i--) {
        const struct trace_file *file = &trace->header->file[i];

        if (file->there && file->inode == inode && file->device == device)
            return i;
    }
    return -1;
}

int trace_find_name(const struct trace *trace, const char *name)
{
    for (int i = (int)trace->header->files - 1; i >= 0; i--)
        if (trace->header->file[i].there && strcmp(trace->header->file[i].name, name) == 0)
            return i;
    return -1;
}

int trace_add_file(struct trace *trace, const char *name, dev_t device, ino_t inode)
{
    struct trace_file *file = &trace->header->file[trace->header->files];

    if (trace->header->files == TRACE_FILES) {
        trace_odd(trace, "more files than the trace has room for");
        return -1;
    }
    (void)snprintf(file->name, sizeof file->name, "%s", name);
    file->device = device;
    file->inode = inode;
    file->there = true;
    return (int)trace->header->files++;
}

void trace_odd(struct trace *trace, const char *what)
{
    (void)snprintf(trace->header->odd, sizeof trace->header->odd, "%s", what);
}

void trace_mark(struct trace *trace, uint32_t stream, unsigned what, uint64_t number)
{
    trace_lock(trace);
    (void)trace_add(trace, TRACE_MARK, stream, what, &number, sizeof number);
    trace_unlock(trace);
}

const struct trace_record *trace_next(const struct trace *trace, uint64_t *at)
{
    const struct trace_record *record = record_at(trace, *at);

    if (*at >= trace->header->used)
        return NULL;
    *at += sizeof *record + (record->len + 7) / 8 * 8;
    return record;
}
