/* What the rooms of the store share. Included by store_*.c and the store's tests alone. */
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
    struct store_file file, log_file, index_file; /* that are open, see store_identify.c */
    enum store_place place;                       /* of upkeep, as it was last found */
    atomic_bool displaced;                        /* it was not STORE_SAME */
    struct hints *hints;
    struct store_conn *first; /* from looking at the schema: not given away yet */
    atomic_bool no_reserve;   /* there can be none, see store_reserve.c */
    ds_event_fn *listener;    /* NULL: nobody wants to know of lives that begin and end */
    void *listener_arg;
};

struct known; /* store_known.c */
struct life;  /* store_life.c */

struct store_conn {
    struct store *store;
    sqlite3 *db;
    int64_t wal_bytes;               /* after the last commit */
    bool writing;                    /* holds the write lock of all processes */
    bool lives_changed;              /* streams began or ended in this transaction */
    sqlite3_stmt *held;              /* not reset: the read transaction of store_hold(), or NULL */
    struct known *known;             /* rows, see store_known.c; NULL before there is one */
    const void *log_index;           /* SQLite's mapping of its header, or NULL */
    struct life *noted, **noted_end; /* in this transaction */
    struct life *committed;          /* to be told */
    int64_t page_bytes;              /* of the database; 0: not asked yet */
    int64_t secure_delete;           /* what it was before store_begin_reclaim() */
    int64_t reserve_seen, end_seen;  /* when store_keep_room() looked last, */
    int64_t end_kept;                /*   and how far the reserve was enough */
    sqlite3_stmt *stmt[STMT_COUNT];  /* prepared when first used, kept */
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
bool known_get(struct store_conn *conn, struct arena *arena, const char *path,
               struct stream *stream);

/* Notes a row that was just found, since when known_get() has said that there is none. */
void known_put(struct store_conn *conn, const struct stream *stream);
void known_close(struct store_conn *conn);

/*
 * A number for the state of the log, of 64 mixed bits: another one after each commit, the same when
 * another process makes the index of the same log anew. 0: it is not known. After a read.
 */
uint64_t known_log_state(struct store_conn *conn);

/* Until when a stream with a TTL was renewed, beyond what the database knows; or 0. */
int64_t store_renewed(struct store_conn *conn, const struct stream *stream, int64_t now);

/* A stream was made or deleted, in the transaction under way. */
void life_note(struct store_conn *conn, enum ds_event_kind kind, const struct stream *stream,
               int64_t at);

/* What becomes of the notes: registry_id is the registry's, 0 without one. */
void life_committed(struct store_conn *conn, int64_t registry_id);
void life_forget(struct store_conn *conn);
void life_close(struct store_conn *conn);

/* Of a release as sqlite3_libversion_number() has it. */
bool store_release_has_reset_bug(int release);

/* --- the log's writes: see store_vfs.c --- */

/* For connections that are opened from now on; not by several threads at once. */
void vfs_register(void);

/* The name of that VFS; NULL, which is the default one's, before vfs_register(). */
const char *vfs_name(void);

/* Makes the commits in the log durable: see store_sync.c. The connection has read before. */
enum ds_status store_sync_log(struct store_conn *conn);

/* After a commit of ours, before the write lock goes: SQLite has synced the log as it is now. */
void store_note_synced(struct store_conn *conn);

/* Around a COMMIT: its writes to the log are collected; afterwards, what is left is dropped. */
void vfs_collect(struct store_conn *conn, bool collects);

/* What to say of a database whose application_id is not ours. */
void identify_foreign(sqlite3 *db, const char *database, int64_t application, char *text,
                      size_t size);

/* These are the files, as of now: when they have just been opened. */
void identify_note(struct store *store);

/* Is there a reserve for a full disk, or can there be one? */
bool store_has_reserve(const struct store *store);

/* A connection's part in store_reserve.c. */
void reserve_configure(struct store_conn *conn);

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
