/* Writes answers as FastCGI records or as plain bytes, and never blocks: see peer.h. */
#include "exchange/peer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/buf.h"

/* An empty STDOUT record and END_REQUEST. */
enum { END_LEN = 2 * FCGI_HEADER_LEN + FCGI_END_LEN };

/* The limits of one sendmsg(): 32 records, which is 2 MB if they are full. */
enum { IOVS = 64, HEADERS = 32 };

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
    int iovs, headers;
    size_t skip; /* bytes that were sent before, and are left out */
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

static void batch_fill(struct batch *batch, const struct peer *peer, const struct outgoing *out)
{
    batch->iovs = batch->headers = 0;
    batch->skip = out->sent;
    for (int i = 0; i < out->chunks && !batch_is_full(batch); i++) {
        if (peer->framed)
            batch_add_records(batch, peer, out->chunk[i]);
        else
            batch_add(batch, out->chunk[i]->data, out->chunk[i]->len);
    }
    if (out->end && peer->framed && !batch_is_full(batch))
        batch_add_end(batch, peer);
}

static size_t wire_size(const struct peer *peer, const struct outgoing *out)
{
    size_t size = out->end && peer->framed ? END_LEN : 0;

    for (int i = 0; i < out->chunks; i++) {
        size_t len = out->chunk[i]->len;

        size += len;
        if (peer->framed)
            size += (len + PEER_RECORD - 1) / PEER_RECORD * FCGI_HEADER_LEN;
    }
    return size;
}

static ssize_t write_batch(const struct peer *peer, struct batch *batch)
{
    struct msghdr message = {.msg_iov = batch->iov, .msg_iovlen = (size_t)batch->iovs};

    if (peer->framed) /* FastCGI always has a socket, CGI may have a pipe */
        return sendmsg(peer->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    return writev(peer->fd, batch->iov, batch->iovs);
}

enum peer_sent peer_send(struct peer *peer, struct outgoing *out)
{
    size_t size = wire_size(peer, out);
    struct batch batch;

    while (out->sent < size) {
        ssize_t n;

        batch_fill(&batch, peer, out);
        n = write_batch(peer, &batch);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN || errno == EWOULDBLOCK ? PEER_AGAIN : PEER_GONE;
        out->sent += (size_t)n;
    }
    outgoing_clear(out);
    return PEER_SENT;
}

bool peer_send_ready(struct peer *peer, const char *text, size_t len)
{
    /* the second reference keeps peer_send() from freeing the chunk */
    struct chunk chunk = {.refs = 2, .len = len, .data = (char *)(uintptr_t)text};
    struct outgoing out = {.chunk = {&chunk}, .chunks = 1, .end = true};

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
