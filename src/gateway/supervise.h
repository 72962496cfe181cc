/*
 * The supervisor (--listen) holds the listening sockets and keeps DS_PROCESSES responders running
 * on them. A responder is this program again, started with the socket as descriptor 0, as a web
 * server would start it. While a responder is restarted, connections wait in the socket's backlog.
 * It also keeps one process that delivers webhooks, if that is installed (deliverer.h).
 *
 * If no responder can start any more, no process accepts these connections, and the web server
 * would wait for an answer as long as for a live reader: an hour. So the supervisor logs the reason
 * and ends. A socket of systemd stays open without the supervisor; it closes the connections that
 * wait there, and the web server answers 502 at once.
 */
#ifndef SUPERVISE_H
#define SUPERVISE_H

#include <stdbool.h>

struct config;

/* The exit status for a wrong setting, which a restart cannot mend: EX_CONFIG of <sysexits.h>.
   durable-streams.service relies on it. */
enum { SUPERVISE_WRONG_SETTING = 78 };

/* Runs until a signal ends it or no responder can start. The addresses are for listen_open();
   announces: see announce.h. Returns the exit status of the process. */
int supervise(const struct config *config, const char *const *addresses, int count, bool announces);

/* Closes waiting connections if there is no configuration to run with. */
void supervise_refuse(const char *const *addresses, int count);

#endif
