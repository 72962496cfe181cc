/*
 * The store: streams, messages and producers in one database file, which any number of processes
 * use at the same time. The files behind this header (store/sqlite) are the only ones that know
 * SQLite.
 *
 * A process has one struct store for a database, which all its threads may use. A struct store_conn
 * is one connection and belongs to one thread at a time. Functions return enum ds_status and have
 * logged what went wrong. They retry nothing, except that SQLite's busy handler waits for locks.
 *
 * Times are Unix milliseconds by the wall clock, positions and lengths are bytes.
 */
#ifndef STORE_H
#define STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/http_type.h"
#include "protocol/producer.h"
#include "protocol/status.h"

struct arena;
struct buf;
struct config;
struct fault;
struct store;
struct store_conn;
struct hints;

/* Which columns of a stream's row must be written back. */
enum stream_change {
    STREAM_SAME,   /* none */
    STREAM_GREW,   /* tail and messages: most appends change only these */
    STREAM_CHANGED /* all */
};

/* A stream as it was read in one transaction. The caller's arena has its texts. */
struct stream {
    int64_t id; /* 0: it has no row */
    const char *path;
    const char *content_type;
    enum http_type_kind kind;
    int64_t tail;     /* bytes */
    int64_t messages; /* without inherited ones */
    int64_t created_at;
    int64_t closed_at;           /* 0 while open */
    const char *closed_producer; /* the producer that closed it, with epoch and seq; or NULL */
    int64_t closed_epoch, closed_seq;
    int64_t ttl_seconds;  /* -1: none */
    int64_t expires_at;   /* 0: never. Renewals that are not saved yet are in the hints file */
    const char *last_seq; /* the last Stream-Seq; NULL: none yet */
    size_t last_seq_len;
    int64_t source_id; /* 0: not a fork */
    int64_t fork_position, fork_offset, fork_sub_offset;
    int64_t deleted_at;        /* 0: not deleted */
    const char *damage;        /* the first column with an invalid value, or NULL */
    bool is_registry;          /* only the store itself writes it */
    bool is_subscribed;        /* a subscription has a link to it: store_subscription.h */
    enum stream_change change; /* for the committer, which writes it back before the commit */
};

/* --- process --- */

/*
 * Sets up SQLite for a process that is ours, before any other call: no memory statistics, whose
 * lock all threads would share, and a VFS that writes once to the log for each transaction
 * (wal_vfs.c). The library must not call it, because SQLite's settings belong to its program.
 */
void store_own_process(void);

/*
 * Opens the database, or creates it with its schema. config is borrowed until store_close().
 * lasting: false for a CGI process, which has one thread. The first lasting process empties a
 * database in memory mode, and the last one deletes it.
 */
enum ds_status store_open(struct store **store, const struct config *config, bool lasting);
void store_close(struct store *store, bool lasting);

/* Call this before any store is opened, in a process that uses SQLite in one thread only. */
void store_use_one_thread(void);

struct hints *store_hints(struct store *store);

/*
 * Sets the listener that store_deliver_events() calls for streams that were created or deleted.
 * Once, before more than one thread uses the store.
 */
void store_on_event(struct store *store, ds_event_fn *listener, void *arg);

enum ds_status store_connect(struct store_conn **conn, struct store *store);
void store_disconnect(struct store_conn *conn);

/*
 * Gives the connection a cache of up to 16 MiB, for the pages of some 10,000 streams: for the one
 * connection of a process that writes all the time, which would read those pages for each append.
 */
void store_write_much(struct store_conn *conn);

/* --- transactions --- */

enum ds_status store_begin_read(struct store_conn *conn);
void store_end_read(struct store_conn *conn);

/*
 * Takes the write lock of all processes, for the store_begin_write() that must follow. DS_BUSY
 * after DS_BUSY_TIMEOUT_MS. DS_FAILED means that the lock is broken; continue, since SQLite has its
 * own.
 */
enum ds_status store_lock_write(struct store_conn *conn);

/* Begins a write transaction. Takes the write lock of all processes, unless the connection has it,
   and SQLite's. DS_BUSY as above. */
enum ds_status store_begin_write(struct store_conn *conn);
enum ds_status store_commit(struct store_conn *conn);
void store_rollback(struct store_conn *conn);

/* --- the identity of the file: see database_file.c --- */

/* Where the database's name leads. */
enum store_place {
    STORE_SAME,     /* to the file that is open */
    STORE_MISSING,  /* to no file */
    STORE_REPLACED, /* to another file, which the next process may open */
    STORE_MIXED,    /* to another file, beside the log, or its index, of the old one */
};

/* Checks the name and logs a change. One thread of a process calls it. Writes fail with DS_BUSY
   until it is STORE_SAME again. */
enum store_place store_find_place(struct store *store);
bool store_is_displaced(const struct store *store);

/* --- a full disk: see store_reserve.c --- */

/*
 * Reserves room on the disk for later deletions. Call it inside a transaction before
 * store_commit(); and if the transaction writes more than SPILL_BYTES, which may go to the log
 * early, also before its first change. DS_NO_SPACE: the disk is too full for this transaction,
 * which must be rolled back. deletes: the transaction makes room, and may use the reserve.
 */
enum { SPILL_BYTES = 256 * 1024 };
enum ds_status store_keep_room(struct store_conn *conn, bool deletes);

/* Marks the disk as full, for all processes: a transaction that makes the database larger has
 * failed. */
void store_note_full(struct store_conn *conn);

/*
 * Before a second try of a deletion that met a full disk: takes the write lock of all processes and
 * gives the reserve to the deletion. False if the lock was not free within DS_BUSY_TIMEOUT_MS;
 * otherwise call store_end_reclaim() after the transaction, whatever its result.
 */
bool store_begin_reclaim(struct store_conn *conn);
void store_end_reclaim(struct store_conn *conn);

/* store_checkpoint(), which gets the reserve if it meets a full disk. */
enum ds_status store_checkpoint_anyway(struct store_conn *conn, bool leaving);

/* Fills the reserve up again. Upkeep calls it once a second. */
void store_mend_reserve(struct store_conn *conn);

/* Is the disk too full for appends, as far as is known? Reads the size of the reserve. */
bool store_is_low(const struct store *store);

/* Calls the listener for the streams that this connection's commits have created and deleted since
   the last call. */
void store_deliver_events(struct store_conn *conn);

/* --- streams --- */

/*
 * Which function finds a stream:
 *
 *     function        by     for
 *     batch_find      path   apply() of a write, with what its batch has changed (engine/batch.h)
 *     store_find      path   any other code inside a transaction, and code that needs only the row
 *     store_hold      path   reads and HEAD; may come from the row cache without any SQL
 *     store_hold_id   id     the live desk, whose readers must notice a new stream at their path
 *     store_load_id   id     rows in any state, even damaged; then store_life(), if it matters
 */

/*
 * The state of a stream that was loaded. DS_OK: it is live. DS_NOT_FOUND: it has expired. DS_GONE:
 * it was deleted or has expired, but forks still read it. DS_FAILED: its row is damaged, which is
 * logged.
 */
enum ds_status store_life(struct store_conn *conn, const struct stream *stream, int64_t now);

/*
 * The status is that of store_life(), and DS_NOT_FOUND if there is no row. With DS_NOT_FOUND and
 * DS_GONE, stream->id says whether a row has the path (0: none).
 */
enum ds_status store_find(struct store_conn *conn, struct arena *arena, const char *path,
                          int64_t now, struct stream *stream);

/*
 * As store_find(), and begins a read transaction without another statement: until store_end_read(),
 * store_read() reads the state of the same moment. If the row comes from the cache, there is no
 * transaction; messages never change, so the result is the same. Call store_end_read() whatever the
 * status.
 */
enum ds_status store_hold(struct store_conn *conn, struct arena *arena, const char *path,
                          int64_t now, struct stream *stream);
enum ds_status store_hold_id(struct store_conn *conn, struct arena *arena, int64_t id, int64_t now,
                             struct stream *stream);

/*
 * Reads a row whatever its state. Invalid values read as 0 or "", and stream->damage names the
 * first of them. DS_NOT_FOUND when there is no such row.
 */
enum ds_status store_load_id(struct store_conn *conn, struct arena *arena, int64_t id,
                             struct stream *stream);

/* Inserts a new row and sets stream->id. */
enum ds_status store_insert(struct store_conn *conn, struct stream *stream);

/* Inserts a row with all fields of stream, except for id, registry and kind, and sets
   stream->id. */
enum ds_status store_restore(struct store_conn *conn, struct stream *stream);

/* Writes the columns that stream->change names. */
enum ds_status store_update(struct store_conn *conn, const struct stream *stream);

/* Moves the expiry of a stream with a TTL forward, never back, and never further than a read at
   `now` would. */
enum ds_status store_renew(struct store_conn *conn, int64_t id, int64_t expires_at, int64_t now);

/*
 * Deletes a stream that has no forks, and with it every deleted ancestor whose last fork it was; a
 * stream with forks is marked as deleted. store_sweep() deletes the messages later.
 */
enum ds_status store_delete(struct store_conn *conn, const struct stream *stream, int64_t now);

/* Is this the path that DS_REGISTRY names? The stream need not exist. */
bool store_reserves(const struct store_conn *conn, const char *path);

/* --- messages --- */

/* A larger body of a byte stream takes several rows of this size; the last one may be shorter. */
enum { STORE_PART_BYTES = 256 * 1024 };

/* Appends a message at stream->tail, and updates tail and messages in stream. */
enum ds_status store_append(struct store_conn *conn, struct stream *stream, const char *payload,
                            size_t len, int64_t now);

/* Inserts one row of the table message, and nothing else. */
enum ds_status store_insert_row(struct store_conn *conn, int64_t stream_id, int64_t position,
                                int part, const char *payload, size_t len, int64_t now);

/* The result of a read. */
struct store_span {
    int64_t first;       /* where it begins: `from`, unless that was rounded down */
    int64_t next;        /* the position after it */
    int64_t appended_at; /* when its last message was appended; 0 if it has none */
};

/*
 * Appends the payload from position `from` on to out, with the inherited part of a fork: whole
 * rows, at most `limit` bytes, but at least one row. A row is a message, or 256 KiB of a larger
 * message of a byte stream. A JSON stream gives a JSON array. A `from` inside a row is rounded down
 * to the start of its message, because none of our offsets points there; the exception is a place
 * up to which SSE has sent a text (utf8_incomplete_tail()).
 *
 * DS_INVALID: `from` is beyond the tail. DS_PRUNED: rows were deleted there. DS_NOT_FOUND: the
 * stream was deleted since store_hold(). Call it inside the transaction in which stream was read.
 */
enum ds_status store_read_span(struct store_conn *conn, const struct stream *stream, int64_t from,
                               size_t limit, struct buf *out, struct store_span *span);

/* store_read_span() for callers that need only the position after the data. */
enum ds_status store_read(struct store_conn *conn, const struct stream *stream, int64_t from,
                          size_t limit, struct buf *out, int64_t *next);

/*
 * The end of the message at position `from` of a byte stream, whose messages may take several rows.
 * Otherwise as store_read_span().
 */
enum ds_status store_message_end(struct store_conn *conn, const struct stream *stream, int64_t from,
                                 int64_t *end);

/* Reads the byte at a position before the tail of a byte stream. Otherwise as store_read_span(). */
enum ds_status store_read_byte(struct store_conn *conn, const struct stream *stream,
                               int64_t position, char *byte);

/*
 * Resolves Stream-Fork-Offset plus Stream-Fork-Sub-Offset (protocol section 4.2) to a position:
 * `sub` messages of a JSON stream, or bytes of the message at `from`. DS_INVALID when there is no
 * such place.
 */
enum ds_status store_resolve(struct store_conn *conn, const struct stream *stream, int64_t from,
                             int64_t sub, int64_t *position);

/* --- producers --- */

enum ds_status store_producer_get(struct store_conn *conn, int64_t stream_id,
                                  const struct producer *producer, struct producer_state *state);
enum ds_status store_producer_put(struct store_conn *conn, int64_t stream_id,
                                  const struct producer *producer, int64_t now);

/* --- faults (fault.h) --- */

/*
 * Finds the fault that this request meets and counts it, in a transaction of its own, so that over
 * all processes exactly as many requests meet a fault as its count says. DS_NOT_FOUND: none. draw
 * is a random number in [0, 1), which is compared with the fault's probability.
 */
enum ds_status store_fault_meet(struct store_conn *conn, struct arena *arena, const char *path,
                                const char *method, double draw, struct fault *fault);

/* Sets the fault of a path, in place of an earlier one. */
enum ds_status store_fault_set(struct store_conn *conn, const struct fault *fault);

/* Removes the fault of a path, or all faults (NULL). DS_OK also if there was none. */
enum ds_status store_fault_clear(struct store_conn *conn, const char *path);

/* Finds the fault of the next path after this one, "" for the first. DS_NOT_FOUND after the
   last. */
enum ds_status store_fault_after(struct store_conn *conn, struct arena *arena, const char *path,
                                 struct fault *fault);

/* Appends all faults to out, as a JSON array of objects that store_fault_parse() understands. */
enum ds_status store_fault_list(struct store_conn *conn, struct buf *out);

/*
 * Parses a fault from the JSON of /_test/inject-error. DS_INVALID with a one-line *reason if it is
 * malformed. Texts live in the arena; the path is not normalised.
 */
enum ds_status store_fault_parse(struct store_conn *conn, struct arena *arena, const char *json,
                                 size_t len, struct fault *fault, const char **reason);

/* --- upkeep --- */

/*
 * Deletes at most one slice, inside a write transaction: first expired streams, then messages of
 * deleted ones. *more: another slice is left. ended gets the ids of *n streams that have ended
 * (SWEEP_STREAMS at most), for wake_publish().
 */
enum { SWEEP_STREAMS = 64, SWEEP_MESSAGES = 256, SWEEP_BYTES = 8 * 1024 * 1024 };
enum ds_status store_sweep(struct store_conn *conn, struct arena *arena, int64_t now,
                           int64_t ended[static SWEEP_STREAMS], size_t *n, bool *more);

/*
 * Deletes deleted streams whose last fork was removed at the sqlite3 prompt, which no process
 * notices. Reads every deleted stream, so call it rarely.
 */
enum ds_status store_sweep_orphaned(struct store_conn *conn, struct arena *arena, int64_t now);

/* Is there anything for store_sweep()? Reads in a transaction of its own. */
enum ds_status store_sweep_needed(struct store_conn *conn, int64_t now, bool *needed);

/*
 * Copies the write-ahead log into the database and restarts the log. DS_BUSY, perhaps after copying
 * a part, if a reader is in the way or another process runs a checkpoint. Not inside a transaction.
 * leaving: this process may be the last one. Only shared memory, which vanishes with the last
 * process, says that the log was restarted, so the file is truncated then.
 */
enum ds_status store_checkpoint(struct store_conn *conn, bool leaving);

/*
 * The release of SQLite that is linked, and whether it has the WAL-reset bug. Our checkpoints avoid
 * the bug (store_checkpoint.c); those of other programs with the same release may not.
 */
const char *store_sqlite_release(void);
bool store_sqlite_has_reset_bug(void);

/* Has the connection no transaction under way? */
bool store_is_idle(const struct store_conn *conn);

/* Bytes in the write-ahead log after the last commit of this connection. */
int64_t store_wal_bytes(const struct store_conn *conn);

/* Reads a number that differs after another connection has committed. */
enum ds_status store_data_version(struct store_conn *conn, int64_t *version);

#endif
