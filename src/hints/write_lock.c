/* The write lock: see write_lock.h. */
#include "hints/write_lock.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/futex.h"
#include "base/log.h"
#include "hints/byte_lock.h"

void write_lock_init(struct write_lock *lock, int fd, struct write_hint *hint)
{
    (void)pthread_mutex_init(&lock->mutex, NULL);
    lock->fd = fd;
    lock->hint = hint;
}

void write_lock_close(struct write_lock *lock)
{
    (void)pthread_mutex_destroy(&lock->mutex);
}

static int lock_mutex(pthread_mutex_t *mutex, int64_t timeout_ms)
{
#ifdef __SANITIZE_THREAD__ /* ThreadSanitizer does not know pthread_mutex_clocklock() */
    const clockid_t clock = CLOCK_REALTIME;
#else
    const clockid_t clock = CLOCK_MONOTONIC;
#endif
    const struct timespec until = clock_deadline(clock, timeout_ms);

#ifdef __SANITIZE_THREAD__
    return pthread_mutex_timedlock(mutex, &until);
#else
    return pthread_mutex_clocklock(mutex, clock, &until);
#endif
}

/* DS_BUSY: another process has it. */
static enum ds_status try_byte(const struct write_lock *lock)
{
    if (byte_lock_try(lock->fd, BYTE_WRITE))
        return DS_OK;
    if (errno == EAGAIN || errno == EACCES)
        return DS_BUSY;
    log_error("cannot take the write lock: %s", strerror(errno));
    return DS_FAILED;
}

/* The waiter of the drawing in write_lock.h. */
static enum ds_status wait_for_byte(struct write_lock *lock, int64_t timeout_ms)
{
    int64_t until = clock_monotonic_ms() + timeout_ms;

    for (;;) {
        uint32_t turn = atomic_load(&lock->hint->turn);
        enum ds_status status;
        int64_t left;

        atomic_store(&lock->hint->wanted, 1);
        status = try_byte(lock);
        left = until - clock_monotonic_ms();
        if (status != DS_BUSY || left <= 0)
            return status;
        futex_sleep(&lock->hint->turn, turn,
                    left < WRITE_LOCK_RETRY_MS ? left : WRITE_LOCK_RETRY_MS);
    }
}

enum ds_status write_lock_acquire(struct write_lock *lock, int64_t timeout_ms)
{
    enum ds_status status;

    if (pthread_mutex_trylock(&lock->mutex) != 0) {
        int64_t until = clock_monotonic_ms() + timeout_ms;

        if (lock_mutex(&lock->mutex, timeout_ms) != 0)
            return DS_BUSY;
        /* what is left for the byte; 0 or less: one try */
        timeout_ms = until - clock_monotonic_ms();
    }
    status = try_byte(lock);
    if (status == DS_BUSY)
        status = wait_for_byte(lock, timeout_ms);
    if (status != DS_OK)
        (void)pthread_mutex_unlock(&lock->mutex);
    return status;
}

void write_lock_release(struct write_lock *lock)
{
    byte_lock_release(lock->fd, BYTE_WRITE, 1);
    if (atomic_exchange(&lock->hint->wanted, 0) != 0) {
        atomic_fetch_add(&lock->hint->turn, 1);
        futex_wake(&lock->hint->turn, 1);
    }
    (void)pthread_mutex_unlock(&lock->mutex);
}
