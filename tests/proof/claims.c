/*
 * 100 processes claim at once, round after round, and exactly one may win.
 *
 *     claims PORT PROGRAM ROUNDS CGI_EVERY
 *
 * The processes wait for a futex in shared memory, so that all of them send at the same moment:
 * through the web server at this port, or, in every CGI_EVERY-th round, each by a CGI process of
 * its own. claims.mjs starts the server, with the streams and the subscription.
 *
 * Between two rounds, the claim that has won is acked, or released; every IDLE_EVERY-th round there
 * is nothing to claim, and nobody may win.
 */
#include <errno.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    CLAIMERS = 100,
    ANSWER_SIZE = 2000,
    REQUEST_SIZE = 1200,
    IDLE_EVERY = 20,
    RELEASE_EVERY = 7
};

#define CONTROL "/v1/stream/__ds/subscriptions/pool/"

struct shared {
    _Atomic uint32_t turn;    /* counts rounds: each claimer waits for the next */
    _Atomic uint32_t waiting; /* claimers that wait for it */
    _Atomic uint32_t done;    /* claimers that have their answer */
    bool by_cgi;
    char answer[CLAIMERS][ANSWER_SIZE]; /* status line or CGI head, and body */
};

static struct shared *shared;
static int port;
static const char *program;
static int round_number;
static pid_t claimers[CLAIMERS];

static _Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void fail(const char *format, ...)
{
    va_list args;

    (void)fprintf(stderr, "proof: claims: round %d: ", round_number);
    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    va_end(args);
    (void)fprintf(stderr, "\n");
    exit(1);
}

static void futex_wait(_Atomic uint32_t *word, uint32_t value)
{
    (void)syscall(SYS_futex, word, FUTEX_WAIT, value, NULL, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *word)
{
    (void)syscall(SYS_futex, word, FUTEX_WAKE, CLAIMERS + 1, NULL, NULL, 0);
}

/* --- requests --- */

static int connect_to_server(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) != 0)
        fail("cannot connect to port %d: %s", port, strerror(errno));
    return fd;
}

/* Reads one answer; 0: the connection has ended before one. */
static size_t read_answer(int fd, char *answer)
{
    size_t len = 0, want = ANSWER_SIZE - 1;

    while (len < want) {
        ssize_t n = read(fd, answer + len, ANSWER_SIZE - 1 - len);
        const char *end, *length;

        if (n <= 0)
            return 0;
        len += (size_t)n;
        answer[len] = '\0';
        end = strstr(answer, "\r\n\r\n");
        if (!end)
            continue;
        length = strcasestr(answer, "\r\ncontent-length:");
        want = (size_t)(end + 4 - answer);
        if (length && length < end)
            want += (size_t)atoi(length + 17);
    }
    return len;
}

/* *fd: a connection, or -1. One that the server has closed meanwhile is replaced. */
static void ask_server(int *fd, const char *request, char *answer)
{
    for (int tries = 0; tries < 2; tries++) {
        size_t len = strlen(request);

        if (*fd < 0)
            *fd = connect_to_server();
        if (write(*fd, request, len) == (ssize_t)len && read_answer(*fd, answer) > 0) {
            if (!strcasestr(answer, "\r\nconnection: close"))
                return;
            (void)close(*fd);
            *fd = -1;
            return;
        }
        (void)close(*fd);
        *fd = -1;
    }
    fail("no answer to: %.60s", request);
}

static void make_request(char *request, const char *path, const char *token, const char *body)
{
    int n = snprintf(request, REQUEST_SIZE,
                     "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                     "Content-Length: %zu\r\n%s%s%s\r\n%s",
                     path, strlen(body), token ? "Authorization: Bearer " : "", token ? token : "",
                     token ? "\r\n" : "", body);

    if (n < 0 || n >= REQUEST_SIZE)
        fail("the request is too long");
}

/* In a child: becomes the CGI program. */
static _Noreturn void become_cgi(const int in[2], const int out[2], size_t len)
{
    char length[40];

    (void)snprintf(length, sizeof length, "%zu", len);
    (void)dup2(in[0], STDIN_FILENO);
    (void)dup2(out[1], STDOUT_FILENO);
    for (int i = 0; i < 2; i++) {
        (void)close(in[i]);
        (void)close(out[i]);
    }
    (void)setenv("GATEWAY_INTERFACE", "CGI/1.1", 1);
    (void)setenv("REQUEST_METHOD", "POST", 1);
    (void)setenv("REQUEST_URI", CONTROL "claim", 1);
    (void)setenv("SCRIPT_NAME", "", 1);
    (void)setenv("PATH_INFO", CONTROL "claim", 1);
    (void)setenv("QUERY_STRING", "", 1);
    (void)setenv("SERVER_PROTOCOL", "HTTP/1.1", 1);
    (void)setenv("SERVER_NAME", "127.0.0.1", 1);
    (void)setenv("SERVER_PORT", "80", 1);
    (void)setenv("CONTENT_TYPE", "application/json", 1);
    (void)setenv("CONTENT_LENGTH", length, 1);
    (void)execl(program, program, (char *)NULL);
    _exit(127);
}

static void ask_cgi(const char *body, char *answer)
{
    int in[2], out[2], status;
    size_t len = 0;
    ssize_t n;
    pid_t child;

    if (pipe(in) != 0 || pipe(out) != 0 || (child = fork()) < 0)
        fail("%s", strerror(errno));
    if (child == 0)
        become_cgi(in, out, strlen(body));
    (void)close(in[0]);
    (void)close(out[1]);
    (void)!write(in[1], body, strlen(body));
    (void)close(in[1]);
    while ((n = read(out[0], answer + len, ANSWER_SIZE - 1 - len)) > 0)
        len += (size_t)n;
    answer[len] = '\0';
    (void)close(out[0]);
    (void)waitpid(child, &status, 0);
    if (status != 0)
        fail("a CGI process ended with status %d", status);
}

/* --- the claimers --- */

static _Noreturn void claim_for_ever(int number)
{
    char request[REQUEST_SIZE], body[64];
    int fd = connect_to_server();
    uint32_t turn = atomic_load(&shared->turn);

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)snprintf(body, sizeof body, "{\"worker\":\"w-%d.\"}", number);
    make_request(request, CONTROL "claim", NULL, body);
    for (;;) {
        if (fd < 0)
            fd = connect_to_server();
        atomic_fetch_add(&shared->waiting, 1);
        futex_wake(&shared->waiting);
        while (atomic_load(&shared->turn) == turn)
            futex_wait(&shared->turn, turn);
        turn++;
        if (shared->by_cgi)
            ask_cgi(body, shared->answer[number]);
        else
            ask_server(&fd, request, shared->answer[number]);
        atomic_fetch_add(&shared->done, 1);
        futex_wake(&shared->done);
    }
}

static void start_claimers(void)
{
    for (int i = 0; i < CLAIMERS; i++) {
        claimers[i] = fork();
        if (claimers[i] < 0)
            fail("fork: %s", strerror(errno));
        if (claimers[i] == 0)
            claim_for_ever(i);
    }
}

static void end_claimers(void)
{
    for (int i = 0; i < CLAIMERS; i++) {
        (void)kill(claimers[i], SIGKILL);
        (void)waitpid(claimers[i], NULL, 0);
    }
}

static void wait_for_all(_Atomic uint32_t *word)
{
    for (uint32_t n; (n = atomic_load(word)) < CLAIMERS;) {
        if (waitpid(-1, NULL, WNOHANG) > 0)
            fail("a claimer has ended");
        futex_wait(word, n);
    }
    atomic_store(word, 0);
}

/* --- the judge --- */

static int status_of(const char *answer)
{
    const char *status =
        strncmp(answer, "HTTP/", 5) == 0 ? strchr(answer, ' ') : strcasestr(answer, "status:");

    if (status && *status != ' ')
        status += 7;
    return status ? atoi(status) : 0;
}

/* The text or number of a member, up to the next quote, comma or brace. */
static void member(const char *answer, const char *name, char *value, size_t size)
{
    const char *at = strstr(answer, name);
    size_t len;

    if (!at)
        fail("no %s in: %s", name, answer);
    at += strlen(name);
    len = strcspn(at, "\",}");
    if (len >= size)
        fail("%s is too long", name);
    memcpy(value, at, len);
    value[len] = '\0';
}

struct wake {
    int winner; /* -1: nobody */
    char generation[24], id[40], token[200], tail[60];
};

static void judge(struct wake *wake, bool pending)
{
    char holder[80], generation[40];
    int winners = 0;

    wake->winner = -1;
    for (int i = 0; i < CLAIMERS; i++)
        if (status_of(shared->answer[i]) == 200) {
            wake->winner = i;
            winners++;
        }
    if (winners != (pending ? 1 : 0))
        fail("%d of %d processes have won", winners, CLAIMERS);
    if (pending) {
        const char *answer = shared->answer[wake->winner];

        member(answer, "\"generation\":", wake->generation, sizeof wake->generation);
        member(answer, "\"wake_id\":\"", wake->id, sizeof wake->id);
        member(answer, "\"token\":\"", wake->token, sizeof wake->token);
        member(answer, "\"tail_offset\":\"", wake->tail, sizeof wake->tail);
        (void)snprintf(holder, sizeof holder, "\"current_holder\":\"w-%d.\"", wake->winner);
        (void)snprintf(generation, sizeof generation, "\"generation\":%s}", wake->generation);
    }
    for (int i = 0; i < CLAIMERS; i++) {
        const char *answer = shared->answer[i];

        if (i == wake->winner)
            continue;
        if (status_of(answer) != 409)
            fail("an unexpected answer: %s", answer);
        if (!pending && !strstr(answer, "\"NO_PENDING_WORK\""))
            fail("nothing is pending, but: %s", answer);
        if (pending && (!strstr(answer, "\"ALREADY_CLAIMED\"") || !strstr(answer, holder) ||
                        !strstr(answer, generation)))
            fail("w-%d has won generation %s, but: %s", wake->winner, wake->generation, answer);
    }
}

/* --- rounds --- */

static void ask(int *fd, const char *path, const char *token, const char *body, int wanted,
                const char *text)
{
    char request[REQUEST_SIZE], answer[ANSWER_SIZE];

    make_request(request, path, token, body);
    ask_server(fd, request, answer);
    if (status_of(answer) != wanted || (text && !strstr(answer, text)))
        fail("%s: %s", path, answer);
}

/* Returns whether it is still pending. */
static bool end_claim(int *fd, const struct wake *wake)
{
    char body[400];

    if (round_number % RELEASE_EVERY == 0) {
        (void)snprintf(body, sizeof body, "{\"wake_id\":\"%s\",\"generation\":%s}", wake->id,
                       wake->generation);
        ask(fd, CONTROL "release", wake->token, body, 204, NULL);
        return true;
    }
    (void)snprintf(body, sizeof body,
                   "{\"wake_id\":\"%s\",\"generation\":%s,\"done\":true,\"acks\":"
                   "[{\"stream\":\"work\",\"offset\":\"%s\"}]}",
                   wake->id, wake->generation, wake->tail);
    ask(fd, CONTROL "ack", wake->token, body, 200, "{\"ok\":true,\"next_wake\":false}");
    ask(fd, CONTROL "ack", wake->token, body, 409, "\"FENCED\"");
    return false;
}

int main(int argc, char **argv)
{
    int fd = -1, rounds, cgi_every, cgi = 0, idle = 0;
    int64_t generation = 0;
    bool pending = false;
    struct wake wake;

    if (argc != 5)
        return 2;
    port = atoi(argv[1]);
    program = argv[2];
    rounds = atoi(argv[3]);
    cgi_every = atoi(argv[4]);
    (void)signal(SIGPIPE, SIG_IGN);
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        fail("out of memory");
    start_claimers();
    for (round_number = 1; round_number <= rounds; round_number++) {
        if (!pending && round_number % IDLE_EVERY != 0) {
            ask(&fd, "/v1/stream/work", NULL, "[1]", 204, NULL);
            pending = true;
        }
        wait_for_all(&shared->waiting);
        shared->by_cgi = round_number % cgi_every == 0;
        cgi += shared->by_cgi;
        atomic_fetch_add(&shared->turn, 1);
        futex_wake(&shared->turn);
        wait_for_all(&shared->done);
        judge(&wake, pending);
        if (!pending) {
            idle++;
            continue;
        }
        if (atoll(wake.generation) != ++generation)
            fail("generation %s is not %lld", wake.generation, (long long)generation);
        pending = end_claim(&fd, &wake);
    }
    end_claimers();
    (void)printf("proof: claims: %d rounds, %d processes at once, %d rounds by CGI; exactly one "
                 "won in each, nobody in %d with nothing to do; 0 failed\n",
                 rounds, CLAIMERS, cgi, idle);
    return 0;
}
