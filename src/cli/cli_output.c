/* What dsctl prints, on standard output and standard error: see cli.h. */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "cli/cli.h"
#include "cli/cli_terminal.h"

static const char *command_name(const struct cli *cli)
{
    return cli->command ? cli->command->name : NULL;
}

/* The text may contain words that a server, a stream or a file supplied. */
__attribute__((format(printf, 2, 0))) static void add_shown(struct buf *line, const char *format,
                                                            va_list args)
{
    char *text = NULL;
    int len = vasprintf(&text, format, args);

    if (len >= 0)
        cli_terminal_add(line, text, (size_t)len, CLI_TERMINAL_FIELD);
    if (len >= 0)
        free(text);
    if (len < 0 || buf_failed(line)) {
        buf_close(line);
        buf_adds(line, "out of memory");
    }
}

__attribute__((format(printf, 3, 0))) static void complain(const struct cli *cli, const char *color,
                                                           const char *format, va_list args)
{
    const char *name = command_name(cli);
    struct buf line = {0};

    (void)fflush(stdout); /* on a terminal, results and errors are to stay in order */
    (void)fprintf(stderr, "%sdsctl%s%s:%s ", cli->error_color ? color : "", name ? " " : "",
                  name ? name : "", cli->error_color ? "\033[0m" : "");
    add_shown(&line, format, args);
    (void)fprintf(stderr, "%.*s\n", (int)line.len, line.data ? line.data : "");
    buf_close(&line);
}

enum cli_exit cli_fail(const struct cli *cli, enum cli_exit exit, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    complain(cli, "\033[31m", format, args);
    va_end(args);
    return exit;
}

enum cli_exit cli_no_memory(const struct cli *cli)
{
    return cli_fail(cli, CLI_FAILED, "out of memory");
}

void cli_note(const struct cli *cli, const char *format, ...)
{
    va_list args;

    if (cli->quiet)
        return;
    va_start(args, format);
    complain(cli, "\033[2m", format, args);
    va_end(args);
}

bool cli_flush(const struct cli *cli)
{
    static bool has_failed; /* and the error was reported */

    if (has_failed)
        return false;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return true;
    has_failed = true;
    if (errno == EPIPE) { /* libcurl ignores the signal during a request */
        (void)signal(SIGPIPE, SIG_DFL);
        (void)raise(SIGPIPE);
    }
    (void)cli_fail(cli, CLI_FAILED, "cannot write: %s", strerror(errno));
    return false;
}

bool cli_out(const struct cli *cli, const void *data, size_t len)
{
    return len == 0 || fwrite(data, 1, len, stdout) == len || cli_flush(cli);
}

const char *cli_shown(const struct cli *cli, const char *text)
{
    struct buf buf = {0};
    const char *shown = text;
    size_t len = strlen(text);

    cli_terminal_add(&buf, text, len, CLI_TERMINAL_FIELD);
    if (buf_failed(&buf))
        shown = NULL;
    else if (buf.len != len) /* a visible control character is longer */
        shown = arena_strndup(cli->arena, buf.data, buf.len);
    buf_close(&buf);
    return shown ? shown : "?";
}

const char *cli_bold(const struct cli *cli)
{
    return cli->color ? "\033[1m" : "";
}

const char *cli_dim(const struct cli *cli)
{
    return cli->color ? "\033[2m" : "";
}

const char *cli_plain(const struct cli *cli)
{
    return cli->color ? "\033[0m" : "";
}

void cli_row(const struct cli *cli, const char *name, const char *format, ...)
{
    va_list args;

    (void)printf("%s%-13s%s", cli_dim(cli), name, cli_plain(cli));
    va_start(args, format);
    (void)vprintf(format, args);
    va_end(args);
    (void)putchar('\n');
}

void cli_row_time(const struct cli *cli, const char *name, int64_t ms)
{
    char text[CLOCK_TIME_SIZE];

    clock_format_time(ms, text);
    cli_row(cli, name, "%s", text);
}

void cli_format_time(int64_t ms, char text[static CLOCK_TIME_SIZE])
{
    if (ms)
        clock_format_time(ms, text);
    else
        (void)snprintf(text, CLOCK_TIME_SIZE, "-");
    if (ms && strlen(text) > 20)
        (void)snprintf(text + 19, CLOCK_TIME_SIZE - 19, "Z"); /* cut to seconds */
}
