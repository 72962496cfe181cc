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

/* Why a database of streams is not opened, with its name. */
#define STORE_NEWER "%s was made by a newer version of this program"
#define STORE_UNRELEASED                                                                           \
    "%s was made before the first release: export it with the dsctl of that version, and import "  \
    "that into a new one"

/* Every statement of the program; their SQL is in store_stmt.c, in the same order. */
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

/* What a file is, whatever its name. */
struct store_file {
    uint64_t device, number;
};

struct store {
    const struct config *config;
    struct store_file file, log_file, index_file; /* that are open, see database_file.c */
    enum store_place place;                       /* of upkeep, as it was last found */
    atomic_bool displaced;                        /* it was not STORE_SAME */
    struct hints *hints;
    struct store_conn *first; /* from looking at the schema: not given away yet */
    atomic_bool no_reserve;   /* there can be none, see store_reserve.c */
    ds_event_fn *listener;    /* NULL: nobody wants to know of lives that begin and end */
    void *listener_arg;
};

struct row_cache;    /* row_cache.c */
struct stream_event; /* stream_events.c */

struct store_conn {
    struct store *store;
    sqlite3 *db;
    int64_t wal_bytes;      /* after the last commit */
    bool writing;           /* holds the write lock of all processes */
    bool has_events;        /* streams began or ended in this transaction */
    sqlite3_stmt *held;     /* not reset: the read transaction of store_hold(), or NULL */
    struct row_cache *rows; /* rows, see row_cache.c; NULL before there is one */
    const void *log_index;  /* SQLite's mapping of its header, or NULL */
    struct stream_event *noted_events, **noted_events_end; /* in this transaction */
    struct stream_event *committed_events;                 /* to be told */
    int64_t page_bytes;                                    /* of the database; 0: not asked yet */
    int64_t secure_delete;          /* what it was before store_begin_reclaim() */
    int64_t reserve_seen, end_seen; /* when store_keep_room() looked last, */
    int64_t end_kept;               /*   and how far the reserve was enough */
    sqlite3_stmt *stmt[STMT_COUNT]; /* prepared when first used, kept */
};

extern const char *const stmt_sql[STMT_COUNT];

/* The statement, ready for binding; NULL, logged, when it can't be prepared (*status says why). */
sqlite3_stmt *stmt_get(struct store_conn *conn, enum stmt which, enum ds_status *status);

/* One that is no request's, for the caller to finalize. sql is a constant. NULL as above. */
sqlite3_stmt *stmt_prepare(struct store_conn *conn, const char *sql, enum ds_status *status);

/* Steps a statement that gives no rows, and resets it. */
enum ds_status stmt_run(struct store_conn *conn, sqlite3_stmt *stmt);

/* Steps once: DS_OK with *row telling whether there is one. The caller resets. */
enum ds_status stmt_step(struct store_conn *conn, sqlite3_stmt *stmt, bool *row);

/* Prepares, binds up to two integers, and runs: for the many small ones. */
enum ds_status stmt_run_ids(struct store_conn *conn, enum stmt which, int64_t a, int64_t b);

/* Likewise, for one that gives one number at most: 0 when it gives none, or NULL. */
enum ds_status stmt_query_int(struct store_conn *conn, enum stmt which, int64_t a, int64_t b,
                              int64_t *value);

/* Likewise, for SQL that is no request's. */
enum ds_status stmt_ask_int(struct store_conn *conn, const char *sql, int64_t *value);

/* Is there a row of this path that a SELECT would find again? Its texts go into the arena. */
bool row_cache_get(struct store_conn *conn, struct arena *arena, const char *path,
                   struct stream *stream);

/* Notes a row that was just found, since when row_cache_get() has said that there is none. */
void row_cache_put(struct store_conn *conn, const struct stream *stream);
void row_cache_close(struct store_conn *conn);

/*
 * A number for the state of the log, of 64 mixed bits: another one after each commit, the same when
 * another process makes the index of the same log anew. 0: it is not known. After a read.
 */
uint64_t row_cache_wal_state(struct store_conn *conn);

/* Until when a stream with a TTL was renewed, beyond what the database knows; or 0. */
int64_t store_renewed(struct store_conn *conn, const struct stream *stream, int64_t now);

/* A stream was made or deleted, in the transaction under way. */
void stream_events_note(struct store_conn *conn, enum ds_event_kind kind,
                        const struct stream *stream, int64_t at);

/* What becomes of the notes: registry_id is the registry's, 0 without one. */
void stream_events_commit(struct store_conn *conn, int64_t registry_id);
void stream_events_forget(struct store_conn *conn);
void stream_events_close(struct store_conn *conn);

/* Of a release as sqlite3_libversion_number() has it. */
bool store_release_has_reset_bug(int release);

/* --- the log's writes: see wal_vfs.c --- */

/* For connections that are opened from now on; not by several threads at once. */
void wal_vfs_register(void);

/* The name of that VFS; NULL, which is the default one's, before wal_vfs_register(). */
const char *wal_vfs_name(void);

/* Makes the commits in the log durable: see store_sync.c. The connection has read before. */
enum ds_status store_sync_log(struct store_conn *conn);

/* After a commit of ours, before the write lock goes: SQLite has synced the log as it is now. */
void store_note_synced(struct store_conn *conn);

/* Around a COMMIT: its writes to the log are collected; afterwards, what is left is dropped. */
void wal_vfs_collect(struct store_conn *conn, bool collects);

/* What to say of a database whose application_id is not ours. */
void database_file_describe_foreign(sqlite3 *db, const char *database, int64_t application,
                                    char *text, size_t size);

/* These are the files, as of now: when they have just been opened. */
void database_file_note(struct store *store);

/* Is there a reserve for a full disk, or can there be one? */
static inline bool store_has_reserve(const struct store *store)
{
    return store->config->reserve_bytes > 0 && store->config->durability != DURABILITY_MEMORY &&
           !store->no_reserve;
}

/*
 * The database could not be opened: does the disk have no room for the files beside it? Then there
 * is room now, for another try. Without a reserve there was nothing to be done: false.
 */
bool store_make_way(struct store *store);

/* Makes the registry what DS_REGISTRY says: once at start. */
enum ds_status store_settle_registry(struct store_conn *conn);

/* Makes a stream the registry, where there is none; inside a write transaction. */
enum ds_status store_appoint_registry(struct store_conn *conn, int64_t id);

/* The table of faults, which only tests of clients need: made when it is wanted. */
enum ds_status store_make_faults(struct store_conn *conn);

/* Turns an SQLite code into a status, and logs what an operator should know. */
enum ds_status store_status(struct store_conn *conn, int code, const char *doing);

#endif
