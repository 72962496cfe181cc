/*
 * CGI requests, one after the other on a database that is new for each input, through the CGI
 * gateway itself: this file sets up its environment, standard input and output. A byte 0x1E
 * separates the requests, each of which consists of NAME=value lines, an empty line, and the body.
 *
 * The gateway does not close its connection to the store, because its process ends. Here the
 * process continues, so the linker wraps store_connect() to find that connection, and serve()
 * closes it.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "../unit/fcgi_client.h"
#include "fuzz_store.h"
#include "gateway/gateway_cgi.h"
#include "server/server.h"
#include "store/store.h"

enum { REQUESTS_MAX = 8, LINES_MAX = 40, SOCKET_BYTES = 4 * 1024 * 1024 };

extern char **environ;

static struct store_conn *left; /* the connection that the gateway does not close */

enum ds_status __real_store_connect(struct store_conn **conn, struct store *store);
enum ds_status __wrap_store_connect(struct store_conn **conn, struct store *store);

/* The first connection after the start is the gateway's; the live desk closes its own. */
enum ds_status __wrap_store_connect(struct store_conn **conn, struct store *store)
{
    enum ds_status status = __real_store_connect(conn, store);

    if (status == DS_OK && !left)
        left = *conn;
    return status;
}

/* A file with the body, positioned at its start. */
static int make_input(const char *body, size_t len)
{
    int fd = memfd_create("body", MFD_CLOEXEC);

    fuzz_require(fd >= 0 && write(fd, body, len) == (ssize_t)len);
    fuzz_require(lseek(fd, 0, SEEK_SET) == 0);
    return fd;
}

static void make_output(int pair[2])
{
    const int bytes = SOCKET_BYTES;

    fuzz_require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    (void)setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
}

/* Splits off the lines of a request, which become the environment. Returns the body. */
static char *split(char *text, char *lines[static LINES_MAX + 1])
{
    int n = 0;

    while (*text && *text != '\n') {
        char *stop = text + strcspn(text, "\n");

        if (n < LINES_MAX)
            lines[n++] = text;
        text = *stop ? stop + 1 : stop;
        if (text > stop)
            *stop = '\0';
    }
    lines[n] = NULL;
    return *text ? text + 1 : text;
}

static void check(int fd, bool head_only)
{
    struct fcgi_answer answer = {.ended = true, .length = -1};
    char piece[8192];
    const char *wrong;
    ssize_t n;

    while ((n = recv(fd, piece, sizeof piece, MSG_DONTWAIT)) > 0)
        buf_add(&answer.text, piece, (size_t)n);
    fuzz_require(n == 0);
    wrong = answer.text.len > 0 ? fcgi_judge_head(&answer)
                                : NULL; /* a drop by an injected fault has no answer */
    if (wrong)
        (void)fprintf(stderr, "%s\n%.*s\n", wrong, (int)answer.text.len, answer.text.data);
    fuzz_require(!wrong);
    if (answer.length >= 0 && answer.status != 304 && !head_only)
        fuzz_require(answer.text.len - answer.head == (size_t)answer.length);
    buf_close(&answer.text);
}

/* Serves one request as a new process would. */
static void serve(char *const *lines, const char *body, size_t len)
{
    static struct server server;
    int saved_in = fcntl(0, F_DUPFD_CLOEXEC, 3), saved_out = fcntl(1, F_DUPFD_CLOEXEC, 3);
    int input = make_input(body, len), output[2];
    char **environment = environ;
    const char *method;

    make_output(output);
    fuzz_require(dup2(input, 0) == 0 && dup2(output[1], 1) == 1);
    (void)close(input);
    (void)close(output[1]);
    fuzz_require(server_start(&server, &fuzz_config, false) == DS_OK);
    left = NULL; /* the connections of the server, which it closes itself */
    environ = (char **)(uintptr_t)lines;
    method = getenv("REQUEST_METHOD");
    if (gateway_cgi_is_here())
        (void)gateway_cgi_run(&server);
    else
        (void)close(1);
    server.stop_by = 1; /* in the past: waits for nothing */
    environ = environment;
    store_disconnect(left);
    left = NULL;
    server_close(&server);
    check(output[0], method && strcmp(method, "HEAD") == 0);
    (void)close(output[0]);
    (void)dup2(saved_in, 0);
    (void)dup2(saved_out, 1);
    (void)close(saved_in);
    (void)close(saved_out);
}

static void begin(struct buf *fresh)
{
    struct server server;

    fuzz_begin();
    fuzz_require(server_start(&server, &fuzz_config, false) == DS_OK);
    server_close(&server);
    fuzz_load(fresh);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct buf fresh; /* the bytes of a database without streams */
    char *text = fuzz_string(data, size), *at = text, *end = text + size;

    if (!fresh.data)
        begin(&fresh);
    fuzz_save(&fresh);
    for (int i = 0; at < end && i < REQUESTS_MAX; i++) {
        char *lines[LINES_MAX + 1], *stop = memchr(at, 0x1E, (size_t)(end - at)), *body;

        stop = stop ? stop : end;
        *stop = '\0';
        body = split(at, lines);
        serve(lines, body, body < stop ? (size_t)(stop - body) : 0);
        at = stop + 1;
    }
    free(text);
    return 0;
}
