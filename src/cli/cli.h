/*
 * dsctl: what its commands share.
 *
 *     cli.c           from the command line to a command, settings
 *     cli_table.c     the commands, the options of all      cli_help.c   the help
 *     cli_output.c    what is printed            cli_option.c   values of options, paths
 *     cli_args.c      the command line            cli_json.c     fields of small JSON texts
 *     cli_lines.c     input in lines, batches     cli_sse.c      events of an SSE answer
 *     cli_value.c     the beginning of a JSON     cli_terminal.c text that a terminal must not obey
 *     cli_stream.c    create show close rm fork   cli_append.c   cli_tail.c   cli_ls.c
 *     cli_fault.c     fault add|ls|clear          cli_serve.c
 *     cli_login.c     names, passwords and headers of requests    cli_prompt.c   asks for a
 * password cli_remote*.c   the operations over HTTP, by cli_http.c (libcurl) cli_local.c     the
 * same on a database file, by the public library
 *
 * A new command is a function, its options, and a row in cli_table.c. Help, the shell completion
 * and the test of both follow the table; deploy/man/dsctl.1 and the README are written by hand.
 *
 * Standard output is for results alone, standard error for everything else.
 */
#ifndef CLI_H
#define CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/cli_args.h"
#include "cli/cli_login.h"

struct arena;
struct cli_backend;

/* The same for every command; scripts rely on them. */
enum cli_exit {
    CLI_DONE = 0,
    CLI_FAILED = 1,      /* the server said no, or a file or the database did */
    CLI_USAGE = 2,       /* the command line is wrong */
    CLI_NOT_FOUND = 3,   /* no such stream, or it is gone: 404, 410 */
    CLI_CONFLICT = 4,    /* closed, exists otherwise, stale producer: 409, a producer's 403 */
    CLI_UNREACHABLE = 5, /* nobody answers */
    CLI_REPLACED = 6,    /* the stream was deleted, and another one has its name */
};

struct cli; /* below */

/* What a command works on. */
enum cli_needs {
    CLI_NOTHING,  /* neither server nor database */
    CLI_EITHER,   /* cli->backend: a server, or with --db a database file */
    CLI_DATABASE, /* cli->db: a file, always */
};

struct cli_command {
    const char *name;     /* one word or two */
    const char *operands; /* as the usage line has them */
    const char *summary;  /* one line */
    const char *about;    /* further lines of the help, NULL: none */
    const char *examples;
    const struct cli_option *options; /* its own; NULL: none */
    enum cli_needs needs;
    int least, most; /* operands; most -1: any number */
    enum cli_exit (*run)(struct cli *cli);
};

struct cli {
    const struct cli_command *command;
    struct cli_args args;
    struct arena *arena;    /* dies with the command */
    const char *url;        /* of the server, without a slash at its end, or a password */
    struct cli_login login; /* over HTTP */
    const char *db;         /* the database file; NULL: over HTTP */
    const struct cli_backend *backend;
    void *link;        /* the backend's own */
    int64_t retry_ms;  /* how long what fails is tried again; -1: not said */
    bool quiet;        /* no notes */
    bool color;        /* standard output is a terminal that shows colours */
    bool error_color;  /* standard error is one */
    bool is_connected; /* the server has answered once */
};

/* main() of dsctl: answers its exit status. */
int cli_main(int argc, char **argv);

/* One line on standard error, behind the name of the command; answers exit. */
enum cli_exit cli_fail(const struct cli *cli, enum cli_exit exit, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
enum cli_exit cli_no_memory(const struct cli *cli);

/* The same, unless --quiet. */
void cli_note(const struct cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Of the operands, from 0. NULL behind the last. */
const char *cli_operand(const struct cli *cli, int n);
const char *cli_value(const struct cli *cli, const char *option);
bool cli_has(const struct cli *cli, const char *option);

/* A whole number. False, after saying so, when it is none from least to most; untouched if not
   given. */
bool cli_number(const struct cli *cli, const char *option, int64_t least, int64_t most,
                int64_t *value);

/* The same for a time span, in seconds: see cli_duration.h. */
bool cli_duration(const struct cli *cli, const char *option, int64_t least, int64_t most,
                  int64_t *seconds);

/*
 * The path of a stream: "/any/path" as it is, "x" short for "/v1/stream/x", and of a URL below
 * cli->url what follows that. Characters that no path may have are written as %XX. In the arena;
 * NULL after saying why.
 */
const char *cli_path(const struct cli *cli, const char *name);

/* A path that somebody else names, with %XX for what no path may have: one word, which names the
   same stream to every command. In the arena; NULL: no memory. */
const char *cli_path_word(const struct cli *cli, const char *path);

/* Bytes or text to standard output. A reader that left ends the program, as SIGPIPE does. */
bool cli_out(const struct cli *cli, const void *data, size_t len);
bool cli_flush(const struct cli *cli);

/* Text that others chose, for a line of ours: what a terminal would obey is visible, line breaks
   too. The text itself where there is none of that, else in the arena. */
const char *cli_shown(const struct cli *cli, const char *text);

/* In bold, where standard output shows it: cli_bold(cli), text, cli_plain(cli). */
const char *cli_bold(const struct cli *cli);
const char *cli_dim(const struct cli *cli);
const char *cli_plain(const struct cli *cli);

#endif
