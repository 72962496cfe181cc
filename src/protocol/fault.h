/*
 * An injected fault: what a request is made to suffer, so that clients can be tested against it.
 * Faults lie in the table `faults` (sql/faults.sql), one a path, and are honoured while
 * DS_TEST_ENDPOINTS=1. In this order:
 *
 *     wait (delay_ms and up to jitter_ms more) ─▶ drop, or ─▶ answer with `status`, or ─▶ the
 *     operation, with the body of its answer mangled, or an SSE event in front of the others
 *
 * A request that is dropped or answered with a status is not carried out.
 */
#ifndef FAULT_H
#define FAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;

/* What is done to the body that a read answers with, never to its head. */
struct mangle {
    bool truncate;
    int64_t bytes; /* so many are left */
    bool corrupt;
};

struct fault {
    const char *path;
    const char *method;  /* NULL: every one but OPTIONS */
    int64_t count;       /* 0 or less counts as 1 */
    double probability;  /* 0 to 1 */
    int64_t delay_ms;    /* -1: no delay */
    int64_t jitter_ms;   /* at most, on top of a delay */
    bool drop;           /* the connection ends without an answer */
    int64_t status;      /* 0: none */
    int64_t retry_after; /* seconds; -1: no Retry-After */
    struct mangle mangle;
    const char *event_type; /* NULL: no SSE event */
    const char *event_data;
};

/* Limits of the fields, as in sql/faults.sql. */
#define FAULT_MOST_MS  86400000
#define FAULT_MOST     INT64_C(1000000000000000)
#define FAULT_MOST_AGE 1000000000

/* Does a request of this method and with this random number in [0, 1) meet it? */
bool fault_is_met(const struct fault *fault, const char *method, double draw);

/* How long a request waits: another time each call. */
int64_t fault_delay(const struct fault *fault);

/* A random number in [0, 1). */
double fault_draw(void);

/* Is there anything to do? */
static inline bool mangle_is_any(const struct mangle *mangle)
{
    return mangle->truncate || mangle->corrupt;
}

/*
 * Cuts a body and changes some 3 % of its bytes. UTF-8 stays UTF-8; JSON does not stay JSON, since
 * it begins with X, Y or Z afterwards. The result may be empty: see the length.
 */
void mangle_body(const struct mangle *mangle, struct buf *body);

#endif
