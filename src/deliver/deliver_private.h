/* What the files of the loop share. Everything belongs to its thread, except the bell. */
#ifndef DELIVER_PRIVATE_H
#define DELIVER_PRIVATE_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "deliver/deliver_bell.h"
#include "deliver/deliver_key.h"
#include "deliver/deliver_post.h"
#include "engine/engine.h"
#include "protocol/webhook_url.h"

enum {
    POSTS_MOST = 256,         /* under way at a time */
    POSTS_MOST_FOR_HOST = 64, /* to one host: see deliver_choice.c */
};

struct deliver {
    struct engine engine;
    struct store_conn *conn;
    CURLM *multi;
    struct webhook_rules rules;
    struct deliver_keys keys;
    struct bell bell;

    struct posts under_way; /* in libcurl */
    struct posts ended;     /* whose end is to be written */
    size_t posts;           /* in both lists */

    bool delivers;          /* has the duty, and may begin attempts */
    bool stopping;          /* begins no further attempt */
    int64_t look_at;        /* wall clock ms: when the next attempt may be due */
    int64_t look_at_all_at; /* monotonic ms: see deliver_choice.c */
};

/* Ids of subscriptions whose attempt is due at `now` (wall clock) and may begin. */
enum ds_status deliver_choose(struct deliver *deliver, struct store_conn *conn, int64_t now,
                              int64_t *ids, size_t most, size_t *n);

/* Writes the ends of POSTs, begins the attempts that are due, and starts their POSTs. */
void deliver_turn(struct deliver *deliver);

/* Ends leases that no other process has ended. A process that serves requests does this at once,
   but there may be none. */
void deliver_settle(struct deliver *deliver);

/* Ends POSTs whose subscription was deleted, or has another wake by now. */
void deliver_cancel(struct deliver *deliver);

/* Takes the POSTs that have ended from libcurl. */
void deliver_collect(struct deliver *deliver);

/* Drops every POST. */
void deliver_drop(struct deliver *deliver);

#endif
