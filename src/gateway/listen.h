/*
 * Listening sockets, which the program opens itself or gets from a service manager
 * (sd_listen_fds(3)), and messages to the service manager (sd_notify(3)). systemd promises to keep
 * both protocols, and each takes a few lines: libsystemd, which shared hosting lacks, is not
 * needed.
 */
#ifndef LISTEN_H
#define LISTEN_H

#include <stdbool.h>

enum { LISTEN_BACKLOG = 4096 };

/* What clients speak at a socket. */
enum door_kind { DOOR_FCGI, DOOR_HTTP };

struct door_socket {
    int fd;
    enum door_kind kind;
};

/*
 * Returns a listening socket, close-on-exec, for "unix:/path", "host:port" or ":port", or for
 * "systemd" the one socket that the service manager has passed. On failure returns -1 and sets
 * errno; ENOTCONN: the service manager has passed no socket, or more than one. If the address is in
 * use, tries again for a second, since a predecessor may just be ending.
 */
int listen_on(const char *address);

/* Closes the connections that wait in the socket's backlog, so that clients do not wait in vain. */
void listen_refuse(int listening);

/* Removes the socket file that listen_on() has made. */
void listen_end(const char *address);

/* Tells the service manager "READY=1" or "STOPPING=1", if it has asked for it. */
void listen_notify(const char *state);

#endif
