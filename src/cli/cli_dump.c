/* dsctl export and import. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "cli/cli_commands.h"
#include "cli/cli_database.h"
#include "cli/cli_file.h"
#include "protocol/path.h"
#include "store/tools/store_dump.h"

enum { BAR_WIDTH = 40, BAR_EVERY_MS = 100 };

const struct cli_option cli_export_options[] = {
    {"output", 'o', "FILE", "write to this file instead of standard output"},
    {"keys", 0, NULL, "include the private keys that sign webhooks: keep the output secret"},
    {0},
};

const struct cli_option cli_import_options[] = {
    {"skip-existing", 0, NULL, "leave out streams and subscriptions that exist in the database"},
    {"no-subscriptions", 0, NULL, "leave out all subscriptions, so that nothing sends webhooks"},
    {0},
};

/* --- progress, on a terminal --- */

struct bar {
    int64_t drawn_at; /* 0: never */
};

static void draw_bar(void *arg, int64_t done, int64_t total)
{
    static const char full[] = "########################################";
    struct bar *bar = arg;
    int64_t now = clock_monotonic_ms();
    int filled;

    if (total <= 0 || (bar->drawn_at != 0 && now - bar->drawn_at < BAR_EVERY_MS))
        return;
    bar->drawn_at = now;
    if (done > total)
        done = total;
    filled = (int)((double)done / (double)total * BAR_WIDTH);
    (void)fprintf(stderr, "\r[%.*s%*s] %3d %%", filled, full, BAR_WIDTH - filled, "",
                  (int)((double)done / (double)total * 100));
    (void)fflush(stderr);
}

static void erase_bar(const struct bar *bar)
{
    if (bar->drawn_at != 0)
        (void)fputs("\r\033[K", stderr);
}

/* Only on a terminal, and not when the export goes to one. */
static void show_progress(const struct cli *cli, struct store_dump *dump, struct bar *bar)
{
    if (cli->quiet || !isatty(STDERR_FILENO) || isatty(fileno(dump->file)))
        return;
    dump->progress = draw_bar;
    dump->progress_arg = bar;
}

static void tell_counts(const struct cli *cli, const struct store_dump *dump)
{
    if (dump->subscriptions > 0)
        cli_note(cli, "%lld streams, %lld rows of messages, %lld producers, %lld subscriptions",
                 (long long)dump->streams, (long long)dump->rows, (long long)dump->producers,
                 (long long)dump->subscriptions);
    else
        cli_note(cli, "%lld streams, %lld rows of messages, %lld producers",
                 (long long)dump->streams, (long long)dump->rows, (long long)dump->producers);
}

static enum cli_exit refuse_dump(const struct cli *cli, const struct store_dump *dump,
                                 enum ds_status status)
{
    enum cli_exit exit = CLI_FAILED;

    if (status == DS_NOT_FOUND || status == DS_GONE)
        exit = CLI_NOT_FOUND;
    else if (status == DS_CONFLICT)
        exit = CLI_CONFLICT;
    return cli_fail(cli, exit, "%s", dump->reason);
}

/* --- export --- */

/* Opens a file *new, to be renamed to name when the export is complete. A device or pipe is opened
 * directly, and *new is NULL. */
static enum cli_exit open_output(const struct cli *cli, const char *name, bool secret, FILE **file,
                                 char **new)
{
    struct stat there, database;
    mode_t mode = secret ? S_IRUSR | S_IWUSR : 0666;

    *new = NULL;
    if (stat(name, &there) != 0 || S_ISREG(there.st_mode)) {
        *new = arena_printf(cli->arena, "%s.new", name);
        if (!*new)
            return cli_no_memory(cli);
        if (cli->db && stat(cli->db, &database) ==
                           0) /* users who may not read the database may not read this */
            mode &= database.st_mode;
        *file = cli_file_new(*new, name, mode);
        name = *new;
    } else {
        *file = fopen(name, "w");
    }
    return *file ? CLI_DONE : cli_fail(cli, CLI_FAILED, "%s: %s", name, strerror(errno));
}

static enum cli_exit close_output(const struct cli *cli, enum cli_exit exit, FILE *file,
                                  const char *name, const char *new)
{
    bool bad = fsync(fileno(file)) != 0 && errno != EINVAL; /* a pipe cannot be synced */

    bad |= fclose(file) != 0;
    if (exit == CLI_DONE && !bad && (!new || rename(new, name) == 0))
        return CLI_DONE;
    if (exit == CLI_DONE)
        exit = cli_fail(cli, CLI_FAILED, "%s: %s", name, strerror(errno));
    if (new)
        (void)unlink(new);
    return exit;
}

static enum cli_exit export_to(const struct cli *cli, struct store_dump *dump)
{
    struct cli_database database;
    struct bar bar = {0};
    enum cli_exit exit = cli_database_open(cli, false, &database);
    enum ds_status status;

    if (exit != CLI_DONE)
        return exit;
    show_progress(cli, dump, &bar);
    status = store_export(database.conn, dump);
    erase_bar(&bar);
    cli_database_close(&database);
    if (status != DS_OK)
        return refuse_dump(cli, dump, status);
    tell_counts(cli, dump);
    return CLI_DONE;
}

/* Private keys do not belong on a terminal, nor in a file that others can read. */
static enum cli_exit guard_keys(const struct cli *cli, FILE *file)
{
    struct stat info;

    if (isatty(fileno(file)))
        return cli_fail(cli, CLI_USAGE,
                        "--keys writes private keys: name a file with --output, or redirect "
                        "standard output");
    if (fstat(fileno(file), &info) == 0 && S_ISREG(info.st_mode) &&
        (info.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        return cli_fail(cli, CLI_USAGE,
                        "--keys writes private keys, but other users may open this file: its mode "
                        "must be 600");
    return CLI_DONE;
}

enum cli_exit cli_export(struct cli *cli)
{
    const char *output = cli_value(cli, "output"), *reason;
    struct store_dump dump = {.file = stdout, .keys = cli_has(cli, "keys")};
    char *new = NULL;
    enum cli_exit exit;

    if (cli_operand(cli, 0)) {
        const char *path = cli_path(cli, cli_operand(cli, 0));

        if (!path)
            return CLI_USAGE;
        dump.path = path_normalize(cli->arena, path, strlen(path), &reason);
        if (!dump.path)
            return cli_fail(cli, CLI_USAGE, "%s: %s", path, reason);
    }
    if (dump.path && dump.keys)
        return cli_fail(cli, CLI_USAGE, "--keys is for an export of all streams");
    if (output && (strcmp(output, "-") == 0 || strcmp(output, "/dev/stdout") == 0))
        output = NULL;
    if (output) {
        exit = open_output(cli, output, dump.keys, &dump.file, &new);
        if (exit != CLI_DONE)
            return exit;
    }
    exit = dump.keys ? guard_keys(cli, dump.file) : CLI_DONE;
    if (exit == CLI_DONE)
        exit = export_to(cli, &dump);
    return output ? close_output(cli, exit, dump.file, output, new) : exit;
}

/* --- import --- */

static void tell_imported(const struct cli *cli, const struct store_dump *dump)
{
    tell_counts(cli, dump);
    if (dump->kept_registry)
        cli_note(cli, "the database keeps its own registry; that of the file was left out");
    if (dump->skipped > (dump->kept_registry ? 1 : 0))
        cli_note(cli, "%lld streams existed already",
                 (long long)dump->skipped - dump->kept_registry);
    if (dump->skipped_subscriptions > 0)
        cli_note(cli, "%lld subscriptions were left out", (long long)dump->skipped_subscriptions);
}

static enum cli_exit import_from(const struct cli *cli, struct store_dump *dump)
{
    struct cli_database database;
    struct bar bar = {0};
    enum cli_exit exit = cli_database_open(cli, true, &database);
    enum ds_status status;

    if (exit != CLI_DONE)
        return exit;
    show_progress(cli, dump, &bar);
    status = store_import(database.conn, dump);
    erase_bar(&bar);
    cli_database_close(&database);
    if (status == DS_OK) {
        tell_imported(cli, dump);
        return CLI_DONE;
    }
    exit = refuse_dump(cli, dump, status);
    if (dump->streams > 0)
        cli_note(cli, "the %lld streams before it were imported; continue with --skip-existing",
                 (long long)dump->streams);
    return exit;
}

enum cli_exit cli_import(struct cli *cli)
{
    const char *name = cli_operand(cli, 0);
    bool is_stdin = !name || strcmp(name, "-") == 0;
    struct store_dump dump = {.file = stdin,
                              .skip_existing = cli_has(cli, "skip-existing"),
                              .skip_subscriptions = cli_has(cli, "no-subscriptions")};
    enum cli_exit exit;

    if (is_stdin && isatty(STDIN_FILENO))
        return cli_fail(cli, CLI_USAGE, "name a file to import, or redirect standard input");
    if (!is_stdin)
        dump.file = fopen(name, "r");
    if (!dump.file)
        return cli_fail(cli, CLI_FAILED, "%s: %s", name, strerror(errno));
    exit = import_from(cli, &dump);
    if (!is_stdin)
        (void)fclose(dump.file);
    return exit;
}
