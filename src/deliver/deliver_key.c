/* The keys that sign webhooks: see deliver_key.h. */
#include "deliver/deliver_key.h"

#include <stdbool.h>
#include <string.h>

#include "base/log.h"
#include "deliver/deliver_sign.h"
#include "engine/subscription_json.h"
#include "store/store.h"

enum { STEPS_MOST = 2 * WEBHOOK_KEYS_MOST }; /* in one call of deliver_keys_mend() */

/* The first key that signs after this one; NULL: there is none. */
static const struct webhook_key *find_successor(const struct webhook_key *keys, size_t n,
                                                const struct webhook_key *key)
{
    const struct webhook_key *next = NULL;

    for (size_t i = 0; i < n; i++)
        if (keys[i].signs_from > key->signs_from &&
            (!next || keys[i].signs_from < next->signs_from))
            next = &keys[i];
    return next;
}

/* Has it signed its last webhook so long ago that no receiver would accept it any more? */
static bool is_old(const struct webhook_key *keys, size_t n, const struct webhook_key *key,
                   int64_t now)
{
    const struct webhook_key *next = find_successor(keys, n, key);

    return key->signs_until != 0 && now - key->signs_until > KEY_KEPT_MS && next &&
           now - next->signs_from > KEY_KEPT_MS;
}

enum key_step deliver_keys_plan(const struct webhook_key *keys, size_t n, int64_t now,
                                size_t *which)
{
    const struct webhook_key *signs = subscription_signing_key(keys, n, now);

    *which = 0;
    if (!signs)
        return n < WEBHOOK_KEYS_MOST ? KEY_FIRST : KEY_KEEP;
    *which = (size_t)(signs - keys);
    if (signs->signs_until != 0 && n < WEBHOOK_KEYS_MOST && !find_successor(keys, n, signs))
        return KEY_SUCCEED;
    for (size_t i = 0; i < n; i++)
        if (&keys[i] != signs && is_old(keys, n, &keys[i], now)) {
            *which = i;
            return KEY_REMOVE;
        }
    return KEY_KEEP;
}

static enum ds_status make_key(struct store_conn *conn, int64_t now, int64_t signs_from)
{
    struct webhook_key key = {.created_at = now, .signs_from = signs_from};
    enum ds_status status;

    if (!sign_make_key(&key)) {
        log_error("cannot make a key that signs webhooks");
        return DS_FAILED;
    }
    status = store_webhook_key_put(conn, &key);
    if (status == DS_OK)
        log_info("made the key %s, which signs webhooks%s", key.kid,
                 signs_from > now ? " in five minutes" : "");
    explicit_bzero(key.seed, sizeof key.seed);
    return status;
}

/* The successor first: if this process dies in between, the old key only keeps its planned end. */
static enum ds_status succeed(struct store_conn *conn, const struct webhook_key *key, int64_t now)
{
    struct webhook_key old = *key;
    enum ds_status status = make_key(conn, now, now + KEY_PUBLISHED_MS);

    old.signs_until = now + KEY_PUBLISHED_MS;
    return status == DS_OK ? store_webhook_key_put(conn, &old) : status;
}

static enum ds_status remove_key(struct store_conn *conn, const struct webhook_key *key)
{
    enum ds_status status = store_webhook_key_delete(conn, key->kid);

    if (status == DS_OK)
        log_info("removed the key %s, which signed webhooks until five minutes ago", key->kid);
    return status;
}

static enum ds_status use_key(struct deliver_keys *keys, const struct webhook_key *key)
{
    if (keys->signer && strcmp(signer_kid(keys->signer), key->kid) == 0)
        return DS_OK;
    signer_free(keys->signer);
    keys->signer = signer_new(key);
    return keys->signer ? DS_OK : DS_NO_MEMORY;
}

enum ds_status deliver_keys_mend(struct deliver_keys *keys, struct store_conn *conn, int64_t now)
{
    struct webhook_key key[WEBHOOK_KEYS_MOST];
    enum ds_status status = DS_OK;
    enum key_step step = KEY_FIRST;
    size_t n = 0, which = 0;

    for (int i = 0; status == DS_OK && step != KEY_KEEP && i < STEPS_MOST; i++) {
        status = store_webhook_keys(conn, key, &n);
        step = status == DS_OK ? deliver_keys_plan(key, n, now, &which) : KEY_KEEP;
        if (step == KEY_FIRST)
            status = make_key(conn, now, now);
        else if (step == KEY_SUCCEED)
            status = succeed(conn, &key[which], now);
        else if (step == KEY_REMOVE)
            status = remove_key(conn, &key[which]);
    }
    if (status == DS_OK && step == KEY_KEEP)
        status = use_key(keys, &key[which]);
    explicit_bzero(key, sizeof key);
    return status;
}

void deliver_keys_close(struct deliver_keys *keys)
{
    signer_free(keys->signer);
    keys->signer = NULL;
}
