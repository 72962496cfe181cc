/*
 * The store: the only rooms that know SQLite. Streams, messages and producers in one database
 * file in WAL mode, which any number of processes use at the same time.
 *
 * A struct store is one per process and may be used by all its threads. A struct store_conn is
 * one connection and belongs to one thread at a time. Functions return enum ds_status; what went
 * wrong was logged. Nothing is retried here but what SQLite's busy handler waits for.
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

/* What a row lacks of what happened to its stream. */
enum stream_change {
    STREAM_SAME,
    STREAM_GREW,   /* tail and messages: most appends change nothing else */
    STREAM_CHANGED /* anything */
};

/* A stream as it was read in one transaction. Texts live in the arena that was given. */
struct stream {
    int64_t id; /* 0: there is no such row */
    const char *path;
    const char *content_type;
    enum http_type_kind kind;
    int64_t tail;     /* bytes */
    int64_t messages; /* own ones */
    int64_t created_at;
    int64_t closed_at;           /* 0 while open */
    const char *closed_producer; /* NULL, or who closed it, with epoch and seq */
    int64_t closed_epoch, closed_seq;
    int64_t ttl_seconds;  /* -1: none */
    int64_t expires_at;   /* 0: never; TTL renewals not yet saved are in the hints file */
    const char *last_seq; /* NULL: no Stream-Seq yet */
    size_t last_seq_len;
    int64_t source_id; /* 0: not a fork */
    int64_t fork_position, fork_offset, fork_sub_offset;
    int64_t deleted_at;        /* 0: not deleted */
    const char *damage;        /* NULL, or the column of the row that makes no sense */
    bool is_registry;          /* written by the store itself, and by nobody else */
    enum stream_change change; /* for the committer: to be saved before the commit */
};

/* --- process --- */

/*
 * Settings of SQLite for a process that is the server's own, before anything else of the store: no
 * counts of memory in use, whose lock all threads would share, and a VFS that writes to the log
 * once a transaction.
 */
void store_own_process(void);

/*
 * Makes or opens the database, brings its schema up to date. config is borrowed until close.
 * lasting: a process that stays, unlike CGI's: the first of them empties a memory-mode database,
 * the last one deletes it. One that does not stay has a single thread.
 */
enum ds_status store_open(struct store **store, const struct config *config, bool lasting);
void store_close(struct store *store, bool lasting);

/* Before any store is opened, in a process that will never use SQLite in more than one thread. */
void store_use_one_thread(void);

struct hints *store_hints(struct store *store);

/*
 * Who is told which streams began and ended, by store_deliver_events(). Once, before the store is
 * used by more than one thread.
 */
void store_on_event(struct store *store, ds_event_fn *listener, void *arg);

enum ds_status store_connect(struct store_conn **conn, struct store *store);
void store_disconnect(struct store_conn *conn);

/*
 * For the one connection of a process that writes all day: room for the pages of some 10,000
 * streams (16 MiB, taken as they are needed), which each append would read again otherwise.
 */
void store_write_much(struct store_conn *conn);

/* --- transactions --- */

enum ds_status store_begin_read(struct store_conn *conn);
void store_end_read(struct store_conn *conn);

/*
 * Takes the write lock of all processes, for the store_begin_write() that must follow: DS_BUSY
 * after DS_BUSY_TIMEOUT_MS. DS_FAILED, logged, is no reason not to go on: SQLite has its own lock.
 */
enum ds_status store_lock_write(struct store_conn *conn);

/* Takes the write lock of all processes, unless it has it, and SQLite's: DS_BUSY as above. */
enum ds_status store_begin_write(struct store_conn *conn);
enum ds_status store_commit(struct store_conn *conn);
void store_rollback(struct store_conn *conn);

/* --- the file's place: see database_file.c --- */

/* The file of the database's name: the one that is open, none, another one. */
enum store_place {
    STORE_SAME,
    STORE_MISSING,
    STORE_REPLACED, /* and the next process may open it */
    STORE_MIXED,    /* and the log beside it, or its index, is that of the old one */
};

/* Looks, and logs what is new; by one thread of a process. But for STORE_SAME, writes are DS_BUSY.
 */
enum store_place store_find_place(struct store *store);
bool store_is_displaced(const struct store *store);

/* --- a full disk: see store_reserve.c --- */

/*
 * Before store_commit(), in the transaction; and before the first change of one that writes more
 * than SPILL_BYTES, which may go to the log before the end. Keeps room for what comes later.
 * DS_NO_SPACE: there is none for this one, and it is to be rolled back. deletes: the transaction
 * makes room, and may use what is kept for such.
 */
enum { SPILL_BYTES = 256 * 1024 };
enum ds_status store_keep_room(struct store_conn *conn, bool deletes);

/* A transaction that may make the database larger met the full disk: for all to see. */
void store_note_full(struct store_conn *conn);

/*
 * Before another try of a deletion that met the full disk: takes the write lock of all processes,
 * and gives what was kept to it; DS_BUSY_TIMEOUT_MS were not enough for the lock: false. After
 * that transaction, whatever became of it, store_end_reclaim().
 */
bool store_begin_reclaim(struct store_conn *conn);
void store_end_reclaim(struct store_conn *conn);

/* As store_checkpoint(); one that meets the full disk gets what was kept. */
enum ds_status store_checkpoint_anyway(struct store_conn *conn, bool leaving);

/* Makes it again, as large as it should be: once a second. */
void store_mend_reserve(struct store_conn *conn);

/* Has the disk no room for appends? A look at the file, for whoever asks. */
bool store_is_low(const struct store *store);

/* Tells the listener what this connection's commits have begun and ended since the last call. */
void store_deliver_events(struct store_conn *conn);

/* --- streams --- */

/*
 * DS_FAILED, logged: its row was damaged. DS_OK: there is such a stream. DS_NOT_FOUND: there is
 * none, or it expired. DS_GONE: it was deleted or has expired, and forks still read it. In the last
 * two cases stream->id tells whether there is a row in the way.
 */
enum ds_status store_find(struct store_conn *conn, struct arena *arena, const char *path,
                          int64_t now, struct stream *stream);
enum ds_status store_find_id(struct store_conn *conn, struct arena *arena, int64_t id, int64_t now,
                             struct stream *stream);

/*
 * As store_find(), and what store_read() then finds until store_end_read() is of the moment of the
 * row: a read transaction that costs no statement besides. By path there may be none: where nobody
 * has committed since the row was read last, it is known, and messages do not change. Call
 * store_end_read() whatever the status.
 */
enum ds_status store_hold(struct store_conn *conn, struct arena *arena, const char *path,
                          int64_t now, struct stream *stream);
enum ds_status store_hold_id(struct store_conn *conn, struct arena *arena, int64_t id, int64_t now,
                             struct stream *stream);

/*
 * The row whatever its state, damaged or not: what makes no sense reads as 0 or "", and in damage
 * stands where. DS_NOT_FOUND when there is none.
 */
enum ds_status store_load_id(struct store_conn *conn, struct arena *arena, int64_t id,
                             struct stream *stream);

/* Writes a new row and sets stream->id. */
enum ds_status store_insert(struct store_conn *conn, struct stream *stream);

/* Writes a row with all that stream says (id, registry and kind apart), and sets stream->id. */
enum ds_status store_restore(struct store_conn *conn, struct stream *stream);

/* Writes what appending, closing and renewing change. */
enum ds_status store_update(struct store_conn *conn, const struct stream *stream);

/*
 * Moves the deadline of a stream with a TTL forward, never back, and never further than a read at
 * this moment would.
 */
enum ds_status store_renew(struct store_conn *conn, int64_t id, int64_t expires_at, int64_t now);

/*
 * Deletes a stream: at once where nothing reads it, and with it every deleted ancestor that it
 * was the last fork of; else it is marked deleted. Messages go later (store_sweep).
 */
enum ds_status store_delete(struct store_conn *conn, const struct stream *stream, int64_t now);

/* Is this the path that DS_REGISTRY names, whether there is such a stream or not? */
bool store_reserves(const struct store_conn *conn, const char *path);

/* --- messages --- */

/* Appends at stream->tail, which moves, as does stream->messages. */
enum ds_status store_append(struct store_conn *conn, struct stream *stream, const char *payload,
                            size_t len, int64_t now);

/* Writes one row of the table alone. */
enum ds_status store_insert_row(struct store_conn *conn, int64_t stream_id, int64_t position,
                                int part, const char *payload, size_t len, int64_t now);

/* What a read gave. */
struct store_span {
    int64_t next;        /* position after it */
    int64_t appended_at; /* when its last message was appended; 0 where it gave none */
};

/*
 * Adds the payload from position `from` on to out, inherited parts of a fork included: whole rows,
 * limit bytes at most, but one row at least. A row is a message, or 256 KiB of a larger one of a
 * byte stream. JSON streams: as an array. A `from` inside a row is rounded down to the start
 * of its message, since no offset of ours lies there, unless a text reader over SSE was sent all
 * before it (utf8_incomplete_tail). DS_INVALID: `from` is beyond the tail. DS_PRUNED: somebody has
 * deleted rows there. DS_NOT_FOUND: the stream is gone since store_hold(). Call within a read
 * (store_hold) or write transaction in which stream was read.
 */
enum ds_status store_read_span(struct store_conn *conn, const struct stream *stream, int64_t from,
                               size_t limit, struct buf *out, struct store_span *span);

/* As store_read_span(), where only the position after it matters. */
enum ds_status store_read(struct store_conn *conn, const struct stream *stream, int64_t from,
                          size_t limit, struct buf *out, int64_t *next);

/* The one byte of a byte stream at this position, which is before the tail. As store_read_span().
 */
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
 * The fault that this request meets, and counts it, in a transaction of its own: of so many
 * requests to so many processes exactly as many meet it as its count says. DS_NOT_FOUND: none.
 * draw is the request's random number in [0, 1), held against the fault's probability.
 */
enum ds_status store_fault_meet(struct store_conn *conn, struct arena *arena, const char *path,
                                const char *method, double draw, struct fault *fault);

/* Puts a fault in the place of the one that its path may have had. */
enum ds_status store_fault_set(struct store_conn *conn, const struct fault *fault);

/* Takes the fault of a path away, or all of them (NULL). DS_OK also when there was none. */
enum ds_status store_fault_clear(struct store_conn *conn, const char *path);

/* The fault of the first path after this one ("": of the first); DS_NOT_FOUND after the last one.
 */
enum ds_status store_fault_after(struct store_conn *conn, struct arena *arena, const char *path,
                                 struct fault *fault);

/* Adds all faults to out: a JSON array of objects that store_fault_parse() understands. */
enum ds_status store_fault_list(struct store_conn *conn, struct buf *out);

/*
 * Reads a fault from the JSON of /_test/inject-error. DS_INVALID with a one-line *reason when it is
 * none. Texts live in the arena; the path is as it was given.
 */
enum ds_status store_fault_parse(struct store_conn *conn, struct arena *arena, const char *json,
                                 size_t len, struct fault *fault, const char **reason);

/* --- upkeep --- */

/*
 * Takes at most a slice of dead rows away, inside a write transaction: streams that expired, then
 * messages of deleted streams. *more: there is more to do. *n stream ids (SWEEP_STREAMS at most)
 * whose streams ended go to ended, for wake_publish().
 */
enum { SWEEP_STREAMS = 64, SWEEP_MESSAGES = 256, SWEEP_BYTES = 8 * 1024 * 1024 };
enum ds_status store_sweep(struct store_conn *conn, struct arena *arena, int64_t now,
                           int64_t ended[static SWEEP_STREAMS], size_t *n, bool *more);

/*
 * Deleted streams whose last fork went at the sqlite3 prompt, where no process could follow. Looks
 * at every deleted stream, so call it now and then only.
 */
enum ds_status store_sweep_orphaned(struct store_conn *conn, struct arena *arena, int64_t now);

/* Is there anything for store_sweep? In a transaction of its own, reading only. */
enum ds_status store_sweep_needed(struct store_conn *conn, int64_t now, bool *needed);

/*
 * Copies the write-ahead log into the database and starts it anew: DS_BUSY, and part of it copied
 * perhaps, where a reader is in the way or another process is at it. Not inside a transaction.
 * leaving: this process may be the last one for now. That the log was started anew is known in
 * shared memory only, which goes with the last process: so the file is emptied.
 */
enum ds_status store_checkpoint(struct store_conn *conn, bool leaving);

/*
 * The release of SQLite that is linked, and whether it has the WAL-reset bug: ours does not meet
 * it (store_checkpoint.c), but programs beside us may that checkpoint with the same release.
 */
const char *store_sqlite_release(void);
bool store_sqlite_has_reset_bug(void);

/* Is no transaction of it under way? */
bool store_is_idle(const struct store_conn *conn);

/* Bytes in the write-ahead log after this connection's last commit. */
int64_t store_wal_bytes(const struct store_conn *conn);

/* A number that changes when another connection has committed. */
enum ds_status store_data_version(struct store_conn *conn, int64_t *version);

#endif
