/*
 * Signals for a command that holds a lease: Ctrl-C and the like must not end it before it has given
 * the lease back.
 *
 *     free ── cli_signal_hold() ──▶ holding: SIGINT, SIGTERM, SIGHUP are noted
 *       ▲                              │
 *       └──── cli_signal_free() ───────┘ ends the program if one was noted
 *
 * While free, and at the second signal while holding, they end the program at once, as usual. A
 * signal that is ignored from the start stays ignored. One thread may use these functions.
 */
#ifndef CLI_SIGNAL_H
#define CLI_SIGNAL_H

#include <stdbool.h>
#include <stdint.h>

/* Installs the handlers. Writes to a closed pipe fail from now on instead of ending the program. */
void cli_signal_catch(void);

void cli_signal_hold(void);
void cli_signal_free(void);

/* The signal that was noted; 0: none. */
int cli_signal_noted(void);

/*
 * Waits until the descriptor can be written (-1: none), a child ends, a signal is noted or ms
 * milliseconds have passed. It may also return without a reason.
 */
void cli_signal_wait(int descriptor, int64_t ms);

/* In a child process, before exec: all signals as this program found them. Async-signal-safe. */
void cli_signal_restore(void);

/* Ends this program as this signal does by default. */
void cli_signal_end(int signal_number) __attribute__((noreturn));

#endif
