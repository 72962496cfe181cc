/*
 * A minimal FastCGI client: makes records of requests, and reads answers from records. For unit
 * tests, fuzz targets and proofs that act as the web server.
 */
#ifndef FCGI_CLIENT_H
#define FCGI_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "exchange/fcgi_record.h"

static inline void fcgi_add_record(struct buf *out, int type, const void *content, size_t len)
{
    unsigned char header[FCGI_HEADER_LEN];

    fcgi_record_write(header, type, 1, len, 0);
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

/* Adds a stream of records of one type, with the empty record that ends it. */
static inline void fcgi_add_stream(struct buf *out, int type, const char *content, size_t len)
{
    while (len > 0) {
        size_t piece = len < FCGI_FULL_CONTENT ? len : FCGI_FULL_CONTENT;

        fcgi_add_record(out, type, content, piece);
        content += piece;
        len -= piece;
    }
    fcgi_add_record(out, type, "", 0);
}

/* Adds a whole request that keeps the connection open. */
static inline void fcgi_add_request(struct buf *out, const struct buf *params, const char *body,
                                    size_t len)
{
    fcgi_add_record(out, FCGI_BEGIN_REQUEST, "\0\1\1\0\0\0\0\0",
                    FCGI_BEGIN_LEN); /* FCGI_RESPONDER, FCGI_KEEP_CONN */
    fcgi_add_stream(out, FCGI_PARAMS, params->data ? params->data : "", params->len);
    fcgi_add_stream(out, FCGI_STDIN, body, len);
}

/* The part of an answer that has arrived. */
struct fcgi_answer {
    struct buf text; /* the content of STDOUT: header lines, an empty line, the body */
    bool ended;      /* END_REQUEST has arrived */
    int status;      /* 0: there is no Status line */
    size_t head;     /* length of the header lines with the empty line; 0: incomplete */
    int64_t length;  /* Content-Length; -1: none */
};

/* The value of a header line, which ends at the CR; NULL if there is no such line. */
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

/* Parses the header lines. Returns NULL, or why a web server would refuse them. */
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
 * Parses the records that have arrived in full, up to the end of the first answer. Returns NULL, or
 * what is wrong with them. The caller closes answer->text.
 */
static inline const char *fcgi_parse(const struct buf *got, struct fcgi_answer *answer)
{
    size_t at = 0, left;

    *answer = (struct fcgi_answer){.length = -1};
    for (; !answer->ended && got->len - at >= FCGI_HEADER_LEN; at += FCGI_HEADER_LEN + left) {
        const unsigned char *header = (const unsigned char *)got->data + at;
        struct fcgi_record record = fcgi_record_read(header);

        left = record.content + record.padding;
        if (record.version != FCGI_VERSION_1)
            return "a record of another version";
        if (got->len - at - FCGI_HEADER_LEN < left)
            break;
        if (record.type == FCGI_STDOUT)
            buf_add(&answer->text, header + FCGI_HEADER_LEN, record.content);
        else if (record.type == FCGI_END_REQUEST && record.content == FCGI_END_LEN)
            answer->ended = true;
        else if (record.type == FCGI_GET_VALUES_RESULT || record.type == FCGI_UNKNOWN_TYPE)
            continue;
        else if (record.type != FCGI_STDERR)
            return "a record that no responder sends";
    }
    return answer->text.len > 0 ? fcgi_judge_head(answer) : NULL;
}

#endif
