/*
 * A program of a user, which knows only the installed header. library.test.mjs builds it outside of
 * the sources and runs it.
 *
 *   user tour                          a bit of everything, on a store in memory
 *   user append DATABASE PATH TEXT
 *   user wait DATABASE PATH OFFSET     waits for data after the offset, and prints it
 *   user fault DATABASE PATH STATUS    injects a fault for one request
 *   user paths                         reads NUL-ended lines, "e" and a path to encode or "d" and
 *                                      one to decode; prints NUL-ended results
 *   user cursors                       the same with the cursors that a client has sent
 *   user serve [DATABASE]              a test server: prints URL and database, and serves until
 *                                      the end of standard input
 */
#include <assert.h>
#include <durable_streams.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void expect(enum ds_status status)
{
    if (status == DS_OK)
        return;
    (void)fprintf(stderr, "user: %s\n", ds_status_text(status));
    exit(1);
}

static struct ds_store *open_store(const char *database)
{
    struct ds_store *store = NULL;

    expect(ds_store_open(database, NULL, &store));
    return store;
}

static bool count(void *arg, const struct ds_stream *stream)
{
    assert(strcmp(stream->content_type, "application/json") == 0);
    ++*(int *)arg;
    return true;
}

static int tour(void)
{
    const struct ds_create_options json = {.content_type = "application/json"};
    struct ds_store *store = open_store(":memory:");
    struct ds_append_result result;
    struct ds_read_result read;
    struct ds_stream *stream = NULL;
    char *name, *path;
    int streams = 0;

    expect(ds_create(store, "/v1/stream/a", &json, NULL, NULL));
    expect(ds_append(store, "/v1/stream/a", "[1,2]", 5, NULL, &result));
    expect(ds_fork(store, "/v1/stream/a", "/v1/stream/b", DS_NOW, NULL));
    expect(ds_close_stream(store, "/v1/stream/b", &result));
    expect(ds_wait(store, "/v1/stream/b", DS_START, 1000));
    expect(ds_read(store, "/v1/stream/b", DS_START, &read));
    assert(strcmp(read.data, "[1,2]") == 0 && read.closed);
    ds_read_free(&read);
    expect(ds_get(store, "/v1/stream/b", &stream));
    assert(strcmp(stream->forked_from, "/v1/stream/a") == 0 && stream->closed);
    ds_stream_free(stream);
    expect(ds_list(store, NULL, count, &streams));
    assert(streams == 2);
    expect(ds_delete(store, "/v1/stream/b"));
    ds_store_close(store);

    assert(ds_cursor_calculate(NULL) > 0);
    name = ds_path_encode("/v1/stream/a");
    path = ds_path_decode(name);
    assert(strcmp(path, "/v1/stream/a") == 0);
    free(name);
    free(path);
    (void)printf("%s\n", ds_version());
    return 0;
}

static int append(const char *database, const char *path, const char *text)
{
    struct ds_store *store = open_store(database);

    expect(ds_append(store, path, text, strlen(text), NULL, NULL));
    ds_store_close(store);
    return 0;
}

static int wait_for(const char *database, const char *path, const char *offset)
{
    struct ds_store *store = open_store(database);
    struct ds_read_result read;

    (void)puts("waiting");
    (void)fflush(stdout);
    expect(ds_wait(store, path, offset, 20000));
    expect(ds_read(store, path, offset, &read));
    (void)puts(read.data);
    ds_read_free(&read);
    ds_store_close(store);
    return 0;
}

static int inject(const char *database, const char *path, const char *status)
{
    const struct ds_fault fault = {.status = (int)strtol(status, NULL, 10)};
    struct ds_store *store = open_store(database);

    expect(ds_fault_set(store, path, &fault));
    ds_store_close(store);
    return 0;
}

static int convert_paths(void)
{
    char *line = NULL, *result;
    size_t size = 0;

    while (getdelim(&line, &size, '\0', stdin) > 0) {
        result = line[0] == 'e' ? ds_path_encode(line + 1) : ds_path_decode(line + 1);
        (void)fputs(result, stdout);
        (void)putchar('\0');
        free(result);
    }
    free(line);
    return 0;
}

static int answer_cursors(void)
{
    char *line = NULL;
    size_t size = 0;

    while (getdelim(&line, &size, '\0', stdin) > 0)
        (void)printf("%lld%c", (long long)ds_cursor_generate_response(line, NULL), '\0');
    free(line);
    return 0;
}

static int serve(const char *database)
{
    const struct ds_test_server_options options = {.database = database, .start_timeout_ms = 60000};
    struct ds_test_server *server = NULL;
    pid_t child;
    char byte;

    expect(ds_test_server_start(&options, &server));
    (void)printf("%s %d %s\n", ds_test_server_base_url(server), ds_test_server_port(server),
                 ds_test_server_database(server));
    (void)fflush(stdout);
    while (read(STDIN_FILENO, &byte, 1) > 0)
        ;
    /* the child keeps the server's socket open; ds_test_server_stop() must work even so */
    child = fork();
    if (child == 0)
        (void)pause();
    ds_test_server_stop(server);
    (void)kill(child, SIGKILL);
    (void)waitpid(child, NULL, 0);
    return 0;
}

int main(int argc, char **argv)
{
    const char *command = argc > 1 ? argv[1] : "";

    if (strcmp(command, "tour") == 0)
        return tour();
    if (strcmp(command, "append") == 0 && argc == 5)
        return append(argv[2], argv[3], argv[4]);
    if (strcmp(command, "wait") == 0 && argc == 5)
        return wait_for(argv[2], argv[3], argv[4]);
    if (strcmp(command, "fault") == 0 && argc == 5)
        return inject(argv[2], argv[3], argv[4]);
    if (strcmp(command, "paths") == 0)
        return convert_paths();
    if (strcmp(command, "cursors") == 0)
        return answer_cursors();
    if (strcmp(command, "serve") == 0)
        return serve(argc > 2 ? argv[2] : NULL);
    return 2;
}
