/* FastCGI connections and their requests: see gateway_fcgi_private.h and gateway_fcgi.c. */
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
#include "gateway/gateway_fcgi_private.h"
#include "live/live.h"
#include "server/route.h"
#include "server/server.h"

enum {
    MOMENT_NS = 10000000, /* between attempts to get memory */
    MOMENTS = 20,
    LATE = -1, /* connection.due of one whose time is up */
};

/* --- the list --- */

/* It leaves the epoll set by that. A function of its own for tests/tsan.supp. */
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

/* A request that was still coming in when time was up; nobody reads it any more. */
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

/* The connection's next event belongs to whoever gets it: it is not looked at after this. */
static bool arm_connection(struct fcgi_connection *connection, int op)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLONESHOT,
                                .data.ptr = connection};
    int epoll = connection->gateway->epoll, fd = connection->peer.fd;

    atomic_fetch_add(&connection->turns, 1);
    return epoll_ctl(epoll, op, fd, &event) == 0;
}

/* peer.done: the answer is out, or never will be. Any thread. */
static void peer_done(struct peer *peer, bool ok)
{
    struct fcgi_connection *connection = (struct fcgi_connection *)peer;
    struct server *server = connection->gateway->server;

    if (!ok || !peer->keep || atomic_load(&server->stopping) ||
        !arm_connection(connection, EPOLL_CTL_MOD))
        close_connection(connection);
}

/* peer.drain: the live desk writes it as the web server takes it. */
static void peer_drain(struct peer *peer, struct outgoing *out)
{
    struct fcgi_connection *connection = (struct fcgi_connection *)peer;

    live_drain(connection->gateway->server->live, peer, out);
}

static void set_options(int fd)
{
    int on = 1;

    /* over TCP, a short event must not wait for the one before it to be acknowledged */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/* A moment later there may be memory again; and before a request is read, nobody can be told. */
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

/* --- one request --- */

/* The parameters into the exchange. 0, or the HTTP status to answer with. */
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

/* What came in into the exchange. 0, or the HTTP status to answer with. */
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

/* Of a request that came in bit by bit, or of the one that the worker has just read. */
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
    const char *reason = "nothing more of the request came in time";
    int status = 408;

    if (spool->part == SPOOL_BEGIN) { /* nobody to answer yet */
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

/* --- requests that come in bit by bit --- */

/* Keeps what there is of the request and waits for more of it. */
static void wait_for_more(struct fcgi_worker *worker, struct fcgi_connection *connection)
{
    struct gateway_fcgi *gateway = worker->gateway;

    /* it was the rest of a question about us, say: the connection is idle again */
    if (connection->spool && spool_is_empty(connection->spool))
        end_spool(connection);
    if (!connection->spool && !spool_is_empty(&worker->spool)) {
        connection->spool = spool_keep(&worker->spool);
        if (!connection->spool) { /* its rest is not waited for */
            worker->spool.keep = false;
            worker->spool.trouble = SPOOL_NO_MEMORY;
            answer_request(worker, connection, false);
            return;
        }
        atomic_fetch_add(&gateway->server->exchanges.count, 1); /* it is one already */
    }
    if (connection->spool) {
        atomic_store(&connection->due,
                     clock_monotonic_ms() + gateway->server->engine.config->upload_timeout_ms);
        fcgi_timer_start(gateway);
    }
    if (!arm_connection(connection, EPOLL_CTL_MOD))
        close_connection(connection);
}

/* Whose time is up is told so. Nobody else ends them meanwhile: that would need the lock. */
bool fcgi_connections_end_late(struct gateway_fcgi *gateway)
{
    int64_t now = clock_monotonic_ms(), due;
    struct fcgi_connection *at;
    bool some = false;

    (void)pthread_mutex_lock(&gateway->lock);
    LIST_FOREACH(at, &gateway->connections, entry) {
        due = atomic_load(&at->due);
        if (due <= 0)
            continue;
        some = true;
        if (due <= now && atomic_compare_exchange_strong(&at->due, &due, LATE))
            (void)shutdown(at->peer.fd, SHUT_RD);
    }
    (void)pthread_mutex_unlock(&gateway->lock);
    return some;
}

/* From now on it is the caller's alone. Was its time up? */
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
