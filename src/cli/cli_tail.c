/*
 * dsctl tail: prints a stream, and with -f follows it.
 *
 * The file of --state holds the next offset. It is replaced after each printed piece: a tail that
 * is killed in between prints that piece again, but never skips one. Its second line tells when the
 * stream was created, if that is known, because the offset means nothing in a later stream with the
 * same name.
 *
 *     0000000000000000_0000000000000082
 *     created 2026-01-02T03:04:05.678Z
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "cli/cli_backend.h"
#include "cli/cli_commands.h"
#include "cli/cli_file.h"
#include "cli/cli_print.h"

const struct cli_option cli_tail_options[] = {
    {"follow", 'f', NULL, "wait for more, until the stream is closed"},
    {"offset", 'o', "OFFSET", "begin here: an offset, -1 (the beginning, default) or now"},
    {"state", 's', "FILE", "continue at the offset in this file, and update it"},
    {"show-offsets", 0, NULL, "after each piece, print a line with # and the next offset"},
    {"raw", 'r', NULL, "print answers unchanged: JSON in arrays, binary to a terminal"},
    {"long-poll", 0, NULL, "follow by long-poll instead of SSE (text always is)"},
    {"sse", 0, NULL, "follow by SSE, which changes line ends and bad UTF-8 in text"},
    {0},
};

#define STATE_CREATED "created "

struct tail {
    struct cli *cli;
    struct cli_print print;
    bool show_offsets;
    const char *state;     /* --state, NULL: none */
    const char *state_new; /* written first, then renamed to state */
    int64_t created_at;    /* of the stream; 0: unknown */
    char last[DS_OFFSET_SIZE * 4];
};

enum cli_exit cli_same_stream(const struct cli *cli, const char *path, int64_t created_at,
                              int64_t now_created_at)
{
    char then[CLOCK_TIME_SIZE], now[CLOCK_TIME_SIZE];
    const char *state = cli_value(cli, "state");

    if (created_at == 0 || now_created_at == 0 || created_at == now_created_at)
        return CLI_DONE;
    clock_format_time(created_at, then);
    clock_format_time(now_created_at, now);
    return cli_fail(
        cli, CLI_REPLACED,
        "%s: the stream created at %s was deleted, and another one has its name, created at %s%s%s",
        path, then, now, state ? "; to read that one, delete " : "", state ? state : "");
}

static bool save_state(const struct tail *tail, const char *offset)
{
    FILE *file = cli_file_new(tail->state_new, tail->state, 0666);
    char made[CLOCK_TIME_SIZE];
    bool ok;

    if (!file) {
        (void)cli_fail(tail->cli, CLI_FAILED, "cannot write %s: %s", tail->state_new,
                       strerror(errno));
        return false;
    }
    ok = fprintf(file, "%s\n", offset) > 0;
    if (tail->created_at) {
        clock_format_time(tail->created_at, made);
        ok = fprintf(file, STATE_CREATED "%s\n", made) > 0 && ok;
    }
    ok = fclose(file) == 0 && ok;
    if (!ok || rename(tail->state_new, tail->state) != 0) {
        (void)cli_fail(tail->cli, CLI_FAILED, "cannot write %s: %s", tail->state, strerror(errno));
        (void)unlink(tail->state_new);
        return false;
    }
    return true;
}

/* Reads the offset from the file, and when its stream was created. The offset is NULL if there is
 * no such file yet. False after reporting an error. */
static bool load_state(struct tail *tail, const char **offset, int64_t *created_at)
{
    FILE *file;
    char line[DS_OFFSET_SIZE * 4] = "", more[80] = "";
    struct stat there;

    *offset = NULL;
    if (stat(tail->state, &there) == 0 &&
        !S_ISREG(there.st_mode)) { /* a device or pipe would be replaced by a file */
        (void)cli_fail(tail->cli, CLI_FAILED, "%s is not a regular file", tail->state);
        return false;
    }
    file = fopen(tail->state, "r");
    if (!file && errno == ENOENT)
        return true;
    if (!file || (!fgets(line, sizeof line, file) && ferror(file))) {
        (void)cli_fail(tail->cli, CLI_FAILED, "cannot read %s: %s", tail->state, strerror(errno));
        if (file)
            (void)fclose(file);
        return false;
    }
    if (fgets(more, sizeof more, file) &&
        strncmp(more, STATE_CREATED, strlen(STATE_CREATED)) == 0) {
        more[strcspn(more, "\r\n")] = '\0';
        (void)clock_parse_time(more + strlen(STATE_CREATED), created_at);
    }
    (void)fclose(file);
    line[strcspn(line, "\r\n")] = '\0';
    if (!line[0])
        return true;
    *offset = arena_strndup(tail->cli->arena, line, strlen(line));
    return *offset != NULL;
}

static bool write_out(void *arg, const char *data, size_t len)
{
    return cli_out(arg, data, len);
}

/* Prints one piece: see cli_read_fn. */
static bool take_piece(void *arg, const char *data, size_t len, const char *next)
{
    struct tail *tail = arg;
    bool moved = strcmp(next, tail->last) != 0;
    bool ok = cli_print_piece(&tail->print, data, len);

    if (ok && moved && tail->show_offsets) {
        (void)printf("%s%s# %s%s\n", tail->print.is_at_line_start ? "" : "\n", cli_dim(tail->cli),
                     cli_shown(tail->cli, next), cli_plain(tail->cli));
        tail->print.is_at_line_start = true;
    }
    (void)snprintf(tail->last, sizeof tail->last, "%s", next);
    return ok && cli_flush(tail->cli) && (!tail->state || !moved || save_state(tail, next));
}

/* Where to begin: at the offset of the state file, else at --offset, else at the beginning. */
static enum cli_exit find_offset(struct tail *tail, const struct ds_stream *state,
                                 const char **offset)
{
    const char *given = cli_value(tail->cli, "offset");
    int64_t created_at = 0;
    enum cli_exit exit;

    *offset = NULL;
    if (tail->state && !load_state(tail, offset, &created_at))
        return CLI_FAILED;
    exit = cli_same_stream(tail->cli, state->path, created_at, state->created_at);
    if (exit != CLI_DONE)
        return exit;
    if (!*offset)
        *offset = given ? given : DS_START;
    /* resolved once: "now" would move if the connection broke before the first message */
    if (strcmp(*offset, DS_NOW) == 0)
        *offset = state->tail;
    return CLI_DONE;
}

enum cli_exit cli_tail(struct cli *cli)
{
    struct tail tail = {.cli = cli,
                        .print = {.cli = cli,
                                  .write = write_out,
                                  .arg = cli,
                                  .raw = cli_has(cli, "raw"),
                                  .to_terminal = isatty(STDOUT_FILENO),
                                  .is_at_line_start = true},
                        .show_offsets = cli_has(cli, "show-offsets"),
                        .state = cli_value(cli, "state")};
    struct cli_reading reading = {.follow = cli_has(cli, "follow"),
                                  .long_poll = cli_has(cli, "long-poll"),
                                  .sse = cli_has(cli, "sse")};
    const char *path = cli_path(cli, cli_operand(cli, 0));
    struct ds_stream state;
    enum cli_exit exit;

    if (!path)
        return CLI_USAGE;
    if (reading.long_poll && reading.sse)
        return cli_fail(cli, CLI_USAGE, "--long-poll and --sse cannot be used together");
    if (tail.state) {
        tail.state_new = arena_printf(cli->arena, "%s.new", tail.state);
        if (!tail.state_new)
            return cli_no_memory(cli);
    }
    exit = cli->backend->get(cli, path, &state);
    if (exit == CLI_DONE)
        exit = cli_print_begin(&tail.print, path, state.content_type);
    if (exit != CLI_DONE)
        return exit;
    tail.created_at = reading.created_at = state.created_at;
    exit = find_offset(&tail, &state, &reading.offset);
    if (exit != CLI_DONE)
        return exit;
    exit = cli->backend->read(cli, &state, &reading, take_piece, &tail);
    return cli_print_end(&tail.print) || exit != CLI_DONE ? exit : CLI_FAILED;
}
