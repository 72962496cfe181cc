/*
 * load catch-up: readers that read stream 0 from its start to its tail, wait, and start again.
 * load verify:   reads every stream once, and compares each byte with the ledger.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

enum { READ_SIZE = 256 * 1024 };

/* --- catch-up --- */

static struct histogram passes;
static bool stopping;

static void pass_begins(struct connection *connection)
{
    (void)strcpy(connection->offset, "-1");
    connection->got = 0;
    connection->wakes = 0;
    connection_get(connection, "");
    connection->own_began = connection->began;
}

static void caught(struct connection *connection, const char *data, size_t len)
{
    (void)data;
    connection->got += len;
}

static void chunk_read(struct connection *connection)
{
    if (stopping || connection->refused)
        return;
    if (!connection->up_to_date) {
        connection_get(connection, "");
        return;
    }
    if (want.bytes > 0 && connection->got != want.bytes) {
        tally.missed++;
        complain("reader %d: %llu bytes", connection->id, (unsigned long long)connection->got);
    }
    if (measuring) {
        histogram_note(&passes, now_ns() - connection->own_began);
        connection->passes++;
        tally.answered++;
    }
    if (want.pause > 0)
        connection->wakes = now_ns() + (int64_t)(want.pause * 1e9);
    else
        pass_begins(connection);
}

/* Starts the readers whose pause is over. */
static void read_on(struct connection **reader, double seconds)
{
    int64_t end = now_ns() + (int64_t)(seconds * 1e9), now;

    while ((now = now_ns()) < end) {
        for (int i = 0; i < want.connections; i++)
            if (reader[i]->wakes > 0 && reader[i]->wakes <= now)
                pass_begins(reader[i]);
        turn(1000000);
    }
}

void run_catch_up(void)
{
    static const struct role catcher = {.data = caught, .whole = chunk_read};
    struct connection **reader = allocate((size_t)want.connections, sizeof *reader);
    uint64_t least = UINT64_MAX, most = 0;
    int64_t began;
    double seconds;

    /* spread over the pause, so that they do not come all at once */
    for (int i = 0; i < want.connections; i++) {
        reader[i] = connection_add(&catcher, i, READ_SIZE);
        reader[i]->wakes = now_ns() + (int64_t)(want.pause * 1e9 * i / want.connections);
    }
    read_on(reader, want.warmup);
    measuring = true;
    began = now_ns();
    read_on(reader, want.seconds);
    measuring = false;
    seconds = (double)(now_ns() - began) / 1e9;
    stopping = true;
    drain();
    for (int i = 0; i < want.connections; i++) {
        least = reader[i]->passes < least ? reader[i]->passes : least;
        most = reader[i]->passes > most ? reader[i]->passes : most;
    }
    (void)printf(",\"per_second\":%.2f,\"bytes_per_second\":%.0f,\"least_passes\":%llu,"
                 "\"most_passes\":%llu",
                 (double)tally.answered / seconds, (double)tally.bytes / seconds,
                 (unsigned long long)least, (unsigned long long)most);
    histogram_print("latency", &passes);
}

/* --- verify --- */

static struct ledger ledger;
static uint64_t messages, doubled, strange, disordered, lost;
static int next_stream;

static void check_message(struct connection *connection)
{
    struct message message;
    struct ledger_entry *entry;
    uint64_t *next = connection->own; /* by entry: the next number expected of that writer */
    unsigned char bit;
    long found = -1;

    messages++;
    if (message_check(connection->piece, &message) &&
        message.stream == (uint32_t)connection->stream)
        found = ledger_find(&ledger, &message);
    if (found < 0) {
        strange++;
        complain("%s-%d has what was never sent there: %.70s", want.prefix, connection->stream,
                 connection->piece);
        return;
    }
    entry = &ledger.entry[found];
    bit = (unsigned char)(1U << message.number % 8);
    if (entry->seen[message.number / 8] & bit) {
        doubled++;
        complain("%s-%d has twice: %.70s", want.prefix, connection->stream, connection->piece);
    } else if (message.number < next[found]) {
        disordered++;
        complain("%s-%d has out of order: %.70s", want.prefix, connection->stream,
                 connection->piece);
    }
    entry->seen[message.number / 8] |= bit;
    next[found] = message.number + 1;
}

/* A stream consists of messages of one length; JSON messages are in arrays. */
static void collect(struct connection *connection, const char *data, size_t len)
{
    bool json = type_is_json();

    while (len > 0) {
        size_t take = (size_t)want.body - connection->piece_len;

        if (json && connection->piece_len == 0 && strchr("[],", *data)) {
            data++;
            len--;
            continue;
        }
        take = take < len ? take : len;
        memcpy(connection->piece + connection->piece_len, data, take);
        connection->piece_len += take;
        data += take;
        len -= take;
        if (connection->piece_len == (size_t)want.body) {
            check_message(connection);
            connection->piece_len = 0;
        }
    }
}

static void verify_next(struct connection *connection)
{
    if (next_stream == want.streams)
        return;
    connection->stream = next_stream++;
    (void)strcpy(connection->offset, "-1");
    memset(connection->own, 0, (ledger.count + 1) * sizeof(uint64_t));
    connection_get(connection, "");
}

static void verified(struct connection *connection)
{
    if (!connection->up_to_date && !connection->refused) {
        connection_get(connection, "");
        return;
    }
    if (connection->piece_len > 0) {
        strange++;
        connection->piece_len = 0;
        complain("%s-%d ends with a piece of a message", want.prefix, connection->stream);
    }
    verify_next(connection);
}

static void count_lost(void)
{
    for (size_t i = 0; i < ledger.count; i++) {
        struct ledger_entry *entry = &ledger.entry[i];

        for (uint64_t n = 0; n < entry->count; n++) {
            if (entry->seen[n / 8] & 1U << n % 8)
                continue;
            lost++;
            complain("lost: r=%u w=%u n=%llu", entry->run, entry->writer, (unsigned long long)n);
        }
        tally.acknowledged += entry->count;
    }
}

void run_verify(void)
{
    static const struct role verifier = {.data = collect, .whole = verified};

    ledger_load(&ledger);
    for (int i = 0; i < want.connections && i < want.streams; i++) {
        struct connection *connection = connection_add(&verifier, i, READ_SIZE);

        connection->own = allocate(ledger.count + 1, sizeof(uint64_t));
        connection->piece = allocate((size_t)want.body + 1, 1);
        verify_next(connection);
    }
    while (under_way > 0)
        turn(10000000);
    count_lost();
    (void)printf(",\"streams\":%d,\"messages\":%llu,\"lost\":%llu,\"doubled\":%llu,"
                 "\"strange\":%llu,\"disordered\":%llu",
                 want.streams, (unsigned long long)messages, (unsigned long long)lost,
                 (unsigned long long)doubled, (unsigned long long)strange,
                 (unsigned long long)disordered);
    tally.missed += lost + doubled + strange + disordered;
}
