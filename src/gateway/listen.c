/* Listening sockets: see listen.h. */
#include "gateway/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/descriptors.h"
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

static int listen_inet(const char *address)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *found = NULL;
    const char *colon = strrchr(address, ':');
    char host[256];
    int fd = -1, on = 1;

    if (!colon || (size_t)(colon - address) >= sizeof host) {
        errno = EINVAL;
        return -1;
    }
    (void)snprintf(host, sizeof host, "%.*s", (int)(colon - address), address);
    if (getaddrinfo(host[0] ? host : NULL, colon + 1, &hints, &found) != 0) {
        errno = EADDRNOTAVAIL;
        return -1;
    }
    fd = descriptor_high(socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (fd >= 0 &&
        (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
         bind(fd, found->ai_addr, found->ai_addrlen) != 0 || listen(fd, LISTEN_BACKLOG) != 0)) {
        (void)close(fd);
        fd = -1;
    }
    freeaddrinfo(found);
    return fd;
}

/* The socket that the service manager passed, if it was meant for this process: descriptor 3. */
static int listen_passed(void)
{
    int listening = 0;
    socklen_t size = sizeof listening;

    if (config_passed_sockets() != 1) {
        errno = ENOTCONN;
        return -1;
    }
    if (getsockopt(PASSED_FD, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) != 0)
        return -1;
    if (!listening) {
        errno = EINVAL;
        return -1;
    }
    (void)fcntl(PASSED_FD, F_SETFD, FD_CLOEXEC);
    return PASSED_FD;
}

int listen_on(const char *address)
{
    const struct timespec pause = {0, PAUSE_MS * 1000000};
    int fd = -1;

    if (strcmp(address, "systemd") == 0)
        return listen_passed();
    /* after a kill -9 of a supervisor, its responders keep the socket for a moment longer */
    for (int i = 0; i < TRIES; i++) {
        fd = strncmp(address, "unix:", 5) == 0 ? listen_unix(address + 5) : listen_inet(address);
        if (fd >= 0 || errno != EADDRINUSE)
            break;
        (void)nanosleep(&pause, NULL);
    }
    return fd;
}

void listen_refuse(int listening)
{
    int flags = fcntl(listening, F_GETFL), fd;

    if (flags < 0 || fcntl(listening, F_SETFL, flags | O_NONBLOCK) != 0)
        return;
    while ((fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC)) >= 0 || errno == EINTR ||
           errno == ECONNABORTED)
        if (fd >= 0)
            (void)close(fd);
}

void listen_end(const char *address)
{
    if (strncmp(address, "unix:", 5) == 0)
        (void)unlink(address + 5);
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
