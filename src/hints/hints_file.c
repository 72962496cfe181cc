/*
 * The file of the hints: see hints_file.h.
 *
 * Every process that has the file open holds flock() on it: shared, and exclusively for the moment
 * in which it is the only one and clears away the remains of a crash.
 */
#include "hints/hints_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/descriptors.h"
#include "base/log.h"
#include "base/place.h"
#include "hints/byte_lock.h"
#include "hints/hints_layout.h"

enum { OPEN_MS = 5000 }; /* to wait for a process that has the file exclusively */

/*
 * Allocates all blocks, because on a full disk a store into a hole of the mapping ends the process
 * with SIGBUS. Only a process that is the only one fills holes, because filling may
 * overwrite bytes that others write at the same time.
 */
bool hints_file_allocate(int fd, bool alone)
{
    struct stat info;
    const off_t size = sizeof(struct hints_shared);
    int error;

    if (fstat(fd, &info) != 0)
        return false;
    if (info.st_size >= size && (!alone || info.st_blocks * 512 >= size))
        return true;
    error = posix_fallocate(fd, 0, size);
    if (error != 0)
        errno = error;
    return error == 0;
}

struct hints_shared *hints_file_map(int fd, bool alone)
{
    void *memory = hints_file_allocate(fd, alone) ? mmap(NULL, sizeof(struct hints_shared),
                                                         PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)
                                                  : MAP_FAILED;

    return memory == MAP_FAILED ? NULL : memory;
}

bool hints_file_is_current(int fd, const char *path)
{
    struct stat ours, named;

    return fstat(fd, &ours) == 0 && stat(path, &named) == 0 && ours.st_ino == named.st_ino &&
           ours.st_dev == named.st_dev;
}

/* Opens the file, or creates it. Returns -1, logged, if it is not a file that we trust. */
static int open_file(const char *path, const char *database)
{
    /* O_NONBLOCK: open() must not wait for a FIFO, which is refused then */
    const int flags = O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
    int fd;

    do {
        fd = descriptor_high(open(path, flags));
        if (fd < 0 && errno == ENOENT) {
            fd = descriptor_high(open(path, flags | O_CREAT | O_EXCL, 0600));
            if (fd >= 0)
                place_give(fd, database);
        }
    } while (fd < 0 && errno == EEXIST); /* another process has just created it */
    if (fd < 0) {
        log_error("cannot use %s: %s", path,
                  errno == ELOOP ? "it is a symbolic link" : strerror(errno));
        return -1;
    }
    if (place_trusts(fd, path, database)) {
        if (geteuid() == 0)
            place_give(fd, database); /* root may have created it before the database existed */
        return fd;
    }
    (void)close(fd);
    return -1;
}

/*
 * Locks the file exclusively if no other process has it open, else shared. Waits while another
 * process has it exclusively, which it has for a moment only.
 */
static bool lock_file(int fd, bool *first)
{
    struct timespec pause = {0, 20 * 1000};
    int64_t until = clock_monotonic_ms() + OPEN_MS;

    *first = flock(fd, LOCK_EX | LOCK_NB) == 0;
    if (*first)
        return true;
    while (flock(fd, LOCK_SH | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK || clock_monotonic_ms() >= until)
            return false;
        (void)nanosleep(&pause, NULL);
        if (pause.tv_nsec < 10 * 1000000)
            pause.tv_nsec *= 2;
    }
    return true;
}

int hints_file_open(const char *path, const char *database, bool *first)
{
    int fd;

    for (;;) {
        fd = open_file(path, database);
        if (fd < 0)
            return -1;
        if (!lock_file(fd, first)) {
            log_error("cannot use %s: %s", path,
                      errno == EWOULDBLOCK ? "another program has locked it" : strerror(errno));
            (void)close(fd);
            return -1;
        }
        if (hints_file_is_current(fd, path))
            return fd;
        (void)close(fd); /* it was removed before it was locked: open the new one */
    }
}

/* Explicitly, because a child that was forked without an exec may still have the file open. */
void hints_file_unlock(int fd)
{
    byte_lock_release(fd, 0, 0);
    (void)flock(fd, LOCK_UN);
}
