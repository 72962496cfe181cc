/*
 * What the three files of the FastCGI gateway share:
 *
 *     gateway_fcgi.c      the workers and their epoll loop; start and stop
 *     fcgi_listener.c     accepting connections, by a limited number of processes
 *     fcgi_connection.c   the connections, and the requests that are read from them
 */
#ifndef GATEWAY_FCGI_PRIVATE_H
#define GATEWAY_FCGI_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "exchange/peer.h"
#include "gateway/gateway_fcgi.h"
#include "gateway/spool.h"
#include "gateway/worker_slots.h"

/* The size of a worker's buffer for reading from a socket, in bytes. */
enum { FCGI_ROOM = 64 * 1024 };

struct fcgi_listener {
    int fd;
    uint64_t id;             /* the socket's inode number, the same in every process */
    int64_t acceptor_limit;  /* how many processes are acceptors; 0: all of them */
    atomic_bool is_acceptor; /* this process is one of them */
    atomic_bool paused;      /* no descriptor was left for another connection */
};

/* An idle or busy connection. */
struct fcgi_connection {
    struct peer peer; /* first: done() gets it back */
    struct gateway_fcgi *gateway;
    LIST_ENTRY(fcgi_connection) entry; /* in the gateway's list of connections */
    struct spool *spool;               /* of a request that comes in bit by bit, or NULL */
    _Atomic int64_t due; /* monotonic ms: more of it must have come by then; or LATE; 0: nothing is
                            waited for */
    atomic_uint turns; /* requests so far: orders one owner's accesses before the next one's, which
                          epoll does for the machine but not for the language */
};

struct fcgi_worker {
    struct gateway_fcgi *gateway;
    struct store_conn *conn;
    struct spool spool; /* of the request that is being read */
    char *room;         /* FCGI_ROOM bytes to read into */
    pthread_t thread;
    bool started, has_slot;
};

struct gateway_fcgi {
    struct server *server;
    int epoll;
    int stop;            /* an eventfd that ends the workers */
    int timer;           /* looks for requests of which nothing comes any more */
    atomic_bool ticking; /* it has been set */
    struct fcgi_listener listener;
    pthread_mutex_t lock; /* guards the list */
    LIST_HEAD(fcgi_connections, fcgi_connection) connections;
    struct worker_slots slots;
    int64_t workers;
    struct fcgi_worker worker[];
};

/* --- gateway_fcgi.c --- */

/* Lets another worker wait for requests; the worker acquires a slot before it waits again. */
void fcgi_worker_release_slot(struct fcgi_worker *worker);

/* A peer's yield_slot: the same for the calling thread, if it is a worker. */
void fcgi_worker_yield_slot(void);

/* Starts the timer, unless it runs. */
void fcgi_timer_start(struct gateway_fcgi *gateway);

/* --- fcgi_listener.c --- */

/* For so many CPUs; the descriptor stays the caller's until fcgi_listener_close(). */
void fcgi_listener_init(struct gateway_fcgi *gateway, int fd, int64_t cpus);

/* Adds the socket to the epoll set. */
bool fcgi_listener_open(struct gateway_fcgi *gateway);

/* The socket is readable: accepts connections. */
void fcgi_listener_ready(struct fcgi_worker *worker);

/* There may be a descriptor for another connection now. */
void fcgi_listener_resume(struct gateway_fcgi *gateway);

void fcgi_listener_close(struct gateway_fcgi *gateway);

/* --- fcgi_connection.c --- */

/* Takes over an accepted socket and waits for its first request. */
void fcgi_connection_admit(struct gateway_fcgi *gateway, int fd);

/* The connection has had an event: reads from it, and answers when a request is complete. */
void fcgi_connection_ready(struct fcgi_worker *worker, struct fcgi_connection *connection,
                           uint32_t events);

/* Ends requests of which nothing has come for too long. False if none is being waited for. */
bool fcgi_connections_end_late(struct gateway_fcgi *gateway);

/* Closes the connections whose request was not complete when the workers ended. */
void fcgi_connections_close_half_read(struct gateway_fcgi *gateway);

/* Closes all that are left. */
void fcgi_connections_close(struct gateway_fcgi *gateway);

#endif
