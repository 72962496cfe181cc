/*
 * The CGI gateway: see gateway_cgi.h.
 *
 * A CGI request uses the same exchange, operations and live desk as a FastCGI request, but on the
 * only thread of a process that ends after its answer. The gateway reads standard input to its end
 * even if it needs no body, because some web servers lose the answer otherwise.
 */
#include "gateway/gateway_cgi.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "config/config.h"
#include "engine/commit.h"
#include "engine/upkeep.h"
#include "exchange/answer.h"
#include "exchange/exchange.h"
#include "http/http_cors.h"
#include "http/http_response.h"
#include "live/live.h"
#include "server/route.h"
#include "server/server.h"
#include "store/store.h"

enum {
    READ_SIZE = 64 * 1024,
    UNWANTED_MS = 10000, /* how long to wait for more of a body that is discarded */
};

extern char **environ;

bool gateway_cgi_is_here(void)
{
    return getenv("REQUEST_METHOD") != NULL;
}

static bool read_params(struct ds_exchange *exchange)
{
    for (char **entry = environ; *entry; entry++) {
        const char *equals = strchr(*entry, '=');

        if (equals && !http_request_add(&exchange->request, exchange->arena, exchange->config,
                                        *entry, (size_t)(equals - *entry), equals + 1))
            return false;
    }
    return true;
}

/* Returns the bytes of the next piece of the body, 0 at its end, or -1 and errno; ETIMEDOUT if
   nothing arrived. */
static ssize_t read_piece(char *to, size_t room, int64_t timeout_ms)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    ssize_t n;
    int ready;

    do
        ready = poll(&input, 1, (int)timeout_ms);
    while (ready < 0 && errno == EINTR);
    if (ready == 0) {
        errno = ETIMEDOUT;
        return -1;
    }
    do
        n = read(STDIN_FILENO, to, room);
    while (n < 0 && errno == EINTR);
    return n;
}

/* A POST or PUT without a length has a body up to the end of the input; a GET has none. */
static size_t expected_length(const struct http_request *request)
{
    const char *method = request->param[PARAM_METHOD];
    int64_t said = http_request_length(request->param[PARAM_CONTENT_LENGTH]);

    /* a malformed length is refused later, and says nothing about the end of the body */
    if (said != -1)
        return said < 0 ? 0 : (size_t)said;
    return method && (strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0) ? SIZE_MAX : 0;
}

/*
 * A chunked body may have no length, and then its end looks the same as a lost connection. But a
 * web server that gives up a request also closes the other end of standard output, since it has no
 * use for an answer. Apache's mod_cgid closes both with one close(), and sends SIGTERM later.
 */
static bool output_is_closed(void)
{
    struct pollfd output = {.fd = STDOUT_FILENO};

    return poll(&output, 1, 0) > 0 && (output.revents & (POLLERR | POLLHUP)) != 0;
}

/* Reads the body into the request. Returns 0, or the HTTP status of a refusal. */
static int read_body(struct ds_exchange *exchange, const char **reason)
{
    struct http_request *request = &exchange->request;
    const struct config *config = exchange->config;
    size_t most = (size_t)config->max_body_bytes, total = 0, expected = expected_length(request);
    bool said = request->param[PARAM_CONTENT_LENGTH] != NULL;
    struct buf body = {0};
    char piece[READ_SIZE];
    ssize_t n = 0;

    while (total < expected) {
        size_t want = expected - total < sizeof piece ? expected - total : sizeof piece;

        n = read_piece(piece, want, config->upload_timeout_ms);
        if (n <= 0)
            break;
        total += (size_t)n;
        if (total <= most)
            buf_add(&body, piece, (size_t)n);
    }
    if (buf_failed(&body)) {
        buf_close(&body);
        *reason = "out of memory, try again";
        return 503;
    }
    request->body_too_large = total > most;
    request->body = buf_take(&body, &request->body_len);
    *reason = "the rest of the request did not arrive in time";
    if (n < 0 && errno == ETIMEDOUT)
        return 408;
    *reason = "the request was cut short";
    return n < 0 || (said ? total < expected : expected > 0 && output_is_closed()) ? 400 : 0;
}

/* Reads and discards the body of a request that is refused anyway. */
static void throw_away_body(void)
{
    int64_t left = http_request_length(getenv("CONTENT_LENGTH"));
    char piece[READ_SIZE];
    ssize_t n;

    for (; left > 0; left -= n) {
        n = read_piece(piece, left < READ_SIZE ? (size_t)left : READ_SIZE, UNWANTED_MS);
        if (n <= 0)
            break;
    }
}

/* The peer of a CGI request: the web server at the other end of standard output. */
struct cgi_peer {
    struct peer peer; /* first: the peer's functions cast it back to the cgi_peer */
    struct live *live;
};

/* peer.drain: the live desk writes the rest as the web server reads it. */
static void peer_drain(struct peer *peer, struct outgoing *out)
{
    struct cgi_peer *cgi = (struct cgi_peer *)peer;

    live_drain(cgi->live, peer, out);
}

/* peer.done: there is no next request. */
static void peer_done(struct peer *peer, bool ok)
{
    (void)ok;
    peer->keep = false;
}

/*
 * Blocks or unblocks SIGTERM. lighttpd and Apache send it as soon as they have the answer, but
 * upkeep and the hook still have to run then. While a live reader waits there is nothing else to
 * do, and SIGTERM may end the process.
 */
static void mask_termination(int how)
{
    sigset_t end;

    (void)sigemptyset(&end);
    (void)sigaddset(&end, SIGTERM);
    (void)pthread_sigmask(how, &end, NULL);
}

static bool answer_cgi(struct server *server, struct store_conn *conn, struct peer *peer)
{
    struct ds_exchange *exchange = exchange_new(&server->exchanges, peer, conn);
    const char *reason = "out of memory, try again";
    int status = 503;

    if (exchange && read_params(exchange))
        status = read_body(exchange, &reason);
    else
        throw_away_body();
    if (!exchange)
        return exchanges_send_no_memory(&server->exchanges, peer);
    if (status != 0) {
        exchange_refuse(exchange, status, reason);
        exchange_finish(exchange);
    } else {
        /* The desk must not block on a slow reader. Not set before the body has been read, because
           standard input may be the same socket. */
        (void)fcntl(STDOUT_FILENO, F_SETFL, fcntl(STDOUT_FILENO, F_GETFL) | O_NONBLOCK);
        mask_termination(SIG_BLOCK);
        route(exchange);
    }
    if (!live_is_empty(server->live)) { /* the exchange is parked, or the reader is slow */
        mask_termination(SIG_UNBLOCK);
        live_run(server->live);
        mask_termination(SIG_BLOCK);
    }
    return true;
}

int gateway_cgi_run(struct server *server)
{
    struct cgi_peer cgi = {
        .peer = {.fd = STDOUT_FILENO, .done = peer_done, .drain = peer_drain},
        .live = server->live,
    };
    struct store_conn *conn;
    bool ok;

    if (store_connect(&conn, server->engine.store) != DS_OK)
        return gateway_cgi_apologize(server->engine.config);
    commit_lend(server->engine.commit, conn);
    ok = answer_cgi(server, conn, &cgi.peer);
    (void)close(STDOUT_FILENO); /* the web server need not wait for upkeep */
    upkeep_once(&server->engine, conn);
    return ok ? 0 : 1;
}

int gateway_cgi_apologize(const struct config *config)
{
    struct buf head = {0};

    throw_away_body();
    if (config)
        http_begin(&head, config, http_cors_origin(config, getenv("HTTP_ORIGIN")), 503);
    else
        buf_adds(&head, "Status: 503 Service Unavailable\r\n");
    http_add(&head, "Retry-After", "1");
    http_add(&head, "Cache-Control", "no-store");
    http_add(&head, "Content-Type", "text/plain; charset=utf-8");
    http_end(&head, -1);
    if (buf_failed(&head))
        (void)fputs("Status: 503 Service Unavailable\r\nRetry-After: 1\r\n\r\n", stdout);
    else
        (void)fwrite(head.data, 1, head.len, stdout);
    (void)fputs("the database cannot be opened, try again", stdout);
    buf_close(&head);
    return 1;
}
