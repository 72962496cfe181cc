/*
 * Injected faults: the server mistreats requests on demand, so that clients can be tested against
 * it. The table `faults` (sql/faults.sql) has them, one for a path, and the server obeys them while
 * DS_TEST_ENDPOINTS=1. A request that meets a fault goes through these steps:
 *
 *     1. wait: delay_ms, and up to jitter_ms more
 *     2. drop: the connection ends without an answer, and the request is not carried out
 *     3. status: the server answers with this status, and the request is not carried out
 *     4. the request is carried out; a read's body is mangled, or an SSE event is sent before the
 *        others
 *
 * Every step is optional. All functions here are thread-safe.
 */
#ifndef FAULT_H
#define FAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;

/* How the body of a read's answer is changed. The head is not changed. */
struct mangle {
    bool truncate;
    int64_t bytes; /* with truncate: how many bytes remain */
    bool corrupt;
};

struct fault {
    const char *path;
    const char *method;  /* NULL: every method except OPTIONS */
    int64_t count;       /* how many requests meet it; 0 or less counts as 1 */
    double probability;  /* 0 to 1, that a request meets it */
    int64_t delay_ms;    /* -1: no delay */
    int64_t jitter_ms;   /* at most; in addition to the delay */
    bool drop;           /* the connection ends without an answer */
    int64_t status;      /* of HTTP; 0: none */
    int64_t retry_after; /* seconds; -1: no Retry-After */
    struct mangle mangle;
    const char *event_type; /* NULL: no SSE event */
    const char *event_data;
};

/* Limits of the fields, as in sql/faults.sql: milliseconds, counts and bytes, seconds. */
#define FAULT_MOST_MS  86400000
#define FAULT_MOST     INT64_C(1000000000000000)
#define FAULT_MOST_AGE 1000000000

/* Does a request with this method meet the fault? draw is a random number in [0, 1). */
bool fault_is_met(const struct fault *fault, const char *method, double draw);

/* How many milliseconds a request waits. Random: each call draws anew. */
int64_t fault_delay(const struct fault *fault);

/* A random number in [0, 1). */
double fault_draw(void);

/* Does it change bodies at all? */
static inline bool mangle_is_any(const struct mangle *mangle)
{
    return mangle->truncate || mangle->corrupt;
}

/*
 * Truncates the body, or changes some 3 % of its bytes, or both. UTF-8 remains UTF-8. JSON does not
 * remain JSON, because the first character becomes X, Y or Z. The result may be empty.
 */
void mangle_body(const struct mangle *mangle, struct buf *body);

#endif
