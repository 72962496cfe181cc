/*
 * The load generator, for loads that wrk cannot make. One thread, non-blocking sockets, HTTP/1.1
 * with connections that stay open.
 *
 *   load create     streams PREFIX-0, PREFIX-1 …
 *   load requests   as many requests as possible, one at a time on each connection; or at a fixed
 *                   rate, where the latency of a request counts from the moment it was due
 *   load catch-up   readers that read one stream from its beginning to its tail, again and again
 *   load live       readers that wait on streams, and writers that append at a fixed rate
 *   load notice     appends, and somebody who hears of each: a webhook, a worker, or a reader
 *   load work       a worker that claims and acks for a subscription
 *   load verify     reads all streams back, and compares them with the acknowledged messages
 *
 *   --port N --path PREFIX --streams N --type T     the server and the streams
 *   --connections N --seconds S --warmup S          how long to measure, after the warm-up
 *   --ledger FILE                                   acknowledged messages: added, or verified
 *   requests: --method M --query ?Q --header 'H: v\r\n' --body BYTES --batch N (JSON) --producer
 *             --count MESSAGES (then it ends) --pace N (a second)
 *   catch-up: --bytes N (expected in each pass) --pause S (between two passes)
 *   create:   --first N (the number of the first stream)
 *   notice:   --pause S (before the next append), --listen PORT, or --wake NAME --heard PATH
 *   work:     --wake NAME (of the subscription)
 *   live:     --readers N --rate N (a second and stream) --long-poll
 *
 * Prints one line of JSON. The exit status is 1 if a request failed, an answer was not expected, or
 * a message was missed.
 */
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "load.h"

struct wanted want = {.method = "POST",
                      .prefix = "/v1/stream/bench",
                      .query = "",
                      .type = "application/octet-stream",
                      .headers = "",
                      .connections = 1,
                      .streams = 1,
                      .body = 256,
                      .batch = 1,
                      .sse = true,
                      .seconds = 5,
                      .warmup = 1,
                      .rate = 50,
                      .readers = 1};
struct tally tally;
bool measuring;

int64_t now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

_Noreturn void die(const char *what)
{
    (void)fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(2);
}

void complain(const char *format, ...)
{
    static int said;
    va_list list;

    if (said++ >= 5)
        return;
    va_start(list, format);
    (void)fputs("load: ", stderr);
    (void)vfprintf(stderr, format, list);
    (void)fputc('\n', stderr);
    va_end(list);
}

void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count, size);

    if (!memory)
        die("no memory");
    return memory;
}

static const struct mode {
    const char *name;
    void (*run)(void);
} modes[] = {{"create", run_create}, {"requests", run_requests}, {"catch-up", run_catch_up},
             {"live", run_live},     {"notice", run_notice},     {"work", run_work},
             {"verify", run_verify}};

static const struct option names[] = {
    {"port", 1, NULL, 'p'},    {"path", 1, NULL, 'u'},     {"streams", 1, NULL, 's'},
    {"type", 1, NULL, 't'},    {"ledger", 1, NULL, 'l'},   {"connections", 1, NULL, 'c'},
    {"seconds", 1, NULL, 'd'}, {"warmup", 1, NULL, 'w'},   {"method", 1, NULL, 'm'},
    {"query", 1, NULL, 'q'},   {"header", 1, NULL, 'H'},   {"body", 1, NULL, 'b'},
    {"batch", 1, NULL, 'n'},   {"count", 1, NULL, 'C'},    {"pace", 1, NULL, 'P'},
    {"bytes", 1, NULL, 'B'},   {"pause", 1, NULL, 'z'},    {"readers", 1, NULL, 'r'},
    {"rate", 1, NULL, 'R'},    {"producer", 0, NULL, 'i'}, {"long-poll", 0, NULL, 'L'},
    {"listen", 1, NULL, 'W'},  {"wake", 1, NULL, 'k'},     {"heard", 1, NULL, 'h'},
    {"first", 1, NULL, 'F'},   {NULL, 0, NULL, 0}};

static bool take_option(int option, char *value)
{
    switch (option) {
    case 'p':
        want.port = atoi(value);
        break;
    case 'u':
        want.prefix = value;
        break;
    case 's':
        want.streams = atoi(value);
        break;
    case 't':
        want.type = value;
        break;
    case 'l':
        want.ledger = value;
        break;
    case 'c':
        want.connections = atoi(value);
        break;
    case 'd':
        want.seconds = atof(value);
        break;
    case 'w':
        want.warmup = atof(value);
        break;
    case 'm':
        want.method = value;
        break;
    case 'q':
        want.query = value;
        break;
    case 'H':
        want.headers = value;
        break;
    case 'b':
        want.body = atoi(value);
        break;
    case 'n':
        want.batch = atoi(value);
        break;
    case 'C':
        want.count = strtoull(value, NULL, 10);
        break;
    case 'P':
        want.pace = atof(value);
        break;
    case 'B':
        want.bytes = strtoull(value, NULL, 10);
        break;
    case 'z':
        want.pause = atof(value);
        break;
    case 'r':
        want.readers = atoi(value);
        break;
    case 'R':
        want.rate = atof(value);
        break;
    case 'W':
        want.listen = atoi(value);
        break;
    case 'k':
        want.wake = value;
        break;
    case 'h':
        want.heard = value;
        break;
    case 'F':
        want.first = atoi(value);
        break;
    case 'i':
        want.producer = true;
        break;
    case 'L':
        want.sse = false;
        break;
    default:
        return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    const struct mode *mode = NULL;
    struct rlimit files;
    int option;

    for (size_t i = 0; argc > 1 && i < sizeof modes / sizeof modes[0]; i++)
        if (strcmp(argv[1], modes[i].name) == 0)
            mode = &modes[i];
    optind = 2;
    while (mode && (option = getopt_long(argc, argv, "", names, NULL)) != -1)
        if (!take_option(option, optarg))
            mode = NULL;
    if (!mode || want.port == 0 || want.body < MESSAGE_LEAST || want.streams < 1) {
        (void)fputs("usage: load MODE --port N … (see the beginning of load.c)\n", stderr);
        return 2;
    }
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    run = (uint32_t)(now_ns() >> 16) ^ (uint32_t)getpid() << 16;
    connections_init();
    (void)printf("{\"run\":%u", run);
    mode->run();
    (void)printf(",\"acknowledged\":%llu,\"failed\":%llu,\"unexpected\":%llu,\"missed\":%llu}\n",
                 (unsigned long long)tally.acknowledged, (unsigned long long)tally.failed,
                 (unsigned long long)tally.unexpected, (unsigned long long)tally.missed);
    return tally.failed || tally.unexpected || tally.missed ? 1 : 0;
}
