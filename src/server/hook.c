/*
 * The hook: see hook.h.
 *
 * One thread starts the programs and waits for them; the lock guards only the queue. A program gets
 * its event as a memory file on descriptor 0, so that the thread never waits for it to read. Its
 * output goes to the server's log. It runs in a process group of its own: when its time is up,
 * everything that it has started is killed with it.
 */
#include "server/hook.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/descriptors.h"
#include "base/log.h"
#include "base/utf8.h"
#include "config/config.h"
#include "config/config_environment.h"
#include "protocol/json_string.h"

enum {
    QUEUE = 4096,       /* the most events that wait for a program */
    LOOK_MS = 10,       /* between checks of the programs, if the kernel has no pidfd_open() */
    COMPLAIN_MS = 1000, /* between lines about failures in the log */
    KILL_AGAIN_MS = 1000,
};

struct job {
    struct job *next;
    size_t len;
    char line[];
};

struct program {
    pid_t pid; /* 0: this slot is free */
    int fd;    /* a pidfd, readable once the program has ended; -1: none */
    int64_t started_at, kill_at;
    bool killed;
};

struct hook {
    const struct config *config;
    char **environment;
    bool threaded;
    bool has_log; /* descriptor 2 is the log, and programs may write to it */
    pthread_t thread;
    int poke; /* an eventfd that ends the thread's sleep */

    pthread_mutex_t lock;
    struct job *first, **last;
    int queued;
    int64_t dropped; /* events since the queue became full */
    int64_t until;   /* see hook_stop(); INT64_MAX: not stopping */

    struct program *program; /* config->hook_processes slots */
    struct pollfd *sleep_on; /* one for each program, and one for poke */
    int64_t running;
    int64_t next_complaint; /* monotonic ms */
    int64_t unheard;        /* failures since the last line in the log */
};

/* --- the queue --- */

static void add_member(struct buf *line, const char *name, const char *text)
{
    struct buf valid = {0};

    utf8_add_lossy(&valid, text, strlen(text));
    buf_printf(line, "\"%s\":\"", name);
    json_add_escaped(line, valid.data ? valid.data : "", valid.len);
    buf_adds(line, "\",");
    if (buf_failed(&valid))
        line->failed = true;
    buf_close(&valid);
}

static struct job *new_job(const struct ds_event *event)
{
    struct buf line = {0};
    struct job *job = NULL;

    buf_printf(&line, "{\"type\":\"%s\",", event->kind == DS_EVENT_CREATED ? "created" : "deleted");
    add_member(&line, "path", event->path);
    add_member(&line, "contentType", event->content_type);
    buf_printf(&line, "\"createdAt\":%" PRId64 ",\"timestamp\":%" PRId64 "}\n", event->created_at,
               event->at);
    if (!buf_failed(&line))
        job = malloc(sizeof *job + line.len);
    if (job) {
        job->next = NULL;
        job->len = line.len;
        memcpy(job->line, line.data, line.len);
    }
    buf_close(&line);
    return job;
}

static void wake_hook(const struct hook *hook)
{
    uint64_t one = 1;

    if (write(hook->poke, &one, sizeof one) < 0 && errno != EAGAIN)
        log_error("cannot wake the hook: %s", strerror(errno));
}

void hook_tell(void *arg, const struct ds_event *event)
{
    struct hook *hook = arg;
    struct job *job = new_job(event);
    bool fits;
    int64_t dropped = 0;

    if (!job) {
        log_error("out of memory: the hook is not run for %s", event->path);
        return;
    }
    (void)pthread_mutex_lock(&hook->lock);
    fits = hook->queued < QUEUE;
    if (fits) {
        *hook->last = job;
        hook->last = &job->next;
        hook->queued++;
    } else {
        dropped = ++hook->dropped;
    }
    (void)pthread_mutex_unlock(&hook->lock);
    if (fits) {
        wake_hook(hook);
        return;
    }
    free(job);
    if (dropped == 1)
        log_warn("the hook is too slow: %d events are waiting, further ones are dropped", QUEUE);
}

/* Returns the next event, or NULL if there is none. */
static struct job *take_job(struct hook *hook)
{
    struct job *job;
    int64_t dropped = 0;

    (void)pthread_mutex_lock(&hook->lock);
    job = hook->first;
    if (job) {
        hook->first = job->next;
        if (!hook->first)
            hook->last = &hook->first;
        hook->queued--;
    } else {
        dropped = hook->dropped; /* the queue is empty again: time to say how many */
        hook->dropped = 0;
    }
    (void)pthread_mutex_unlock(&hook->lock);
    if (dropped > 0)
        log_warn("the hook was too slow: %" PRId64 " events were dropped", dropped);
    return job;
}

/* --- running programs --- */

/* Logs a failure; a thousand of them in a row become one line a second. */
__attribute__((format(printf, 2, 3))) static void log_hook_failure(struct hook *hook,
                                                                   const char *format, ...)
{
    int64_t now = clock_monotonic_ms();
    char what[160];
    va_list args;

    if (now < hook->next_complaint) {
        hook->unheard++;
        return;
    }
    hook->next_complaint = now + COMPLAIN_MS;
    if (hook->unheard > 0)
        log_warn("the hook failed %" PRId64 " more times", hook->unheard);
    hook->unheard = 0;
    va_start(args, format);
    (void)vsnprintf(what, sizeof what, format, args);
    va_end(args);
    log_warn("the hook %s %s", hook->config->hook, what);
}

/* Returns a file with the event, from whose beginning the program reads; -1 and errno. */
static int open_event(const struct job *job)
{
    int fd = descriptor_high(memfd_create("event", MFD_CLOEXEC));

    if (fd < 0 || pwrite(fd, job->line, job->len, 0) == (ssize_t)job->len)
        return fd;
    (void)close(fd);
    return -1;
}

/* Starts a program, which inherits neither our signals nor our descriptors. Returns 0 or an
   errno. */
static int spawn_program(struct hook *hook, int event, pid_t *pid)
{
    char *argv[] = {hook->config->hook, NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t how;
    sigset_t none, all;
    int error = posix_spawn_file_actions_init(&files);

    if (error != 0)
        return error;
    error = posix_spawnattr_init(&how);
    if (error != 0)
        goto end;
    (void)sigemptyset(&none);
    (void)sigfillset(&all);
    (void)posix_spawnattr_setsigmask(&how, &none);
    (void)posix_spawnattr_setsigdefault(&how, &all);
    (void)posix_spawnattr_setpgroup(&how, 0);
    (void)posix_spawnattr_setflags(&how, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                             POSIX_SPAWN_SETPGROUP);
    error = posix_spawn_file_actions_adddup2(&files, event, STDIN_FILENO);
    if (error == 0 && !hook->has_log)
        error = posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    if (error == 0)
        error = posix_spawn_file_actions_adddup2(&files, STDERR_FILENO, STDOUT_FILENO);
    if (error == 0)
        error = posix_spawn(pid, argv[0], &files, &how, argv, hook->environment);
    (void)posix_spawnattr_destroy(&how);
end:
    (void)posix_spawn_file_actions_destroy(&files);
    return error;
}

static void start_program(struct hook *hook, struct program *program, const struct job *job)
{
    int event = open_event(job);
    int error = event < 0 ? errno : spawn_program(hook, event, &program->pid);

    if (event >= 0)
        (void)close(event);
    if (error != 0) {
        program->pid = 0;
        log_hook_failure(hook, "cannot be run: %s", strerror(error));
        return;
    }
    program->started_at = clock_monotonic_ms();
    program->kill_at = program->started_at + hook->config->hook_timeout_ms;
    program->killed = false;
    program->fd = (int)syscall(SYS_pidfd_open, program->pid, 0);
    hook->running++;
}

static void note_program_end(struct hook *hook, const struct program *program, int status)
{
    if (program->killed)
        return; /* logged when it was killed */
    if (WIFSIGNALED(status))
        log_hook_failure(hook, "was ended by signal %d", WTERMSIG(status));
    else if (WEXITSTATUS(status) != 0)
        log_hook_failure(hook, "ended with status %d", WEXITSTATUS(status));
}

/* Frees the slot of a program that has ended; kills a program whose time is up. */
static void check_program(struct hook *hook, struct program *program, int64_t now)
{
    int status = 0;
    pid_t ended = waitpid(program->pid, &status, WNOHANG);

    if (ended > 0)
        note_program_end(hook, program, status);
    if (ended > 0 || (ended < 0 && errno == ECHILD)) {
        if (program->fd >= 0)
            (void)close(program->fd);
        program->pid = 0;
        hook->running--;
    } else if (now >= program->kill_at) {
        if (!program->killed)
            log_hook_failure(hook, "was killed after %" PRId64 " ms: its time was up",
                             now - program->started_at);
        program->killed = true;
        program->kill_at = now + KILL_AGAIN_MS;
        (void)kill(-program->pid, SIGKILL);
    }
}

static bool start_next_job(struct hook *hook, struct program *program)
{
    struct job *job = take_job(hook);

    if (job)
        start_program(hook, program, job);
    free(job);
    return job != NULL;
}

/* Frees the slots of programs that have ended, and fills them again. Returns the monotonic ms of
   the next time-out. */
static int64_t visit_programs(struct hook *hook, bool start_more)
{
    int64_t now = clock_monotonic_ms(), due = INT64_MAX;

    for (int64_t i = 0; i < hook->config->hook_processes; i++) {
        struct program *program = &hook->program[i];

        if (program->pid != 0)
            check_program(hook, program, now);
        while (program->pid == 0 && start_more && start_next_job(hook, program))
            ;
        if (program->pid == 0)
            continue;
        if (program->kill_at < due)
            due = program->kill_at;
        if (program->fd < 0 && now + LOOK_MS < due)
            due = now + LOOK_MS;
    }
    return due;
}

static void wait_for_programs(struct hook *hook, int64_t due)
{
    struct pollfd *sleep_on = hook->sleep_on;
    int64_t now = clock_monotonic_ms();
    uint64_t count;
    nfds_t n = 0;

    sleep_on[n++] = (struct pollfd){.fd = hook->poke, .events = POLLIN};
    for (int64_t i = 0; i < hook->config->hook_processes; i++)
        if (hook->program[i].pid != 0 && hook->program[i].fd >= 0)
            sleep_on[n++] = (struct pollfd){.fd = hook->program[i].fd, .events = POLLIN};
    (void)poll(sleep_on, n, due == INT64_MAX ? -1 : due > now ? (int)(due - now) : 0);
    if (read(hook->poke, &count, sizeof count) < 0) {
        /* a program has ended, or the time is up */
    }
}

static void *run_hook(void *arg)
{
    struct hook *hook = arg;

    for (;;) {
        int64_t due = visit_programs(hook, true), until;
        bool idle;

        (void)pthread_mutex_lock(&hook->lock);
        until = hook->until;
        idle = !hook->first && hook->running == 0;
        (void)pthread_mutex_unlock(&hook->lock);
        if (until != INT64_MAX && (idle || clock_monotonic_ms() >= until))
            return NULL;
        wait_for_programs(hook, due < until ? due : until);
    }
}

/* --- start and stop --- */

static void close_hook(struct hook *hook)
{
    int64_t undone = 0;

    for (struct job *job = hook->first, *next; job; job = next, undone++) {
        next = job->next;
        free(job);
    }
    if (undone > 0)
        log_warn("the hook was not run for %" PRId64 " events: there was no time left", undone);
    if (hook->unheard > 0)
        log_warn("the hook failed %" PRId64 " more times", hook->unheard);
    free(hook->sleep_on);
    free(hook->program);
    config_free_environment(hook->environment);
    if (hook->poke >= 0)
        (void)close(hook->poke);
    (void)pthread_mutex_destroy(&hook->lock);
    free(hook);
}

enum ds_status hook_start(struct hook **out, const struct config *config, bool thread)
{
    struct hook *hook = calloc(1, sizeof *hook);
    struct sigaction usual = {.sa_handler = SIG_DFL};

    if (!hook)
        return DS_NO_MEMORY;
    (void)sigaction(SIGCHLD, &usual, NULL); /* if our parent ignores it, ends would go unseen */
#ifdef CLOSE_RANGE_CLOEXEC
    /* for descriptors that our parent left open; our own are close-on-exec already */
    (void)close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
#endif
    hook->config = config;
    hook->last = &hook->first;
    hook->until = INT64_MAX;
    hook->has_log = descriptors_has_error();
    (void)pthread_mutex_init(&hook->lock, NULL);
    hook->poke = descriptor_high(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    hook->environment = config_environment_for_hook();
    hook->program = calloc((size_t)config->hook_processes, sizeof *hook->program);
    hook->sleep_on = calloc((size_t)config->hook_processes + 1, sizeof *hook->sleep_on);
    if (hook->poke < 0 || !hook->environment || !hook->program || !hook->sleep_on)
        goto fail;
    if (thread && pthread_create(&hook->thread, NULL, run_hook, hook) != 0)
        goto fail;
    hook->threaded = thread;
    *out = hook;
    return DS_OK;
fail:
    close_hook(hook);
    return DS_NO_MEMORY;
}

/* Kills all programs, and waits a second for their ends. */
static void end_programs(struct hook *hook)
{
    int64_t until = clock_monotonic_ms() + KILL_AGAIN_MS;

    for (int64_t i = 0; i < hook->config->hook_processes; i++)
        hook->program[i].kill_at = 0;
    for (;;) {
        (void)visit_programs(hook, false);
        if (hook->running == 0 || clock_monotonic_ms() >= until)
            return;
        wait_for_programs(hook, clock_monotonic_ms() + LOOK_MS);
    }
}

void hook_stop(struct hook *hook, int64_t until)
{
    if (!hook)
        return;
    (void)pthread_mutex_lock(&hook->lock);
    hook->until = until;
    (void)pthread_mutex_unlock(&hook->lock);
    if (hook->threaded) {
        wake_hook(hook);
        (void)pthread_join(hook->thread, NULL);
    } else {
        (void)run_hook(hook);
    }
    if (hook->running > 0)
        end_programs(hook);
    close_hook(hook);
}
