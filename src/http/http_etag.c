/*
 * If-None-Match: see http_etag.h.
 *
 *     If-None-Match = "*" / [ entity-tag *( OWS "," OWS [ entity-tag ] ) ]
 *     entity-tag    = [ "W/" ] DQUOTE *etagc DQUOTE
 *
 * A tag may contain commas, so the list cannot be split at them. A web server that compresses our
 * answer must give it another tag (RFC 9110 section 8.8.3.3) and passes that tag to us when the
 * client asks again. Without recognising it, we would never answer 304 to such a client.
 *
 * Must hold: the tag of other data never matches. A needless 200 costs a transfer; a wrong 304
 * hides data from the client.
 */
#include "http/http_etag.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

static const char *skip_space(const char *at)
{
    return at + strspn(at, " \t");
}

/* Reads the tag at `at`: its text without quotes. Returns where the list continues, or NULL if
   there is no tag. */
static const char *read_tag(const char *at, const char **inside, size_t *len)
{
    if (at[0] == 'W' && at[1] == '/') /* case-sensitive; weak comparison ignores it */
        at += 2;
    if (*at != '"')
        return NULL;
    *inside = ++at;
    while (*at != '"') {
        if ((unsigned char)*at <= 0x20 || *at == 0x7F) /* includes the final NUL */
            return NULL;
        at++;
    }
    *len = (size_t)(at - *inside);
    at = skip_space(at + 1);
    return *at == ',' || *at == '\0' ? at : NULL;
}

static bool is_coding_suffix(const char *text, size_t len)
{
    static const char *const suffix[] = {"-gzip", "-br", "-deflate", "-zstd"};

    for (size_t i = 0; i < sizeof suffix / sizeof *suffix; i++)
        if (len == strlen(suffix[i]) && memcmp(text, suffix[i], len) == 0)
            return true;
    return false;
}

bool http_etag_matches(const char *if_none_match, const char *etag)
{
    const char *ours = etag + 1, *at = skip_space(if_none_match), *tag;
    size_t ours_len = strlen(etag) - 2, len; /* without its quotes */

    assert(etag[0] == '"' && etag[1] != '\0');
    if (*at == '*') /* matches every representation, if "*" is the whole value */
        return *skip_space(at + 1) == '\0';
    while (*at != '\0') {
        if (*at == ',') { /* an empty element (RFC 9110 section 5.6.1.2) */
            at = skip_space(at + 1);
            continue;
        }
        at = read_tag(at, &tag, &len);
        if (!at)
            return false;
        if (len >= ours_len && memcmp(tag, ours, ours_len) == 0 &&
            (len == ours_len || is_coding_suffix(tag + ours_len, len - ours_len)))
            return true;
    }
    return false;
}
