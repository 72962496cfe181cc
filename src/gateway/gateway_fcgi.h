/* The FastCGI door: requests from a web server over a listening socket. */
#ifndef GATEWAY_FCGI_H
#define GATEWAY_FCGI_H

#include <stdbool.h>

#include "protocol/status.h"

struct gateway_fcgi;
struct server;

/* Is descriptor 0 a listening socket, as a web server or a supervisor hands it down? */
bool gateway_fcgi_is_here(void);

/* For a listening socket; NULL when out of memory. */
struct gateway_fcgi *gateway_fcgi_new(struct server *server, int listening);

/* Serves with DS_WORKERS threads. Also when it fails, stop and free are to be called. */
enum ds_status gateway_fcgi_start(struct gateway_fcgi *gateway);

/* From now on nobody new is let in, and connections are closed after their answer. */
void gateway_fcgi_close_listener(struct gateway_fcgi *gateway);

/* Ends the threads. */
void gateway_fcgi_stop(struct gateway_fcgi *gateway);

/*
 * Closes the connections that are left. After server_close(), which may still give some back.
 * NULL is allowed.
 */
void gateway_fcgi_free(struct gateway_fcgi *gateway);

#endif
