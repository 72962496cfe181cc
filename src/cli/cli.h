/*
 * dsctl: what its commands share.
 *
 *     cli.c           from the command line to a command; settings
 *     cli_table.c     commands, global options    cli_help.c      the help
 *     cli_args.c      parses the command line     cli_option.c    values of options, paths
 *     cli_output.c    results and messages        cli_terminal.c  makes control characters visible
 *     cli_stream.c    create show close rm fork   cli_append.c    cli_tail.c   cli_ls.c
 *     cli_sub.c       sub ls|show|add|rm|wake     cli_sub_work.c  sub claim|ack|release
 *     cli_sub_tail.c  a worker, with cli_lease.c, cli_exec.c and cli_signal.c
 *     cli_key.c       webhook-key ls|rotate
 *     cli_fault.c     fault add|ls|clear          cli_serve.c
 *     cli_check.c     check vacuum                cli_dump.c      export import
 *     cli_remote*.c   operations over HTTP, with cli_http.c (libcurl)
 *     cli_local.c     the same operations on a database file, with the public library
 *     cli_login.c     passwords and headers       cli_prompt.c    asks for a password
 *     cli_value.c     is the input still valid JSON?
 *     cli_lines.c     input as lines              cli_sse.c       events of an SSE answer
 *     cli_input.c     standard input              cli_file.c      files that dsctl writes
 *     cli_database.c  opens a database file       cli_duration.c  durations with units
 *     cli_print.c     prints what was read        cli_member.c    members of JSON objects
 *
 * A new command is a function, its options, and a row in cli_table.c, from which the help and the
 * shell completions are made. deploy/man/dsctl.1 is written by hand; a test reports what is missing
 * there.
 *
 * Standard output is only for results; everything else goes to standard error.
 */
#ifndef CLI_H
#define CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "cli/cli_args.h"
#include "cli/cli_login.h"

struct arena;
struct cli_backend;

/* Scripts rely on these: they mean the same for every command. */
enum cli_exit {
    CLI_DONE = 0,
    CLI_FAILED = 1,      /* the server, a file or the database refused */
    CLI_USAGE = 2,       /* the command line is wrong */
    CLI_NOT_FOUND = 3,   /* no such stream, or it was deleted: 404, 410 */
    CLI_CONFLICT = 4,    /* closed, has other properties, stale producer: 409, a producer's 403 */
    CLI_UNREACHABLE = 5, /* the server does not answer */
    CLI_REPLACED = 6,    /* the stream was deleted, and another one has its name */
    CLI_IDLE = 7,        /* nothing is pending in the subscription */
};

struct cli; /* below */

/* What a command needs. */
enum cli_needs {
    CLI_NOTHING,  /* neither a server nor a database */
    CLI_EITHER,   /* cli->backend: a server, or with --db a database file */
    CLI_DATABASE, /* cli->db: always a file */
};

struct cli_command {
    const char *name;     /* one word or two */
    const char *operands; /* as the usage line shows them */
    const char *summary;  /* one line */
    const char *about;    /* more lines of help; NULL: none */
    const char *examples;
    const struct cli_option *options; /* NULL: only the global ones */
    enum cli_needs needs;
    int least, most; /* number of operands; most -1: any number */
    enum cli_exit (*run)(struct cli *cli);
};

struct cli {
    const struct cli_command *command;
    struct cli_args args;
    struct arena *arena;    /* freed when the command has ended */
    const char *url;        /* of the server, without a slash at its end and without a password */
    struct cli_login login; /* for requests */
    const char *db;         /* the database file; NULL: over HTTP */
    const struct cli_backend *backend;
    void *link;        /* belongs to the backend */
    int64_t retry_ms;  /* how long a failed request is repeated; -1: not given */
    bool quiet;        /* print no notes */
    bool color;        /* standard output is a terminal with colours */
    bool error_color;  /* standard error is one */
    bool is_connected; /* the server has answered at least once */
};

/* main() of dsctl. */
int cli_main(int argc, char **argv);

/* Prints one line on standard error, after the name of the command. Returns exit. */
enum cli_exit cli_fail(const struct cli *cli, enum cli_exit exit, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
enum cli_exit cli_no_memory(const struct cli *cli);

/* Prints such a line unless --quiet is given. */
void cli_note(const struct cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The operands count from 0; NULL after the last. Options are named without their dashes. */
const char *cli_operand(const struct cli *cli, int n);
const char *cli_value(const struct cli *cli, const char *option);
bool cli_has(const struct cli *cli, const char *option);

/* An environment variable; NULL: it is not set, or empty. */
const char *cli_variable(const char *name);

/* Reads a whole number from least to most. False after reporting an error. *value stays untouched
 * if the option is not given. */
bool cli_number(const struct cli *cli, const char *option, int64_t least, int64_t most,
                int64_t *value);

/* Reads a duration in the same way, in seconds: see cli_duration.h. */
bool cli_duration(const struct cli *cli, const char *option, int64_t least, int64_t most,
                  int64_t *seconds);

/*
 * The path of a stream from its name: "/any/path" stays as it is, "x" is short for "/v1/stream/x",
 * and a URL below cli->url loses that prefix. Characters that no path may contain become %XX. In
 * the arena; NULL after reporting an error.
 */
const char *cli_path(const struct cli *cli, const char *name);

/* Encodes a path that a server or database supplied, so that it is one word and names the same
 * stream to every command. In the arena; NULL: no memory. */
const char *cli_path_word(const struct cli *cli, const char *path);

/* Write to standard output. If its reader has left, SIGPIPE ends the program. */
bool cli_out(const struct cli *cli, const void *data, size_t len);
bool cli_flush(const struct cli *cli);

/* Text from a server, a stream or a file, for one line of output: control characters and line
 * breaks are made visible. Returns the text itself if it has none, else a copy in the arena. */
const char *cli_shown(const struct cli *cli, const char *text);

/* Print one line "name  value" of a description; the name is at most 12 characters long. */
void cli_row(const struct cli *cli, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void cli_row_time(const struct cli *cli, const char *name, int64_t ms);

/* A time for a column: "2026-01-02T03:04:05Z", or "-" for 0. */
void cli_format_time(int64_t ms, char text[static CLOCK_TIME_SIZE]);

/* Codes for a terminal, or "" elsewhere: cli_bold(cli), text, cli_plain(cli). */
const char *cli_bold(const struct cli *cli);
const char *cli_dim(const struct cli *cli);
const char *cli_plain(const struct cli *cli);

#endif
