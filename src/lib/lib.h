/*
 * What the rooms of the library (lib_*.c) share. A ds_store is what a responder is made of, without
 * gateway and live desk: store, committer, upkeep, and a few connections for reading.
 *
 *     ds_append ──▶ lib_write   ──▶ committer's queue ──▶ … ──▶ finish: the caller goes on
 *     ds_read   ──▶ lib_acquire ──▶ read transaction  ──▶ lib_release
 *     ds_wait   ──▶ interest, look, sleep on the bell (wake.h)        lib_wait.c
 *
 * No thread holds two connections, so nobody waits for one in a circle.
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
#include "protocol/offset.h"

struct arena;
struct batch;
struct store_conn;
struct stream;

enum { LIB_CONNECTIONS = 8 }; /* for reads; more threads take turns */

struct ds_store {
    struct config config;
    struct engine engine;
    ds_event_fn *on_created, *on_deleted;
    void *event_arg;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t given;
    struct store_conn *idle[LIB_CONNECTIONS];
    int idles, connections;    /* waiting in idle; all that there are */
    LIST_ENTRY(ds_store) link; /* of lib_fork.c, as are these two: which file it is */
    dev_t device;
    ino_t inode;
};

/* What a process does once, before it opens its first store or sets its log function. */
void lib_prepare_process(void);

/* A connection of one's own until lib_release(); waits while all are taken. */
enum ds_status lib_acquire(struct ds_store *store, struct store_conn **conn);
void lib_release(struct ds_store *store, struct store_conn *conn);

/*
 * Has apply(batch, asked) called in the committer's transaction (see struct commit_write in
 * commit.h) and waits for the commit. bytes: payload, counted against the queue's limit.
 */
typedef enum ds_status lib_apply_fn(struct batch *batch, void *asked);
enum ds_status lib_write(struct ds_store *store, lib_apply_fn *apply, void *asked, size_t bytes,
                         bool makes_room);

/* The name of a stream in its normal form, in the arena; *reason (static) where it is refused. */
enum ds_status lib_path(const struct ds_store *store, struct arena *arena, const char *path,
                        const char **normal, const char **reason);

/* A reader's place; from is set by lib_place_find() while kind is OFFSET_NOW. */
struct lib_place {
    const char *path; /* normalised */
    enum offset_kind kind;
    int64_t from;
};

/* DS_INVALID for an offset that is none; offset NULL is the beginning. Texts live in the arena. */
enum ds_status lib_place_parse(const struct ds_store *store, struct arena *arena, const char *path,
                               const char *offset, struct lib_place *place);

/*
 * store_hold() of the stream, for a reader: its TTL is renewed. DS_INVALID when the place is beyond
 * the tail. Call store_end_read() whatever the status.
 */
enum ds_status lib_place_find(struct ds_store *store, struct store_conn *conn, struct arena *arena,
                              struct lib_place *place, struct stream *stream);

/* Open stores, for the children of a fork: see lib_fork.c. The first one once, before all. */
void lib_fork_prepare(void);
void lib_fork_add(struct ds_store *store);
void lib_fork_remove(struct ds_store *store);

/* Is this process the child of a fork at which the database was open? */
bool lib_fork_has(const char *database);

/* Takes a store in memory's files out of sight: for lib_store.c. */
enum ds_status lib_memory_folder(char **folder);
void lib_memory_hide(const char *folder);

#endif
