/*
 * The FastCGI gateway: its workers, start and stop.
 *
 * One epoll set holds the listening socket and every connection. The workers wait on it;
 * worker_slots.h limits how many wait at the same time. A connection is armed one-shot: the worker
 * that gets its event owns it, reads one request (spool.c) and hands the exchange to route(). The
 * thread that finishes the answer arms the connection again (peer_done). So neither an idle
 * connection nor a parked reader occupies a thread.
 *
 *                ┌─────── incomplete ──────┐
 *                ▼                         │
 *     idle ──readable──▶ worker: spool ────┴──▶ exchange, route() ─ ─ ▶ done
 *      ▲                                                                 │
 *      └─────────────────────────────────────────────────────────────────┘
 *
 * peer.c writes the answers and never blocks. libfcgi only tells whether this process was started
 * as a FastCGI application; spool.h says why it does not read the requests.
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

/* The timer runs after an eighth of DS_UPLOAD_TIMEOUT_MS, within these limits. */
enum {
    LEAST_TICK_MS = 10,
    MOST_TICK_MS = 1000,
};

/* The worker of the calling thread; NULL in every other thread. */
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

void fcgi_worker_yield_slot(void)
{
    if (self)
        fcgi_worker_release_slot(self);
}

/* Once: run_timer() starts it again while requests are incomplete. */
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
    bool incomplete;

    /* cleared first: a request that becomes incomplete from now on starts the timer again */
    atomic_store(&gateway->ticking, false);
    incomplete = fcgi_connections_end_late(gateway);
    fcgi_listener_resume(gateway);
    if (incomplete)
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
    /* edge-triggered: it wakes one worker, which need not read the timer */
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
