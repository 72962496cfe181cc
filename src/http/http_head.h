/*
 * The head of a request as HTTP/1.1 and HTTP/1.0 send it (RFC 9112), for the door that speaks HTTP
 * itself. Pure: bytes in, slices of the same bytes out.
 *
 * The parser is strict. What two servers in a row could understand differently is refused, and the
 * connection must then be closed, because nobody knows where the next request begins: two lengths,
 * a length together with Transfer-Encoding, a sign or a space in a length, a transfer coding other
 * than `chunked`, a line that is folded, a space before a colon, a bare CR or LF, a NUL or another
 * control character, no Host or two of them in HTTP/1.1.
 */
#ifndef HTTP_HEAD_H
#define HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    HTTP_HEAD_MOST = 64 * 1024, /* bytes of a head: beyond them it is refused with 431 */
    HTTP_HEAD_FIELDS = 200,     /* header lines: beyond them it is refused with 431 */
};

enum http_parse {
    HTTP_PARSE_MORE,  /* the rest has not arrived yet */
    HTTP_PARSE_WHOLE, /* complete */
    HTTP_PARSE_BAD,   /* to be refused with `status` and `reason`, and the connection closed */
};

struct http_head {
    const char *method; /* NUL-terminated, as the texts below; they lie in the parsed bytes */
    /* Path and query; for an absolute form what follows the authority, "/" if nothing does; "*"
       and an authority as they are. */
    const char *target;
    const char *authority; /* of an absolute form, which counts before Host; else NULL */
    int minor;             /* of HTTP/1.x: 0 or 1; a higher one counts as 1 */
    bool keeps;            /* the client wants to keep the connection */
    bool chunked;          /* the body comes in chunks: http_chunked.h */
    bool expects;          /* Expect: 100-continue, by HTTP/1.1 */
    int64_t length;        /* Content-Length; -1: not sent */
    size_t len;            /* bytes of the head, the empty line included */
    int status;            /* of a refusal: 400, 414, 417, 431, 501 or 505 */
    const char *reason;    /* one line, for the same */
};

/* A header line: name and value are NUL-terminated, the value without blanks at its ends. */
struct http_field {
    const char *name, *value;
    size_t name_len, value_len;
};

/*
 * Looks for the end of a head in the first `len` bytes. *seen, 0 at first, remembers between calls
 * how far it has looked. Empty lines before a request line are allowed (RFC 9112 section 2.2), two
 * at most, and belong to the head.
 * MORE: it is not there yet, and fewer than HTTP_HEAD_MOST bytes are. BAD: what is there can never
 * become a head: too long, a control character, a bare LF, or no request line.
 */
enum http_parse http_head_find(struct http_head *head, const char *data, size_t len, size_t *seen);

/*
 * Parses the head that http_head_find() has found (WHOLE), of head->len bytes, and writes NULs into
 * it. Calls take() for each header line in turn, except for those that concern the connection only:
 * Connection, Transfer-Encoding, Content-Length, Expect, Keep-Alive, Upgrade, TE, Trailer and
 * Proxy-Connection. take() returns false to end it, when out of memory: the head is then BAD with
 * 503. Returns WHOLE or BAD.
 */
enum http_parse http_head_parse(struct http_head *head, char *data,
                                bool (*take)(void *to, const struct http_field *field), void *to);

#endif
