/*
 * A password from the terminal: see cli_prompt.h.
 *
 * Echo is switched on again even if a signal ends the question: the signal only ends the wait for
 * the line, and is raised again afterwards. The signals are blocked except during that wait, so
 * that none of them is handled just before it and then waits for the line, too.
 */
#include "cli/cli_prompt.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/arena.h"
#include "cli/cli.h"

static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};
enum { SIGNALS = sizeof signals / sizeof signals[0] };

static volatile sig_atomic_t caught;

static void note_signal(int number)
{
    caught = number;
}

/* Waits for a line, under the mask of signals, and reads it. A read from a terminal returns one. */
static bool read_line(int tty, const sigset_t *mask, char *to, size_t size)
{
    struct pollfd input = {.fd = tty, .events = POLLIN};
    ssize_t len = ppoll(&input, 1, NULL, mask) == 1 ? read(tty, to, size - 1) : -1;
    char *end;

    if (len <= 0)
        return false;
    to[len] = '\0';
    end = strchr(to, '\n');
    if (end)
        *end = '\0';
    return end != NULL;
}

/* Asks without echo. `mask` is that of the wait. */
static bool ask_silently(int tty, const sigset_t *mask, const char *question, char *to, size_t size)
{
    struct termios before, silent;
    bool ok;

    if (tcgetattr(tty, &before) != 0)
        return false;
    silent = before;
    silent.c_lflag &= ~(tcflag_t)ECHO;
    /* ask only when echo is off: from then on, typed characters are neither echoed nor discarded */
    ok = tcsetattr(tty, TCSAFLUSH, &silent) == 0 && dprintf(tty, "%s", question) > 0 &&
         read_line(tty, mask, to, size);
    (void)tcsetattr(tty, TCSAFLUSH, &before);
    (void)dprintf(tty, "\n"); /* the one that was typed was not echoed */
    return ok;
}

static bool ask_between_signals(int tty, const char *question, char *to, size_t size)
{
    struct sigaction note = {.sa_handler = note_signal}, old[SIGNALS];
    sigset_t blocked, mask;
    bool ok;

    caught = 0;
    (void)sigemptyset(&blocked);
    for (int i = 0; i < SIGNALS; i++)
        (void)sigaddset(&blocked, signals[i]);
    (void)sigprocmask(SIG_BLOCK, &blocked, &mask);
    for (int i = 0; i < SIGNALS; i++)
        (void)sigaction(signals[i], &note, &old[i]);
    ok = ask_silently(tty, &mask, question, to, size);
    for (int i = 0; i < SIGNALS; i++)
        (void)sigaction(signals[i], &old[i], NULL);
    (void)sigprocmask(SIG_SETMASK, &mask, NULL);
    if (caught)
        (void)raise(caught);
    return ok && !caught;
}

bool cli_prompt_password(const struct cli *cli, const char *user, char *to, size_t size)
{
    const char *question = arena_printf(cli->arena, "Password of %s at %s: ", cli_shown(cli, user),
                                        cli_shown(cli, cli->url));
    int tty = question ? open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC) : -1;
    bool ok;

    if (tty < 0)
        return false;
    ok = ask_between_signals(tty, question, to, size);
    (void)close(tty);
    return ok;
}
