/* dsctl ls: lists streams, sorted, in columns or as JSON. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "cli/cli_backend.h"
#include "cli/cli_commands.h"

const struct cli_option cli_ls_options[] = {
    {"sort", 's', "KEY", "sort by path (default), created or type; with --db also messages, bytes"},
    {"reverse", 'r', NULL, "reverse the order"},
    {"json", 'j', NULL, "print one JSON object per line"},
    {"names", 'n', NULL, "print only paths"},
    {"registry", 0, "STREAM", "registry of the server (default /v1/stream/__registry__)"},
    {0},
};

typedef int compare_fn(const void *a, const void *b);

struct list {
    struct cli *cli;
    const char *prefix; /* NULL: all */
    struct ds_stream *streams;
    size_t n, size;
};

static const struct ds_stream *stream_of(const void *item)
{
    return item;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(stream_of(a)->path, stream_of(b)->path);
}

/* Streams with equal numbers are sorted by path. */
static int by_number(int64_t left, int64_t right, const void *a, const void *b)
{
    return left == right ? by_path(a, b) : left < right ? -1 : 1;
}

static int by_created(const void *a, const void *b)
{
    return by_number(stream_of(a)->created_at, stream_of(b)->created_at, a, b);
}

static int by_messages(const void *a, const void *b)
{
    return by_number(stream_of(a)->messages, stream_of(b)->messages, a, b);
}

static int by_bytes(const void *a, const void *b)
{
    return by_number(stream_of(a)->bytes, stream_of(b)->bytes, a, b);
}

static int by_type(const void *a, const void *b)
{
    int order = strcmp(stream_of(a)->content_type, stream_of(b)->content_type);

    return order ? order : by_path(a, b);
}

static const struct {
    const char *name;
    compare_fn *compare;
    bool needs_database;
} orders[] = {
    {"path", by_path, false},        {"created", by_created, false}, {"type", by_type, false},
    {"messages", by_messages, true}, {"bytes", by_bytes, true},
};

static compare_fn *find_order(const struct cli *cli)
{
    const char *name = cli_value(cli, "sort");

    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++)
        if (strcmp(name ? name : "path", orders[i].name) == 0 &&
            (cli->db || !orders[i].needs_database))
            return orders[i].compare;
    (void)cli_fail(cli, CLI_USAGE,
                   "--sort takes path, created or type, and with --db also messages or bytes");
    return NULL;
}

static bool take_stream(void *arg, const struct ds_stream *state)
{
    struct list *list = arg;
    struct ds_stream *stream;
    struct arena *arena = list->cli->arena;

    if (list->prefix && strncmp(state->path, list->prefix, strlen(list->prefix)) != 0)
        return true;
    if (list->n == list->size) {
        size_t size = list->size ? list->size * 2 : 256;
        struct ds_stream *streams = realloc(list->streams, size * sizeof *streams);

        if (!streams) {
            (void)cli_no_memory(list->cli);
            return false;
        }
        list->streams = streams;
        list->size = size;
    }
    stream = &list->streams[list->n++];
    *stream = *state;
    stream->path = cli_path_word(list->cli, stream->path);
    stream->content_type = arena_strndup(arena, stream->content_type, strlen(stream->content_type));
    if (stream->forked_from)
        stream->forked_from =
            arena_strndup(arena, stream->forked_from, strlen(stream->forked_from));
    return stream->path && stream->content_type;
}

/* The width of the column of types. A type longer than 30 does not widen it. */
static int type_width(const struct list *list)
{
    size_t width = 4;

    for (size_t i = 0; i < list->n; i++) {
        size_t len = strlen(cli_shown(list->cli, list->streams[i].content_type));

        if (len > width && len <= 30)
            width = len;
    }
    return (int)width;
}

static void print_columns(const struct list *list)
{
    const struct cli *cli = list->cli;
    bool has_counts = cli->db != NULL;
    int width = type_width(list);
    char created[CLOCK_TIME_SIZE];

    if (list->n == 0)
        return;
    (void)printf("%s%-20s  %-*s  ", cli_bold(cli), "CREATED", width, "TYPE");
    if (has_counts)
        (void)printf("%10s  %12s  %-6s  ", "MESSAGES", "BYTES", "STATE");
    (void)printf("PATH%s\n", cli_plain(cli));
    for (size_t i = 0; i < list->n; i++) {
        const struct ds_stream *stream = &list->streams[i];

        cli_format_time(stream->created_at, created);
        (void)printf("%-20s  %-*s  ", created, width, cli_shown(cli, stream->content_type));
        if (has_counts)
            (void)printf("%10lld  %12lld  %-6s  ", (long long)stream->messages,
                         (long long)stream->bytes, stream->closed ? "closed" : "open");
        (void)printf("%s\n", stream->path);
    }
}

static bool print_list(const struct list *list)
{
    bool json = cli_has(list->cli, "json"), names = cli_has(list->cli, "names");

    for (size_t i = 0; i < list->n; i++)
        if (names)
            (void)printf("%s\n", list->streams[i].path);
        else if (json && !cli_state_print_json(list->cli, &list->streams[i]))
            return false;
    if (!json && !names)
        print_columns(list);
    return true;
}

static void reverse_list(struct list *list)
{
    for (size_t i = 0; i < list->n / 2; i++) {
        struct ds_stream other = list->streams[i];

        list->streams[i] = list->streams[list->n - 1 - i];
        list->streams[list->n - 1 - i] = other;
    }
}

enum cli_exit cli_ls(struct cli *cli)
{
    struct list list = {.cli = cli};
    compare_fn *order = find_order(cli);
    enum cli_exit exit;

    if (!order)
        return CLI_USAGE;
    if (cli_operand(cli, 0)) {
        list.prefix = cli_path(cli, cli_operand(cli, 0));
        if (!list.prefix)
            return CLI_USAGE;
    }
    exit = cli->backend->list(cli, take_stream, &list);
    if (exit == CLI_DONE) {
        if (list.n > 0)
            qsort(list.streams, list.n, sizeof *list.streams, order);
        if (cli_has(cli, "reverse"))
            reverse_list(&list);
        if (!print_list(&list))
            exit = CLI_FAILED;
    }
    free(list.streams);
    return exit;
}
