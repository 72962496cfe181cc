/*
 * libdurablestreams: Durable Streams in one SQLite file, for C and C++ programs.
 *
 * The library is the store of the server, without HTTP. A program that opens a database with it,
 * FastCGI responders, CGI processes and the sqlite3 shell may all use one file at the same time. An
 * append by any of them wakes the readers of the others.
 *
 *     cc app.c $(pkg-config --cflags --libs durable-streams)
 *
 * Section numbers refer to the Durable Streams protocol (PROTOCOL.md).
 *
 * Conventions
 *
 * Errors: a function that can fail returns enum ds_status and stores its results through its last
 * parameters. On any value but DS_OK the results are untouched, unless the text says otherwise.
 * ds_status_text() puts a status into words. The cause of a failure inside the store (a full disk,
 * a damaged file) is logged besides: see ds_set_log().
 *
 * Threads: any number of threads may use one struct ds_store at once, unless a function says
 * otherwise. Writes of many threads share commits; eight threads read at a time, and further ones
 * wait. The library's own threads block all signals. Do not cancel a thread inside a call
 * (pthread_cancel(3)).
 *
 * Processes: any number of processes may open one database, on one machine. After fork() the child
 * must neither use nor close a store of its parent, and cannot open the same database (DS_FAILED):
 * open it after the fork, or after an exec.
 *
 * Signals: the library installs no handlers. Where file sizes are limited (ulimit -f), a program
 * that ignores SIGXFSZ gets DS_NO_SPACE; otherwise the write beyond the limit ends the program.
 *
 * Paths: a stream is named as by the server, by the path of its URL, for example "/v1/stream/x".
 * Paths are normalised (RFC 3986 section 6.2.2): "/%41" is "/A". DS_INVALID: the text cannot be the
 * path of a stream.
 *
 * Offsets: opaque texts of at most DS_OFFSET_SIZE - 1 characters, in bytewise order. DS_START
 * ("-1") is the beginning of a stream, DS_NOW ("now") its tail.
 *
 * Times: Unix milliseconds, unless the name says seconds. Lengths and sizes: bytes.
 *
 * Texts: UTF-8 that ends with a NUL. Arguments are borrowed for the call only; arguments of
 * callbacks are valid during the callback only.
 *
 * Structs: set them to zero, then fill in the fields that matter, as {.field = value} does.
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
 * A status says what the caller can do. The log says what went wrong inside the store. In brackets:
 * the HTTP status of the server's answer.
 */
enum ds_status {
    DS_OK = 0,
    DS_INVALID,   /* an argument breaks a rule (400) */
    DS_NOT_FOUND, /* there is no such stream, or no such subscription (404) */
    DS_GONE,      /* the stream was deleted, but forks still read it (410) */
    DS_PRUNED,    /* the data at this offset has been removed (410) */
    DS_TOO_LARGE, /* a size is over its limit (413) */
    DS_BUSY,      /* another program has locked the database, or a queue is full: try later (503) */
    DS_NO_MEMORY, /* memory ran out (503) */
    DS_NO_SPACE,  /* the disk is full (507) */
    DS_FAILED,    /* anything else; the log has the cause (500) */
    DS_CONFLICT,  /* another configuration or content type, or too low a Stream-Seq (409) */
    DS_CLOSED,    /* the stream is closed (409) */
    DS_FENCED,    /* a newer epoch of this producer is writing (403); or a newer wake of this
                     subscription was made, or its lease is over (409) */
    DS_GAP,       /* an earlier sequence number of this producer is missing (409) */
    DS_FORBIDDEN, /* only the store itself writes the registry, and below /v1/stream/__ds (403) */
    DS_TIMEOUT,   /* nothing happened in time; not an error */
    DS_CANCELLED, /* ds_cancel_set() ended the wait; not an error */
    DS_CLAIMED,   /* another worker holds the lease of this subscription (409) */
    DS_IDLE,      /* nothing is pending in this subscription; not an error (409) */
    DS_DENIED,    /* the token is not one of this subscription (401) */
};

/* One line in English, without a newline; static. */
DS_API const char *ds_status_text(enum ds_status status);

/* --------------------------------------------------------------------------------- version -- */

/* The version that a program is compiled with. */
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
 * Receives one line, without a newline, time stamp or level. The library calls it from any of its
 * threads and from threads inside a call, but from one thread at a time. It must return soon, and
 * may call no function of the library except ds_set_log(), ds_status_text() and ds_version().
 */
typedef void ds_log_fn(void *arg, enum ds_log_level level, const char *message);

/*
 * Sends the log lines of this process, of every level, to fn. With NULL, which is the initial
 * state, errors go to standard error, one line each, and all other lines are dropped. Any thread
 * may call this at any time, before the first store is opened too. When it returns, the function
 * that was set before has finished (unless it is itself the caller) and will not be called again.
 */
DS_API void ds_set_log(ds_log_fn *fn, void *arg);

/* ----------------------------------------------------------------------------------- store -- */

struct ds_store;

enum ds_durability {
    DS_DURABILITY_FULL,   /* a write returns when its commit has reached the disk */
    DS_DURABILITY_NORMAL, /* a power cut may undo the last commits; a crash of programs cannot */
};

enum ds_event_kind { DS_EVENT_CREATED, DS_EVENT_DELETED };

/* A stream began to exist or ceased to, for whatever reason: a call, expiry, or the deletion of the
   last fork that read it. */
struct ds_event {
    enum ds_event_kind kind;
    const char *path;
    const char *content_type;
    int64_t created_at; /* when the stream was created */
    int64_t at;         /* when the event happened */
};

/*
 * Receives the events that this store has caused, not those of other processes: one at a time,
 * after the commit, on a thread of the library. ds_store_close() returns after the last one. Writes
 * wait until the function returns. It must not call functions of the same store that write or
 * close, which would wait for it.
 */
typedef void ds_event_fn(void *arg, const struct ds_event *event);

/* All zero, or a NULL pointer to it: the defaults. */
struct ds_store_options {
    enum ds_durability durability;
    int64_t busy_timeout_ms;  /* how long a write waits for other programs before DS_BUSY; 0: 5000;
                                 at most 600000 */
    int64_t read_chunk_bytes; /* most bytes that one ds_read() gives; 0: 1 MiB; at most 1 GiB. A
                                 larger message comes alone; in streams that are not JSON, a message
                                 of more than 256 KiB comes in parts of 256 KiB */
    int64_t max_body_bytes;   /* largest body of a write; beyond it DS_TOO_LARGE; 0: 64 MiB; at most
                                 900 MiB */
    const char *registry;     /* path of the registry, a stream in which the store itself records
                                 creations and deletions; "off": none; NULL: as the database has it,
                                 which is none in a new database */
    ds_event_fn *on_created;  /* NULL: not called */
    ds_event_fn *on_deleted;
    void *event_arg; /* the first argument of both */
};

/*
 * Opens a database file and makes it if it is missing; its folder must exist. Starts two threads,
 * one for commits and one for this process's share of upkeep (expiry, checkpoints).
 *
 * ":memory:" opens an empty database that only this handle can use. It lies on tmpfs (/dev/shm,
 * else TMPDIR) in files without names, so nothing remains, however the process ends.
 *
 * DS_INVALID: an option is out of range. DS_FAILED: the file is not a database of streams or cannot
 * be opened.
 */
DS_API enum ds_status ds_store_open(const char *path, const struct ds_store_options *options,
                                    struct ds_store **store);

/* Commits the writes under way and frees the store. No other thread may be using it, and its waits,
   watches and cancel switches must be gone. NULL is allowed. */
DS_API void ds_store_close(struct ds_store *store);

/* --------------------------------------------------------------------------------- streams -- */

enum { DS_OFFSET_SIZE = 34 }; /* bytes that hold any offset and its NUL */

#define DS_START "-1"
#define DS_NOW   "now"

/* A stream at one moment: one block of memory, texts included, that ds_stream_free() frees. */
struct ds_stream {
    const char *path;         /* normalised */
    const char *content_type; /* as its creator sent it */
    char tail[DS_OFFSET_SIZE];
    int64_t bytes;    /* payload from the beginning to the tail; a fork's inherited bytes count */
    int64_t messages; /* a fork's inherited messages do not count */
    int64_t created_at;
    bool closed;
    int64_t ttl_seconds;     /* -1: no TTL */
    int64_t expires_at;      /* 0: never */
    const char *forked_from; /* path of the source; NULL: not a fork */
};

DS_API void ds_stream_free(struct ds_stream *stream); /* NULL is allowed */

/* All zero, or NULL: an open, empty stream of application/octet-stream that never expires. */
struct ds_create_options {
    const char *content_type; /* NULL: application/octet-stream; for a fork that of its source */
    bool has_ttl;
    int64_t ttl_seconds;     /* with has_ttl: 0..2^53-1; every read and write renews it */
    int64_t expires_at;      /* 0: never; cannot be combined with a TTL */
    bool closed;             /* nothing can be appended: data is the whole content */
    const void *data;        /* first content; NULL: none. JSON: one message, or an array of them */
    size_t len;              /* of data */
    const char *fork_of;     /* path of the source; NULL: not a fork (section 4.2) */
    const char *fork_offset; /* NULL or DS_NOW: the source's tail */
    int64_t fork_sub_offset; /* that many messages (JSON) or bytes further than fork_offset */
};

/*
 * Creates a stream (section 5.1). If a stream with this path and this configuration exists, DS_OK
 * with *created false; with another configuration, DS_CONFLICT. DS_NOT_FOUND: the source of the
 * fork does not exist. created and stream may be NULL; the caller frees *stream.
 */
DS_API enum ds_status ds_create(struct ds_store *store, const char *path,
                                const struct ds_create_options *options, bool *created,
                                struct ds_stream **stream);

/* ds_create() of a fork at offset (NULL: the tail) that inherits everything else. */
DS_API enum ds_status ds_fork(struct ds_store *store, const char *source, const char *path,
                              const char *offset, struct ds_stream **stream);

/* Describes a stream. The caller frees *stream. DS_NOT_FOUND: it does not exist, or it has expired.
   Does not renew a TTL. */
DS_API enum ds_status ds_get(struct ds_store *store, const char *path, struct ds_stream **stream);

/* Deletes a stream at once. While forks read it, its data stays and its path cannot be used again
   (section 5.4). */
DS_API enum ds_status ds_delete(struct ds_store *store, const char *path);

/*
 * Calls fn for each stream whose normalised path begins with prefix (NULL: every stream), in
 * bytewise order of the paths, until fn returns false. Streams that were deleted or have expired
 * are left out. The list is of one moment and is collected first, at some 200 bytes a stream, so fn
 * may call any function with the store.
 */
typedef bool ds_stream_fn(void *arg, const struct ds_stream *stream);
DS_API enum ds_status ds_list(struct ds_store *store, const char *prefix, ds_stream_fn *fn,
                              void *arg);

/* ------------------------------------------------------------------------------- appending -- */

/* All zero, or NULL: a plain append. */
struct ds_append_options {
    const char *content_type; /* must be the stream's; NULL: not compared */
    const char *seq;          /* Stream-Seq, which must be bytewise above the last; NULL: none */
    const char *producer_id;  /* of an idempotent producer (section 5.2.1); NULL: none */
    int64_t producer_epoch;   /* 0..2^53-1 */
    int64_t producer_seq;     /* 0..2^53-1; one higher with each append */
    bool close;               /* close the stream after this append */
};

struct ds_append_result {
    char next_offset[DS_OFFSET_SIZE]; /* the tail; "" if there is no such stream */
    bool closed;                      /* the stream is closed now */
    bool duplicate;                   /* DS_OK because this very append was stored before */
    int64_t producer_epoch;           /* the producer's state in the store */
    int64_t producer_seq;             /* likewise: its last sequence number; -1: none yet */
    const char *reason;               /* why not, one static line; NULL with DS_OK */
};

/*
 * Appends data (section 5.2). JSON streams: one message, or an array of messages. len may be 0 only
 * with close. Returns when the append is committed; appends of many threads share commits. result
 * may be NULL. It is filled in also when the append was refused.
 */
DS_API enum ds_status ds_append(struct ds_store *store, const char *path, const void *data,
                                size_t len, const struct ds_append_options *options,
                                struct ds_append_result *result);

/* Closes a stream without appending (section 5.3). DS_OK also if it was closed before. */
DS_API enum ds_status ds_close_stream(struct ds_store *store, const char *path,
                                      struct ds_append_result *result);

/* --------------------------------------------------------------------------------- reading -- */

struct ds_read_result {
    char *data; /* the payload, followed by a NUL; JSON: an array of messages, "[]" if there are
                   none */
    size_t len; /* of data without the NUL */
    char next_offset[DS_OFFSET_SIZE]; /* where the next read goes on */
    bool up_to_date;                  /* the read reached the tail */
    bool closed;                      /* the read reached the end of a closed stream */
};

/*
 * Reads from an offset (NULL: the beginning) to the tail, but at most read_chunk_bytes
 * (section 5.6). From an offset inside a message, which the store never gives out, the read begins
 * with that message. DS_INVALID: not an offset, or one beyond the tail. Renews a TTL. Free the
 * result with ds_read_free().
 */
DS_API enum ds_status ds_read(struct ds_store *store, const char *path, const char *offset,
                              struct ds_read_result *result);

DS_API void ds_read_free(struct ds_read_result *result);

/* A message, or a part of a large one. */
struct ds_message {
    const char *data; /* followed by a NUL; JSON: one value, as ds_read() gives it in its array */
    size_t len;       /* of data without the NUL */
    char offset[DS_OFFSET_SIZE];      /* where it begins */
    char next_offset[DS_OFFSET_SIZE]; /* where it ends and the next read goes on */
    int64_t appended_at;              /* by the clock of the process that appended it */
    bool more; /* the next call brings another part of this message. Only in streams that are not
                  JSON: a message of more than 256 KiB comes in parts of 256 KiB */
};

/* Returning false ends the reading. */
typedef bool ds_message_fn(void *arg, const struct ds_message *message);

/* Where a reading ended: the fields have the meaning of those of struct ds_read_result. */
struct ds_read_end {
    char next_offset[DS_OFFSET_SIZE];
    bool up_to_date;
    bool closed;
};

/*
 * Calls fn for each message from an offset (NULL: the beginning) to the tail, in order, on the
 * calling thread. A message is the data of one append; in JSON streams, each element of an appended
 * array is one. Offsets, statuses and the TTL as with ds_read(). fn may call any function with the
 * store, since no transaction is open. At most read_chunk_bytes and one message are in memory.
 *
 * end may be NULL. After any status but DS_OK, fn may have been called: the reading can go on from
 * the next_offset of the last message. DS_NOT_FOUND also if the stream ceased to exist meanwhile.
 */
DS_API enum ds_status ds_read_messages(struct ds_store *store, const char *path, const char *offset,
                                       ds_message_fn *fn, void *arg, struct ds_read_end *end);

/* --------------------------------------------------------------------------------- waiting -- */

/*
 * Returns DS_OK as soon as there is data after an offset, or the stream is closed, whichever
 * process wrote it. DS_NOW: data that is appended after the call began. offset must not be NULL.
 * DS_TIMEOUT: nothing happened within timeout_ms; with 0, or less, it only looks. DS_NOT_FOUND,
 * DS_GONE: the stream does not exist, or ceased to. Renews a TTL for as long as it waits.
 */
DS_API enum ds_status ds_wait(struct ds_store *store, const char *path, const char *offset,
                              int64_t timeout_ms);

/*
 * A switch with which another thread, or a signal handler, ends waits of one store. While it is
 * set, every ds_wait_cancellable() that was given it returns DS_CANCELLED: those under way and
 * those that begin later. A cancellation that comes before the wait is therefore not lost. Any
 * number of waits may share a switch.
 */
struct ds_cancel;

/* The switch is not set. Free it before the store is closed. */
DS_API enum ds_status ds_cancel_new(struct ds_store *store, struct ds_cancel **cancel);

/* No wait may be using it. NULL is allowed. */
DS_API void ds_cancel_free(struct ds_cancel *cancel);

/* Any thread, at any time. Async-signal-safe. */
DS_API void ds_cancel_set(struct ds_cancel *cancel);

/* Likewise. A wait may miss a switch that is cleared while the wait has not returned yet. */
DS_API void ds_cancel_clear(struct ds_cancel *cancel);

/* ds_wait() that returns DS_CANCELLED while cancel is set, even if there is data. NULL: never. */
DS_API enum ds_status ds_wait_cancellable(struct ds_store *store, const char *path,
                                          const char *offset, int64_t timeout_ms,
                                          const struct ds_cancel *cancel);

/*
 * Many streams behind one descriptor, for poll(2), epoll(7) and event loops. The descriptor is
 * readable exactly while ds_watch_next() has an event to give. A stream has one event at a time,
 * however much is written to it, by whichever process: a watch needs some 300 bytes a stream.
 */
struct ds_watch;

struct ds_watch_event {
    enum ds_status status; /* DS_OK: there is data, or the stream was closed. DS_NOT_FOUND, DS_GONE:
                              the stream ceased to exist, and is no longer watched */
    const char *path;      /* normalised; valid until the next call with this watch */
    void *tag;             /* as given to ds_watch_add() */
    char tail[DS_OFFSET_SIZE]; /* the stream has data up to here at least */
    bool closed;               /* the stream is closed */
};

/* Starts a thread. Close the watch before the store. NULL may be closed. */
DS_API enum ds_status ds_watch_open(struct ds_store *store, struct ds_watch **watch);
DS_API void ds_watch_close(struct ds_watch *watch);

/* Poll it for POLLIN; only the watch itself reads, writes and closes it. */
DS_API int ds_watch_descriptor(const struct ds_watch *watch);

/*
 * Watches a stream on behalf of a reader that has everything before offset (DS_NOW: before the
 * tail). If there is data after it, or the stream is closed, there is an event at once. A path that
 * is watched already gets the new offset and tag. Statuses as with ds_wait(). Watching renews a
 * TTL.
 */
DS_API enum ds_status ds_watch_add(struct ds_watch *watch, const char *path, const char *offset,
                                   void *tag);

/* Drops an event that was not fetched, too. DS_NOT_FOUND: the path is not watched. */
DS_API enum ds_status ds_watch_remove(struct ds_watch *watch, const char *path);

/*
 * Fetches an event; DS_TIMEOUT: there is none. Never waits. After it, read the stream until the
 * read is up_to_date: data that comes later makes a new event. An event may speak of data that was
 * read already. One thread at a time, because of path; the other functions of a watch may run
 * beside it.
 */
DS_API enum ds_status ds_watch_next(struct ds_watch *watch, struct ds_watch_event *event);

/* --------------------------------------------------------------------------- subscriptions -- */

/*
 * A subscription (sections 6 and 7) is a group of workers that share one cursor for each of its
 * streams. Streams are linked to it by a pattern, or explicitly by their paths. Data after a cursor
 * is pending; the subscription then makes a wake, which one worker at a time works on:
 *
 *     data is pending ──▶ a wake: an event on ──▶ ds_subscription_claim ──▶ ds_subscription_ack,
 *                         the wake stream         by one worker: a lease    done ──▶ the next wake
 *
 * Every wake has a number, its generation, which only grows. When the lease ends before the worker
 * is done, another worker may claim, and calls with the older generation are refused (DS_FENCED).
 * With the name of the subscription as producer_id, and the generation as producer_epoch, the
 * appends of a worker that has lost its lease are refused too.
 *
 * Pull-wake: events are appended to a wake stream, which the application creates and workers wait
 * for, as for any stream. Webhook: a server of the database sends a POST to a URL instead; the
 * receiver claims and acks over HTTP, not by these functions.
 *
 * reason, where a function has it: may be NULL. *reason becomes NULL with DS_OK, otherwise a static
 * line that says why not.
 */
enum ds_subscription_type { DS_PULL_WAKE, DS_WEBHOOK };

struct ds_subscription_link {
    const char *path;
    bool is_explicit;                  /* linked by its path */
    bool is_glob;                      /* linked by the pattern; it may be both */
    bool pending;                      /* there is data after acked_offset */
    char acked_offset[DS_OFFSET_SIZE]; /* read on from here: DS_START or an offset */
    char tail_offset[DS_OFFSET_SIZE];  /* the stream ends here; "": there is no such stream */
};

/* A subscription at one moment: one block of memory that ds_subscription_free() frees. */
struct ds_subscription {
    const char *name;
    enum ds_subscription_type type;
    const char *pattern;     /* NULL: none */
    const char *wake_stream; /* NULL: a webhook */
    const char *url;         /* NULL: a pull-wake */
    int64_t lease_ttl_ms;
    const char *description; /* NULL: none */
    int64_t created_at;
    int64_t generation;                      /* of the last wake; 0: never woken */
    const char *wake_id;                     /* NULL: no wake is in flight */
    int64_t woken_at;                        /* 0: never */
    const char *holder;                      /* the worker that has the lease; NULL: none */
    int64_t lease_until;                     /* 0: no lease */
    int64_t attempts;                        /* webhook: POSTs of this wake so far */
    int64_t next_attempt_at;                 /* 0: none is planned */
    int64_t failed_at;                       /* the last attempt failed then; 0: it did not */
    const char *failure;                     /* why; NULL with failed_at 0 */
    int64_t link_count;                      /* all links */
    bool pending;                            /* one of its links is pending */
    const struct ds_subscription_link *link; /* by path, at most 10000; NULL in a list */
    size_t links;                            /* in link */
};

DS_API void ds_subscription_free(struct ds_subscription *subscription); /* NULL is allowed */

struct ds_subscription_options {
    enum ds_subscription_type type; /* 0: pull-wake */
    const char *pattern;            /* of paths relative to /v1/stream/: segments between slashes,
                                       of which * is any one, ** any number; NULL: none */
    const char *const *streams;     /* paths below /v1/stream/, which need not exist, at most 1000,
                                       and a NULL at the end; or NULL, if there is a pattern */
    const char *wake_stream;        /* pull-wake: a path below /v1/stream/; need not exist */
    const char *url;                /* webhook: where to send the POST */
    const char *base_url;           /* webhook: scheme, host and prefix by which the receiver
                                       reaches the server, for example "https://streams.example" */
    int64_t lease_ttl_ms;           /* 1000..600000; 0: 30000 */
    const char *description;        /* at most 1024 bytes; NULL: none */
};

/*
 * Creates a subscription (section 6.2). Data that exists is not pending: cursors of existing
 * streams begin at their tails. If a subscription with this name and this configuration exists,
 * DS_OK with *created false; with another configuration, DS_CONFLICT. To change one, delete it and
 * create it again. created and subscription may be NULL; the caller frees *subscription.
 *
 * name: at most 256 bytes of UTF-8 without control characters. url: https, and a host that may be
 * public; a server judges its addresses by its own settings when it sends.
 */
DS_API enum ds_status ds_subscription_put(struct ds_store *store, const char *name,
                                          const struct ds_subscription_options *options,
                                          bool *created, struct ds_subscription **subscription,
                                          const char **reason);

/* Describes a subscription with its links. The caller frees *subscription. */
DS_API enum ds_status ds_subscription_get(struct ds_store *store, const char *name,
                                          struct ds_subscription **subscription);

/*
 * Calls fn for each subscription, in bytewise order of their names, until fn returns false. Their
 * links are counted, but not listed. fn may call any function with the store; a subscription that
 * is created or deleted meanwhile may be missing.
 */
typedef bool ds_subscription_fn(void *arg, const struct ds_subscription *subscription);
DS_API enum ds_status ds_subscription_list(struct ds_store *store, ds_subscription_fn *fn,
                                           void *arg);

/* Deletes a subscription with its cursors. If it is created again, its generation goes on from the
   last one. */
DS_API enum ds_status ds_subscription_delete(struct ds_store *store, const char *name);

/*
 * Links streams by their paths, of which a NULL follows the last (section 6.4); all of them or
 * none. A cursor begins at the tail of its stream, or at the start of one that does not exist yet.
 * DS_OK also for streams that are linked already.
 */
DS_API enum ds_status ds_subscription_add_streams(struct ds_store *store, const char *name,
                                                  const char *const *streams, const char **reason);

/* Removes an explicit link. The link and its cursor remain if the pattern matches the path too.
   DS_OK also if there was no such link. */
DS_API enum ds_status ds_subscription_remove_stream(struct ds_store *store, const char *name,
                                                    const char *path);

/*
 * Wakes the workers again, if they have missed the event: appends another event for the wake that
 * nobody has claimed, or has the webhook sent now. DS_IDLE: nothing is pending. DS_CLAIMED: a
 * worker has the lease.
 */
DS_API enum ds_status ds_subscription_nudge(struct ds_store *store, const char *name);

/* --- for workers --- */

/* A wake that a worker has claimed: one block of memory that ds_claim_free() frees. */
struct ds_claim {
    int64_t generation;
    const char *wake_id;
    const char *token;
    int64_t lease_ttl_ms; /* how long the lease lasts from the claim, and from each ack */
    const struct ds_subscription_link *link; /* pending ones first, at most 1000 */
    size_t links;                            /* in link */
    bool more_links; /* there are others; pending ones among them make another wake */
};

DS_API void ds_claim_free(struct ds_claim *claim); /* NULL is allowed */

/*
 * Takes the lease of a pull-wake subscription for a worker, whose name (at most 256 bytes) is for
 * people (section 7). Of any number of workers, exactly one gets it; the others get DS_CLAIMED.
 * DS_IDLE: nothing is pending. DS_INVALID also for a webhook. The caller frees *claim.
 */
DS_API enum ds_status ds_subscription_claim(struct ds_store *store, const char *name,
                                            const char *worker, struct ds_claim **claim,
                                            const char **reason);

/* Everything in a stream before this offset has been dealt with. */
struct ds_ack {
    const char *path;
    const char *offset; /* from acked_offset to the tail */
};

/*
 * Moves cursors, n of them (at most 1000), all or none; and lets the lease last for lease_ttl_ms
 * from now. n may be 0: a heartbeat. done: ends the wake and the lease; *next_wake, which may be
 * NULL, then says whether more is pending and the next wake was made. Of claim, only generation,
 * wake_id and token are read.
 *
 * DS_FENCED: this wake is over, and nothing was moved. DS_DENIED: the token is not one of this
 * subscription. DS_CONFLICT: a stream is not linked, or an offset is before its cursor or beyond
 * its tail.
 */
DS_API enum ds_status ds_subscription_ack(struct ds_store *store, const char *name,
                                          const struct ds_claim *claim, const struct ds_ack *acks,
                                          size_t n, bool done, bool *next_wake,
                                          const char **reason);

/* Gives the lease back and moves no cursor: what is pending makes the next wake at once. Statuses
   as with ds_subscription_ack(). */
DS_API enum ds_status ds_subscription_release(struct ds_store *store, const char *name,
                                              const struct ds_claim *claim);

/* ---------------------------------------------------------------------------------- faults -- */

/*
 * How a server with DS_TEST_ENDPOINTS=1 fails requests to one path on purpose, for tests of
 * clients. In this order: delay, drop, status, then the operation with a damaged body of its
 * answer. A request that is dropped or answered with a status is not carried out. All zero injects
 * nothing.
 */
struct ds_fault {
    int status;    /* answer with it, 200..599; 0: no */
    int64_t count; /* requests that meet the fault; 0: one */
    bool has_retry_after;
    int64_t retry_after; /* seconds; sent with status */
    int64_t delay_ms;    /* wait first; 0: no; at most a day */
    int64_t jitter_ms;   /* and at random up to this much longer */
    bool drop_connection;
    bool has_truncate;
    int64_t truncate_body_bytes; /* end the body after so many bytes */
    bool has_probability;
    double probability;         /* 0..1; a request that is spared does not count */
    const char *method;         /* NULL: any method */
    bool corrupt_body;          /* change about 3 % of the body's bytes */
    const char *sse_event_type; /* send such an event before those of the stream; NULL: no */
    const char *sse_event_data;
};

/* Replaces the fault of the path, if it has one. Servers of the database obey it from their next
   request on. DS_INVALID: the fault does nothing, or a value is out of range. */
DS_API enum ds_status ds_fault_set(struct ds_store *store, const char *path,
                                   const struct ds_fault *fault);

/* Removes the fault of a path, or every fault (NULL). DS_OK also if there was none. */
DS_API enum ds_status ds_fault_clear(struct ds_store *store, const char *path);

/* Calls fn for each fault, in the order of their paths, until fn returns false. count: requests
   that are still to meet it. fn may call any function with the store. */
typedef bool ds_fault_fn(void *arg, const char *path, const struct ds_fault *fault);
DS_API enum ds_status ds_fault_list(struct ds_store *store, ds_fault_fn *fn, void *arg);

/* ---------------------------------------------------------------------------------- cursor -- */

/*
 * Cursors of live reads (section 10.1): numbers of time intervals, which let caches see a new URL
 * as time passes. These functions need no store, and any thread may call them.
 */
#define DS_CURSOR_DEFAULT_EPOCH            INT64_C(1728432000) /* 2024-10-09T00:00:00Z, Unix seconds */
#define DS_CURSOR_DEFAULT_INTERVAL_SECONDS INT64_C(20)

/* NULL: the defaults. */
struct ds_cursor_options {
    int64_t interval_seconds; /* below 1: the default */
    int64_t epoch;            /* Unix seconds; 0 is 1970 */
};

/* The number of the interval of this moment; never below 0. */
DS_API int64_t ds_cursor_calculate(const struct ds_cursor_options *options);

/*
 * The cursor to answer with: current, if the client's own (-1: none) is below it; else one that is
 * later than the client's by 1 to 3600 s at random, so that no client meets the same cached answer
 * again and again.
 */
DS_API int64_t ds_cursor_handle_collision(int64_t current, int64_t client,
                                          const struct ds_cursor_options *options);

/* Likewise for this moment, and for the text that the client sent. NULL, or a text that is not a
   cursor: the client has none. */
DS_API int64_t ds_cursor_generate_response(const char *client,
                                           const struct ds_cursor_options *options);

/* ----------------------------------------------------------------------------------- paths -- */

/*
 * A path as a file name: base64url without padding. Instead of more than 200 characters: the first
 * 180, "~", and 16 hexadecimal digits of the path's SHA-256. The path is not normalised. The caller
 * frees the text with free(). NULL: out of memory.
 */
DS_API char *ds_path_encode(const char *path);

/* The reverse; only the beginning of a path that was shortened. Skips characters that base64 does
   not have; bytes that are not UTF-8 become U+FFFD. */
DS_API char *ds_path_decode(const char *encoded);

/* ----------------------------------------------------------------------------- test server -- */

/*
 * A real server for tests: child processes that speak HTTP, with a port, a folder and a temporary
 * database of their own, and with DS_TEST_ENDPOINTS=1. They end with the program that started them,
 * however it ends. One thread at a time may use a handle.
 */
struct ds_test_server;

/* All zero, or NULL: a free port of 127.0.0.1, an empty database. */
struct ds_test_server_options {
    const char *host;            /* NULL: 127.0.0.1 */
    int port;                    /* 0: a free one */
    const char *database;        /* NULL: a temporary one, deleted by ds_test_server_stop() */
    const char *const *settings; /* texts "DS_NAME=value" and a NULL at the end; or NULL */
    int64_t start_timeout_ms;    /* 0: 30000 */
};

/* Returns when the server answers. DS_FAILED: it does not; the log has the cause. */
DS_API enum ds_status ds_test_server_start(const struct ds_test_server_options *options,
                                           struct ds_test_server **server);
DS_API void ds_test_server_stop(struct ds_test_server *server); /* NULL is allowed */

/* Of a running server. The texts are valid until it is stopped; the URL has no slash at its end. */
DS_API int ds_test_server_port(const struct ds_test_server *server);
DS_API const char *ds_test_server_base_url(const struct ds_test_server *server);
DS_API const char *ds_test_server_database(const struct ds_test_server *server);

/* ds_fault_set() and ds_fault_clear() of all faults, in the server's database. */
DS_API enum ds_status ds_test_server_inject_fault(struct ds_test_server *server, const char *path,
                                                  const struct ds_fault *fault);
DS_API enum ds_status ds_test_server_clear_injected_faults(struct ds_test_server *server);

#ifdef __cplusplus
}
#endif

#endif
