/* Runs a command: see cli_exec.h. */
#include "cli/cli_exec.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/cli_signal.h"

enum { LOOK_MS = 1000, EXEC_FAILED = 127 };

/* Only async-signal-safe calls, because other threads may have held locks at the fork. */
static void become(const char *command, int input, const sigset_t *mask)
{
    cli_signal_restore();
    (void)sigprocmask(SIG_SETMASK, mask, NULL);
    if (dup2(input, STDIN_FILENO) == STDIN_FILENO)
        (void)execl("/bin/sh", "sh", "-c", command, (char *)NULL);
    _exit(EXEC_FAILED);
}

/* -1 after reporting an error. */
static pid_t start(const struct cli *cli, const char *command, int input)
{
    sigset_t all, mask;
    pid_t child;

    /* a signal between fork and exec would meet a handler of this program in the child */
    (void)sigfillset(&all);
    (void)sigprocmask(SIG_BLOCK, &all, &mask);
    child = fork();
    if (child == 0)
        become(command, input, &mask);
    (void)sigprocmask(SIG_SETMASK, &mask, NULL);
    if (child < 0)
        (void)cli_fail(cli, CLI_FAILED, "cannot run the command: %s", strerror(errno));
    return child;
}

/* Waits for the child's end. Returns its status. */
static int await(struct cli_lease *lease, pid_t child)
{
    bool was_told = false;
    int status = 0;

    for (;;) {
        pid_t ended = waitpid(child, &status, WNOHANG);
        int64_t ms;

        if (ended == child)
            return status;
        if (ended < 0 && errno != EINTR)
            return SIGKILL; /* how it ended is unknown: not well */
        if ((!cli_lease_beat(lease) || cli_signal_noted()) && !was_told) {
            was_told = true;
            (void)kill(child, SIGTERM);
        }
        ms = cli_lease_until_beat(lease);
        cli_signal_wait(-1, lease->is_lost || ms > LOOK_MS ? LOOK_MS : ms);
    }
}

bool cli_exec(struct cli_lease *lease, const char *command, int input)
{
    const struct cli *cli = lease->cli;
    pid_t child = start(cli, command, input);
    int status;

    if (child < 0)
        return false;
    status = await(lease, child);
    if (lease->is_lost)
        return false;
    if (WIFSIGNALED(status))
        cli_note(cli, "the command was ended by signal %d", WTERMSIG(status));
    else if (WEXITSTATUS(status) != 0)
        cli_note(cli, "the command ended with exit status %d", WEXITSTATUS(status));
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}
