/* Listening sockets: see listen.h. */
#include "gateway/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/descriptors.h"
#include "base/log.h"
#include "config/config_environment.h"

enum { PASSED_FD = 3, TRIES = 20, PAUSE_MS = 50, HOST_SIZE = 256 };

static bool set_address(struct sockaddr_un *address, const char *path)
{
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address->sun_path) {
        errno = ENAMETOOLONG;
        return false;
    }
    (void)strcpy(address->sun_path, path);
    return true;
}

/* True if no process listens on the address. A socket file that was left behind is removed. */
static bool is_free(const struct sockaddr_un *address)
{
    int probe = descriptor_high(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    bool taken;
    struct stat info;

    if (probe < 0)
        return false;
    taken = connect(probe, (const struct sockaddr *)address, sizeof *address) == 0;
    (void)close(probe);
    if (taken) {
        errno = EADDRINUSE;
        return false;
    }
    if (lstat(address->sun_path, &info) == 0 && S_ISSOCK(info.st_mode))
        (void)unlink(address->sun_path);
    return true;
}

static int listen_unix(const char *path)
{
    struct sockaddr_un address;
    int fd;

    if (!set_address(&address, path) || !is_free(&address))
        return -1;
    fd = descriptor_high(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (fd >= 0 && (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
                    chmod(path, 0660) != 0 || listen(fd, LISTEN_BACKLOG) != 0)) {
        (void)close(fd);
        fd = -1;
    }
    return fd;
}

/* Splits host:port; the host may be empty, or an IPv6 address in brackets. */
static bool split_address(const char *address, char host[static HOST_SIZE], const char **port)
{
    const char *colon = strrchr(address, ':');
    size_t len = colon ? (size_t)(colon - address) : HOST_SIZE;

    if (len >= HOST_SIZE) {
        errno = EINVAL;
        return false;
    }
    if (len >= 2 && address[0] == '[' && address[len - 1] == ']') {
        address++;
        len -= 2;
    }
    (void)snprintf(host, HOST_SIZE, "%.*s", (int)len, address);
    *port = colon + 1;
    return true;
}

static int listen_inet(const char *address)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *found = NULL;
    char host[HOST_SIZE];
    const char *port;
    int fd = -1, on = 1;

    if (!split_address(address, host, &port))
        return -1;
    if (getaddrinfo(host[0] ? host : NULL, port, &hints, &found) != 0) {
        errno = EADDRNOTAVAIL;
        return -1;
    }
    fd = descriptor_high(socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (fd >= 0 &&
        (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
         bind(fd, found->ai_addr, found->ai_addrlen) != 0 || listen(fd, LISTEN_BACKLOG) != 0)) {
        int error = errno;

        (void)close(fd);
        errno = error;
        fd = -1;
    }
    freeaddrinfo(found);
    return fd;
}

static bool is_listening(int fd)
{
    int listening = 0;
    socklen_t size = sizeof listening;

    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) == 0 && listening;
}

/* The sockets that the service manager passed, if they were meant for this process. */
static bool add_passed(struct listening *listening)
{
    const char *name = config_passed_names();
    int count = config_passed_sockets();

    if (count == 0) {
        log_error("the service manager passed no socket");
        return false;
    }
    for (int i = 0; i < count; i++) {
        int fd = PASSED_FD + i;

        if (listening->count == LISTEN_MOST || !is_listening(fd)) {
            log_error("what the service manager passed as descriptor %d is no listening socket, or "
                      "one too many",
                      fd);
            return false;
        }
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
        listening->address[listening->count] = NULL;
        listening->socket[listening->count++] = (struct door_socket){
            .fd = fd, .kind = strncmp(name, "http", 4) == 0 ? DOOR_HTTP : DOOR_FCGI};
        name += strcspn(name, ":");
        name += *name == ':';
    }
    return true;
}

/* The address without the word that says what is spoken there. */
static const char *skip_kind(const char *address, enum door_kind *kind)
{
    static const char http[] = "http:";

    *kind = strncmp(address, http, sizeof http - 1) == 0 ? DOOR_HTTP : DOOR_FCGI;
    return *kind == DOOR_HTTP ? address + sizeof http - 1 : address;
}

static const char *unix_path(const char *address)
{
    enum door_kind kind;

    address = skip_kind(address, &kind);
    return strncmp(address, "unix:", 5) == 0 ? address + 5 : NULL;
}

/* False: it is not an HTTP socket on a port. */
static bool find_name(const struct door_socket *door, struct listen_name *name)
{
    name->len = sizeof name->address;
    return door->kind == DOOR_HTTP && getsockname(door->fd, &name->address.any, &name->len) == 0 &&
           (name->address.any.sa_family == AF_INET || name->address.any.sa_family == AF_INET6);
}

/* An HTTP socket that other machines reach lets everybody read and write. */
static void warn_if_open(const struct door_socket *door, const char *address)
{
    struct listen_name name;

    if (!find_name(door, &name))
        return;
    if (name.address.any.sa_family == AF_INET
            ? ntohl(name.address.v4.sin_addr.s_addr) >> 24 != IN_LOOPBACKNET
            : !IN6_IS_ADDR_LOOPBACK(&name.address.v6.sin6_addr))
        log_warn("other machines can reach %s, and everybody there can read and write", address);
}

static bool add_address(struct listening *listening, const char *address)
{
    const struct timespec pause = {0, PAUSE_MS * 1000000};
    struct door_socket door = {.fd = -1};
    const char *path = unix_path(address), *place = skip_kind(address, &door.kind);

    /* after a kill -9 of a supervisor, its responders keep the socket for a moment longer */
    for (int i = 0; i < TRIES; i++) {
        door.fd = path ? listen_unix(path) : listen_inet(place);
        if (door.fd >= 0 || errno != EADDRINUSE)
            break;
        (void)nanosleep(&pause, NULL);
    }
    if (door.fd < 0) {
        log_error("cannot listen on %s: %s", address, strerror(errno));
        return false;
    }
    warn_if_open(&door, address);
    listening->address[listening->count] = address;
    listening->socket[listening->count++] = door;
    return true;
}

bool listen_open(struct listening *listening, const char *const *addresses, int count)
{
    bool ok = true;

    listening->count = 0;
    for (int i = 0; ok && i < count; i++) {
        if (listening->count == LISTEN_MOST) {
            log_error("more than %d addresses to listen on", LISTEN_MOST);
            ok = false;
        } else {
            ok = strcmp(addresses[i], "systemd") == 0 ? add_passed(listening)
                                                      : add_address(listening, addresses[i]);
        }
    }
    if (ok)
        return true;
    listen_end(listening);
    listen_close(listening);
    return false;
}

/* The address in numbers: port 0 was replaced by a real one. */
static bool write_url(struct listen_name *name)
{
    bool is_v6 = name->address.any.sa_family == AF_INET6;
    char host[HOST_SIZE], port[16];

    if (getnameinfo(&name->address.any, name->len, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return false;
    (void)snprintf(name->url, sizeof name->url, is_v6 ? "http://[%s]:%s" : "http://%s:%s", host,
                   port);
    return true;
}

void listen_describe(const struct listening *listening, char *text, size_t size)
{
    text[0] = '\0';
    for (int i = 0; i < listening->count; i++) {
        const char *address = listening->address[i], *slash = "";
        struct listen_name name;
        size_t used = strlen(text);

        if (find_name(&listening->socket[i], &name) && write_url(&name)) {
            address = name.url;
            slash = "/";
        }
        (void)snprintf(text + used, size - used, "%s%s%s", i > 0 ? ", " : "",
                       address ? address : "a socket of the service manager", slash);
    }
}

bool listen_find_url(const struct listening *listening, struct listen_name *name)
{
    for (int i = 0; i < listening->count; i++) {
        if (!find_name(&listening->socket[i], name))
            continue;
        if (name->address.any.sa_family == AF_INET &&
            name->address.v4.sin_addr.s_addr == htonl(INADDR_ANY))
            name->address.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (name->address.any.sa_family == AF_INET6 &&
            IN6_IS_ADDR_UNSPECIFIED(&name->address.v6.sin6_addr))
            name->address.v6.sin6_addr = in6addr_loopback;
        return write_url(name);
    }
    return false;
}

static void refuse_waiting(int listening)
{
    int flags = fcntl(listening, F_GETFL), fd;

    if (flags < 0 || fcntl(listening, F_SETFL, flags | O_NONBLOCK) != 0)
        return;
    while ((fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC)) >= 0 || errno == EINTR ||
           errno == ECONNABORTED)
        if (fd >= 0)
            (void)close(fd);
}

void listen_refuse(const struct listening *listening)
{
    for (int i = 0; i < listening->count; i++)
        refuse_waiting(listening->socket[i].fd);
}

void listen_end(const struct listening *listening)
{
    for (int i = 0; i < listening->count; i++)
        if (listening->address[i] && unix_path(listening->address[i]))
            (void)unlink(unix_path(listening->address[i]));
}

void listen_close(struct listening *listening)
{
    for (int i = 0; i < listening->count; i++)
        (void)close(listening->socket[i].fd);
    listening->count = 0;
}

void listen_notify(const char *state)
{
    const char *path = config_notify_socket();
    struct sockaddr_un address;
    socklen_t len;
    int fd;

    if (!path || (path[0] != '/' && path[0] != '@') || !set_address(&address, path))
        return;
    len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    if (address.sun_path[0] == '@')
        address.sun_path[0] = '\0'; /* an abstract address */
    fd = descriptor_high(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (fd < 0)
        return;
    (void)sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address, len);
    (void)close(fd);
}
