/*
 * What the files of the store share. Only they, store/tools and the store's tests include it.
 *
 * A file calls only functions of files that stand below it here:
 *
 *     store_open           opening a store, making the schema
 *     store_reserve        room for deletions on a full disk
 *     store_checkpoint     copying the write-ahead log into the database
 *     store_connection     opening and closing a connection
 *     store_registry       the stream that lists the streams
 *     store_list  store_sweep
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
#include "store/store.h"

enum { STORE_APPLICATION_ID = 0x44735374 }; /* "DsSt": which files are ours */

/* Reasons not to open a database of streams; %s is its name. */
#define STORE_NEWER "%s was made by a newer version of this program"
#define STORE_UNRELEASED                                                                           \
    "%s was made before the first release: export it with the dsctl of that version, and import "  \
    "that into a new one"

/* Every statement that a request can reach; store_stmt.c has their SQL in the same order. */
enum stmt {
    STMT_BEGIN_READ,
    STMT_BEGIN_WRITE,
    STMT_COMMIT,
    STMT_ROLLBACK,
    STMT_STREAM_BY_PATH,
    STMT_STREAM_BY_ID,
    STMT_STREAM_SOURCE,
    STMT_STREAM_INSERT,
    STMT_STREAM_RESTORE,
    STMT_STREAM_UPDATE,
    STMT_STREAM_GROW,
    STMT_STREAM_RENEW,
    STMT_STREAM_DELETE,
    STMT_STREAM_MARK_DELETED,
    STMT_STREAM_COLLECT,
    STMT_STREAM_HAS_FORKS,
    STMT_STREAM_EXPIRED,
    STMT_STREAM_ORPHANED,
    STMT_MESSAGE_INSERT,
    STMT_MESSAGE_READ,
    STMT_MESSAGE_READ_INSIDE,
    STMT_MESSAGE_START,
    STMT_MESSAGE_PLACES,
    STMT_MESSAGE_SLICE,
    STMT_MESSAGE_ALL,
    STMT_MESSAGE_COUNT,
    STMT_MESSAGE_DELETE,
    STMT_PRODUCER_GET,
    STMT_PRODUCER_PUT,
    STMT_PRODUCER_ALL,
    STMT_PRODUCER_DELETE,
    STMT_GARBAGE_NEXT,
    STMT_GARBAGE_DONE,
    STMT_REGISTRY,
    STMT_REGISTRY_ON,
    STMT_REGISTRY_OFF,
    STMT_FAULT_FIND,
    STMT_FAULT_AFTER,
    STMT_FAULT_LAST,
    STMT_FAULT_COUNT,
    STMT_FAULT_SET,
    STMT_FAULT_CLEAR,
    STMT_FAULT_CLEAR_ALL,
    STMT_FAULT_LIST,
    STMT_FAULT_PARSE,
    STMT_UPKEEP_CHECKPOINT,
    STMT_DATA_VERSION,
    STMT_PAGE_COUNT,
    STMT_COUNT
};

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
    atomic_bool no_reserve;   /* it cannot be made, see store_reserve.c */
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
    sqlite3_stmt *held;     /* not reset, so that store_hold()'s transaction lasts; or NULL */
    struct row_cache *rows; /* see row_cache.c; NULL before the first row */
    const void *log_index;  /* where SQLite maps the header of the log's index, or NULL */
    struct stream_event *noted_events, **noted_events_end; /* events of this transaction */
    struct stream_event *committed_events;                 /* events to be delivered */
    int64_t page_bytes;                                    /* page size; 0: not read yet */
    int64_t secure_delete;          /* its value before store_begin_reclaim() */
    int64_t reserve_seen, end_seen; /* what store_keep_room() saw last, */
    int64_t end_kept;               /*   and up to which end the reserve was enough */
    sqlite3_stmt *stmt[STMT_COUNT]; /* prepared at the first use and kept */
};

extern const char *const stmt_sql[STMT_COUNT];

/* The statement, ready for binding. NULL, with *status and a log line, if it cannot be prepared. */
sqlite3_stmt *stmt_get(struct store_conn *conn, enum stmt which, enum ds_status *status);

/* Prepares a statement that no request runs; the caller finalizes it. sql is a constant. NULL as
 * above. */
sqlite3_stmt *stmt_prepare(struct store_conn *conn, const char *sql, enum ds_status *status);

/* Runs a statement that returns no rows, and resets it. */
enum ds_status stmt_run(struct store_conn *conn, sqlite3_stmt *stmt);

/* Steps once; *row says whether there is a row. The caller resets the statement. */
enum ds_status stmt_step(struct store_conn *conn, sqlite3_stmt *stmt, bool *row);

/* Runs a statement with up to two integers as parameters. */
enum ds_status stmt_run_ids(struct store_conn *conn, enum stmt which, int64_t a, int64_t b);

/* Likewise, and reads one number: 0 if there is no row, or NULL in it. */
enum ds_status stmt_query_int(struct store_conn *conn, enum stmt which, int64_t a, int64_t b,
                              int64_t *value);

/* Reads one number with SQL that no request runs. */
enum ds_status stmt_ask_int(struct store_conn *conn, const char *sql, int64_t *value);

/* Finds a cached row that a SELECT would find now. Its texts go into the arena. */
bool row_cache_get(struct store_conn *conn, struct arena *arena, const char *path,
                   struct stream *stream);

/* Caches a row that was read after row_cache_get() had found none. */
void row_cache_put(struct store_conn *conn, const struct stream *stream);
void row_cache_close(struct store_conn *conn);

/*
 * A 64-bit number for the state of the write-ahead log: it differs after each commit, and stays the
 * same when a process rebuilds the index of the same log. 0: unknown. Call it after a read.
 */
uint64_t row_cache_wal_state(struct store_conn *conn);

/* Until when a stream with a TTL was renewed, if that is not saved in the database yet; else 0. */
int64_t store_renewed(struct store_conn *conn, const struct stream *stream, int64_t now);

/* Notes that the transaction under way creates or deletes a stream. */
void stream_events_note(struct store_conn *conn, enum ds_event_kind kind,
                        const struct stream *stream, int64_t at);

/* After a commit, a rollback, and at the end of the connection. registry_id: 0 without a registry.
 */
void stream_events_commit(struct store_conn *conn, int64_t registry_id);
void stream_events_forget(struct store_conn *conn);
void stream_events_close(struct store_conn *conn);

/* release: as from sqlite3_libversion_number(). */
bool store_release_has_reset_bug(int release);

/* --- writes to the log: see wal_vfs.c --- */

/* Registers the VFS, for connections that are opened later. Not thread-safe. */
void wal_vfs_register(void);

/* The name of the VFS to open connections with; NULL (the default one) before wal_vfs_register().
 */
const char *wal_vfs_name(void);

/* Makes the commits in the log durable: see store_sync.c. The connection must have read before. */
enum ds_status store_sync_log(struct store_conn *conn);

/* After a commit, before the write lock is released: SQLite has synced the log in its current
 * state. */
void store_note_synced(struct store_conn *conn);

/* Around a COMMIT: true begins to collect writes to the log, false drops what is left. */
void wal_vfs_collect(struct store_conn *conn, bool collects);

/* Writes the reason not to open a database whose application_id is not ours. */
void database_file_describe_foreign(sqlite3 *db, const char *database, int64_t application,
                                    char *text, size_t size);

/* Notes the identity of the files, which have just been opened. */
void database_file_note(struct store *store);

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

/* Turns an SQLite result code into a status, and logs what an operator should know. */
enum ds_status store_status(struct store_conn *conn, int code, const char *doing);

#endif
