/*
 * The supervisor (--listen): holds the listening socket and keeps DS_PROCESSES responders alive
 * on it. A responder is this program again, with the socket as descriptor 0, as a web server
 * would start it. While one is being restarted, connections wait in the socket's backlog.
 *
 * When no responder can start any more, nobody would ever accept these connections, and the web
 * server would wait for an hour, as it does for a live reader. So the supervisor logs the reason
 * and ends. It closes connections that wait on a socket which stays open without it (systemd's):
 * the web server then answers 502 at once.
 */
#ifndef SUPERVISE_H
#define SUPERVISE_H

struct config;

/* The exit status for a wrong setting, which another start cannot mend: EX_CONFIG of sysexits.h;
   durable-streams.service knows it. */
enum { SUPERVISE_WRONG_SETTING = 78 };

/* The address is for listen_on(). Returns the process's exit status, after SIGTERM or so. */
int supervise(const struct config *config, const char *address);

/* For when there is not even a configuration. */
void supervise_refuse(const char *address);

#endif
