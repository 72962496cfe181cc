/* The CGI gateway (RFC 3875): serves one request from environ and standard input. */
#ifndef GATEWAY_CGI_H
#define GATEWAY_CGI_H

#include <stdbool.h>

struct config;
struct server;

/* True if this process was started to answer a CGI request. */
bool gateway_cgi_is_here(void);

/* Answers the request, even a live read, and returns the exit status of the process. */
int gateway_cgi_run(struct server *server);

/*
 * Answers with 503 if the server could not be started. config may be NULL. Returns the exit status
 * of the process.
 */
int gateway_cgi_apologize(const struct config *config);

#endif
