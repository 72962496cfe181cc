/*
 * A FastCGI request on its way in.
 *
 * Web servers that buffer requests (nginx, lighttpd) send them whole; a look at the socket shows
 * the last record, and the request is read from there. Apache passes a body on as its client sends
 * it. What is there of such a request is moved into a file in memory, without waiting for the rest,
 * until the record that ends it (an empty FCGI_STDIN) has come:
 *
 *     ┌───────┬────────┬─────┬─────────┬─────────┬ ─ ─ ─ ─ ─ ┬───────────┐
 *     │ BEGIN │ PARAMS │ ε   │ STDIN   │ STDIN   │           │ STDIN, ε  │   ε: without content
 *     └───────┴────────┴─────┴─────────┴─────────┴ ─ ─ ─ ─ ─ ┴───────────┘
 *
 * No time limit of ours: the web server gives its clients one, and closes the connection.
 * A spool belongs to one thread at a time.
 */
#ifndef SPOOL_H
#define SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config;
struct spool;

enum spool_state {
    SPOOL_MORE,  /* wait until the socket is readable again */
    SPOOL_WHOLE, /* the request is complete */
    SPOOL_GONE,  /* the connection is of no use any more */
};

/* Where a look at the records stands. A zeroed one is at the beginning. */
struct spool_scan {
    unsigned char header[8];
    size_t header_len; /* bytes of it so far */
    size_t left;       /* bytes of the record that are still to come */
    int64_t body;      /* bytes of it that the headers have announced */
    bool last;         /* it is the one that ends the request */
    bool whole;
};

/* Goes on by len bytes of the connection, at most to the request's end; how many that were. */
size_t spool_look(struct spool_scan *scan, const char *data, size_t len);

/*
 * Is a request there to its end? Looks, and takes nothing. room: a buffer of size bytes to look
 * through; a request that is larger counts as incomplete.
 */
bool spool_is_whole(int fd, char *room, size_t size);

/* NULL when there is no memory or no descriptor for it. */
struct spool *spool_new(const struct config *config);
void spool_free(struct spool *spool); /* NULL is allowed */

/*
 * Moves what there is from the socket to the spool. More than DS_MAX_BODY_BYTES is thrown away; all
 * spools of a process hold DS_MAX_QUEUED_BYTES at most, then they are SPOOL_GONE.
 */
enum spool_state spool_fill(struct spool *spool, int fd, char *room, size_t size);

/* The collected request as a file, read from its beginning; the caller's to close. */
int spool_take_fd(struct spool *spool);

/* The file lacks the end. */
bool spool_is_too_large(const struct spool *spool);

#endif
