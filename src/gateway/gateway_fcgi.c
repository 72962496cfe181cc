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
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/descriptors.h"
#include "base/log.h"
#include "config/config.h"
#include "gateway/gateway_fcgi_private.h"
#include "server/server.h"
#include "store/store.h"

enum {
    LEAST_TICK_MS = 10,
    MOST_TICK_MS = 1000,
};

/* Whose thread this is, or NULL. */
static _Thread_local struct fcgi_worker *self;

/* --- the workers --- */

static void acquire_slot(struct fcgi_worker *worker)
{
    if (!worker->has_slot)
        worker_slots_acquire(&worker->gateway->slots);
    worker->has_slot = true;
}

void fcgi_worker_release_slot(struct fcgi_worker *worker)
{
    if (worker->has_slot)
        worker_slots_release(&worker->gateway->slots);
    worker->has_slot = false;
}

/* peer.yield_slot: on a worker's thread another one goes on with the requests meanwhile. */
void fcgi_worker_yield_slot(void)
{
    if (self)
        fcgi_worker_release_slot(self);
}

/* Runs once; run_timer() lets it run again. */
void fcgi_timer_start(struct gateway_fcgi *gateway)
{
    int64_t ms = gateway->server->engine.config->upload_timeout_ms / 8;
    struct itimerspec after = {0};

    ms = ms < LEAST_TICK_MS ? LEAST_TICK_MS : ms > MOST_TICK_MS ? MOST_TICK_MS : ms;
    after.it_value.tv_sec = ms / 1000;
    after.it_value.tv_nsec = ms % 1000 * 1000000;
    if (!atomic_exchange(&gateway->ticking, true))
        (void)timerfd_settime(gateway->timer, 0, &after, NULL);
}

static void run_timer(struct gateway_fcgi *gateway)
{
    bool some;

    atomic_store(&gateway->ticking, false); /* one that begins to wait now sets it again */
    some = fcgi_connections_end_late(gateway);
    fcgi_listener_resume(gateway);
    if (some)
        fcgi_timer_start(gateway);
}

static void serve_connection(struct fcgi_worker *worker, const struct epoll_event *event)
{
    struct gateway_fcgi *gateway = worker->gateway;
    int64_t began = clock_monotonic_us();

    if (worker_slots_requests_are_slow(&gateway->slots))
        fcgi_worker_release_slot(worker);
    fcgi_connection_ready(worker, event->data.ptr, event->events);
    worker_slots_note(&gateway->slots, clock_monotonic_us() - began);
}

static void *run_worker(void *arg)
{
    struct fcgi_worker *worker = self = arg;
    struct gateway_fcgi *gateway = worker->gateway;
    struct epoll_event event;

    for (;;) {
        acquire_slot(worker);
        if (epoll_wait(gateway->epoll, &event, 1, -1) != 1)
            continue;
        if (event.data.ptr == &gateway->stop)
            break;
        if (event.data.ptr == &gateway->listener)
            fcgi_listener_ready(worker);
        else if (event.data.ptr == &gateway->timer)
            run_timer(gateway);
        else
            serve_connection(worker, &event);
    }
    fcgi_worker_release_slot(worker);
    return NULL;
}

/* --- start and stop --- */

bool gateway_fcgi_is_here(void)
{
    return !FCGX_IsCGI();
}

static bool open_descriptors(struct gateway_fcgi *gateway)
{
    struct epoll_event stop = {.events = EPOLLIN, .data.ptr = &gateway->stop};
    /* by its edge it wakes one worker, who need not read it */
    struct epoll_event timer = {.events = EPOLLIN | EPOLLET, .data.ptr = &gateway->timer};

    gateway->epoll = descriptor_high(epoll_create1(EPOLL_CLOEXEC));
    gateway->stop = descriptor_high(eventfd(0, EFD_CLOEXEC));
    gateway->timer = descriptor_high(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
    return FCGX_Init() == 0 && gateway->epoll >= 0 && gateway->stop >= 0 && gateway->timer >= 0 &&
           epoll_ctl(gateway->epoll, EPOLL_CTL_ADD, gateway->stop, &stop) == 0 &&
           epoll_ctl(gateway->epoll, EPOLL_CTL_ADD, gateway->timer, &timer) == 0 &&
           fcgi_listener_open(gateway);
}

static enum ds_status start_worker(struct gateway_fcgi *gateway, struct fcgi_worker *worker)
{
    enum ds_status status = store_connect(&worker->conn, gateway->server->engine.store);

    worker->gateway = gateway;
    spool_open(&worker->spool, gateway->server->engine.config);
    if (status != DS_OK)
        return status;
    worker->room = malloc(FCGI_ROOM);
    if (!worker->room)
        return DS_NO_MEMORY;
    worker->started = pthread_create(&worker->thread, NULL, run_worker, worker) == 0;
    return worker->started ? DS_OK : DS_NO_MEMORY;
}

struct gateway_fcgi *gateway_fcgi_new(struct server *server, int listening)
{
    int64_t workers = server->engine.config->workers, cpus = sysconf(_SC_NPROCESSORS_ONLN);
    struct gateway_fcgi *gateway =
        calloc(1, sizeof *gateway + (size_t)workers * sizeof gateway->worker[0]);

    if (!gateway)
        return NULL;
    gateway->server = server;
    gateway->epoll = gateway->stop = gateway->timer = -1;
    gateway->workers = workers;
    LIST_INIT(&gateway->connections);
    (void)pthread_mutex_init(&gateway->lock, NULL);
    worker_slots_open(&gateway->slots, cpus);
    fcgi_listener_init(gateway, listening, cpus);
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
    atomic_store(&gateway->server->stopping, true);
    fcgi_listener_close(gateway);
}

void gateway_fcgi_stop(struct gateway_fcgi *gateway)
{
    uint64_t one = 1;

    if (gateway->stop >= 0 && write(gateway->stop, &one, sizeof one) < 0)
        log_error("cannot stop the workers: %s", strerror(errno));
    for (int64_t i = 0; i < gateway->workers; i++) {
        if (gateway->worker[i].started)
            (void)pthread_join(gateway->worker[i].thread, NULL);
        free(gateway->worker[i].room);
        spool_close(&gateway->worker[i].spool);
        store_disconnect(gateway->worker[i].conn);
    }
    fcgi_connections_close_half_read(gateway);
}

void gateway_fcgi_free(struct gateway_fcgi *gateway)
{
    if (!gateway)
        return;
    fcgi_connections_close(gateway);
    if (gateway->timer >= 0)
        (void)close(gateway->timer);
    if (gateway->stop >= 0)
        (void)close(gateway->stop);
    if (gateway->epoll >= 0)
        (void)close(gateway->epoll);
    worker_slots_close(&gateway->slots);
    (void)pthread_mutex_destroy(&gateway->lock);
    free(gateway);
}
