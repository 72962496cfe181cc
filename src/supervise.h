/*
 * The supervisor (--listen): holds the listening socket and keeps DS_PROCESSES responders alive
 * on it. A responder is this program again, with the socket as descriptor 0, as a web server
 * would start it. While one is being restarted, connections wait in the socket's backlog.
 *
 * Where none can start any more, nobody would ever take them from there: a web server waits for an
 * hour, because a reader may. So the supervisor says why and ends, and connections that wait on a
 * socket which stays open without it (systemd's) are closed: the web server answers 502 at once.
 */
#ifndef SUPERVISE_H
#define SUPERVISE_H

struct config;

/* The exit status for what no further start can mend: a wrong setting. As EX_CONFIG of sysexits.h;
   durable-streams.service knows it. */
enum { SUPERVISE_WRONG_SETTING = 78 };

/* The address is for listen_on(). Returns the process's exit status, after SIGTERM or so. */
int supervise(const struct config *config, const char *address);

/* For when there is not even a configuration. */
void supervise_refuse(const char *address);

#endif
