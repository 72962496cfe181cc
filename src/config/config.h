/*
 * The settings. They come from the environment (DS_*), are read once at start and do not change
 * afterwards, so every thread may read them. The table in config.c describes each of them.
 */
#ifndef CONFIG_H
#define CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum durability {
    DURABILITY_FULL,   /* an answer leaves after its commit has reached the disk */
    DURABILITY_NORMAL, /* a power cut may undo the last commits; a crash of the program cannot */
    DURABILITY_MEMORY, /* the database is on tmpfs and is deleted at stop */
};

enum cache_scope { CACHE_PUBLIC, CACHE_PRIVATE, CACHE_OFF };

/* A list is a sequence of words, each followed by a NUL; another NUL ends the list. */
struct config {
    char *database; /* real path of its file (place.h), also in memory mode */
    char *base_url; /* scheme://host[:port][/prefix] of absolute URLs; empty: from the request */
    const char *base_path; /* the prefix within base_url, "" if it has none */
    char *registry;        /* path of the registry, "off", or empty: keep that of the database */
    char *hook;            /* program that is run when a stream was created or deleted; or empty */
    char *cors_origin;     /* list: "*", or origins; empty: no CORS headers are sent */
    char *cors_headers;    /* list: further request headers that pages may send, or "*" */
    char *webhook_allow;   /* list: hosts and networks that webhooks may reach (webhook_url.h) */
    char *webhook_deny;    /* list: those that they may not reach; counts before webhook_allow */
    char *trusted_proxies; /* list: networks whose X-Forwarded-* counts; "1": all, "0": none */
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
    int64_t max_connections;             /* of HTTP clients */
    int64_t max_connections_per_address; /* 0: no limit */
    int64_t max_parked;
    int64_t max_queued;
    int64_t max_queued_bytes;
    int64_t io_timeout_ms;
    int64_t upload_timeout_ms;
    int64_t keepalive_timeout_ms; /* of HTTP connections */
    int64_t stop_timeout_ms;
    int64_t cursor_interval_s;
    int64_t cursor_epoch_s;
    int64_t gzip; /* 1: answers to clients that connect directly are compressed */
    int64_t workers;
    int64_t processes;
    int64_t checkpoint; /* 1: we do it; 0: another program does */
    int64_t wal_bytes;
    int64_t reserve_bytes;    /* kept for deletions on a full disk; 0: none */
    int64_t cors_credentials; /* 1: pages of cors_origin may send cookies and passwords */
    int64_t test_endpoints;   /* 1: faults are injected and can be set over HTTP */
    int64_t hook_processes;
    int64_t hook_timeout_ms;
    int64_t webhooks;      /* 1: subscriptions of that type can be created, and are delivered */
    int64_t webhook_local; /* 1: webhooks may be sent to this machine */
    int64_t max_subscriptions;
    int64_t log_level;
};

/*
 * Reads the environment. Returns false, with a line for people in error, when a value is not
 * allowed or there is no memory; then there is nothing to close.
 */
bool config_load(struct config *config, char *error, size_t size);

/*
 * Sets the defaults for a database of the library, which does not read the environment. The path is
 * replaced by the real one, because connections are opened later, perhaps from another working
 * directory. Returns false when out of memory.
 */
bool config_init(struct config *config, const char *database);

void config_close(struct config *config);

/*
 * Logs a warning for each DS_* variable that is not a setting, with the setting that was probably
 * meant. CGI processes do not call it, because they would log at each request. Responders of a
 * supervisor that has called it log nothing. It must be called before there are threads.
 */
void config_warn_unknown(void);

/* Prints the table of settings by groups: for a terminal, and as mdoc for the manual page. */
void config_print_help(FILE *out);
void config_print_man(FILE *out);

#endif
