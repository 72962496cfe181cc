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

/* The configuration in its normal form, by which a later request is compared: paths in full. */
void subscription_add_config(struct buf *buf, const struct subscription *row,
                             const char *const *streams, size_t n);

/* The array `streams` of a wake: with tail_offset and has_pending. */
void subscription_add_wake_links(struct buf *buf, const struct subscription_view *view);

/* The event of a wake on its wake stream. stream: the path that it names, without the root. */
void subscription_add_event_json(struct buf *buf, const struct subscription *row,
                                 const char *stream, int64_t now);

/* The body of a webhook. */
void subscription_add_webhook(struct buf *buf, const struct subscription_attempt *attempt);

/* The answer to a claim. */
void subscription_add_claim(struct buf *buf, const struct subscription_claim *claim);

/* The set of public keys (RFC 7517). */
void subscription_add_keys(struct buf *buf, const struct webhook_key *keys, size_t n);

/* The key that signs at `now`: the newest whose signs_from has passed; NULL: there is none. */
const struct webhook_key *subscription_signing_key(const struct webhook_key *keys, size_t n,
                                                   int64_t now);

/* The path of a stream as requests and answers name it, without SUBSCRIPTION_ROOT. */
const char *subscription_path(const char *path);

#endif
