/*
 * The supervisor (--listen): holds the listening socket and keeps DS_PROCESSES responders alive
 * on it. A responder is this program again, with the socket as descriptor 0, as a web server
 * would start it. While one is being restarted, connections wait in the socket's backlog.
 */
#ifndef SUPERVISE_H
#define SUPERVISE_H

struct config;

/* The address is for listen_on(). Returns the process's exit status, after SIGTERM or so. */
int supervise(const struct config *config, const char *address);

#endif
