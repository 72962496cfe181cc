/*
 * Listening sockets: made by us, or handed over by a service manager (sd_listen_fds(3)), and the
 * word to it that we are ready (sd_notify(3)). Both are a few lines of a protocol that systemd
 * promises to keep, which spares shared hosting a library that it does not have.
 */
#ifndef LISTEN_H
#define LISTEN_H

#include <stdbool.h>

enum { LISTEN_BACKLOG = 4096 };

/*
 * A listening socket, close-on-exec: "unix:/path", "host:port", ":port", or "systemd" for the one
 * socket that the service manager has passed. -1 and errno; ENOTCONN: it has passed none, or more
 * than one. An address that somebody has just left, or is about to, is tried again for a second.
 */
int listen_on(const char *address);

/* Closes the connections that wait on the socket, so that their clients do not wait in vain. */
void listen_refuse(int listening);

/* Takes away what listen_on() has left in the file system. */
void listen_end(const char *address);

/* Tells the service manager, if there is one that wants to know: "READY=1", "STOPPING=1". */
void listen_notify(const char *state);

#endif
