/*
 * Two clocks: wall time for expiry and what people see, monotonic time for waits.
 * In milliseconds, but for what says otherwise. Thread-safe.
 */
#ifndef CLOCK_H
#define CLOCK_H

#include <stdint.h>

int64_t clock_wall_ms(void);      /* Unix time */
int64_t clock_monotonic_ms(void); /* never goes back; from an arbitrary start */
int64_t clock_monotonic_us(void); /* the same in microseconds */

/* A random number for jitter; not for secrets. Thread-safe. */
uint32_t clock_random(void);

#endif
