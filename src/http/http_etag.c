/*
 * If-None-Match: see http_etag.h.
 *
 *     If-None-Match = "*" / [ entity-tag *( OWS "," OWS [ entity-tag ] ) ]
 *     entity-tag    = [ "W/" ] DQUOTE *etagc DQUOTE
 *
 * A tag may hold commas, so the list cannot be cut at them. A web server in front that compresses
 * our answer must give it another tag (RFC 9110 section 8.8.3.3), and hands us that one back when
 * the client asks again; were it not recognised, compressed answers would never become 304.
 *
 * Must hold: a tag of other data never matches. A needless 200 costs a transfer, a wrong 304 data.
 */
#include "http/http_etag.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

static const char *skip_space(const char *at)
{
    return at + strspn(at, " \t");
}

/* The inside of the quotes at `at`, and where the list goes on; NULL when that is no tag. */
static const char *read_tag(const char *at, const char **inside, size_t *len)
{
    if (at[0] == 'W' && at[1] == '/') /* case-sensitive; weak comparison takes no notice of it */
        at += 2;
    if (*at != '"')
        return NULL;
    *inside = ++at;
    while (*at != '"') {
        if ((unsigned char)*at <= 0x20 || *at == 0x7F) /* the final NUL as well */
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
    if (*at == '*') /* any representation will do, but only where "*" is all there is */
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
