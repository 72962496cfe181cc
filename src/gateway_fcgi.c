/*
 * The FastCGI door.
 *
 * One epoll set holds the listening socket and every idle kept-alive connection; the workers wait
 * on it, not more at once than there are CPUs for (seats.h). A connection is armed one-shot:
 * whoever gets its event owns it, reads one request with libfcgi, and hands the exchange over; when
 * the answer is out, whichever thread that was arms the connection again (peer_done). So idle
 * connections occupy nobody, and neither do parked readers.
 *
 *                            ┌──────── not all there yet ───────┐
 *                            ▼                                  │
 *     idle ──readable──▶ spool ──▶ worker: FCGX_Accept_r, parameters, body ──▶ route() ─ ─ ▶ done
 *      ▲                                                                                     │
 *      └─────────────────────────────────────────────────────────────────────────────────────┘
 *
 * libfcgi reads the requests, and blocks while it does: a client whose body trickles in through a
 * web server that passes it on as it comes (Apache) would keep a worker. So libfcgi is given only
 * what is there to its last byte: on the socket, or collected in a file in memory (spool.c).
 * Answers are written by peer.c, which never blocks. FCGX_Free after reading gives back libfcgi's
 * 17 KB of buffers, so that an exchange that waits costs only itself.
 *
 * Of processes that share the socket, more than the CPUs have use for only wake each other and make
 * each other's batches smaller. So no more than that answer the door; the others let in who is
 * still out there a moment later.
 */
#include "gateway_fcgi.h"

#include <errno.h>
#include <fcgiapp.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "arena.h"
#include "clock.h"
#include "config.h"
#include "gateway.h"
#include "http_response.h"
#include "log.h"
#include "route.h"
#include "seats.h"
#include "server.h"
#include "spool.h"
#include "store.h"
#include "wake.h"

enum {
    PIECE = 16 * 1024,
    PEEK = 64 * 1024,
    ACCEPTS = 64,
    MOMENT_NS = 10000000, /* in which whoever answers the door would have done so, busy or not */
    MOMENTS = 20,         /* at most, however many come in meanwhile */
};

/* An idle or busy connection. */
struct connection {
    struct peer peer; /* first: done() gets it back */
    struct gateway_fcgi *gateway;
    struct connection *next, *prev; /* all of them, to be closed at the end */
    struct spool *spool;            /* of a request that comes in bit by bit, or NULL */
    atomic_uint turns; /* requests so far: orders one owner's accesses before the next one's, which
                          epoll does for the machine but not for the language */
};

struct worker {
    struct gateway_fcgi *gateway;
    struct store_conn *conn;
    char *peek; /* PEEK bytes */
    pthread_t thread;
    bool started, seated;
};

/* Whose thread this is, or NULL. */
static _Thread_local struct worker *self;

struct gateway_fcgi {
    struct server *server;
    int listening, epoll;
    int stop;              /* an eventfd that ends the workers */
    atomic_bool door_shut; /* no descriptor was left for another connection */
    int64_t places;        /* processes that answer the door; 0: all do */
    atomic_bool answers;   /* this one is one of them */
    uint64_t door;         /* which socket it is */
    pthread_mutex_t lock;  /* guards the list */
    struct connection *connections;
    struct seats seats; /* of the workers */
    int64_t workers;
    struct worker worker[];
};

/* --- connections --- */

/* It leaves the epoll set by that. A function of its own for tests/tsan.supp. */
__attribute__((noinline)) static void close_descriptor(int fd)
{
    (void)close(fd);
}

/*
 * Exclusive: of many processes on one socket, a connection wakes one or two. Or each, where only
 * some are to answer; and once, until it has.
 */
static bool watch_door(struct gateway_fcgi *gateway, int op)
{
    struct epoll_event door = {.events =
                                   EPOLLIN | (gateway->places ? EPOLLONESHOT : EPOLLEXCLUSIVE),
                               .data.ptr = &gateway->listening};

    return epoll_ctl(gateway->epoll, op, gateway->listening, &door) == 0;
}

static bool open_door(struct gateway_fcgi *gateway)
{
    return watch_door(gateway, EPOLL_CTL_ADD);
}

static void shut_door(struct gateway_fcgi *gateway)
{
    (void)epoll_ctl(gateway->epoll, EPOLL_CTL_DEL, gateway->listening, NULL);
}

static void end_spool(struct connection *connection)
{
    spool_free(connection->spool);
    connection->spool = NULL;
    atomic_fetch_sub(&connection->gateway->server->exchanges, 1);
}

static void close_connection(struct connection *connection)
{
    struct gateway_fcgi *gateway = connection->gateway;

    (void)pthread_mutex_lock(&gateway->lock);
    if (connection->prev)
        connection->prev->next = connection->next;
    else
        gateway->connections = connection->next;
    if (connection->next)
        connection->next->prev = connection->prev;
    (void)pthread_mutex_unlock(&gateway->lock);
    close_descriptor(connection->peer.fd);
    if (connection->spool)
        end_spool(connection);
    free(connection);
    if (atomic_exchange(&gateway->door_shut, false) && !atomic_load(&gateway->server->stopping))
        (void)open_door(gateway);
}

/* The connection's next event belongs to whoever gets it: it is not looked at after this. */
static bool arm(struct connection *connection, int op)
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
    struct connection *connection = (struct connection *)peer;
    struct server *server = connection->gateway->server;

    if (!ok || !peer->keep || atomic_load(&server->stopping) || !arm(connection, EPOLL_CTL_MOD))
        close_connection(connection);
}

static void sit_down(struct worker *worker)
{
    if (!worker->seated)
        seats_take(&worker->gateway->seats);
    worker->seated = true;
}

static void get_up(struct worker *worker)
{
    if (worker->seated)
        seats_leave(&worker->gateway->seats);
    worker->seated = false;
}

/* peer.takes_long: on a worker's thread another one goes on with the requests meanwhile. */
static void peer_takes_long(void)
{
    if (self)
        get_up(self);
}

static void set_options(int fd)
{
    /* libfcgi reads only what is there: were it to want more, then because the records are wrong */
    struct timeval timeout = {0, 1000};
    int on = 1;

    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    /* over TCP, a short event must not wait for the one before it to be acknowledged */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static void admit(struct gateway_fcgi *gateway, int fd)
{
    struct connection *connection = calloc(1, sizeof *connection);

    if (!connection) {
        (void)close(fd);
        return;
    }
    set_options(fd);
    connection->gateway = gateway;
    connection->peer.fd = fd;
    connection->peer.framed = true;
    connection->peer.done = peer_done;
    connection->peer.takes_long = peer_takes_long;
    (void)pthread_mutex_lock(&gateway->lock);
    connection->next = gateway->connections;
    if (connection->next)
        connection->next->prev = connection;
    gateway->connections = connection;
    (void)pthread_mutex_unlock(&gateway->lock);
    if (!arm(connection, EPOLL_CTL_ADD)) {
        log_error("cannot watch a connection: %s", strerror(errno));
        close_connection(connection);
    }
}

static void accept_some(struct gateway_fcgi *gateway)
{
    for (int i = 0; i < ACCEPTS; i++) { /* others are waiting for this worker too */
        int fd = accept4(gateway->listening, NULL, NULL, SOCK_CLOEXEC);

        if (fd >= 0) {
            admit(gateway, fd);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
            log_warn("cannot accept before a connection ends: %s", strerror(errno));
            shut_door(gateway); /* it stays ready, and would keep the workers busy with nothing */
            atomic_store(&gateway->door_shut, true);
            return;
        } else if (errno != EINTR && errno != ECONNABORTED) {
            return;
        }
    }
}

static bool answers_door(struct gateway_fcgi *gateway)
{
    if (!atomic_load(&gateway->answers) && !atomic_load(&gateway->server->stopping))
        atomic_store(&gateway->answers, wake_try_door(store_wake(gateway->server->store),
                                                      gateway->door, gateway->places));
    return atomic_load(&gateway->answers);
}

/* Until nobody has answered it for a moment, though somebody may be out there. */
static void wait_at_door(struct wake *wake)
{
    const struct timespec moment = {0, MOMENT_NS};
    uint32_t before;

    for (int i = 0; i < MOMENTS; i++) {
        before = wake_doors_counted(wake);
        (void)nanosleep(&moment, NULL);
        if (wake_doors_counted(wake) == before)
            break;
    }
}

static void answer_door(struct worker *worker)
{
    struct gateway_fcgi *gateway = worker->gateway;
    struct wake *wake = store_wake(gateway->server->store);

    if (!gateway->places) {
        accept_some(gateway);
        return;
    }
    if (answers_door(gateway)) {
        wake_count_door(wake);
    } else {
        get_up(worker);
        wait_at_door(wake);
    }
    accept_some(gateway);
    if (!atomic_load(&gateway->door_shut))
        (void)watch_door(gateway, EPOLL_CTL_MOD);
}

/* --- one request --- */

/*
 * Reads the body to its end, also where it is too large: the web server would take a closed
 * connection for a crash, and the client would never learn why. Returns its length.
 */
static size_t read_all(FCGX_Stream *in, struct buf *body, size_t expected, size_t most)
{
    char piece[PIECE];
    size_t total = 0;
    int n;

    if (expected <= most &&
        buf_reserve(body, expected)) /* without a copy, if it is as long as said */
        while (body->len < expected) {
            size_t left = expected - body->len;

            n = FCGX_GetStr(body->data + body->len, left < INT_MAX ? (int)left : INT_MAX, in);
            if (n <= 0)
                return body->len;
            body->len += (size_t)n;
        }
    total = body->len;
    while ((n = FCGX_GetStr(piece, PIECE, in)) > 0) {
        total += (size_t)n;
        if (total <= most)
            buf_add(body, piece, (size_t)n);
    }
    return total;
}

/* The body into exchange->request. False when it was cut short. */
static bool read_body(FCGX_Stream *in, struct ds_exchange *exchange)
{
    struct http_request *request = &exchange->request;
    const char *said = request->param[PARAM_CONTENT_LENGTH];
    size_t most = (size_t)exchange->server->config->max_body_bytes;
    size_t expected = said ? (size_t)strtoull(said, NULL, 10) : 0;
    struct buf body = {0};
    size_t total = read_all(in, &body, expected, most);

    request->body_too_large = total > most;
    if (FCGX_GetError(in) != 0 || total < expected || buf_failed(&body)) {
        buf_close(&body);
        return false;
    }
    if (request->body_too_large)
        buf_close(&body);
    request->body = buf_take(&body, &request->body_len);
    return true;
}

static bool read_params(char **params, struct ds_exchange *exchange)
{
    for (; *params; params++) {
        const char *equals = strchr(*params, '=');

        if (equals &&
            !http_request_add(&exchange->request, exchange->arena, exchange->server->config,
                              *params, (size_t)(equals - *params), equals + 1))
            return false;
    }
    return true;
}

/* The request into the exchange. One that was too large for its spool ends in the middle. */
static bool read_whole(FCGX_Request *fcgi, struct ds_exchange *exchange, bool too_large)
{
    if (!read_params(fcgi->envp, exchange))
        return false;
    if (read_body(fcgi->in, exchange))
        return true;
    exchange->request.body_too_large = too_large;
    return too_large;
}

/* Reads one request with libfcgi; NULL when there is none to answer. */
static struct ds_exchange *read_request(struct worker *worker, struct connection *connection)
{
    struct spool *spool = connection->spool;
    struct ds_exchange *exchange = NULL;
    FCGX_Request fcgi; /* never moved: its streams point back to it */

    (void)FCGX_InitRequest(&fcgi, -1, 0);
    fcgi.ipcFd = spool ? spool_take_fd(spool) : connection->peer.fd;
    fcgi.keepConnection = 1;        /* or Accept_r would close the descriptor before it reads */
    FCGX_Detach(&fcgi);             /* no two seconds of lingering if it closes after all */
    if (FCGX_Accept_r(&fcgi) < 0) { /* and libfcgi has closed what it read from */
        if (!spool)
            connection->peer.fd = -1;
        return NULL;
    }
    exchange = exchange_new(worker->gateway->server, &connection->peer, worker->conn);
    if (exchange && !read_whole(&fcgi, exchange, spool && spool_is_too_large(spool))) {
        exchange_free(exchange);
        exchange = NULL;
    }
    if (spool)
        (void)close(fcgi.ipcFd);
    connection->peer.request_id = (uint16_t)fcgi.requestId;
    connection->peer.keep = fcgi.keepConnection != 0;
    FCGX_Free(&fcgi, 0);
    return exchange;
}

/* Is the request there to its end? If not, what there is of it has gone into the spool. */
static enum spool_state collect(struct worker *worker, struct connection *connection)
{
    struct server *server = worker->gateway->server;

    if (!connection->spool) {
        if (spool_is_whole(connection->peer.fd, worker->peek, PEEK))
            return SPOOL_WHOLE;
        connection->spool = spool_new(server->config);
        if (!connection->spool)
            return SPOOL_GONE;
        atomic_fetch_add(&server->exchanges, 1); /* a request that comes in is one already */
    }
    return spool_fill(connection->spool, connection->peer.fd, worker->peek, PEEK);
}

static void serve(struct worker *worker, struct connection *connection)
{
    struct ds_exchange *exchange = NULL;

    switch (collect(worker, connection)) {
    case SPOOL_MORE:
        if (!arm(connection, EPOLL_CTL_MOD))
            close_connection(connection);
        return;
    case SPOOL_WHOLE:
        exchange = read_request(worker, connection);
        break;
    case SPOOL_GONE:
        break;
    }
    if (!exchange) {
        close_connection(connection);
        return;
    }
    if (connection->spool)
        end_spool(connection);
    route(exchange);
}

static bool has_hung_up(struct connection *connection, uint32_t events)
{
    char byte;

    (void)atomic_load(&connection->turns);
    return events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR) &&
           recv(connection->peer.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0;
}

static void handle(struct worker *worker, const struct epoll_event *event)
{
    struct gateway_fcgi *gateway = worker->gateway;

    int64_t began = clock_monotonic_us();

    if (seats_are_for_waiting(&gateway->seats))
        get_up(worker);
    if (has_hung_up(event->data.ptr, event->events))
        close_connection(event->data.ptr);
    else
        serve(worker, event->data.ptr);
    seats_note(&gateway->seats, clock_monotonic_us() - began);
}

static void *run(void *arg)
{
    struct worker *worker = self = arg;
    struct gateway_fcgi *gateway = worker->gateway;
    struct epoll_event event;

    for (;;) {
        sit_down(worker);
        if (epoll_wait(gateway->epoll, &event, 1, -1) != 1)
            continue;
        if (event.data.ptr == &gateway->stop)
            break;
        if (event.data.ptr == &gateway->listening)
            answer_door(worker);
        else
            handle(worker, &event);
    }
    get_up(worker);
    return NULL;
}

/* --- the door --- */

bool gateway_fcgi_is_here(void)
{
    return !FCGX_IsCGI();
}

static bool prepare(struct gateway_fcgi *gateway)
{
    struct epoll_event stop = {.events = EPOLLIN, .data.ptr = &gateway->stop};
    int flags = fcntl(gateway->listening, F_GETFL);

    gateway->epoll = epoll_create1(EPOLL_CLOEXEC);
    gateway->stop = eventfd(0, EFD_CLOEXEC);
    /* non-blocking: another worker or process may be quicker with the connection */
    return FCGX_Init() == 0 && gateway->epoll >= 0 && gateway->stop >= 0 && flags >= 0 &&
           fcntl(gateway->listening, F_SETFL, flags | O_NONBLOCK) == 0 &&
           epoll_ctl(gateway->epoll, EPOLL_CTL_ADD, gateway->stop, &stop) == 0 &&
           open_door(gateway);
}

static enum ds_status start_worker(struct gateway_fcgi *gateway, struct worker *worker)
{
    enum ds_status status = store_connect(&worker->conn, gateway->server->store);

    worker->gateway = gateway;
    if (status != DS_OK)
        return status;
    worker->peek = malloc(PEEK);
    if (!worker->peek)
        return DS_NO_MEMORY;
    worker->started = pthread_create(&worker->thread, NULL, run, worker) == 0;
    return worker->started ? DS_OK : DS_NO_MEMORY;
}

struct gateway_fcgi *gateway_fcgi_new(struct server *server, int listening)
{
    int64_t workers = server->config->workers, cpus = sysconf(_SC_NPROCESSORS_ONLN);
    struct stat door;
    struct gateway_fcgi *gateway =
        calloc(1, sizeof *gateway + (size_t)workers * sizeof gateway->worker[0]);

    if (!gateway)
        return NULL;
    gateway->server = server;
    gateway->listening = listening;
    gateway->epoll = gateway->stop = -1;
    gateway->workers = workers;
    (void)pthread_mutex_init(&gateway->lock, NULL);
    seats_open(&gateway->seats, cpus);
    if (server->config->processes > seats_for(cpus) && fstat(listening, &door) == 0) {
        gateway->places = seats_for(cpus);
        gateway->door = (uint64_t)door.st_ino;
    }
    return gateway;
}

enum ds_status gateway_fcgi_start(struct gateway_fcgi *gateway)
{
    enum ds_status status = DS_OK;

    if (!prepare(gateway)) {
        log_error("cannot serve FastCGI: %s", strerror(errno));
        return DS_FAILED;
    }
    for (int64_t i = 0; status == DS_OK && i < gateway->workers; i++)
        status = start_worker(gateway, &gateway->worker[i]);
    return status;
}

void gateway_fcgi_close_door(struct gateway_fcgi *gateway)
{
    int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);

    atomic_store(&gateway->server->stopping, true);
    shut_door(gateway);
    if (gateway->places)
        wake_leave_door(store_wake(gateway->server->store));
    if (nothing < 0)
        return;
    /* a successor cannot listen on the address while we still hold the socket */
    (void)dup3(nothing, gateway->listening, O_CLOEXEC);
    (void)close(nothing);
}

/* A request that was still coming in when time was up; nobody reads it any more. */
static struct connection *find_half_read(struct gateway_fcgi *gateway)
{
    struct connection *connection;

    (void)pthread_mutex_lock(&gateway->lock);
    connection = gateway->connections;
    while (connection && !connection->spool)
        connection = connection->next;
    (void)pthread_mutex_unlock(&gateway->lock);
    return connection;
}

void gateway_fcgi_stop(struct gateway_fcgi *gateway)
{
    struct connection *half_read;
    uint64_t one = 1;

    if (gateway->stop >= 0 && write(gateway->stop, &one, sizeof one) < 0)
        log_error("cannot stop the workers: %s", strerror(errno));
    for (int64_t i = 0; i < gateway->workers; i++) {
        if (gateway->worker[i].started)
            (void)pthread_join(gateway->worker[i].thread, NULL);
        store_disconnect(gateway->worker[i].conn);
        free(gateway->worker[i].peek);
    }
    while ((half_read = find_half_read(gateway)))
        close_connection(half_read);
}

void gateway_fcgi_free(struct gateway_fcgi *gateway)
{
    if (!gateway)
        return;
    while (gateway->connections)
        close_connection(gateway->connections);
    if (gateway->epoll >= 0)
        (void)close(gateway->epoll);
    if (gateway->stop >= 0)
        (void)close(gateway->stop);
    (void)pthread_mutex_destroy(&gateway->lock);
    seats_close(&gateway->seats);
    free(gateway);
}
