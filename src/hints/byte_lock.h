/*
 * Kernel locks (F_OFD_SETLK) on single bytes of the hints file. A byte is only a number whose
 * holder the kernel knows; its content does not matter, and a byte may be beyond the file's end.
 *
 *     byte                                  held by
 *     0  BYTE_DUTY                          the process that does the upkeep
 *     1  BYTE_CHECKPOINT                    the process that takes a checkpoint
 *     2  BYTE_WRITE                         the process that writes
 *     3  BYTE_DELIVER                       the process that delivers webhooks
 *     from BYTE_ACCEPTORS, 64 a socket      the processes that accept connections from that socket
 *
 * A lock belongs to the open file, hence to the process and not to a thread: a process that already
 * has it gets it again. The kernel releases it when the process ends, however it ends.
 */
#ifndef BYTE_LOCK_H
#define BYTE_LOCK_H

#include <fcntl.h>
#include <stdbool.h>
#include <unistd.h>

enum {
    BYTE_DUTY = 0,
    BYTE_CHECKPOINT = 1,
    BYTE_WRITE = 2,
    BYTE_DELIVER = 3,
    BYTE_ACCEPTORS = 1 << 24,
};

/* Tries to lock one byte, without waiting. False, with errno. */
static inline bool byte_lock_try(int fd, off_t byte)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};

    return fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

/* Has another open file locked the byte, in whichever process? */
static inline bool byte_lock_is_taken(int fd, off_t byte)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};

    return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

/* Unlocks `count` bytes; 0: all from that byte on. */
static inline void byte_lock_release(int fd, off_t byte, off_t count)
{
    struct flock lock = {.l_type = F_UNLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = count};

    (void)fcntl(fd, F_OFD_SETLK, &lock);
}

#endif
