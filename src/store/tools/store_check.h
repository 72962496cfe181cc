/*
 * The check of a database: looks for damage of the file, a schema that is not ours, and rows that
 * contradict each other. It only reads, in one read transaction, while servers may continue to
 * write.
 */
#ifndef STORE_CHECK_H
#define STORE_CHECK_H

#include <stdint.h>

#include "protocol/status.h"

enum store_check_kind {
    STORE_CHECK_DAMAGE, /* data may be wrong or missing, or requests will fail */
    STORE_CHECK_NOTE,   /* not damage: pruned rows, rows that the sweep will delete */
};

/* path: the stream of the finding, or NULL. Texts are valid during the call. */
typedef void store_check_fn(void *arg, enum store_check_kind kind, const char *path,
                            const char *text);

struct store_check {
    const char *database; /* the file */
    int64_t busy_timeout_ms;
    int64_t now;        /* wall clock */
    store_check_fn *fn; /* called for each finding */
    void *arg;

    int64_t streams, rows; /* how many were checked */
    int64_t damages, notes;
    char reason[1000]; /* one line, when the status is not DS_OK */
};

/*
 * DS_OK: the check was completed, whatever it found. DS_NOT_FOUND: there is no such file. DS_BUSY.
 * DS_FAILED: the file cannot be opened, is not ours, or has a newer version.
 */
enum ds_status store_check(struct store_check *check);

#endif
