/*
 * load notice: the time from the answer to an append until somebody hears of it. An append goes out
 * when its stream has been heard of and settled, and want.pause seconds later. This process hears:
 *
 *   --listen PORT            POSTs to a webhook, which names one stream; each is answered "done"
 *   --wake NAME --heard PATH an SSE reader of the wake stream PATH, which then claims and acks for
 *                            the subscription NAME
 *   neither                  an SSE reader of the stream itself
 *
 * One thread does all of it, so both moments are of the same clock. A notice that arrives before
 * the answer counts as 0.
 *
 * load work: a worker that claims and acks for the subscription NAME as fast as it can.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load.h"

enum { POST_MOST = 64 * 1024 };

static struct histogram commits, notices, wholes;

/* What is known of the last append to each stream. */
static struct state {
    int64_t began, answered, heard; /* 0: not yet */
    bool under_way;
} * state;

static int *ready, ready_first, ready_count; /* streams, a ring */
static struct connection **idle;
static int idle_count;
static int64_t next_at;
static bool stopping, claiming, reader_waits;

/* --- appends --- */

static void make_ready(int stream)
{
    state[stream] = (struct state){0};
    ready[(ready_first + ready_count++) % want.streams] = stream;
    next_at = now_ns() + (int64_t)(want.pause * 1e9);
}

static void claim(void);

static void consider(int stream)
{
    struct state *it = &state[stream];
    int64_t late = it->heard - it->answered;

    if (it->answered == 0 || it->heard == 0)
        return;
    if (measuring) {
        histogram_note(&notices, late > 0 ? late : 0);
        histogram_note(&wholes, it->heard - it->began);
        tally.answered++;
    }
    if (want.wake)
        claim();
    else
        make_ready(stream);
}

static void appended(struct connection *writer)
{
    struct state *it = &state[writer->stream];

    tally.acknowledged++;
    idle[idle_count++] = writer;
    it->answered = now_ns();
    if (measuring)
        histogram_note(&commits, it->answered - it->began);
    consider(writer->stream);
}

static void hear(int stream)
{
    if (stream < 0 || stream >= want.streams || !state[stream].under_way ||
        state[stream].heard != 0) {
        tally.missed++;
        complain("a notice of stream %d, which has nothing new", stream);
        return;
    }
    state[stream].heard = now_ns();
    consider(stream);
}

static void append_ready(void)
{
    while (!stopping && ready_count > 0 && idle_count > 0 && now_ns() >= next_at) {
        struct connection *writer = idle[--idle_count];

        writer->stream = ready[ready_first];
        ready_first = (ready_first + 1) % want.streams;
        ready_count--;
        state[writer->stream] = (struct state){.began = now_ns(), .under_way = true};
        append_start(writer);
    }
}

/* --- the receiver of webhooks --- */

/* The number at the end of the first path of the streams. */
static int named_stream(const char *body)
{
    const char *at = strstr(body, "\"streams\":[{\"path\":\""), *end;

    if (!at)
        return -1;
    at += sizeof "\"streams\":[{\"path\":\"" - 1;
    end = at + strcspn(at, "\"");
    while (end > at && end[-1] >= '0' && end[-1] <= '9')
        end--;
    return *end == '"' ? -1 : atoi(end);
}

static void answer_post(struct connection *from, char *body, size_t len)
{
    static const char done[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                               "Content-Length: 13\r\n\r\n{\"done\":true}";
    char after = body[len];

    body[len] = '\0';
    hear(named_stream(body));
    body[len] = after;
    if (send(from->fd, done, sizeof done - 1, MSG_NOSIGNAL) != sizeof done - 1)
        complain("cannot answer a POST");
}

/* Answers all POSTs that are whole. */
static void take_posts(struct connection *from)
{
    for (;;) {
        char *end = memmem(from->in, from->in_len, "\r\n\r\n", 4), *length;
        size_t whole, body;

        if (!end)
            return;
        *end = '\0';
        length = strcasestr(from->in, "\ncontent-length:");
        body = length ? (size_t)atoll(length + 16) : 0;
        *end = '\r';
        whole = (size_t)(end - from->in) + 4 + body;
        if (whole > from->in_len)
            return;
        answer_post(from, end + 4, body);
        from->in_len -= whole;
        memmove(from->in, from->in + whole, from->in_len);
    }
}

static void receive_posts(struct connection *from)
{
    ssize_t n = recv(from->fd, from->in + from->in_len, POST_MOST - from->in_len, 0);

    if (n > 0) {
        from->in_len += (size_t)n;
        take_posts(from);
    } else if (n == 0 || errno != EAGAIN) {
        (void)close(from->fd); /* the sender ends connections that it does not need */
    }
}

static void accept_sender(struct connection *listener)
{
    static const struct role role = {.readable = receive_posts};
    int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), one = 1;

    if (fd < 0)
        return;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    connection_adopt(&role, fd, POST_MOST + 1);
}

static void listen_for_posts(void)
{
    static const struct role role = {.readable = accept_sender};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)want.listen)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(fd, 512) != 0)
        die("cannot listen");
    connection_adopt(&role, fd, 1);
}

/* --- claims and acks --- */

static struct connection *worker;
static char claimed[POST_MOST];
static size_t claimed_len;

static void collect(struct connection *from, const char *data, size_t len)
{
    (void)from;
    if (len > sizeof claimed - 1 - claimed_len)
        len = sizeof claimed - 1 - claimed_len;
    memcpy(claimed + claimed_len, data, len);
    claimed_len += len;
    claimed[claimed_len] = '\0';
}

static void ask_worker(const char *what, const char *token, const char *body)
{
    connection_room(worker, 4096);
    connection_ask(worker,
                   (size_t)snprintf(worker->out, worker->out_size,
                                    "POST /v1/stream/__ds/subscriptions/%s/%s HTTP/1.1\r\n"
                                    "Host: 127.0.0.1\r\n%s%s%sContent-Length: %zu\r\n\r\n"
                                    "%s",
                                    want.wake, what, token ? "Authorization: Bearer " : "",
                                    token ? token : "", token ? "\r\n" : "", strlen(body), body));
}

static void claim(void)
{
    claiming = true;
    claimed_len = 0;
    ask_worker("claim", NULL, "{\"worker\":\"load\"}");
}

/* A member of the claim's answer, without quotes: the first of this name. */
static const char *member(const char *name, char *to, size_t size)
{
    char key[64];
    const char *at;
    size_t len;

    (void)snprintf(key, sizeof key, "\"%s\":", name);
    at = strstr(claimed, key);
    at = at ? at + strlen(key) : "";
    at += *at == '"';
    len = strcspn(at, "\",}");
    (void)snprintf(to, size, "%.*s", (int)len, at);
    return to;
}

static void ack(void)
{
    char wake[64], generation[32], token[128], path[256], offset[64], body[1024];

    claiming = false;
    (void)snprintf(body, sizeof body,
                   "{\"wake_id\":\"%s\",\"generation\":%s,\"acks\":[{\"stream\":\"%s\","
                   "\"offset\":\"%s\"}],\"done\":true}",
                   member("wake_id", wake, sizeof wake),
                   member("generation", generation, sizeof generation),
                   member("path", path, sizeof path), member("tail_offset", offset, sizeof offset));
    ask_worker("ack", member("token", token, sizeof token), body);
}

static void settled(struct connection *from)
{
    (void)from;
    if (claiming)
        ack();
    else
        make_ready(0);
}

/* --- the reader --- */

static void read_events(struct connection *reader, const char *data, size_t len)
{
    const char *mark = want.wake ? "\"wake\"" : " h=";

    (void)reader;
    reader_waits = true; /* the first event says where the tail is */
    if (memmem(data, len, mark, strlen(mark)))
        hear(0);
}

static void read_again(struct connection *reader)
{
    connection_room(reader, 2048);
    connection_ask(reader, (size_t)snprintf(reader->out, reader->out_size,
                                            "GET %s%s?offset=%s&live=sse HTTP/1.1\r\n"
                                            "Host: 127.0.0.1\r\n\r\n",
                                            want.wake ? want.heard : want.prefix,
                                            want.wake ? "" : "-0", "now"));
}

static void start_reader(void)
{
    static const struct role role = {.data = read_events, .whole = read_again};
    int64_t end = now_ns() + 10000000000;

    read_again(connection_add(&role, 0, 64 * 1024));
    while (!reader_waits && now_ns() < end)
        turn(10000000);
}

static void start_worker(void (*whole)(struct connection *))
{
    static struct role role = {.data = collect, .also = 409};

    role.whole = whole;
    worker = connection_add(&role, 0, 64 * 1024);
}

/* --- modes --- */

static void go_on(int64_t end)
{
    while (now_ns() < end) {
        int64_t rest = next_at - now_ns();

        append_ready();
        turn(ready_count == 0 || rest > 10000000 ? 10000000 : rest > 0 ? rest : 0);
    }
}

static int outstanding(void)
{
    int count = 0;

    for (int i = 0; i < want.streams; i++)
        count += state[i].under_way;
    return count;
}

void run_notice(void)
{
    static const struct role role = {.whole = appended};
    struct connection **all = allocate((size_t)want.connections, sizeof *all);
    int64_t began, end;
    double seconds;

    state = allocate((size_t)want.streams, sizeof *state);
    ready = allocate((size_t)want.streams, sizeof *ready);
    idle = allocate((size_t)want.connections, sizeof *idle);
    if (want.listen)
        listen_for_posts();
    else
        start_reader();
    if (want.wake)
        start_worker(settled);
    for (int i = 0; i < want.connections; i++)
        all[i] = idle[idle_count++] = connection_add(&role, i, 16 * 1024);
    for (int i = 0; i < want.streams; i++)
        make_ready(i);
    go_on(now_ns() + (int64_t)(want.warmup * 1e9));
    measuring = true;
    began = now_ns();
    go_on(began + (int64_t)(want.seconds * 1e9));
    measuring = false;
    seconds = (double)(now_ns() - began) / 1e9;
    stopping = true;
    for (end = now_ns() + 10000000000; outstanding() > 0 && now_ns() < end;)
        turn(10000000);
    if (outstanding() > 0) {
        tally.missed += (uint64_t)outstanding();
        complain("no notice of %d streams after 10 s", outstanding());
    }
    for (int i = 0; i < want.connections; i++)
        ledger_add((uint32_t)i, all[i]->number);
    (void)printf(",\"seconds\":%.3f,\"per_second\":%.1f", seconds,
                 (double)tally.answered / seconds);
    histogram_print("commit", &commits);
    histogram_print("latency", &notices);
    histogram_print("whole", &wholes);
}

static void work_on(struct connection *from)
{
    bool has = claiming && strstr(claimed, "\"token\"") != NULL;

    (void)from;
    if (claiming && has) {
        ack();
        return;
    }
    tally.answered += !claiming;
    if (!stopping)
        claim();
}

void run_work(void)
{
    int64_t end = now_ns() + (int64_t)(want.seconds * 1e9);

    start_worker(work_on);
    claim();
    while (now_ns() < end)
        turn(10000000);
    stopping = true;
    drain();
    (void)printf(",\"per_second\":%.1f", (double)tally.answered / want.seconds);
}
