/*
 * Makes the machine fail: the n-th allocation, write, sync, read, lock, mapping, descriptor,
 * message or thread fails, either only that call, or also all later ones. For loops that let the
 * first, second, third … one fail until the tested code runs to its end.
 *
 * Memory: the linker's --wrap (Makefile) leads our own calls here, and sqlite3_config() those of
 * SQLite; calls by libfcgi, libcurl and libc are not affected. Everything else: the functions below
 * replace those of libc for the whole process, libraries included. One file of a test program
 * includes this header, before all others.
 */
#ifndef FAILING_H
#define FAILING_H

#undef _FORTIFY_SOURCE /* with it, headers define some of these functions themselves */

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum failing {
    FAIL_MEMORY,
    FAIL_WRITE, /* of a file: there is no space */
    FAIL_SYNC,
    FAIL_READ,
    FAIL_LOCK,
    FAIL_MAP,
    FAIL_OPEN,   /* a file or any other descriptor */
    FAIL_SOCKET, /* a message, or watching for one */
    FAIL_THREAD,
    FAIL_KINDS
};

static const char *const failing_names[FAIL_KINDS] = {
    "allocation", "write", "sync", "read", "lock", "mapping", "descriptor", "message", "thread"};

static _Atomic int failing_kind = -1; /* -1: none fails */
static _Atomic int failing_left;      /* calls of this kind until one fails */
static atomic_bool failing_stays;     /* … and every one after it */
static _Atomic int failing_fired;
static _Thread_local bool failing_spared; /* this thread's own calls do not count */

/* Lets the n-th call of this kind fail, counted from 0 and from now. */
static inline void failing_arm(enum failing kind, int n, bool stays)
{
    atomic_store(&failing_fired, 0);
    atomic_store(&failing_left, n);
    atomic_store(&failing_stays, stays);
    atomic_store(&failing_kind, (int)kind);
}

/* True if it has failed. From now on no call fails. */
static inline bool failing_disarm(void)
{
    atomic_store(&failing_kind, -1);
    return atomic_load(&failing_fired) > 0;
}

static inline bool fails(enum failing kind)
{
    int left;

    if (failing_spared || atomic_load(&failing_kind) != (int)kind)
        return false;
    left = atomic_fetch_sub(&failing_left, 1);
    if (left > 0 || (left < 0 && !atomic_load(&failing_stays)))
        return false;
    atomic_fetch_add(&failing_fired, 1);
    return true;
}

/* --- memory: our own --- */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__real_reallocarray(void *memory, size_t count, size_t size);
char *__real_strdup(const char *text);

void *__wrap_malloc(size_t size)
{
    return fails(FAIL_MEMORY) ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails(FAIL_MEMORY) ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    return fails(FAIL_MEMORY) ? NULL : __real_realloc(memory, size);
}

void *__wrap_reallocarray(void *memory, size_t count, size_t size)
{
    return fails(FAIL_MEMORY) ? NULL : __real_reallocarray(memory, count, size);
}

char *__wrap_strdup(const char *text)
{
    return fails(FAIL_MEMORY) ? NULL : __real_strdup(text);
}

__attribute__((format(printf, 2, 0))) static inline int
failing_print(char **text, const char *format, va_list args)
{
    return fails(FAIL_MEMORY) ? -1 : vasprintf(text, format, args);
}

__attribute__((format(printf, 2, 3))) int __wrap_asprintf(char **text, const char *format, ...)
{
    va_list args;
    int len;

    va_start(args, format);
    len = failing_print(text, format, args);
    va_end(args);
    return len;
}

/* The name that -D_FORTIFY_SOURCE gives to asprintf(). */
__attribute__((format(printf, 3, 4))) int __wrap___asprintf_chk(char **text, int flag,
                                                                const char *format, ...)
{
    va_list args;
    int len;

    (void)flag;
    va_start(args, format);
    len = failing_print(text, format, args);
    va_end(args);
    return len;
}

/* --- memory: SQLite's --- */

static sqlite3_mem_methods failing_sqlite;

static inline void *failing_sqlite_malloc(int size)
{
    return fails(FAIL_MEMORY) ? NULL : failing_sqlite.xMalloc(size);
}

static inline void *failing_sqlite_realloc(void *memory, int size)
{
    return fails(FAIL_MEMORY) ? NULL : failing_sqlite.xRealloc(memory, size);
}

/* Before the first connection. */
static inline void failing_begin(void)
{
    sqlite3_mem_methods methods;

    (void)sqlite3_shutdown();
    (void)sqlite3_config(SQLITE_CONFIG_GETMALLOC, &failing_sqlite);
    methods = failing_sqlite;
    methods.xMalloc = failing_sqlite_malloc;
    methods.xRealloc = failing_sqlite_realloc;
    (void)sqlite3_config(SQLITE_CONFIG_MALLOC, &methods);
    (void)sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0); /* every allocation comes here */
}

/* --- the machine --- */

/* Also visible to the libraries; SQLite is compiled to call the names with 64. */
#define IN_FRONT __attribute__((visibility("default")))

static inline int failing_error(int error)
{
    errno = error;
    return -1;
}

/* Messages between threads also use write(); those do not fail. */
static inline bool failing_is_file(int fd)
{
    struct stat info;

    return fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
}

IN_FRONT ssize_t write(int fd, const void *data, size_t len)
{
    if (failing_is_file(fd) && fails(FAIL_WRITE))
        return failing_error(ENOSPC);
    return syscall(SYS_write, fd, data, len);
}

IN_FRONT ssize_t pwrite64(int fd, const void *data, size_t len, off_t at)
{
    return fails(FAIL_WRITE) ? failing_error(ENOSPC) : syscall(SYS_pwrite64, fd, data, len, at);
}

IN_FRONT ssize_t pwrite(int fd, const void *data, size_t len, off_t at)
{
    return pwrite64(fd, data, len, at);
}

IN_FRONT int ftruncate64(int fd, off_t len)
{
    return fails(FAIL_WRITE) ? failing_error(EIO) : (int)syscall(SYS_ftruncate, fd, len);
}

IN_FRONT int fdatasync(int fd)
{
    return fails(FAIL_SYNC) ? failing_error(EIO) : (int)syscall(SYS_fdatasync, fd);
}

IN_FRONT int fsync(int fd)
{
    return fails(FAIL_SYNC) ? failing_error(EIO) : (int)syscall(SYS_fsync, fd);
}

IN_FRONT ssize_t read(int fd, void *data, size_t len)
{
    if (failing_is_file(fd) && fails(FAIL_READ))
        return failing_error(EIO);
    return syscall(SYS_read, fd, data, len);
}

IN_FRONT ssize_t pread64(int fd, void *data, size_t len, off_t at)
{
    return fails(FAIL_READ) ? failing_error(EIO) : syscall(SYS_pread64, fd, data, len, at);
}

/* Releasing a lock does not fail. */
static inline bool failing_locks(int op, const void *arg)
{
    return (op == F_SETLK || op == F_SETLKW || op == F_OFD_SETLK) &&
           ((const struct flock *)arg)->l_type != F_UNLCK;
}

IN_FRONT int fcntl64(int fd, int op, ...)
{
    va_list args;
    void *arg;

    va_start(args, op);
    arg = va_arg(args, void *);
    va_end(args);
    if (failing_locks(op, arg) && fails(FAIL_LOCK))
        return failing_error(ENOLCK);
    return (int)syscall(SYS_fcntl, fd, op, arg);
}

IN_FRONT int fcntl(int fd, int op, ...)
{
    va_list args;
    void *arg;

    va_start(args, op);
    arg = va_arg(args, void *);
    va_end(args);
    return fcntl64(fd, op, arg);
}

IN_FRONT void *mmap64(void *place, size_t len, int protection, int flags, int fd, off_t at)
{
    if (fd >= 0 && fails(FAIL_MAP)) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    return (void *)syscall(SYS_mmap, place, len, protection, flags, fd, at);
}

IN_FRONT void *mmap(void *place, size_t len, int protection, int flags, int fd, off_t at)
{
    return mmap64(place, len, protection, flags, fd, at);
}

IN_FRONT int posix_fallocate(int fd, off_t at, off_t len)
{
    if (fails(FAIL_MAP))
        return ENOSPC;
    return syscall(SYS_fallocate, fd, 0, at, len) == 0 ? 0 : errno;
}

IN_FRONT int open64(const char *path, int flags, ...)
{
    va_list args;
    int mode;

    va_start(args, flags);
    mode = va_arg(args, int);
    va_end(args);
    return fails(FAIL_OPEN) ? failing_error(EMFILE)
                            : (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

IN_FRONT int open(const char *path, int flags, ...)
{
    va_list args;
    int mode;

    va_start(args, flags);
    mode = va_arg(args, int);
    va_end(args);
    return open64(path, flags, mode);
}

IN_FRONT int memfd_create(const char *name, unsigned flags)
{
    return fails(FAIL_OPEN) ? failing_error(EMFILE) : (int)syscall(SYS_memfd_create, name, flags);
}

IN_FRONT int epoll_create1(int flags)
{
    return fails(FAIL_OPEN) ? failing_error(EMFILE) : (int)syscall(SYS_epoll_create1, flags);
}

IN_FRONT int eventfd(unsigned count, int flags)
{
    return fails(FAIL_OPEN) ? failing_error(EMFILE) : (int)syscall(SYS_eventfd2, count, flags);
}

IN_FRONT int accept4(int fd, struct sockaddr *address, socklen_t *len, int flags)
{
    return fails(FAIL_OPEN) ? failing_error(EMFILE)
                            : (int)syscall(SYS_accept4, fd, address, len, flags);
}

IN_FRONT int epoll_ctl(int epoll, int op, int fd, struct epoll_event *event)
{
    if (op != EPOLL_CTL_DEL && fails(FAIL_SOCKET))
        return failing_error(ENOSPC);
    return (int)syscall(SYS_epoll_ctl, epoll, op, fd, event);
}

IN_FRONT ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    return fails(FAIL_SOCKET) ? failing_error(EPIPE) : syscall(SYS_sendmsg, fd, message, flags);
}

IN_FRONT ssize_t recv(int fd, void *data, size_t len, int flags)
{
    return fails(FAIL_SOCKET) ? failing_error(ECONNRESET)
                              : syscall(SYS_recvfrom, fd, data, len, flags, NULL, NULL);
}

IN_FRONT int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
                            void *arg)
{
    int (*next)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

    if (fails(FAIL_THREAD))
        return EAGAIN;
    *(void **)&next = dlsym(RTLD_NEXT, "pthread_create");
    return next(thread, attr, run, arg);
}

#endif
