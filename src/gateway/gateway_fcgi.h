/* The FastCGI gateway: serves the requests of a web server from a listening socket. */
#ifndef GATEWAY_FCGI_H
#define GATEWAY_FCGI_H

#include <stdbool.h>

#include "protocol/status.h"

struct gateway_fcgi;
struct server;

/* True if descriptor 0 is a listening socket, passed on by a web server or a supervisor. */
bool gateway_fcgi_is_here(void);

/* A gateway for a listening socket; NULL if there is not enough memory. */
struct gateway_fcgi *gateway_fcgi_new(struct server *server, int listening);

/*
 * Starts DS_WORKERS threads. If it fails, the caller must still call gateway_fcgi_stop() and
 * gateway_fcgi_free().
 */
enum ds_status gateway_fcgi_start(struct gateway_fcgi *gateway);

/* Accepts no further connection, and closes each connection after its current answer. */
void gateway_fcgi_close_listener(struct gateway_fcgi *gateway);

/* Ends the threads, and closes connections whose request is incomplete. */
void gateway_fcgi_stop(struct gateway_fcgi *gateway);

/*
 * Closes the connections that are left. Must be called after server_close(), which may still return
 * connections to the gateway. NULL is allowed.
 */
void gateway_fcgi_free(struct gateway_fcgi *gateway);

#endif
