/* The gateway that stays: serves the requests of web servers by FastCGI, and of HTTP clients. */
#ifndef GATEWAY_H
#define GATEWAY_H

#include <stdbool.h>

#include "protocol/status.h"

struct door_socket;
struct gateway;
struct server;

/* True if descriptor 0 is a listening socket for FastCGI, passed on by a web server. */
bool gateway_is_fcgi(void);

/* A gateway for listening sockets, LISTEN_MOST at most; NULL if there is not enough memory. */
struct gateway *gateway_new(struct server *server, const struct door_socket *sockets, int count);

/*
 * Starts DS_WORKERS threads. If it fails, the caller must still call gateway_stop() and
 * gateway_free().
 */
enum ds_status gateway_start(struct gateway *gateway);

/* Accepts no further connection, and closes each connection after its current answer. */
void gateway_close_listener(struct gateway *gateway);

/* Ends the threads, and closes connections whose request is incomplete. */
void gateway_stop(struct gateway *gateway);

/*
 * Closes the connections that are left. Must be called after server_close(), which may still return
 * connections to the gateway. NULL is allowed.
 */
void gateway_free(struct gateway *gateway);

#endif
