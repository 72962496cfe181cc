/* What the files of the import share: see store_dump.h. */
#ifndef STORE_IMPORT_PRIVATE_H
#define STORE_IMPORT_PRIVATE_H

#include <string.h>

#include "base/buf.h"
#include "dump/dump_read.h"
#include "store/store.h"
#include "store/store_subscription.h"
#include "store/tools/store_dump.h"

struct import {
    struct store_conn *conn;
    struct store_dump *dump;
    int64_t now;

    struct dump_reader reader;
    int64_t streams, rows, producers, subscriptions; /* counts of the file so far */
    int64_t last_id; /* ids of streams up to this one were in the database before */

    struct arena *arena; /* of the stream or subscription; NULL: outside of both */
    bool after_streams;  /* the lines about subscriptions have begun */

    /* the stream to which the current lines belong */
    struct stream stream;
    bool skipping;      /* the stream, or the subscription, is skipped */
    bool waits;         /* its commit waits for a fork */
    bool is_registry;   /* according to the file */
    bool first;         /* the stream has no row so far */
    bool has_gap;       /* before its first row */
    int64_t next, part; /* the position after the last row, and that row's part */
    int64_t stream_rows, stream_producers, messages; /* its counts so far */

    /* the subscription to which the current lines belong */
    struct subscription subscription;
    int64_t links; /* its links so far */

    /* the transaction */
    bool open;
    struct buf changed; /* ids of streams whose readers will be woken */
    int64_t open_streams, open_rows, open_producers;
    int64_t breathed_at;
    int64_t registry_id; /* the stream that will become the registry; 0: none */
};

/* --- fields of the current line --- */

static inline bool import_has(const struct import *import, enum dump_field field)
{
    return import->reader.line.value[field].present;
}

static inline int64_t import_number(const struct import *import, enum dump_field field)
{
    return import->reader.line.value[field].number;
}

static inline bool import_is_text(const struct import *import, enum dump_field field,
                                  const char *expected)
{
    const struct dump_value *value = &import->reader.line.value[field];

    return strlen(expected) == value->len && memcmp(value->text, expected, value->len) == 0;
}

/* A copy in the arena; NULL for NULL, or when out of memory. */
const char *import_keep(struct import *import, enum dump_field field, size_t *len);

/* --- the transaction --- */

/* Begins it, unless it is open. */
enum ds_status import_begin(struct import *import);
enum ds_status import_commit(struct import *import);

/* --- subscriptions --- */

/* Takes a line about subscriptions, which follow all streams. */
enum ds_status import_subscription_line(struct import *import);

#endif
