/*
 * The test server: the script that `make run` and `dsctl serve` use too, as a child process.
 *
 *     caller ──▶ keeper (sh) ──▶ serve (sh) ──▶ durable-streams.fcgi
 *            ══ socket ══▶ │                     a line or the end of the file stops all
 *            ◀══════════════════ URL ══ pipe
 *
 * The keeper reads its standard input, a socket. The caller stops the server by sending a line;
 * when the caller dies, the keeper reads the end of the file. Closing the socket would not be
 * enough to stop the server, since a child that the caller forked may still have it open. Then the
 * keeper ends the server and deletes the folder. All of them are in a session of their own, so that
 * a signal to the caller's terminal or process group does not end the keeper before it has cleaned
 * up.
 *
 * The handle has neither a thread nor an open database, so a test may inject faults in a child that
 * was forked after the start of the server, as Check does.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/descriptors.h"
#include "base/log.h"
#include "config/config_environment.h"
#include "config/paths.h"
#include "durable_streams.h"

enum { START_MS = 30000, STOP_MS = 30000, MOST_SETTINGS = 64, URL_SIZE = 300 };

/* Its arguments: the folder to delete ("": none), and the command. */
static const char keeper[] = "folder=$1\n"
                             "shift\n"
                             "\"$@\" &\n"
                             "pid=$!\n"
                             "exec >/dev/null\n"
                             "read -r end\n"
                             "kill -TERM $pid 2>/dev/null\n"
                             "wait $pid\n"
                             "[ -z \"$folder\" ] || rm -rf \"$folder\"\n";

struct ds_test_server {
    struct arena *arena; /* texts; holds the handle too */
    pid_t owner;         /* the process that started it, and the only one that may stop it */
    pid_t keeper;        /* 0: not started */
    int stdin_end;       /* our end of the keeper's standard input; -1: none */
    char url[URL_SIZE];  /* "" until the server answers */
    int port;
    const char *database;
    char *folder; /* to be deleted at the end; NULL: the database is the caller's */
};

/* --- the command and its environment --- */

static const char *find_script(struct arena *arena)
{
    static const char *const names[] = {"serve", "run.sh"}; /* installed, in the sources */
    const char *folder = config_libexec_folder(), *script;

    if (!folder)
        folder = paths_libexec;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        script = arena_printf(arena, "%s/%s", folder, names[i]);
        if (script && access(script, R_OK) == 0)
            return script;
    }
    log_error("there is no %s/serve: install the server, or set DS_LIBEXECDIR to its folder",
              folder);
    return NULL;
}

static bool is_number_of_port(int port)
{
    return port >= 0 && port <= 65535;
}

/* Defaults come first, so that the caller's settings override them. NULL: *status says why. */
static char **make_environment(struct ds_test_server *server,
                               const struct ds_test_server_options *options, enum ds_status *status)
{
    const char *settings[MOST_SETTINGS];
    size_t n = 0;
    char **environment;

    settings[n++] = "DS_TEST_ENDPOINTS=1";
    settings[n++] = "DS_LOG_LEVEL=error";
    if (!options->database)
        settings[n++] = "DS_DURABILITY=normal"; /* no test outlives a power cut */
    *status = DS_INVALID;
    for (const char *const *at = options->settings; at && *at; at++) {
        if (strncmp(*at, "DS_", 3) != 0 || !strchr(*at, '=') || n >= MOST_SETTINGS - 3)
            return NULL;
        settings[n++] = *at;
    }
    settings[n++] = arena_printf(server->arena, "DS_DATABASE=%s", server->database);
    settings[n++] =
        arena_printf(server->arena, "HOST=%s", options->host ? options->host : "127.0.0.1");
    settings[n++] = arena_printf(server->arena, "PORT=%d", options->port);
    *status = DS_NO_MEMORY;
    if (!settings[n - 1] || !settings[n - 2] || !settings[n - 3])
        return NULL;
    environment = config_child_environment(server->arena, settings, n);
    if (environment)
        *status = DS_OK;
    return environment;
}

/* The program may change its working directory before it injects a fault. */
static const char *absolute_path(struct arena *arena, const char *path)
{
    char *folder;

    if (path[0] == '/')
        return arena_strndup(arena, path, strlen(path));
    folder = getcwd(NULL, 0);
    path = folder ? arena_printf(arena, "%s/%s", folder, path) : NULL;
    free(folder);
    return path;
}

static enum ds_status make_folder(struct ds_test_server *server)
{
    server->folder =
        arena_printf(server->arena, "%s/durable-streams-XXXXXX", config_temporary_folder());
    if (!server->folder)
        return DS_NO_MEMORY;
    if (!mkdtemp(server->folder)) {
        log_error("cannot create a folder in %s: %s", config_temporary_folder(), strerror(errno));
        server->folder = NULL;
        return DS_FAILED;
    }
    server->database = arena_printf(server->arena, "%s/streams.db", server->folder);
    return server->database ? DS_OK : DS_NO_MEMORY;
}

/* With default signal handling, in a session of its own, and with the pipes as standard files. */
static int spawn_keeper(struct ds_test_server *server, const char *script, char **environment,
                        int in, int out)
{
    const char *const argv[] = {"sh",
                                "-c",
                                keeper,
                                "durable-streams-test-server",
                                server->folder ? server->folder : "",
                                "sh",
                                script,
                                "--print-url",
                                "--name",
                                "ds_test_server",
                                NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    int error;

    (void)sigemptyset(&none);
    (void)sigfillset(&all);
    (void)posix_spawnattr_init(&attributes);
    (void)posix_spawnattr_setsigmask(&attributes, &none);
    (void)posix_spawnattr_setsigdefault(&attributes, &all);
    (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK |
                                                    POSIX_SPAWN_SETSIGDEF);
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
    (void)posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    if (fcntl(STDERR_FILENO, F_GETFD) < 0) /* closed: its number must not be reused */
        (void)posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    error = posix_spawn(&server->keeper, "/bin/sh", &actions, &attributes,
                        (char *const *)(uintptr_t)argv, environment);
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)posix_spawnattr_destroy(&attributes);
    return error;
}

/* Starts the keeper; *url becomes our end of the pipe from which to read the URL. */
static enum ds_status start_keeper(struct ds_test_server *server, const char *script,
                                   char **environment, int *url)
{
    int in[2] = {-1, -1}, out[2] = {-1, -1};
    int error = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, in) != 0 ||
                        pipe2(out, O_CLOEXEC) != 0 || !descriptors_high(in, 2) ||
                        !descriptors_high(out, 2)
                    ? errno
                    : spawn_keeper(server, script, environment, in[0], out[1]);

    if (in[0] >= 0)
        (void)close(in[0]);
    if (out[1] >= 0)
        (void)close(out[1]);
    server->stdin_end = in[1];
    *url = out[0];
    if (error == 0)
        return DS_OK;
    server->keeper = 0;
    log_error("cannot start the test server: %s", strerror(error));
    return DS_FAILED;
}

/* Waits for the line with the URL; false: it did not come in time. */
static bool read_url(struct ds_test_server *server, int from, int64_t timeout_ms)
{
    int64_t until = clock_monotonic_ms() + timeout_ms, left;
    struct pollfd readable = {.fd = from, .events = POLLIN};
    size_t len = 0;

    while (len < URL_SIZE - 1 && (left = until - clock_monotonic_ms()) > 0) {
        int ready = poll(&readable, 1, left > 1000 ? 1000 : (int)left);
        ssize_t n = ready > 0 ? read(from, server->url + len, URL_SIZE - 1 - len) : 1;

        if (n <= 0 || (ready < 0 && errno != EINTR))
            break; /* the server ended, and has logged the reason */
        if (ready <= 0)
            continue;
        len += (size_t)n;
        if (server->url[len - 1] == '\n') {
            server->url[len - 1] = '\0';
            return true;
        }
    }
    if (clock_monotonic_ms() >= until)
        log_error("the test server did not start in time");
    server->url[0] = '\0';
    return false;
}

static enum ds_status start_server(struct ds_test_server *server,
                                   const struct ds_test_server_options *options)
{
    const char *script = find_script(server->arena), *port;
    enum ds_status status = DS_FAILED;
    char **environment;
    int url = -1;
    bool answers;

    if (!script)
        return DS_FAILED;
    if (options->database) {
        server->database = absolute_path(server->arena, options->database);
        status = server->database ? DS_OK : DS_NO_MEMORY;
    } else {
        status = make_folder(server);
    }
    if (status != DS_OK)
        return status;
    environment = make_environment(server, options, &status);
    if (!environment)
        return status;
    status = start_keeper(server, script, environment, &url);
    if (status == DS_OK) {
        answers = read_url(server, url,
                           options->start_timeout_ms > 0 ? options->start_timeout_ms : START_MS);
        port = strrchr(server->url, ':');
        if (answers && port)
            server->port = (int)strtol(port + 1, NULL, 10);
        status = server->port > 0 ? DS_OK : DS_FAILED;
    }
    if (url >= 0)
        (void)close(url);
    return status;
}

enum ds_status ds_test_server_start(const struct ds_test_server_options *options,
                                    struct ds_test_server **out)
{
    static const struct ds_test_server_options none;
    struct ds_test_server *server;
    struct arena *arena;
    enum ds_status status;

    if (!options)
        options = &none;
    if (!is_number_of_port(options->port) || (options->database && !options->database[0]) ||
        options->start_timeout_ms < 0)
        return DS_INVALID;
    arena = arena_new();
    if (!arena)
        return DS_NO_MEMORY;
    server = arena_zalloc(arena, sizeof *server);
    server->arena = arena;
    server->owner = getpid();
    server->stdin_end = -1;
    status = start_server(server, options);
    if (status == DS_OK)
        *out = server;
    else
        ds_test_server_stop(server);
    return status;
}

/* --- the end --- */

/* Also true if another part of the program has waited for the keeper. */
static bool keeper_has_ended(pid_t pid, int64_t timeout_ms)
{
    int64_t until = clock_monotonic_ms() + timeout_ms;
    const struct timespec moment = {0, 5 * 1000000};
    pid_t ended;

    for (;;) {
        ended = waitpid(pid, NULL, WNOHANG);
        if (ended == pid || (ended < 0 && errno != EINTR))
            return true;
        if (clock_monotonic_ms() >= until)
            return false;
        (void)nanosleep(&moment, NULL);
    }
}

void ds_test_server_stop(struct ds_test_server *server)
{
    if (!server)
        return;
    if (server->keeper > 0 && server->owner == getpid())
        (void)send(server->stdin_end, "\n", 1, MSG_NOSIGNAL);
    if (server->stdin_end >= 0)
        (void)close(server->stdin_end);
    if (server->keeper > 0 && server->owner == getpid() &&
        !keeper_has_ended(server->keeper, STOP_MS)) {
        log_error("the test server did not stop in time: it was killed");
        (void)kill(-server->keeper, SIGKILL);
        (void)keeper_has_ended(server->keeper, STOP_MS);
    }
    if (server->keeper == 0 && server->folder)
        (void)rmdir(server->folder);
    arena_free(server->arena);
}

/* --- its properties, and faults --- */

int ds_test_server_port(const struct ds_test_server *server)
{
    return server->port;
}

const char *ds_test_server_base_url(const struct ds_test_server *server)
{
    return server->url;
}

const char *ds_test_server_database(const struct ds_test_server *server)
{
    return server->database;
}

static enum ds_status open_server_store(const struct ds_test_server *server,
                                        struct ds_store **store)
{
    const struct ds_store_options options = {.durability = DS_DURABILITY_NORMAL};

    return ds_store_open(server->database, &options, store);
}

enum ds_status ds_test_server_inject_fault(struct ds_test_server *server, const char *path,
                                           const struct ds_fault *fault)
{
    struct ds_store *store = NULL;
    enum ds_status status = open_server_store(server, &store);

    if (status == DS_OK)
        status = ds_fault_set(store, path, fault);
    ds_store_close(store);
    return status;
}

enum ds_status ds_test_server_clear_injected_faults(struct ds_test_server *server)
{
    struct ds_store *store = NULL;
    enum ds_status status = open_server_store(server, &store);

    if (status == DS_OK)
        status = ds_fault_clear(store, NULL);
    ds_store_close(store);
    return status;
}
