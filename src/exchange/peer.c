/* Writing answers as FastCGI records or plain bytes, without ever blocking: see peer.h. */
#include "exchange/peer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/buf.h"

/* FastCGI 1.0, section 8 */
enum {
    FCGI_VERSION = 1,
    FCGI_ABORT = 2,
    FCGI_END = 3,
    FCGI_STDOUT = 6,
    HEADER_LEN = 8,
    END_LEN = 2 * HEADER_LEN + 8, /* an empty STDOUT record and END_REQUEST */
};

enum { IOVS = 64, HEADERS = 32 }; /* of one sendmsg: 2 MB of full records */

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

/* The pieces of one sendmsg. */
struct batch {
    struct iovec iov[IOVS];
    unsigned char header[HEADERS][HEADER_LEN];
    unsigned char end[END_LEN];
    int iovs, headers;
    size_t skip; /* bytes that are already on the wire */
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

static void put_header(unsigned char *header, int type, uint16_t id, size_t len)
{
    header[0] = FCGI_VERSION;
    header[1] = (unsigned char)type;
    header[2] = (unsigned char)(id >> 8);
    header[3] = (unsigned char)(id & 0xff);
    header[4] = (unsigned char)(len >> 8);
    header[5] = (unsigned char)(len & 0xff);
    header[6] = 0; /* no padding */
    header[7] = 0;
}

static void batch_add_records(struct batch *batch, const struct peer *peer,
                              const struct chunk *chunk)
{
    for (size_t at = 0; at < chunk->len && !batch_is_full(batch); at += PEER_RECORD) {
        size_t len = chunk->len - at < PEER_RECORD ? chunk->len - at : PEER_RECORD;
        unsigned char *header = batch->header[batch->headers];

        if (batch->skip >= HEADER_LEN + len) { /* sent before: costs no header */
            batch->skip -= HEADER_LEN + len;
            continue;
        }
        put_header(header, FCGI_STDOUT, peer->request_id, len);
        batch->headers++;
        batch_add(batch, header, HEADER_LEN);
        batch_add(batch, chunk->data + at, len);
    }
}

static void batch_add_end(struct batch *batch, const struct peer *peer)
{
    memset(batch->end, 0, END_LEN); /* application status 0, FCGI_REQUEST_COMPLETE */
    put_header(batch->end, FCGI_STDOUT, peer->request_id, 0);
    put_header(batch->end + HEADER_LEN, FCGI_END, peer->request_id, 8);
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
            size += (len + PEER_RECORD - 1) / PEER_RECORD * HEADER_LEN;
    }
    return size;
}

static ssize_t write_batch(const struct peer *peer, struct batch *batch)
{
    struct msghdr message = {.msg_iov = batch->iov, .msg_iovlen = (size_t)batch->iovs};

    if (peer->framed) /* FastCGI: always a socket */
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
    /* the second reference keeps it from being freed */
    struct chunk chunk = {.refs = 2, .len = len, .data = (char *)(uintptr_t)text};
    struct outgoing out = {.chunk = {&chunk}, .chunks = 1, .end = true};

    return peer_send(peer, &out) == PEER_SENT;
}

/* Is there a record that aborts the request among what comes while it waits? */
static bool finds_abort(struct peer *peer, const unsigned char *bytes, size_t len)
{
    /* what is read here of a request that comes too early is missing there: its rest, a body, might
       be taken for records */
    peer->keep = false;
    for (size_t i = 0; i < len; i++) {
        const unsigned char *header = peer->heard;

        if (peer->skip > 0) {
            peer->skip--;
            continue;
        }
        peer->heard[peer->heard_len++] = bytes[i];
        if (peer->heard_len < HEADER_LEN)
            continue;
        if (header[1] == FCGI_ABORT)
            return true;
        peer->heard_len = 0;
        peer->skip = (size_t)(header[4] << 8 | header[5]) + header[6];
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
