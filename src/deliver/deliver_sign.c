/* Signatures of webhooks: see deliver_sign.h. */
#include "deliver/deliver_sign.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/base64.h"
#include "base/buf.h"

enum { SIGNATURE_BYTES = 64, SHA256_BYTES = 32 };

struct signer {
    EVP_PKEY *key;
    char kid[WEBHOOK_KID_SIZE];
};

/* Appends data in base64url without padding (RFC 4648 section 5). */
static void add_base64url(struct buf *buf, const unsigned char *data, size_t len)
{
    size_t from = buf->len;

    base64_add(buf, (const char *)data, len);
    for (size_t i = from; i < buf->len; i++)
        buf->data[i] = buf->data[i] == '+' ? '-' : buf->data[i] == '/' ? '_' : buf->data[i];
    while (buf->len > from && buf->data[buf->len - 1] == '=')
        buf->len--;
}

static bool take_text(struct buf *buf, char *to, size_t size)
{
    bool fits = !buf_failed(buf) && buf->len < size;

    if (fits) {
        memcpy(to, buf->data, buf->len);
        to[buf->len] = '\0';
    }
    buf_close(buf);
    return fits;
}

static EVP_PKEY *open_key(const struct webhook_key *key)
{
    return EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, key->seed, sizeof key->seed);
}

/* The members that the thumbprint covers, in their order and without white space (RFC 7638). */
static bool set_kid(struct webhook_key *key)
{
    char jwk[128];
    unsigned char digest[SHA256_BYTES];
    struct buf kid = {0};
    int len =
        snprintf(jwk, sizeof jwk, "{\"crv\":\"Ed25519\",\"kty\":\"OKP\",\"x\":\"%s\"}", key->x);

    if (len < 0 || !EVP_Digest(jwk, (size_t)len, digest, NULL, EVP_sha256(), NULL))
        return false;
    buf_adds(&kid, "ds_");
    add_base64url(&kid, digest, sizeof digest);
    return take_text(&kid, key->kid, sizeof key->kid);
}

bool sign_complete_key(struct webhook_key *key)
{
    EVP_PKEY *pkey = open_key(key);
    unsigned char public_key[WEBHOOK_KEY_BYTES];
    size_t len = sizeof public_key;
    struct buf x = {0};
    bool done = pkey && EVP_PKEY_get_raw_public_key(pkey, public_key, &len) == 1;

    EVP_PKEY_free(pkey);
    if (!done)
        return false;
    add_base64url(&x, public_key, len);
    return take_text(&x, key->x, sizeof key->x) && set_kid(key);
}

bool sign_make_key(struct webhook_key *key)
{
    return getrandom(key->seed, sizeof key->seed, 0) == (ssize_t)sizeof key->seed &&
           sign_complete_key(key);
}

struct signer *signer_new(const struct webhook_key *key)
{
    struct signer *signer = calloc(1, sizeof *signer);

    if (!signer)
        return NULL;
    memcpy(signer->kid, key->kid, sizeof signer->kid);
    signer->key = open_key(key);
    if (signer->key)
        return signer;
    free(signer);
    return NULL;
}

void signer_free(struct signer *signer)
{
    if (!signer)
        return;
    EVP_PKEY_free(signer->key);
    free(signer);
}

const char *signer_kid(const struct signer *signer)
{
    return signer->kid;
}

bool sign_text(const struct signer *signer, int64_t seconds, const char *text, size_t len,
               struct buf *value)
{
    unsigned char signature[SIGNATURE_BYTES];
    size_t size = sizeof signature;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool done = context && EVP_DigestSignInit(context, NULL, NULL, NULL, signer->key) == 1 &&
                EVP_DigestSign(context, signature, &size, (const unsigned char *)text, len) == 1;

    EVP_MD_CTX_free(context);
    if (!done)
        return false;
    buf_printf(value, "t=%lld,kid=%s,ed25519=", (long long)seconds, signer->kid);
    add_base64url(value, signature, size);
    return !buf_failed(value);
}
