/*
 * The gateway for FastCGI and HTTP: its workers, start and stop.
 *
 * One epoll set holds the listening sockets and every connection. The workers wait on it;
 * worker_slots.h limits how many wait at the same time. A connection is armed one-shot: the worker
 * that gets its event owns it, reads one request (fcgi_input.c, http_input.c) and hands the
 * exchange to route(). The thread that finishes the answer arms the connection again
 * (connection.c). So neither an idle connection nor a parked reader occupies a thread.
 *
 *                ┌─────── incomplete ──────┐
 *                ▼                         │
 *     idle ──readable──▶ worker: input ────┴──▶ exchange, route() ─ ─ ▶ done
 *      ▲                                                                 │
 *      └─────────────────────────────────────────────────────────────────┘
 *
 * peer.c writes the answers and never blocks. libfcgi only tells whether this process was started
 * as a FastCGI application; spool.h says why it does not read the requests.
 */
#include "gateway/gateway.h"

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
#include "exchange/answer.h"
#include "gateway/gateway_private.h"
#include "server/server.h"
#include "store/store.h"

/* The timer looks at all connections within an eighth of DS_UPLOAD_TIMEOUT_MS; this is the time for
   one slot, within these limits. */
enum {
    LEAST_TICK_MS = 10,
    MOST_TICK_MS = 125,
};

/* The worker of the calling thread; NULL in every other thread. */
static _Thread_local struct worker *self;

/* --- the workers --- */

static void acquire_slot(struct worker *worker)
{
    if (!worker->has_slot)
        worker_slots_acquire(&worker->gateway->slots);
    worker->has_slot = true;
}

void worker_release_slot(struct worker *worker)
{
    if (worker->has_slot)
        worker_slots_release(&worker->gateway->slots);
    worker->has_slot = false;
}

void worker_yield_slot(void)
{
    if (self)
        worker_release_slot(self);
}

/* Once: run_timer() starts it again while connections await something. */
void gateway_timer_start(struct gateway *gateway)
{
    int64_t ms = gateway->server->engine.config->upload_timeout_ms / (8 * GATEWAY_SLOTS);
    struct itimerspec after = {0};

    ms = ms < LEAST_TICK_MS ? LEAST_TICK_MS : ms > MOST_TICK_MS ? MOST_TICK_MS : ms;
    after.it_value.tv_sec = ms / 1000;
    after.it_value.tv_nsec = ms % 1000 * 1000000;
    if (!atomic_load(&gateway->ticking) && !atomic_exchange(&gateway->ticking, true))
        (void)timerfd_settime(gateway->timer, 0, &after, NULL);
}

static void run_timer(struct gateway *gateway)
{
    bool awaited;

    /* cleared first: a connection that awaits something from now on starts the timer again */
    atomic_store(&gateway->ticking, false);
    awaited = connections_tick(gateway);
    listeners_resume(gateway);
    if (awaited)
        gateway_timer_start(gateway);
}

static void serve_connection(struct worker *worker, const struct epoll_event *event)
{
    struct gateway *gateway = worker->gateway;
    int64_t began = clock_monotonic_us();

    if (worker_slots_requests_are_slow(&gateway->slots))
        worker_release_slot(worker);
    connection_ready(worker, event->data.ptr, event->events);
    worker_slots_note(&gateway->slots, clock_monotonic_us() - began);
}

static bool is_listener(const struct gateway *gateway, const void *at)
{
    return at >= (const void *)&gateway->listener[0] &&
           at < (const void *)&gateway->listener[LISTEN_MOST];
}

static void *run_worker(void *arg)
{
    struct worker *worker = self = arg;
    struct gateway *gateway = worker->gateway;
    struct epoll_event event;

    for (;;) {
        acquire_slot(worker);
        if (epoll_wait(gateway->epoll, &event, 1, -1) != 1)
            continue;
        if (event.data.ptr == &gateway->stop)
            break;
        if (is_listener(gateway, event.data.ptr))
            listener_ready(worker, event.data.ptr);
        else if (event.data.ptr == &gateway->timer)
            run_timer(gateway);
        else
            serve_connection(worker, &event);
    }
    worker_release_slot(worker);
    return NULL;
}

/* --- start and stop --- */

bool gateway_is_fcgi(void)
{
    return !FCGX_IsCGI();
}

static bool open_listeners(struct gateway *gateway)
{
    for (int i = 0; i < gateway->listeners; i++)
        if (!listener_open(&gateway->listener[i]))
            return false;
    return true;
}

static bool open_descriptors(struct gateway *gateway)
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
           open_listeners(gateway);
}

static enum ds_status start_worker(struct gateway *gateway, struct worker *worker)
{
    enum ds_status status = store_connect(&worker->conn, gateway->server->engine.store);

    worker->gateway = gateway;
    spool_open(&worker->spool, gateway->server->engine.config);
    if (status != DS_OK)
        return status;
    worker->room = malloc(GATEWAY_ROOM);
    worker->input = http_input_new(gateway->server->engine.config);
    if (!worker->room || !worker->input)
        return DS_NO_MEMORY;
    worker->started = pthread_create(&worker->thread, NULL, run_worker, worker) == 0;
    return worker->started ? DS_OK : DS_NO_MEMORY;
}

struct gateway *gateway_new(struct server *server, const struct door_socket *sockets, int count)
{
    int64_t workers = server->engine.config->workers, cpus = sysconf(_SC_NPROCESSORS_ONLN);
    struct gateway *gateway =
        calloc(1, sizeof *gateway + (size_t)workers * sizeof gateway->worker[0]);

    if (!gateway)
        return NULL;
    gateway->server = server;
    gateway->epoll = gateway->stop = gateway->timer = -1;
    gateway->workers = workers;
    for (int i = 0; i < GATEWAY_SLOTS; i++) {
        LIST_INIT(&gateway->connections[i].list);
        (void)pthread_mutex_init(&gateway->connections[i].lock, NULL);
    }
    address_count_open(&gateway->address);
    answer_write_busy(&gateway->full, server->engine.config,
                      "too many connections are open, try again");
    worker_slots_open(&gateway->slots, cpus);
    listeners_init(gateway, sockets, count, cpus);
    if (buf_failed(&gateway->full)) {
        gateway_free(gateway);
        return NULL;
    }
    return gateway;
}

enum ds_status gateway_start(struct gateway *gateway)
{
    enum ds_status status = DS_OK;

    if (!open_descriptors(gateway)) {
        log_error("cannot serve connections: %s", strerror(errno));
        return DS_FAILED;
    }
    for (int64_t i = 0; status == DS_OK && i < gateway->workers; i++)
        status = start_worker(gateway, &gateway->worker[i]);
    return status;
}

void gateway_close_listener(struct gateway *gateway)
{
    atomic_store(&gateway->server->stopping, true);
    listeners_close(gateway);
}

void gateway_stop(struct gateway *gateway)
{
    uint64_t one = 1;

    if (gateway->stop >= 0 && write(gateway->stop, &one, sizeof one) < 0)
        log_error("cannot stop the workers: %s", strerror(errno));
    for (int64_t i = 0; i < gateway->workers; i++) {
        if (gateway->worker[i].started)
            (void)pthread_join(gateway->worker[i].thread, NULL);
        free(gateway->worker[i].room);
        http_input_free(gateway->worker[i].input);
        spool_close(&gateway->worker[i].spool);
        store_disconnect(gateway->worker[i].conn);
    }
    connections_close_half_read(gateway);
}

void gateway_free(struct gateway *gateway)
{
    if (!gateway)
        return;
    connections_close(gateway);
    if (gateway->timer >= 0)
        (void)close(gateway->timer);
    if (gateway->stop >= 0)
        (void)close(gateway->stop);
    if (gateway->epoll >= 0)
        (void)close(gateway->epoll);
    worker_slots_close(&gateway->slots);
    address_count_close(&gateway->address);
    buf_close(&gateway->full);
    for (int i = 0; i < GATEWAY_SLOTS; i++)
        (void)pthread_mutex_destroy(&gateway->connections[i].lock);
    free(gateway);
}
