/*
 * The FastCGI door.
 *
 * One epoll set holds the listening socket and every idle kept-alive connection; the workers wait
 * on it, not more at once than there are CPUs for (worker_slots.h). A connection is armed one-shot:
 * whoever gets its event owns it, reads one request (spool.c), and hands the exchange over; when
 * the answer is out, whichever thread that was arms the connection again (peer_done). So idle
 * connections occupy nobody, and neither do parked readers.
 *
 *                ┌─── not all there yet ───┐
 *                ▼                         │
 *     idle ──readable──▶ worker: spool ────┴──▶ exchange, route() ─ ─ ▶ done
 *      ▲                                                                 │
 *      └─────────────────────────────────────────────────────────────────┘
 *
 * What there is of a request is read without waiting for the rest: a client whose body trickles in
 * through a web server that passes it on as it comes (Apache) keeps no worker. One of which nothing
 * comes for DS_UPLOAD_TIMEOUT_MS is answered 408. A timer that runs while there are such looks for
 * them. It must not take a connection whose event a worker has just got, so it only marks it (due)
 * and shuts its reading side; by the event that follows, a worker owns it and finds the mark.
 *
 * Answers are written by peer.c, which never blocks. libfcgi says whether this is FastCGI at all;
 * why it does not read the requests as well stands in spool.h.
 *
 * Of processes that share the socket, more than the CPUs have use for only wake each other and make
 * each other's batches smaller. So no more than that answer the door; the others let in who is
 * still out there a moment later.
 */
#include "gateway/gateway_fcgi.h"

#include <errno.h>
#include <fcgiapp.h>
#include <fcntl.h>
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
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/descriptors.h"
#include "base/log.h"
#include "config/config.h"
#include "exchange/answer.h"
#include "exchange/exchange.h"
#include "gateway/spool.h"
#include "gateway/worker_slots.h"
#include "hints/acceptor.h"
#include "live/live.h"
#include "server/route.h"
#include "server/server.h"
#include "store/store.h"

enum {
    ROOM = 64 * 1024,
    ACCEPTS = 64,
    MOMENT_NS = 10000000, /* in which whoever answers the door would have done so, busy or not */
    MOMENTS = 20,         /* at most, however many come in meanwhile */
    LEAST_TICK_MS = 10,
    MOST_TICK_MS = 1000,
    LATE = -1, /* connection.due of one whose time is up */
};

/* An idle or busy connection. */
struct connection {
    struct peer peer; /* first: done() gets it back */
    struct gateway_fcgi *gateway;
    struct connection *next, *prev; /* all of them, to be closed at the end */
    struct spool *spool;            /* of a request that comes in bit by bit, or NULL */
    _Atomic int64_t due;            /* monotonic ms: more of it must have come by then; or LATE; 0:
                                       nothing is waited for */
    atomic_uint turns; /* requests so far: orders one owner's accesses before the next one's, which
                          epoll does for the machine but not for the language */
};

struct worker {
    struct gateway_fcgi *gateway;
    struct store_conn *conn;
    struct spool spool; /* of the request that is being read */
    char *room;         /* ROOM bytes to read into */
    pthread_t thread;
    bool started, has_slot;
};

/* Whose thread this is, or NULL. */
static _Thread_local struct worker *self;

struct gateway_fcgi {
    struct server *server;
    int listening, epoll;
    int stop;                /* an eventfd that ends the workers */
    int timer;               /* looks for requests of which nothing comes any more */
    atomic_bool ticking;     /* it has been set */
    atomic_bool paused;      /* no descriptor was left for another connection */
    int64_t acceptor_limit;  /* processes that answer the door; 0: all do */
    atomic_bool is_acceptor; /* this one is one of them */
    uint64_t listener_id;    /* which socket it is */
    pthread_mutex_t lock;    /* guards the list */
    struct connection *connections;
    struct worker_slots slots; /* of the workers */
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
static bool listener_watch(struct gateway_fcgi *gateway, int op)
{
    struct epoll_event event = {.events = EPOLLIN |
                                          (gateway->acceptor_limit ? EPOLLONESHOT : EPOLLEXCLUSIVE),
                                .data.ptr = &gateway->listening};

    return epoll_ctl(gateway->epoll, op, gateway->listening, &event) == 0;
}

static void listener_unwatch(struct gateway_fcgi *gateway)
{
    (void)epoll_ctl(gateway->epoll, EPOLL_CTL_DEL, gateway->listening, NULL);
}

/* There may be a descriptor for another connection now. */
static void listener_resume(struct gateway_fcgi *gateway)
{
    if (atomic_exchange(&gateway->paused, false) && !atomic_load(&gateway->server->stopping))
        (void)listener_watch(gateway, EPOLL_CTL_ADD);
}

static void end_spool(struct connection *connection)
{
    spool_free(connection->spool);
    connection->spool = NULL;
    atomic_fetch_sub(&connection->gateway->server->exchanges.count, 1);
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
    listener_resume(gateway);
}

/* The connection's next event belongs to whoever gets it: it is not looked at after this. */
static bool arm_connection(struct connection *connection, int op)
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

    if (!ok || !peer->keep || atomic_load(&server->stopping) ||
        !arm_connection(connection, EPOLL_CTL_MOD))
        close_connection(connection);
}

/* peer.drain: the live desk writes it as the web server takes it. */
static void peer_drain(struct peer *peer, struct outgoing *out)
{
    struct connection *connection = (struct connection *)peer;

    live_drain(connection->gateway->server->live, peer, out);
}

static void acquire_slot(struct worker *worker)
{
    if (!worker->has_slot)
        worker_slots_acquire(&worker->gateway->slots);
    worker->has_slot = true;
}

static void release_slot(struct worker *worker)
{
    if (worker->has_slot)
        worker_slots_release(&worker->gateway->slots);
    worker->has_slot = false;
}

/* peer.yield_slot: on a worker's thread another one goes on with the requests meanwhile. */
static void peer_yield_slot(void)
{
    if (self)
        release_slot(self);
}

static void set_options(int fd)
{
    int on = 1;

    /* over TCP, a short event must not wait for the one before it to be acknowledged */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/* A moment later there may be memory again; and before a request is read, nobody can be told. */
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

static void admit_connection(struct gateway_fcgi *gateway, int fd)
{
    struct connection *connection = new_connection();

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
    connection->peer.yield_slot = peer_yield_slot;
    (void)pthread_mutex_lock(&gateway->lock);
    connection->next = gateway->connections;
    if (connection->next)
        connection->next->prev = connection;
    gateway->connections = connection;
    (void)pthread_mutex_unlock(&gateway->lock);
    if (!arm_connection(connection, EPOLL_CTL_ADD)) {
        log_error("cannot watch a connection: %s", strerror(errno));
        close_connection(connection);
    }
}

/* Runs once; end_late_requests() lets it run again. */
static void start_timer(struct gateway_fcgi *gateway)
{
    int64_t ms = gateway->server->engine.config->upload_timeout_ms / 8;
    struct itimerspec after = {0};

    ms = ms < LEAST_TICK_MS ? LEAST_TICK_MS : ms > MOST_TICK_MS ? MOST_TICK_MS : ms;
    after.it_value.tv_sec = ms / 1000;
    after.it_value.tv_nsec = ms % 1000 * 1000000;
    if (!atomic_exchange(&gateway->ticking, true))
        (void)timerfd_settime(gateway->timer, 0, &after, NULL);
}

/*
 * Until a connection ends, or the timer has run: the socket stays ready, and would keep the workers
 * busy with nothing.
 */
static void listener_pause(struct gateway_fcgi *gateway)
{
    listener_unwatch(gateway);
    atomic_store(&gateway->paused, true);
    start_timer(gateway);
}

static void listener_accept(struct gateway_fcgi *gateway)
{
    static _Atomic int64_t next_line;

    for (int i = 0; i < ACCEPTS; i++) { /* others are waiting for this worker too */
        int fd = descriptor_high(accept4(gateway->listening, NULL, NULL, SOCK_CLOEXEC));

        if (fd >= 0) {
            admit_connection(gateway, fd);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
            if (log_is_due(&next_line))
                log_warn("cannot accept before a connection ends: %s", strerror(errno));
            listener_pause(gateway);
            return;
        } else if (errno != EINTR && errno != ECONNABORTED) {
            return;
        }
    }
}

static bool listener_is_acceptor(struct gateway_fcgi *gateway)
{
    if (!atomic_load(&gateway->is_acceptor) && !atomic_load(&gateway->server->stopping))
        atomic_store(&gateway->is_acceptor,
                     acceptor_try(store_hints(gateway->server->engine.store), gateway->listener_id,
                                  gateway->acceptor_limit));
    return atomic_load(&gateway->is_acceptor);
}

/* Until nobody has answered it for a moment, though somebody may be out there. */
static void listener_wait_for_acceptors(struct hints *hints)
{
    const struct timespec moment = {0, MOMENT_NS};
    uint32_t before;

    for (int i = 0; i < MOMENTS; i++) {
        before = acceptor_announced(hints);
        (void)nanosleep(&moment, NULL);
        if (acceptor_announced(hints) == before)
            break;
    }
}

static void listener_ready(struct worker *worker)
{
    struct gateway_fcgi *gateway = worker->gateway;
    struct hints *hints = store_hints(gateway->server->engine.store);

    if (!gateway->acceptor_limit) {
        listener_accept(gateway);
        return;
    }
    if (listener_is_acceptor(gateway)) {
        acceptor_announce(hints);
    } else {
        release_slot(worker);
        listener_wait_for_acceptors(hints);
    }
    listener_accept(gateway);
    if (!atomic_load(&gateway->paused))
        (void)listener_watch(gateway, EPOLL_CTL_MOD);
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
static void drop_spool(struct worker *worker, struct connection *connection)
{
    if (connection->spool)
        end_spool(connection);
    else
        spool_reset(&worker->spool);
}

static void answer_request(struct worker *worker, struct connection *connection, bool late)
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
static void wait_for_more(struct worker *worker, struct connection *connection)
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
        start_timer(gateway);
    }
    if (!arm_connection(connection, EPOLL_CTL_MOD))
        close_connection(connection);
}

/* Whose time is up is told so. Nobody else ends them meanwhile: that would need the lock. */
static void end_late_requests(struct gateway_fcgi *gateway)
{
    int64_t now = clock_monotonic_ms(), due;
    bool some = false;

    atomic_store(&gateway->ticking, false); /* one that begins to wait now sets it again */
    (void)pthread_mutex_lock(&gateway->lock);
    for (struct connection *at = gateway->connections; at; at = at->next) {
        due = atomic_load(&at->due);
        if (due <= 0)
            continue;
        some = true;
        if (due <= now && atomic_compare_exchange_strong(&at->due, &due, LATE))
            (void)shutdown(at->peer.fd, SHUT_RD);
    }
    (void)pthread_mutex_unlock(&gateway->lock);
    listener_resume(gateway);
    if (some)
        start_timer(gateway);
}

/* From now on it is the caller's alone. Was its time up? */
static bool take_over_connection(struct connection *connection)
{
    (void)atomic_load(&connection->turns);
    return atomic_load(&connection->due) != 0 && atomic_exchange(&connection->due, 0) == LATE;
}

static void read_connection(struct worker *worker, struct connection *connection)
{
    struct spool *spool = connection->spool ? connection->spool : &worker->spool;

    switch (spool_fill(spool, connection->peer.fd, worker->room, ROOM)) {
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

static bool has_hung_up(struct connection *connection, uint32_t events)
{
    char byte;

    return events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR) &&
           recv(connection->peer.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0;
}

static void handle_connection(struct worker *worker, const struct epoll_event *event)
{
    struct gateway_fcgi *gateway = worker->gateway;
    struct connection *connection = event->data.ptr;
    int64_t began = clock_monotonic_us();

    if (worker_slots_requests_are_slow(&gateway->slots))
        release_slot(worker);
    if (take_over_connection(connection))
        answer_request(worker, connection, true);
    else if (has_hung_up(connection, event->events))
        close_connection(connection);
    else
        read_connection(worker, connection);
    worker_slots_note(&gateway->slots, clock_monotonic_us() - began);
}

static void *run_worker(void *arg)
{
    struct worker *worker = self = arg;
    struct gateway_fcgi *gateway = worker->gateway;
    struct epoll_event event;

    for (;;) {
        acquire_slot(worker);
        if (epoll_wait(gateway->epoll, &event, 1, -1) != 1)
            continue;
        if (event.data.ptr == &gateway->stop)
            break;
        if (event.data.ptr == &gateway->listening)
            listener_ready(worker);
        else if (event.data.ptr == &gateway->timer)
            end_late_requests(gateway);
        else
            handle_connection(worker, &event);
    }
    release_slot(worker);
    return NULL;
}

/* --- the door --- */

bool gateway_fcgi_is_here(void)
{
    return !FCGX_IsCGI();
}

static bool open_descriptors(struct gateway_fcgi *gateway)
{
    struct epoll_event stop = {.events = EPOLLIN, .data.ptr = &gateway->stop};
    /* by its edge it wakes one worker, who need not read it */
    struct epoll_event timer = {.events = EPOLLIN | EPOLLET, .data.ptr = &gateway->timer};
    int flags = fcntl(gateway->listening, F_GETFL);

    gateway->epoll = descriptor_high(epoll_create1(EPOLL_CLOEXEC));
    gateway->stop = descriptor_high(eventfd(0, EFD_CLOEXEC));
    gateway->timer = descriptor_high(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
    /* non-blocking: another worker or process may be quicker with the connection */
    return FCGX_Init() == 0 && gateway->epoll >= 0 && gateway->stop >= 0 && gateway->timer >= 0 &&
           flags >= 0 && fcntl(gateway->listening, F_SETFL, flags | O_NONBLOCK) == 0 &&
           epoll_ctl(gateway->epoll, EPOLL_CTL_ADD, gateway->stop, &stop) == 0 &&
           epoll_ctl(gateway->epoll, EPOLL_CTL_ADD, gateway->timer, &timer) == 0 &&
           listener_watch(gateway, EPOLL_CTL_ADD);
}

static enum ds_status start_worker(struct gateway_fcgi *gateway, struct worker *worker)
{
    enum ds_status status = store_connect(&worker->conn, gateway->server->engine.store);

    worker->gateway = gateway;
    spool_open(&worker->spool, gateway->server->engine.config);
    if (status != DS_OK)
        return status;
    worker->room = malloc(ROOM);
    if (!worker->room)
        return DS_NO_MEMORY;
    worker->started = pthread_create(&worker->thread, NULL, run_worker, worker) == 0;
    return worker->started ? DS_OK : DS_NO_MEMORY;
}

struct gateway_fcgi *gateway_fcgi_new(struct server *server, int listening)
{
    int64_t workers = server->engine.config->workers, cpus = sysconf(_SC_NPROCESSORS_ONLN);
    struct stat info;
    struct gateway_fcgi *gateway =
        calloc(1, sizeof *gateway + (size_t)workers * sizeof gateway->worker[0]);

    if (!gateway)
        return NULL;
    gateway->server = server;
    gateway->listening = listening;
    gateway->epoll = gateway->stop = gateway->timer = -1;
    gateway->workers = workers;
    (void)pthread_mutex_init(&gateway->lock, NULL);
    worker_slots_open(&gateway->slots, cpus);
    if (server->engine.config->processes > worker_slots_for(cpus) && fstat(listening, &info) == 0) {
        gateway->acceptor_limit = worker_slots_for(cpus);
        gateway->listener_id = (uint64_t)info.st_ino;
    }
    return gateway;
}

enum ds_status gateway_fcgi_start(struct gateway_fcgi *gateway)
{
    enum ds_status status = DS_OK;

    if (!open_descriptors(gateway)) {
        log_error("cannot serve FastCGI: %s", strerror(errno));
        return DS_FAILED;
    }
    for (int64_t i = 0; status == DS_OK && i < gateway->workers; i++)
        status = start_worker(gateway, &gateway->worker[i]);
    return status;
}

void gateway_fcgi_close_listener(struct gateway_fcgi *gateway)
{
    int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);

    atomic_store(&gateway->server->stopping, true);
    listener_unwatch(gateway);
    if (gateway->acceptor_limit)
        acceptor_leave(store_hints(gateway->server->engine.store));
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
        spool_close(&gateway->worker[i].spool);
        free(gateway->worker[i].room);
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
    if (gateway->timer >= 0)
        (void)close(gateway->timer);
    (void)pthread_mutex_destroy(&gateway->lock);
    worker_slots_close(&gateway->slots);
    free(gateway);
}
