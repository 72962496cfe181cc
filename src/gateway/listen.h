/*
 * Listening sockets, which the program opens itself or gets from a service manager
 * (sd_listen_fds(3)), and messages to the service manager (sd_notify(3)). systemd promises to keep
 * both protocols, and each takes a few lines: libsystemd, which shared hosting lacks, is not
 * needed.
 */
#ifndef LISTEN_H
#define LISTEN_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

enum { LISTEN_BACKLOG = 4096, LISTEN_MOST = 16, LISTEN_URL_SIZE = 300 };

/* What clients speak at a socket. */
enum door_kind { DOOR_FCGI, DOOR_HTTP };

struct door_socket {
    int fd;
    enum door_kind kind;
};

/* Listening sockets, and the addresses that they were opened for. */
struct listening {
    struct door_socket socket[LISTEN_MOST];
    const char *address[LISTEN_MOST]; /* borrowed; NULL: passed by the service manager */
    int count;
};

/* Where a client reaches an HTTP socket. */
struct listen_name {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_storage room;
    } address;
    socklen_t len;
    char url[LISTEN_URL_SIZE]; /* without a slash at its end */
};

/*
 * Opens listening sockets, close-on-exec, for addresses like these:
 *
 *     unix:/path   host:port   :port                FastCGI
 *     http:unix:/path   http:host:port   http:[::1]:port   HTTP; port 0: any free one
 *     systemd      the sockets that the service manager has passed: those whose name begins with
 *                  "http" are for HTTP, the others for FastCGI
 *
 * On failure logs the reason, closes what was opened and returns false. If an address is in use,
 * tries again for a second, since a predecessor may just be ending.
 */
bool listen_open(struct listening *listening, const char *const *addresses, int count);

/* Writes the addresses, for people: "http://127.0.0.1:4437/, unix:/run/x.sock". */
void listen_describe(const struct listening *listening, char *text, size_t size);

/* How this machine reaches the first HTTP socket on a port; false: there is none. */
bool listen_find_url(const struct listening *listening, struct listen_name *name);

/* Closes the connections that wait in the backlogs, so that clients do not wait in vain. */
void listen_refuse(const struct listening *listening);

/* Removes the socket files that listen_open() has made. */
void listen_end(const struct listening *listening);

void listen_close(struct listening *listening);

/* Tells the service manager "READY=1" or "STOPPING=1", if it has asked for it. */
void listen_notify(const char *state);

#endif
