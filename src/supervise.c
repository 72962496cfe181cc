/* The supervisor: see supervise.h. */
#include "supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "config.h"
#include "listen.h"
#include "log.h"
#include "store.h"

enum { QUICK_DEATH_MS = 1000, PAUSE_MS = 250 };

struct child {
    pid_t pid; /* -1: to be started again */
    int64_t started;
    int quick_deaths; /* in a row, each within QUICK_DEATH_MS of its start */
};

static void become_responder(int listening)
{
    char self[4096]; /* by its own name, which /proc/self/exe would hide from ps */
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    sigset_t none;

    if (len <= 0)
        _exit(127);
    self[len] = '\0';
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    config_forget_service_manager();
    /* dup2() onto itself would leave it close-on-exec */
    if (listening == STDIN_FILENO ? fcntl(listening, F_SETFD, 0) == 0
                                  : dup2(listening, STDIN_FILENO) == STDIN_FILENO)
        (void)execl(self, "durable-streams.fcgi", (char *)NULL);
    _exit(127);
}

static void start_child(struct child *child, int listening)
{
    pid_t parent = getpid();

    child->started = clock_monotonic_ms();
    child->pid = fork();
    if (child->pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGTERM); /* a responder does not outlive its supervisor */
        if (getppid() == parent)
            become_responder(listening);
        _exit(1);
    }
    if (child->pid < 0)
        log_error("cannot start a responder: %s", strerror(errno));
}

static void note_death(struct child *child, int status)
{
    if (WIFSIGNALED(status))
        log_warn("responder %d was ended by signal %d: starting it again", (int)child->pid,
                 WTERMSIG(status));
    else
        log_warn("responder %d ended with status %d: starting it again", (int)child->pid,
                 WEXITSTATUS(status));
    if (clock_monotonic_ms() - child->started < QUICK_DEATH_MS)
        child->quick_deaths++;
    else
        child->quick_deaths = 0;
    child->pid = -1;
}

static void reap(struct child *children, int64_t n)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        for (int64_t i = 0; i < n; i++)
            if (children[i].pid == pid)
                note_death(&children[i], status);
}

/* At once, but for one that dies as soon as it starts: that one a few times a second. */
static void start_missing(struct child *children, int64_t n, int listening)
{
    for (int64_t i = 0; i < n; i++)
        if (children[i].pid < 0 && (children[i].quick_deaths < 3 ||
                                    clock_monotonic_ms() - children[i].started >= PAUSE_MS))
            start_child(&children[i], listening);
}

static void end_children(const struct child *children, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (children[i].pid > 0)
            (void)kill(children[i].pid, SIGTERM);
    while (wait(NULL) > 0 || errno == EINTR)
        ;
}

/* Watches over the children until a signal says stop. */
static void watch(struct child *children, int64_t n, int listening, const sigset_t *signals)
{
    const struct timespec pause = {0, PAUSE_MS * 1000000};

    for (;;) {
        int signal = sigtimedwait(signals, NULL, &pause);

        if (signal > 0 && signal != SIGCHLD)
            return;
        reap(children, n);
        start_missing(children, n, listening);
    }
}

int supervise(const struct config *config, const char *address)
{
    int64_t n = config->processes;
    struct child *children = calloc((size_t)n, sizeof *children);
    struct store *store = NULL;
    sigset_t signals;
    int listening = -1, result = 1;

    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGCHLD);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGHUP);
    (void)sigaddset(&signals, SIGUSR1);
    (void)sigprocmask(SIG_BLOCK, &signals, NULL);
    if (!children)
        goto end;
    listening = listen_on(address);
    if (listening < 0) {
        if (errno == ENOTCONN)
            log_error("the service manager has passed no socket, or more than one");
        else
            log_error("cannot listen on %s: %s", address, strerror(errno));
        goto end;
    }
    /* held open for as long as we live: a restarted responder is never the first one */
    if (store_open(&store, config, true) != DS_OK)
        goto unlisten;
    for (int64_t i = 0; i < n; i++)
        start_child(&children[i], listening);
    log_info("listening on %s with %lld responder%s, database %s", address, (long long)n,
             n == 1 ? "" : "s", config->database);
    listen_notify("READY=1");
    watch(children, n, listening, &signals);
    listen_notify("STOPPING=1");
    result = 0;
unlisten:
    listen_end(address);
    if (store)
        end_children(children, n);
end:
    store_close(store, true);
    if (listening >= 0)
        (void)close(listening);
    free(children);
    return result;
}
