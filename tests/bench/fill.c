/*
 * Fills a database as a server would, but faster: in large appends, by several threads, without
 * waiting for the disk.
 *
 *   fill DATABASE PREFIX STREAMS MESSAGES BYTES
 *
 * creates PREFIX-0 … PREFIX-(STREAMS - 1), each with MESSAGES JSON messages of BYTES bytes.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <durable_streams.h>

enum { THREADS = 32, BATCH = 10000 };

static struct ds_store *store;
static const char *prefix;
static long long streams, messages, size;
static atomic_llong next;

static void check(enum ds_status status, const char *what)
{
    if (status == DS_OK)
        return;
    (void)fprintf(stderr, "fill: cannot %s: %s\n", what, ds_status_text(status));
    exit(1);
}

/* An array of messages like those of the load generator. */
static size_t put_batch(char *to, long long first, long long n)
{
    char *at = to;

    for (long long i = 0; i < n; i++) {
        int len = sprintf(at, "%s{\"w\":0,\"n\":%lld,\"p\":\"", i ? "," : "[", first + i);
        long long room = size - (len - 1) - 2;

        at += len;
        if (room > 0) {
            memset(at, '.', (size_t)room);
            at += room;
        }
        *at++ = '"';
        *at++ = '}';
    }
    *at++ = ']';
    return (size_t)(at - to);
}

static void fill_stream(long long stream, char *batch)
{
    struct ds_create_options options = {.content_type = "application/json"};
    char path[1024];

    (void)snprintf(path, sizeof path, "%s-%lld", prefix, stream);
    if (messages > 0 && messages <= BATCH) { /* at once */
        options.data = batch;
        options.len = put_batch(batch, 0, messages);
    }
    check(ds_create(store, path, &options, NULL, NULL), "create a stream");
    if (options.data)
        return;
    for (long long first = 0; first < messages; first += BATCH) {
        long long n = messages - first < BATCH ? messages - first : BATCH;

        check(ds_append(store, path, batch, put_batch(batch, first, n), NULL, NULL), "append");
    }
}

/* Each thread has one batch under way; batches of the same moment share a commit. */
static void *run(void *arg)
{
    char *batch = malloc((size_t)BATCH * (size_t)(size + 64));
    long long stream;

    (void)arg;
    if (!batch)
        check(DS_NO_MEMORY, "begin");
    while ((stream = atomic_fetch_add(&next, 1)) < streams)
        fill_stream(stream, batch);
    free(batch);
    return NULL;
}

int main(int argc, char **argv)
{
    struct ds_store_options options = {.durability = DS_DURABILITY_NORMAL};
    pthread_t thread[THREADS];

    if (argc != 6) {
        (void)fputs("usage: fill DATABASE PREFIX STREAMS MESSAGES BYTES\n", stderr);
        return 2;
    }
    prefix = argv[2];
    streams = atoll(argv[3]);
    messages = atoll(argv[4]);
    size = atoll(argv[5]);
    check(ds_store_open(argv[1], &options, &store), "open the database");
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&thread[i], NULL, run, NULL) != 0)
            check(DS_NO_MEMORY, "begin");
    for (int i = 0; i < THREADS; i++)
        (void)pthread_join(thread[i], NULL);
    ds_store_close(store);
    return 0;
}
