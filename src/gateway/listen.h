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

enum {
    LISTEN_BACKLOG = 4096,
    LISTEN_MOST = 16, /* sockets */
    LISTEN_HOST_SIZE = 256,
    LISTEN_URL_SIZE = 300,
};

/* What clients speak at a socket. */
enum door_kind { DOOR_FCGI, DOOR_HTTP };

struct door_socket {
    int fd;
    enum door_kind kind;
};

enum listen_form { LISTEN_UNIX, LISTEN_INET, LISTEN_PASSED };

/* An address of --listen, in its parts. */
struct listen_address {
    enum listen_form form;
    enum door_kind kind;         /* of LISTEN_UNIX and LISTEN_INET; passed sockets have names */
    const char *path;            /* of LISTEN_UNIX; a part of the text */
    char host[LISTEN_HOST_SIZE]; /* of LISTEN_INET, without brackets; empty: all IPv4 addresses */
    char port[6];                /* of LISTEN_INET: 0 to 65535 */
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
 * Takes an address apart:
 *
 *     unix:/path   host:port   :port   [::1]:port   FastCGI
 *     http:unix:/path   http:host:port   …          HTTP
 *     systemd      the sockets that the service manager has passed: those whose name begins with
 *                  "http" are for HTTP, the others for FastCGI
 *
 * Port 0 is any free one. Returns NULL, or what is wrong with the address.
 */
const char *listen_parse(const char *text, struct listen_address *address);

/* False, with a line in the log: there are more than LISTEN_MOST addresses, one of them is
   malformed, or "systemd" comes twice. */
bool listen_check(const char *const *addresses, int count);

/*
 * Opens listening sockets, close-on-exec, for addresses that listen_check() accepts; those of the
 * service manager come first. On failure logs the reason, refuses whoever waits there, closes what
 * was opened and returns false. If an address is in use, tries again for a second, since a
 * predecessor may just be ending.
 */
bool listen_open(struct listening *listening, const char *const *addresses, int count);

/* Warns of each HTTP socket that other machines can reach. */
void listen_warn(const struct listening *listening);

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
