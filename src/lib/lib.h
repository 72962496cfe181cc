/*
 * Shared by the files of the library (lib_*.c). A ds_store has what a responder has, without
 * gateway and live desk: store, committer, upkeep, and a few connections for reading.
 *
 *     ds_append ──▶ lib_write   ──▶ committer's queue ──▶ … ──▶ finish: the caller continues
 *     ds_read   ──▶ lib_acquire ──▶ read transaction  ──▶ lib_release
 *     ds_wait   ──▶ interest, look, sleep on the bell (wake.h)        lib_wait.c
 *
 * No thread holds two connections, so threads cannot wait for each other's in a circle.
 */
#ifndef LIB_H
#define LIB_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "config/config.h"
#include "durable_streams.h"
#include "engine/engine.h"
#include "hints/hints.h"
#include "protocol/offset.h"

struct arena;
struct batch;
struct store_conn;
struct stream;

enum { LIB_CONNECTIONS = 8 }; /* for reading; further threads wait for one */

struct ds_store {
    struct config config;
    struct engine engine;
    ds_event_fn *on_created, *on_deleted;
    void *event_arg;
    pthread_mutex_t lock; /* guards the connections */
    pthread_cond_t given; /* one was released */
    struct store_conn *idle[LIB_CONNECTIONS];
    int idles, connections;    /* in idle; open */
    LIST_ENTRY(ds_store) link; /* for lib_fork.c: the list of stores, and which file this one has */
    dev_t device;
    ino_t inode;
};

/* What a process does once, before it opens its first store or sets its log function. */
void lib_prepare_process(void);

/* A connection for the caller until lib_release(); waits while all are in use. */
enum ds_status lib_acquire(struct ds_store *store, struct store_conn **conn);
void lib_release(struct ds_store *store, struct store_conn *conn);

/*
 * Lets the committer call apply(batch, asked) in its transaction (see struct commit_write in
 * batch.h) and waits for the commit. bytes: payload, which counts against the queue's limit.
 */
typedef enum ds_status lib_apply_fn(struct batch *batch, void *asked);
enum ds_status lib_write(struct ds_store *store, lib_apply_fn *apply, void *asked, size_t bytes,
                         bool makes_room);

/* Normalises the path of a stream, in the arena. Otherwise *reason says why not (static). */
enum ds_status lib_path(const struct ds_store *store, struct arena *arena, const char *path,
                        const char **normal, const char **reason);

/* A reader's place; from is set by lib_place_find() while kind is OFFSET_NOW. */
struct lib_place {
    const char *path; /* normalised */
    enum offset_kind kind;
    int64_t from;
};

/* offset NULL: the beginning. DS_INVALID: not an offset. Texts live in the arena. */
enum ds_status lib_place_parse(const struct ds_store *store, struct arena *arena, const char *path,
                               const char *offset, struct lib_place *place);

/*
 * store_hold() of the stream, for a reader: its TTL is renewed. DS_INVALID when the place is beyond
 * the tail. Call store_end_read() whatever the status.
 */
enum ds_status lib_place_find(struct ds_store *store, struct store_conn *conn, struct arena *arena,
                              struct lib_place *place, struct stream *stream);

/*
 * Is this TTL, in seconds, so short that a waiting reader must renew it more often than it checks
 * the stream anyway? Then it does so every LIB_BRIEF_RECHECK_MS. -1: there is no TTL.
 */
enum { LIB_BRIEF_RECHECK_MS = HINTS_RECHECK_MS / 5 };
static inline bool lib_is_brief(int64_t ttl_seconds)
{
    return ttl_seconds >= 0 && ttl_seconds <= 2;
}

/* The open stores, for children of fork(): see lib_fork.c. Prepare once, before any is opened. */
void lib_fork_prepare(void);
void lib_fork_add(struct ds_store *store);
void lib_fork_remove(struct ds_store *store);

/* Was the database open when this process was forked? */
bool lib_fork_has(const char *database);

/* Makes the folder of a store in memory, and removes the names of its files. */
enum ds_status lib_memory_folder(char **folder);
void lib_memory_hide(const char *folder);

#endif
