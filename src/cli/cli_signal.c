/* Signals while a lease is held: see cli_signal.h. */
#include "cli/cli_signal.h"

#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/select.h>
#include <time.h>

static const int endings[] = {SIGINT, SIGTERM, SIGHUP};

enum { N_ENDINGS = sizeof endings / sizeof endings[0] };

static struct sigaction before[N_ENDINGS], pipe_before, child_before;
static volatile sig_atomic_t is_holding, noted;
static volatile sig_atomic_t has_happened; /* a signal, since cli_signal_wait() looked */

static void end_by(int number)
{
    sigset_t only;

    (void)signal(number, SIG_DFL);
    (void)sigemptyset(&only);
    (void)sigaddset(&only, number);
    (void)raise(number);
    (void)sigprocmask(SIG_UNBLOCK, &only, NULL);
}

static void take_ending(int number)
{
    if (!is_holding || noted)
        end_by(number);
    noted = number;
    has_happened = 1;
}

static void take_child(int number)
{
    (void)number;
    has_happened = 1;
}

void cli_signal_catch(void)
{
    struct sigaction action = {.sa_handler = take_ending};

    (void)sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < N_ENDINGS; i++)
        if (sigaction(endings[i], NULL, &before[i]) == 0 && before[i].sa_handler != SIG_IGN)
            (void)sigaction(endings[i], &action, NULL);
    action.sa_flags = SA_RESTART | SA_NOCLDSTOP;
    action.sa_handler = take_child;
    (void)sigaction(SIGCHLD, &action, &child_before);
    action.sa_flags = 0;
    action.sa_handler = SIG_IGN;
    (void)sigaction(SIGPIPE, &action, &pipe_before);
}

void cli_signal_restore(void)
{
    for (size_t i = 0; i < N_ENDINGS; i++)
        (void)sigaction(endings[i], &before[i], NULL);
    (void)sigaction(SIGCHLD, &child_before, NULL);
    (void)sigaction(SIGPIPE, &pipe_before, NULL);
}

void cli_signal_hold(void)
{
    is_holding = 1;
}

void cli_signal_free(void)
{
    is_holding = 0;
    if (noted)
        cli_signal_end(noted);
}

int cli_signal_noted(void)
{
    return noted;
}

void cli_signal_end(int signal_number)
{
    end_by(signal_number);
    _Exit(128 + signal_number); /* it is blocked, or handled by a debugger */
}

/* pselect() lets signals in only while it waits, so that none is missed before it. */
void cli_signal_wait(int descriptor, int64_t ms)
{
    struct timespec limit = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};
    sigset_t ours, then;
    fd_set set;

    (void)sigemptyset(&ours);
    for (size_t i = 0; i < N_ENDINGS; i++)
        (void)sigaddset(&ours, endings[i]);
    (void)sigaddset(&ours, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &ours, &then);
    FD_ZERO(&set);
    if (descriptor >= 0)
        FD_SET(descriptor, &set);
    if (!has_happened)
        (void)pselect(descriptor + 1, NULL, descriptor >= 0 ? &set : NULL, NULL, &limit, &then);
    has_happened = 0;
    (void)sigprocmask(SIG_SETMASK, &then, NULL);
}
