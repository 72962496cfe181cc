/*
 * Shared by the three files of the FastCGI gateway:
 *
 *     gateway_fcgi.c      the workers and their epoll loop; start and stop
 *     fcgi_listener.c     the listening socket: accepting connections
 *     fcgi_connection.c   the connections, and reading requests from them
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
    atomic_bool paused;      /* out of the epoll set: no descriptor was left for a connection */
};

/* A connection, whether idle or busy with a request. */
struct fcgi_connection {
    struct peer peer; /* first: the peer's functions cast it back to the connection */
    struct gateway_fcgi *gateway;
    LIST_ENTRY(fcgi_connection) entry; /* in the gateway's list of connections */
    struct spool *spool;               /* an incomplete request; NULL: none */
    /* Monotonic ms by which more of the request must arrive; 0: none is incomplete; or LATE. */
    _Atomic int64_t due;
    /* How often the connection was armed. In practice epoll orders the accesses of one owner before
       those of the next; by the rules of C, this counter does. */
    atomic_uint turns;
};

struct fcgi_worker {
    struct gateway_fcgi *gateway;
    struct store_conn *conn;
    struct spool spool; /* the request that is being read */
    char *room;         /* FCGI_ROOM bytes, to read into */
    pthread_t thread;
    bool started, has_slot;
};

struct gateway_fcgi {
    struct server *server;
    int epoll;
    int stop;            /* an eventfd that ends the workers */
    int timer;           /* a timerfd: time to look for requests that are late */
    atomic_bool ticking; /* the timer is running */
    struct fcgi_listener listener;
    pthread_mutex_t lock; /* guards the list of connections */
    LIST_HEAD(fcgi_connections, fcgi_connection) connections;
    struct worker_slots slots;
    int64_t workers;
    struct fcgi_worker worker[];
};

/* --- gateway_fcgi.c --- */

/* Lets another worker wait for requests. This one acquires a slot before it waits again. */
void fcgi_worker_release_slot(struct fcgi_worker *worker);

/* peer.yield_slot: releases the slot of the calling thread, if that is a worker. */
void fcgi_worker_yield_slot(void);

/* Starts the timer unless it is running. */
void fcgi_timer_start(struct gateway_fcgi *gateway);

/* --- fcgi_listener.c --- */

/* Sets the limit of acceptors for this many CPUs. */
void fcgi_listener_init(struct gateway_fcgi *gateway, int fd, int64_t cpus);

/* Makes the socket non-blocking and adds it to the epoll set. */
bool fcgi_listener_open(struct gateway_fcgi *gateway);

/* Accepts connections; for a worker that got the event of the listening socket. */
void fcgi_listener_ready(struct fcgi_worker *worker);

/* Ends a pause: there may be a descriptor for another connection now. */
void fcgi_listener_resume(struct gateway_fcgi *gateway);

/* Stops listening. The descriptor itself stays open. */
void fcgi_listener_close(struct gateway_fcgi *gateway);

/* --- fcgi_connection.c --- */

/* Takes over an accepted socket and arms it for its first request. */
void fcgi_connection_admit(struct gateway_fcgi *gateway, int fd);

/* Reads from a connection that has had an event, and starts its request once that is complete. */
void fcgi_connection_ready(struct fcgi_worker *worker, struct fcgi_connection *connection,
                           uint32_t events);

/* Marks the requests that are late. False if no request is incomplete. */
bool fcgi_connections_end_late(struct gateway_fcgi *gateway);

/* Closes the connections whose request is incomplete. For after the workers have ended. */
void fcgi_connections_close_half_read(struct gateway_fcgi *gateway);

/* Closes all connections. */
void fcgi_connections_close(struct gateway_fcgi *gateway);

#endif
