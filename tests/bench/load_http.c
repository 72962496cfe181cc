/* Connections: HTTP/1.1, kept open, one request at a time on each, sockets that never block. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "load.h"

enum { EVENTS = 512 };

int under_way;
static int epoll;

static void connect_one(struct connection *connection)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)want.port)};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    int one = 1;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connection->fd < 0 ||
        connect(connection->fd, (struct sockaddr *)&address, sizeof address) != 0)
        die("cannot connect");
    (void)setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    (void)fcntl(connection->fd, F_SETFL, O_NONBLOCK);
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, connection->fd, &event) != 0)
        die("epoll");
    connection->in_len = 0;
    connection->in_body = false;
    connection->closing = false;
}

static void connect_again(struct connection *connection)
{
    (void)close(connection->fd);
    connect_one(connection);
}

struct connection *connection_add(const struct role *role, int id, size_t in_size)
{
    struct connection *connection = allocate(1, sizeof *connection);

    connection->role = role;
    connection->id = id;
    connection->in = allocate(1, in_size);
    connection->in_size = in_size;
    (void)strcpy(connection->offset, "-1");
    connect_one(connection);
    return connection;
}

struct connection *connection_adopt(const struct role *role, int fd, size_t in_size)
{
    struct connection *connection = allocate(1, sizeof *connection);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};

    connection->role = role;
    connection->fd = fd;
    connection->in = allocate(1, in_size);
    connection->in_size = in_size;
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        die("epoll");
    return connection;
}

void connection_room(struct connection *connection, size_t size)
{
    if (connection->out_size >= size)
        return;
    free(connection->out);
    connection->out = allocate(1, size);
    connection->out_size = size;
}

static void push(struct connection *connection)
{
    while (connection->out_sent < connection->out_len) {
        ssize_t n = send(connection->fd, connection->out + connection->out_sent,
                         connection->out_len - connection->out_sent, MSG_NOSIGNAL);
        struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.ptr = connection};

        if (n < 0 && errno == EAGAIN) {
            (void)epoll_ctl(epoll, EPOLL_CTL_MOD, connection->fd, &event);
            return;
        }
        /* the next event reports the end of the connection */
        if (n < 0)
            return;
        connection->out_sent += (size_t)n;
    }
}

void connection_ask(struct connection *connection, size_t len)
{
    connection->out_len = len;
    connection->out_sent = 0;
    connection->asked = true;
    under_way++;
    push(connection);
}

void connection_get(struct connection *connection, const char *more)
{
    connection_room(connection, 2048);
    connection->began = now_ns();
    connection_ask(connection,
                   (size_t)snprintf(connection->out, connection->out_size,
                                    "GET %s-%d?offset=%s%s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
                                    want.prefix, connection->stream, connection->offset, more));
}

/* --- answers --- */

/* The value of a header line if it has this name, otherwise NULL. */
static const char *value_of(const char *line, const char *name, size_t len)
{
    return strncasecmp(line, name, len) == 0 ? line + len + strspn(line + len, " ") : NULL;
}
#define VALUE_OF(line, name) value_of(line, name, sizeof(name) - 1)

static void take_line(struct connection *connection, const char *line)
{
    const char *value;
    size_t len;

    if ((value = VALUE_OF(line, "Content-Length:"))) {
        connection->left = atoll(value);
        connection->endless = false;
    } else if (VALUE_OF(line, "Transfer-Encoding:")) {
        connection->chunked = true;
        connection->endless = false;
    } else if ((value = VALUE_OF(line, "Connection:"))) {
        connection->closing = VALUE_OF(value, "close") != NULL;
    } else if (VALUE_OF(line, "Stream-Up-To-Date:")) {
        connection->up_to_date = true;
    } else if ((value = VALUE_OF(line, "Stream-Next-Offset:"))) {
        len = strcspn(value, "\r\n");
        if (len < sizeof connection->offset) {
            memcpy(connection->offset, value, len);
            connection->offset[len] = '\0';
        }
    }
}

static void answer_is_whole(struct connection *connection)
{
    connection->in_body = false;
    connection->asked = false;
    under_way--;
    if (connection->closing) /* announced by the server: a request sent now would be lost */
        connect_again(connection);
    if (connection->role->whole)
        connection->role->whole(connection);
}

/* The head of an answer, without its last empty line. */
static void take_head(struct connection *connection, const char *head)
{
    int status = strlen(head) > 12 ? atoi(head + 9) : 0;

    connection->refused =
        status < 200 || (status > 299 && status != 304 && status != connection->role->also);
    if (connection->refused) {
        tally.unexpected++;
        complain("%.300s", head);
    }
    connection->up_to_date = false;
    connection->chunked = false;
    connection->endless = true; /* unless a header gives the length */
    connection->left = 0;
    for (const char *line = head; (line = strchr(line, '\n'));)
        take_line(connection, ++line);
    if (status == 204 || status == 304 || connection->head_only) {
        connection->left = 0;
        connection->chunked = connection->endless = false;
    }
    connection->in_body = true;
}

/* Parses the received bytes as far as possible; returns how many it used. */
static size_t consume(struct connection *connection, char *data, size_t len)
{
    size_t used = 0;

    for (;;) {
        char *at = data + used, *end;
        size_t rest = len - used, take;

        if (rest == 0)
            return used;
        if (!connection->in_body) {
            end = memmem(at, rest, "\r\n\r\n", 4);
            if (!end)
                return used;
            *end = '\0';
            used += (size_t)(end - at) + 4;
            take_head(connection, at);
            if (!connection->chunked && !connection->endless && connection->left == 0) {
                answer_is_whole(connection);
                return len; /* no other answer follows, because there is one request at a time */
            }
            continue;
        }
        if (connection->chunked && connection->left <= 0) {
            end = memmem(at, rest, "\r\n", 2);
            if (end == at && connection->left < 0) { /* the line end after a chunk */
                used += 2;
                connection->left = 0;
                continue;
            }
            if (!end)
                return used;
            connection->left = strtoll(at, NULL, 16);
            if (connection->left == 0) {
                if (rest < (size_t)(end - at) + 4)
                    return used;
                answer_is_whole(connection);
                return len;
            }
            used += (size_t)(end - at) + 2;
            continue;
        }
        take = connection->endless || rest < (size_t)connection->left ? rest
                                                                      : (size_t)connection->left;
        tally.bytes += measuring ? take : 0;
        if (connection->role->data)
            connection->role->data(connection, at, take);
        used += take;
        connection->left -= (int64_t)take;
        if (connection->chunked && connection->left == 0)
            connection->left = -1; /* its line end comes next */
        else if (!connection->chunked && !connection->endless && connection->left == 0) {
            answer_is_whole(connection);
            return len;
        }
    }
}

/* The server ended the connection, which it may do between two answers, but not within one. */
static void ended(struct connection *connection)
{
    bool whole = !connection->asked || (connection->in_body && connection->endless);

    connection->closing = true;
    if (connection->asked && whole) {
        answer_is_whole(connection);
        return;
    }
    connect_again(connection);
    if (!whole) {
        connection->asked = false;
        under_way--;
        tally.failed++;
        complain("a connection ended before its answer did");
    }
}

static void receive(struct connection *connection)
{
    for (;;) {
        size_t room = connection->in_size - connection->in_len, used;
        ssize_t n = recv(connection->fd, connection->in + connection->in_len, room, 0);
        bool all;

        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            ended(connection);
            return;
        }
        all = (size_t)n < room; /* then there is no need to read until EAGAIN */
        connection->in_len += (size_t)n;
        used = consume(connection, connection->in, connection->in_len);
        if (used > connection->in_len) /* it has reconnected meanwhile */
            return;
        memmove(connection->in, connection->in + used, connection->in_len - used);
        connection->in_len -= used;
        if (connection->in_len == connection->in_size) {
            errno = EMSGSIZE;
            die("a head of an answer, or a line of it");
        }
        if (all)
            return;
    }
}

void connections_init(void)
{
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0)
        die("epoll");
}

void turn(int64_t wait_ns)
{
    struct epoll_event events[EVENTS];
    struct timespec wait = {.tv_sec = wait_ns / 1000000000, .tv_nsec = wait_ns % 1000000000};
    int n = epoll_pwait2(epoll, events, EVENTS, &wait, NULL);

    for (int i = 0; i < n; i++) {
        struct connection *connection = events[i].data.ptr;

        if (connection->role->readable) {
            connection->role->readable(connection);
            continue;
        }
        if (events[i].events & EPOLLOUT) {
            struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};

            (void)epoll_ctl(epoll, EPOLL_CTL_MOD, connection->fd, &event);
            push(connection);
        }
        if (events[i].events & ~(uint32_t)EPOLLOUT)
            receive(connection);
    }
}

void drain(void)
{
    int64_t end = now_ns() + 20000000000;

    while (under_way > 0 && now_ns() < end)
        turn(10000000);
    if (under_way > 0) {
        tally.failed += (uint64_t)under_way;
        complain("%d requests without an answer after 20 s", under_way);
    }
}
