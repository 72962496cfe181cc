/*
 * Idempotent producers (protocol section 5.2.1): headers and the decision table.
 *
 *      request epoch      seq                 verdict
 *      no state           0                   ACCEPT
 *      no state           > 0                 GAP, expected 0
 *      < state            any                 STALE_EPOCH   403
 *      > state            0                   ACCEPT        (the old epoch is fenced)
 *      > state            > 0                 BAD_EPOCH_START 400
 *      = state            <= last             DUPLICATE     204
 *      = state            last + 1            ACCEPT        200
 *      = state            > last + 1          GAP           409
 *
 * Pure, thread-safe; the caller reads and writes the state inside one transaction.
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

/* What the store remembers of a producer on one stream. */
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
 * Reads the three headers; each may be NULL (absent). NULL when fine (also when all are absent:
 * producer->id is then NULL), else a one-line reason for a 400, a static string. An id may hold
 * any byte but controls (below 0x20, 0x7f). Numbers are plain digits.
 */
const char *producer_parse(struct producer *producer, const char *id, const char *epoch,
                           const char *seq);

/* The same rules for values that came without headers; id is not NULL. */
const char *producer_check(const struct producer *producer);

enum producer_verdict producer_judge(const struct producer *producer,
                                     const struct producer_state *state);

#endif
