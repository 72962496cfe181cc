/*
 * Subscriptions in the database (protocol sections 6 and 7): their rows, the links to streams with
 * their cursors, and the keys that sign webhooks. sql/subscriptions.sql describes the columns. The
 * decisions are in engine/subscription*.c.
 *
 * Functions that change something run inside a write transaction, and all but
 * store_has_subscriptions() only in a database that has the tables. Texts live in the arena.
 *
 * Times are Unix milliseconds, 0 where there is none. Positions are bytes; -1 is the start of a
 * stream.
 */
#ifndef STORE_SUBSCRIPTION_H
#define STORE_SUBSCRIPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/status.h"

struct arena;
struct store_conn;
struct stream;

struct subscription {
    int64_t id; /* 0: it has no row */
    const char *name;
    bool is_webhook;         /* else pull-wake */
    const char *pattern;     /* or NULL */
    const char *url;         /* NULL: pull-wake */
    const char *wake_stream; /* a path; NULL: webhook */
    int64_t lease_ttl_ms;
    const char *description; /* or NULL */
    const char *config;      /* the configuration that created it, in a normal form */
    const char *base_url;    /* scheme, host and prefix of its URLs; "" if the host was unknown */
    int64_t created_at;

    int64_t generation;  /* 0: never woken */
    const char *wake_id; /* NULL: no wake is in flight */
    const char *token;   /* the secret of this generation's token; NULL before the first wake */
    int64_t woken_at;
    bool event_due;
    const char *holder; /* or NULL */
    int64_t lease_until;
    int64_t attempts;
    int64_t next_attempt_at;
    int64_t failed_at;
    const char *failure; /* or NULL */
    bool unsettled;
};

struct subscription_link {
    const char *path;  /* of the stream, as in struct stream */
    int64_t stream_id; /* 0: there is no such stream */
    bool is_explicit, is_glob;
    bool pending;  /* tail > acked */
    int64_t acked; /* -1: from the start */
    int64_t tail;  /* of the stream; 0 if there is none */
};

/* --- the tables --- */

/* Has the database the tables of subscriptions? Cheap after the first call. Also outside of a
   transaction. */
enum ds_status store_has_subscriptions(struct store_conn *conn, bool *has);

/* Creates the tables, unless they exist. */
enum ds_status store_make_subscriptions(struct store_conn *conn);

/* --- rows --- */

/* DS_NOT_FOUND: there is none of this name. DS_FAILED with the id set: its row is damaged, which is
   logged; the id is 0 after every other failure. */
enum ds_status store_subscription_find(struct store_conn *conn, struct arena *arena,
                                       const char *name, struct subscription *subscription);
enum ds_status store_subscription_load(struct store_conn *conn, struct arena *arena, int64_t id,
                                       struct subscription *subscription);

/* The next one by name after this one, "" for the first. DS_NOT_FOUND after the last. */
enum ds_status store_subscription_after(struct store_conn *conn, struct arena *arena,
                                        const char *name, struct subscription *subscription);

/* Inserts it, and sets its id. If one of this name was deleted, id and generation are that one's.
 */
enum ds_status store_subscription_insert(struct store_conn *conn,
                                         struct subscription *subscription);

/* Writes the columns from generation to unsettled. */
enum ds_status store_subscription_update(struct store_conn *conn,
                                         const struct subscription *subscription);

/* Writes the time of its next attempt, and nothing else, whatever the rest of its row is. */
enum ds_status store_subscription_postpone(struct store_conn *conn, int64_t id, int64_t until);

/* Deletes it and its links, and leaves a tombstone. */
enum ds_status store_subscription_delete(struct store_conn *conn, int64_t id);

/* Says when the deleted subscription of this name was deleted. */
enum ds_status store_tombstone_date(struct store_conn *conn, const char *name, int64_t deleted_at);

enum ds_status store_subscription_count(struct store_conn *conn, int64_t *count);

/* --- work that is due --- */

/* Ids of subscriptions, `most` at most; *n is their number. */

/* whose lease has ended at `now` and which no attempt will look at; or that are unsettled */
enum ds_status store_subscriptions_due(struct store_conn *conn, int64_t now, int64_t *ids,
                                       size_t most, size_t *n);
/* whose next attempt is due at `now`, the earliest first, as far as the filter lets them pass */
struct store_attempt_filter {
    size_t look;                                            /* at so many rows at most */
    bool (*passes)(void *arg, int64_t id, const char *url); /* NULL: all do. The url may be "" */
    void *arg;
};
enum ds_status store_subscriptions_to_attempt(struct store_conn *conn, int64_t now,
                                              const struct store_attempt_filter *filter,
                                              int64_t *ids, size_t most, size_t *n);
/* whose wake event is due on this wake stream */
enum ds_status store_subscriptions_with_event(struct store_conn *conn, const char *wake_stream,
                                              int64_t *ids, size_t most, size_t *n);

/* The time of the next attempt of any subscription, and of the next end of a lease; INT64_MAX if
   there is none. */
enum ds_status store_next_attempt(struct store_conn *conn, int64_t *at);
enum ds_status store_next_lease_end(struct store_conn *conn, int64_t *at);

/* Is there anything for upkeep: an arrival, or a subscription that is due? */
enum ds_status store_subscriptions_need(struct store_conn *conn, int64_t now, bool *need);

/* --- links --- */

/* DS_NOT_FOUND: there is no such link. */
enum ds_status store_link_get(struct store_conn *conn, struct arena *arena, int64_t subscription_id,
                              const char *path, struct subscription_link *link);

/* Inserts the link, or replaces it; `tail` is not stored. */
enum ds_status store_link_put(struct store_conn *conn, int64_t subscription_id,
                              const struct subscription_link *link);
/* Links a new stream that the pattern matches. An explicit link keeps its cursor. */
enum ds_status store_link_match(struct store_conn *conn, int64_t subscription_id,
                                const struct stream *stream);
enum ds_status store_link_delete(struct store_conn *conn, int64_t subscription_id,
                                 const char *path);

/* Has a stream of this path ended while the lease of this generation was held? */
enum ds_status store_link_has_ended(struct store_conn *conn, int64_t subscription_id,
                                    int64_t generation, const char *path, bool *has);

enum store_links_which { STORE_LINKS_ALL, STORE_LINKS_PENDING, STORE_LINKS_OTHERS };

/* Reads links by path, `most` at most. The array is in the arena. */
enum ds_status store_links(struct store_conn *conn, struct arena *arena, int64_t subscription_id,
                           enum store_links_which which, size_t most,
                           struct subscription_link **links, size_t *n);

enum ds_status store_link_count(struct store_conn *conn, int64_t subscription_id, int64_t *count);

/* Is one of its links pending? */
enum ds_status store_has_pending(struct store_conn *conn, int64_t subscription_id, bool *has);

/*
 * For a stream that has grown: marks its links whose cursor is before the tail as pending, and
 * returns their subscriptions that are idle, in the arena.
 */
enum ds_status store_links_grow(struct store_conn *conn, struct arena *arena, int64_t stream_id,
                                int64_t **idle, size_t *n);

/* --- patterns --- */

/* Called for each pattern with first <= pattern < end, and its subscription. Texts are valid during
   the call. */
typedef enum ds_status store_pattern_fn(void *arg, int64_t subscription_id, const char *pattern);
enum ds_status store_patterns(struct store_conn *conn, const char *first, const char *end,
                              store_pattern_fn *fn, void *arg);

/* Is this the wake stream of a subscription? */
enum ds_status store_is_wake_stream(struct store_conn *conn, const char *path, bool *is);

/* Takes the links of patterns to this path away, since it is a wake stream now. */
enum ds_status store_links_unglob(struct store_conn *conn, const char *path);

/*
 * Called for each live stream whose path begins with prefix, except for the registry, by path.
 * Texts are valid during the call, which must not write. DS_CANCELLED ends the walk, which then
 * returns it.
 */
typedef enum ds_status store_candidate_fn(void *arg, int64_t stream_id, const char *path,
                                          int64_t tail);
enum ds_status store_candidates(struct store_conn *conn, struct arena *arena, const char *prefix,
                                int64_t now, store_candidate_fn *fn, void *arg);

/* The next stream that is to be compared with the patterns, with its row. DS_NOT_FOUND: there is
   none; the arrival of a stream that has ended is dropped. */
enum ds_status store_arrival_take(struct store_conn *conn, struct arena *arena,
                                  struct stream *stream);

/* Gives explicit links to this path the stream, from its start. If it is not empty, pending is
   true, and the subscriptions that are idle are returned as by store_links_grow(). */
enum ds_status store_links_arrive(struct store_conn *conn, struct arena *arena, const char *path,
                                  int64_t stream_id, bool pending, int64_t **idle, size_t *n);

/* --- webhook keys --- */

enum { WEBHOOK_KEY_BYTES = 32, WEBHOOK_KID_SIZE = 64, WEBHOOK_X_SIZE = 44 };

struct webhook_key {
    char kid[WEBHOOK_KID_SIZE];
    char x[WEBHOOK_X_SIZE];                /* the public key in base64url */
    unsigned char seed[WEBHOOK_KEY_BYTES]; /* the private key */
    int64_t created_at, signs_from;
    int64_t signs_until; /* 0: no end is planned */
};

enum { WEBHOOK_KEYS_MOST = 16 };

/* All keys, by signs_from; WEBHOOK_KEYS_MOST at most. *n is 0 if there is no table. */
enum ds_status store_webhook_keys(struct store_conn *conn,
                                  struct webhook_key keys[static WEBHOOK_KEYS_MOST], size_t *n);

/* In write transactions of their own. The first makes the table if necessary, and replaces a key
   with the same kid. */
enum ds_status store_webhook_key_put(struct store_conn *conn, const struct webhook_key *key);
enum ds_status store_webhook_key_delete(struct store_conn *conn, const char *kid);

#endif
