/*
 * dsctl serve: runs a server in the foreground, with the script that `make run` uses too. The
 * script starts durable-streams.fcgi, which speaks HTTP itself, unless WEB=nginx. It is found from
 * the folder of this program: ../lib/durable-streams/serve in an installation, deploy/run.sh in the
 * sources.
 */
#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "cli/cli_commands.h"

const struct cli_option cli_serve_options[] = {
    {"port", 'p', "N", "listen on this port (default 4437; 0: any free port)"},
    {"host", 0, "ADDRESS", "listen on this address (default 127.0.0.1; 0.0.0.0: all)"},
    {"database", 'd', "FILE", "store streams in this file (default data/streams.db)"},
    {"memory", 'm', NULL, "keep streams only in memory, and lose them at the end"},
    {"print-url", 0, NULL, "print only the URL, as soon as the server answers"},
    {"test-endpoints", 0, NULL, "allow dsctl fault to inject faults"},
    {"no-registry", 0, NULL, "keep no registry, so that dsctl ls lists nothing"},
    {0},
};

/* folder/path in the arena; NULL: there is no such readable file. */
static const char *find_beside(const struct cli *cli, const char *folder, const char *path)
{
    const char *file = arena_printf(cli->arena, "%s/%s", folder, path);

    return file && access(file, R_OK) == 0 ? file : NULL;
}

static const char *find_script(const struct cli *cli)
{
    static const char *const places[] = {
        "../lib/durable-streams/serve", /* installed */
        "../deploy/run.sh",             /* build/dsctl */
        "../../deploy/run.sh",          /* build/SANITIZER/dsctl */
        "../libexec/durable-streams/serve",
    };
    char self[4096];
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    const char *folder, *script = NULL;

    if (len <= 0)
        return NULL;
    self[len] = '\0';
    folder = dirname(self);
    for (size_t i = 0; !script && i < sizeof places / sizeof places[0]; i++)
        script = find_beside(cli, folder, places[i]);
    return script;
}

static bool set_variable(const char *name, const char *value)
{
    return !value || setenv(name, value, 1) == 0;
}

/* The responder of the same build, in the arena; NULL: the script finds one by itself. */
static const char *find_program(const struct cli *cli)
{
    char self[4096];
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);

    if (len <= 0)
        return NULL;
    self[len] = '\0';
    return find_beside(cli, dirname(self), "durable-streams.fcgi");
}

/* Sets defaults too: another program may have set HOST or PORT in the environment. */
static bool set_environment(const struct cli *cli)
{
    const char *host = cli_value(cli, "host"), *port = cli_value(cli, "port");

    return set_variable("HOST", host ? host : "127.0.0.1") &&
           set_variable("PORT", port ? port : "4437") && set_variable("DATA", "data") &&
           set_variable("DS_DATABASE", cli_value(cli, "database")) &&
           set_variable("DS_DURABILITY", cli_has(cli, "memory") ? "memory" : NULL) &&
           set_variable("DS_TEST_ENDPOINTS", cli_has(cli, "test-endpoints") ? "1" : NULL) &&
           set_variable("DS_REGISTRY", cli_has(cli, "no-registry") ? "off" : NULL) &&
           set_variable("DS_LOG_LEVEL", cli_has(cli, "quiet") ? "warn" : NULL);
}

/* These variables are meant for dsctl, and may hold a password that the server does not need. */
static void forget_settings(void)
{
    static const char *const names[] = {"DS_URL", "DS_DB", "DS_USER", "DS_HEADER"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        (void)unsetenv(names[i]);
}

enum cli_exit cli_serve(struct cli *cli)
{
    const char *script = find_script(cli), *program = find_program(cli);
    const char *argv[12] = {"sh", script, "--name", "dsctl serve"};
    size_t n = 4;
    int64_t port;

    if (!cli_number(cli, "port", 0, 65535, &port))
        return CLI_USAGE;
    if (cli_has(cli, "database") && cli_has(cli, "memory"))
        return cli_fail(cli, CLI_USAGE, "--database and --memory cannot be used together");
    if (!script)
        return cli_fail(cli, CLI_FAILED, "the script that starts the server is not installed");
    if (cli_has(cli, "print-url"))
        argv[n++] = "--print-url";
    if (cli_has(cli, "memory"))
        argv[n++] = "--temporary";
    if (program) {
        argv[n++] = "--program";
        argv[n++] = program;
    }
    forget_settings();
    if (!set_environment(cli))
        return cli_no_memory(cli);
    (void)execv("/bin/sh", (char *const *)argv);
    return cli_fail(cli, CLI_FAILED, "cannot start %s: %s", script, strerror(errno));
}
