/*
 * The CGI door: see gateway_cgi.h.
 *
 * The same exchange, operations and live desk as behind FastCGI, on the one thread of a process
 * that ends with its answer. Standard input is read to its end, also where the body is of no use:
 * some servers lose the answer otherwise.
 */
#include "gateway_cgi.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commit.h"
#include "config.h"
#include "gateway.h"
#include "house.h"
#include "http_cors.h"
#include "http_response.h"
#include "live.h"
#include "log.h"
#include "route.h"
#include "server.h"
#include "store.h"

enum { READ_SIZE = 64 * 1024 };

extern char **environ;

bool gateway_cgi_is_here(void)
{
    return getenv("REQUEST_METHOD") != NULL;
}

static bool read_params(struct ds_exchange *exchange)
{
    for (char **entry = environ; *entry; entry++) {
        const char *equals = strchr(*entry, '=');

        if (equals &&
            !http_request_add(&exchange->request, exchange->arena, exchange->server->config, *entry,
                              (size_t)(equals - *entry), equals + 1))
            return false;
    }
    return true;
}

/* Bytes of the next piece of the body, 0 at its end, -1 on an error. */
static ssize_t read_piece(char *to, size_t room)
{
    ssize_t n;

    do
        n = read(STDIN_FILENO, to, room);
    while (n < 0 && errno == EINTR);
    return n;
}

/* Without a length, a body goes to the end of the input; but a GET has none to wait for. */
static size_t expected_length(const struct http_request *request)
{
    const char *said = request->param[PARAM_CONTENT_LENGTH];
    const char *method = request->param[PARAM_METHOD];

    if (said)
        return (size_t)strtoull(said, NULL, 10);
    return strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 ? SIZE_MAX : 0;
}

/*
 * A chunked body may come without a length, and its end looks like that of one that was cut off.
 * But a web server that gives a request up closes our output as well: nobody is there to take an
 * answer. Apache's mod_cgid does so with one close(), before its SIGTERM comes.
 */
static bool output_is_closed(void)
{
    struct pollfd output = {.fd = STDOUT_FILENO};

    return poll(&output, 1, 0) > 0 && (output.revents & (POLLERR | POLLHUP)) != 0;
}

/* False when it was cut short. */
static bool read_body(struct ds_exchange *exchange)
{
    struct http_request *request = &exchange->request;
    const char *said = request->param[PARAM_CONTENT_LENGTH];
    size_t most = (size_t)exchange->server->config->max_body_bytes, total = 0;
    size_t expected = expected_length(request);
    struct buf body = {0};
    char piece[READ_SIZE];
    ssize_t n = 0;

    while (total < expected) {
        size_t want = expected - total < sizeof piece ? expected - total : sizeof piece;

        n = read_piece(piece, want);
        if (n <= 0)
            break;
        total += (size_t)n;
        if (total <= most)
            buf_add(&body, piece, (size_t)n);
    }
    request->body_too_large = total > most;
    if (n < 0 || (said ? total < expected : expected > 0 && output_is_closed()) ||
        buf_failed(&body)) {
        buf_close(&body);
        return false;
    }
    request->body = buf_take(&body, &request->body_len);
    return true;
}

/* peer.done: there is no next request. */
static void peer_done(struct peer *peer, bool ok)
{
    (void)ok;
    peer->keep = false;
}

/*
 * lighttpd and Apache end a CGI process as soon as they have its answer, and what is to be done
 * then (housekeeping, the hook) would never be. A reader that waits does nothing else: it may be
 * ended.
 */
static void set_end(int how)
{
    sigset_t end;

    (void)sigemptyset(&end);
    (void)sigaddset(&end, SIGTERM);
    (void)pthread_sigmask(how, &end, NULL);
}

static bool answer(struct server *server, struct store_conn *conn, struct peer *peer)
{
    struct ds_exchange *exchange = exchange_new(server, peer, conn);

    if (!exchange)
        return false;
    if (!read_params(exchange) || !read_body(exchange)) {
        http_refuse(exchange, 400, "the request was cut short");
        exchange_finish(exchange);
    } else {
        /* The desk must not block on a reader that takes nothing. Only now: standard input may be
           the same socket. */
        (void)fcntl(STDOUT_FILENO, F_SETFL, fcntl(STDOUT_FILENO, F_GETFL) | O_NONBLOCK);
        set_end(SIG_BLOCK);
        route(exchange);
    }
    if (!live_is_empty(server->live)) { /* it was parked there, or the reader is slow */
        set_end(SIG_UNBLOCK);
        live_run(server->live);
        set_end(SIG_BLOCK);
    }
    return true;
}

int gateway_cgi_run(struct server *server)
{
    struct peer peer = {.fd = STDOUT_FILENO, .done = peer_done};
    struct store_conn *conn;
    bool ok;

    if (store_connect(&conn, server->store) != DS_OK)
        return gateway_cgi_apologize(server->config);
    commit_lend(server->commit, conn);
    ok = answer(server, conn, &peer);
    (void)close(STDOUT_FILENO); /* the web server need not wait for the rest */
    house_once(server, conn);
    return ok ? 0 : 1;
}

int gateway_cgi_apologize(const struct config *config)
{
    struct buf head = {0};
    char piece[READ_SIZE];
    const char *length = getenv("CONTENT_LENGTH");
    size_t left = length ? (size_t)strtoull(length, NULL, 10) : 0;
    ssize_t n;

    for (; left > 0; left -= (size_t)n) {
        n = read_piece(piece, left < sizeof piece ? left : sizeof piece);
        if (n <= 0)
            break;
    }
    http_begin(&head, config, http_cors_origin(config, getenv("HTTP_ORIGIN")), 503);
    http_add(&head, "Retry-After", "1");
    http_add(&head, "Cache-Control", "no-store");
    http_add(&head, "Content-Type", "text/plain; charset=utf-8");
    http_end(&head, -1);
    if (buf_failed(&head))
        (void)fputs("Status: 503 Service Unavailable\r\nRetry-After: 1\r\n\r\n", stdout);
    else
        (void)fwrite(head.data, 1, head.len, stdout);
    (void)fputs("the database is not to be had", stdout);
    buf_close(&head);
    return 1;
}
