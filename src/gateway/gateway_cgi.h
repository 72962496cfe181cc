/* The CGI door (RFC 3875): one request from environ and standard input. */
#ifndef GATEWAY_CGI_H
#define GATEWAY_CGI_H

#include <stdbool.h>

struct config;
struct server;

/* Was this process started to answer a CGI request? */
bool gateway_cgi_is_here(void);

/* Answers it, live reads included, and returns the process's exit status. */
int gateway_cgi_run(struct server *server);

/*
 * The answer where there is no server to give one: 503. config is NULL where there is none either.
 * Returns the exit status.
 */
int gateway_cgi_apologize(const struct config *config);

#endif
