/*
 * Paths as file names: base64url (RFC 4648 section 5) without padding. The protocol's Node server
 * names the folders of its streams like this, so its tools understand our names.
 *
 *     up to 150 bytes   base64url, up to 200 characters
 *     longer            its first 180 characters  ~  16 hexadecimal digits of the path's SHA-256
 *
 * '~' occurs in no base64url text. Must hold: decoding gives the path back unless it was hashed.
 */
#include <sha2.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/buf.h"
#include "base/utf8.h"
#include "durable_streams.h"

enum { WHOLE_MAX = 200, KEPT = 180, KEPT_BYTES = KEPT / 4 * 3, HASH_DIGITS = 16 };

/* The text of the buffer, which is closed; NULL: memory ran out. */
static char *take_text(struct buf *buf)
{
    size_t unused;

    buf_addc(buf, '\0');
    if (!buf_failed(buf))
        return buf_take(buf, &unused);
    buf_close(buf);
    return NULL;
}

/* base64 in its alphabet for file names, without padding. */
static void encode_name(struct buf *out, const char *data, size_t len)
{
    base64_add(out, data, len);
    while (out->len > 0 && out->data[out->len - 1] == '=')
        out->len--;
    for (size_t i = 0; i < out->len; i++)
        out->data[i] = out->data[i] == '+' ? '-' : out->data[i] == '/' ? '_' : out->data[i];
}

char *ds_path_encode(const char *path)
{
    size_t len = strlen(path);
    bool hashed = (len * 4 + 2) / 3 > WHOLE_MAX;
    char digest[SHA256_DIGEST_STRING_LENGTH];
    struct buf out = {0};

    encode_name(&out, path, hashed ? KEPT_BYTES : len);
    if (hashed) {
        (void)SHA256Data((const uint8_t *)path, len, digest);
        buf_addc(&out, '~');
        buf_add(&out, digest, HASH_DIGITS);
    }
    return take_text(&out);
}

/* The length without a hash and its "~" at the end. */
static size_t without_hash(const char *encoded)
{
    const char *tilde = strrchr(encoded, '~');

    if (tilde && strlen(tilde + 1) == HASH_DIGITS &&
        strspn(tilde + 1, "0123456789abcdef") == HASH_DIGITS)
        return (size_t)(tilde - encoded);
    return strlen(encoded);
}

/* The six bits of a character of either alphabet of base64; -1 for any other. */
static int sextet(char c)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const char *at = strchr(alphabet, c == '+' ? '-' : c == '/' ? '_' : c);

    return at && *at ? (int)(at - alphabet) : -1;
}

/* Tolerant, as the Node server is: skips foreign characters, ends at '='. */
static void decode_name(struct buf *out, const char *text, size_t len)
{
    uint32_t bits = 0;
    int held = 0;

    for (size_t i = 0; i < len && text[i] != '='; i++) {
        int value = sextet(text[i]);

        if (value < 0)
            continue;
        bits = bits << 6 | (uint32_t)value;
        held += 6;
        if (held >= 8) {
            held -= 8;
            buf_addc(out, (char)(bits >> held & 255));
        }
    }
}

char *ds_path_decode(const char *encoded)
{
    struct buf bytes = {0}, out = {0};

    decode_name(&bytes, encoded, without_hash(encoded));
    utf8_add_lossy(&out, bytes.data, bytes.len); /* a shortened path may end within a character */
    out.failed |= buf_failed(&bytes);
    buf_close(&bytes);
    return take_text(&out);
}
