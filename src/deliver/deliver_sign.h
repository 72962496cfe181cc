/*
 * Signatures of webhooks (protocol section 7.1): Ed25519 (RFC 8032), by libcrypto. Thread-safe.
 */
#ifndef DELIVER_SIGN_H
#define DELIVER_SIGN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/store_subscription.h"

struct buf;
struct signer; /* a private key, ready to sign */

/* Sets a new random seed, and what belongs to it. False if the system has no randomness. */
bool sign_make_key(struct webhook_key *key);

/* Sets x and kid from the seed. kid is `ds_` and the thumbprint of the public key (RFC 7638, RFC
   8037 appendix A.3). False when out of memory. */
bool sign_complete_key(struct webhook_key *key);

/* NULL when out of memory. */
struct signer *signer_new(const struct webhook_key *key);
void signer_free(struct signer *signer); /* NULL is allowed */

const char *signer_kid(const struct signer *signer);

/*
 * Appends the value of the header webhook-signature: `t=…,kid=…,ed25519=…`. text is what is signed:
 * the same number of seconds, a full stop, and the body. False when out of memory.
 */
bool sign_text(const struct signer *signer, int64_t seconds, const char *text, size_t len,
               struct buf *value);

#endif
