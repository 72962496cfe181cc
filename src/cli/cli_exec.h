/* Runs a command of the shell for a worker that holds a lease. */
#ifndef CLI_EXEC_H
#define CLI_EXEC_H

#include "cli/cli_lease.h"

/*
 * Runs the command with `input` as its standard input, and waits for its end. Sends heartbeats
 * meanwhile. If the lease is lost or this program is to end, the command gets SIGTERM. True: its
 * exit status was 0. False: any other, which has been reported, or the lease was lost.
 */
bool cli_exec(struct cli_lease *lease, const char *command, int input);

#endif
