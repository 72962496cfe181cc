/*
 * Subscriptions as JSON (protocol sections 6.3, 7.1, 7.2): for the server's answers, webhooks and
 * the library. Pure, thread-safe. Running out of memory: see buf_failed().
 */
#ifndef SUBSCRIPTION_JSON_H
#define SUBSCRIPTION_JSON_H

#include "engine/subscription.h"

struct buf;

/* The whole subscription. kid: of the key that signs now; NULL: there is none. */
void subscription_add_json(struct buf *buf, const struct subscription_view *view, const char *kid);

/* The array `streams` of a wake: with tail_offset and has_pending. */
void subscription_add_wake_links(struct buf *buf, const struct subscription_view *view);

/* The body of a webhook. */
void subscription_add_webhook(struct buf *buf, const struct subscription_attempt *attempt);

/* The answer to a claim. */
void subscription_add_claim(struct buf *buf, const struct subscription_claim *claim);

/* The set of public keys (RFC 7517) that are published at `now`. */
void subscription_add_keys(struct buf *buf, const struct webhook_key *keys, size_t n, int64_t now);

/* The key that signs at `now`: the newest whose signs_from has passed; NULL: there is none. */
const struct webhook_key *subscription_signing_key(const struct webhook_key *keys, size_t n,
                                                   int64_t now);

/* The path of a stream as requests and answers name it, without SUBSCRIPTION_ROOT. */
const char *subscription_path(const char *path);

#endif
