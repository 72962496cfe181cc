/*
 * All changes that several processes make to the files of one database, in their order, with the
 * acknowledgements between them: a file that all of these processes have mapped.
 *
 *     ┌────────┬───────────┬──────────────────────────────────────────────┐
 *     │ header │ files[]   │ record, record, record, …                    │
 *     └────────┴───────────┴──────────────────────────────────────────────┘
 *
 * record.c writes the changes, inside unchanged programs; the writers that send requests to these
 * programs write the marks. A record and its change are made under one lock, so the trace has the
 * true order. A process that is killed in the middle of a change has announced it: the next process
 * that takes the lock carries it out, as the kernel would have.
 */
#ifndef TRACE_H
#define TRACE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum trace_kind {
    TRACE_WRITE,    /* of data at `at` */
    TRACE_TRUNCATE, /* to `at` bytes */
    TRACE_SYNC,     /* begins */
    TRACE_SYNCED,   /* the one of record number `at` has ended */
    TRACE_CREATE,
    TRACE_UNLINK,
    TRACE_MARK, /* `at` is a mark of ledger.h, `file` the stream, data a number */
};

enum {
    TRACE_FOLDER = 0, /* the folder: a sync makes creations and unlinks durable */
    TRACE_FILES = 256,
    TRACE_NAME = 24,
};

struct trace_file {
    char name[TRACE_NAME]; /* in the folder: s.db, s.db-wal, … */
    dev_t device;
    ino_t inode;
    bool there; /* it still has its name */
};

struct trace_record {
    uint32_t kind, file;
    uint64_t at;
    uint32_t len, announced; /* announced: it may not have happened */
    char data[];             /* up to the next multiple of eight */
};

struct trace_header {
    pthread_mutex_t lock;
    uint64_t used;    /* bytes of records */
    uint64_t records; /* how many */
    uint64_t last;    /* where the last one begins */
    uint32_t files;
    char odd[80]; /* names an action that no record can describe; usually empty */
    struct trace_file file[TRACE_FILES];
};

struct trace {
    struct trace_header *header;
    char *records;
    char folder[200]; /* of the database, without a slash at the end */
};

/* Creates the trace of a database; its present files come first, and are durable. */
bool trace_make(struct trace *trace, const char *name, const char *database);
bool trace_open(struct trace *trace, const char *name, const char *database);
void trace_close(struct trace *trace);

void trace_lock(struct trace *trace);
void trace_unlock(struct trace *trace);

/* --- under the lock --- */

/* The number of the record. data may be NULL. */
uint64_t trace_add(struct trace *trace, enum trace_kind kind, uint32_t file, uint64_t at,
                   const void *data, size_t len);

/* Announces a change, and confirms it; only one at a time. */
void trace_announce(struct trace *trace, enum trace_kind kind, uint32_t file, uint64_t at,
                    const void *data, size_t len);
void trace_done(struct trace *trace);
void trace_failed(struct trace *trace); /* it failed: removes the record */

/* The number of a file, by its inode or by its name; -1 if it is not recorded. */
int trace_find(const struct trace *trace, dev_t device, ino_t inode);
int trace_find_name(const struct trace *trace, const char *name);
int trace_add_file(struct trace *trace, const char *name, dev_t device, ino_t inode);
void trace_odd(struct trace *trace, const char *what);

/* --- without it --- */

void trace_mark(struct trace *trace, uint32_t stream, unsigned what, uint64_t number);

/* Steps from the first record (at 0) to the next; NULL after the last one. */
const struct trace_record *trace_next(const struct trace *trace, uint64_t *at);

#endif
