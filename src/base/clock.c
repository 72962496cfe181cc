/* The two clocks and jitter: see clock.h. */
#include "base/clock.h"

#include <pthread.h>
#include <time.h>
#include <unistd.h>

static int64_t read_us(clockid_t which)
{
    struct timespec now;

    (void)clock_gettime(which, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t clock_wall_ms(void)
{
    return read_us(CLOCK_REALTIME) / 1000;
}

int64_t clock_monotonic_ms(void)
{
    return read_us(CLOCK_MONOTONIC) / 1000;
}

int64_t clock_monotonic_us(void)
{
    return read_us(CLOCK_MONOTONIC);
}

struct timespec clock_deadline(clockid_t clock, int64_t ms)
{
    struct timespec until;

    (void)clock_gettime(clock, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    return until;
}

uint32_t clock_random(void)
{
    /* xorshift, seeded with time, process and thread: enough to keep the readers of several
       processes from moving in step */
    static __thread uint32_t state;
    struct timespec now;

    if (state == 0) {
        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        state = (uint32_t)now.tv_nsec ^ ((uint32_t)getpid() << 12) ^
                (uint32_t)((uintptr_t)pthread_self() >> 6) ^ 0x9e3779b9U;
        if (state == 0)
            state = 1;
    }
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}
