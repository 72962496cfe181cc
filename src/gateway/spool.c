/* Collects FastCGI requests: see spool.h. */
#include "gateway/spool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"
#include "config/config.h"
#include "gateway/half_read.h"

/* --- opening and closing --- */

void spool_open(struct spool *spool, const struct config *config)
{
    *spool = (struct spool){.config = config};
}

void spool_reset(struct spool *spool)
{
    const struct config *config = spool->config;
    struct buf params = spool->params;

    spool->params = (struct buf){0};
    spool_close(spool);
    spool_open(spool, config);
    buf_clear(&params);
    spool->params = params;
}

void spool_close(struct spool *spool)
{
    half_read_end(&spool->held);
    buf_close(&spool->params);
    buf_close(&spool->body);
}

struct spool *spool_keep(struct spool *spool)
{
    struct spool *kept = malloc(sizeof *kept);

    if (!kept)
        return NULL;
    *kept = *spool;
    spool_open(spool, kept->config);
    return kept;
}

void spool_free(struct spool *spool)
{
    if (!spool)
        return;
    spool_close(spool);
    free(spool);
}

/* --- content --- */

/* Notes why the request will be refused; the rest of its body is discarded. */
static void refuse_request(struct spool *spool, enum spool_trouble trouble)
{
    /* "too large" replaces "no room": trying again would not help */
    if (spool->trouble == SPOOL_FINE ||
        (spool->trouble == SPOOL_NO_ROOM && trouble == SPOOL_TOO_LARGE))
        spool->trouble = trouble;
    if (trouble == SPOOL_NO_MEMORY || trouble == SPOOL_TOO_MANY)
        buf_close(&spool->params);
    buf_close(&spool->body);
}

static void keep_in(struct spool *spool, struct buf *buf, const char *data, size_t len)
{
    buf_add(buf, data, len);
    if (buf_failed(buf))
        refuse_request(spool, SPOOL_NO_MEMORY);
}

static void keep_param(struct spool *spool, const char *data, size_t len)
{
    if (spool->params.len + len > SPOOL_MOST_PARAMS)
        refuse_request(spool, SPOOL_TOO_MANY);
    else if (spool->trouble == SPOOL_FINE)
        keep_in(spool, &spool->params, data, len);
}

static void keep_body(struct spool *spool, const char *data, size_t len)
{
    spool->body_len += (int64_t)len;
    if (spool->body_len > spool->config->max_body_bytes)
        refuse_request(spool, SPOOL_TOO_LARGE);
    else if (spool->trouble == SPOOL_FINE)
        keep_in(spool, &spool->body, data, len);
}

/* Questions are short. If one is longer than SPOOL_SMALL, only its beginning is answered. */
static void keep_small(struct spool *spool, const char *data, size_t len)
{
    if (len > SPOOL_SMALL - spool->small_len)
        len = SPOOL_SMALL - spool->small_len;
    memcpy(spool->small + spool->small_len, data, len);
    spool->small_len += len;
}

static void keep_content(struct spool *spool, const char *data, size_t len)
{
    switch (spool->into) {
    case SPOOL_INTO_PARAMS:
        keep_param(spool, data, len);
        break;
    case SPOOL_INTO_BODY:
        keep_body(spool, data, len);
        break;
    case SPOOL_INTO_SMALL:
        keep_small(spool, data, len);
        break;
    case SPOOL_NOWHERE:
        break;
    }
}

static void count_held(struct spool *spool)
{
    int64_t holds = (int64_t)(spool->params.len + spool->body.len);

    if (half_read_count(spool->config, &spool->held, holds) || spool->trouble != SPOOL_FINE)
        return;
    refuse_request(spool, SPOOL_NO_ROOM);
    count_held(spool);
}

/* --- records --- */

/* The header is complete. False if it cannot be part of a request. */
static bool begin_record(struct spool *spool)
{
    struct fcgi_record record = fcgi_record_read(spool->header);

    spool->content = record.content;
    spool->padding = record.padding;
    spool->into = SPOOL_NOWHERE;
    spool->small_len = 0;
    if (record.version != FCGI_VERSION_1)
        return false;
    if (record.id == FCGI_NULL_REQUEST_ID) { /* a question about the server */
        spool->into = SPOOL_INTO_SMALL;
        return record.type != FCGI_BEGIN_REQUEST;
    }
    if (record.type == FCGI_BEGIN_REQUEST) {
        /* a second request before the end of the first is wrong: FCGI_MPXS_CONNS is 0 */
        spool->into = SPOOL_INTO_SMALL;
        spool->id = record.id;
        return spool->part == SPOOL_BEGIN && spool->content == FCGI_BEGIN_LEN;
    }
    if (spool->part == SPOOL_BEGIN || record.id != spool->id)
        return true; /* a record of another request is skipped */
    spool->into = spool->part == SPOOL_PARAMS ? SPOOL_INTO_PARAMS : SPOOL_INTO_BODY;
    /* any other type is wrong here; after FCGI_ABORT_REQUEST nobody waits for an answer */
    return record.type == (spool->part == SPOOL_PARAMS ? FCGI_PARAMS : FCGI_STDIN);
}

static bool begin_request(struct spool *spool)
{
    const unsigned char *begin = spool->small;

    spool->keep = (begin[2] & FCGI_KEEP_CONN) != 0;
    spool->part = SPOOL_PARAMS;
    return (begin[0] << 8 | begin[1]) == FCGI_RESPONDER;
}

/* Names and values; two lengths precede each pair (FastCGI 1.0, section 3.4). */
struct pairs {
    const unsigned char *data;
    size_t len, at; /* at: where the next pair begins */
};

struct pair {
    size_t name, name_len, value_len; /* the value follows the name */
};

/* A length has one byte, or four if the highest bit of the first one is set. */
static bool read_length(struct pairs *pairs, size_t *length)
{
    const unsigned char *byte = pairs->data + pairs->at;
    size_t left = pairs->len - pairs->at, size = left > 0 && byte[0] & 0x80 ? 4 : 1;

    if (left < size)
        return false;
    *length = size == 1 ? byte[0]
                        : (size_t)(byte[0] & 0x7f) << 24 | (size_t)byte[1] << 16 |
                              (size_t)byte[2] << 8 | byte[3];
    pairs->at += size;
    return true;
}

/* False if there is no pair, or only a part of one. */
static bool read_pair(struct pairs *pairs, struct pair *pair)
{
    if (!read_length(pairs, &pair->name_len) || !read_length(pairs, &pair->value_len))
        return false;
    pair->name = pairs->at;
    /* each has 31 bits at most: the sum cannot overflow */
    if (pair->name_len + pair->value_len > pairs->len - pairs->at)
        return false;
    pairs->at += pair->name_len + pair->value_len;
    return true;
}

static void add_reply(struct spool *spool, const void *data, size_t len)
{
    if (len > SPOOL_SMALL - spool->reply_len)
        len = SPOOL_SMALL - spool->reply_len; /* never: answer_question() leaves enough room */
    memcpy(spool->reply + spool->reply_len, data, len);
    spool->reply_len += len;
}

static void add_header(struct spool *spool, int type, size_t len)
{
    unsigned char header[FCGI_HEADER_LEN];

    fcgi_record_write(header, type, FCGI_NULL_REQUEST_ID, len, 0);
    add_reply(spool, header, sizeof header);
}

static bool is_asked(const struct spool *spool, const char *name)
{
    struct pairs pairs = {spool->small, spool->small_len, 0};
    struct pair pair;

    while (read_pair(&pairs, &pair))
        if (pair.name_len == strlen(name) &&
            memcmp(spool->small + pair.name, name, pair.name_len) == 0)
            return true;
    return false;
}

/* Answers each known value that was asked for, once (FastCGI 1.0, section 4.1). */
static void answer_values(struct spool *spool)
{
    static const char *const names[] = {FCGI_MAX_CONNS, FCGI_MAX_REQS, FCGI_MPXS_CONNS};
    char values[SPOOL_SMALL];
    size_t len = 0;

    for (size_t i = 0; i < 3; i++) {
        char value[24];
        int digits = snprintf(value, sizeof value, "%lld",
                              i < 2 ? (long long)spool->config->max_parked : 0LL);

        if (is_asked(spool, names[i]))
            len += (size_t)snprintf(values + len, sizeof values - len, "%c%c%s%s",
                                    (char)strlen(names[i]), (char)digits, names[i], value);
    }
    add_header(spool, FCGI_GET_VALUES_RESULT, len);
    add_reply(spool, values, len);
}

static bool answer_question(struct spool *spool, int type)
{
    const char unknown[FCGI_UNKNOWN_LEN] = {(char)type};

    if (spool->reply_len > SPOOL_SMALL / 2)
        return false; /* no web server asks so many questions at once */
    if (type == FCGI_GET_VALUES) {
        answer_values(spool);
    } else {
        add_header(spool, FCGI_UNKNOWN_TYPE, sizeof unknown);
        add_reply(spool, unknown, sizeof unknown);
    }
    return true;
}

/* The record is complete. */
static bool end_record(struct spool *spool)
{
    struct fcgi_record record = fcgi_record_read(spool->header);

    spool->header_len = 0;
    if (spool->into == SPOOL_INTO_PARAMS && record.content == 0)
        spool->part = SPOOL_BODY;
    else if (spool->into == SPOOL_INTO_BODY && record.content == 0)
        spool->part = SPOOL_END;
    else if (spool->into == SPOOL_INTO_SMALL)
        return record.type == FCGI_BEGIN_REQUEST ? begin_request(spool)
                                                 : answer_question(spool, record.type);
    return true;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Takes data up to the end of a header, content or padding. False: this is not a request. */
static bool take_piece(struct spool *spool, const char *data, size_t len, size_t *took)
{
    if (spool->header_len < sizeof spool->header) {
        *took = smaller(len, sizeof spool->header - spool->header_len);
        memcpy(spool->header + spool->header_len, data, *took);
        spool->header_len += *took;
        if (spool->header_len < sizeof spool->header)
            return true;
        if (!begin_record(spool))
            return false;
    } else if (spool->content > 0) {
        *took = smaller(len, spool->content);
        keep_content(spool, data, *took);
        spool->content -= *took;
    } else {
        *took = smaller(len, spool->padding);
        spool->padding -= *took;
    }
    return spool->content > 0 || spool->padding > 0 || end_record(spool);
}

enum spool_state spool_take(struct spool *spool, const char *data, size_t len)
{
    static _Atomic int64_t next_line;
    size_t took = 0;

    for (; len > 0; data += took, len -= took)
        if (spool->part == SPOOL_END || !take_piece(spool, data, len, &took)) {
            if (fcgi_record_read(spool->header).type != FCGI_ABORT_REQUEST &&
                log_is_due(&next_line))
                log_warn("the web server sent something other than a FastCGI request to a "
                         "responder: the connection is closed");
            return SPOOL_GONE;
        }
    return spool->part == SPOOL_END ? SPOOL_WHOLE : SPOOL_MORE;
}

static bool send_reply(struct spool *spool, int fd)
{
    size_t len = spool->reply_len;

    spool->reply_len = 0;
    return len == 0 || send(fd, spool->reply, len, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)len;
}

enum spool_state spool_fill(struct spool *spool, int fd, char *room, size_t size)
{
    enum spool_state state = SPOOL_MORE;

    /* at most 64 reads: other connections must not wait until a large body has been read */
    for (int i = 0; i < 64 && state == SPOOL_MORE; i++) {
        ssize_t n = recv(fd, room, size, MSG_DONTWAIT);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return SPOOL_MORE;
        if (n <= 0)
            return SPOOL_GONE;
        state = spool_take(spool, room, (size_t)n);
        if (state == SPOOL_MORE)
            count_held(spool);
        if (!send_reply(spool, fd))
            return SPOOL_GONE;
    }
    return state;
}

/* --- parameters --- */

enum spool_next spool_next(struct spool *spool, size_t *at, struct spool_param *param)
{
    struct pairs pairs = {(const unsigned char *)spool->params.data, spool->params.len, *at};
    struct pair pair;
    size_t len;
    char *text;

    if (*at >= spool->params.len)
        return SPOOL_NO_PARAM;
    if (!read_pair(&pairs, &pair))
        return SPOOL_MALFORMED;
    *at = pairs.at;
    len = pair.name_len + pair.value_len;
    /* moves the pair over its lengths by one byte, which makes room for the NUL */
    text = memmove(spool->params.data + pair.name - 1, spool->params.data + pair.name, len);
    text[len] = '\0';
    param->name = text;
    param->name_len = pair.name_len;
    param->value = text + pair.name_len;
    return memchr(text, '\0', len) ? SPOOL_MALFORMED : SPOOL_PARAM;
}
