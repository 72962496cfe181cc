/*
 * load live: readers that wait at the tails of streams, and a writer for each stream. A reader must
 * get every message of its stream, in order, and nothing else. The time from append to reader
 * begins when the append is sent.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

static struct histogram commits, deliveries;
static int greeted;
static bool stopping;

/* --- readers --- */

static void greet(struct connection *reader)
{
    if (!reader->greeted) {
        reader->greeted = true;
        greeted++;
    }
}

static void wait_for_more(struct connection *reader)
{
    connection_get(reader, want.sse ? "&live=sse" : "&live=long-poll");
}

/* Control events of SSE say where to continue. */
static void take_control(struct connection *reader, const char *line)
{
    static const char name[] = "\"streamNextOffset\":\"";
    const char *at = strstr(line, name);
    size_t len;

    if (!at)
        return;
    at += sizeof name - 1;
    len = strcspn(at, "\"");
    if (len < sizeof reader->offset) {
        memcpy(reader->offset, at, len);
        reader->offset[len] = '\0';
        greet(reader);
    }
}

static void take_line(struct connection *reader, char *line, size_t len, int64_t now)
{
    struct message message;

    if (strncmp(line, "data:", 5) == 0) {
        size_t skip = 5 + strspn(line + 5, " ");

        line += skip;
        len -= skip;
    }
    if (*line == '{') {
        take_control(reader, line);
    } else if (message_read(line, len, &message)) {
        if (message.run != run || message.stream != (uint32_t)reader->stream ||
            message.number != reader->expected || len != (size_t)want.body - 1) {
            tally.missed++;
            complain("reader %d waits for number %llu and gets %.70s", reader->id,
                     (unsigned long long)reader->expected, line);
        }
        reader->expected = message.number + 1;
        if (measuring)
            histogram_note(&deliveries, now - message.sent);
    }
}

/* A piece of the events for a reader: lines, which may be cut anywhere. */
static void take_piece(struct connection *reader, const char *data, size_t len)
{
    int64_t now = now_ns();
    size_t room = (size_t)want.body + 256;

    while (len > 0) {
        const char *end = memchr(data, '\n', len);
        size_t all = end ? (size_t)(end - data) : len;
        size_t take = all < room - reader->piece_len ? all : room - reader->piece_len;

        memcpy(reader->piece + reader->piece_len, data, take);
        reader->piece_len += take;
        if (end) {
            reader->piece[reader->piece_len] = '\0';
            take_line(reader, reader->piece, reader->piece_len, now);
            reader->piece_len = 0;
            all++;
        }
        data += all;
        len -= all;
    }
}

static void read_on(struct connection *reader)
{
    reader->piece_len = 0;
    if (!want.sse)
        greet(reader); /* its first request only asked for the tail */
    if (!reader->refused)
        wait_for_more(reader);
}

static struct connection *add_reader(int id)
{
    static const struct role role = {.data = take_piece, .whole = read_on};
    struct connection *reader = connection_add(&role, id, 16 * 1024);

    reader->stream = id % want.streams;
    reader->piece = allocate((size_t)want.body + 257, 1);
    (void)strcpy(reader->offset, "now");
    if (want.sse)
        wait_for_more(reader);
    else
        connection_get(reader, "");
    return reader;
}

/* --- writers --- */

static void write_one(struct connection *writer)
{
    writer->began = now_ns();
    append_start(writer);
}

static void written(struct connection *writer)
{
    tally.acknowledged++;
    if (measuring)
        histogram_note(&commits, now_ns() - writer->began);
    if (writer->owed > 0 && !stopping) {
        writer->owed--;
        write_one(writer);
    }
}

/* Each stream gets want.rate messages a second; a late one is sent at once. */
static void write_on(struct connection **writer, double seconds)
{
    static int next;
    static double due;
    int64_t end = now_ns() + (int64_t)(seconds * 1e9), now;

    if (due == 0)
        due = (double)now_ns();
    while ((now = now_ns()) < end) {
        if ((int64_t)due > now) {
            turn((int64_t)due < end ? (int64_t)due - now : end - now);
            continue;
        }
        if (writer[next]->asked)
            writer[next]->owed++;
        else
            write_one(writer[next]);
        next = (next + 1) % want.streams;
        due += 1e9 / want.rate / want.streams;
    }
}

/* The number of messages that are not acknowledged, or have not reached all readers. */
static uint64_t outstanding(struct connection **writer, struct connection **reader)
{
    uint64_t count = 0;

    for (int i = 0; i < want.streams; i++)
        count += writer[i]->asked;
    for (int i = 0; i < want.readers; i++)
        count += writer[reader[i]->stream]->number - reader[i]->expected;
    return count;
}

void run_live(void)
{
    static const struct role role = {.whole = written};
    struct connection **reader = allocate((size_t)want.readers, sizeof *reader);
    struct connection **writer = allocate((size_t)want.streams, sizeof *writer);
    int64_t end;

    for (int i = 0; i < want.readers; i++) {
        reader[i] = add_reader(i);
        if (i % 64 == 63)
            turn(0);
    }
    for (end = now_ns() + 30000000000; greeted < want.readers && now_ns() < end;)
        turn(10000000);
    if (greeted < want.readers) {
        tally.failed++;
        complain("%d of %d readers heard nothing within 30 s", want.readers - greeted,
                 want.readers);
    }
    for (int i = 0; i < want.streams; i++) {
        writer[i] = connection_add(&role, i, 16 * 1024);
        writer[i]->stream = i;
    }
    write_on(writer, want.warmup);
    measuring = true;
    write_on(writer, want.seconds);
    measuring = false;
    stopping = true;
    for (end = now_ns() + 10000000000; outstanding(writer, reader) > 0 && now_ns() < end;)
        turn(10000000);
    if (outstanding(writer, reader) > 0) {
        tally.missed += outstanding(writer, reader);
        complain("%llu messages are not with their readers after 10 s",
                 (unsigned long long)outstanding(writer, reader));
    }
    for (int i = 0; i < want.streams; i++)
        ledger_add((uint32_t)i, writer[i]->number);
    (void)printf(",\"readers\":%d,\"streams\":%d", want.readers, want.streams);
    histogram_print("commit", &commits);
    histogram_print("delivery", &deliveries);
}
