/* The commands of dsctl with their help texts, and the options of every command: see cli_table.h.
 */
#include "cli/cli_table.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/nearest.h"
#include "cli/cli_commands.h"

const struct cli_command cli_commands[] = {
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
     "  dsctl create events --content-type application/json --ttl 7d\n"
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
    {"show", "STREAM", "describe a stream",
     "Its content type, its next offset (where the next message will begin), whether it is "
     "closed,\n"
     "when it was created, and when it expires. With --db also how many messages and bytes it "
     "has,\n"
     "which the protocol does not tell: of a fork, its own messages, but inherited bytes as "
     "well.\n",
     "  dsctl show events\n"
     "  offset=$(dsctl show events --json | jq -r .nextOffset)\n",
     cli_show_options, CLI_EITHER, 1, 1, cli_show},
    {"close", "STREAM", "end a stream: readers see the end",
     "Prints the next offset, which is final.\n",
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
    {"help", "[COMMAND]", "explain dsctl, or one command", NULL,
     "  dsctl help\n"
     "  dsctl help tail\n",
     NULL, CLI_NOTHING, 0, 2, cli_help},
    {"version", "", "print the version", NULL, "  dsctl version\n", NULL, CLI_NOTHING, 0, 0,
     cli_version},
};

const size_t cli_n_commands = sizeof cli_commands / sizeof cli_commands[0];

const struct cli_option cli_globals[] = {
    {"url", 'u', "URL", "the server; else DS_URL, else " CLI_DEFAULT_URL},
    {"db", 'D', "FILE", "work on this database file, without a server; else DS_DB"},
    {"user", 0, "NAME[:PASSWORD]", "send these, or those in @FILE; else the URL's, else DS_USER"},
    {"header", 'H', "TEXT", "send 'Name: value', or the lines of @FILE; repeatable; see DS_HEADER"},
    {"cacert", 0, "FILE", "certificates to trust, in place of the system's"},
    {"insecure", 'k', NULL,
     "accept any certificate: whoever is on the way can read and change all"},
    {"retry", 0, "DURATION", "how long to try again what failed (default 10s; 0: not at all)"},
    {"timeout", 0, "DURATION",
     "give up an answer of which nothing arrives for so long (default 60s)"},
    {"quiet", 'q', NULL, "print results and errors alone"},
    {"help", 'h', NULL, "this text"},
    {"version", 'V', NULL, "print the version"},
    {0},
};

/* ---------------------------------------------------------------------------------- names -- */

const struct cli_command *cli_command_find(const char *first, const char *second)
{
    size_t len = strlen(first);

    for (size_t i = 0; i < cli_n_commands; i++) {
        const char *name = cli_commands[i].name;

        if (strncmp(name, first, len) != 0)
            continue;
        if (!name[len] || (name[len] == ' ' && second && strcmp(name + len + 1, second) == 0))
            return &cli_commands[i];
    }
    return NULL;
}

/* The commands whose first word this is: "fault add, fault ls, fault clear". */
static void add_commands_of(struct buf *buf, const char *first)
{
    size_t len = strlen(first);

    for (size_t i = 0; i < cli_n_commands; i++)
        if (strncmp(cli_commands[i].name, first, len) == 0 && cli_commands[i].name[len] == ' ')
            buf_printf(buf, "%s%s", buf->len > 0 ? ", " : "", cli_commands[i].name);
    buf_addc(buf, '\0');
}

static const char *nearest_command(const char *word)
{
    const char *names[64];
    size_t n = 0;

    for (; n < cli_n_commands && n < sizeof names / sizeof names[0]; n++)
        names[n] = cli_commands[n].name;
    return nearest_name(word, names, n);
}

enum cli_exit cli_command_unknown(const struct cli *cli, const char *first, const char *second)
{
    struct buf group = {0};
    char words[NEAREST_LONGEST + 2];
    const char *nearest;
    enum cli_exit exit;

    (void)snprintf(words, sizeof words, "%s%s%s", first, second ? " " : "", second ? second : "");
    nearest = nearest_command(words);
    if (!nearest)
        nearest = nearest_command(first);
    add_commands_of(&group, first);
    if (buf_failed(&group))
        exit = cli_no_memory(cli);
    else if (group.len > 1 && !(second && nearest))
        exit = cli_fail(cli, CLI_USAGE, "which one: %s? See dsctl help", group.data);
    else if (nearest)
        exit = cli_fail(cli, CLI_USAGE, "there is no command %s; did you mean %s? See dsctl help",
                        group.len > 1 ? words : first, nearest);
    else
        exit = cli_fail(cli, CLI_USAGE, "there is no command %s; see dsctl help", first);
    buf_close(&group);
    return exit;
}
