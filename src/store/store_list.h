/* The list of streams, from one read transaction, for people and programs. */
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
    STORE_LIST_BY_EXPIRES, /* streams that never expire come last */
};

/* All zero: every live stream, ordered by path. */
struct store_list {
    const char *prefix; /* normalised prefix of the paths; NULL: all */
    enum store_list_order order;
    bool reverse;
    bool dead; /* also list deleted and expired streams whose rows are still there */
};

/*
 * Called for each stream. source: the path of a fork's source, else NULL. life: DS_OK, DS_GONE
 * (deleted or expired, but forks read it), or DS_NOT_FOUND (expired, and not yet swept). Texts are
 * valid during the call. Returning false ends the list.
 */
typedef bool store_list_fn(void *arg, const struct stream *stream, const char *source,
                           enum ds_status life);

/* Lists the streams in a read transaction of its own, in which fn may read too. */
enum ds_status store_list(struct store_conn *conn, const struct store_list *list, int64_t now,
                          store_list_fn *fn, void *arg);

#endif
