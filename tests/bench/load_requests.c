/*
 * load requests: a closed loop, or with --pace a fixed rate. At a fixed rate each request is due at
 * a moment that does not depend on earlier requests; if every connection is busy, the request
 * waits, and its latency includes the wait. So a pause of the server counts for all requests that
 * were due during it.
 *
 * load create: creates the streams.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "load.h"

static struct histogram latency;
static bool stopping;
static uint64_t started; /* messages, for want.count */

/* at a fixed rate: the idle connections, and when the next request is due */
static struct connection **idle;
static int idle_count;
static double due;

static uint32_t roll(void)
{
    static uint32_t seed;

    if (seed == 0) /* other streams in every run */
        seed = run | 1;
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    return seed;
}

static size_t put_body(char *to, struct connection *connection)
{
    struct message message = {.run = run,
                              .writer = (uint32_t)connection->id,
                              .stream = (uint32_t)connection->stream,
                              .sent = now_ns()};
    char *at = to;

    if (type_is_json())
        *at++ = '[';
    for (int i = 0; i < want.batch; i++) {
        if (i > 0)
            *at++ = ',';
        message.number = connection->number++;
        message_put(at, &message);
        at += want.body;
    }
    if (type_is_json())
        *at++ = ']';
    return (size_t)(at - to);
}

void append_start(struct connection *connection)
{
    size_t len = (size_t)want.batch * (size_t)want.body;
    size_t room = 1024 + strlen(want.prefix) + strlen(want.query) + strlen(want.headers);

    if (type_is_json())
        len += (size_t)want.batch + 1; /* brackets, and commas */
    connection_room(connection, room + len);
    room = (size_t)snprintf(connection->out, room, "POST %s-%d%s HTTP/1.1\r\nHost: 127.0.0.1\r\n%s",
                            want.prefix, connection->stream, want.query, want.headers);
    if (want.producer)
        room += (size_t)sprintf(
            connection->out + room,
            "Producer-Id: p%u-%d\r\nProducer-Epoch: 0\r\nProducer-Seq: %llu\r\n", run,
            connection->id, (unsigned long long)(connection->number / (uint64_t)want.batch));
    room += (size_t)sprintf(connection->out + room,
                            "Content-Type: %s\r\nContent-Length: %zu\r\n\r\n", want.type, len);
    connection_ask(connection, room + put_body(connection->out + room, connection));
}

static void start(struct connection *connection, int64_t began)
{
    connection->began = began;
    if (strcmp(want.method, "POST") == 0) {
        if (want.producer) /* each connection is a producer, so that its sequence has no gaps */
            connection->stream = connection->id % want.streams;
        else
            connection->stream = want.streams > 1 ? (int)(roll() % (uint32_t)want.streams) : 0;
        started += (uint64_t)want.batch;
        append_start(connection);
    } else {
        size_t room = 1024 + strlen(want.prefix) + strlen(want.query) + strlen(want.headers);

        connection->stream = want.streams > 1 ? (int)(roll() % (uint32_t)want.streams) : 0;
        connection->head_only = strcmp(want.method, "HEAD") == 0;
        connection_room(connection, room);
        connection_ask(connection, (size_t)snprintf(connection->out, room,
                                                    "%s %s-%d%s HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                                                    "%s\r\n",
                                                    want.method, want.prefix, connection->stream,
                                                    want.query, want.headers));
    }
}

static bool enough(void)
{
    return stopping || (want.count > 0 && started >= want.count);
}

static void requested(struct connection *connection)
{
    tally.acknowledged += (uint64_t)want.batch;
    if (measuring) {
        histogram_note(&latency, now_ns() - connection->began);
        tally.answered++;
    }
    if (enough())
        return;
    if (want.pace > 0)
        idle[idle_count++] = connection;
    else
        start(connection, now_ns());
}

/* Sends the requests that are due; returns the time until the next one. */
static int64_t start_due(void)
{
    int64_t now = now_ns();

    if (want.pace <= 0)
        return 10000000;
    for (; idle_count > 0 && (int64_t)due <= now; due += 1e9 / want.pace)
        start(idle[--idle_count], (int64_t)due);
    return idle_count == 0 || (int64_t)due > now + 10000000 ? 10000000 : (int64_t)due - now;
}

/* Runs for this many seconds, or until all requests are sent. */
static void go_on(double seconds)
{
    int64_t end = now_ns() + (int64_t)(seconds * 1e9);

    while (now_ns() < end && !enough())
        turn(start_due());
}

void run_requests(void)
{
    static const struct role requester = {.whole = requested};
    struct connection **all = allocate((size_t)want.connections, sizeof *all);
    int64_t began, behind;
    double seconds;

    idle = allocate((size_t)want.connections, sizeof *idle);
    for (int i = 0; i < want.connections; i++)
        all[i] = connection_add(&requester, i, 64 * 1024);
    due = (double)now_ns();
    for (int i = 0; i < want.connections; i++) {
        if (want.pace > 0)
            idle[idle_count++] = all[i];
        else if (!enough())
            start(all[i], now_ns());
    }
    if (want.count == 0)
        go_on(want.warmup);
    measuring = true;
    began = now_ns();
    go_on(want.count > 0 ? 1e9 : want.seconds);
    if (want.count > 0)
        drain();
    measuring = false;
    seconds = (double)(now_ns() - began) / 1e9;
    behind = want.pace > 0 ? (int64_t)(((double)now_ns() - due) / 1e9 * want.pace) : 0;
    stopping = true;
    drain();
    if (strcmp(want.method, "POST") == 0)
        for (int i = 0; i < want.connections; i++)
            ledger_add((uint32_t)i, all[i]->number);
    (void)printf(",\"seconds\":%.3f,\"per_second\":%.1f,\"bytes_per_second\":%.0f,\"behind\":%lld",
                 seconds, (double)tally.answered / seconds, (double)tally.bytes / seconds,
                 (long long)(behind > 0 ? behind : 0));
    histogram_print("latency", &latency);
}

static void create_next(struct connection *connection)
{
    static int next;

    if (next == want.streams)
        return;
    connection_room(connection, 1024 + strlen(want.prefix));
    connection->began = now_ns();
    connection_ask(connection, (size_t)snprintf(connection->out, connection->out_size,
                                                "PUT %s-%d HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                                                "Content-Type: %s\r\nContent-Length: 0\r\n\r\n",
                                                want.prefix, want.first + next++, want.type));
}

static void created(struct connection *connection)
{
    histogram_note(&latency, now_ns() - connection->began);
    create_next(connection);
}

void run_create(void)
{
    static const struct role creator = {.whole = created};
    int64_t began = now_ns();

    for (int i = 0; i < want.connections && i < want.streams; i++)
        create_next(connection_add(&creator, i, 16 * 1024));
    while (under_way > 0)
        turn(10000000);
    (void)printf(",\"streams\":%d,\"per_second\":%.1f", want.streams,
                 want.streams / ((double)(now_ns() - began) / 1e9));
    histogram_print("latency", &latency);
}
