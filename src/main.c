/*
 * durable-streams.fcgi finds out how it was started, and runs as one of these:
 *
 *     --listen ADDRESS … [--print-url]     the supervisor
 *     --serve fcgi:N http:N …              started by the supervisor, with listening sockets
 *     --deliver                            another program takes its place
 *     REQUEST_METHOD in the environment    CGI: serves one request
 *     descriptor 0 is a listening socket   FastCGI: started by a web server
 *     none of these                        prints a help text: a person has started it
 */
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/descriptors.h"
#include "base/digits.h"
#include "base/log.h"
#include "config/config.h"
#include "config/config_environment.h"
#include "durable_streams.h"
#include "gateway/deliverer.h"
#include "gateway/gateway.h"
#include "gateway/gateway_cgi.h"
#include "gateway/listen.h"
#include "gateway/supervise.h"
#include "server/server.h"
#include "store/store.h"

static void print_help(FILE *out)
{
    (void)fprintf(
        out,
        "durable-streams.fcgi " DS_VERSION ": a Durable Streams server for FastCGI and CGI\n"
        "\n"
        "  durable-streams.fcgi --listen http:127.0.0.1:4437      serve HTTP\n"
        "  durable-streams.fcgi --listen unix:/run/streams.sock   serve FastCGI on a unix socket\n"
        "  durable-streams.fcgi --listen 127.0.0.1:9000           serve FastCGI on a TCP port\n"
        "  durable-streams.fcgi --listen systemd                  serve on the sockets of systemd\n"
        "  durable-streams.fcgi --deliver                         deliver webhooks\n"
        "  durable-streams.fcgi --deliver --once                  deliver what is due, from cron\n"
        "  durable-streams.fcgi --database                        print the database's path\n"
        "  durable-streams.fcgi --help | --version\n"
        "\n"
        "--listen may be repeated, and http:unix:/path and http:[::1]:4437 are addresses too.\n"
        "--print-url at the end: print the URL of the first HTTP port, once it answers.\n"
        "A web server starts it without arguments, as FastCGI responder (descriptor 0 is a\n"
        "listening socket) or as CGI program. SIGTERM and SIGUSR1 stop it gracefully. The\n"
        "settings are environment variables:\n"
        "\n");
    config_print_help(out);
}

/*
 * Only the main thread takes signals, by sigwait(); all other threads inherit this mask. Must be
 * called before any function of libfcgi, which would install handlers of its own.
 */
static void block_signals(sigset_t *signals)
{
    (void)sigemptyset(signals);
    (void)sigaddset(signals, SIGTERM);
    (void)sigaddset(signals, SIGINT);
    (void)sigaddset(signals, SIGHUP);
    (void)sigaddset(signals, SIGUSR1);
    /* the host's limit of CPU time: the next process gets a new one */
    (void)sigaddset(signals, SIGXCPU);
    (void)pthread_sigmask(SIG_BLOCK, signals, NULL);
}

/* A write to a closed connection, or beyond a file size limit, must not end the process. */
static void ignore_signals(void)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};

    (void)sigaction(SIGPIPE, &ignore, NULL);
    (void)sigaction(SIGXFSZ, &ignore, NULL);
}

/* Every waiting reader needs a descriptor: raises the soft limit to the hard limit. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/*
 * Under SCHED_BATCH, a thread that is woken does not preempt the running process, which is usually
 * the web server. When the thread's turn comes, more requests are waiting, and batches are larger.
 * That saves a third of the cost of a request where CPUs are short.
 */
static void interrupt_nobody(void)
{
    struct sched_param ordinary = {.sched_priority = 0};

    (void)sched_setscheduler(0, SCHED_BATCH, &ordinary); /* threads inherit it */
}

static int run_gateway(const struct config *config, const sigset_t *signals,
                       const struct door_socket *sockets, int count)
{
    struct server server;
    struct gateway *gateway;
    int signal, result = 1;

    config_warn_unknown();
    raise_descriptor_limit();
    interrupt_nobody();
    if (server_start(&server, config, true) != DS_OK)
        return 1;
    gateway = gateway_new(&server, sockets, count);
    if (gateway && gateway_start(gateway) == DS_OK) {
        log_debug("serving requests");
        log_info("SQLite %s%s", store_sqlite_release(),
                 store_sqlite_has_reset_bug()
                     ? ", which has the WAL-reset bug: let nothing else checkpoint this database"
                     : "");
        (void)sigwait(signals, &signal);
        log_debug("ending after signal %d", signal);
        result = 0;
    }
    if (gateway) {
        gateway_close_listener(gateway);
        server_drain(&server);
        gateway_stop(gateway);
        server_drain(&server); /* for requests that arrived meanwhile on open connections */
    }
    server_close(&server);
    gateway_free(gateway);
    return result;
}

static int run_cgi(const struct config *config)
{
    static struct server server; /* never closed: the process ends */
    int result;

    store_use_one_thread();
    if (server_start(&server, config, false) != DS_OK)
        return gateway_cgi_apologize(config);
    result = gateway_cgi_run(&server);
    server_leave(&server);
    return result;
}

/* One more than listen_check() accepts, so that it can say so. */
enum { ADDRESSES_MOST = LISTEN_MOST + 1 };

/* The addresses of `--listen A --listen B [--print-url]`; 0: these are other arguments. */
static int read_addresses(int argc, char **argv, const char *addresses[static ADDRESSES_MOST],
                          bool *announces)
{
    int count = 0;

    *announces = strcmp(argv[argc > 0 ? argc - 1 : 0], "--print-url") == 0;
    argc -= *announces;
    for (int i = 1; i < argc; i += 2) {
        if (strcmp(argv[i], "--listen") != 0 || i + 1 == argc)
            return 0;
        if (count < ADDRESSES_MOST)
            addresses[count++] = argv[i + 1];
    }
    return count;
}

/* The sockets of `--serve fcgi:10 http:11`; 0: these are other arguments. */
static int read_sockets(int argc, char **argv, struct door_socket sockets[static LISTEN_MOST])
{
    int count = 0;

    if (argc < 3 || argc - 2 > LISTEN_MOST || strcmp(argv[1], "--serve") != 0)
        return 0;
    for (int i = 2; i < argc; i++) {
        bool is_http = strncmp(argv[i], "http:", 5) == 0;
        const char *number = argv[i] + sizeof "http:" - 1;
        int64_t fd;

        if (!is_http && strncmp(argv[i], "fcgi:", 5) != 0)
            return 0;
        if (!digits_parse(number, strlen(number), INT_MAX, &fd) ||
            fcntl((int)fd, F_SETFD, FD_CLOEXEC) != 0)
            return 0;
        sockets[count++] = (struct door_socket){(int)fd, is_http ? DOOR_HTTP : DOOR_FCGI};
    }
    return count;
}

/* Ends without a configuration. Memory may be available later; a wrong setting stays wrong. */
static int end_unset(int argc, char **argv, const char *error)
{
    const char *addresses[ADDRESSES_MOST];
    bool heals = strcmp(error, "out of memory") == 0, announces;
    int listens = read_addresses(argc, argv, addresses, &announces);

    log_error("%s", error);
    if (listens > 0)
        supervise_refuse(addresses, listens);
    else if (heals && argc == 1 && gateway_cgi_is_here())
        return gateway_cgi_apologize(NULL);
    return heals ? 1 : SUPERVISE_WRONG_SETTING;
}

/* Returns the exit status if there is no such program. */
static int deliver(bool once)
{
    deliverer_become(once);
    log_error("durable-streams-deliver is not installed: no webhooks are delivered");
    return 1;
}

int main(int argc, char **argv)
{
    static const struct door_socket passed = {0, DOOR_FCGI};
    struct door_socket sockets[LISTEN_MOST];
    const char *addresses[ADDRESSES_MOST];
    struct config config;
    sigset_t signals;
    char error[160];
    int result = 2, listens, serves;
    bool announces;

    log_open(LOG_INFO_);
    log_detect_journal(config_journal_stream());
    descriptors_occupy(false);
    ignore_signals();
    if (argc > 1 && strcmp(argv[1], "--version") == 0) {
        (void)puts("durable-streams.fcgi " DS_VERSION);
        return 0;
    }
    if (argc > 1 && strcmp(argv[1], "--help") == 0) {
        print_help(stdout);
        return 0;
    }
    if (argc > 1 && strcmp(argv[1], "--help=man") == 0) {
        config_print_man(stdout);
        return 0;
    }
    if (argc > 1 && argc < 4 && strcmp(argv[1], "--deliver") == 0 &&
        (argc == 2 || strcmp(argv[2], "--once") == 0))
        return deliver(argc == 3);
    if (!config_load(&config, error, sizeof error))
        return end_unset(argc, argv, error);
    log_set_least((enum log_level)config.log_level);
    store_own_process();
    listens = read_addresses(argc, argv, addresses, &announces);
    serves = read_sockets(argc, argv, sockets);
    if (listens > 0)
        result = supervise(&config, addresses, listens, announces);
    else if (argc == 2 && strcmp(argv[1], "--database") == 0)
        result = puts(config.database) < 0; /* with DS_DURABILITY=memory it is not DS_DATABASE */
    else if (serves > 0)
        result = (block_signals(&signals), run_gateway(&config, &signals, sockets, serves));
    else if (argc > 1)
        (void)fprintf(stderr, "durable-streams: unknown arguments, see --help\n");
    else if (gateway_cgi_is_here())
        result = run_cgi(&config);
    else if (block_signals(&signals), gateway_is_fcgi())
        result = run_gateway(&config, &signals, &passed, 1);
    else
        print_help(stderr);
    config_close(&config);
    return result;
}
