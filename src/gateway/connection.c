/*
 * The connections of the gateway: see gateway.c for whose turn it is.
 *
 * A connection that awaits something has a deadline. A timer looks at all of them in turn, one slot
 * at each tick. It must not take over a connection, because a worker may have got the connection's
 * event a moment before. So it only marks the connection (due becomes CONNECTION_LATE) and shuts
 * down its receiving side. This causes an event, and the worker that gets it owns the connection
 * and finds the mark.
 */
#include "gateway/gateway_private.h"

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
#include "live/live.h"
#include "protocol/network.h"
#include "server/server.h"

enum {
    MOMENT_NS = 10000000, /* between attempts to get memory for a connection: 10 ms */
    MOMENTS = 20,         /* the most further attempts */
    CONNECTION_LATE = -1, /* connection.due: the time is up */
    LINGER_MS = 2000,     /* for a client to read the answer to what it is still sending */
    LINGER_READS = 64,
};

/* --- the list --- */

/* Closing also removes it from the epoll set. A separate function for tests/tsan.supp. */
__attribute__((noinline)) static void close_descriptor(int fd)
{
    (void)close(fd);
}

static void end_input(struct connection *connection)
{
    if (connection->spool)
        fcgi_input_end(connection);
    if (connection->input)
        http_input_end(connection);
}

void connection_close(struct connection *connection)
{
    struct gateway *gateway = connection->gateway;
    struct connections *slot = &gateway->connections[connection->slot];

    (void)pthread_mutex_lock(&slot->lock);
    LIST_REMOVE(connection, entry);
    (void)pthread_mutex_unlock(&slot->lock);
    if (connection->address)
        address_count_leave(&gateway->address, connection->address);
    if (connection->peer.kind == PEER_HTTP)
        atomic_fetch_sub(&gateway->clients, 1);
    close_descriptor(connection->peer.fd);
    end_input(connection);
    free(connection);
    listeners_resume(gateway);
}

static struct connection *find_half_read(struct connections *slot)
{
    struct connection *connection;

    (void)pthread_mutex_lock(&slot->lock);
    LIST_FOREACH(connection, &slot->list, entry)
        if (connection->spool || http_input_is_half_read(connection))
            break;
    (void)pthread_mutex_unlock(&slot->lock);
    return connection;
}

void connections_close_half_read(struct gateway *gateway)
{
    struct connection *half_read;

    for (int i = 0; i < GATEWAY_SLOTS; i++)
        while ((half_read = find_half_read(&gateway->connections[i])))
            connection_close(half_read);
}

void connections_close(struct gateway *gateway)
{
    for (int i = 0; i < GATEWAY_SLOTS; i++)
        while (!LIST_EMPTY(&gateway->connections[i].list))
            connection_close(LIST_FIRST(&gateway->connections[i].list));
}

/* --- arming --- */

/* The caller must not touch the connection after this: the thread that gets its event owns it. */
static bool arm_connection(struct connection *connection, int op, bool at_once)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLONESHOT,
                                .data.ptr = connection};
    int epoll = connection->gateway->epoll, fd = connection->peer.fd;

    if (at_once) /* soon, unless it is full of answers that nobody reads */
        event.events |= EPOLLOUT;
    atomic_fetch_add(&connection->turns, 1);
    return epoll_ctl(epoll, op, fd, &event) == 0;
}

/* Sets the deadline, and lets the timer run for at least one more round. */
static void set_due(struct connection *connection, int64_t ms)
{
    struct gateway *gateway = connection->gateway;
    unsigned tick;

    atomic_store(&connection->due, clock_monotonic_ms() + ms);
    tick = atomic_load(&gateway->tick);
    if (atomic_load(&gateway->awaited) != tick) /* all threads read it */
        atomic_store(&gateway->awaited, tick);
    gateway_timer_start(gateway);
}

void connection_wait(struct connection *connection, int64_t ms, bool at_once)
{
    if (ms > 0)
        set_due(connection, ms);
    if (!arm_connection(connection, EPOLL_CTL_MOD, at_once))
        connection_close(connection);
}

/*
 * Closes a connection whose client may still be sending: the rest of a request that was refused, or
 * further requests. A plain close() would answer the bytes that nobody has read with a reset, and
 * the client might lose the answer.
 */
static void linger(struct connection *connection)
{
    struct connections *slot = &connection->gateway->connections[connection->slot];

    connection->lingers = true;
    (void)pthread_mutex_lock(&slot->lock); /* find_half_read() may look at it */
    end_input(connection);
    (void)pthread_mutex_unlock(&slot->lock);
    if (shutdown(connection->peer.fd, SHUT_WR) != 0)
        connection_close(connection);
    else
        connection_wait(connection, LINGER_MS, false);
}

static void linger_on(struct worker *worker, struct connection *connection, bool late)
{
    ssize_t n = 1;

    for (int i = 0; !late && n > 0 && i < LINGER_READS; i++)
        n = recv(connection->peer.fd, worker->room, GATEWAY_ROOM, MSG_DONTWAIT);
    if (!late && (n > 0 || (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))))
        connection_wait(connection, 0, false); /* the deadline stays: take_over_connection() */
    else
        connection_close(connection);
}

/* peer.done: the answer is sent, or (not ok) the connection must be closed. On any thread. */
static void peer_done(struct peer *peer, bool ok)
{
    struct connection *connection = (struct connection *)peer;
    struct server *server = connection->gateway->server;

    peer->begun = false;
    if (ok && peer->kind == PEER_HTTP && !peer->keep)
        linger(connection);
    else if (!ok || !peer->keep || (peer->kind == PEER_FCGI && atomic_load(&server->stopping)))
        connection_close(connection);
    else if (peer->kind == PEER_HTTP)
        http_input_next(connection);
    else
        connection_wait(connection, 0, false);
}

/* peer.drain: the live desk writes the rest as the other side reads it. */
static void peer_drain(struct peer *peer, struct outgoing *out)
{
    struct connection *connection = (struct connection *)peer;

    live_drain(connection->gateway->server->live, peer, out);
}

static void set_options(int fd)
{
    int on = 1;

    /* a short SSE event must not wait until the one before it was acknowledged */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/* Tries for a while, since memory may be short for only a moment, and no error can be sent before
   a request has been read. */
static struct connection *new_connection(void)
{
    const struct timespec moment = {0, MOMENT_NS};
    struct connection *connection = calloc(1, sizeof *connection);

    for (int i = 0; !connection && i < MOMENTS; i++) {
        (void)nanosleep(&moment, NULL);
        connection = calloc(1, sizeof *connection);
    }
    return connection;
}

static void list_connection(struct connection *connection)
{
    struct gateway *gateway = connection->gateway;
    struct connections *slot;

    connection->slot = (unsigned)connection->peer.fd % GATEWAY_SLOTS;
    slot = &gateway->connections[connection->slot];
    (void)pthread_mutex_lock(&slot->lock);
    LIST_INSERT_HEAD(&slot->list, connection, entry);
    (void)pthread_mutex_unlock(&slot->lock);
}

/* Counts a client; false if there is one too many. */
static bool count_client(struct connection *connection, const struct sockaddr *address)
{
    struct gateway *gateway = connection->gateway;
    const struct config *config = gateway->server->engine.config;
    struct address client; /* of a unix socket there is none */

    if (atomic_fetch_add(&gateway->clients, 1) >= config->max_connections)
        return false;
    if (config->max_connections_per_address == 0 || !address_from(address, &client))
        return true;
    connection->address =
        address_count_enter(&gateway->address, &client, config->max_connections_per_address);
    return connection->address != NULL;
}

/* Answers one too many, without reading its request. */
static void refuse_client(struct connection *connection)
{
    static _Atomic int64_t next_line;
    const struct buf *answer = &connection->gateway->full;
    char some[512];

    if (log_is_due(&next_line))
        log_warn("more clients than DS_MAX_CONNECTIONS or DS_MAX_CONNECTIONS_PER_ADDRESS allows: "
                 "some are refused");
    connection->peer.keep = false;
    (void)peer_send_ready(&connection->peer, answer->data, answer->len);
    /* what was not read would reset the connection, and the answer might be lost */
    (void)recv(connection->peer.fd, some, sizeof some, MSG_DONTWAIT);
    connection_close(connection);
}

static void set_peer(struct connection *connection, enum door_kind kind, int fd)
{
    struct peer *peer = &connection->peer;

    peer->fd = fd;
    peer->kind = kind == DOOR_HTTP ? PEER_HTTP : PEER_FCGI;
    peer->stopping = &connection->gateway->server->stopping;
    peer->done = peer_done;
    peer->drain = peer_drain;
    peer->yield_slot = worker_yield_slot;
}

void connection_admit(struct gateway *gateway, enum door_kind kind, int fd,
                      const struct sockaddr *address)
{
    struct connection *connection = new_connection();

    if (!connection) {
        log_error("out of memory for a connection");
        (void)close(fd);
        return;
    }
    set_options(fd);
    connection->gateway = gateway;
    set_peer(connection, kind, fd);
    list_connection(connection);
    if (kind == DOOR_HTTP && !count_client(connection, address)) {
        refuse_client(connection);
        return;
    }
    if (kind == DOOR_HTTP)
        set_due(connection, gateway->server->engine.config->upload_timeout_ms);
    if (!arm_connection(connection, EPOLL_CTL_ADD, false)) {
        log_error("cannot watch a connection: %s", strerror(errno));
        connection_close(connection);
    }
}

/* --- deadlines --- */

/* No connection of the slot can be closed meanwhile, because that needs the lock. */
static bool look_at_slot(struct connections *slot, int64_t now)
{
    struct connection *at;
    bool awaited = false;
    int64_t due;

    (void)pthread_mutex_lock(&slot->lock);
    LIST_FOREACH(at, &slot->list, entry) {
        due = atomic_load(&at->due);
        if (due <= 0)
            continue;
        awaited = true;
        if (due <= now && atomic_compare_exchange_strong(&at->due, &due, CONNECTION_LATE))
            (void)shutdown(at->peer.fd, SHUT_RD);
    }
    (void)pthread_mutex_unlock(&slot->lock);
    return awaited;
}

bool connections_tick(struct gateway *gateway)
{
    unsigned tick = atomic_fetch_add(&gateway->tick, 1);
    int64_t now = clock_monotonic_ms();

    if (look_at_slot(&gateway->connections[tick % GATEWAY_SLOTS], now))
        atomic_store(&gateway->awaited, tick);
    /* a whole round without any ends the timer */
    return tick - atomic_load(&gateway->awaited) < GATEWAY_SLOTS;
}

/* Makes the caller the owner of the connection. True if it is late. */
static bool take_over_connection(struct connection *connection)
{
    (void)atomic_load(&connection->turns);
    if (connection->lingers) /* its deadline does not move */
        return atomic_load(&connection->due) == CONNECTION_LATE;
    return atomic_load(&connection->due) != 0 &&
           atomic_exchange(&connection->due, 0) == CONNECTION_LATE;
}

static bool has_hung_up(struct connection *connection, uint32_t events)
{
    char byte;

    return events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR) &&
           recv(connection->peer.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0;
}

void connection_ready(struct worker *worker, struct connection *connection, uint32_t events)
{
    bool late = take_over_connection(connection);

    if (connection->lingers)
        linger_on(worker, connection, late);
    else if (connection->peer.kind == PEER_HTTP)
        http_input_ready(worker, connection, late);
    else if (!late && has_hung_up(connection, events))
        connection_close(connection);
    else
        fcgi_input_ready(worker, connection, late);
}
