/* The commands of dsctl with their help texts, and the global options: see cli_table.h. */
#include "cli/cli_table.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/nearest.h"
#include "cli/cli_commands.h"

const struct cli_command cli_commands[] = {
    {"serve", "", "start a server, until Ctrl-C",
     "Starts a server that speaks HTTP, and keeps a registry for dsctl ls. The database is\n"
     "data/streams.db in the current folder unless --database or --memory is given. Settings in\n"
     "the environment (DS_...) apply.\n",
     "  dsctl serve\n"
     "  dsctl serve --port 8080 --host 0.0.0.0 --database /srv/streams.db\n"
     "  dsctl serve --port 0 --memory --print-url >url &   # in tests: see the manual\n",
     cli_serve_options, CLI_NOTHING, 0, 0, cli_serve},
    {"create", "STREAM", "create a stream",
     "Prints its path. If the stream exists already with the same properties, that is a success.\n",
     "  dsctl create events --content-type application/json --ttl 7d\n"
     "  dsctl create greeting --content-type text/plain --data 'hello' --closed\n"
     "  dsctl create photo --content-type image/png --data - <photo.png\n",
     cli_create_options, CLI_EITHER, 1, 1, cli_create},
    {"append", "STREAM", "append standard input to a stream",
     "Appends standard input as one message and prints the next offset. With --json or --lines,\n"
     "each line is sent as soon as it arrives; lines that arrive together are sent together. An\n"
     "append that the server refuses as busy is sent again. An append whose answer is lost is "
     "sent\n"
     "again only with --producer, which keeps the server from storing it twice.\n",
     "  echo hello | dsctl append greeting\n"
     "  dsctl append events --data '{\"n\":1}'\n"
     "  tail -f app.ndjson | dsctl append events --json\n"
     "  dsctl append events --json --producer loader --resume <big.ndjson   # until it succeeds\n",
     cli_append_options, CLI_EITHER, 1, 1, cli_append},
    {"tail", "STREAM", "print a stream, and with -f follow it",
     "Prints the stream from its beginning or from --offset. JSON messages are printed one a "
     "line,\n"
     "everything else byte for byte. -f waits for more until the stream is closed, and survives\n"
     "broken connections and restarts of the server without losing or repeating anything. If the\n"
     "stream is deleted and another one takes its name, tail ends with exit status 6.\n",
     "  dsctl tail events | jq .n\n"
     "  dsctl tail -f events --offset now\n"
     "  dsctl tail -f events --state events.offset   # continues where it stopped\n",
     cli_tail_options, CLI_EITHER, 1, 1, cli_tail},
    {"ls", "[PREFIX]", "list streams",
     "Lists all streams, or those whose path begins with PREFIX. Over HTTP the list comes from "
     "the\n"
     "server's registry (DS_REGISTRY). With --db it includes messages and bytes.\n",
     "  dsctl ls\n"
     "  dsctl ls --sort created --reverse --json\n"
     "  dsctl --db data/streams.db ls --sort bytes /v1/stream/logs/\n",
     cli_ls_options, CLI_EITHER, 0, 1, cli_ls},
    {"show", "STREAM", "describe a stream",
     "Prints its content type, its next offset (where the next message will begin), whether it is\n"
     "closed, when it was created and when it expires. With --db it also prints the number of\n"
     "messages and bytes, which the protocol does not report. A fork's bytes include those that\n"
     "it inherited; its messages do not.\n",
     "  dsctl show events\n"
     "  offset=$(dsctl show events --json | jq -r .nextOffset)\n",
     cli_show_options, CLI_EITHER, 1, 1, cli_show},
    {"close", "STREAM", "close a stream, so that its readers see its end",
     "Prints the next offset, which is final.\n",
     "  dsctl close events\n"
     "  dsctl close greeting --data 'bye'\n",
     cli_close_options, CLI_EITHER, 1, 1, cli_close},
    {"rm", "STREAM ...", "delete streams",
     "A stream that has forks keeps its data for them, and its name stays taken.\n",
     "  dsctl rm events greeting\n", NULL, CLI_EITHER, 1, -1, cli_rm},
    {"fork", "SOURCE STREAM", "create a stream that begins with the content of another",
     "Prints the path of the new stream.\n",
     "  dsctl fork events what-if\n"
     "  dsctl fork events first-three --offset -1 --sub-offset 3\n",
     cli_fork_options, CLI_EITHER, 2, 2, cli_fork},
    {"fault add", "STREAM", "make requests for a stream fail, to test clients",
     "The server must run with DS_TEST_ENDPOINTS=1 (dsctl serve --test-endpoints). A stream has "
     "one\n"
     "fault at a time: a new one replaces it. The parts of a fault apply in this order: delay, "
     "drop,\n"
     "status, changed body.\n",
     "  dsctl fault add events --status 503 --retry-after 1 --count 2\n"
     "  dsctl fault add events --drop --method POST\n"
     "  dsctl fault add events --delay-ms 300 --jitter-ms 300 --probability 0.2 --count 100\n",
     cli_fault_add_options, CLI_EITHER, 1, 1, cli_fault_add},
    {"fault ls", "", "list the faults that have not yet occurred", NULL, "  dsctl fault ls\n",
     cli_fault_ls_options, CLI_EITHER, 0, 0, cli_fault_ls},
    {"fault clear", "", "remove all faults", NULL, "  dsctl fault clear\n", NULL, CLI_EITHER, 0, 0,
     cli_fault_clear},
    {"sub ls", "", "list subscriptions, and what each is doing",
     "The protocol cannot list subscriptions: this needs --db.\n",
     "  dsctl --db data/streams.db sub ls\n", cli_sub_ls_options, CLI_EITHER, 0, 0, cli_sub_ls},
    {"sub show", "NAME", "describe a subscription and its streams",
     "With --db it includes the wake, its lease, and what is pending, which the protocol does not\n"
     "report.\n",
     "  dsctl sub show jobs\n"
     "  dsctl --db data/streams.db sub show jobs --json | jq .state\n",
     cli_sub_show_options, CLI_EITHER, 1, 1, cli_sub_show},
    {"sub add", "NAME", "create a subscription, which wakes workers when its streams get data",
     "Prints its name. Streams are chosen by a pattern, by name, or both. Data that exists is not\n"
     "pending: cursors begin at the ends of the streams. If it exists already with the same\n"
     "properties, that is a success; to change one, delete it first.\n",
     "  dsctl create wakes --content-type application/json\n"
     "  dsctl sub add jobs --pattern 'jobs/**' --wake-stream wakes\n"
     "  dsctl sub add bills --stream orders --webhook https://example.org/hook --lease 1m\n",
     cli_sub_add_options, CLI_EITHER, 1, 1, cli_sub_add},
    {"sub rm", "NAME ...", "delete subscriptions with their cursors", NULL, "  dsctl sub rm jobs\n",
     NULL, CLI_EITHER, 1, -1, cli_sub_rm},
    {"sub wake", "NAME", "send the wake that nobody has claimed once more",
     "For workers that missed it. This needs --db.\n",
     "  dsctl --db data/streams.db sub wake jobs\n", NULL, CLI_EITHER, 1, 1, cli_sub_wake},
    {"sub claim", "NAME", "take the lease of a subscription, to work on what is pending",
     "Prints the wake, its generation, a token and the streams that are pending, with the offset "
     "to\n"
     "read from and their next offset. The exit status is 7 if nothing is pending, and 4 if "
     "another\n"
     "worker has the lease.\n",
     "  dsctl sub claim jobs --worker w1\n"
     "  claim=$(dsctl sub claim jobs --json)   # wake_id, generation, token, streams\n",
     cli_sub_claim_options, CLI_EITHER, 1, 1, cli_sub_claim},
    {"sub ack", "NAME [STREAM=OFFSET ...]", "move cursors, and keep the lease or end it",
     "Everything before the offset has been dealt with. Without --done the lease begins anew, "
     "also\n"
     "if no stream is named.\n",
     "  dsctl sub ack jobs -t \"$token\" --wake \"$wake\" -g 7 events=\"$offset\" --done\n"
     "  dsctl sub ack \"$DS_SUB_NAME\"   # in a command of sub tail --exec: a heartbeat\n",
     cli_sub_ack_options, CLI_EITHER, 1, -1, cli_sub_ack},
    {"sub release", "NAME", "give the lease back, for another worker", NULL,
     "  dsctl sub release jobs -t \"$token\" --wake \"$wake\" -g 7\n", cli_sub_release_options,
     CLI_EITHER, 1, 1, cli_sub_release},
    {"sub tail", "NAME", "be a worker: print what is pending, ack it, and wait for more",
     "Any number may run at once; each message goes to one of them. A message is acked after it "
     "was\n"
     "written to standard output, or after the command of --exec has ended with status 0. What is\n"
     "not acked, one of them prints again. Where there are several streams, a line with # names "
     "the\n"
     "stream.\n",
     "  dsctl sub tail jobs\n"
     "  dsctl sub tail jobs --exec 'while read -r job; do handle \"$job\" || exit 1; done'\n"
     "  dsctl sub tail jobs --once --exec 'mail -s \"$DS_SUB_STREAM\" root'   # from cron\n",
     cli_sub_tail_options, CLI_EITHER, 1, 1, cli_sub_tail},
    {"webhook-key ls", "", "list the keys that sign webhooks", NULL,
     "  dsctl --db data/streams.db webhook-key ls\n", cli_key_ls_options, CLI_DATABASE, 0, 0,
     cli_key_ls},
    {"webhook-key rotate", "", "replace the key that signs webhooks",
     "The newest key signs for five more minutes, in which its successor is published, so that\n"
     "receivers know it before it signs.\n",
     "  dsctl --db data/streams.db webhook-key rotate\n", NULL, CLI_DATABASE, 0, 0, cli_key_rotate},
    {"check", "", "look for damage in a database file",
     "Checks the file itself, its schema, that counters match the rows they count, and that every\n"
     "row belongs to a stream. Only reads the file, and may run beside servers. The exit status "
     "is\n"
     "1 if there is damage; a note is not damage.\n",
     "  dsctl --db data/streams.db check\n"
     "  dsctl --db data/streams.db check --quiet || mail -s 'streams.db is damaged' root\n",
     cli_check_options, CLI_DATABASE, 0, 0, cli_check},
    {"export", "[STREAM]", "write streams of a database file as lines of JSON",
     "Writes all streams and subscriptions, or one stream, as they were at one moment, even while\n"
     "servers write. Nothing is lost. A fork that is exported by itself includes what it "
     "inherited.\n",
     "  dsctl --db data/streams.db export --output streams.ndjson\n"
     "  dsctl --db data/streams.db export | gzip >streams.ndjson.gz\n"
     "  dsctl --db data/streams.db export events | grep -c '^{\"position\"'\n",
     cli_export_options, CLI_DATABASE, 0, 1, cli_export},
    {"import", "[FILE]", "add exported streams to a database file",
     "Reads a file or standard input, and creates the database if it is missing. Each stream is\n"
     "imported completely or not at all. Servers may be running: their readers see the new "
     "streams,\n"
     "and imported subscriptions wake their workers, which includes sending webhooks.\n",
     "  dsctl --db new.db import streams.ndjson\n"
     "  ssh other dsctl --db streams.db export | dsctl --db data/streams.db import\n"
     "  dsctl --db data/streams.db import --skip-existing streams.ndjson   # continues\n",
     cli_import_options, CLI_DATABASE, 0, 1, cli_import},
    {"vacuum", "", "return the space of deleted messages to the file system",
     "Servers can read meanwhile, but their writes wait. There must be room for two copies of the\n"
     "database.\n",
     "  dsctl --db data/streams.db vacuum\n", NULL, CLI_DATABASE, 0, 0, cli_vacuum},
    {"help", "[COMMAND]", "explain dsctl or one of its commands", NULL,
     "  dsctl help\n"
     "  dsctl help tail\n",
     NULL, CLI_NOTHING, 0, 2, cli_help},
    {"version", "", "print the version", NULL, "  dsctl version\n", NULL, CLI_NOTHING, 0, 0,
     cli_version},
};

const size_t cli_n_commands = sizeof cli_commands / sizeof cli_commands[0];

const struct cli_option cli_globals[] = {
    {"url", 'u', "URL", "use this server; default: DS_URL, or " CLI_DEFAULT_URL},
    {"db", 'D', "FILE", "use this database file, without a server; default: DS_DB"},
    {"user", 0, "NAME[:PASSWORD]", "log in; @FILE: take both from a file; default: DS_USER"},
    {"header", 'H', "TEXT", "send 'Name: value', or the lines of @FILE; repeatable"},
    {"cacert", 0, "FILE", "trust these certificates instead of the system's"},
    {"insecure", 'k', NULL, "accept any certificate; anybody in between can read and change data"},
    {"retry", 0, "DURATION", "how long to repeat a failed request (default 10s; 0: never)"},
    {"timeout", 0, "DURATION", "give up when the server sends nothing for this long (default 60s)"},
    {"quiet", 'q', NULL, "print only results and errors"},
    {"help", 'h', NULL, "print this help"},
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

/* Lists the commands that begin with this word: "fault add, fault ls, fault clear". */
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
