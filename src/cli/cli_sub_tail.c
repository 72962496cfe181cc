/*
 * dsctl sub tail: a worker.
 *
 *     wait for the wake stream ──▶ claim ──▶ each pending stream: read it from its cursor to the
 *       ▲                            │       tail of the claim, write it out, note its offset
 *       │ nothing pending,           │                                   │
 *       ├────────────────────────────┘       a write, a read or the      │ all written:
 *       │ another worker was faster          command failed: release     │ ack, done
 *       └──────────────────────────────────────────────◀─────────────────┘
 *
 * Must hold: what is acked was written to standard output without an error, or the command that got
 * it has ended with exit status 0. Killed in between, a worker leaves a lease that ends, and
 * another one writes the same again.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "cli/cli_commands.h"
#include "cli/cli_exec.h"
#include "cli/cli_lease.h"
#include "cli/cli_print.h"
#include "cli/cli_signal.h"
#include "cli/cli_sub.h"

const struct cli_option cli_sub_tail_options[] = {
    {"worker", 'w', "NAME", "name of this worker, for people (default: host and process)"},
    {"exec", 'e', "COMMAND", "run this with each stream's new data as its standard input"},
    {"once", '1', NULL, "handle one wake and end; if nothing is pending, end with status 7"},
    {"raw", 'r', NULL, "print answers unchanged: JSON in arrays, binary to a terminal"},
    {"no-names", 'n', NULL, "do not print the names of streams"},
    {0},
};

enum {
    OFFSET_SIZE = DS_OFFSET_SIZE * 4,
    GATHER = 64 << 10,       /* bytes of output that are written at once */
    COMMAND_MOST = 16 << 20, /* about the most bytes for one run of the command */
    POLL_MS = 1000,          /* between claims, where no wake stream can be waited for */
    WAIT_MS = 30000,         /* in case an event was lost with its stream */
    PAUSE_FIRST_MS = 1000,   /* after a failure, doubled each time */
    PAUSE_MOST_MS = 60000,
};

/* Why the reading of a stream ended before its end. */
enum stop {
    STOP_NOT,
    STOP_ENOUGH, /* everything was read that the claim listed */
    STOP_LEASE,  /* the lease was lost */
    STOP_SIGNAL,
    STOP_WRITE,   /* standard output has failed */
    STOP_COMMAND, /* the command, or the file for it, has failed */
};

struct worker {
    struct cli *cli;
    const char *name;    /* of the subscription */
    const char *worker;  /* of this worker */
    const char *command; /* NULL: standard output */
    bool with_names;
    struct cli_print print;
    struct buf out;  /* for standard output: less than a piece */
    int write_error; /* errno; 0: none */
    FILE *spool;     /* standard input of the command */
    size_t spooled;  /* bytes in it */
    struct cli_lease lease;
    enum stop stop;
    /* the current stream */
    const struct ds_subscription_link *link;
    const char *type;
    char begun[OFFSET_SIZE]; /* where the spool begins, */
    char read[OFFSET_SIZE];  /* and ends */
};

/* --------------------------------------------------------------------------------- output -- */

static bool stop_for(struct worker *worker, enum stop stop)
{
    worker->stop = stop;
    return false;
}

/* Waits until a write would not block, and sends heartbeats meanwhile. */
static bool await_reader(struct worker *worker)
{
    struct pollfd output = {STDOUT_FILENO, POLLOUT, 0};

    for (;;) {
        if (cli_signal_noted())
            return stop_for(worker, STOP_SIGNAL);
        if (!cli_lease_beat(&worker->lease))
            return stop_for(worker, STOP_LEASE);
        if (poll(&output, 1, 0) != 0)
            return true; /* also for an error, which the write reports */
        cli_signal_wait(STDOUT_FILENO, cli_lease_until_beat(&worker->lease));
    }
}

/* Writes what has gathered, in pieces that a pipe takes at once. */
static bool write_gathered(struct worker *worker)
{
    struct buf *out = &worker->out;
    size_t at = 0;

    if (buf_failed(out)) {
        (void)cli_no_memory(worker->cli);
        return stop_for(worker, STOP_WRITE);
    }
    while (at < out->len) {
        size_t len = out->len - at;
        ssize_t n;

        if (!await_reader(worker))
            return false;
        n = write(STDOUT_FILENO, out->data + at, len < PIPE_BUF ? len : PIPE_BUF);
        if (n >= 0) {
            at += (size_t)n;
        } else if (errno != EINTR && errno != EAGAIN) {
            worker->write_error = errno;
            return stop_for(worker, STOP_WRITE);
        }
    }
    buf_clear(out);
    return true;
}

static bool write_out(void *arg, const char *data, size_t len)
{
    struct worker *worker = arg;

    if (worker->command) {
        worker->spooled += len;
        if (fwrite(data, 1, len, worker->spool) == len)
            return true;
        (void)cli_fail(worker->cli, CLI_FAILED, "cannot write a temporary file: %s",
                       strerror(errno));
        return stop_for(worker, STOP_COMMAND);
    }
    buf_add(&worker->out, data, len);
    return worker->out.len < GATHER || write_gathered(worker);
}

/* "# /v1/stream/x", before the data of another stream than before. */
static bool print_name(struct worker *worker)
{
    const struct cli *cli = worker->cli;

    if (worker->command || !worker->with_names)
        return true;
    buf_printf(&worker->out, "%s%s# %s%s\n", worker->print.is_at_line_start ? "" : "\n",
               cli_dim(cli), cli_shown(cli, worker->link->path), cli_plain(cli));
    worker->print.is_at_line_start = true;
    return !buf_failed(&worker->out);
}

/* -------------------------------------------------------------------------------- command -- */

static bool set_variable(const char *name, const char *value)
{
    return setenv(name, value, 1) == 0;
}

/* A dsctl in the command works on the same server or database. */
static bool set_place(const struct cli *cli)
{
    return cli->db ? set_variable("DS_DB", cli->db)
                   : set_variable("DS_URL", cli->url) && unsetenv("DS_DB") == 0;
}

static bool set_environment(const struct worker *worker)
{
    const struct ds_claim *claim = worker->lease.claim;
    char generation[24];

    (void)snprintf(generation, sizeof generation, "%lld", (long long)claim->generation);
    return set_place(worker->cli) && set_variable("DS_SUB_NAME", worker->name) &&
           set_variable("DS_SUB_WORKER", worker->worker) &&
           set_variable("DS_SUB_STREAM", worker->link->path) &&
           set_variable("DS_SUB_TYPE", worker->type) &&
           set_variable("DS_SUB_OFFSET", worker->begun) &&
           set_variable("DS_SUB_NEXT_OFFSET", worker->read) &&
           set_variable("DS_SUB_WAKE", claim->wake_id) &&
           set_variable("DS_SUB_GENERATION", generation) &&
           set_variable("DS_SUB_TOKEN", claim->token);
}

static bool begin_spool(struct worker *worker)
{
    worker->spooled = 0;
    (void)snprintf(worker->begun, sizeof worker->begun, "%s", worker->read);
    if (!worker->command)
        return true;
    if (worker->spool)
        (void)fclose(worker->spool);
    worker->spool = tmpfile();
    if (worker->spool)
        return true;
    (void)cli_fail(worker->cli, CLI_FAILED, "cannot make a temporary file: %s", strerror(errno));
    return stop_for(worker, STOP_COMMAND);
}

/* Runs the command with the data that has gathered, if any. */
static bool run_command(struct worker *worker)
{
    if (worker->spooled == 0)
        return true;
    if (!set_environment(worker)) {
        (void)cli_no_memory(worker->cli);
        return stop_for(worker, STOP_COMMAND);
    }
    if (fflush(worker->spool) != 0 || lseek(fileno(worker->spool), 0, SEEK_SET) != 0) {
        (void)cli_fail(worker->cli, CLI_FAILED, "cannot write a temporary file: %s",
                       strerror(errno));
        return stop_for(worker, STOP_COMMAND);
    }
    if (cli_exec(&worker->lease, worker->command, fileno(worker->spool)))
        return begin_spool(worker);
    return stop_for(worker, worker->lease.is_lost ? STOP_LEASE : STOP_COMMAND);
}

/* ------------------------------------------------------------------------------- a stream -- */

/* Everything up to worker->read is dealt with, once this has returned true. */
static bool deliver(struct worker *worker)
{
    if (worker->command ? !run_command(worker) : !write_gathered(worker))
        return false;
    if (strcmp(worker->read, worker->link->acked_offset) == 0)
        return true; /* there was nothing */
    return cli_lease_move(&worker->lease, worker->link->path, worker->read) ||
           stop_for(worker, STOP_COMMAND);
}

/* See cli_read_fn. */
static bool take_piece(void *arg, const char *data, size_t len, const char *next)
{
    struct worker *worker = arg;
    const char *tail = worker->link->tail_offset;
    bool is_whole = tail[0] && strcmp(next, tail) >= 0;

    if (!cli_print_piece(&worker->print, data, len))
        return worker->stop != STOP_NOT ? false : stop_for(worker, STOP_COMMAND);
    (void)snprintf(worker->read, sizeof worker->read, "%s", next);
    /* a command gets all that is there, up to its limit */
    if ((!worker->command || worker->spooled >= COMMAND_MOST) && !deliver(worker))
        return false;
    if (!cli_lease_beat(&worker->lease))
        return stop_for(worker, STOP_LEASE);
    if (cli_signal_noted())
        return stop_for(worker, STOP_SIGNAL);
    return is_whole ? stop_for(worker, STOP_ENOUGH) : true;
}

/* What was written without being acked is of no use: it will be read again. */
static void forget_output(struct worker *worker)
{
    buf_close(&worker->out);
    if (worker->spool)
        (void)fclose(worker->spool);
    worker->spool = NULL;
    worker->spooled = 0;
}

static enum cli_exit handle_stream(struct worker *worker, const struct ds_subscription_link *link)
{
    struct cli *cli = worker->cli;
    struct cli_reading reading = {.offset = link->acked_offset};
    struct ds_stream state;
    enum cli_exit exit = cli->backend->get(cli, link->path, &state);

    worker->link = link;
    worker->stop = STOP_NOT;
    if (exit == CLI_NOT_FOUND)
        return CLI_DONE; /* it was deleted, which was reported */
    if (exit == CLI_DONE)
        exit = cli_print_begin(&worker->print, link->path, state.content_type);
    if (exit != CLI_DONE)
        return exit;
    worker->type = state.content_type;
    reading.created_at = state.created_at;
    (void)snprintf(worker->read, sizeof worker->read, "%s", link->acked_offset);
    if (!begin_spool(worker) || !print_name(worker))
        return CLI_FAILED;
    exit = cli->backend->read(cli, &state, &reading, take_piece, worker);
    if (worker->stop == STOP_ENOUGH) {
        worker->stop = STOP_NOT;
        exit = CLI_DONE;
    }
    if (exit == CLI_DONE && !(cli_print_end(&worker->print) && deliver(worker)))
        exit = CLI_FAILED;
    return exit;
}

/* --------------------------------------------------------------------------------- a wake -- */

/* Deals with the streams of a claim. *moved: a cursor has moved. */
static enum cli_exit handle_wake(struct worker *worker, const struct ds_claim *claim, bool *moved)
{
    enum cli_exit exit = CLI_DONE;

    *moved = false;
    if (!cli_lease_begin(&worker->lease, worker->cli, worker->name, claim))
        return CLI_FAILED;
    for (size_t i = 0; exit == CLI_DONE && i < claim->links; i++)
        if (claim->link[i].pending)
            exit = handle_stream(worker, &claim->link[i]);
    forget_output(worker);
    if (exit == CLI_DONE)
        exit = cli_lease_done(&worker->lease, moved);
    else
        cli_lease_release(&worker->lease);
    if (worker->lease.is_lost)
        return CLI_CONFLICT;
    if (worker->write_error == EPIPE)
        cli_signal_end(SIGPIPE);
    if (worker->write_error)
        (void)cli_fail(worker->cli, CLI_FAILED, "cannot write: %s", strerror(worker->write_error));
    return exit;
}

/* Can another wake succeed where this one did not? */
static bool is_final(const struct worker *worker, enum cli_exit exit)
{
    return exit == CLI_USAGE || worker->write_error != 0;
}

/* Waits before the next claim: for an event if nothing can be claimed, else after a failure. */
struct pause {
    const char *wake_stream;
    char offset[OFFSET_SIZE]; /* of the wake stream, before the last claim; "": unknown */
    int64_t failure_ms;
};

static void pause_for_event(struct cli *cli, struct pause *pause)
{
    if (pause->offset[0] && cli->backend->sub->wait(cli, pause->wake_stream, pause->offset,
                                                    sizeof pause->offset, WAIT_MS))
        return;
    pause->offset[0] = '\0';
    cli_signal_wait(-1, POLL_MS);
}

static void pause_after_failure(struct pause *pause)
{
    int64_t ms = pause->failure_ms ? pause->failure_ms * 2 : PAUSE_FIRST_MS;

    pause->failure_ms = ms < PAUSE_MOST_MS ? ms : PAUSE_MOST_MS;
    cli_signal_wait(-1, pause->failure_ms);
}

/* Claims once, and deals with the wake. *goes_on: another claim is to follow. */
static enum cli_exit work_once(struct worker *worker, struct pause *pause, bool *goes_on)
{
    struct cli *cli = worker->cli;
    bool once = cli_has(cli, "once"), moved = false;
    struct cli_claimed claimed;
    enum cli_exit exit;

    if (!pause->offset[0] &&
        !cli->backend->sub->tail(cli, pause->wake_stream, pause->offset, sizeof pause->offset))
        pause->offset[0] = '\0';
    cli_signal_hold();
    exit = cli->backend->sub->claim(cli, worker->name, worker->worker, !once, &claimed);
    *goes_on = exit == CLI_DONE && !once;
    if (exit == CLI_DONE && claimed.status == DS_OK) {
        exit = handle_wake(worker, &claimed.claim, &moved);
        *goes_on = !once && !is_final(worker, exit);
    }
    cli_signal_free();
    if (exit == CLI_DONE && claimed.status != DS_OK && once)
        exit = cli_sub_refuse_claim(cli, worker->name, &claimed);
    if (!*goes_on)
        return exit;
    if (claimed.status != DS_OK)
        pause_for_event(cli, pause);
    else if (exit != CLI_DONE || !moved)
        pause_after_failure(pause);
    else
        pause->failure_ms = 0;
    return exit;
}

/* Each wake has an arena of its own, because a worker runs for years. */
static enum cli_exit work(struct worker *worker, struct pause *pause)
{
    struct cli *cli = worker->cli;
    struct arena *arena = cli->arena;
    enum cli_exit exit;
    bool goes_on;

    do {
        cli->arena = arena_new();
        if (cli->arena)
            exit = work_once(worker, pause, &goes_on);
        arena_free(cli->arena);
        if (!cli->arena) {
            cli->arena = arena;
            return cli_no_memory(cli);
        }
        cli->arena = arena;
    } while (goes_on);
    return exit;
}

enum cli_exit cli_sub_tail(struct cli *cli)
{
    const char *name = cli_sub_name(cli, 0);
    struct worker worker = {
        .cli = cli, .name = name, .worker = cli_sub_worker(cli), .command = cli_value(cli, "exec")};
    struct ds_subscription subscription;
    struct pause pause = {0};
    enum cli_exit exit;

    if (!name || !worker.worker)
        return CLI_USAGE;
    exit = cli->backend->sub->get(cli, name, &subscription);
    if (exit != CLI_DONE)
        return exit;
    if (subscription.type == DS_WEBHOOK || !subscription.wake_stream)
        return cli_fail(cli, CLI_USAGE, "%s is a webhook: its receiver does the work", name);
    pause.wake_stream = subscription.wake_stream;
    worker.with_names =
        !cli_has(cli, "no-names") && (subscription.pattern || subscription.link_count > 1);
    worker.print = (struct cli_print){.cli = cli,
                                      .write = write_out,
                                      .arg = &worker,
                                      .raw = cli_has(cli, "raw"),
                                      .to_terminal = !worker.command && isatty(STDOUT_FILENO),
                                      .is_at_line_start = true};
    cli_signal_catch();
    return work(&worker, &pause);
}
