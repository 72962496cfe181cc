/*
 * Idempotent producers (protocol section 5.2.1): headers and the decision table.
 *
 *      request epoch      seq                 verdict
 *      no state           0                   ACCEPT
 *      no state           > 0                 GAP, expected 0
 *      < state            any                 STALE_EPOCH   403
 *      > state            0                   ACCEPT        (the old epoch is fenced off)
 *      > state            > 0                 BAD_EPOCH_START 400
 *      = state            <= last             DUPLICATE     204
 *      = state            last + 1            ACCEPT        200
 *      = state            > last + 1          GAP           409
 *
 * Pure, thread-safe. The caller reads and writes the state in one transaction.
 */
#ifndef PRODUCER_H
#define PRODUCER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PRODUCER_NUMBER_MAX INT64_C(9007199254740991) /* 2^53-1 */
enum { PRODUCER_ID_MAX = 256 };                       /* bytes of a Producer-Id */

struct producer {
    const char *id; /* borrowed from the request; NULL when the request has no producer headers */
    size_t id_len;  /* 1..PRODUCER_ID_MAX */
    int64_t epoch;  /* 0..PRODUCER_NUMBER_MAX */
    int64_t seq;    /* 0..PRODUCER_NUMBER_MAX */
};

/* The last accepted request of a producer on one stream, from the store. */
struct producer_state {
    bool exists;
    int64_t epoch;
    int64_t last_seq;
};

enum producer_verdict {
    PRODUCER_ACCEPT,
    PRODUCER_DUPLICATE,
    PRODUCER_STALE_EPOCH,
    PRODUCER_BAD_EPOCH_START,
    PRODUCER_GAP,
};

/*
 * Reads the three headers, each of which is NULL if it is absent. If all are absent, producer->id
 * becomes NULL. An id may contain any bytes except control characters (below 0x20, and 0x7F); the
 * numbers are decimal digits. Returns NULL, or the reason for a 400: a static string of one line.
 */
const char *producer_parse(struct producer *producer, const char *id, const char *epoch,
                           const char *seq);

/* The same rules for a producer that does not come from headers; id is not NULL. */
const char *producer_check(const struct producer *producer);

/* Decides by the table above. */
enum producer_verdict producer_judge(const struct producer *producer,
                                     const struct producer_state *state);

#endif
