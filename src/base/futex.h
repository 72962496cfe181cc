/*
 * Futexes (Linux): threads of several processes sleep on a word of shared memory, and are woken.
 */
#ifndef FUTEX_H
#define FUTEX_H

#include <linux/futex.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Sleeps while *word == value, at most timeout_ms. May return earlier without a reason. */
static inline void futex_sleep(_Atomic uint32_t *word, uint32_t value, int64_t timeout_ms)
{
    struct timespec timeout = {timeout_ms / 1000, timeout_ms % 1000 * 1000000};

    (void)syscall(SYS_futex, word, FUTEX_WAIT, value, &timeout, NULL, 0);
}

/* Wakes at most `most` of the sleepers. */
static inline void futex_wake(_Atomic uint32_t *word, int most)
{
    (void)syscall(SYS_futex, word, FUTEX_WAKE, most, NULL, NULL, 0);
}

#endif
