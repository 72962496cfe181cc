/*
 * --print-url: prints the URL of the first HTTP door on standard output, as soon as the door
 * answers. A script that has started the supervisor waits for this line:
 *
 *     script ◀── line, or the end of the file ──┐
 *     supervisor ──▶ responders                 │
 *          └───────▶ announcer ── GET /health ──┘
 *
 * The announcer is a process of its own, since the supervisor must not wait. Only it has the
 * standard output of the supervisor: the script reads the end of the file if there is no answer
 * within a minute or the server ends, and does not wait for that end once there is an answer.
 */
#ifndef ANNOUNCE_H
#define ANNOUNCE_H

struct listening;

/* Takes standard output, which from now on is the same as standard error. -1: failed. */
int announce_open(void);

/* Starts the announcer, and closes the descriptor that announce_open() returned. */
void announce_start(int to, struct listening *listening);

#endif
