/*
 * Looks for what must not be in a database: damage of the file, a schema that is not ours, rows
 * that contradict each other. Only reads, all of it from one moment, beside whoever is at work.
 */
#ifndef STORE_CHECK_H
#define STORE_CHECK_H

#include <stdint.h>

#include "protocol/status.h"

enum store_check_kind {
    STORE_CHECK_DAMAGE, /* data may be wrong or missing, or requests will fail */
    STORE_CHECK_NOTE,   /* worth knowing: pruned rows, what is still to be cleared away */
};

/* path: of the stream that the finding is about; NULL: of none. Texts are valid during the call. */
typedef void store_check_fn(void *arg, enum store_check_kind kind, const char *path,
                            const char *text);

struct store_check {
    const char *database; /* the file */
    int64_t busy_timeout_ms;
    int64_t now;        /* wall clock */
    store_check_fn *fn; /* called with each finding */
    void *arg;

    int64_t streams, rows; /* looked at */
    int64_t damages, notes;
    char reason[1000]; /* one line, when the status is not DS_OK */
};

/*
 * DS_OK: the check came to its end, whatever it found. DS_NOT_FOUND: there is no such file;
 * DS_BUSY; DS_FAILED: the file is not to be opened, not ours, or of a newer version.
 */
enum ds_status store_check(struct store_check *check);

#endif
