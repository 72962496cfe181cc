/*
 * A password from the terminal: see cli_prompt.h.
 *
 * Echo is switched on again even if a signal ends the question: the signal only interrupts the
 * read, and is raised again afterwards.
 */
#include "cli/cli_prompt.h"

#include <fcntl.h>
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

/* A read from a terminal returns one line. */
static bool read_line(int tty, char *to, size_t size)
{
    ssize_t len = read(tty, to, size - 1);
    char *end;

    if (len <= 0)
        return false;
    to[len] = '\0';
    end = strchr(to, '\n');
    if (end)
        *end = '\0';
    return end != NULL;
}

static bool ask_silently(int tty, const char *question, char *to, size_t size)
{
    struct sigaction note = {.sa_handler = note_signal}, old[SIGNALS];
    struct termios before, silent;
    bool ok;

    if (tcgetattr(tty, &before) != 0)
        return false;
    caught = 0;
    for (int i = 0; i < SIGNALS; i++)
        (void)sigaction(signals[i], &note, &old[i]);
    silent = before;
    silent.c_lflag &= ~(tcflag_t)ECHO;
    /* ask only when echo is off: from then on, typed characters are neither echoed nor discarded */
    ok = tcsetattr(tty, TCSAFLUSH, &silent) == 0 && dprintf(tty, "%s", question) > 0 &&
         read_line(tty, to, size);
    (void)tcsetattr(tty, TCSAFLUSH, &before);
    (void)dprintf(tty, "\n"); /* the one that was typed was not echoed */
    for (int i = 0; i < SIGNALS; i++)
        (void)sigaction(signals[i], &old[i], NULL);
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
    ok = ask_silently(tty, question, to, size);
    (void)close(tty);
    return ok;
}
