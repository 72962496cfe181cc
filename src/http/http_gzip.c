/*
 * gzip: see http_gzip.h.
 *
 *     Accept-Encoding = [ ( codings [ weight ] ) *( OWS "," OWS ( codings [ weight ] ) ) ]
 *     codings         = content-coding / "identity" / "*"
 *     weight          = OWS ";" OWS "q=" qvalue
 *     qvalue          = ( "0" [ "." 0*3DIGIT ] ) / ( "1" [ "." 0*3("0") ] )
 */
#include "http/http_gzip.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

#include "base/buf.h"

enum {
    LEVEL = 1,       /* the higher ones take up to three times as long for a sixth fewer bytes */
    GZIP_FORMAT = 16 /* added to the bits of the window: a gzip header instead of zlib's */
};

/* --- what the client wants --- */

/* The weights, in thousandths; -1: not named. */
struct weights {
    int gzip, identity, any;
};

static const char *skip_space(const char *at)
{
    return at + strspn(at, " \t");
}

/* Reads a qvalue. Returns where the element continues, or NULL if there is none. */
static const char *read_qvalue(const char *at, int *weight)
{
    int digit = 100;

    if (*at != '0' && *at != '1')
        return NULL;
    *weight = (*at++ - '0') * 1000;
    if (*at != '.')
        return at;
    for (at++; *at >= '0' && *at <= '9' && digit > 0; digit /= 10)
        *weight += (*at++ - '0') * digit;
    return *weight <= 1000 ? at : NULL;
}

/* Reads the weight that may follow a coding: 1 if there is none. False if something else follows.
 */
static bool read_weight(const char *at, const char *end, int *weight)
{
    *weight = 1000;
    at = skip_space(at);
    if (at == end)
        return true;
    if (*at != ';')
        return false;
    at = skip_space(at + 1);
    if (strncasecmp(at, "q=", 2) != 0)
        return false;
    at = read_qvalue(at + 2, weight);
    return at && skip_space(at) == end;
}

static bool is_coding(const char *at, size_t len, const char *name)
{
    return len == strlen(name) && strncasecmp(at, name, len) == 0;
}

/* Notes the weight of one element. If a coding is named twice, the first time counts. */
static void note_element(struct weights *weights, const char *at, const char *end)
{
    size_t len = strcspn(at, " \t;,");
    int *noted = NULL, weight;

    if (is_coding(at, len, "gzip") || is_coding(at, len, "x-gzip"))
        noted = &weights->gzip;
    else if (is_coding(at, len, "identity"))
        noted = &weights->identity;
    else if (is_coding(at, len, "*"))
        noted = &weights->any;
    if (noted && *noted < 0 && read_weight(at + len, end, &weight))
        *noted = weight;
}

bool http_gzip_is_wanted(const char *accept_encoding)
{
    struct weights weights = {-1, -1, -1};

    if (!accept_encoding)
        return false;
    for (const char *at = accept_encoding, *end; *at; at = end) {
        at += strspn(at, ", \t");
        end = at + strcspn(at, ",");
        note_element(&weights, at, end);
    }
    if (weights.gzip < 0)
        weights.gzip = weights.any;
    if (weights.identity < 0) /* always allowed, and without a weight it is no one's first choice */
        weights.identity = weights.any;
    return weights.gzip > 0 && weights.gzip >= weights.identity;
}

/* --- what is compressed --- */

bool http_gzip_suits(enum http_type_kind kind, size_t len)
{
    return kind == HTTP_TYPE_JSON && len >= HTTP_GZIP_LEAST && len <= HTTP_GZIP_MOST;
}

/* zlib's own memory, from where ours comes. */
static void *gzip_alloc(void *unused, unsigned count, unsigned size)
{
    (void)unused;
    return reallocarray(NULL, count, size);
}

static void gzip_free(void *unused, void *memory)
{
    (void)unused;
    free(memory);
}

/*
 * Begins with a window that is just as large as the text. zlib clears tables in proportion to it:
 * for a text of 1 KiB, the largest window takes 57 us, this one 6.
 */
static bool begin(z_stream *zlib, size_t len)
{
    const size_t ahead = 262; /* bytes of the window that zlib needs to look ahead */
    int bits = 9;

    while (bits < MAX_WBITS && ((size_t)1 << bits) < len + ahead)
        bits++;
    *zlib = (z_stream){.zalloc = gzip_alloc, .zfree = gzip_free};
    return deflateInit2(zlib, LEVEL, Z_DEFLATED, bits + GZIP_FORMAT, bits - 7,
                        Z_DEFAULT_STRATEGY) == Z_OK;
}

bool http_gzip_pack(struct buf *body)
{
    struct buf packed = {0};
    z_stream zlib;
    bool shorter = false;

    assert(body->len <= HTTP_GZIP_MOST);
    if (body->len == 0 || buf_failed(body) || !buf_reserve(&packed, body->len))
        return false;
    if (begin(&zlib, body->len)) {
        zlib.next_in = (unsigned char *)body->data;
        zlib.avail_in = (unsigned)body->len;
        zlib.next_out = (unsigned char *)packed.data;
        zlib.avail_out = (unsigned)body->len;
        shorter = deflate(&zlib, Z_FINISH) == Z_STREAM_END && zlib.avail_out > 0;
        packed.len = zlib.total_out;
        (void)deflateEnd(&zlib);
    }
    if (!shorter) {
        buf_close(&packed);
        return false;
    }
    buf_close(body);
    *body = packed;
    return true;
}
