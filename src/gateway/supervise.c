/* The supervisor: see supervise.h. */
#include "gateway/supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "config/config.h"
#include "config/config_environment.h"
#include "gateway/announce.h"
#include "gateway/deliverer.h"
#include "gateway/listen.h"
#include "store/store.h"

enum {
    QUICK_DEATH_MS = 1000,
    PAUSE_MS = 250,
    QUICK_DEATHS = 3,  /* after this many in a row, restarts pause, and not every death is logged */
    FAILURES = 5,      /* failed starts in a row, of every responder: then the supervisor ends */
    SERVES_MS = 60000, /* longer than any start takes: a responder of that age has served */
    DELIVERER_PAUSE_MS = 10000, /* between starts of a deliverer that failed FAILURES times */
    KILL_AFTER_MS = 5000,       /* added to DS_STOP_TIMEOUT_MS, the time for a graceful end */
};

/* Responders, and at the end of their array the process that delivers webhooks, if there is one.
   That one may fail without ending the service. */
struct child {
    bool delivers;
    pid_t pid;        /* -1: not running, to be started again */
    int64_t started;  /* monotonic ms */
    int quick_deaths; /* deaths in a row, each within QUICK_DEATH_MS of its start */
    int failures;     /* exits in a row with a status other than 0, which means a failed start */
    int status;       /* of the last failure; 0: the last end was not a failure */
};

/* The socket of a single FastCGI door becomes descriptor 0, as a web server would pass it. */
static bool pass_socket(int fd)
{
    /* dup2() onto the same number would leave it close-on-exec */
    return fd == STDIN_FILENO ? fcntl(fd, F_SETFD, 0) == 0 : dup2(fd, STDIN_FILENO) == STDIN_FILENO;
}

/* Others keep their numbers, and are named: fcgi:10 http:11. */
static bool name_sockets(const struct listening *listening, char *const *argv, size_t size)
{
    for (int i = 0; i < listening->count; i++) {
        const struct door_socket *door = &listening->socket[i];

        if (fcntl(door->fd, F_SETFD, 0) != 0)
            return false;
        (void)snprintf(argv[2 + i], size, "%s:%d", door->kind == DOOR_HTTP ? "http" : "fcgi",
                       door->fd);
    }
    return true;
}

static void become_responder(const struct listening *listening)
{
    char self[4096]; /* the real path: ps would show /proc/self/exe */
    char words[LISTEN_MOST][24];
    char *argv[LISTEN_MOST + 3] = {"durable-streams.fcgi", NULL};
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    bool ok;

    if (len <= 0)
        _exit(127);
    self[len] = '\0';
    if (listening->count == 1 && listening->socket[0].kind == DOOR_FCGI) {
        ok = pass_socket(listening->socket[0].fd);
    } else {
        argv[1] = "--serve";
        for (int i = 0; i < listening->count; i++)
            argv[2 + i] = words[i];
        ok = name_sockets(listening, argv, sizeof words[0]);
    }
    if (ok)
        (void)execv(self, argv);
    _exit(127);
}

static void become_child(const struct child *child, const struct listening *listening)
{
    sigset_t none;

    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    config_forget_service_manager();
    if (!child->delivers)
        become_responder(listening);
    /* a listening socket may have this number, and is for responders only */
    (void)close(STDIN_FILENO);
    deliverer_become(false);
    _exit(127);
}

static const char *child_name(const struct child *child)
{
    return child->delivers ? "deliverer" : "responder";
}

static void start_child(struct child *child, const struct listening *listening)
{
    pid_t parent = getpid();

    child->started = clock_monotonic_ms();
    child->pid = fork();
    if (child->pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGTERM); /* no child outlives its supervisor */
        if (getppid() == parent)
            become_child(child, listening);
        _exit(1);
    }
    if (child->pid < 0)
        log_error("cannot start a %s: %s", child_name(child), strerror(errno));
}

/* True for the 1st, 2nd, 3rd, 4th, 8th, 16th … death in a row of one responder. */
static bool is_death_logged(int deaths)
{
    return deaths <= QUICK_DEATHS || (deaths & (deaths - 1)) == 0;
}

static void log_death(const struct child *child, int status, int64_t lived)
{
    char again[40] = "";

    if (child->quick_deaths > 1)
        (void)snprintf(again, sizeof again, ", death %d in a row", child->quick_deaths);
    if (WIFSIGNALED(status))
        log_warn("%s %d was ended by signal %d (%s) after %lld ms%s: starting it again",
                 child_name(child), (int)child->pid, WTERMSIG(status), strsignal(WTERMSIG(status)),
                 (long long)lived, again);
    else
        log_warn("%s %d ended with status %d after %lld ms%s: starting it again", child_name(child),
                 (int)child->pid, WEXITSTATUS(status), (long long)lived, again);
}

static void note_death(struct child *child, int status)
{
    int64_t lived = clock_monotonic_ms() - child->started;
    bool failed = WIFEXITED(status) && WEXITSTATUS(status) != 0;

    child->quick_deaths = lived < QUICK_DEATH_MS ? child->quick_deaths + 1 : 0;
    child->failures = failed ? child->failures + 1 : 0;
    child->status = failed ? WEXITSTATUS(status) : 0;
    if (is_death_logged(child->quick_deaths))
        log_death(child, status, lived);
    child->pid = -1;
}

static void reap_children(struct child *children, int64_t n)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        for (int64_t i = 0; i < n; i++)
            if (children[i].pid == pid)
                note_death(&children[i], status);
}

/* Forgets the failures of responders that have run for SERVES_MS. */
static void forgive_failures(struct child *children, int64_t n)
{
    int64_t now = clock_monotonic_ms();

    for (int64_t i = 0; i < n; i++)
        if (children[i].pid > 0 && now - children[i].started > SERVES_MS)
            children[i].failures = 0;
}

/* Returns the exit status for the reason why no responder can start; 0 if some can. */
static int find_failure(const struct child *children, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (children[i].status == SUPERVISE_WRONG_SETTING)
            return SUPERVISE_WRONG_SETTING;
    for (int64_t i = 0; i < n; i++)
        if (children[i].failures < FAILURES)
            return 0;
    return 1;
}

/* A child that keeps dying soon after its start is started every PAUSE_MS, others at once. */
static int64_t pause_of(const struct child *child)
{
    if (child->delivers && child->failures >= FAILURES)
        return DELIVERER_PAUSE_MS;
    return child->quick_deaths < QUICK_DEATHS ? 0 : PAUSE_MS;
}

static void start_missing(struct child *children, int64_t n, const struct listening *listening)
{
    for (int64_t i = 0; i < n; i++)
        if (children[i].pid < 0 &&
            clock_monotonic_ms() - children[i].started >= pause_of(&children[i]))
            start_child(&children[i], listening);
}

/* Waits until all children have ended, or until a monotonic time in ms. */
static void await_ends(struct child *children, int64_t n, int64_t until)
{
    const struct timespec pause = {0, PAUSE_MS * 1000000};
    sigset_t ends;
    pid_t pid;

    (void)sigemptyset(&ends);
    (void)sigaddset(&ends, SIGCHLD);
    while ((pid = waitpid(-1, NULL, WNOHANG)) >= 0 && clock_monotonic_ms() < until) {
        for (int64_t i = 0; i < n; i++)
            if (pid > 0 && children[i].pid == pid)
                children[i].pid = -1;
        if (pid == 0)
            (void)sigtimedwait(&ends, NULL, &pause);
    }
}

static void end_children(struct child *children, int64_t n, const struct config *config)
{
    int64_t patience = config->stop_timeout_ms + KILL_AFTER_MS;

    for (int64_t i = 0; i < n; i++)
        if (children[i].pid > 0)
            (void)kill(children[i].pid, SIGTERM);
    await_ends(children, n, clock_monotonic_ms() + patience);
    for (int64_t i = 0; i < n; i++)
        if (children[i].pid > 0 && waitpid(children[i].pid, NULL, WNOHANG) == 0) {
            log_error("%s %d hangs: killing it, because it did not stop within %lld ms",
                      child_name(&children[i]), (int)children[i].pid, (long long)patience);
            (void)kill(children[i].pid, SIGKILL);
        }
    await_ends(children, n, clock_monotonic_ms() + KILL_AFTER_MS);
}

/* Restarts the children, of which n are responders, until a signal ends the supervisor (0) or no
   responder can start (status). */
static int watch_children(struct child *children, int64_t n, int64_t all,
                          const struct listening *listening, const sigset_t *signals)
{
    const struct timespec pause = {0, PAUSE_MS * 1000000};
    int failure = 0;

    while (failure == 0) {
        int signal = sigtimedwait(signals, NULL, &pause);

        if (signal > 0 && signal != SIGCHLD)
            return 0;
        reap_children(children, all);
        forgive_failures(children, all);
        failure = find_failure(children, n);
        if (failure == 0)
            start_missing(children, all, listening);
    }
    log_error("no responder can start, for the reason in the lines above: exiting with status %d",
              failure);
    return failure;
}

void supervise_refuse(const char *const *addresses, int count)
{
    static const char *const passed[] = {"systemd"};
    struct listening listening;

    /* sockets that the program opens itself are not open yet */
    for (int i = 0; i < count && config_passed_sockets() > 0; i++)
        if (strcmp(addresses[i], passed[0]) == 0 && listen_open(&listening, passed, 1)) {
            listen_refuse(&listening);
            return;
        }
}

/* Does this supervisor keep a process that delivers webhooks? */
static bool is_deliverer_wanted(const struct config *config)
{
    if (config->webhooks == 0)
        return false;
    if (!deliverer_is_here()) { /* the systemd unit hides it, for it has a unit of its own */
        log_info("this supervisor starts no durable-streams-deliver: it cannot be run here");
        return false;
    }
    return true;
}

int supervise(const struct config *config, const char *const *addresses, int count, bool announces)
{
    int64_t n = config->processes, all = n;
    struct child *children = calloc((size_t)n + 1, sizeof *children);
    struct store *store = NULL;
    struct listening listening;
    sigset_t signals;
    char where[1024];
    int result = 1, output = -1;

    if (!listen_check(addresses, count)) {
        supervise_refuse(addresses, count);
        result = SUPERVISE_WRONG_SETTING;
        goto free_children;
    }
    config_warn_unknown();
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGCHLD);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGHUP);
    (void)sigaddset(&signals, SIGUSR1);
    (void)sigprocmask(SIG_BLOCK, &signals, NULL);
    if (!children)
        return 1;
    if (announces && (output = announce_open()) < 0)
        goto free_children;
    if (!listen_open(&listening, addresses, count))
        goto free_children;
    listen_warn(&listening);
    /* kept open, so that a restarted responder is never the first process to open the database */
    if (store_open(&store, config, true) != DS_OK)
        goto end_listening;
    if (is_deliverer_wanted(config))
        children[all++].delivers = true;
    for (int64_t i = 0; i < all; i++)
        start_child(&children[i], &listening);
    if (announces)
        announce_start(output, &listening);
    listen_describe(&listening, where, sizeof where);
    log_info("listening on %s with %lld responder%s, database %s", where, (long long)n,
             n == 1 ? "" : "s", config->database);
    listen_notify("READY=1");
    result = watch_children(children, n, all, &listening, &signals);
    listen_notify("STOPPING=1");
end_listening:
    listen_end(&listening);
    if (store) /* otherwise no responder was started */
        end_children(children, all, config);
    if (result != 0)
        listen_refuse(&listening);
    store_close(store, true);
    listen_close(&listening);
free_children:
    free(children);
    return result;
}
