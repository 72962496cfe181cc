/*
 * durable-streams-deliver delivers webhooks. `durable-streams.fcgi --deliver` starts it, and so
 * does the supervisor (--listen).
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/descriptors.h"
#include "base/log.h"
#include "config/config.h"
#include "config/config_environment.h"
#include "deliver/deliver.h"
#include "durable_streams.h"
#include "store/store.h"

enum { WRONG_SETTING = 78 }; /* EX_CONFIG of <sysexits.h>: a restart cannot mend it */

static void print_help(FILE *out)
{
    (void)fputs("durable-streams-deliver " DS_VERSION
                ": delivers the webhooks of a Durable Streams "
                "server\n"
                "\n"
                "  durable-streams-deliver          deliver until SIGTERM\n"
                "  durable-streams-deliver --once   deliver what is due, and end: for cron\n"
                "  durable-streams-deliver --help | --version\n"
                "\n"
                "Its settings are those of durable-streams.fcgi.\n",
                out);
}

/* All threads inherit the mask; the loop reads the signals. */
static void block_signals(sigset_t *signals)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};

    (void)sigemptyset(signals);
    (void)sigaddset(signals, SIGTERM);
    (void)sigaddset(signals, SIGINT);
    (void)sigaddset(signals, SIGHUP);
    (void)sigaddset(signals, SIGUSR1);
    (void)pthread_sigmask(SIG_BLOCK, signals, NULL);
    (void)sigaction(SIGPIPE, &ignore, NULL);
    (void)sigaction(SIGXFSZ, &ignore, NULL);
}

static int run(const struct config *config, bool once)
{
    sigset_t signals;

    log_set_least((enum log_level)config->log_level);
    if (config->webhooks == 0) {
        log_info("DS_WEBHOOKS=off: no webhooks are delivered");
        return 0;
    }
    block_signals(&signals);
    store_own_process();
    return deliver_run(config, &signals, once);
}

int main(int argc, char **argv)
{
    struct config config;
    char error[160];
    bool once = argc == 2 && strcmp(argv[1], "--once") == 0;
    int result;

    log_open(LOG_INFO_);
    log_detect_journal(config_journal_stream());
    descriptors_occupy(false);
    if (argc == 2 && strcmp(argv[1], "--version") == 0)
        return puts("durable-streams-deliver " DS_VERSION) < 0;
    if (argc > 1 && !once) {
        bool help = argc == 2 && strcmp(argv[1], "--help") == 0;

        print_help(help ? stdout : stderr);
        return help ? 0 : 2;
    }
    if (!config_load(&config, error, sizeof error)) {
        log_error("%s", error);
        return strcmp(error, "out of memory") == 0 ? 1 : WRONG_SETTING;
    }
    result = run(&config, once);
    config_close(&config);
    return result;
}
