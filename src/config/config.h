/*
 * The settings: one table of name, default, least, most and help. They come from the environment
 * (DS_*), are read once at start, and do not change afterwards, so every thread may read them.
 */
#ifndef CONFIG_H
#define CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum durability {
    DURABILITY_FULL,   /* an answer leaves after its commit has reached the disk */
    DURABILITY_NORMAL, /* a power cut may undo the last commits; a crash of the program cannot */
    DURABILITY_MEMORY, /* a database on tmpfs, gone at stop */
};

enum cache_scope { CACHE_PUBLIC, CACHE_PRIVATE, CACHE_OFF };

/* A list is words with a NUL behind each, and one more at the end. */
struct config {
    char *database; /* the real path of its file (place.h); in memory mode, where it really lies */
    char *base_url; /* scheme://host[:port][/prefix] for Location; empty: from the request */
    const char *base_path; /* the prefix in base_url, "" if there is none */
    char *registry;        /* path of the registry, "off", or empty: as the database has it */
    char *hook;            /* program to run when streams begin and end; empty: none */
    char *cors_origin;     /* list: "*", or origins; empty: no CORS headers */
    char *cors_headers;    /* list: further request headers of other origins' pages, or "*" */
    int64_t durability;
    int64_t cache;
    int64_t busy_timeout_ms;
    int64_t long_poll_timeout_ms;
    int64_t sse_lifetime_ms;
    int64_t sse_keepalive_ms;
    int64_t read_chunk_bytes;
    int64_t max_body_bytes;
    int64_t max_messages;
    int64_t max_path_bytes;
    int64_t max_header_bytes;
    int64_t max_parked;
    int64_t max_queued;
    int64_t max_queued_bytes;
    int64_t io_timeout_ms;
    int64_t upload_timeout_ms;
    int64_t stop_timeout_ms;
    int64_t cursor_interval_s;
    int64_t cursor_epoch_s;
    int64_t trust_forwarded;
    int64_t workers;
    int64_t processes;
    int64_t checkpoint; /* 0: another program does it, 1: we do */
    int64_t wal_bytes;
    int64_t reserve_bytes;    /* kept free for deletions; 0: none */
    int64_t cors_credentials; /* 1: such pages may send cookies and passwords */
    int64_t test_endpoints;   /* 1: faults are injected, and can be set over HTTP */
    int64_t hook_processes;
    int64_t hook_timeout_ms;
    int64_t log_level;
};

/*
 * Reads the environment. False with a one-line reason in error when a setting is not what its row
 * of the table allows; nothing is to be closed then.
 */
bool config_load(struct config *config, char *error, size_t size);

/*
 * The defaults, whatever the environment says, for a database of the library. Its path is made
 * the real one: connections are opened later too. False when out of memory.
 */
bool config_init(struct config *config, const char *database);

void config_close(struct config *config);

/*
 * Logs a warning for each variable DS_* of the environment that is not a setting, with the setting
 * that was probably meant. For a server that stays: a CGI process would repeat it at each request.
 * Responders of a supervisor that has called this are silent. Before there are threads.
 */
void config_warn_unknown(void);

/* Prints the table of settings by groups: for a terminal, and as mdoc for the manual page. */
void config_print_help(FILE *out);
void config_print_man(FILE *out);

#endif
