/*
 * The keys that sign webhooks, in the table webhook_key. All that are in the table are published
 * (protocol section 6.5), so a key's life is:
 *
 *     made, published ──▶ signs ──────────────▶ published still ──▶ removed
 *                  300 s         as planned in                 360 s
 *                                signs_until
 *
 * The first key signs at once. A key gets a successor when somebody plans its end: dsctl
 * webhook-key rotate, or a statement at the prompt that sets signs_until. Receivers may keep the
 * set of keys for 300 s, so a successor signs only after that time, and until then the old key
 * does.
 *
 * Only the process with the duty of delivery uses these functions, in one thread.
 */
#ifndef DELIVER_KEY_H
#define DELIVER_KEY_H

#include <stddef.h>
#include <stdint.h>

#include "protocol/status.h"
#include "store/store_subscription.h"

struct signer;
struct store_conn;

enum {
    KEY_PUBLISHED_MS = 300000, /* before its first signature; max-age of the set of keys */
    KEY_KEPT_MS = 360000,      /* after its last one: receivers accept 300 s, and a margin */
};

struct deliver_keys {
    struct signer *signer; /* of the key that signs now; NULL: there is none */
};

/* Reads the keys, and does what is due: makes the first key or a successor, removes old ones.
   keys->signer signs from now on. */
enum ds_status deliver_keys_mend(struct deliver_keys *keys, struct store_conn *conn, int64_t now);

void deliver_keys_close(struct deliver_keys *keys);

/* --- the decision, for the tests: pure --- */

enum key_step {
    KEY_KEEP,    /* nothing is due */
    KEY_FIRST,   /* make a key that signs at once */
    KEY_SUCCEED, /* make a successor of the key `which` */
    KEY_REMOVE,  /* the key `which` */
};

enum key_step deliver_keys_plan(const struct webhook_key *keys, size_t n, int64_t now,
                                size_t *which);

#endif
