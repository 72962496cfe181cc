/*
 * Reads HTTP requests from the connections of clients (RFC 9112).
 *
 * A worker reads what has arrived, and never waits. Most requests arrive whole: their head is
 * parsed where it was read, and only the body is copied. Of others the connection keeps the part
 * that has arrived, and waits for the rest: a head must be complete DS_UPLOAD_TIMEOUT_MS after its
 * first byte, and a body must go on arriving within that time. Bytes beyond the end of a request
 * are kept too: they begin the next one (pipelining), which is looked at when the answer was sent.
 *
 *     ┌─────────── HEAD ───────────┐ ┌───── BODY ─────┐ ┌─ rest ─ ─
 *     │ request line, header lines │ │ length, chunks │ │ next request
 *     └────────────────────────────┘ └────────────────┘ └─ ─ ─ ─ ─
 *
 * A request that cannot be understood ends its connection, since nobody knows where the next one
 * begins; so does one whose body is not read to its end (413). The answer is then sent before all
 * was read, and the connection lingers: connection.c.
 */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "config/config.h"
#include "exchange/answer.h"
#include "exchange/exchange.h"
#include "gateway/gateway_private.h"
#include "gateway/half_read.h"
#include "http/http_chunked.h"
#include "http/http_head.h"
#include "server/route.h"
#include "server/server.h"

enum {
    READS = 64, /* of one connection in a row */
    /* Bytes of a body beyond DS_MAX_BODY_BYTES that are read and thrown away: a client, and most of
       all a proxy, that sends all before it reads gets its answer then. */
    DISCARD_MOST = 64 * 1024 * 1024,
};

enum part { IN_HEAD, IN_BODY, IN_END };

struct http_input {
    const struct config *config;
    enum part part;
    struct buf head; /* an incomplete head */
    size_t seen;     /* bytes of it that hold no end */
    int64_t due;     /* monotonic ms by which the head must be whole; 0: it has not begun */
    /* Once the head is whole: */
    struct ds_exchange *exchange;
    struct http_chunked chunks;
    bool chunked;
    int64_t left; /* bytes of the body that have not arrived; for chunks unknown */
    struct buf body;
    int64_t body_len; /* bytes of the body so far, with those that were thrown away */
    bool cut;         /* the rest of the request will not be read */
    int64_t held;     /* see half_read.h */
    int status;       /* of a refusal, with its reason; 0: none */
    const char *reason;
    struct buf rest; /* what follows the request */
    bool awaited; /* the connection waits for the rest of the request, which counts as under way */
};

/* --- an input --- */

struct http_input *http_input_new(const struct config *config)
{
    struct http_input *input = calloc(1, sizeof *input);

    if (input)
        input->config = config;
    return input;
}

/* Prepares for the next request; `rest` is kept. */
static void reset_input(struct http_input *input)
{
    struct buf rest = input->rest;
    const struct config *config = input->config;
    bool awaited = input->awaited;

    half_read_end(&input->held);
    if (input->exchange)
        exchange_free(input->exchange);
    buf_close(&input->head);
    buf_close(&input->body);
    *input = (struct http_input){.config = config, .rest = rest, .awaited = awaited};
}

void http_input_free(struct http_input *input)
{
    if (!input)
        return;
    reset_input(input);
    buf_close(&input->rest);
    free(input);
}

/* server_drain() waits for incomplete requests too. */
static void set_awaited(struct connection *connection, bool awaited)
{
    struct http_input *input = connection->input;

    if (awaited != input->awaited)
        atomic_fetch_add(&connection->gateway->server->exchanges.count, awaited ? 1 : -1);
    input->awaited = awaited;
}

void http_input_end(struct connection *connection)
{
    set_awaited(connection, false);
    http_input_free(connection->input);
    connection->input = NULL;
}

bool http_input_is_half_read(const struct connection *connection)
{
    return connection->input && connection->input->awaited;
}

static bool is_empty(const struct http_input *input)
{
    return input->part == IN_HEAD && input->head.len == 0 && input->rest.len == 0;
}

static void refuse_input(struct http_input *input, int status, const char *reason)
{
    input->part = IN_END;
    input->cut = true;
    input->status = status;
    input->reason = reason;
}

/* --- the head --- */

static bool take_field(void *to, const struct http_field *field)
{
    struct ds_exchange *exchange = to;

    return http_request_add_field(&exchange->request, exchange->arena, exchange->config, field);
}

/* An end of the connection in numbers, by getsockname() or getpeername(). Returns its family, or
   AF_UNSPEC if it has no address, as a unix socket. */
static int read_end(int (*get)(int, struct sockaddr *, socklen_t *), int fd,
                    char host[static NI_MAXHOST], char port[static NI_MAXSERV])
{
    struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
    socklen_t len = sizeof address;

    if (get(fd, (struct sockaddr *)&address, &len) != 0 || address.ss_family == AF_UNIX ||
        getnameinfo((struct sockaddr *)&address, len, host, NI_MAXHOST, port, NI_MAXSERV,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return AF_UNSPEC;
    return address.ss_family;
}

/* Names the server by the address that the client has reached: for HTTP/1.0 without Host. */
static bool take_name(struct ds_exchange *exchange, int fd)
{
    struct http_request *request = &exchange->request;
    char host[NI_MAXHOST], port[NI_MAXSERV], in_brackets[NI_MAXHOST + 2];
    int family = read_end(getsockname, fd, host, port);

    if (family == AF_UNSPEC)
        return true;
    (void)snprintf(in_brackets, sizeof in_brackets, "[%s]", host);
    return http_request_add(request, exchange->arena, exchange->config, "SERVER_NAME", 11,
                            family == AF_INET6 ? in_brackets : host) &&
           http_request_add(request, exchange->arena, exchange->config, "SERVER_PORT", 11, port);
}

/* Says from which address the client comes. */
static bool take_peer(struct ds_exchange *exchange, int fd)
{
    char host[NI_MAXHOST], port[NI_MAXSERV];

    if (read_end(getpeername, fd, host, port) == AF_UNSPEC)
        return true;
    host[strcspn(host, "%")] = '\0'; /* the zone of a link-local address */
    return http_request_add(&exchange->request, exchange->arena, exchange->config, "REMOTE_ADDR",
                            11, host);
}

/* Adds what is not a header line of the request. */
static bool take_line(struct ds_exchange *exchange, const struct http_head *head)
{
    struct http_request *request = &exchange->request;
    struct arena *arena = exchange->arena;
    const struct config *config = exchange->config;

    if (head->authority) { /* it counts before Host */
        request->param[PARAM_HOST] = arena_strndup(arena, head->authority, strlen(head->authority));
        if (!request->param[PARAM_HOST])
            return false;
    }
    if (!request->param[PARAM_HOST] && !take_name(exchange, exchange->peer->fd))
        return false;
    if (http_request_needs_address(request, config) && !take_peer(exchange, exchange->peer->fd))
        return false;
    return http_request_add(request, arena, config, "REQUEST_METHOD", 14, head->method) &&
           http_request_add(request, arena, config, "REQUEST_URI", 11, head->target) &&
           http_request_add(request, arena, config, "REQUEST_SCHEME", 14, "http");
}

/* The body is too large to read even its rest. */
static void cut_body(struct http_input *input)
{
    input->exchange->request.body_too_large = true;
    input->part = IN_END;
    input->cut = true;
}

/* Parses a whole head into a new exchange, and decides how its body comes. */
static void take_head(struct worker *worker, struct connection *connection,
                      struct http_input *input, struct http_head *head, char *data)
{
    struct server *server = worker->gateway->server;
    struct peer *peer = &connection->peer;
    struct ds_exchange *exchange = exchange_new(&server->exchanges, peer, worker->conn);

    if (!exchange) {
        refuse_input(input, 503, NULL);
        return;
    }
    input->exchange = exchange;
    if (http_head_parse(head, data, take_field, exchange) != HTTP_PARSE_WHOLE) {
        refuse_input(input, head->status, head->reason);
        return;
    }
    peer->old = head->minor == 0;
    peer->keep = head->keeps;
    if (!take_line(exchange, head)) {
        refuse_input(input, 503, "out of memory, try again");
        return;
    }
    input->chunked = head->chunked;
    input->left = head->length > 0 ? head->length : 0;
    input->part = input->chunked || input->left > 0 ? IN_BODY : IN_END;
    /* one that waits to be asked for its body has not sent it */
    if (input->left > input->config->max_body_bytes + (head->expects ? 0 : DISCARD_MOST))
        cut_body(input);
}

/* Tells a client that waits for it to send its body. False if the connection is dead. */
static bool invite_body(struct connection *connection, struct http_input *input,
                        const struct http_head *head)
{
    static const char line[] = "HTTP/1.1 100 Continue\r\n\r\n";
    ssize_t n;

    if (!head->expects || input->part != IN_BODY)
        return true;
    n = send(connection->peer.fd, line, sizeof line - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    return n == (ssize_t)(sizeof line - 1);
}

/* --- the body --- */

static void keep_body(struct http_input *input, const char *data, size_t len)
{
    int64_t most = input->config->max_body_bytes;

    input->body_len += (int64_t)len;
    if (input->body_len > most + DISCARD_MOST) {
        cut_body(input);
    } else if (input->body_len > most) {
        input->exchange->request.body_too_large = true;
        buf_close(&input->body);
    } else {
        buf_add(&input->body, data, len);
        if (buf_failed(&input->body))
            refuse_input(input, 503, "out of memory, try again");
    }
}

static void take_chunks(struct http_input *input, const char **data, size_t *len)
{
    struct http_content content;

    while (input->part == IN_BODY) {
        switch (http_chunked_take(&input->chunks, data, len, &content)) {
        case HTTP_PARSE_MORE:
            if (content.len == 0)
                return;
            keep_body(input, content.at, content.len);
            break;
        case HTTP_PARSE_WHOLE:
            input->part = IN_END;
            break;
        case HTTP_PARSE_BAD:
            refuse_input(input, 400, input->chunks.reason);
            break;
        }
    }
}

static void take_body(struct http_input *input, const char **data, size_t *len)
{
    size_t n = *len < (size_t)input->left ? *len : (size_t)input->left;

    if (input->chunked) {
        take_chunks(input, data, len);
        return;
    }
    keep_body(input, *data, n);
    *data += n;
    *len -= n;
    input->left -= (int64_t)n;
    if (input->part == IN_BODY && input->left == 0)
        input->part = IN_END;
}

/* --- bytes --- */

static void count_held(struct http_input *input)
{
    int64_t holds = (int64_t)(input->head.len + input->body.len + input->rest.len);

    if (half_read_count(input->config, &input->held, holds) || input->part == IN_END)
        return;
    refuse_input(input, 503, "too many requests are coming in, try again");
}

/*
 * Looks for the end of the head in *data, behind what had arrived before, and takes the head. Moves
 * *data and *len to what follows it, which lies where the head lies. False if there is nothing to
 * go on with: more must arrive, or the request was refused.
 */
static bool take_until_body(struct worker *worker, struct connection *connection,
                            struct http_input *input, struct http_head *head, char **data,
                            size_t *len)
{
    bool kept = input->head.len > 0;
    enum http_parse found;

    if (kept) {
        buf_add(&input->head, *data, *len);
        if (buf_failed(&input->head)) {
            refuse_input(input, 503, NULL);
            return false;
        }
        *data = input->head.data;
        *len = input->head.len;
    }
    found = http_head_find(head, *data, *len, &input->seen);
    if (found == HTTP_PARSE_MORE && !kept)
        buf_add(&input->head, *data, *len);
    if (buf_failed(&input->head))
        refuse_input(input, 503, NULL);
    else if (found == HTTP_PARSE_BAD)
        refuse_input(input, head->status, head->reason);
    if (found != HTTP_PARSE_WHOLE)
        return false;
    take_head(worker, connection, input, head, *data);
    *data += head->len;
    *len -= head->len;
    return true;
}

/* Takes bytes of the connection, which it may change. False if the connection is dead. */
static bool take_bytes(struct worker *worker, struct connection *connection,
                       struct http_input *input, char *data, size_t len)
{
    struct http_head head = {0};
    const char *at;

    if (input->part == IN_HEAD && !take_until_body(worker, connection, input, &head, &data, &len))
        return true;
    if (len == 0 && !invite_body(connection, input, &head))
        return false;
    at = data;
    if (input->part == IN_BODY)
        take_body(input, &at, &len);
    if (len > 0 && !input->cut)
        buf_add(&input->rest, at, len);
    buf_close(&input->head); /* the bytes lay there */
    return !buf_failed(&input->rest);
}

enum filled { FILLED_MORE, FILLED_WHOLE, FILLED_GONE };

/* Reads what has arrived, until the request is whole. */
static enum filled fill_input(struct worker *worker, struct connection *connection,
                              struct http_input *input)
{
    for (int i = 0; i < READS && input->part != IN_END; i++) {
        ssize_t n = recv(connection->peer.fd, worker->room, GATEWAY_ROOM, MSG_DONTWAIT);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            break;
        if (n <= 0 || !take_bytes(worker, connection, input, worker->room, (size_t)n))
            return FILLED_GONE;
        if (input->part != IN_END)
            count_held(input);
        if (n < GATEWAY_ROOM)
            break;
    }
    return input->part == IN_END ? FILLED_WHOLE : FILLED_MORE;
}

/* Begins with what came after the request before. */
static bool take_rest(struct worker *worker, struct connection *connection,
                      struct http_input *input)
{
    struct buf rest = input->rest;
    bool alive;

    if (rest.len == 0)
        return true;
    input->rest = (struct buf){0};
    alive = take_bytes(worker, connection, input, rest.data, rest.len);
    buf_close(&rest);
    return alive;
}

/* --- the connection --- */

/* Counts what follows a request. Too much of it is given up: the connection then ends with the
   answer, and the client sends it again. */
static bool count_rest(struct http_input *input)
{
    if (half_read_count(input->config, &input->held, (int64_t)input->rest.len))
        return true;
    buf_close(&input->rest);
    half_read_end(&input->held);
    return false;
}

/* Moves what follows the request to the connection, where it waits for the end of the answer.
   False, and it is lost, when out of memory. */
static bool keep_rest(struct connection *connection, struct http_input *input)
{
    struct http_input *kept = connection->input; /* it may be that one */

    if (kept)
        set_awaited(connection, false);
    reset_input(input);
    if (input->rest.len == 0) {
        if (kept)
            http_input_end(connection);
        return true;
    }
    if (!kept) {
        kept = http_input_new(input->config);
        if (!kept) {
            buf_close(&input->rest);
            return false;
        }
        kept->rest = input->rest;
        input->rest = (struct buf){0};
        connection->input = kept;
    }
    return count_rest(kept);
}

static void answer_request(struct worker *worker, struct connection *connection,
                           struct http_input *input)
{
    struct server *server = worker->gateway->server;
    struct peer *peer = &connection->peer;
    struct ds_exchange *exchange = input->exchange;
    int status = input->status;
    const char *reason = input->reason;

    if (input->cut) {
        peer->keep = false;
        buf_close(&input->rest);
    }
    if (!exchange && status != 0 && reason) /* there is no head to answer to */
        exchange = exchange_new(&server->exchanges, peer, worker->conn);
    input->exchange = NULL;
    if (exchange && status == 0 && input->body.len > 0)
        exchange->request.body = buf_take(&input->body, &exchange->request.body_len);
    if (!keep_rest(connection, input))
        peer->keep = false;
    if (!exchange || (status != 0 && !reason)) {
        if (exchange)
            exchange_free(exchange);
        log_error("out of memory for a request");
        peer->done(peer, exchanges_send_no_memory(&server->exchanges, peer));
        return;
    }
    exchange->conn = worker->conn;
    if (status != 0) {
        exchange_refuse(exchange, status, reason);
        exchange_finish(exchange);
    } else {
        route(exchange);
    }
}

/* Moves the worker's input to the connection. */
static bool keep_input(struct worker *worker, struct connection *connection)
{
    struct http_input *fresh = http_input_new(worker->input->config);

    if (!fresh)
        return false;
    connection->input = worker->input;
    worker->input = fresh;
    return true;
}

/* How long the rest of the request may take, in ms. The time of a head does not begin again. */
static int64_t patience(struct http_input *input)
{
    int64_t now = clock_monotonic_ms(), whole = input->config->upload_timeout_ms;

    if (input->part != IN_HEAD)
        return whole;
    if (input->due == 0)
        input->due = now + whole;
    return input->due > now ? input->due - now : 1;
}

/* Keeps the part of the request that has arrived, and waits for the rest. */
static void wait_for_more(struct worker *worker, struct connection *connection)
{
    if (!connection->input && is_empty(worker->input)) { /* nothing had arrived */
        http_input_next(connection);
        return;
    }
    if (!connection->input && !keep_input(worker, connection)) {
        refuse_input(worker->input, 503, NULL);
        answer_request(worker, connection, worker->input);
        return;
    }
    set_awaited(connection, true);
    connection_wait(connection, patience(connection->input), false);
}

void http_input_ready(struct worker *worker, struct connection *connection, bool late)
{
    struct http_input *input = connection->input ? connection->input : worker->input;

    /* idle; or it has sent the next request, and does not read the answers before */
    if (late && (is_empty(input) || input->rest.len > 0)) {
        connection_close(connection);
        return;
    }
    if (late) {
        refuse_input(input, 408, "the rest of the request did not arrive in time");
        answer_request(worker, connection, input);
        return;
    }
    if (!take_rest(worker, connection, input)) {
        connection_close(connection);
        return;
    }
    switch (fill_input(worker, connection, input)) {
    case FILLED_WHOLE:
        answer_request(worker, connection, input);
        break;
    case FILLED_MORE:
        wait_for_more(worker, connection);
        break;
    case FILLED_GONE:
        if (!connection->input) {
            buf_close(&input->rest);
            reset_input(input);
        }
        connection_close(connection);
        break;
    }
}

void http_input_next(struct connection *connection)
{
    /* the beginning of the next request */
    bool more = connection->input && connection->input->rest.len > 0;
    const struct config *config = connection->gateway->server->engine.config;

    connection_wait(connection, more ? config->io_timeout_ms : config->keepalive_timeout_ms, more);
}
