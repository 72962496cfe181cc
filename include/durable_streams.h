/*
 * libdurablestreams: Durable Streams in one SQLite file, for C and C++ programs.
 *
 * The same store that the server keeps, by the same functions: a program that opens a database with
 * this library, FastCGI responders, CGI processes and the sqlite3 CLI may all use one file at the
 * same time. What one appends wakes the readers of the others.
 *
 *     cc app.c $(pkg-config --cflags --libs durable-streams)
 *
 * Section numbers are those of the Durable Streams protocol (PROTOCOL.md).
 *
 * Conventions
 *
 * Errors: what can fail returns enum ds_status; results go through the last parameters and are
 * untouched unless DS_OK (or the text says otherwise). ds_status_text() says it in words. What went
 * wrong inside the store (a full disk, a damaged file) stands in one line on stderr besides.
 *
 * Threads: a struct ds_store may be used by any number of threads at once, unless a function says
 * otherwise. Writes of many threads share commits; eight threads read at a time. The store's own
 * threads take no signals of the program. No thread may be cancelled within a call. After fork()
 * the child must not use it, nor close it, and cannot open the same database (DS_FAILED): whoever
 * wants that opens it after the fork, or after an exec.
 *
 * Signals: the library sets no handlers. Where the host limits file sizes (ulimit -f), a program
 * that ignores SIGXFSZ gets DS_NO_SPACE; any other is ended by the write beyond the limit.
 *
 * Paths: streams are named as by the server, by the path of their URL, "/v1/stream/x". Names are
 * normalised (RFC 3986 section 6.2.2): "/%41" is "/A". DS_INVALID for what can be none.
 *
 * Offsets: opaque texts of at most DS_OFFSET_SIZE - 1 characters, ordered bytewise. DS_START ("-1")
 * is the beginning, DS_NOW ("now") the tail.
 *
 * Times: Unix milliseconds, unless the name says seconds.
 *
 * Texts: NUL-ended UTF-8. What is passed in is borrowed for the call only.
 */
#ifndef DURABLE_STREAMS_H
#define DURABLE_STREAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define DS_API __attribute__((visibility("default")))
#else
#define DS_API
#endif

/* ---------------------------------------------------------------------------------- status -- */

/*
 * What the caller can do about it, not what went wrong inside: that is logged where it happens.
 * The HTTP status that the server answers with stands behind each.
 */
enum ds_status {
    DS_OK = 0,
    DS_INVALID,   /* the input breaks a rule (400) */
    DS_NOT_FOUND, /* no such stream (404) */
    DS_GONE,      /* deleted, but forks still read it (410) */
    DS_PRUNED,    /* the data at this offset was taken away (410) */
    DS_TOO_LARGE, /* over a limit (413) */
    DS_BUSY, /* the database is locked by another program, or a queue is full; again later (503) */
    DS_NO_MEMORY, /* (503) */
    DS_NO_SPACE,  /* the disk is full (507) */
    DS_FAILED,    /* anything else, already logged (500) */
    DS_CONFLICT,  /* exists with another configuration, other content type, old Stream-Seq (409) */
    DS_CLOSED,    /* the stream is closed (409) */
    DS_FENCED,    /* a newer epoch of this producer is writing (403) */
    DS_GAP,       /* an earlier producer sequence is missing (409) */
    DS_FORBIDDEN, /* only the store writes the registry (403) */
    DS_TIMEOUT,   /* nothing happened in time; no error */
    DS_CANCELLED, /* ds_cancel_set() ended the wait; no error */
};

/* One line of words, static. */
DS_API const char *ds_status_text(enum ds_status status);

/* --------------------------------------------------------------------------------- version -- */

/* The version that a program is compiled with. A later one with the same DS_VERSION_MAJOR and
   SONAME runs programs that were compiled with an earlier one. */
#define DS_VERSION_MAJOR 0
#define DS_VERSION_MINOR 1
#define DS_VERSION_PATCH 0
#define DS_VERSION       "0.1.0"

/* For comparisons: #if DS_VERSION_NUMBER >= DS_VERSION_AT(0, 2, 0) */
#define DS_VERSION_AT(major, minor, patch) ((major)*1000000 + (minor)*1000 + (patch))
#define DS_VERSION_NUMBER                  DS_VERSION_AT(DS_VERSION_MAJOR, DS_VERSION_MINOR, DS_VERSION_PATCH)

/* The version that a program runs with, in the form of DS_VERSION. Static. */
DS_API const char *ds_version(void);

/* ------------------------------------------------------------------------------------- log -- */

enum ds_log_level { DS_LOG_ERROR, DS_LOG_WARNING, DS_LOG_INFO, DS_LOG_DEBUG };

/*
 * Gets one line without a newline, time stamp or level; valid during the call only. One thread
 * calls it at a time, which may be any thread of the library or one inside a call of the library.
 * It must return soon, and must not call the library except ds_set_log(), ds_status_text() and
 * ds_version().
 */
typedef void ds_log_fn(void *arg, enum ds_log_level level, const char *message);

/*
 * Sends the log lines of this process's stores, of every level, to fn. NULL, as at the start:
 * errors go to standard error, one line each, and all other lines are dropped. Any thread may call
 * this at any time; when it returns, the function that was set before is not running (unless that
 * function is the caller) and is not called again.
 */
DS_API void ds_set_log(ds_log_fn *fn, void *arg);

/* ----------------------------------------------------------------------------------- store -- */

struct ds_store;

enum ds_durability {
    DS_DURABILITY_FULL,   /* a write returns when its commit has reached the disk */
    DS_DURABILITY_NORMAL, /* a power cut may undo the last commits; a crash cannot */
};

enum ds_event_kind { DS_EVENT_CREATED, DS_EVENT_DELETED };

/* The life of a stream began or ended, by expiry and cascade too. Valid during the call only. */
struct ds_event {
    enum ds_event_kind kind;
    const char *path;
    const char *content_type;
    int64_t created_at; /* of the stream */
    int64_t at;         /* when this happened */
};

/*
 * Called after the commit, on a thread of the library, one event at a time, for what this store
 * (not other processes) has done; ds_store_close() returns when all were told. Must return soon,
 * for writes wait meanwhile, and must not call functions of the same store that write or close:
 * they would wait for themselves.
 */
typedef void ds_event_fn(void *arg, const struct ds_event *event);

/* All zero, or a NULL pointer to it, means the defaults. */
struct ds_store_options {
    enum ds_durability durability;
    int64_t busy_timeout_ms;  /* how long a write waits for other programs; 0: 5000, at most ten
                                 minutes */
    int64_t read_chunk_bytes; /* most payload bytes of one ds_read(). A larger message comes by
                                 itself; outside JSON streams, one of more than 256 KiB in parts
                                 of that size. 0: 1 MiB, at most 1 GiB */
    int64_t max_body_bytes;   /* largest append, else DS_TOO_LARGE; 0: 64 MiB, at most 900 MiB */
    /* Path of the registry, a stream of creations and deletions that the store writes itself; "off"
       ends it. NULL leaves it as the database has it (a new one: off). */
    const char *registry;
    ds_event_fn *on_created; /* NULL: nobody listens */
    ds_event_fn *on_deleted;
    void *event_arg; /* handed to both */
};

/*
 * Opens the database file, which is made if it is missing; its folder must exist. Takes the
 * process's share of housekeeping (expiry, checkpoints) on a thread of its own. DS_INVALID: an
 * option is out of range. DS_FAILED: not a database of ours, or not to be opened.
 *
 * ":memory:" opens an empty database of this handle only. It lies on tmpfs (/dev/shm, else TMPDIR)
 * in files without names: however the process ends, nothing stays behind.
 */
DS_API enum ds_status ds_store_open(const char *path, const struct ds_store_options *options,
                                    struct ds_store **store);

/* Commits what is under way and frees the store. No other thread may be using it. NULL is allowed.
 */
DS_API void ds_store_close(struct ds_store *store);

/* --------------------------------------------------------------------------------- streams -- */

enum { DS_OFFSET_SIZE = 34 }; /* room for any offset and its NUL */

#define DS_START "-1"
#define DS_NOW   "now"

/* A stream as it was at one moment. One block of memory: ds_stream_free() frees the texts too. */
struct ds_stream {
    const char *path;         /* normalised */
    const char *content_type; /* as its creator sent it */
    char tail[DS_OFFSET_SIZE];
    int64_t bytes;    /* payload from the beginning to the tail, inherited bytes included */
    int64_t messages; /* own ones, without those inherited by a fork */
    int64_t created_at;
    bool closed;
    int64_t ttl_seconds;     /* -1: none */
    int64_t expires_at;      /* 0: never */
    const char *forked_from; /* path of the source, NULL if it is no fork */
};

DS_API void ds_stream_free(struct ds_stream *stream); /* NULL is allowed */

/* All zero, or NULL: an open stream of application/octet-stream without end or content. */
struct ds_create_options {
    const char *content_type; /* NULL: application/octet-stream, or for a fork its source's */
    bool has_ttl;
    int64_t ttl_seconds; /* >= 0, where has_ttl; moves with every read and write */
    int64_t expires_at;  /* 0: never; not together with a TTL */
    bool closed;         /* complete from the start: data is all there is */
    const void *data;    /* first content, NULL: none. JSON: one message, or an array of messages */
    size_t len;
    const char *fork_of;     /* path of the source, NULL: no fork (section 4.2) */
    const char *fork_offset; /* NULL or DS_NOW: the source's tail */
    int64_t fork_sub_offset; /* further messages (JSON) or bytes after fork_offset */
};

/*
 * Creates a stream (section 5.1). Idempotent: where it exists just like this, DS_OK with *created
 * false; otherwise DS_CONFLICT. DS_NOT_FOUND: there is no source to fork from. created and stream
 * may be NULL; *stream is the caller's to free.
 */
DS_API enum ds_status ds_create(struct ds_store *store, const char *path,
                                const struct ds_create_options *options, bool *created,
                                struct ds_stream **stream);

/* ds_create() of a fork at offset (NULL: the tail), everything else inherited. */
DS_API enum ds_status ds_fork(struct ds_store *store, const char *source, const char *path,
                              const char *offset, struct ds_stream **stream);

/* *stream is the caller's to free. DS_NOT_FOUND also when it has expired. Renews no TTL. */
DS_API enum ds_status ds_get(struct ds_store *store, const char *path, struct ds_stream **stream);

/* Takes effect at once; while forks read it, its data stays and the path is taken (section 5.4). */
DS_API enum ds_status ds_delete(struct ds_store *store, const char *path);

/* All zero, or NULL: a plain append. */
struct ds_append_options {
    const char *content_type; /* NULL: not compared with the stream's */
    const char *seq;          /* Stream-Seq, greater than the last one bytewise; NULL: none */
    const char *producer_id;  /* idempotent producer (section 5.2.1); NULL: none */
    int64_t producer_epoch;   /* 0..2^53-1 */
    int64_t producer_seq;     /* 0..2^53-1, one more each time */
    bool close;               /* the stream ends with this */
};

struct ds_append_result {
    char next_offset[DS_OFFSET_SIZE]; /* the tail; "" where there is no stream */
    bool closed;                      /* the stream is, now */
    bool duplicate;                   /* DS_OK because this very request was carried out before */
    int64_t producer_epoch;           /* the producer's state as the store has it, */
    int64_t producer_seq;             /*   its last sequence; -1: none yet */
    const char *reason;               /* static text; NULL with DS_OK */
};

/*
 * Appends data (section 5.2); len may be 0 only when closing. JSON streams: one message, or an
 * array of messages. Returns when it is committed: many threads share commits. result may be NULL,
 * and is filled in also when the append was refused.
 */
DS_API enum ds_status ds_append(struct ds_store *store, const char *path, const void *data,
                                size_t len, const struct ds_append_options *options,
                                struct ds_append_result *result);

/* ds_append() of nothing, closing. DS_OK also when it was closed before. */
DS_API enum ds_status ds_close_stream(struct ds_store *store, const char *path,
                                      struct ds_append_result *result);

struct ds_read_result {
    char *data; /* the payload, a NUL behind it; JSON: an array of messages ("[]" when empty) */
    size_t len; /* without the NUL */
    char next_offset[DS_OFFSET_SIZE]; /* read on from here */
    bool up_to_date;                  /* there was nothing more at this moment */
    bool closed;                      /* and there never will be: the end of a closed stream */
};

/*
 * Reads from an offset (NULL: the beginning) what there is, read_chunk_bytes at most (section 5.6).
 * From an offset inside a message (the store hands none out) it reads the message from its start.
 * DS_INVALID: not an offset, or one beyond the tail. Renews a TTL. Free with ds_read_free().
 */
DS_API enum ds_status ds_read(struct ds_store *store, const char *path, const char *offset,
                              struct ds_read_result *result);

DS_API void ds_read_free(struct ds_read_result *result);

/* A message, or a part of a large one. Valid during the call only. */
struct ds_message {
    const char
        *data;  /* with a NUL behind it; JSON: one value, as ds_read() gives it in its array */
    size_t len; /* in bytes, without the NUL */
    char offset[DS_OFFSET_SIZE];      /* where it begins */
    char next_offset[DS_OFFSET_SIZE]; /* where it ends: a reader that has it reads on from here */
    int64_t appended_at;              /* by the clock of the process that appended it */
    bool more; /* the next call brings another part of this message. Only in streams that are not
                  JSON: a message of more than 256 KiB comes in parts of 256 KiB */
};

/* False ends the reading. */
typedef bool ds_message_fn(void *arg, const struct ds_message *message);

/* Where a reading ended. */
struct ds_read_end {
    char next_offset[DS_OFFSET_SIZE]; /* read on from here */
    bool up_to_date;                  /* there was nothing more at this moment */
    bool closed;                      /* and there never will be: the end of a closed stream */
};

/*
 * Calls fn for each message from an offset (NULL: the beginning) to the tail, in order, on the
 * calling thread. A message is what one append brought, or one element where that was a JSON array.
 * An offset inside a message counts as the start of that message. fn may do with the store what it
 * likes: no transaction is open. Memory holds read_chunk_bytes and one message at most.
 *
 * end may be NULL. With any status but DS_OK, fn may have been called; it goes on after the
 * next_offset that fn saw last. Statuses as of ds_read(); DS_NOT_FOUND also when the stream ended
 * meanwhile. Renews a TTL.
 */
DS_API enum ds_status ds_read_messages(struct ds_store *store, const char *path, const char *offset,
                                       ds_message_fn *fn, void *arg, struct ds_read_end *end);

/*
 * Waits until there is something to read from this offset on, or the stream is closed: DS_OK. Any
 * process may have written it. DS_TIMEOUT after timeout_ms (0: only looks). DS_NOT_FOUND, DS_GONE:
 * the stream has ended. offset is not NULL; DS_NOW waits for what comes after the call.
 */
DS_API enum ds_status ds_wait(struct ds_store *store, const char *path, const char *offset,
                              int64_t timeout_ms);

/*
 * A switch that ends waits of one store from outside. While it is set, every ds_wait_cancellable()
 * that was given it ends with DS_CANCELLED: those under way, and those that begin later. So it does
 * not matter whether the wait or the cancellation comes first. Any number of waits may share one.
 */
struct ds_cancel;

/* Not set yet. The caller frees it with ds_cancel_free() before closing the store. */
DS_API enum ds_status ds_cancel_new(struct ds_store *store, struct ds_cancel **cancel);

/* No wait may be using it any more. NULL is allowed. */
DS_API void ds_cancel_free(struct ds_cancel *cancel);

/* Any thread may set and clear it at any time. Setting is safe in signal handlers, too. */
DS_API void ds_cancel_set(struct ds_cancel *cancel);
DS_API void ds_cancel_clear(struct ds_cancel *cancel);

/* ds_wait() that ends with DS_CANCELLED while cancel is set, even if there is data. cancel may be
   NULL. */
DS_API enum ds_status ds_wait_cancellable(struct ds_store *store, const char *path,
                                          const char *offset, int64_t timeout_ms,
                                          const struct ds_cancel *cancel);

/*
 * Many streams behind one descriptor, for poll(2), epoll(7) and event loops. The descriptor is
 * readable exactly while at least one stream of the watch has an event to fetch. Writers in any
 * process make events. Memory: some 300 bytes a stream, and nothing for each change.
 */
struct ds_watch;

struct ds_watch_event {
    enum ds_status status; /* DS_OK: there is something new. DS_NOT_FOUND, DS_GONE: the stream has
                              ended and is no longer watched */
    const char *path;      /* normalised; valid until the next call with this watch */
    void *tag;             /* as it was given to ds_watch_add() */
    char tail[DS_OFFSET_SIZE]; /* the data that the event speaks of ends here */
    bool closed;               /* the stream is closed */
};

/* Starts a thread. Close the watch before the store; NULL is allowed. */
DS_API enum ds_status ds_watch_open(struct ds_store *store, struct ds_watch **watch);
DS_API void ds_watch_close(struct ds_watch *watch);

/* For polling (POLLIN) only: the watch alone reads, writes and closes it. */
DS_API int ds_watch_descriptor(const struct ds_watch *watch);

/*
 * Watches a stream for a reader that has everything before offset; DS_NOW: before the tail. If
 * there is more already, or the stream is closed, there is an event at once. A path that is watched
 * already gets the new offset and tag. Statuses as of ds_wait(). Watching renews a TTL.
 */
DS_API enum ds_status ds_watch_add(struct ds_watch *watch, const char *path, const char *offset,
                                   void *tag);

/* An event that was not fetched goes with it. DS_NOT_FOUND: the path is not watched. */
DS_API enum ds_status ds_watch_remove(struct ds_watch *watch, const char *path);

/*
 * Fetches one event; DS_TIMEOUT: there is none. Never waits. However much was appended since the
 * last event of a stream, it has one event: read on until ds_read() says up_to_date. Any thread,
 * but one at a time, for the sake of path.
 */
DS_API enum ds_status ds_watch_next(struct ds_watch *watch, struct ds_watch_event *event);

/*
 * Calls fn for every live stream whose normalised path begins with prefix (NULL: all), bytewise, in
 * the order of their paths, until it returns false. All are from one moment; they are collected
 * first (some 200 bytes each), so fn may do with the store what it likes.
 */
typedef bool ds_stream_fn(void *arg, const struct ds_stream *stream);
DS_API enum ds_status ds_list(struct ds_store *store, const char *prefix, ds_stream_fn *fn,
                              void *arg);

/* ---------------------------------------------------------------------------------- faults -- */

/*
 * What a server with DS_TEST_ENDPOINTS=1 does wrong on purpose to requests for a path, for tests of
 * clients. Order: delay, drop, status, then the operation with its answer's body changed. A dropped
 * or failed request is not carried out. All zero: nothing; set what is wanted.
 */
struct ds_fault {
    int status;    /* answer this, 200..599; 0: no */
    int64_t count; /* so many requests; 0 is one */
    bool has_retry_after;
    int64_t retry_after; /* seconds, with status */
    int64_t delay_ms;    /* wait first; 0: no */
    int64_t jitter_ms;   /* and up to this much longer, at random */
    bool drop_connection;
    bool has_truncate;
    int64_t truncate_body_bytes; /* the body ends after these */
    bool has_probability;
    double probability;         /* 0..1; a request spared does not count */
    const char *method;         /* NULL: any */
    bool corrupt_body;          /* about 3 % of the body's bytes changed */
    const char *sse_event_type; /* an event of this type before the stream's own, NULL: no */
    const char *sse_event_data;
};

/* Replaces what there was for the path. DS_INVALID: no kind of fault is set, or a value is out of
   range. Servers of the same database heed it from their next request on. */
DS_API enum ds_status ds_fault_set(struct ds_store *store, const char *path,
                                   const struct ds_fault *fault);

/* Of one path, or with NULL all of them. DS_OK also when there was none. */
DS_API enum ds_status ds_fault_clear(struct ds_store *store, const char *path);

/* Calls fn for every fault, in the order of their paths, until it returns false; count is what is
   left. fn may do with the store what it likes. */
typedef bool ds_fault_fn(void *arg, const char *path, const struct ds_fault *fault);
DS_API enum ds_status ds_fault_list(struct ds_store *store, ds_fault_fn *fn, void *arg);

/* ---------------------------------------------------------------------------------- cursor -- */

/*
 * Cursors of live reads (section 10.1): numbers of time intervals, so that caches see a new URL as
 * time goes by. Pure but for the clock and a random number; any thread.
 */
#define DS_CURSOR_DEFAULT_EPOCH            INT64_C(1728432000) /* 2024-10-09T00:00:00Z, Unix seconds */
#define DS_CURSOR_DEFAULT_INTERVAL_SECONDS INT64_C(20)

/* NULL means the defaults. */
struct ds_cursor_options {
    int64_t interval_seconds; /* below 1: the default */
    int64_t epoch;            /* Unix seconds; 0 is 1970 */
};

/* The number of the interval of this moment; never below 0. */
DS_API int64_t ds_cursor_calculate(const struct ds_cursor_options *options);

/*
 * The cursor to answer with: current, or, where the client's own (-1: none) is not behind it, a
 * later one by 1 to 3600 s at random, so that no client goes round in a cache's circle.
 */
DS_API int64_t ds_cursor_handle_collision(int64_t current, int64_t client,
                                          const struct ds_cursor_options *options);

/* The same for the text that a client sent (NULL, or not a cursor: none) and this moment. */
DS_API int64_t ds_cursor_generate_response(const char *client,
                                           const struct ds_cursor_options *options);

/* ----------------------------------------------------------------------------------- paths -- */

/*
 * A path as a file name: base64url without padding; one that would be longer than 200 characters
 * becomes its first 180, "~", and 16 hexadecimal digits of the path's SHA-256. The path's bytes are
 * taken as they are, without normalising. NULL when out of memory. The caller frees it with free().
 */
DS_API char *ds_path_encode(const char *path);

/* The way back, exact but for what a hash has replaced: then the beginning of the path. What is no
   base64 is passed over, what is no UTF-8 becomes U+FFFD. */
DS_API char *ds_path_decode(const char *encoded);

/* ----------------------------------------------------------------------------- test server -- */

/*
 * A real server for tests: web server (nginx must be installed) and responder as child processes,
 * with a port, a folder and a temporary database of their own and the test endpoints switched on.
 * Children end with the caller. A handle belongs to one thread at a time.
 */
struct ds_test_server;

/* All zero, or NULL: a free port of 127.0.0.1, an empty database. */
struct ds_test_server_options {
    const char *host;            /* NULL: 127.0.0.1 */
    int port;                    /* 0: a free one */
    const char *database;        /* NULL: a temporary one, gone at stop */
    const char *const *settings; /* NULL, or "DS_NAME=value" texts, NULL at the end */
    int64_t start_timeout_ms;    /* 0: 30000 */
};

/* Returns when it answers. DS_FAILED: it does not; why stands on stderr. */
DS_API enum ds_status ds_test_server_start(const struct ds_test_server_options *options,
                                           struct ds_test_server **server);
DS_API void ds_test_server_stop(struct ds_test_server *server); /* NULL is allowed */

DS_API int ds_test_server_port(const struct ds_test_server *server);
DS_API const char *
ds_test_server_base_url(const struct ds_test_server *server); /* no slash at the end */
DS_API const char *
ds_test_server_database(const struct ds_test_server *server); /* path of the file */

/* ds_fault_set() and ds_fault_clear() on the server's database; it heeds them at once. */
DS_API enum ds_status ds_test_server_inject_fault(struct ds_test_server *server, const char *path,
                                                  const struct ds_fault *fault);
DS_API enum ds_status ds_test_server_clear_injected_faults(struct ds_test_server *server);

#ifdef __cplusplus
}
#endif

#endif
