/*
 * A FastCGI client as small as can be: requests into records, answers out of them. For unit tests
 * and fuzz targets, which play the web server.
 */
#ifndef FCGI_CLIENT_H
#define FCGI_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"

/* FastCGI 1.0, section 8 */
enum {
    FCGI_BEGIN = 1,
    FCGI_END = 3,
    FCGI_PARAMS = 4,
    FCGI_STDIN = 5,
    FCGI_STDOUT = 6,
    FCGI_STDERR = 7,
    FCGI_VALUES_RESULT = 10,
    FCGI_UNKNOWN_TYPE = 11,
    FCGI_HEADER = 8,
    FCGI_CONTENT_MAX = 65528,
};

static inline void fcgi_add_record(struct buf *out, int type, const void *content, size_t len)
{
    const char header[FCGI_HEADER] = {1, (char)type, 0, 1, (char)(len >> 8), (char)len, 0, 0};

    buf_add(out, header, sizeof header);
    buf_add(out, content, len);
}

static inline void fcgi_add_length(struct buf *params, size_t len)
{
    if (len >= 128) {
        buf_addc(params, (char)(len >> 24 | 0x80));
        buf_addc(params, (char)(len >> 16));
        buf_addc(params, (char)(len >> 8));
    }
    buf_addc(params, (char)len);
}

static inline void fcgi_add_param(struct buf *params, const char *name, size_t name_len,
                                  const char *value, size_t len)
{
    fcgi_add_length(params, name_len);
    fcgi_add_length(params, len);
    buf_add(params, name, name_len);
    buf_add(params, value, len);
}

/* A stream of records of one type, and the empty one that ends it. */
static inline void fcgi_add_stream(struct buf *out, int type, const char *content, size_t len)
{
    while (len > 0) {
        size_t piece = len < FCGI_CONTENT_MAX ? len : FCGI_CONTENT_MAX;

        fcgi_add_record(out, type, content, piece);
        content += piece;
        len -= piece;
    }
    fcgi_add_record(out, type, "", 0);
}

/* A whole request on a connection that is kept. */
static inline void fcgi_add_request(struct buf *out, const struct buf *params, const char *body,
                                    size_t len)
{
    fcgi_add_record(out, FCGI_BEGIN, "\0\1\1\0\0\0\0\0", 8); /* a responder, keep the connection */
    fcgi_add_stream(out, FCGI_PARAMS, params->data ? params->data : "", params->len);
    fcgi_add_stream(out, FCGI_STDIN, body, len);
}

/* What has come so far. */
struct fcgi_answer {
    struct buf text; /* the contents of STDOUT: header lines, an empty line, the body */
    bool ended;      /* END_REQUEST is there */
    int status;      /* 0: its line is not there */
    size_t head;     /* length of the header lines with the empty one; 0: they have not ended */
    int64_t length;  /* Content-Length; -1: not said */
};

/* The value of a header line, up to its CR; NULL when there is none. */
static inline const char *fcgi_header(const struct fcgi_answer *answer, const char *name)
{
    const char *at = answer->text.data, *end = at + answer->head;
    size_t len = strlen(name);

    while (answer->head > 0 && at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));

        if ((size_t)(stop - at) > len + 2 && memcmp(at, name, len) == 0 && at[len] == ':')
            return at + len + 2;
        at = stop + 1;
    }
    return NULL;
}

static inline int64_t fcgi_number(const char *text)
{
    int64_t number = 0;

    if (!text)
        return -1;
    for (; *text >= '0' && *text <= '9'; text++)
        number = number * 10 + (*text - '0');
    return number;
}

/* NULL, or what no web server would take in the head. */
static inline const char *fcgi_judge_head(struct fcgi_answer *answer)
{
    const char *text = answer->text.data, *at = text, *stop;
    size_t len = answer->text.len;

    for (;; at = stop + 2) {
        stop = memmem(at, len - (size_t)(at - text), "\r\n", 2);
        if (!stop)
            return answer->ended ? "the header lines do not end" : NULL;
        for (const char *c = at; c < stop; c++)
            if ((unsigned char)*c < ' ' || *c == 0x7F)
                return "a control character in a header line";
        if (stop == at)
            break;
        if (!memchr(at, ':', (size_t)(stop - at)) || *at == ':')
            return "a header line without a name";
    }
    answer->head = (size_t)(stop + 2 - text);
    answer->status = (int)fcgi_number(fcgi_header(answer, "Status"));
    answer->length = fcgi_number(fcgi_header(answer, "Content-Length"));
    return answer->status < 200 || answer->status > 599 ? "no status" : NULL;
}

/*
 * Takes the records apart, as many as have come whole. NULL, or what is wrong with them; answer is
 * the first one, of which the text is to be closed.
 */
static inline const char *fcgi_parse(const struct buf *got, struct fcgi_answer *answer)
{
    size_t at = 0, left;

    *answer = (struct fcgi_answer){.length = -1};
    for (; !answer->ended && got->len - at >= FCGI_HEADER; at += FCGI_HEADER + left) {
        const unsigned char *header = (const unsigned char *)got->data + at;
        size_t content = (size_t)header[4] << 8 | header[5];

        left = content + header[6];
        if (header[0] != 1)
            return "a record of another version";
        if (got->len - at - FCGI_HEADER < left)
            break;
        if (header[1] == FCGI_STDOUT)
            buf_add(&answer->text, header + FCGI_HEADER, content);
        else if (header[1] == FCGI_END && content == 8)
            answer->ended = true;
        else if (header[1] == FCGI_VALUES_RESULT || header[1] == FCGI_UNKNOWN_TYPE)
            continue;
        else if (header[1] != FCGI_STDERR)
            return "a record that no responder sends";
    }
    return answer->text.len > 0 ? fcgi_judge_head(answer) : NULL;
}

#endif
