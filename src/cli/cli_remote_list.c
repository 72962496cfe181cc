/*
 * Lists the streams of a server from its registry, which is a JSON stream of state-protocol events.
 * The last event of a key tells whether that stream exists.
 */
#include "cli/cli_remote.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "protocol/json.h"
#include "protocol/json_value.h"

#define REGISTRY "/v1/stream/__registry__"

struct event {
    const char *key;
    size_t number; /* its place in the registry */
    bool is_deleted;
    const char *path;
    const char *type;
    int64_t created_at;
};

struct registry {
    struct cli *cli;
    struct event *events;
    size_t n, size;
};

/* "a/b" means /v1/stream/a/b. */
static const char *whole_path(const struct cli *cli, const char *path)
{
    return path[0] == '/' ? path : arena_printf(cli->arena, "/v1/stream/%s", path);
}

static int64_t read_time(struct arena *arena, struct json_value value)
{
    const char *text = json_text(arena, value);
    int64_t ms = 0;

    if (text)
        (void)clock_parse_time(text, &ms);
    else
        (void)json_integer(value, &ms);
    return ms;
}

static bool add_event(struct registry *registry, struct json_value message)
{
    struct arena *arena = registry->cli->arena;
    struct json_value value = json_get(message, "value");
    const char *kind = json_text(arena, json_get(message, "type"));
    const char *operation = json_text(arena, json_get(json_get(message, "headers"), "operation"));
    const char *type = json_text(arena, json_get(value, "contentType"));
    struct event *event;

    if (!kind || strcmp(kind, "stream") != 0 || !operation)
        return true; /* not an event of a stream */
    if (registry->n == registry->size) {
        size_t size = registry->size ? registry->size * 2 : 256;
        struct event *events = realloc(registry->events, size * sizeof *events);

        if (!events)
            return false;
        registry->events = events;
        registry->size = size;
    }
    event = &registry->events[registry->n];
    *event = (struct event){.key = json_text(arena, json_get(message, "key")),
                            .number = registry->n,
                            .is_deleted = strcmp(operation, "delete") == 0,
                            .path = json_text(arena, json_get(value, "path")),
                            .type = type ? type : "",
                            .created_at = read_time(arena, json_get(value, "createdAt"))};
    if (!event->key)
        return true;
    event->path = whole_path(registry->cli, event->path ? event->path : event->key);
    registry->n++;
    return event->path != NULL;
}

static bool take_events(void *arg, const char *data, size_t len, const char *next)
{
    struct registry *registry = arg;
    struct json_split split;
    const char *message;
    size_t message_len;

    (void)next;
    json_split_init(&split, data, len);
    while (json_split_next(&split, &message, &message_len))
        if (!add_event(registry, (struct json_value){message, message_len})) {
            (void)cli_no_memory(registry->cli);
            return false;
        }
    return true;
}

static int by_key(const void *a, const void *b)
{
    const struct event *left = a, *right = b;
    int order = strcmp(left->key, right->key);

    return order ? order : left->number < right->number ? -1 : 1;
}

static bool hand_over_streams(struct registry *registry, cli_list_fn *fn, void *arg)
{
    const struct event *events = registry->events;

    if (registry->n > 0)
        qsort(registry->events, registry->n, sizeof *events, by_key);
    for (size_t i = 0; i < registry->n; i++) {
        bool is_last = i + 1 == registry->n || strcmp(events[i].key, events[i + 1].key) != 0;
        struct ds_stream state = {.path = events[i].path,
                                  .content_type = events[i].type,
                                  .created_at = events[i].created_at,
                                  .bytes = -1,
                                  .messages = -1,
                                  .ttl_seconds = -1};

        if (is_last && !events[i].is_deleted && !fn(arg, &state))
            return false;
    }
    return true;
}

enum cli_exit cli_remote_list(struct cli *cli, cli_list_fn *fn, void *arg)
{
    const char *name = cli_value(cli, "registry"), *path = cli_path(cli, name ? name : REGISTRY);
    struct cli_reading reading = {.offset = DS_START};
    struct ds_stream state = {.path = path, .content_type = "application/json"};
    struct registry registry = {.cli = cli};
    struct cli_request request = {.method = "HEAD", .is_safe = true};
    struct cli_answer answer = {0};
    enum cli_exit exit;

    if (!path)
        return CLI_USAGE;
    request.url = cli_remote_url(cli, path, "");
    exit = request.url ? cli_http_send(cli->link, &request, &answer) : CLI_FAILED;
    if (exit == CLI_DONE && answer.status == 404)
        exit =
            cli_fail(cli, CLI_NOT_FOUND,
                     "%s keeps no registry at %s: start the server with DS_REGISTRY=%s (as dsctl "
                     "serve does), name another registry with --registry, or use --db FILE",
                     cli->url, path, path);
    else if (exit == CLI_DONE && answer.status != 200)
        exit = cli_remote_refuse(cli, path, &answer);
    cli_http_drop(&answer);
    if (exit == CLI_DONE)
        exit = cli_remote_read(cli, &state, &reading, take_events, &registry);
    if (exit == CLI_DONE && !hand_over_streams(&registry, fn, arg))
        exit = CLI_FAILED;
    free(registry.events);
    return exit;
}
