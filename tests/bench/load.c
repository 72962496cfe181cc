/*
 * The load generator: what wrk cannot do. One thread, non-blocking sockets, HTTP/1.1 kept alive.
 *
 *   load requests   as many requests as the connections take, one at a time on each
 *   load live       readers that wait on streams, and a writer that appends at a fixed rate
 *
 * Prints one line of JSON. Exit status 1 when a request failed, an answer was not expected, or a
 * message was missed.
 *
 * Every appended message begins with "w=<connection> n=<number> t=<nanoseconds> ", padded with dots
 * to its size and ended with a line feed: whoever reads it knows whose it is, whether one is
 * missing before it, and how long it took (CLOCK_MONOTONIC, which all processes of a machine
 * share).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 512, IN_SIZE = 64 * 1024 };

static int64_t now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static _Noreturn void die(const char *what)
{
    (void)fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(2);
}

/* --- latencies: buckets of 1/32 of their value, from a microsecond up --- */

enum { FINE = 32, BUCKETS = 40 * FINE };

struct histogram {
    uint64_t count, bucket[BUCKETS];
    double sum_us;
    int64_t max_ns;
};

static int bucket_of(int64_t us)
{
    int power = 0;

    while (us >> power >= 2 * FINE)
        power++;
    return power * FINE + (int)(us >> power);
}

static double bucket_us(int bucket)
{
    int power = bucket / FINE - 1;

    return bucket < 2 * FINE ? bucket : (double)((int64_t)(bucket - power * FINE) << power);
}

static void note(struct histogram *histogram, int64_t ns)
{
    int bucket = bucket_of(ns / 1000);

    histogram->bucket[bucket < BUCKETS ? bucket : BUCKETS - 1]++;
    histogram->count++;
    histogram->sum_us += (double)ns / 1000;
    if (ns > histogram->max_ns)
        histogram->max_ns = ns;
}

static double percentile(const struct histogram *histogram, double share)
{
    uint64_t wanted = (uint64_t)(share * (double)histogram->count), seen = 0;

    for (int i = 0; i < BUCKETS; i++) {
        seen += histogram->bucket[i];
        if (seen > wanted)
            return bucket_us(i);
    }
    return (double)histogram->max_ns / 1000;
}

static void print_histogram(const char *name, const struct histogram *histogram)
{
    (void)printf(",\"%s\":{\"count\":%llu,\"mean_us\":%.1f,\"p50_us\":%.0f,\"p90_us\":%.0f,"
                 "\"p99_us\":%.0f,\"p999_us\":%.0f,\"max_us\":%.0f}",
                 name, (unsigned long long)histogram->count,
                 histogram->count ? histogram->sum_us / (double)histogram->count : 0.0,
                 percentile(histogram, 0.5), percentile(histogram, 0.9),
                 percentile(histogram, 0.99), percentile(histogram, 0.999),
                 (double)histogram->max_ns / 1000);
}

/* --- what is wanted --- */

static struct {
    bool live;
    const char *method, *prefix, *query, *type, *headers;
    int port, connections, streams, body, batch;
    bool producer, sse, numbered;
    double seconds, warmup, rate;
    int readers;
} want = {.method = "POST",
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

/* --- connections --- */

enum role { REQUESTER, READER, WRITER };

struct connection {
    enum role role;
    int fd, id;
    char *out; /* the request */
    size_t out_len, out_sent, out_size;
    char *in;
    size_t in_len;
    /* the answer under way */
    bool in_body, chunked, endless;
    int64_t left; /* bytes of the body, or of the chunk */
    int64_t began;
    int stream;
    uint64_t number; /* of the next message */
    /* a reader */
    char offset[40];
    char line[64]; /* the beginning of a message, until it is whole */
    size_t line_len;
    uint64_t expected;
    bool greeted;
};

static int epoll;
static struct histogram requests, commits, deliveries;
static uint64_t answered, failed, unexpected, missed, bytes_in, acknowledged;
static bool measuring;
static uint32_t seed = 2463534242U;
static int greeted;

static uint32_t roll(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    return seed;
}

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
        if (n < 0) {
            failed++;
            return;
        }
        connection->out_sent += (size_t)n;
    }
}

/* One message of want.body bytes. */
static size_t put_message(char *to, const struct connection *connection, uint64_t number)
{
    int len = snprintf(to, 64, "w=%d n=%llu t=%lld ", connection->id, (unsigned long long)number,
                       (long long)now_ns());

    if (len < want.body - 1)
        memset(to + len, '.', (size_t)(want.body - 1 - len));
    to[want.body - 1] = '\n';
    return (size_t)want.body;
}

static size_t put_body(char *to, struct connection *connection)
{
    char *at = to;

    if (strcmp(want.method, "POST") != 0)
        return 0;
    if (want.batch == 1 && strcmp(want.type, "application/json") != 0)
        return put_message(to, connection, connection->number++);
    *at++ = '[';
    for (int i = 0; i < want.batch; i++) {
        int len = snprintf(at, 64, "%s{\"w\":%d,\"n\":%llu,\"p\":\"", i ? "," : "", connection->id,
                           (unsigned long long)connection->number++);

        at += len;
        if (len < want.body - 2) {
            memset(at, '.', (size_t)(want.body - 2 - len));
            at += want.body - 2 - len;
        }
        *at++ = '"';
        *at++ = '}';
    }
    *at++ = ']';
    return (size_t)(at - to);
}

static void start_request(struct connection *connection)
{
    size_t room = 1024 + strlen(want.headers) + (size_t)want.batch * (size_t)(want.body + 64);
    char *body, producer[128] = "";
    size_t body_len;
    int len;

    if (connection->out_size < 2 * room) {
        connection->out = realloc(connection->out, 2 * room);
        connection->out_size = 2 * room;
    }
    body = connection->out + room;
    if (connection->role == REQUESTER) /* a writer has its own */
        connection->stream = want.streams > 1 ? (int)(roll() % (uint32_t)want.streams) : 0;
    if (want.producer) { /* a stream of its own, so that its sequence has no gaps */
        connection->stream = connection->id % want.streams;
        (void)snprintf(producer, sizeof producer,
                       "Producer-Id: p%d-%d\r\nProducer-Epoch: 0\r\nProducer-Seq: %llu\r\n",
                       (int)getpid(), connection->id,
                       (unsigned long long)(connection->number / (uint64_t)want.batch));
    }
    body_len = put_body(body, connection);
    len =
        snprintf(connection->out, room, "%s %s-%d%s HTTP/1.1\r\nHost: 127.0.0.1\r\n%s%s",
                 want.method, want.prefix, connection->stream, want.query, producer, want.headers);
    if (body_len > 0)
        len += snprintf(connection->out + len, room - (size_t)len,
                        "Content-Type: %s\r\nContent-Length: %zu\r\n", want.type, body_len);
    len += snprintf(connection->out + len, room - (size_t)len, "\r\n");
    memmove(connection->out + len, body, body_len);
    connection->out_len = (size_t)len + body_len;
    connection->out_sent = 0;
    connection->began = now_ns();
    push(connection);
}

static void start_reading(struct connection *connection)
{
    if (!connection->out)
        connection->out = malloc(connection->out_size = 1024);
    connection->out_len = (size_t)snprintf(
        connection->out, connection->out_size,
        "GET %s-%d?offset=%s&live=%s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", want.prefix,
        connection->stream, connection->offset, want.sse ? "sse" : "long-poll");
    connection->out_sent = 0;
    push(connection);
}

/* --- answers --- */

/* A piece of what a reader is sent: looks for messages in it, which may be cut anywhere. */
static void look_for_messages(struct connection *connection, const char *data, size_t len)
{
    int64_t now = now_ns();

    for (size_t i = 0; i < len; i++) {
        unsigned long long number;
        long long sent;
        int who;

        if (data[i] == '\n') {
            connection->line[connection->line_len] = '\0';
            if (sscanf(connection->line,
                       strncmp(connection->line, "data:", 5) == 0 ? "data:w=%d n=%llu t=%lld"
                                                                  : "w=%d n=%llu t=%lld",
                       &who, &number, &sent) == 3) {
                if (number != connection->expected)
                    missed++;
                connection->expected = number + 1;
                if (measuring)
                    note(&deliveries, now - sent);
            } else if (!connection->greeted &&
                       strncmp(connection->line, "event: control", 14) == 0) {
                connection->greeted = true;
                greeted++;
            }
            connection->line_len = 0;
        } else if (connection->line_len < sizeof connection->line - 1) {
            connection->line[connection->line_len++] = data[i];
        }
    }
}

static void take_header(const char *head, const char *name, char *value, size_t size)
{
    const char *at = strcasestr(head, name);
    size_t len;

    *value = '\0';
    if (!at)
        return;
    at += strlen(name);
    at += strspn(at, " ");
    len = strcspn(at, "\r\n");
    if (len < size) {
        memcpy(value, at, len);
        value[len] = '\0';
    }
}

static void answer_is_whole(struct connection *connection)
{
    connection->in_body = false;
    switch (connection->role) {
    case REQUESTER:
        if (measuring)
            note(&requests, now_ns() - connection->began);
        answered++;
        start_request(connection);
        break;
    case WRITER:
        if (measuring)
            note(&commits, now_ns() - connection->began);
        connection->out_len = 0; /* ready for the next one */
        break;
    case READER:
        if (!connection->endless)
            start_reading(connection);
        break;
    }
}

/* The head of an answer, without its last empty line. */
static void take_head(struct connection *connection, char *head)
{
    int status = atoi(head + 9);
    char value[64];
    bool no_body = status == 204 || status == 304 || strcmp(want.method, "HEAD") == 0;

    if (status < 200 || (status > 299 && status != 304)) {
        if (unexpected++ == 0)
            (void)fprintf(stderr, "load: %.200s\n", head);
    } else if (connection->role != READER) {
        acknowledged++;
    }
    if (connection->role == READER) {
        no_body = status == 204;
        take_header(head, "Stream-Next-Offset:", value, sizeof connection->offset);
        if (value[0])
            (void)strcpy(connection->offset, value);
        if (!want.sse && !connection->greeted) {
            connection->greeted = true;
            greeted++;
        }
    }
    take_header(head, "Transfer-Encoding:", value, sizeof value);
    connection->chunked = strcasecmp(value, "chunked") == 0;
    take_header(head, "Content-Length:", value, sizeof value);
    connection->left = value[0] ? atoll(value) : 0;
    connection->endless = !no_body && !connection->chunked && !value[0];
    connection->in_body = true;
    if (no_body)
        connection->left = 0, connection->chunked = false;
}

/* Takes what it can of what was received; returns how much. */
static size_t consume(struct connection *connection, char *data, size_t len)
{
    size_t used = 0;

    for (;;) {
        char *at = data + used, *end;
        size_t rest = len - used, take;

        if (!connection->in_body) {
            end = memmem(at, rest, "\r\n\r\n", 4);
            if (!end)
                return used;
            *end = '\0';
            used += (size_t)(end - at) + 4;
            take_head(connection, at);
            if (!connection->chunked && !connection->endless && connection->left == 0)
                answer_is_whole(connection);
            continue;
        }
        if (connection->chunked && connection->left <= 0) {
            end = memmem(at, rest, "\r\n", 2);
            if (end == at && connection->left < 0) { /* the line end behind a chunk */
                used += 2;
                connection->left = 0;
                continue;
            }
            if (!end)
                return used;
            connection->left = strtoll(at, NULL, 16);
            used += (size_t)(end - at) + 2;
            if (connection->left == 0) {
                if (len - used < 2) {
                    return used - (size_t)(end - at) - 2;
                }
                used += 2;
                answer_is_whole(connection);
            }
            continue;
        }
        if (rest == 0)
            return used;
        take = connection->endless || rest < (size_t)connection->left ? rest
                                                                      : (size_t)connection->left;
        bytes_in += measuring ? take : 0;
        if (connection->role == READER)
            look_for_messages(connection, at, take);
        used += take;
        connection->left -= (int64_t)take;
        if (connection->chunked && connection->left == 0)
            connection->left = -1; /* its line end comes next */
        else if (!connection->chunked && !connection->endless && connection->left == 0)
            answer_is_whole(connection);
    }
}

static void reconnect(struct connection *connection)
{
    (void)close(connection->fd);
    connect_one(connection);
    if (connection->role == REQUESTER)
        start_request(connection);
    else if (connection->role == READER)
        start_reading(connection);
}

static void receive(struct connection *connection)
{
    for (;;) {
        ssize_t n = recv(connection->fd, connection->in + connection->in_len,
                         IN_SIZE - connection->in_len, 0);
        size_t used;

        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            /* a server may end a kept connection between two answers; SSE ends now and then */
            if (connection->role != READER && connection->in_body)
                failed++;
            reconnect(connection);
            return;
        }
        connection->in_len += (size_t)n;
        used = consume(connection, connection->in, connection->in_len);
        memmove(connection->in, connection->in + used, connection->in_len - used);
        connection->in_len -= used;
        if (connection->in_len == IN_SIZE) {
            failed++;
            connection->in_len = 0;
        }
    }
}

static struct connection *add(enum role role, int id, int stream)
{
    struct connection *connection = calloc(1, sizeof *connection);

    connection->role = role;
    connection->id = id;
    connection->stream = stream;
    connection->in = malloc(IN_SIZE);
    (void)strcpy(connection->offset, "now");
    connect_one(connection);
    return connection;
}

static void turn(int timeout_ms)
{
    struct epoll_event events[EVENTS];
    int n = epoll_wait(epoll, events, EVENTS, timeout_ms);

    for (int i = 0; i < n; i++) {
        struct connection *connection = events[i].data.ptr;

        if (events[i].events & EPOLLOUT) {
            struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};

            (void)epoll_ctl(epoll, EPOLL_CTL_MOD, connection->fd, &event);
            push(connection);
        }
        if (events[i].events & ~(uint32_t)EPOLLOUT)
            receive(connection);
    }
}

static void run_requests(void)
{
    int64_t start, end;

    for (int i = 0; i < want.connections; i++)
        start_request(add(REQUESTER, i, 0));
    start = now_ns();
    while (now_ns() < start + (int64_t)(want.warmup * 1e9))
        turn(10);
    measuring = true;
    answered = 0;
    start = now_ns();
    end = start + (int64_t)(want.seconds * 1e9);
    while (now_ns() < end)
        turn(10);
    measuring = false;
    (void)printf("{\"per_second\":%.1f,\"bytes_per_second\":%.0f",
                 (double)answered / ((double)(now_ns() - start) / 1e9),
                 (double)bytes_in / ((double)(now_ns() - start) / 1e9));
    print_histogram("latency", &requests);
}

/* One writer for every stream that has readers; each stream gets want.rate messages a second. */
static void run_live(void)
{
    struct connection **writer = calloc((size_t)want.streams, sizeof(struct connection *));
    double interval = 1e9 / want.rate / want.streams;
    int64_t start, end, next;
    int turn_of = 0;

    want.query = "";
    for (int i = 0; i < want.readers; i++) {
        start_reading(add(READER, i, i % want.streams));
        if (i % 64 == 63)
            turn(0);
    }
    /* a long-poll has no word of its own before data comes: it is given a moment */
    start = now_ns();
    while (want.sse ? greeted < want.readers && now_ns() < start + 30000000000
                    : now_ns() < start + 2000000000)
        turn(10);
    if (want.sse && greeted < want.readers)
        failed++;
    for (int i = 0; i < want.streams; i++)
        writer[i] = add(WRITER, 0, i);
    start = now_ns();
    end = start + (int64_t)((want.warmup + want.seconds) * 1e9);
    next = start;
    while (now_ns() < end) {
        int64_t now = now_ns();

        if (!measuring && now > start + (int64_t)(want.warmup * 1e9))
            measuring = true;
        if (now >= next) {
            struct connection *one = writer[turn_of];

            if (one->out_len == 0) /* else the last append is still under way */
                start_request(one);
            turn_of = (turn_of + 1) % want.streams;
            next += (int64_t)interval;
            continue;
        }
        turn((int)((next - now) / 1000000));
    }
    measuring = false;
    end = now_ns() + 1000000000; /* the last ones arrive */
    while (now_ns() < end)
        turn(10);
    (void)printf("{\"readers\":%d,\"streams\":%d", want.readers, want.streams);
    print_histogram("commit", &commits);
    print_histogram("delivery", &deliveries);
}

int main(int argc, char **argv)
{
    static const struct option names[] = {{"port", 1, NULL, 'p'},     {"connections", 1, NULL, 'c'},
                                          {"streams", 1, NULL, 's'},  {"body", 1, NULL, 'b'},
                                          {"batch", 1, NULL, 'n'},    {"method", 1, NULL, 'm'},
                                          {"path", 1, NULL, 'u'},     {"query", 1, NULL, 'q'},
                                          {"type", 1, NULL, 't'},     {"header", 1, NULL, 'H'},
                                          {"producer", 0, NULL, 'P'}, {"seconds", 1, NULL, 'd'},
                                          {"warmup", 1, NULL, 'w'},   {"readers", 1, NULL, 'r'},
                                          {"rate", 1, NULL, 'R'},     {"long-poll", 0, NULL, 'L'},
                                          {NULL, 0, NULL, 0}};
    struct rlimit files;
    int option;

    if (argc < 2 || (strcmp(argv[1], "requests") != 0 && strcmp(argv[1], "live") != 0)) {
        (void)fputs("usage: load requests|live --port N … (see the table in its source)\n", stderr);
        return 2;
    }
    want.live = strcmp(argv[1], "live") == 0;
    optind = 2;
    while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
        switch (option) {
        case 'p':
            want.port = atoi(optarg);
            break;
        case 'c':
            want.connections = atoi(optarg);
            break;
        case 's':
            want.streams = atoi(optarg);
            break;
        case 'b':
            want.body = atoi(optarg);
            break;
        case 'n':
            want.batch = atoi(optarg);
            break;
        case 'm':
            want.method = optarg;
            break;
        case 'u':
            want.prefix = optarg;
            break;
        case 'q':
            want.query = optarg;
            break;
        case 't':
            want.type = optarg;
            break;
        case 'H':
            want.headers = optarg;
            break;
        case 'P':
            want.producer = true;
            break;
        case 'd':
            want.seconds = atof(optarg);
            break;
        case 'w':
            want.warmup = atof(optarg);
            break;
        case 'r':
            want.readers = atoi(optarg);
            break;
        case 'R':
            want.rate = atof(optarg);
            break;
        case 'L':
            want.sse = false;
            break;
        default:
            return 2;
        }
    }
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    seed ^= (uint32_t)getpid(); /* not the same streams in every round */
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0)
        die("epoll");
    if (want.live)
        run_live();
    else
        run_requests();
    (void)printf(",\"acknowledged\":%llu,\"failed\":%llu,\"unexpected\":%llu,\"missed\":%llu}\n",
                 (unsigned long long)acknowledged, (unsigned long long)failed,
                 (unsigned long long)unexpected, (unsigned long long)missed);
    return failed || unexpected || missed ? 1 : 0;
}
