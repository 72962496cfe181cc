/* Writes answers as FastCGI records or as plain bytes, and never blocks: see peer.h. */
#include "exchange/peer.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

#include "base/buf.h"
#include "base/clock.h"

/* An empty STDOUT record and END_REQUEST. */
enum { END_LEN = 2 * FCGI_HEADER_LEN + FCGI_END_LEN };

/* The limits of one sendmsg(): 32 records, which is 2 MB if they are full. */
enum { IOVS = 64, HEADERS = 32 };

/* Bytes of the lines that an HTTP head gets besides, and of a chunk's size with its line end. */
enum { LINES_SIZE = 160, CHUNK_SIZE = 20 };

struct chunk *chunk_take(struct buf *buf)
{
    struct chunk *chunk = buf_failed(buf) ? NULL : malloc(sizeof *chunk);

    if (!chunk) {
        buf_close(buf);
        return NULL;
    }
    chunk->refs = 1;
    chunk->data = buf_take(buf, &chunk->len);
    return chunk;
}

struct chunk *chunk_ref(struct chunk *chunk)
{
    chunk->refs++;
    return chunk;
}

void chunk_unref(struct chunk *chunk)
{
    if (!chunk || --chunk->refs > 0)
        return;
    free(chunk->data);
    free(chunk);
}

void outgoing_add(struct outgoing *out, struct chunk *chunk)
{
    if (chunk->len == 0) /* an empty STDOUT record would end the answer */
        chunk_unref(chunk);
    else
        out->chunk[out->chunks++] = chunk;
}

void outgoing_clear(struct outgoing *out)
{
    for (int i = 0; i < out->chunks; i++)
        chunk_unref(out->chunk[i]);
    *out = (struct outgoing){0};
}

int64_t outgoing_bytes(const struct outgoing *out)
{
    int64_t bytes = 0;

    for (int i = 0; i < out->chunks; i++)
        bytes += (int64_t)out->chunk[i]->len;
    return bytes;
}

/* The pieces of one sendmsg(). */
struct batch {
    struct iovec iov[IOVS];
    unsigned char header[HEADERS][FCGI_HEADER_LEN];
    unsigned char end[END_LEN];
    char lines[LINES_SIZE];                 /* HTTP: the last lines of the head */
    char size[OUTGOING_CHUNKS][CHUNK_SIZE]; /* HTTP: the sizes of chunks */
    int iovs, headers;
    size_t skip; /* bytes that were sent before, and are left out */
    size_t all;  /* HTTP: bytes that were added, with those that were sent before */
};

static bool batch_is_full(const struct batch *batch)
{
    return batch->iovs > IOVS - 2 || batch->headers == HEADERS;
}

static void batch_add(struct batch *batch, const void *data, size_t len)
{
    if (batch->skip >= len) {
        batch->skip -= len;
        return;
    }
    batch->iov[batch->iovs].iov_base = (char *)(uintptr_t)data + batch->skip;
    batch->iov[batch->iovs].iov_len = len - batch->skip;
    batch->iovs++;
    batch->skip = 0;
}

static void batch_add_records(struct batch *batch, const struct peer *peer,
                              const struct chunk *chunk)
{
    for (size_t at = 0; at < chunk->len && !batch_is_full(batch); at += PEER_RECORD) {
        size_t len = chunk->len - at < PEER_RECORD ? chunk->len - at : PEER_RECORD;
        unsigned char *header = batch->header[batch->headers];

        if (batch->skip >= FCGI_HEADER_LEN + len) { /* sent before: takes up no header */
            batch->skip -= FCGI_HEADER_LEN + len;
            continue;
        }
        fcgi_record_write(header, FCGI_STDOUT, peer->request_id, len, 0);
        batch->headers++;
        batch_add(batch, header, FCGI_HEADER_LEN);
        batch_add(batch, chunk->data + at, len);
    }
}

static void batch_add_end(struct batch *batch, const struct peer *peer)
{
    memset(batch->end, 0, END_LEN); /* application status 0, protocol status REQUEST_COMPLETE */
    fcgi_record_write(batch->end, FCGI_STDOUT, peer->request_id, 0, 0);
    fcgi_record_write(batch->end + FCGI_HEADER_LEN, FCGI_END_REQUEST, peer->request_id,
                      FCGI_END_LEN, 0);
    batch_add(batch, batch->end, END_LEN);
}

/* --- HTTP --- */

/* The Date line changes once a second, and most answers of a thread have the same one. */
static const char *format_date(int64_t seconds)
{
    static _Thread_local char text[CLOCK_HTTP_SIZE];
    static _Thread_local int64_t formatted = -1;

    if (formatted != seconds)
        clock_format_http(seconds, text);
    formatted = seconds;
    return text;
}

/* Date, Connection, Transfer-Encoding, and the end of the head. The same text for the same peer:
   the answer may continue in the middle of it. */
static size_t write_lines(const struct peer *peer, char *lines)
{
    const char *parts[] = {
        "Date: ",
        format_date(peer->date),
        !peer->keep ? "\r\nConnection: close"
        : peer->old ? "\r\nConnection: keep-alive"
                    : "",
        peer->chunked ? "\r\nTransfer-Encoding: chunked\r\n\r\n" : "\r\n\r\n",
    };
    char *to = lines;

    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        to = stpcpy(to, parts[i]);
    return (size_t)(to - lines);
}

/* Decides how the answer is sent, when its first bytes are. */
static void begin_http(struct peer *peer, const struct outgoing *out)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME_COARSE, &now);
    peer->date = now.tv_sec;
    /* the operations say the length of every body that they send at once */
    peer->chunked = !out->end && !peer->old;
    if ((!out->end && peer->old) || atomic_load(peer->stopping))
        peer->keep = false;
}

static void batch_add_counted(struct batch *batch, const void *data, size_t len)
{
    batch->all += len;
    batch_add(batch, data, len);
}

/* A head of CGI (RFC 3875 section 6): its first line begins with the name of the Status line, and
   its last one is empty. */
static void batch_add_head(struct batch *batch, const struct peer *peer, const struct chunk *head)
{
    static const char status[] = "Status: ", version[] = "HTTP/1.1 ";

    assert(head->len > sizeof status + 3);
    batch_add_counted(batch, version, sizeof version - 1);
    batch_add_counted(batch, head->data + sizeof status - 1, head->len - (sizeof status - 1) - 2);
    batch_add_counted(batch, batch->lines, write_lines(peer, batch->lines));
}

static void batch_add_http(struct batch *batch, const struct peer *peer, const struct outgoing *out)
{
    int i = 0;

    batch->all = 0;
    if (!peer->begun)
        batch_add_head(batch, peer, out->chunk[i++]);
    for (; i < out->chunks; i++) {
        const struct chunk *chunk = out->chunk[i];
        char *size = batch->size[i];

        if (peer->chunked)
            batch_add_counted(batch, size,
                              (size_t)snprintf(size, CHUNK_SIZE, "%zx\r\n", chunk->len));
        batch_add_counted(batch, chunk->data, chunk->len);
        if (peer->chunked)
            batch_add_counted(batch, "\r\n", 2);
    }
    if (out->end && peer->chunked)
        batch_add_counted(batch, "0\r\n\r\n", 5);
}

static void batch_fill(struct batch *batch, const struct peer *peer, const struct outgoing *out)
{
    batch->iovs = batch->headers = 0;
    batch->skip = out->sent;
    for (int i = 0; i < out->chunks && !batch_is_full(batch); i++) {
        if (peer->kind == PEER_FCGI)
            batch_add_records(batch, peer, out->chunk[i]);
        else
            batch_add(batch, out->chunk[i]->data, out->chunk[i]->len);
    }
    if (out->end && peer->kind == PEER_FCGI && !batch_is_full(batch))
        batch_add_end(batch, peer);
}

static size_t wire_size(const struct peer *peer, const struct outgoing *out)
{
    size_t size = out->end && peer->kind == PEER_FCGI ? END_LEN : 0;

    for (int i = 0; i < out->chunks; i++) {
        size_t len = out->chunk[i]->len;

        size += len;
        if (peer->kind == PEER_FCGI)
            size += (len + PEER_RECORD - 1) / PEER_RECORD * FCGI_HEADER_LEN;
    }
    return size;
}

/* Writes what the socket takes of the batch, and counts it. PEER_SENT: go on with the rest. */
static enum peer_sent write_batch(const struct peer *peer, struct batch *batch,
                                  struct outgoing *out)
{
    struct msghdr message = {.msg_iov = batch->iov, .msg_iovlen = (size_t)batch->iovs};
    ssize_t n;

    if (peer->kind != PEER_CGI) /* which may have a pipe */
        n = sendmsg(peer->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    else
        n = writev(peer->fd, batch->iov, batch->iovs);
    if (n >= 0)
        out->sent += (size_t)n;
    else if (errno != EINTR)
        return errno == EAGAIN || errno == EWOULDBLOCK ? PEER_AGAIN : PEER_GONE;
    return PEER_SENT;
}

/* The whole of `out` fits one batch, so its size is known once the batch was filled. */
static enum peer_sent write_http(struct peer *peer, struct outgoing *out)
{
    enum peer_sent result = PEER_SENT;
    struct batch batch;

    if (!peer->begun && out->sent == 0)
        begin_http(peer, out);
    do {
        batch.iovs = 0;
        batch.skip = out->sent;
        batch_add_http(&batch, peer, out);
        if (batch.iovs > 0)
            result = write_batch(peer, &batch, out);
    } while (result == PEER_SENT && out->sent < batch.all);
    if (result == PEER_SENT)
        peer->begun = !out->end;
    return result;
}

/* FastCGI records, or the plain bytes of CGI. */
static enum peer_sent write_records(struct peer *peer, struct outgoing *out)
{
    size_t size = wire_size(peer, out);
    enum peer_sent result = PEER_SENT;
    struct batch batch;

    while (result == PEER_SENT && out->sent < size) {
        batch_fill(&batch, peer, out);
        result = write_batch(peer, &batch, out);
    }
    return result;
}

enum peer_sent peer_send(struct peer *peer, struct outgoing *out)
{
    enum peer_sent result =
        peer->kind == PEER_HTTP ? write_http(peer, out) : write_records(peer, out);

    if (result == PEER_SENT)
        outgoing_clear(out);
    return result;
}

bool peer_send_ready(struct peer *peer, const char *text, size_t len)
{
    const char *end = memmem(text, len, "\r\n\r\n", 4);
    size_t head = end ? (size_t)(end - text) + 4 : 0;
    /* the second references keep peer_send() from freeing the chunks */
    struct chunk first = {.refs = 2, .len = head, .data = (char *)(uintptr_t)text};
    struct chunk second = {.refs = 2, .len = len - head, .data = first.data + head};
    struct outgoing out = {.end = true};

    assert(head > 0); /* the answer begins with a whole one */
    outgoing_add(&out, &first);
    outgoing_add(&out, &second);
    return peer_send(peer, &out) == PEER_SENT;
}

/* True if the bytes, received while the request waits, complete a record that aborts it. */
static bool finds_abort(struct peer *peer, const unsigned char *bytes, size_t len)
{
    /* the bytes may belong to the next request, sent too early; its remainder must not be read as
       records, because a body could imitate them */
    peer->keep = false;
    for (size_t i = 0; i < len; i++) {
        struct fcgi_record record;

        if (peer->skip > 0) {
            peer->skip--;
            continue;
        }
        peer->heard[peer->heard_len++] = bytes[i];
        if (peer->heard_len < FCGI_HEADER_LEN)
            continue;
        record = fcgi_record_read(peer->heard);
        if (record.type == FCGI_ABORT_REQUEST)
            return true;
        peer->heard_len = 0;
        peer->skip = record.content + record.padding;
    }
    return false;
}

bool peer_is_gone(struct peer *peer)
{
    unsigned char bytes[512];
    ssize_t n;

    for (;;) {
        n = recv(peer->fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (n == 0)
            return true;
        if (n < 0)
            return errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR;
        if (finds_abort(peer, bytes, (size_t)n))
            return true;
    }
}
