/*
 * Shared by the files of the gateway for FastCGI and HTTP:
 *
 *     gateway.c      the workers and their epoll loop; start and stop
 *     listener.c     the listening sockets: accepting connections
 *     connection.c   the connections: whose turn it is, deadlines, closing
 *     fcgi_input.c   reads requests from connections of web servers that speak FastCGI
 *     http_input.c   reads requests from connections of HTTP clients
 */
#ifndef GATEWAY_PRIVATE_H
#define GATEWAY_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/buf.h"
#include "exchange/peer.h"
#include "gateway/address_count.h"
#include "gateway/gateway.h"
#include "gateway/listen.h"
#include "gateway/spool.h"
#include "gateway/worker_slots.h"

/* The size of a worker's buffer for reading from a socket, in bytes. */
enum { GATEWAY_ROOM = 64 * 1024 };

struct listener {
    struct gateway *gateway;
    int fd;
    enum door_kind kind;
    atomic_bool paused; /* out of the epoll set: no descriptor was left for a connection */
};

/* Slots for deadlines: each tick of the timer looks at one of them. */
enum { GATEWAY_SLOTS = 8 };

struct http_input;

/* A connection, whether idle or busy with a request. */
struct connection {
    struct peer peer; /* first: the peer's functions cast it back to the connection */
    struct gateway *gateway;
    LIST_ENTRY(connection) entry; /* in its slot of the gateway's list of connections */
    struct spool *spool;          /* FastCGI: an incomplete request; NULL: none */
    struct http_input *input;     /* HTTP: an incomplete request, or what follows one */
    /* Monotonic ms by which something must arrive; 0: nothing is awaited; -1: that time has
       passed. */
    _Atomic int64_t due;
    /* How often the connection was armed. In practice epoll orders the accesses of one owner before
       those of the next; by the rules of C, this counter does. */
    atomic_uint turns;
    struct address_entry *address; /* HTTP: where the connection is counted, or NULL */
    unsigned slot;
    bool lingers; /* HTTP: the answer is sent, what still arrives is thrown away */
};

struct worker {
    struct gateway *gateway;
    struct store_conn *conn;
    struct spool spool;       /* the FastCGI request that is being read */
    struct http_input *input; /* the HTTP request that is being read */
    char *room;               /* GATEWAY_ROOM bytes, to read into */
    pthread_t thread;
    bool started, has_slot;
};

struct gateway {
    struct server *server;
    int epoll;
    int stop;            /* an eventfd that ends the workers */
    int timer;           /* a timerfd: time to look for requests that are late */
    atomic_bool ticking; /* the timer is running */
    struct listener listener[LISTEN_MOST];
    int listeners;
    uint64_t acceptor_id;    /* the first socket's inode number, the same in every process */
    int64_t acceptor_limit;  /* how many processes are acceptors; 0: all of them */
    atomic_bool is_acceptor; /* this process is one of them */
    struct connections {
        pthread_mutex_t lock;
        LIST_HEAD(, connection) list;
    } connections[GATEWAY_SLOTS];
    atomic_uint tick;    /* its slot is the next one */
    atomic_uint awaited; /* the last tick that has found a connection that awaits something */
    atomic_int clients;  /* connections of HTTP clients */
    struct address_count address; /* the same by address */
    struct buf full;              /* the answer to one too many */
    struct worker_slots slots;
    int64_t workers;
    struct worker worker[];
};

/* --- gateway.c --- */

/* Lets another worker wait for requests. This one acquires a slot before it waits again. */
void worker_release_slot(struct worker *worker);

/* peer.yield_slot: releases the slot of the calling thread, if that is a worker. */
void worker_yield_slot(void);

/* Starts the timer unless it is running. */
void gateway_timer_start(struct gateway *gateway);

/* --- listener.c --- */

/* Sets the sockets, and the limit of acceptors for this many CPUs. */
void listeners_init(struct gateway *gateway, const struct door_socket *sockets, int count,
                    int64_t cpus);

/* Makes the socket non-blocking and adds it to the epoll set. */
bool listener_open(struct listener *listener);

/* Accepts connections; for a worker that got the event of the listening socket. */
void listener_ready(struct worker *worker, struct listener *listener);

/* End pauses: there may be a descriptor for another connection now. */
void listeners_resume(struct gateway *gateway);

/* Stop listening. The descriptors themselves stay open. */
void listeners_close(struct gateway *gateway);

/* --- connection.c --- */

/* Takes over an accepted socket and arms it for its first request, or refuses it. */
void connection_admit(struct gateway *gateway, enum door_kind kind, int fd,
                      const struct sockaddr *address);

/* For a worker that has got an event of the connection, and owns it from here on. */
void connection_ready(struct worker *worker, struct connection *connection, uint32_t events);

/*
 * Waits for the next event of the connection, for `ms` milliseconds; 0: as long as it takes.
 * at_once: there is something to do already. The caller must not touch the connection after this.
 */
void connection_wait(struct connection *connection, int64_t ms, bool at_once);

void connection_close(struct connection *connection);

/* Looks at the connections of one slot, and lets those know that are late. False if nothing is
   awaited by a connection of any slot. */
bool connections_tick(struct gateway *gateway);

/* Close the connections whose request is incomplete; all connections. For after the workers have
   ended. */
void connections_close_half_read(struct gateway *gateway);
void connections_close(struct gateway *gateway);

/* --- fcgi_input.c --- */

/* Reads from the connection, and starts its request once that is complete. late: no more will be
   read. */
void fcgi_input_ready(struct worker *worker, struct connection *connection, bool late);

/* Forgets an incomplete request. */
void fcgi_input_end(struct connection *connection);

/* --- http_input.c --- */

/* The same for HTTP. */
void http_input_ready(struct worker *worker, struct connection *connection, bool late);
void http_input_end(struct connection *connection);

/* Does the connection wait for the rest of a request? */
bool http_input_is_half_read(const struct connection *connection);

/* The answer is sent, and the connection serves a further request. */
void http_input_next(struct connection *connection);

/* What a worker reads into; NULL: no memory. */
struct http_input *http_input_new(const struct config *config);
void http_input_free(struct http_input *input); /* NULL is allowed */

#endif
