/*
 * Requests to the program through its doors, and what else is started: responders that share a
 * socket, CGI processes, dsctl.
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

/* With settings of the environment for all that is started; the database's is among them. */
void doors_open(struct doors *doors, const char *database);
void doors_set(struct doors *doors, const char *setting); /* borrowed */
void doors_close(struct doors *doors);

void responder_start(struct doors *doors, int i);
/* Returns when it is gone. SIGTERM lets it end in good order. */
void responder_end(struct doors *doors, int i, int signal);

struct request {
    const char *method, *path, *type;
    const char *query; /* NULL: none */
    int64_t seq;       /* of the producer; -1: without one */
    const char *body;
    size_t len;
    int64_t kill_after_us; /* CGI: the process is killed then, if it is still there; 0: it is not */
    atomic_llong *kills;   /* counts that it was; NULL: nobody does */
};

/* The status of the answer; 0: there was none. The body goes to *body, to be freed, if wanted. */
int request_fcgi(const struct doors *doors, const struct request *request, char **body,
                 size_t *len);
int request_cgi(const struct doors *doors, const struct request *request, char **body, size_t *len);

/* Starts a program of the build, "dsctl" say. -1 for descriptors: none. traced: with all settings.
 */
pid_t start(const struct doors *doors, const char *const argv[], const char *const more[], int in,
            int out, bool traced);
int await(pid_t pid); /* the status of waitpid() */

#endif
