/*
 * One POST of a webhook: the request, its limits, and what its answer means.
 *
 *     post_new ──▶ post_start ──▶ under way, in libcurl ──▶ post_end ──▶ outcome ──▶ post_free
 *                      └──────────── cannot be sent ───────────────────────┘
 *
 * A receiver gets neither a redirect followed nor a request through a proxy, and is bounded in
 * time, and in the length of its answer.
 */
#ifndef DELIVER_POST_H
#define DELIVER_POST_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/buf.h"
#include "deliver/deliver_guard.h"
#include "engine/subscription.h"

struct arena;
struct signer;
struct webhook_rules;

enum {
    POST_TIME_MS = 30000,      /* for the whole POST, or what is left of the lease if less */
    POST_CONNECT_MS = 10000,   /* of that, for the connection */
    POST_ANSWER_MOST = 65536,  /* bytes of the answer's head, and of its body */
    POST_FAILURE_SIZE = 200,   /* of the reason of a failure */
    POST_HOST_SIZE = 256 + 16, /* of the host in the URL */
};

struct post {
    TAILQ_ENTRY(post) link;
    struct arena *arena; /* of the attempt; freed with the post */
    struct subscription_attempt attempt;
    struct subscription_end end; /* how it ended */
    bool skipped;                /* it became needless: how it ended does not matter */

    /* private */
    CURL *easy;
    struct curl_slist *headers;
    struct buf text;   /* what is signed: a time, a full stop and the body */
    struct buf answer; /* its body */
    size_t head_bytes; /* of the answer */
    bool is_long;      /* the body was cut at POST_ANSWER_MOST */
    struct guard guard;
    char host[POST_HOST_SIZE];
    char failure[POST_FAILURE_SIZE];
    char error[CURL_ERROR_SIZE];
};

TAILQ_HEAD(posts, post);

/* Takes the arena over, in which the attempt is. NULL when out of memory, and then the arena stays
   the caller's. rules are borrowed. */
struct post *post_new(struct arena *arena, const struct subscription_attempt *attempt,
                      const struct webhook_rules *rules);

/* Adds it to the transfers of multi. False if it cannot be sent: post->end says why. */
bool post_start(struct post *post, CURLM *multi, const struct signer *signer, int64_t now);

/* The transfer has ended with this result, and was removed from its multi handle: sets
   post->end. */
void post_end(struct post *post, CURLcode result);

/* A transfer that is under way must have been removed from its multi handle. */
void post_free(struct post *post);

#endif
