/*
 * A FastCGI connection: anything that a web server, or another process with access to the socket,
 * may send. The whole server runs, with its threads. It must close every connection in the end, and
 * everything that it sends must be records with an answer that a web server can pass on.
 *
 * The first byte of the input selects how the rest is sent:
 *
 *     'r'   as records, unchanged
 *     'p'   as records, in small pieces with pauses
 *     't'   as a request made from text: NAME=value lines, an empty line, a body
 *     'w'   the same, but waits for the answer before it closes its side
 */
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "../unit/fcgi_client.h"
#include "fuzz_store.h"
#include "gateway/gateway.h"
#include "gateway/listen.h"
#include "server/server.h"

enum {
    RUNS = 1000,         /* inputs for one server; the next one starts with an empty database */
    PATIENCE_MS = 20000, /* a connection that is silent for so long hangs */
    ANSWER_MS = 1000,    /* longer than any long-poll of this server */
    PIECES_MAX = 40,
};

static struct server server;
static struct gateway *gateway;
static struct sockaddr_un address = {.sun_family = AF_UNIX};

static void start(void)
{
    int listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    fuzz_clean();
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s/socket", fuzz_folder);
    fuzz_require(listening >= 0 &&
                 bind(listening, (struct sockaddr *)&address, sizeof address) == 0 &&
                 listen(listening, 64) == 0);
    fuzz_require(server_start(&server, &fuzz_config, true) == DS_OK);
    gateway = gateway_new(&server, &(struct door_socket){listening, DOOR_FCGI}, 1);
    fuzz_require(gateway && gateway_start(gateway) == DS_OK);
}

static void stop(void)
{
    gateway_close_listener(gateway);
    server_drain(&server);
    fuzz_require(atomic_load(&server.exchanges.count) == 0);
    gateway_stop(gateway);
    server_close(&server);
    gateway_free(gateway);
}

/* Runs before the folder is removed. */
static void stop_at_exit(void)
{
    stop();
    config_close(&fuzz_config);
}

static int connect_client(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    fuzz_require(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
    return fd;
}

/* Makes a whole request from lines of text. */
static void make_request(struct buf *out, const char *text, size_t len)
{
    const char *at = text, *end = text + len;
    struct buf params = {0};

    while (at < end && *at != '\n') {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        const char *equals;

        stop = stop ? stop : end;
        equals = memchr(at, '=', (size_t)(stop - at));
        if (equals)
            fcgi_add_param(&params, at, (size_t)(equals - at), equals + 1,
                           (size_t)(stop - equals - 1));
        at = stop < end ? stop + 1 : end;
    }
    if (at < end)
        at++;
    fcgi_add_request(out, &params, at, (size_t)(end - at));
    buf_close(&params);
}

/* Adds the bytes that have arrived. False at the end of the connection or after the time-out. */
static bool receive(int fd, struct buf *got, int timeout_ms, bool *ended)
{
    struct pollfd socket = {.fd = fd, .events = POLLIN};
    char piece[8192];
    ssize_t n;

    *ended = false;
    if (poll(&socket, 1, timeout_ms) != 1)
        return false;
    n = recv(fd, piece, sizeof piece, 0);
    *ended = n <= 0;
    buf_add(got, piece, n > 0 ? (size_t)n : 0);
    return n > 0;
}

static void check_answer(const struct buf *got, bool head_only)
{
    struct fcgi_answer answer;
    const char *wrong = fcgi_parse(got, &answer);
    size_t body = answer.text.len - answer.head;

    if (wrong)
        (void)fprintf(stderr, "%s\n", wrong);
    fuzz_require(!wrong);
    if (answer.ended && answer.length >= 0 && answer.status != 304 && !head_only)
        fuzz_require(body == (size_t)answer.length);
    buf_close(&answer.text);
}

static void send_all(int fd, const struct buf *bytes, size_t piece)
{
    const struct timespec moment = {0, 200000};
    int pieces = 0;

    for (size_t at = 0, n; at < bytes->len; at += n) {
        n = bytes->len - at < piece || pieces++ > PIECES_MAX ? bytes->len - at : piece;
        if (send(fd, bytes->data + at, n, 0) < 0)
            return; /* the server has closed the connection already */
        if (at + n < bytes->len)
            (void)nanosleep(&moment, NULL);
    }
}

static void converse(const struct buf *bytes, size_t piece, bool waits, bool head_only)
{
    struct fcgi_answer answer;
    struct buf got = {0};
    bool ended = false, whole = false;
    int fd = connect_client();

    send_all(fd, bytes, piece);
    while (waits && !whole && !ended && receive(fd, &got, ANSWER_MS, &ended)) {
        (void)fcgi_parse(&got, &answer);
        whole = answer.ended;
        buf_close(&answer.text);
    }
    (void)shutdown(fd, SHUT_WR);
    while (!ended && receive(fd, &got, PATIENCE_MS, &ended))
        ;
    fuzz_require(ended); /* the server closes its side too */
    check_answer(&got, head_only);
    buf_close(&got);
    (void)close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int runs;
    struct buf bytes = {0};
    char how = size > 0 ? (char)data[0] : 'r';
    const char *rest = (const char *)data + (size > 0);
    size_t len = size - (size > 0), piece = SIZE_MAX;

    if (runs++ % RUNS == 0) {
        if (runs > 1) {
            stop();
        } else {
            fuzz_begin();
            (void)atexit(stop_at_exit);
        }
        start();
    }
    if (how == 'p' && len > 0) {
        piece = 1 + (unsigned char)*rest;
        buf_add(&bytes, rest + 1, len - 1);
    } else if (how == 't' || how == 'w') {
        make_request(&bytes, rest, len);
    } else {
        buf_add(&bytes, rest, len);
    }
    converse(&bytes, piece, how == 'w', memmem(data, size, "HEAD", 4) != NULL);
    buf_close(&bytes);
    return 0;
}
