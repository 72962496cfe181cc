/*
 * The listening socket of the FastCGI gateway.
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
#include "gateway/gateway_fcgi_private.h"

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

void fcgi_listener_init(struct gateway_fcgi *gateway, int fd, int64_t cpus)
{
    struct fcgi_listener *listener = &gateway->listener;
    struct stat info;

    listener->fd = fd;
    if (gateway->server->engine.config->processes > worker_slots_for(cpus) &&
        fstat(fd, &info) == 0) {
        listener->acceptor_limit = worker_slots_for(cpus);
        listener->id = (uint64_t)info.st_ino;
    }
}

/*
 * Without an acceptor limit, EPOLLEXCLUSIVE lets a connection wake only one or two of the processes
 * that share the socket. With a limit every process is woken (no EPOLLEXCLUSIVE), one-shot; it
 * re-arms the socket after accepting.
 */
static bool listener_watch(struct gateway_fcgi *gateway, int op)
{
    struct epoll_event event = {
        .events = EPOLLIN | (gateway->listener.acceptor_limit ? EPOLLONESHOT : EPOLLEXCLUSIVE),
        .data.ptr = &gateway->listener};

    return epoll_ctl(gateway->epoll, op, gateway->listener.fd, &event) == 0;
}

static void listener_unwatch(struct gateway_fcgi *gateway)
{
    (void)epoll_ctl(gateway->epoll, EPOLL_CTL_DEL, gateway->listener.fd, NULL);
}

bool fcgi_listener_open(struct gateway_fcgi *gateway)
{
    int flags = fcntl(gateway->listener.fd, F_GETFL);

    /* non-blocking: another worker or process may accept the connection first */
    return flags >= 0 && fcntl(gateway->listener.fd, F_SETFL, flags | O_NONBLOCK) == 0 &&
           listener_watch(gateway, EPOLL_CTL_ADD);
}

void fcgi_listener_close(struct gateway_fcgi *gateway)
{
    int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);

    listener_unwatch(gateway);
    if (gateway->listener.acceptor_limit)
        acceptor_leave(store_hints(gateway->server->engine.store));
    if (nothing < 0)
        return;
    /* /dev/null takes its place: while the socket is open, a successor cannot listen there */
    (void)dup3(nothing, gateway->listener.fd, O_CLOEXEC);
    (void)close(nothing);
}

static void listener_pause(struct gateway_fcgi *gateway)
{
    listener_unwatch(gateway);
    atomic_store(&gateway->listener.paused, true);
    fcgi_timer_start(gateway);
}

void fcgi_listener_resume(struct gateway_fcgi *gateway)
{
    if (atomic_exchange(&gateway->listener.paused, false) &&
        !atomic_load(&gateway->server->stopping))
        (void)listener_watch(gateway, EPOLL_CTL_ADD);
}

static void listener_accept(struct gateway_fcgi *gateway)
{
    static _Atomic int64_t next_line;

    for (int i = 0; i < ACCEPTS; i++) {
        int fd = descriptor_high(accept4(gateway->listener.fd, NULL, NULL, SOCK_CLOEXEC));

        if (fd >= 0) {
            fcgi_connection_admit(gateway, fd);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
            if (log_is_due(&next_line))
                log_warn("cannot accept a connection until another one is closed: %s",
                         strerror(errno));
            listener_pause(gateway);
            return;
        } else if (errno != EINTR && errno != ECONNABORTED) {
            return;
        }
    }
}

static bool listener_is_acceptor(struct gateway_fcgi *gateway)
{
    if (!atomic_load(&gateway->listener.is_acceptor) && !atomic_load(&gateway->server->stopping))
        atomic_store(&gateway->listener.is_acceptor,
                     acceptor_try(store_hints(gateway->server->engine.store), gateway->listener.id,
                                  gateway->listener.acceptor_limit));
    return atomic_load(&gateway->listener.is_acceptor);
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

void fcgi_listener_ready(struct fcgi_worker *worker)
{
    struct gateway_fcgi *gateway = worker->gateway;
    struct hints *hints = store_hints(gateway->server->engine.store);

    if (!gateway->listener.acceptor_limit) {
        listener_accept(gateway);
        return;
    }
    if (listener_is_acceptor(gateway)) {
        acceptor_announce(hints);
    } else {
        fcgi_worker_release_slot(worker);
        listener_wait_for_acceptors(hints);
    }
    listener_accept(gateway);
    if (!atomic_load(&gateway->listener.paused))
        (void)listener_watch(gateway, EPOLL_CTL_MOD);
}
