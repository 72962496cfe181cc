/* dsctl sub add, rm, wake, ls and show. */
#include "cli/cli_sub.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "cli/cli_commands.h"

#define ROOT "/v1/stream/"

const struct cli_option cli_sub_add_options[] = {
    {"pattern", 'p', "PATTERN", "streams: * is one part of a path, ** any number of them"},
    {"stream", 's', "STREAM", "a stream, which need not exist yet; repeatable"},
    {"wake-stream", 0, "STREAM", "append wake events to this stream; workers claim"},
    {"webhook", 0, "URL", "send wakes to this URL instead"},
    {"lease", 'l', "DURATION", "how long a worker may be silent, 1s to 10m (default 30s)"},
    {"description", 0, "TEXT", "a text for people"},
    {"base-url", 0, "URL", "with --db and --webhook: of the server, for receivers"},
    {0},
};

const struct cli_option cli_sub_ls_options[] = {
    {"json", 'j', NULL, "print one JSON object per line"},
    {"names", 'n', NULL, "print only names"},
    {0},
};

const struct cli_option cli_sub_show_options[] = {
    {"json", 'j', NULL, "print one JSON object on one line, without unknown values"},
    {0},
};

const char *cli_sub_name(const struct cli *cli, int operand)
{
    const char *name = cli_operand(cli, operand);

    if (name[0])
        return name;
    (void)cli_fail(cli, CLI_USAGE, "the name of the subscription is empty");
    return NULL;
}

/* ------------------------------------------------------------------------------------- add -- */

/* A pattern may begin with /v1/stream/, as a stream may. NULL after reporting an error. */
static const char *read_pattern(const struct cli *cli, const char *pattern)
{
    size_t root = strlen(ROOT);
    const char *word;

    if (strncmp(pattern, ROOT, root) == 0) {
        pattern += root;
    } else if (pattern[0] == '/') {
        (void)cli_fail(cli, CLI_USAGE, "%s: patterns match streams below " ROOT, pattern);
        return NULL;
    }
    if (!pattern[0]) {
        (void)cli_fail(cli, CLI_USAGE, "--pattern is empty");
        return NULL;
    }
    word = cli_path_word(cli, pattern);
    if (!word)
        (void)cli_no_memory(cli);
    return word;
}

/* Reads each --stream. False after reporting an error. */
static bool read_streams(const struct cli *cli, struct ds_subscription_options *options)
{
    const char **streams = arena_zalloc(cli->arena, (CLI_ARGS_MAX + 1) * sizeof *streams);
    const char *value;
    size_t n = 0;

    if (!streams) {
        (void)cli_no_memory(cli);
        return false;
    }
    for (size_t at = 0; (value = cli_args_next(&cli->args, "stream", &at));) {
        streams[n] = cli_path(cli, value);
        if (!streams[n++])
            return false;
    }
    options->streams = n > 0 ? streams : NULL;
    return true;
}

/* --webhook or --wake-stream, with --base-url */
static bool read_delivery(const struct cli *cli, struct ds_subscription_options *options)
{
    const char *wake_stream = cli_value(cli, "wake-stream"), *base_url = cli_value(cli, "base-url");

    options->url = cli_value(cli, "webhook");
    if (!wake_stream == !options->url) {
        (void)cli_fail(cli, CLI_USAGE,
                       "how are workers woken? --wake-stream STREAM or --webhook "
                       "URL");
        return false;
    }
    if (base_url && !(cli->db && options->url)) {
        (void)cli_fail(cli, CLI_USAGE, "--base-url needs --db and --webhook");
        return false;
    }
    options->type = options->url ? DS_WEBHOOK : DS_PULL_WAKE;
    options->base_url = base_url ? base_url : cli_variable("DS_BASE_URL");
    if (wake_stream)
        options->wake_stream = cli_path(cli, wake_stream);
    if (cli->db && options->url && !options->base_url) {
        (void)cli_fail(cli, CLI_USAGE,
                       "by which URL do receivers reach the server? --base-url URL");
        return false;
    }
    return !wake_stream || options->wake_stream;
}

static bool read_add_options(const struct cli *cli, struct ds_subscription_options *options)
{
    const char *pattern = cli_value(cli, "pattern");
    int64_t lease = 0;

    if (!pattern && !cli_has(cli, "stream")) {
        (void)cli_fail(cli, CLI_USAGE, "which streams? --pattern PATTERN or --stream STREAM");
        return false;
    }
    if (pattern && !(options->pattern = read_pattern(cli, pattern)))
        return false;
    if (!read_streams(cli, options) || !read_delivery(cli, options) ||
        !cli_duration(cli, "lease", 1, 600, &lease))
        return false;
    options->lease_ttl_ms = lease * 1000;
    options->description = cli_value(cli, "description");
    return true;
}

enum cli_exit cli_sub_add(struct cli *cli)
{
    struct ds_subscription_options options = {0};
    const char *name = cli_sub_name(cli, 0);
    enum cli_exit exit;
    bool created = false;

    if (!name || !read_add_options(cli, &options))
        return CLI_USAGE;
    exit = cli->backend->sub->put(cli, name, &options, &created);
    if (exit != CLI_DONE)
        return exit;
    (void)printf("%s\n", cli_shown(cli, name));
    if (!created)
        cli_note(cli, "%s: exists already", name);
    return CLI_DONE;
}

/* -------------------------------------------------------------------------------- rm, wake -- */

enum cli_exit cli_sub_rm(struct cli *cli)
{
    enum cli_exit worst = CLI_DONE;

    for (int i = 0; i < cli->args.n_operands; i++) {
        const char *name = cli_sub_name(cli, i);
        enum cli_exit exit = name ? cli->backend->sub->remove(cli, name) : CLI_USAGE;

        if (exit != CLI_DONE)
            worst = exit;
    }
    return worst;
}

enum cli_exit cli_sub_wake(struct cli *cli)
{
    const char *name = cli_sub_name(cli, 0);

    return name ? cli->backend->sub->nudge(cli, name) : CLI_USAGE;
}

/* ------------------------------------------------------------------------------- ls, show -- */

struct list {
    struct cli *cli;
    struct ds_subscription *subs;
    size_t n, size;
};

static bool take_subscription(void *arg, const struct ds_subscription *subscription)
{
    struct list *list = arg;

    if (list->n == list->size) {
        size_t size = list->size ? list->size * 2 : 64;
        struct ds_subscription *subs = realloc(list->subs, size * sizeof *subs);

        if (!subs) {
            (void)cli_no_memory(list->cli);
            return false;
        }
        list->subs = subs;
        list->size = size;
    }
    list->subs[list->n++] = *subscription;
    return true;
}

/* The width of the column of holders. A name longer than 24 does not widen it. */
static int holder_width(const struct list *list)
{
    size_t width = 6;

    for (size_t i = 0; i < list->n; i++) {
        const char *holder = list->subs[i].holder;
        size_t len = holder ? strlen(cli_shown(list->cli, holder)) : 0;

        if (len > width && len <= 24)
            width = len;
    }
    return (int)width;
}

static void print_columns(const struct list *list)
{
    const struct cli *cli = list->cli;
    int width = holder_width(list);
    char next[CLOCK_TIME_SIZE];

    if (list->n == 0)
        return;
    (void)printf("%s%-27s  %10s  %7s  %-7s  %-*s  %-20s  NAME%s\n", cli_bold(cli), "STATE",
                 "GENERATION", "LINKS", "PENDING", width, "HOLDER", "NEXT ATTEMPT", cli_plain(cli));
    for (size_t i = 0; i < list->n; i++) {
        const struct ds_subscription *sub = &list->subs[i];

        cli_format_time(sub->next_attempt_at, next);
        (void)printf("%-27s  %10lld  %7lld  %-7s  %-*s  %-20s  %s\n", cli_sub_state(sub),
                     (long long)sub->generation, (long long)sub->link_count,
                     sub->pending ? "yes" : "no", width,
                     sub->holder ? cli_shown(cli, sub->holder) : "-", next,
                     cli_shown(cli, sub->name));
    }
}

static bool print_list(const struct list *list)
{
    bool json = cli_has(list->cli, "json"), names = cli_has(list->cli, "names");

    for (size_t i = 0; i < list->n; i++)
        if (names)
            (void)printf("%s\n", cli_shown(list->cli, list->subs[i].name));
        else if (json && !cli_sub_print_json(list->cli, &list->subs[i]))
            return false;
    if (!json && !names)
        print_columns(list);
    return true;
}

enum cli_exit cli_sub_ls(struct cli *cli)
{
    struct list list = {.cli = cli};
    enum cli_exit exit = cli->backend->sub->list(cli, take_subscription, &list);

    if (exit == CLI_DONE && !print_list(&list))
        exit = CLI_FAILED;
    free(list.subs);
    return exit;
}

enum cli_exit cli_sub_show(struct cli *cli)
{
    const char *name = cli_sub_name(cli, 0);
    struct ds_subscription subscription;
    enum cli_exit exit;

    if (!name)
        return CLI_USAGE;
    exit = cli->backend->sub->get(cli, name, &subscription);
    if (exit != CLI_DONE)
        return exit;
    if (!cli_has(cli, "json"))
        cli_sub_print(cli, &subscription);
    else if (!cli_sub_print_json(cli, &subscription))
        exit = CLI_FAILED;
    return exit;
}
