/*
 * The connections of the FastCGI gateway, and the requests that are read from them.
 *
 * A worker never waits for the rest of a request: Apache passes a body on as it arrives, and a
 * client that sends slowly would otherwise occupy a worker. The connection keeps the part that has
 * arrived (spool), and is armed again.
 *
 * If nothing arrives for DS_UPLOAD_TIMEOUT_MS, the request is answered with 408. A timer looks for
 * such requests while any request is incomplete. It must not take over a connection, because a
 * worker may have got the connection's event a moment before. So it only marks the connection (due
 * becomes LATE) and shuts down its receiving side. This causes an event, and the worker that gets
 * it owns the connection and finds the mark.
 */
#include "gateway/gateway_fcgi_private.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "config/config.h"
#include "exchange/answer.h"
#include "exchange/exchange.h"
#include "live/live.h"
#include "server/route.h"
#include "server/server.h"

enum {
    MOMENT_NS = 10000000, /* between attempts to get memory for a connection: 10 ms */
    MOMENTS = 20,         /* the most further attempts */
    LATE = -1,            /* fcgi_connection.due: the time is up */
};

/* --- the list --- */

/* Closing also removes it from the epoll set. A separate function for tests/tsan.supp. */
__attribute__((noinline)) static void close_descriptor(int fd)
{
    (void)close(fd);
}

static void end_spool(struct fcgi_connection *connection)
{
    spool_free(connection->spool);
    connection->spool = NULL;
    atomic_fetch_sub(&connection->gateway->server->exchanges.count, 1);
}

static void close_connection(struct fcgi_connection *connection)
{
    struct gateway_fcgi *gateway = connection->gateway;

    (void)pthread_mutex_lock(&gateway->lock);
    LIST_REMOVE(connection, entry);
    (void)pthread_mutex_unlock(&gateway->lock);
    close_descriptor(connection->peer.fd);
    if (connection->spool)
        end_spool(connection);
    free(connection);
    fcgi_listener_resume(gateway);
}

static struct fcgi_connection *find_half_read(struct gateway_fcgi *gateway)
{
    struct fcgi_connection *connection;

    (void)pthread_mutex_lock(&gateway->lock);
    LIST_FOREACH(connection, &gateway->connections, entry)
        if (connection->spool)
            break;
    (void)pthread_mutex_unlock(&gateway->lock);
    return connection;
}

void fcgi_connections_close_half_read(struct gateway_fcgi *gateway)
{
    struct fcgi_connection *half_read;

    while ((half_read = find_half_read(gateway)))
        close_connection(half_read);
}

void fcgi_connections_close(struct gateway_fcgi *gateway)
{
    while (!LIST_EMPTY(&gateway->connections))
        close_connection(LIST_FIRST(&gateway->connections));
}

/* --- arming --- */

/* The caller must not touch the connection after this: the thread that gets its event owns it. */
static bool arm_connection(struct fcgi_connection *connection, int op)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLONESHOT,
                                .data.ptr = connection};
    int epoll = connection->gateway->epoll, fd = connection->peer.fd;

    atomic_fetch_add(&connection->turns, 1);
    return epoll_ctl(epoll, op, fd, &event) == 0;
}

/* peer.done: the answer is sent, or (not ok) the connection must be closed. On any thread. */
static void peer_done(struct peer *peer, bool ok)
{
    struct fcgi_connection *connection = (struct fcgi_connection *)peer;
    struct server *server = connection->gateway->server;

    if (!ok || !peer->keep || atomic_load(&server->stopping) ||
        !arm_connection(connection, EPOLL_CTL_MOD))
        close_connection(connection);
}

/* peer.drain: the live desk writes the rest as the web server reads it. */
static void peer_drain(struct peer *peer, struct outgoing *out)
{
    struct fcgi_connection *connection = (struct fcgi_connection *)peer;

    live_drain(connection->gateway->server->live, peer, out);
}

static void set_options(int fd)
{
    int on = 1;

    /* a short SSE event must not wait until the web server has acknowledged the one before it */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/* Tries for a while, since memory may be short for only a moment, and no error can be sent before
   a request has been read. */
static struct fcgi_connection *new_connection(void)
{
    const struct timespec moment = {0, MOMENT_NS};
    struct fcgi_connection *connection = calloc(1, sizeof *connection);

    for (int i = 0; !connection && i < MOMENTS; i++) {
        (void)nanosleep(&moment, NULL);
        connection = calloc(1, sizeof *connection);
    }
    return connection;
}

void fcgi_connection_admit(struct gateway_fcgi *gateway, int fd)
{
    struct fcgi_connection *connection = new_connection();

    if (!connection) {
        log_error("out of memory for a connection");
        (void)close(fd);
        return;
    }
    set_options(fd);
    connection->gateway = gateway;
    connection->peer.fd = fd;
    connection->peer.framed = true;
    connection->peer.done = peer_done;
    connection->peer.drain = peer_drain;
    connection->peer.yield_slot = fcgi_worker_yield_slot;
    (void)pthread_mutex_lock(&gateway->lock);
    LIST_INSERT_HEAD(&gateway->connections, connection, entry);
    (void)pthread_mutex_unlock(&gateway->lock);
    if (!arm_connection(connection, EPOLL_CTL_ADD)) {
        log_error("cannot watch a connection: %s", strerror(errno));
        close_connection(connection);
    }
}

/* --- reading a request --- */

/* Moves the parameters into the exchange. Returns 0, or the HTTP status of a refusal. */
static int read_params(struct spool *spool, struct ds_exchange *exchange, const char **reason)
{
    struct spool_param param;
    enum spool_next next;
    size_t at = 0;

    while ((next = spool_next(spool, &at, &param)) == SPOOL_PARAM) {
        *reason = "out of memory, try again";
        if (!http_request_add(&exchange->request, exchange->arena, exchange->config, param.name,
                              param.name_len, param.value))
            return 503;
    }
    *reason = "the parameters of the request are malformed";
    return next == SPOOL_MALFORMED ? 400 : 0;
}

/* Moves the request into the exchange. Returns 0, or the HTTP status of a refusal. */
static int read_request(struct spool *spool, struct ds_exchange *exchange, const char **reason)
{
    struct http_request *request = &exchange->request;
    int status;

    switch (spool->trouble) {
    case SPOOL_NO_ROOM:
        *reason = "too many requests are coming in, try again";
        return 503;
    case SPOOL_NO_MEMORY:
        *reason = "out of memory, try again";
        return 503;
    case SPOOL_TOO_MANY:
        *reason = "the request headers are too large";
        return 431;
    case SPOOL_TOO_LARGE:
        request->body_too_large = true;
        break;
    case SPOOL_FINE:
        break;
    }
    status = read_params(spool, exchange, reason);
    if (status != 0)
        return status;
    *reason = "the request was cut short";
    if (http_request_length(request->param[PARAM_CONTENT_LENGTH]) > spool->body_len)
        return 400;
    request->body = buf_take(&spool->body, &request->body_len);
    return 0;
}

/* Empties the spool that the request was read into: the connection's or the worker's. */
static void drop_spool(struct fcgi_worker *worker, struct fcgi_connection *connection)
{
    if (connection->spool)
        end_spool(connection);
    else
        spool_reset(&worker->spool);
}

static void answer_request(struct fcgi_worker *worker, struct fcgi_connection *connection,
                           bool late)
{
    struct spool *spool = connection->spool ? connection->spool : &worker->spool;
    struct server *server = worker->gateway->server;
    struct peer *peer = &connection->peer;
    struct ds_exchange *exchange;
    const char *reason = "the rest of the request did not arrive in time";
    int status = 408;

    if (spool->part == SPOOL_BEGIN) { /* no request has begun: there is nothing to answer */
        drop_spool(worker, connection);
        close_connection(connection);
        return;
    }
    peer->request_id = spool->id;
    peer->keep = spool->keep && !late;
    exchange = exchange_new(&server->exchanges, peer, worker->conn);
    if (exchange && !late)
        status = read_request(spool, exchange, &reason);
    drop_spool(worker, connection);
    if (!exchange) {
        log_error("out of memory for a request");
        peer_done(peer, peer_send_ready(peer, server->exchanges.no_memory.data,
                                        server->exchanges.no_memory.len));
    } else if (status != 0) {
        exchange_refuse(exchange, status, reason);
        exchange_finish(exchange);
    } else {
        route(exchange);
    }
}

/* --- incomplete requests --- */

/* Keeps the part of the request that has arrived, and arms the connection for the rest. */
static void wait_for_more(struct fcgi_worker *worker, struct fcgi_connection *connection)
{
    struct gateway_fcgi *gateway = worker->gateway;

    /* the spool held a question about the server, now answered: the connection is idle again */
    if (connection->spool && spool_is_empty(connection->spool))
        end_spool(connection);
    if (!connection->spool && !spool_is_empty(&worker->spool)) {
        connection->spool = spool_keep(&worker->spool);
        if (!connection->spool) { /* refused at once, without its rest */
            worker->spool.keep = false;
            worker->spool.trouble = SPOOL_NO_MEMORY;
            answer_request(worker, connection, false);
            return;
        }
        /* server_drain() waits for incomplete requests too */
        atomic_fetch_add(&gateway->server->exchanges.count, 1);
    }
    if (connection->spool) {
        atomic_store(&connection->due,
                     clock_monotonic_ms() + gateway->server->engine.config->upload_timeout_ms);
        fcgi_timer_start(gateway);
    }
    if (!arm_connection(connection, EPOLL_CTL_MOD))
        close_connection(connection);
}

/* No connection can be closed meanwhile, because that needs the lock. */
bool fcgi_connections_end_late(struct gateway_fcgi *gateway)
{
    int64_t now = clock_monotonic_ms(), due;
    struct fcgi_connection *at;
    bool incomplete = false;

    (void)pthread_mutex_lock(&gateway->lock);
    LIST_FOREACH(at, &gateway->connections, entry) {
        due = atomic_load(&at->due);
        if (due <= 0)
            continue;
        incomplete = true;
        if (due <= now && atomic_compare_exchange_strong(&at->due, &due, LATE))
            (void)shutdown(at->peer.fd, SHUT_RD);
    }
    (void)pthread_mutex_unlock(&gateway->lock);
    return incomplete;
}

/* Makes the caller the owner of the connection. True if its request is late. */
static bool take_over_connection(struct fcgi_connection *connection)
{
    (void)atomic_load(&connection->turns);
    return atomic_load(&connection->due) != 0 && atomic_exchange(&connection->due, 0) == LATE;
}

static void read_connection(struct fcgi_worker *worker, struct fcgi_connection *connection)
{
    struct spool *spool = connection->spool ? connection->spool : &worker->spool;

    switch (spool_fill(spool, connection->peer.fd, worker->room, FCGI_ROOM)) {
    case SPOOL_MORE:
        wait_for_more(worker, connection);
        break;
    case SPOOL_WHOLE:
        answer_request(worker, connection, false);
        break;
    case SPOOL_GONE:
        if (!connection->spool)
            spool_reset(&worker->spool);
        close_connection(connection);
        break;
    }
}

static bool has_hung_up(struct fcgi_connection *connection, uint32_t events)
{
    char byte;

    return events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR) &&
           recv(connection->peer.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0;
}

void fcgi_connection_ready(struct fcgi_worker *worker, struct fcgi_connection *connection,
                           uint32_t events)
{
    if (take_over_connection(connection))
        answer_request(worker, connection, true);
    else if (has_hung_up(connection, events))
        close_connection(connection);
    else
        read_connection(worker, connection);
}
