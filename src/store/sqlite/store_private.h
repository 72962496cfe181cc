/*
 * What the files of the store share. Only they, store/tools, and tests and proofs of the store
 * include it.
 *
 * A file calls only functions of files that are listed below it:
 *
 *     store_open           opening a store, making the schema
 *     store_reserve        room for deletions on a full disk
 *     store_checkpoint     copying the write-ahead log into the database
 *     store_connection     opening and closing a connection
 *     store_registry       the stream that lists the streams
 *     store_list  store_sweep
 *     store_subscription  store_subscription_link  store_webhook_key
 *     store_stream         rows of streams          store_message  store_producer  store_fault
 *     store_transaction    begin, commit, rollback
 *     store_stmt           statements, and SQLite's errors
 *     store_sync           commits that a killed process left unsynced
 *     row_cache            rows that were read, and the state of the log
 *     stream_events        streams that were created or deleted
 *     database_file        is the file still in its place?
 *     wal_vfs              one write to the log for each transaction
 */
#ifndef STORE_PRIVATE_H
#define STORE_PRIVATE_H

#include <sqlite3.h>
#include <stdatomic.h>

#include "config/config.h"
#include "store/sqlite/store_stmt.h"
#include "store/store.h"

enum { STORE_APPLICATION_ID = 0x44735374 }; /* "DsSt": which files are ours */

/* Reasons not to open a database of streams; %s is its name. */
#define STORE_NEWER "%s was made by a newer version of this program"
#define STORE_UNRELEASED                                                                           \
    "%s was made before the first release: export it with the dsctl of that version, and import "  \
    "that into a new one"

/* The identity of a file. */
struct store_file {
    uint64_t device, number;
};

struct store {
    const struct config *config;
    struct store_file file, log_file, index_file; /* the open ones, see database_file.c */
    enum store_place place;                       /* as upkeep found it last */
    atomic_bool displaced;                        /* place was not STORE_SAME */
    struct hints *hints;
    struct store_conn *first; /* the connection of the opening, for the first store_connect() */
    atomic_bool no_reserve;   /* it cannot be created, see store_reserve.c */
    ds_event_fn *listener;    /* of stream events, or NULL */
    void *listener_arg;
};

struct row_cache;    /* row_cache.c */
struct stream_event; /* stream_events.c */

struct store_conn {
    struct store *store;
    sqlite3 *db;
    int64_t wal_bytes;      /* size of the log after the last commit */
    bool writing;           /* has the write lock of all processes */
    bool has_events;        /* this transaction creates or deletes streams */
    bool has_subscriptions; /* the database has their tables; false: unknown */
    int64_t schema_seen;    /* the schema's version that had none; 0: none was seen */
    sqlite3_stmt *held;     /* not reset, so that store_hold()'s transaction lasts; or NULL */
    struct row_cache *rows; /* see row_cache.c; NULL before the first row */
    const void *log_index;  /* where SQLite maps the header of the log's index, or NULL */
    struct stream_event *noted_events, **noted_events_end; /* events of this transaction */
    struct stream_event *committed_events;                 /* events to be delivered */
    int64_t page_bytes;                                    /* page size; 0: not read yet */
    int64_t secure_delete;          /* its value before store_begin_reclaim() */
    int64_t reserve_seen, end_seen; /* the sizes that store_keep_room() saw last, */
    int64_t end_kept;               /*   and up to which end the reserve was enough */
    sqlite3_stmt *stmt[STMT_COUNT]; /* prepared at the first use and kept */
};

/* Until when a stream with a TTL was renewed, if that is not saved in the database yet; else 0. */
int64_t store_renewed(struct store_conn *conn, const struct stream *stream, int64_t now);

/* release: as from sqlite3_libversion_number(). */
bool store_release_has_reset_bug(int release);

/* Makes the commits in the log durable: see store_sync.c. The connection must have read before. */
enum ds_status store_sync_log(struct store_conn *conn);

/* After a commit, before the write lock is released: SQLite has synced the log in its current
 * state. */
void store_note_synced(struct store_conn *conn);

/* Is there a reserve for a full disk, or can there be one? */
static inline bool store_has_reserve(const struct store *store)
{
    return store->config->reserve_bytes > 0 && store->config->durability != DURABILITY_MEMORY &&
           !store->no_reserve;
}

/*
 * The database could not be opened. If the disk has no room for the files beside it, takes room
 * from the reserve and returns true: try again. False without a reserve.
 */
bool store_make_way(struct store *store);

/* Switches the registry as DS_REGISTRY says. Called once at start. */
enum ds_status store_settle_registry(struct store_conn *conn);

/* Makes a stream the registry if there is none, inside a write transaction. */
enum ds_status store_appoint_registry(struct store_conn *conn, int64_t id);

/* Creates the table of faults, unless it exists. */
enum ds_status store_make_faults(struct store_conn *conn);

#endif
