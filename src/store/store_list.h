/* A list of streams, for people and programs: all of it from one moment. */
#ifndef STORE_LIST_H
#define STORE_LIST_H

#include <stdbool.h>
#include <stdint.h>

#include "store/store.h"

enum store_list_order {
    STORE_LIST_BY_PATH,
    STORE_LIST_BY_MESSAGES,
    STORE_LIST_BY_BYTES,
    STORE_LIST_BY_CREATED,
    STORE_LIST_BY_EXPIRES, /* those that never expire last */
};

/* All zero: every live stream in the order of the paths. */
struct store_list {
    const char *prefix; /* of the path, normalised; NULL: all */
    enum store_list_order order;
    bool reverse;
    bool dead; /* also those that were deleted or have expired and are still there */
};

/*
 * source: the path that a fork was made from, else NULL. life: DS_OK, DS_GONE (deleted or expired,
 * forks read it), DS_NOT_FOUND (expired, not yet cleared away). Texts are valid during the call.
 * False ends the list.
 */
typedef bool store_list_fn(void *arg, const struct stream *stream, const char *source,
                           enum ds_status life);

/* In a read transaction of its own, in which fn may read. */
enum ds_status store_list(struct store_conn *conn, const struct store_list *list, int64_t now,
                          store_list_fn *fn, void *arg);

#endif
