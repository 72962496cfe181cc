/*
 * Subscriptions: the decisions, made inside the transaction of a batch (protocol sections 6, 7).
 *
 *             something pending,                    webhook: at once
 *             no wake in flight                     pull-wake: claim
 *     idle ───────────────────────▶ wake in flight ─────────────────▶ lease held
 *      ▲    generation + 1,                                            │  heartbeat: lease anew
 *      │    a new wake_id                                              │
 *      └───────────────────────────────────────────────────────────────┘ done, release, end of
 * lease; the next wake at once if something is pending
 *
 * Must hold, after every commit: if a link is pending, a wake is in flight. It is either due on the
 * wake stream or written there, or has a next attempt, or has a lease that ends. So something will
 * happen whatever process dies.
 *
 * Each function runs inside the transaction, may run again after a rollback, and sets every result
 * again. If it decides against the request, it returns DS_OK, has changed nothing that the request
 * asked for, and the verdict says why. Any other status is a failure, which rolls back.
 *
 * Texts are borrowed until the write is finished; results live in the arena of the request.
 */
#ifndef SUBSCRIPTION_H
#define SUBSCRIPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/batch.h"
#include "protocol/status.h"
#include "store/store_subscription.h"

struct arena;

/* The root of the paths in requests, patterns and answers: `events/a` is /v1/stream/events/a. */
#define SUBSCRIPTION_ROOT "/v1/stream/"

enum {
    SUBSCRIPTION_NAME_MOST = 256,         /* bytes of an ID, and of the name of a worker */
    SUBSCRIPTION_DESCRIPTION_MOST = 1024, /* bytes */
    SUBSCRIPTION_URL_MOST = 2048,         /* bytes */
    SUBSCRIPTION_STREAMS_MOST = 1000,     /* streams, or acks, in one request */
    SUBSCRIPTION_BACKFILL_MOST = 100000,  /* existing streams that a new pattern may match */
    SUBSCRIPTION_WAKE_LINKS = 1000,       /* links in a wake or a claim, pending ones first */
    SUBSCRIPTION_SHOWN_LINKS = 10000,     /* links in the answer to GET and PUT */
    SUBSCRIPTION_LEASE_LEAST_MS = 1000,
    SUBSCRIPTION_LEASE_MOST_MS = 600000,
    SUBSCRIPTION_LEASE_MS = 30000, /* default */
};

/* Can it name a subscription or a worker: UTF-8 without control characters? */
bool subscription_is_name(const char *text);

/* Is the path below the prefix that belongs to subscriptions (6)? Slashes count once, however often
   they are repeated, so that no web server or client that merges them can make a stream there. */
bool subscription_reserves(const char *path);

/* A subscription with its links, as it was read in one transaction. */
struct subscription_view {
    struct subscription row;
    struct subscription_link *link; /* pending ones first in a wake; by path otherwise */
    size_t links;
    bool more; /* there are further links */
};

/* --- create, read, delete (6.2, 6.3) --- */

struct subscription_put {
    const char *name;
    bool is_webhook;
    const char *pattern;       /* in its normal form (glob.h), or NULL */
    const char *const *stream; /* normalised paths; repeated ones count once */
    size_t streams;
    const char *url;         /* webhook */
    const char *wake_stream; /* normalised path; pull-wake */
    int64_t lease_ttl_ms;
    const char *description;  /* or NULL */
    const char *base_url;     /* scheme, host and prefix; "" if unknown */
    int64_t most;             /* subscriptions in this database: DS_MAX_SUBSCRIPTIONS */
    enum ds_status unfit;     /* DS_OK, or the verdict if there is none of this name yet, */
    const char *unfit_reason; /*   because its URL is refused, or nothing delivers webhooks */
    struct arena *arena;

    enum ds_status
        verdict;        /* DS_OK, INVALID, CONFLICT (another configuration), FORBIDDEN (unfit) */
    const char *reason; /* one line, static; NULL with DS_OK */
    bool created;       /* false: it existed, and is the same */
    struct subscription_view view;
};

enum ds_status subscription_put(struct batch *batch, struct subscription_put *put);

/* Reads in a transaction of its own, with SUBSCRIPTION_SHOWN_LINKS. DS_NOT_FOUND: there is none. */
enum ds_status subscription_read(struct store_conn *conn, struct arena *arena, const char *name,
                                 struct subscription_view *view);

struct subscription_delete {
    const char *name;

    enum ds_status verdict; /* DS_OK or NOT_FOUND */
};

enum ds_status subscription_delete(struct batch *batch, struct subscription_delete *deletion);

/* --- explicit streams (6.4) --- */

struct subscription_streams {
    const char *name;
    const char *const *stream; /* normalised paths */
    size_t streams;
    bool removes; /* takes the links away instead of adding them */

    enum ds_status verdict; /* DS_OK, NOT_FOUND (no subscription), INVALID */
    const char *reason;
};

enum ds_status subscription_streams(struct batch *batch, struct subscription_streams *streams);

/* --- wakes (7) --- */

struct subscription_claim {
    const char *name;
    const char *worker;
    struct arena *arena;

    enum ds_status
        verdict; /* DS_OK, NOT_FOUND, INVALID (a webhook), CLAIMED, IDLE (nothing pending) */
    const char *reason;
    const char *holder;            /* with CLAIMED */
    int64_t generation;            /* with DS_OK and CLAIMED */
    const char *token;             /* with DS_OK: what ack and release must show */
    struct subscription_view view; /* with DS_OK, SUBSCRIPTION_WAKE_LINKS of its links */
};

enum ds_status subscription_claim(struct batch *batch, struct subscription_claim *claim);

/* Would a claim be refused for a reason that needs no write? For callers that want to spare a
   transaction: verdict as above, DS_OK means that it must be tried. Reads in a transaction of its
   own. */
enum ds_status subscription_claim_glance(struct store_conn *conn, struct subscription_claim *claim,
                                         int64_t now);

enum subscription_reply {
    SUBSCRIPTION_CALLBACK, /* of a webhook: heartbeat, ack, done */
    SUBSCRIPTION_ACK,      /* of a pull-wake: the same */
    SUBSCRIPTION_RELEASE,  /* of a pull-wake: gives the lease back without acks */
};

/* One cursor to move. */
struct subscription_offset {
    const char *path;   /* normalised; NULL: no stream can have it */
    const char *second; /* the same without slashes at its ends, if it had any; or NULL */
    int64_t position;   /* -1: not an offset that can be acked */
};

struct subscription_answer {
    const char *name;
    enum subscription_reply reply;
    const char *token;   /* as the client sent it */
    const char *wake_id; /* NULL: not a text */
    int64_t generation;  /* -1: not a number */
    const struct subscription_offset *ack;
    size_t acks;
    bool done;

    enum ds_status verdict; /* DS_OK, NOT_FOUND, INVALID (the other type of subscription),
                               DENIED (token), FENCED, CONFLICT (an offset that cannot be acked) */
    const char *reason;
    bool next_wake; /* another wake was made in this step */
};

enum ds_status subscription_answer(struct batch *batch, struct subscription_answer *answer);

/* Writes the event of an unclaimed wake again, or has the webhook sent at once: for a person whose
   worker missed it. */
struct subscription_nudge {
    const char *name;

    enum ds_status verdict; /* DS_OK, NOT_FOUND, IDLE (nothing is pending), CLAIMED */
};

enum ds_status subscription_nudge(struct batch *batch, struct subscription_nudge *nudge);

/* --- webhooks --- */

/* One POST that is to be made. */
struct subscription_attempt {
    struct subscription_view view; /* SUBSCRIPTION_WAKE_LINKS of its links, with tails to ack */
    const char *token;
    int64_t deadline; /* wall clock: the end of the lease */
};

/*
 * Begins attempts that are due: counts them, and writes the time of the next one, so that a crash
 * neither forgets nor repeats it at once.
 */
struct subscription_begin {
    struct arena *arena;
    int64_t only; /* id of a subscription whose attempt is due; 0: the earliest ones, */
    size_t most;  /*   this many at most */

    struct subscription_attempt *attempt;
    size_t attempts;
};

enum ds_status subscription_begin(struct batch *batch, struct subscription_begin *begin);

enum subscription_outcome {
    SUBSCRIPTION_DONE,   /* answered {"done":true}: acks what the attempt showed */
    SUBSCRIPTION_TAKEN,  /* another answer of status 2xx: the receiver calls back */
    SUBSCRIPTION_FAILED, /* tried again */
};

/* The end of an attempt. Fenced like any request: it counts only if the wake is still the same. */
struct subscription_end {
    const struct subscription_attempt *attempt;
    enum subscription_outcome outcome;
    const char *failure; /* one line, for people; with FAILED */

    bool fenced;    /* it did not count */
    bool next_wake; /* another wake was made in this step */
};

enum ds_status subscription_end(struct batch *batch, struct subscription_end *end);

/*
 * Milliseconds from one attempt to the next, after this many: none after 0, then 1 s, doubled up to
 * 60 s, ±20 % by `draw`, which is in [0, 1).
 */
enum { SUBSCRIPTION_PAUSE_MOST_MS = 72000 };
int64_t subscription_backoff(int64_t attempts, double draw);

/*
 * The id that wake_publish() gets after the commit of a wake that is to be delivered: whoever
 * delivers has interest in it (wake.h). No stream has it.
 */
enum { SUBSCRIPTION_WAKE_ID = 0 };

/* --- the rest of a batch, and upkeep --- */

/*
 * At the end of a batch, before the commit: links streams that were created, notes which links have
 * become pending, and makes the wakes. Costs nothing unless the batch has touched a stream of a
 * subscription or created a stream.
 */
enum ds_status subscription_settle(struct batch *batch);

/* Ends leases that are over, and settles what a statement at the prompt has changed. *more: there
   is more to do. */
enum ds_status subscription_upkeep(struct batch *batch, bool *more);

#endif
