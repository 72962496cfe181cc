/* Peers: the records of an answer are well-formed, however little the socket takes at a time. */
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "exchange/peer.h"
#include "unit.h"

static struct chunk *make_chunk(size_t len, char first)
{
    struct buf buf = {0};

    for (size_t i = 0; i < len; i++)
        buf_addc(&buf, (char)(first + (char)(i % 23)));
    return chunk_take(&buf);
}

/* Receives in pieces of a random size until the socket is empty. */
static void drain(int fd, struct buf *got, uint32_t *seed)
{
    char piece[4096];
    ssize_t n;

    do {
        n = recv(fd, piece, 1 + unit_random(seed) % sizeof piece, MSG_DONTWAIT);
        if (n > 0)
            buf_add(got, piece, (size_t)n);
    } while (n > 0);
}

/* Parses the records, and collects the content of STDOUT. True if the request was ended. */
static bool parse(const struct buf *got, struct buf *body)
{
    size_t at = 0;
    bool closed = false, ended = false;

    while (at < got->len) {
        const unsigned char *header = (const unsigned char *)got->data + at;
        struct fcgi_record record = fcgi_record_read(header);

        ck_assert_int_le(at + FCGI_HEADER_LEN + record.content, got->len);
        ck_assert_int_eq(record.version, FCGI_VERSION_1);
        ck_assert_int_eq(record.id, 0x0102);
        ck_assert_int_eq(record.padding, 0);
        ck_assert(!ended);
        if (record.type == FCGI_STDOUT) {
            ck_assert(!closed);
            closed = record.content == 0;
            buf_add(body, header + FCGI_HEADER_LEN, record.content);
        } else {
            ck_assert_int_eq(record.type, FCGI_END_REQUEST);
            ck_assert_int_eq(record.content, FCGI_END_LEN);
            ck_assert(closed);
            ended = true;
        }
        at += FCGI_HEADER_LEN + record.content;
    }
    return ended;
}

static void send_sizes(size_t first, size_t second, bool framed, uint32_t seed)
{
    int pair[2], small = 2048;
    struct peer peer = {.request_id = 0x0102, .kind = framed ? PEER_FCGI : PEER_CGI};
    struct outgoing out = {.end = true};
    struct buf got = {0}, body = {0}, expected = {0};
    struct chunk *a = make_chunk(first, 'a'), *b = make_chunk(second, 'A');
    enum peer_sent sent;

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    (void)setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    (void)fcntl(pair[0], F_SETFL, O_NONBLOCK);
    peer.fd = pair[0];
    buf_add(&expected, a->data, a->len);
    buf_add(&expected, b->data, b->len);
    outgoing_add(&out, a);
    outgoing_add(&out, b);
    do {
        sent = peer_send(&peer, &out);
        ck_assert_int_ne(sent, PEER_GONE);
        drain(pair[1], &got, &seed);
    } while (sent == PEER_AGAIN);
    ck_assert(out.chunks == 0 && !out.end);
    if (framed)
        ck_assert_msg(parse(&got, &body), "%zu + %zu bytes: no END_REQUEST", first, second);
    else
        buf_add(&body, got.data, got.len);
    ck_assert_msg(body.len == expected.len &&
                      (body.len == 0 || memcmp(body.data, expected.data, body.len) == 0),
                  "%zu + %zu bytes came as %zu", first, second, body.len);
    buf_close(&got);
    buf_close(&body);
    buf_close(&expected);
    (void)close(pair[0]);
    (void)close(pair[1]);
}

START_TEST(frames_answers_of_every_size_for_a_small_socket)
{
    static const size_t sizes[] = {0,
                                   1,
                                   100,
                                   PEER_RECORD - 1,
                                   PEER_RECORD,
                                   PEER_RECORD + 1,
                                   3 * PEER_RECORD,
                                   40 * PEER_RECORD + 77};

    for (size_t i = 0; i < COUNT(sizes); i++)
        for (size_t j = 0; j < COUNT(sizes); j++) {
            send_sizes(sizes[i], sizes[j], true, (uint32_t)(i * 100 + j + 1));
            send_sizes(sizes[i], sizes[j], false, (uint32_t)(i * 100 + j + 1));
        }
}
END_TEST

START_TEST(shares_a_chunk_among_answers)
{
    struct chunk *chunk = make_chunk(10, 'a');
    struct outgoing one = {0}, two = {0};

    outgoing_add(&one, chunk_ref(chunk));
    outgoing_add(&two, chunk_ref(chunk));
    outgoing_clear(&one);
    ck_assert_int_eq(chunk->refs, 2);
    outgoing_clear(&two);
    ck_assert_int_eq(chunk->refs, 1);
    chunk_unref(chunk);
}
END_TEST

START_TEST(notices_an_abort_and_a_closed_connection)
{
    int pair[2];
    struct peer peer = {.kind = PEER_FCGI};
    struct outgoing out = {.end = true};
    const unsigned char abort_record[8] = {1, 2, 1, 2, 0, 0, 0, 0};

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    peer.fd = pair[0];
    ck_assert(!peer_is_gone(&peer));
    ck_assert_int_eq(write(pair[1], abort_record, 8), 8);
    ck_assert(peer_is_gone(&peer));
    (void)close(pair[1]);
    ck_assert(peer_is_gone(&peer));
    outgoing_add(&out, make_chunk(10, 'a'));
    ck_assert_int_eq(peer_send(&peer, &out), PEER_GONE);
    outgoing_clear(&out);
    (void)close(pair[0]);
}
END_TEST

START_TEST(notices_an_abort_that_comes_in_pieces)
{
    int pair[2];
    struct peer peer = {.kind = PEER_FCGI, .keep = true};
    const unsigned char abort_record[8] = {1, 2, 1, 2, 0, 0, 0, 0};

    /* a record of another type, which comes first and is skipped */
    const unsigned char other_record[13] = {1, 11, 0, 0, 0, 3, 2};

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    peer.fd = pair[0];
    ck_assert_int_eq(write(pair[1], other_record, sizeof other_record), sizeof other_record);
    for (int i = 0; i < 8; i++) {
        ck_assert(!peer_is_gone(&peer));
        ck_assert_int_eq(write(pair[1], abort_record + i, 1), 1);
    }
    ck_assert(peer_is_gone(&peer));
    (void)close(pair[0]);
    (void)close(pair[1]);
}
END_TEST

START_TEST(serves_no_further_request_after_one_that_came_too_early)
{
    int pair[2];
    struct peer peer = {.kind = PEER_FCGI, .keep = true};
    const unsigned char begin_record[] = {1, 1, 0, 1, 0, 8, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0};

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    peer.fd = pair[0];
    ck_assert(!peer_is_gone(&peer));
    ck_assert(peer.keep);
    ck_assert_int_eq(write(pair[1], begin_record, sizeof begin_record), sizeof begin_record);
    ck_assert(!peer_is_gone(&peer));
    ck_assert(!peer.keep);
    (void)close(pair[0]);
    (void)close(pair[1]);
}
END_TEST

/* Sends `outs` one after the other, through a socket that takes little at a time. */
static void send_http(struct peer *peer, struct outgoing *outs, int n, struct buf *got)
{
    static const atomic_bool stopping = false;
    int pair[2], small = 2048;
    uint32_t seed = 7;

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    (void)setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    peer->fd = pair[0];
    peer->kind = PEER_HTTP;
    peer->stopping = &stopping;
    for (int i = 0; i < n; i++) {
        enum peer_sent sent;

        do {
            sent = peer_send(peer, &outs[i]);
            ck_assert_int_ne(sent, PEER_GONE);
            drain(pair[1], got, &seed);
        } while (sent == PEER_AGAIN);
        ck_assert_int_eq(outs[i].chunks, 0);
    }
    (void)close(pair[0]);
    (void)close(pair[1]);
}

static struct chunk *text_chunk(const char *text)
{
    struct buf buf = {0};

    buf_adds(&buf, text);
    return chunk_take(&buf);
}

/* Takes the text off the front of what came, where `*` stands for the value of Date. */
static void expect(struct buf *got, size_t *at, const char *text)
{
    for (; *text; text++) {
        ck_assert_uint_lt(*at, got->len);
        if (*text != '*') {
            ck_assert_msg(got->data[*at] == *text, "at %zu: %.40s", *at, text);
            ++*at;
            continue;
        }
        ck_assert_uint_le(*at + 29, got->len);
        ck_assert_int_eq(memcmp(got->data + *at + 25, " GMT", 4), 0);
        *at += 29;
    }
}

START_TEST(sends_an_http_head_and_a_body_of_known_length)
{
    struct peer peer = {.keep = true};
    struct outgoing out = {.end = true};
    struct buf got = {0};
    size_t at = 0;

    outgoing_add(&out, text_chunk("Status: 200 OK\r\nContent-Length: 100000\r\n\r\n"));
    outgoing_add(&out, make_chunk(100000, 'a'));
    send_http(&peer, &out, 1, &got);
    expect(&got, &at, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\nDate: *\r\n\r\n");
    ck_assert_uint_eq(got.len - at, 100000);
    ck_assert(peer.keep && !peer.begun);
    buf_close(&got);
}
END_TEST

START_TEST(sends_an_http_body_of_unknown_length_in_chunks)
{
    struct peer peer = {.keep = true};
    struct outgoing outs[3] = {{.end = false}, {.end = false}, {.end = true}};
    struct buf got = {0};
    size_t at = 0;

    outgoing_add(&outs[0], text_chunk("Status: 200 OK\r\n\r\n"));
    outgoing_add(&outs[1], make_chunk(70000, 'a'));
    outgoing_add(&outs[2], text_chunk("bye"));
    send_http(&peer, outs, 3, &got);
    expect(&got, &at, "HTTP/1.1 200 OK\r\nDate: *\r\nTransfer-Encoding: chunked\r\n\r\n");
    expect(&got, &at, "11170\r\nabc");
    at += 70000 - 3;
    expect(&got, &at, "\r\n3\r\nbye\r\n0\r\n\r\n");
    ck_assert_uint_eq(at, got.len);
    ck_assert(peer.keep && !peer.begun);
    buf_close(&got);
}
END_TEST

START_TEST(ends_an_answer_of_unknown_length_to_http_1_0_with_the_connection)
{
    struct peer peer = {.keep = true, .old = true};
    struct outgoing outs[2] = {{.end = false}, {.end = true}};
    struct buf got = {0};
    size_t at = 0;

    outgoing_add(&outs[0], text_chunk("Status: 200 OK\r\n\r\n"));
    outgoing_add(&outs[1], text_chunk("bye"));
    send_http(&peer, outs, 2, &got);
    expect(&got, &at, "HTTP/1.1 200 OK\r\nDate: *\r\nConnection: close\r\n\r\nbye");
    ck_assert_uint_eq(at, got.len);
    ck_assert(!peer.keep);
    buf_close(&got);
}
END_TEST

UNIT_MAIN(peer, sends_an_http_head_and_a_body_of_known_length,
          sends_an_http_body_of_unknown_length_in_chunks,
          ends_an_answer_of_unknown_length_to_http_1_0_with_the_connection,
          frames_answers_of_every_size_for_a_small_socket, shares_a_chunk_among_answers,
          notices_an_abort_and_a_closed_connection, notices_an_abort_that_comes_in_pieces,
          serves_no_further_request_after_one_that_came_too_early)
