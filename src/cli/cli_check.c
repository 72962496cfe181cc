/* dsctl check and vacuum: find damage in a database file, and shrink it. */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "cli/cli_commands.h"
#include "cli/cli_database.h"
#include "cli/cli_terminal.h"
#include "protocol/json_string.h"
#include "store/store.h"
#include "store/tools/store_check.h"
#include "store/tools/store_vacuum.h"

const struct cli_option cli_check_options[] = {
    {"json", 'j', NULL, "print one JSON object per line"},
    {0},
};

struct report {
    struct cli *cli;
    bool json;
    bool failed; /* a line could not be printed */
};

/* A damaged text may have any bytes; the output must still be JSON. */
static void add_member(struct buf *line, const char *name, const char *text)
{
    buf_printf(line, "%c\"%s\":", line->len == 0 ? '{' : ',', name);
    json_add_text(line, text);
}

/* A damaged text may have any bytes; none of them may control the terminal. */
static void add_plain(struct buf *line, const char *text)
{
    cli_terminal_add(line, text, strlen(text), CLI_TERMINAL_FIELD);
}

static void print_finding(void *arg, enum store_check_kind kind, const char *path, const char *text)
{
    struct report *report = arg;
    const struct cli *cli = report->cli;
    const char *word = kind == STORE_CHECK_DAMAGE ? "damage" : "note";
    struct buf line = {0};

    if (kind == STORE_CHECK_NOTE && cli->quiet)
        return;
    if (report->json) {
        add_member(&line, "kind", word);
        if (path)
            add_member(&line, "path", path);
        add_member(&line, "text", text);
        buf_adds(&line, "}\n");
    } else {
        buf_printf(&line, "%s%s%s ", kind == STORE_CHECK_DAMAGE ? cli_bold(cli) : cli_dim(cli),
                   word, cli_plain(cli));
        if (path) {
            add_plain(&line, path);
            buf_adds(&line, ": ");
        }
        add_plain(&line, text);
        buf_addc(&line, '\n');
    }
    if (buf_failed(&line) || !cli_out(cli, line.data, line.len))
        report->failed = true;
    buf_close(&line);
}

enum cli_exit cli_check(struct cli *cli)
{
    struct report report = {cli, cli_has(cli, "json"), false};
    struct store_check check = {
        .database = cli->db, .now = clock_wall_ms(), .fn = print_finding, .arg = &report};
    struct config config;
    enum cli_exit exit = cli_database_settings(cli, &config);
    enum ds_status status;

    if (exit != CLI_DONE)
        return exit;
    check.busy_timeout_ms = config.busy_timeout_ms;
    config_close(&config);
    status = store_check(&check);
    if (!cli_flush(cli) || report.failed)
        return CLI_FAILED;
    if (status != DS_OK)
        return cli_fail(cli, CLI_FAILED, "%s", check.reason);
    cli_note(cli, "SQLite %s%s", store_sqlite_release(),
             store_sqlite_has_reset_bug() ? ", which has the WAL-reset bug: only programs of this "
                                            "project may checkpoint this database"
                                          : "");
    cli_note(cli, "%lld streams, %lld rows of messages: %s", (long long)check.streams,
             (long long)check.rows, check.damages ? "damaged" : "sound");
    return check.damages > 0 ? CLI_FAILED : CLI_DONE;
}

enum cli_exit cli_vacuum(struct cli *cli)
{
    struct cli_database database;
    struct store_vacuum vacuum;
    enum cli_exit exit = cli_database_open(cli, false, &database);
    enum ds_status status;

    if (exit != CLI_DONE)
        return exit;
    status = store_vacuum(database.conn, &vacuum);
    if (status == DS_BUSY)
        exit = cli_fail(cli, CLI_FAILED,
                        "another program has been writing for %lld ms (DS_BUSY_TIMEOUT_MS); "
                        "nothing was changed",
                        (long long)database.config.busy_timeout_ms);
    else if (status != DS_OK)
        exit = cli_fail(cli, CLI_FAILED, "%s: %s", cli->db, ds_status_text(status));
    else
        (void)printf("%lld bytes before, %lld after\n", (long long)vacuum.before,
                     (long long)vacuum.after);
    if (status == DS_OK && !vacuum.emptied_log)
        cli_note(cli, database.config.checkpoint
                          ? "a reader still uses the write-ahead log, which will be emptied later"
                          : "DS_CHECKPOINT=off: another program must empty the write-ahead log");
    cli_database_close(&database);
    return exit;
}
