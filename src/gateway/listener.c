/*
 * The listening sockets of the gateway.
 *
 * If more processes share the socket than the CPUs can keep busy, they only wake each other and
 * make each other's batches smaller. So if DS_PROCESSES exceeds that number, only as many processes
 * are acceptors (acceptor.h). A new connection wakes all processes, but the others first give the
 * acceptors time to take it. They accept only connections that are still waiting after that, since
 * the acceptors may be stopped or too busy.
 *
 * If the process has no descriptor left for a connection, the socket stays readable and would keep
 * the workers busy for nothing. The listener then pauses until a connection is closed or the timer
 * has run.
 */
#include "gateway/gateway_private.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/descriptors.h"
#include "base/log.h"
#include "config/config.h"
#include "hints/acceptor.h"
#include "server/server.h"
#include "store/store.h"

enum {
    ACCEPTS = 64,         /* connections that a worker accepts before it serves requests again */
    MOMENT_NS = 10000000, /* an acceptor, even a busy one, takes a connection within 10 ms */
    MOMENTS = 20,         /* the longest wait for acceptors, in moments */
};

void listeners_init(struct gateway *gateway, const struct door_socket *sockets, int count,
                    int64_t cpus)
{
    struct stat info;

    gateway->listeners = count < LISTEN_MOST ? count : LISTEN_MOST;
    for (int i = 0; i < gateway->listeners; i++) {
        gateway->listener[i].gateway = gateway;
        gateway->listener[i].fd = sockets[i].fd;
        gateway->listener[i].kind = sockets[i].kind;
    }
    /* processes that share one socket share them all */
    if (count > 0 && gateway->server->engine.config->processes > worker_slots_for(cpus) &&
        fstat(sockets[0].fd, &info) == 0) {
        gateway->acceptor_limit = worker_slots_for(cpus);
        gateway->acceptor_id = (uint64_t)info.st_ino;
    }
}

/*
 * Without an acceptor limit, EPOLLEXCLUSIVE lets a connection wake only one or two of the processes
 * that share the socket. With a limit every process is woken (no EPOLLEXCLUSIVE), one-shot; it
 * re-arms the socket after accepting.
 */
static bool listener_watch(struct listener *listener, int op)
{
    struct epoll_event event = {
        .events = EPOLLIN | (listener->gateway->acceptor_limit ? EPOLLONESHOT : EPOLLEXCLUSIVE),
        .data.ptr = listener};

    return epoll_ctl(listener->gateway->epoll, op, listener->fd, &event) == 0;
}

static void listener_unwatch(struct listener *listener)
{
    (void)epoll_ctl(listener->gateway->epoll, EPOLL_CTL_DEL, listener->fd, NULL);
}

bool listener_open(struct listener *listener)
{
    int flags = fcntl(listener->fd, F_GETFL);

    /* non-blocking: another worker or process may accept the connection first */
    return flags >= 0 && fcntl(listener->fd, F_SETFL, flags | O_NONBLOCK) == 0 &&
           listener_watch(listener, EPOLL_CTL_ADD);
}

static void listener_close(struct listener *listener)
{
    int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);

    listener_unwatch(listener);
    if (nothing < 0)
        return;
    /* /dev/null takes its place: while the socket is open, a successor cannot listen there */
    (void)dup3(nothing, listener->fd, O_CLOEXEC);
    (void)close(nothing);
}

static void listener_pause(struct listener *listener)
{
    listener_unwatch(listener);
    atomic_store(&listener->paused, true);
    gateway_timer_start(listener->gateway);
}

static void listener_resume(struct listener *listener)
{
    if (atomic_exchange(&listener->paused, false) &&
        !atomic_load(&listener->gateway->server->stopping))
        (void)listener_watch(listener, EPOLL_CTL_ADD);
}

static void listener_accept(struct listener *listener)
{
    static _Atomic int64_t next_line;

    for (int i = 0; i < ACCEPTS; i++) {
        struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
        socklen_t len = sizeof address;
        int fd =
            descriptor_high(accept4(listener->fd, (struct sockaddr *)&address, &len, SOCK_CLOEXEC));

        if (fd >= 0) {
            connection_admit(listener->gateway, listener->kind, fd, (struct sockaddr *)&address);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
            if (log_is_due(&next_line))
                log_warn("cannot accept a connection until another one is closed: %s",
                         strerror(errno));
            listener_pause(listener);
            return;
        } else if (errno != EINTR && errno != ECONNABORTED) {
            return;
        }
    }
}

void listeners_resume(struct gateway *gateway)
{
    for (int i = 0; i < gateway->listeners; i++)
        listener_resume(&gateway->listener[i]);
}

void listeners_close(struct gateway *gateway)
{
    if (gateway->acceptor_limit)
        acceptor_leave(store_hints(gateway->server->engine.store));
    for (int i = 0; i < gateway->listeners; i++)
        listener_close(&gateway->listener[i]);
}

static bool is_acceptor(struct gateway *gateway)
{
    if (!atomic_load(&gateway->is_acceptor) && !atomic_load(&gateway->server->stopping))
        atomic_store(&gateway->is_acceptor,
                     acceptor_try(store_hints(gateway->server->engine.store), gateway->acceptor_id,
                                  gateway->acceptor_limit));
    return atomic_load(&gateway->is_acceptor);
}

/* Waits until no acceptor has accepted anything for a moment, or until MOMENTS have passed. */
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

void listener_ready(struct worker *worker, struct listener *listener)
{
    struct gateway *gateway = listener->gateway;
    struct hints *hints = store_hints(gateway->server->engine.store);

    if (!gateway->acceptor_limit) {
        listener_accept(listener);
        return;
    }
    if (is_acceptor(gateway)) {
        acceptor_announce(hints);
    } else {
        worker_release_slot(worker);
        listener_wait_for_acceptors(hints);
    }
    listener_accept(listener);
    if (!atomic_load(&listener->paused))
        (void)listener_watch(listener, EPOLL_CTL_MOD);
}
