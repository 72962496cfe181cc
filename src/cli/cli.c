/*
 * dsctl: streams from the shell, over HTTP or directly on a database file.
 *
 * Here are the table of commands, the global options, the help, and where words go to. See cli.h.
 */
#include "cli/cli.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/descriptors.h"
#include "base/digits.h"
#include "cli/cli_backend.h"
#include "cli/cli_commands.h"
#include "cli/cli_terminal.h"

#define DEFAULT_URL "http://127.0.0.1:4437"

static const struct cli_command commands[] = {
    {"serve", "", "start a server, until Ctrl-C",
     "nginx and the responder, with the registry switched on. The database is data/streams.db in\n"
     "this folder, unless --database or --memory say otherwise. DS_ settings pass through.\n",
     "  dsctl serve\n"
     "  dsctl serve --port 8080 --host 0.0.0.0 --database /srv/streams.db\n"
     "  dsctl serve --port 0 --memory --print-url >url &   # in tests: see the manual\n",
     cli_serve_options, CLI_NOTHING, 0, 0, cli_serve},
    {"create", "STREAM", "create a stream",
     "Succeeds as well when it is there already, just like this. Standard input is its first\n"
     "content with --data -.\n",
     "  dsctl create events --content-type application/json --ttl 86400\n"
     "  dsctl create greeting --content-type text/plain --data 'hello' --closed\n"
     "  dsctl create photo --content-type image/png --data - <photo.png\n",
     cli_create_options, CLI_EITHER, 1, 1, cli_create},
    {"append", "STREAM", "append standard input",
     "As one message, or with --json or --lines in batches: as many lines as are there at the\n"
     "moment, at most --batch. What is refused because the server is busy is sent again; after a\n"
     "broken connection only with --producer, because then nothing is stored twice.\n",
     "  echo hello | dsctl append greeting\n"
     "  dsctl append events --data '{\"n\":1}'\n"
     "  tail -f app.ndjson | dsctl append events --json\n"
     "  dsctl append events --json --producer loader --resume <big.ndjson   # until it succeeds\n",
     cli_append_options, CLI_EITHER, 1, 1, cli_append},
    {"tail", "STREAM", "print a stream, and with -f what comes",
     "From the beginning, or from --offset: one that was printed, -1, or now. JSON messages are\n"
     "printed one a line, everything else byte for byte. -f goes on over broken connections and\n"
     "restarts of the server, without loss or repetition, and ends when the stream is closed. Nor\n"
     "does it go on in another stream of that name: exit status 6.\n",
     "  dsctl tail events | jq .n\n"
     "  dsctl tail -f events --offset now\n"
     "  dsctl tail -f events --state events.offset   # goes on where it stopped\n",
     cli_tail_options, CLI_EITHER, 1, 1, cli_tail},
    {"ls", "[PREFIX]", "list streams",
     "Over HTTP from the server's registry (DS_REGISTRY); with --db also messages and bytes.\n",
     "  dsctl ls\n"
     "  dsctl ls --sort created --reverse --json\n"
     "  dsctl --db data/streams.db ls --sort bytes /v1/stream/logs/\n",
     cli_ls_options, CLI_EITHER, 0, 1, cli_ls},
    {"show", "STREAM", "what a stream is", NULL,
     "  dsctl show events\n"
     "  offset=$(dsctl show events --json | jq -r .nextOffset)\n",
     cli_show_options, CLI_EITHER, 1, 1, cli_show},
    {"close", "STREAM", "end a stream: readers see the end", NULL,
     "  dsctl close events\n"
     "  dsctl close greeting --data 'bye'\n",
     cli_close_options, CLI_EITHER, 1, 1, cli_close},
    {"rm", "STREAM ...", "delete streams",
     "One that forks still read keeps its data for them, and its name stays taken.\n",
     "  dsctl rm events greeting\n", NULL, CLI_EITHER, 1, -1, cli_rm},
    {"fork", "SOURCE STREAM", "a new stream that shares what another one has so far", NULL,
     "  dsctl fork events what-if\n"
     "  dsctl fork events first-three --offset -1 --sub-offset 3\n",
     cli_fork_options, CLI_EITHER, 2, 2, cli_fork},
    {"fault add", "STREAM", "let requests for a stream fail, to test clients",
     "The server must run with DS_TEST_ENDPOINTS=1 (dsctl serve --test-endpoints). One fault a\n"
     "stream: a new one replaces the old one. Order: delay, drop, status, changed body.\n",
     "  dsctl fault add events --status 503 --retry-after 1 --count 2\n"
     "  dsctl fault add events --drop --method POST\n"
     "  dsctl fault add events --delay-ms 300 --jitter-ms 300 --probability 0.2 --count 100\n",
     cli_fault_add_options, CLI_EITHER, 1, 1, cli_fault_add},
    {"fault ls", "", "list the faults that are still to happen", NULL, "  dsctl fault ls\n",
     cli_fault_ls_options, CLI_EITHER, 0, 0, cli_fault_ls},
    {"fault clear", "", "take all faults away", NULL, "  dsctl fault clear\n", NULL, CLI_EITHER, 0,
     0, cli_fault_clear},
    {"check", "", "look for damage in a database file",
     "The file itself, the schema, counters against rows, what belongs to no stream. Only reads,\n"
     "and may run beside servers. Exit status 1 when there is damage; notes are none.\n",
     "  dsctl --db data/streams.db check\n"
     "  dsctl --db data/streams.db check --quiet || mail -s 'streams.db is damaged' root\n",
     cli_check_options, CLI_DATABASE, 0, 0, cli_check},
    {"export", "[STREAM]", "write streams of a database file as lines of text",
     "All of them, or one; nothing is lost. From one moment, beside servers that write. A fork\n"
     "that is exported alone has in it what it inherited.\n",
     "  dsctl --db data/streams.db export --output streams.ndjson\n"
     "  dsctl --db data/streams.db export | gzip >streams.ndjson.gz\n"
     "  dsctl --db data/streams.db export events | grep -c '^{\"position\"'\n",
     cli_export_options, CLI_DATABASE, 0, 1, cli_export},
    {"import", "[FILE]", "bring exported streams into a database file",
     "From a file or standard input; the database is made if it is missing. Each stream comes\n"
     "as a whole or not at all. Servers may be running: their readers see what comes.\n",
     "  dsctl --db new.db import streams.ndjson\n"
     "  ssh other dsctl --db streams.db export | dsctl --db data/streams.db import\n"
     "  dsctl --db data/streams.db import --skip-existing streams.ndjson   # goes on\n",
     cli_import_options, CLI_DATABASE, 0, 1, cli_import},
    {"vacuum", "", "give the space of deleted messages back",
     "Servers go on reading; writes wait meanwhile. Needs room for two copies of the database.\n",
     "  dsctl --db data/streams.db vacuum\n", NULL, CLI_DATABASE, 0, 0, cli_vacuum},
};

enum { COMMANDS = sizeof commands / sizeof commands[0] };

static const struct cli_option globals[] = {
    {"url", 'u', "URL", "the server; else DS_URL, else " DEFAULT_URL},
    {"db", 'D', "FILE", "work on this database file, without a server; else DS_DB"},
    {"header", 'H', "TEXT", "send this header, as in 'Authorization: Bearer ...'; repeatable"},
    {"cacert", 0, "FILE", "certificates to trust, in place of the system's"},
    {"retry", 0, "SECONDS", "how long to try again what failed (default 10; 0: not at all)"},
    {"timeout", 0, "SECONDS", "give an answer up when nothing comes for so long (default 60)"},
    {"quiet", 'q', NULL, "print results and errors alone"},
    {"help", 'h', NULL, "this text"},
    {"version", 'V', NULL, "print the version"},
    {0},
};

/* ---------------------------------------------------------------------------------- words -- */

static const char *command_name(const struct cli *cli)
{
    return cli->command ? cli->command->name : NULL;
}

/* Words of servers, streams and files are among them. */
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

    (void)fflush(stdout); /* what is on a terminal stands in order */
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
    static bool has_failed; /* and was said */

    if (has_failed)
        return false;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return true;
    has_failed = true;
    if (errno == EPIPE) { /* libcurl ignores the signal while it works */
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
    else if (buf.len != len) /* what is made visible gets longer */
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

/* ---------------------------------------------------------------------- operands, options -- */

const char *cli_operand(const struct cli *cli, int n)
{
    return n < cli->args.n_operands ? cli->args.operand[n] : NULL;
}

const char *cli_value(const struct cli *cli, const char *option)
{
    return cli_args_value(&cli->args, option);
}

bool cli_has(const struct cli *cli, const char *option)
{
    return cli_args_has(&cli->args, option);
}

bool cli_number(const struct cli *cli, const char *option, int64_t least, int64_t most,
                int64_t *value)
{
    const char *text = cli_value(cli, option);
    int64_t number;

    if (!text)
        return true;
    if (!digits_parse(text, strlen(text), most, &number) || number < least) {
        (void)cli_fail(cli, CLI_USAGE, "--%s takes a whole number from %lld to %lld", option,
                       (long long)least, (long long)most);
        return false;
    }
    *value = number;
    return true;
}

/* What may stand in the path of a URL as it is (RFC 3986), % among it: it may be encoded already.
 */
static bool is_path_character(unsigned char c)
{
    return c > 0x20 && c < 0x7f && !strchr("\"#<>?\\^`{|}", c);
}

static size_t put_path(char *to, const char *path)
{
    size_t len = 0;

    for (; *path; path++)
        if (is_path_character((unsigned char)*path))
            to[len++] = *path;
        else
            len += (size_t)sprintf(to + len, "%%%02X", (unsigned char)*path);
    to[len] = '\0';
    return len;
}

const char *cli_path_word(const struct cli *cli, const char *path)
{
    char *word = arena_alloc(cli->arena, 3 * strlen(path) + 1);

    if (word)
        (void)put_path(word, path);
    return word;
}

const char *cli_path(const struct cli *cli, const char *name)
{
    size_t prefix = strlen(cli->url), len = 0;
    char *path;

    if (strncmp(name, "http://", 7) == 0 || strncmp(name, "https://", 8) == 0) {
        if (cli->db || strncmp(name, cli->url, prefix) != 0 || name[prefix] != '/') {
            (void)cli_fail(cli, CLI_USAGE, "%s is not below %s (see --url)", name, cli->url);
            return NULL;
        }
        name += prefix;
    }
    if (!name[0]) {
        (void)cli_fail(cli, CLI_USAGE, "the name of the stream is empty");
        return NULL;
    }
    path = arena_alloc(cli->arena, strlen("/v1/stream/") + 3 * strlen(name) + 1);
    if (!path) {
        (void)cli_no_memory(cli);
        return NULL;
    }
    if (name[0] != '/')
        len = (size_t)sprintf(path, "/v1/stream/");
    (void)put_path(path + len, name);
    return path;
}

/* ----------------------------------------------------------------------------------- help -- */

static void print_options(const struct cli_option *options)
{
    for (const struct cli_option *option = options; option && option->name; option++) {
        char left[64];

        (void)snprintf(left, sizeof left, "%s%c%s --%s%s%s", option->letter ? "-" : " ",
                       option->letter ? option->letter : ' ', option->letter ? "," : " ",
                       option->name, option->value ? " " : "", option->value ? option->value : "");
        (void)printf("  %-26s %s\n", left, option->help);
    }
}

static void print_help(void)
{
    (void)printf("dsctl " DS_VERSION ": durable streams from the shell\n"
                 "\n"
                 "usage: dsctl [OPTION ...] COMMAND [ARGUMENT ...]\n"
                 "\n");
    for (int i = 0; i < COMMANDS; i++)
        (void)printf("  %-12s %s\n", commands[i].name, commands[i].summary);
    (void)printf("\ndsctl COMMAND --help has options and examples of each. For all of them:\n\n");
    print_options(globals);
    (void)printf("\n"
                 "STREAM is a path, /v1/stream/x, or x for short.\n"
                 "\n"
                 "exit status: 0 done, 1 failed, 2 wrong command line, 3 no such stream,\n"
                 "4 conflict (closed, or other than asked for), 5 nobody answers,\n"
                 "6 tail: the stream was deleted, and another one has its name\n"
                 "\n"
                 "examples:\n"
                 "  dsctl serve &\n"
                 "  dsctl create hello --content-type text/plain\n"
                 "  echo 'hello, world' | dsctl append hello\n"
                 "  dsctl tail -f hello\n");
}

static void print_command_help(const struct cli_command *command)
{
    (void)printf("dsctl %s: %s\n\nusage: dsctl %s%s%s%s\n", command->name, command->summary,
                 command->name, command->options ? " [OPTION ...]" : "",
                 command->operands[0] ? " " : "", command->operands);
    if (command->about)
        (void)printf("\n%s", command->about);
    if (command->options) {
        (void)printf("\noptions:\n");
        print_options(command->options);
    }
    (void)printf("\noptions of every command:\n");
    print_options(globals);
    (void)printf("\nexamples:\n%s", command->examples);
}

/* ------------------------------------------------------------------------------------ run -- */

/* Takes its words off the operands: "fault", "add", ... */
static const struct cli_command *find_command(struct cli *cli)
{
    for (int i = 0; i < COMMANDS; i++) {
        const char *name = commands[i].name, *space = strchr(name, ' ');
        size_t len = space ? (size_t)(space - name) : strlen(name);
        const char *word = cli_operand(cli, 0), *second = cli_operand(cli, 1);

        if (strlen(word) != len || memcmp(word, name, len) != 0)
            continue;
        if (space && (!second || strcmp(second, space + 1) != 0))
            continue;
        cli->args.operand += space ? 2 : 1;
        cli->args.n_operands -= space ? 2 : 1;
        return &commands[i];
    }
    return NULL;
}

/* "dsctl fault", or something that is no command. */
static enum cli_exit unknown_command(const struct cli *cli)
{
    const char *word = cli_operand(cli, 0);
    size_t len = strlen(word);

    for (int i = 0; i < COMMANDS; i++)
        if (strncmp(commands[i].name, word, len) == 0 && commands[i].name[len] == ' ')
            return cli_fail(cli, CLI_USAGE, "%s what? As in: dsctl %s; see dsctl --help", word,
                            commands[i].name);
    return cli_fail(cli, CLI_USAGE, "there is no command %s: see dsctl --help", word);
}

static bool load_settings(struct cli *cli)
{
    const char *url = cli_value(cli, "url"), *db = cli_value(cli, "db");
    int64_t retry = -1;
    char *copy;

    if (url && db) {
        (void)cli_fail(cli, CLI_USAGE, "--url and --db exclude each other");
        return false;
    }
    if (!url && !db) {
        url = getenv("DS_URL");
        db = getenv("DS_DB");
        if (db && !db[0])
            db = NULL;
    }
    if (!url || !url[0])
        url = DEFAULT_URL;
    copy = arena_strndup(cli->arena, url, strlen(url));
    if (!copy) {
        (void)cli_no_memory(cli);
        return false;
    }
    for (size_t len = strlen(copy); len > 0 && copy[len - 1] == '/'; len--)
        copy[len - 1] = '\0';
    cli->url = copy;
    cli->db = db;
    cli->quiet = cli_has(cli, "quiet");
    if (!cli_number(cli, "retry", 0, 86400, &retry))
        return false;
    cli->retry_ms = retry < 0 ? -1 : retry * 1000;
    return true;
}

static enum cli_exit run(struct cli *cli)
{
    enum cli_exit exit;

    if (cli->command->needs == CLI_DATABASE && !cli->db)
        return cli_fail(cli, CLI_USAGE, "works on a database file: name it with --db FILE");
    if (cli->command->needs != CLI_EITHER)
        return cli->command->run(cli);
    cli->backend = cli->db ? &cli_local : &cli_remote;
    exit = cli->backend->open(cli);
    if (exit != CLI_DONE)
        return exit;
    exit = cli->command->run(cli);
    cli->backend->close(cli);
    return exit;
}

static enum cli_exit parse_and_run(struct cli *cli, int argc, char **argv)
{
    char error[160];
    int n;

    if (!cli_args_parse(&cli->args, globals, NULL, true, argc - 1, argv + 1, error, sizeof error))
        return cli_fail(cli, CLI_USAGE, "%s: see dsctl --help", error);
    if (cli_has(cli, "version")) {
        (void)puts("dsctl " DS_VERSION);
        return CLI_DONE;
    }
    if (cli->args.n_operands == 0) {
        if (!cli_has(cli, "help"))
            return cli_fail(cli, CLI_USAGE, "which command? See dsctl --help");
        print_help();
        return CLI_DONE;
    }
    cli->command = find_command(cli);
    if (!cli->command)
        return unknown_command(cli);
    if (!cli_args_parse(&cli->args, globals, cli->command->options, false, cli->args.n_operands,
                        cli->args.operand, error, sizeof error))
        return cli_fail(cli, CLI_USAGE, "%s: see dsctl %s --help", error, cli->command->name);
    if (cli_has(cli, "help")) {
        print_command_help(cli->command);
        return CLI_DONE;
    }
    n = cli->args.n_operands;
    if (n < cli->command->least || (cli->command->most >= 0 && n > cli->command->most))
        return cli_fail(cli, CLI_USAGE, "usage: dsctl %s%s%s; see --help", cli->command->name,
                        cli->command->operands[0] ? " " : "", cli->command->operands);
    return load_settings(cli) ? run(cli) : CLI_USAGE;
}

static bool shows_colors(int descriptor)
{
    const char *terminal = getenv("TERM"), *no = getenv("NO_COLOR");

    return isatty(descriptor) && !(no && no[0]) && !(terminal && strcmp(terminal, "dumb") == 0);
}

int main(int argc, char **argv)
{
    struct cli cli = {.arena = arena_new(), .retry_ms = -1, .url = ""};
    enum cli_exit exit;

    descriptors_occupy(true);
    (void)signal(SIGXFSZ, SIG_IGN); /* a write beyond the host's limit must not end us */
    if (!cli.arena)
        return (int)cli_no_memory(&cli);
    cli.color = shows_colors(STDOUT_FILENO);
    cli.error_color = shows_colors(STDERR_FILENO);
    exit = parse_and_run(&cli, argc, argv);
    if (!cli_flush(&cli) && exit == CLI_DONE)
        exit = CLI_FAILED;
    arena_free(cli.arena);
    return (int)exit;
}
