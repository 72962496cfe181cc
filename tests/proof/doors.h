/*
 * Requests to the program through its doors (FastCGI and CGI), and the processes for them:
 * responders that share a socket, CGI processes, dsctl.
 */
#ifndef DOORS_H
#define DOORS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { RESPONDERS_MOST = 4, SETTINGS_MOST = 16 };

struct doors {
    const char *build; /* the folder of the programs */
    char database[220], socket[220];
    const char *setting[SETTINGS_MOST]; /* "NAME=value", NULL at the end */
    int listening;
    int responders;
    pid_t responder[RESPONDERS_MOST]; /* 0: there is none */
};

/* The settings are the environment of all processes; the database is one of them. */
void doors_open(struct doors *doors, const char *database);
void doors_set(struct doors *doors, const char *setting); /* borrowed */
void doors_close(struct doors *doors);

void responder_start(struct doors *doors, int i);
/* Returns when it has ended. SIGTERM lets it end gracefully. */
void responder_end(struct doors *doors, int i, int signal);

struct request {
    const char *method, *path, *type;
    const char *query; /* NULL: none */
    int64_t seq;       /* of the producer; -1: without one */
    const char *body;
    size_t len;
    int64_t kill_after_us; /* CGI: kill the process after this time, if it still runs; 0: never */
    atomic_llong *kills;   /* counts these kills; may be NULL */
};

/* The status of the answer; 0: there was none. The body goes to *body, to be freed, if wanted. */
int request_fcgi(const struct doors *doors, const struct request *request, char **body,
                 size_t *len);
int request_cgi(const struct doors *doors, const struct request *request, char **body, size_t *len);

/* Starts a program of the build, such as "dsctl". -1 for descriptors: none. traced: with all
   settings. */
pid_t start(const struct doors *doors, const char *const argv[], const char *const more[], int in,
            int out, bool traced);
int await(pid_t pid); /* the status of waitpid() */

#endif
