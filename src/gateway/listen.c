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

enum { PASSED_FD = 3, TRIES = 20, PAUSE_MS = 50 };

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

/* If the host has no address, *reason says why. */
static int listen_inet(const struct listen_address *address, const char **reason)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    const char *host = address->host[0] ? address->host : NULL;
    int fd = -1, on = 1, error = getaddrinfo(host, address->port, &hints, &found);

    if (error != 0) {
        *reason = error == EAI_SYSTEM ? strerror(errno) : gai_strerror(error);
        return -1;
    }
    fd = descriptor_high(socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (fd >= 0 &&
        (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
         bind(fd, found->ai_addr, found->ai_addrlen) != 0 || listen(fd, LISTEN_BACKLOG) != 0)) {
        error = errno;
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

/* False: it is not an HTTP socket on a port. */
static bool find_name(const struct door_socket *door, struct listen_name *name)
{
    name->len = sizeof name->address;
    return door->kind == DOOR_HTTP && getsockname(door->fd, &name->address.any, &name->len) == 0 &&
           (name->address.any.sa_family == AF_INET || name->address.any.sa_family == AF_INET6);
}

static bool add_address(struct listening *listening, const char *text,
                        const struct listen_address *address)
{
    const struct timespec pause = {0, PAUSE_MS * 1000000};
    const char *reason = NULL;
    int fd = -1;

    /* after a kill -9 of a supervisor, its responders keep the socket for a moment longer */
    for (int i = 0; i < TRIES; i++) {
        fd = address->form == LISTEN_UNIX ? listen_unix(address->path)
                                          : listen_inet(address, &reason);
        if (fd >= 0 || reason || errno != EADDRINUSE)
            break;
        (void)nanosleep(&pause, NULL);
    }
    if (fd < 0) {
        log_error("cannot listen on %s: %s", text, reason ? reason : strerror(errno));
        return false;
    }
    listening->address[listening->count] = text;
    listening->socket[listening->count++] = (struct door_socket){fd, address->kind};
    return true;
}

/* Opens the addresses that stand for passed sockets, or all others. */
static bool add_addresses(struct listening *listening, const char *const *addresses, int count,
                          bool passed)
{
    struct listen_address address;
    bool ok = true;

    for (int i = 0; ok && i < count; i++) {
        if (listen_parse(addresses[i], &address) != NULL ||
            (address.form == LISTEN_PASSED) != passed)
            continue;
        if (passed) {
            ok = add_passed(listening);
        } else if (listening->count == LISTEN_MOST) {
            log_error("more than %d sockets to listen on", LISTEN_MOST);
            ok = false;
        } else {
            ok = add_address(listening, addresses[i], &address);
        }
    }
    return ok;
}

bool listen_open(struct listening *listening, const char *const *addresses, int count)
{
    listening->count = 0;
    if (add_addresses(listening, addresses, count, true) &&
        add_addresses(listening, addresses, count, false))
        return true;
    listen_refuse(listening);
    listen_end(listening);
    listen_close(listening);
    return false;
}

/* The address in numbers: port 0 was replaced by a real one. */
static bool write_url(struct listen_name *name)
{
    bool is_v6 = name->address.any.sa_family == AF_INET6;
    char host[LISTEN_HOST_SIZE], port[16];

    if (getnameinfo(&name->address.any, name->len, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return false;
    (void)snprintf(name->url, sizeof name->url, is_v6 ? "http://[%s]:%s" : "http://%s:%s", host,
                   port);
    return true;
}

static bool is_loopback(const struct listen_name *name)
{
    return name->address.any.sa_family == AF_INET
               ? ntohl(name->address.v4.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET
               : IN6_IS_ADDR_LOOPBACK(&name->address.v6.sin6_addr);
}

void listen_warn(const struct listening *listening)
{
    for (int i = 0; i < listening->count; i++) {
        const char *address = listening->address[i];
        struct listen_name name;

        if (find_name(&listening->socket[i], &name) && !is_loopback(&name) && write_url(&name))
            log_warn("other machines can reach %s, and everybody there can read and write",
                     address ? address : name.url);
    }
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
    struct listen_address address;

    for (int i = 0; i < listening->count; i++)
        if (listening->address[i] && listen_parse(listening->address[i], &address) == NULL &&
            address.form == LISTEN_UNIX)
            (void)unlink(address.path);
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
