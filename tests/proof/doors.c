/* The doors of the program: see doors.h. */
#include "doors.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proof.h"

enum { PARAMS_MOST = 20, ANSWER_MS = 60000 };

/* --- processes --- */

static size_t add_environment(const char *to[], size_t n, const char *const from[])
{
    for (; from && *from; from++)
        to[n++] = *from;
    return n;
}

pid_t start(const struct doors *doors, const char *const argv[], const char *const more[], int in,
            int out, bool traced)
{
    const char *environment[SETTINGS_MOST + PARAMS_MOST + 16];
    static const char *const passed[] = {"UBSAN_OPTIONS", "TSAN_OPTIONS", "TMPDIR"};
    const char *asan = getenv("ASAN_OPTIONS");
    char kept[4][300], program[300];
    posix_spawn_file_actions_t actions;
    size_t n = 0;
    pid_t pid;
    int code;

    environment[n++] = "PATH=/usr/bin:/bin";
    /* the recorder is loaded before a sanitizer */
    (void)snprintf(kept[3], sizeof kept[3], "ASAN_OPTIONS=verify_asan_link_order=0:%s",
                   asan ? asan : "");
    environment[n++] = kept[3];
    for (int i = 0; i < 3; i++)
        if (getenv(passed[i]) &&
            snprintf(kept[i], sizeof kept[i], "%s=%s", passed[i], getenv(passed[i])) > 0)
            environment[n++] = kept[i];
    if (traced)
        n = add_environment(environment, n, doors->setting);
    n = add_environment(environment, n, more);
    environment[n] = NULL;
    (void)posix_spawn_file_actions_init(&actions);
    if (in >= 0)
        (void)posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
    else
        (void)posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (out >= 0)
        (void)posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    else
        (void)posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    (void)posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, proof_file("log"),
                                           O_WRONLY | O_CREAT | O_APPEND, 0600);
    (void)snprintf(program, sizeof program, "%s/%s", doors->build, argv[0]);
    code = posix_spawn(&pid, argv[0][0] == '/' ? argv[0] : program, &actions, NULL,
                       (char *const *)(uintptr_t)argv, (char *const *)(uintptr_t)environment);
    PROOF(code == 0, "%s: %s", program, strerror(code));
    (void)posix_spawn_file_actions_destroy(&actions);
    return pid;
}

int await(pid_t pid)
{
    int status = -1;

    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}

static struct sockaddr_un address(const struct doors *doors)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};

    PROOF(strlen(doors->socket) < sizeof at.sun_path, "the folder's name is too long");
    (void)strcpy(at.sun_path, doors->socket);
    return at;
}

void doors_open(struct doors *doors, const char *database)
{
    struct sockaddr_un at;

    memset(doors, 0, sizeof *doors);
    doors->build = getenv("B") ? getenv("B") : "build";
    (void)snprintf(doors->database, sizeof doors->database, "%s", database);
    (void)snprintf(doors->socket, sizeof doors->socket, "%s", proof_file("app.sock"));
    doors->listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    at = address(doors);
    (void)unlink(doors->socket);
    PROOF(doors->listening >= 0 &&
              bind(doors->listening, (const struct sockaddr *)&at, sizeof at) == 0 &&
              listen(doors->listening, 64) == 0,
          "%s: %s", doors->socket, strerror(errno));
}

void doors_set(struct doors *doors, const char *setting)
{
    int n = 0;

    while (doors->setting[n])
        n++;
    PROOF(n < SETTINGS_MOST - 1, "too many settings");
    doors->setting[n] = setting;
}

void doors_close(struct doors *doors)
{
    for (int i = 0; i < RESPONDERS_MOST; i++)
        responder_end(doors, i, SIGTERM);
    (void)close(doors->listening);
}

void responder_start(struct doors *doors, int i)
{
    static const char *const argv[] = {"durable-streams.fcgi", NULL};

    doors->responder[i] = start(doors, argv, NULL, doors->listening, -1, true);
}

void responder_end(struct doors *doors, int i, int signal)
{
    int status;

    if (doors->responder[i] <= 0)
        return;
    (void)kill(doors->responder[i], signal);
    status = await(doors->responder[i]);
    PROOF((WIFEXITED(status) && WEXITSTATUS(status) == 0) ||
              (WIFSIGNALED(status) && WTERMSIG(status) == signal),
          "a responder ended with status %x: see %s", (unsigned)status, proof_file("log"));
    doors->responder[i] = 0;
}

/* --- requests --- */

/* The parameters of a request as they stand in an environment, NULL at the end. */
struct params {
    char text[PARAMS_MOST][120];
    const char *list[PARAMS_MOST + 1];
    int n;
};

static void param(struct params *params, const char *name, const char *value)
{
    char *to = params->text[params->n];

    PROOF((size_t)snprintf(to, sizeof params->text[0], "%s=%s", name, value) <
              sizeof params->text[0],
          "a parameter is too long");
    params->list[params->n++] = to;
    params->list[params->n] = NULL;
}

static void param_number(struct params *params, const char *name, int64_t value)
{
    char text[24];

    (void)snprintf(text, sizeof text, "%lld", (long long)value);
    param(params, name, text);
}

static void make_params(struct params *params, const struct request *request)
{
    char target[110];

    params->n = 0;
    (void)snprintf(target, sizeof target, "%s%s%s", request->path, request->query ? "?" : "",
                   request->query ? request->query : "");
    param(params, "REQUEST_METHOD", request->method);
    param(params, "REQUEST_URI", target);
    param(params, "QUERY_STRING", request->query ? request->query : "");
    param(params, "SCRIPT_NAME", "");
    param(params, "PATH_INFO", request->path);
    param(params, "SERVER_PROTOCOL", "HTTP/1.1");
    param(params, "GATEWAY_INTERFACE", "CGI/1.1");
    param(params, "SERVER_NAME", "localhost");
    param(params, "SERVER_PORT", "80");
    if (request->type)
        param(params, "CONTENT_TYPE", request->type);
    if (request->body)
        param_number(params, "CONTENT_LENGTH", (int64_t)request->len);
    if (request->seq < 0)
        return;
    param(params, "HTTP_PRODUCER_ID", "proof");
    param(params, "HTTP_PRODUCER_EPOCH", "0");
    param_number(params, "HTTP_PRODUCER_SEQ", request->seq);
}

struct answer {
    char *data;
    size_t len, room;
};

static bool add(struct answer *answer, const char *data, size_t len)
{
    if (answer->len + len + 1 > answer->room) {
        answer->room = (answer->len + len) * 2 + 4096;
        answer->data = realloc(answer->data, answer->room);
        PROOF(answer->data, "out of memory");
    }
    memcpy(answer->data + answer->len, data, len);
    answer->len += len;
    answer->data[answer->len] = '\0';
    return true;
}

/* Ends the answer and returns its status, 0 if there is none. */
static int take(struct answer *answer, bool whole, char **body, size_t *len)
{
    char *end = whole && answer->data ? strstr(answer->data, "\r\n\r\n") : NULL, *said;
    int status = end ? 200 : 0;

    if (end) {
        *end = '\0';
        said = strcasestr(answer->data, "status:");
        if (said)
            status = atoi(said + 7);
        if (body) {
            *len = answer->len - (size_t)(end + 4 - answer->data);
            *body = malloc(*len + 1);
            PROOF(*body, "out of memory");
            memcpy(*body, end + 4, *len + 1);
        }
    }
    free(answer->data);
    return status;
}

int request_cgi(const struct doors *doors, const struct request *request, char **body, size_t *len)
{
    static const char *const argv[] = {"durable-streams.fcgi", NULL};
    struct params params;
    struct answer answer = {0};
    int in[2], out[2], status;
    char piece[65536];
    ssize_t n;
    pid_t pid;

    make_params(&params, request);
    /* a socket takes the body at once; a pipe might not */
    PROOF(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, in) == 0 && pipe2(out, O_CLOEXEC) == 0,
          "no pipes");
    n = (ssize_t)(UINT64_C(1) << 20);
    (void)setsockopt(in[1], SOL_SOCKET, SO_SNDBUF, &(int){(int)n}, sizeof(int));
    pid = start(doors, argv, params.list, in[0], out[1], true);
    (void)close(in[0]);
    (void)close(out[1]);
    for (size_t done = 0; done < request->len; done += (size_t)n) {
        n = send(in[1], request->body + done, request->len - done, MSG_NOSIGNAL);
        if (n <= 0)
            break;
    }
    (void)close(in[1]);
    if (request->kill_after_us > 0) {
        proof_sleep_us(request->kill_after_us);
        (void)kill(pid, SIGKILL);
    }
    while ((n = read(out[0], piece, sizeof piece)) > 0)
        (void)add(&answer, piece, (size_t)n);
    (void)close(out[0]);
    status = await(pid);
    if (request->kills && WIFSIGNALED(status))
        atomic_fetch_add(request->kills, 1);
    /* an answer counts even if the process was killed after it */
    return take(&answer, WIFEXITED(status) || answer.len > 0, body, len);
}

static void add_record(struct answer *to, unsigned char type, const char *data, size_t len)
{
    const unsigned char head[8] = {
        1, type, 0, 1, (unsigned char)(len >> 8), (unsigned char)(len & 0xff)};

    (void)add(to, (const char *)head, sizeof head);
    (void)add(to, data, len);
}

static void add_length(struct answer *to, size_t len)
{
    unsigned char bytes[4] = {(unsigned char)len};

    if (len > 127) {
        uint32_t large = htonl((uint32_t)len | UINT32_C(0x80000000));

        memcpy(bytes, &large, 4);
    }
    (void)add(to, (const char *)bytes, len > 127 ? 4 : 1);
}

static void add_params(struct answer *to, const struct params *params)
{
    struct answer all = {0};

    for (int i = 0; i < params->n; i++) {
        const char *equals = strchr(params->list[i], '=');
        size_t name = (size_t)(equals - params->list[i]), value = strlen(equals + 1);

        add_length(&all, name);
        add_length(&all, value);
        (void)add(&all, params->list[i], name);
        (void)add(&all, equals + 1, value);
    }
    add_record(to, 4, all.data, all.len);
    add_record(to, 4, "", 0);
    free(all.data);
}

/* FastCGI 1.0, a connection for one request. */
static bool converse(int fd, const struct answer *out, struct answer *in)
{
    struct answer raw = {0};
    char piece[65536];
    size_t at = 0;
    bool ended = false;
    ssize_t n;

    for (size_t done = 0; done < out->len; done += (size_t)n) {
        n = send(fd, out->data + done, out->len - done, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
    }
    while (!ended && poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, ANSWER_MS) == 1 &&
           (n = read(fd, piece, sizeof piece)) > 0) {
        (void)add(&raw, piece, (size_t)n);
        while (raw.len - at >= 8) {
            const unsigned char *head = (const unsigned char *)raw.data + at;
            size_t len = (size_t)head[4] << 8 | head[5], whole = 8 + len + head[6];

            if (raw.len - at < whole)
                break;
            if (head[1] == 6)
                (void)add(in, raw.data + at + 8, len);
            ended = ended || head[1] == 3;
            at += whole;
        }
    }
    free(raw.data);
    return ended;
}

int request_fcgi(const struct doors *doors, const struct request *request, char **body, size_t *len)
{
    struct sockaddr_un at = address(doors);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct params params;
    struct answer out = {0}, in = {0};
    bool ended = false;

    make_params(&params, request);
    add_record(&out, 1, "\0\1\0\0\0\0\0\0", 8); /* a responder, and no other request follows */
    add_params(&out, &params);
    for (size_t done = 0; done < request->len; done += 65528) {
        size_t piece = request->len - done < 65528 ? request->len - done : 65528;

        add_record(&out, 5, request->body + done, piece);
    }
    add_record(&out, 5, "", 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&at, sizeof at) == 0)
        ended = converse(fd, &out, &in);
    if (fd >= 0)
        (void)close(fd);
    free(out.data);
    return take(&in, ended, body, len);
}
