/*
 * The settings: see config.h.
 *
 * To add a setting, add a field to struct config and a row below; then run `make man-settings`,
 * which writes the rows into deploy/man/durable-streams.fcgi.8.
 */
#include "config/config.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/place.h"
#include "config/config_private.h"
#include "protocol/cursor.h"
#include "protocol/network.h"
#include "protocol/path.h"
#include "protocol/webhook_url.h"

#define KIB INT64_C(1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

#define MS    "milliseconds"
#define BYTES "bytes"

#define FIELD(member) offsetof(struct config, member)

const struct config_row config_table[] = {
    {"DS_DATABASE", TEXT, GROUP_STORAGE, FIELD(database), "data/streams.db", 0, 0, 0, NULL,
     "Path of the database file. Its folder must exist."},
    {"DS_DURABILITY", CHOICE, GROUP_STORAGE, FIELD(durability), "full|normal|memory",
     DURABILITY_FULL, 0, 0, NULL,
     "full: an answer waits until its data is on the disk. normal: a power cut may undo the last "
     "moments; a crash of the program cannot. memory: the database lies in /dev/shm and is "
     "deleted when the server stops."},
    {"DS_BUSY_TIMEOUT_MS", NUMBER, GROUP_STORAGE, FIELD(busy_timeout_ms), NULL, 5000, 0, 600000, MS,
     "How long a write waits for a database that another program has locked. After that, the "
     "answer is 503."},
    {"DS_CHECKPOINT", CHOICE, GROUP_STORAGE, FIELD(checkpoint), "off|on", 1, 0, 0, NULL,
     "on: the server checkpoints the write-ahead log. off: another program, such as Litestream, "
     "must do all checkpoints, because otherwise the log grows without end."},
    {"DS_WAL_BYTES", NUMBER, GROUP_STORAGE, FIELD(wal_bytes), NULL, 16 * MIB, 64 * KIB, 64 * GIB,
     BYTES, "Size at which the server checkpoints the write-ahead log."},
    {"DS_RESERVE_BYTES", NUMBER, GROUP_STORAGE, FIELD(reserve_bytes), NULL, 4 * MIB, 0, 64 * GIB,
     BYTES,
     "Space kept for deletions on a full disk, in a file beside the database. The file is twice "
     "as large, and larger while the write-ahead log is long. With 0, a full disk also refuses "
     "deletions."},

    {"DS_MAX_BODY_BYTES", NUMBER, GROUP_LIMITS, FIELD(max_body_bytes), NULL, 64 * MIB, 1, 900 * MIB,
     BYTES, "Largest request body. A larger one is answered with 413."},
    {"DS_MAX_MESSAGES", NUMBER, GROUP_LIMITS, FIELD(max_messages), NULL, 65536, 1, 100000000,
     "messages",
     "Largest number of messages in one JSON body. A body with more is answered with 413, because "
     "other writes wait while it is stored."},
    {"DS_MAX_PATH_BYTES", NUMBER, GROUP_LIMITS, FIELD(max_path_bytes), NULL, 2048, 16, 65536, BYTES,
     "Longest path of a stream. A longer one is answered with 414."},
    {"DS_MAX_HEADER_BYTES", NUMBER, GROUP_LIMITS, FIELD(max_header_bytes), NULL, 8192, 256, 65536,
     BYTES, "Longest value of one request header. A longer one is answered with 431."},
    {"DS_MAX_CONNECTIONS", NUMBER, GROUP_LIMITS, FIELD(max_connections), NULL, 100000, 1, 10000000,
     "connections",
     "Largest number of clients that are connected to one process directly by HTTP. A further one "
     "is answered with 503."},
    {"DS_MAX_CONNECTIONS_PER_ADDRESS", NUMBER, GROUP_LIMITS, FIELD(max_connections_per_address),
     NULL, 0, 0, 10000000, "connections",
     "Largest number of them from one address, where an IPv6 network of 64 bits counts as one. A "
     "further one is answered with 503. 0: no such limit, as behind a proxy."},
    {"DS_MAX_PARKED", NUMBER, GROUP_LIMITS, FIELD(max_parked), NULL, 50000, 1, 10000000, "readers",
     "Largest number of readers that wait in one process, by long-poll or SSE. A further one is "
     "answered with 503."},
    {"DS_MAX_QUEUED", NUMBER, GROUP_LIMITS, FIELD(max_queued), NULL, 16384, 1, 10000000, "writes",
     "Largest number of writes that wait for their commit in one process. A further one is "
     "answered with 503."},
    {"DS_MAX_QUEUED_BYTES", NUMBER, GROUP_LIMITS, FIELD(max_queued_bytes), NULL, 256 * MIB, 1 * MIB,
     64 * GIB, BYTES,
     "Largest number of bytes that waiting writes and incoming requests hold in one process. A "
     "request that needs more is answered with 503."},

    {"DS_IO_TIMEOUT_MS", NUMBER, GROUP_TIMEOUTS, FIELD(io_timeout_ms), NULL, 30000, 100, 3600000,
     MS,
     "How long the other side may stop accepting bytes in the middle of an answer. Then the "
     "connection is closed."},
    {"DS_UPLOAD_TIMEOUT_MS", NUMBER, GROUP_TIMEOUTS, FIELD(upload_timeout_ms), NULL, 60000, 100,
     3600000, MS,
     "How long an incoming request may pause, and how long the head of an HTTP request may take. "
     "Then it is answered with 408."},
    {"DS_KEEPALIVE_TIMEOUT_MS", NUMBER, GROUP_TIMEOUTS, FIELD(keepalive_timeout_ms), NULL, 75000,
     100, 86400000, MS, "How long an HTTP connection may stay open between two requests."},
    {"DS_STOP_TIMEOUT_MS", NUMBER, GROUP_TIMEOUTS, FIELD(stop_timeout_ms), NULL, 10000, 0, 600000,
     MS, "How long a graceful stop may take."},

    {"DS_READ_CHUNK_BYTES", NUMBER, GROUP_READS, FIELD(read_chunk_bytes), NULL, 1 * MIB, 1024,
     1 * GIB, BYTES,
     "Largest number of payload bytes in one answer. A larger message is sent in an answer of its "
     "own; in a byte stream, a message of more than 256 KiB is sent in parts of 256 KiB."},
    {"DS_LONG_POLL_TIMEOUT_MS", NUMBER, GROUP_READS, FIELD(long_poll_timeout_ms), NULL, 30000, 100,
     3600000, MS, "How long a long-poll waits for data."},
    {"DS_SSE_LIFETIME_MS", NUMBER, GROUP_READS, FIELD(sse_lifetime_ms), NULL, 60000, 100, 86400000,
     MS,
     "How long an SSE connection stays open, plus or minus 10 %. Then the client connects again."},
    {"DS_SSE_KEEPALIVE_MS", NUMBER, GROUP_READS, FIELD(sse_keepalive_ms), NULL, 15000, 100, 3600000,
     MS, "How long an SSE connection stays silent before the server sends a comment line."},
    {"DS_CURSOR_INTERVAL_SECONDS", NUMBER, GROUP_READS, FIELD(cursor_interval_s), NULL,
     DS_CURSOR_DEFAULT_INTERVAL_SECONDS, 1, 86400, "seconds",
     "Length of the time intervals that the cursors of live reads count."},
    {"DS_CURSOR_EPOCH", NUMBER, GROUP_READS, FIELD(cursor_epoch_s), NULL, DS_CURSOR_DEFAULT_EPOCH,
     0, INT64_C(253402300799), "seconds since 1970", "Start of the first cursor interval."},

    {"DS_CACHE", CHOICE, GROUP_CACHING, FIELD(cache), "public|private|off", CACHE_PUBLIC, 0, 0,
     NULL,
     "Who may keep the answer to a catch-up read for a minute. public: browsers and shared "
     "caches. private: browsers only. off: nobody."},
    {"DS_CORS_ORIGIN", LIST, GROUP_CACHING, FIELD(cors_origin), "*", 0, 0, 0, NULL,
     "Origins whose pages may read answers (Access-Control-Allow-Origin): * for all, or a list "
     "such as https://app.example,https://admin.example with spaces or commas between them. With "
     "a list, an answer names only the origin of the request. Empty: no CORS headers are sent."},
    {"DS_CORS_CREDENTIALS", NUMBER, GROUP_CACHING, FIELD(cors_credentials), NULL, 0, 0, 1, NULL,
     "1: pages of those origins may send cookies and passwords. Not allowed with "
     "DS_CORS_ORIGIN=*."},
    {"DS_CORS_HEADERS", LIST, GROUP_CACHING, FIELD(cors_headers), "", 0, 0, 0, NULL,
     "Further request headers that those pages may send, with spaces or commas between them, or * "
     "for any. The headers of the protocol and of browser tracing, Authorization and X-API-Key "
     "are always allowed."},

    {"DS_BASE_URL", TEXT, GROUP_WEB_SERVER, FIELD(base_url), "", 0, 0, 0, NULL,
     "scheme://host[:port][/prefix] as clients see it, for absolute URLs such as Location. The "
     "server removes the prefix from the path of each request. Empty: scheme and host are those "
     "of the request."},
    {"DS_TRUST_FORWARDED", LIST, GROUP_WEB_SERVER, FIELD(trusted_proxies), "0", 0, 0, 0, NULL,
     "1: scheme and host of the request are taken from X-Forwarded-Proto and X-Forwarded-Host, "
     "the first element of a list. Only for a server behind a proxy that sets both headers. "
     "Networks and addresses of proxies, such as 10.1.0.0/16 or ::1, with spaces or commas between "
     "them: the same, but only for requests from there. Behind FastCGI, the web server must pass "
     "REMOTE_ADDR; a client of a unix socket has no address. 0: never."},
    {"DS_GZIP", NUMBER, GROUP_WEB_SERVER, FIELD(gzip), NULL, 1, 0, 1, NULL,
     "1: clients that connect directly by HTTP and accept gzip get JSON of 1 KiB or more "
     "compressed. Behind FastCGI, the web server does that. 0: nothing is compressed."},
    {"DS_WORKERS", NUMBER, GROUP_WEB_SERVER, FIELD(workers), NULL, 4, 1, 256, "threads",
     "Threads of one process that read requests. Waiting readers need none."},
    {"DS_PROCESSES", NUMBER, GROUP_WEB_SERVER, FIELD(processes), NULL, 1, 1, 64, "processes",
     "Responder processes that --listen starts. At most half as many as there are CPUs accept "
     "connections at once; the others accept those that have waited for ten milliseconds."},

    {"DS_REGISTRY", TEXT, GROUP_REGISTRY, FIELD(registry), "", 0, 0, 0, NULL,
     "Path of a stream that lists all streams, /v1/stream/__registry__ for example. off: that "
     "stream becomes an ordinary one. Empty: the database keeps the registry that it has; a new "
     "database has none."},
    {"DS_HOOK", TEXT, GROUP_REGISTRY, FIELD(hook), "", 0, 0, 0, NULL,
     "Absolute path of a program that the server runs after a stream was created or deleted, with "
     "the event as a line of JSON on its standard input. No request waits for it; its output and "
     "its failures are logged. Empty: none."},
    {"DS_HOOK_PROCESSES", NUMBER, GROUP_REGISTRY, FIELD(hook_processes), NULL, 4, 1, 64,
     "processes",
     "How many hooks one process runs at once. With 1, the hook gets the events in order."},
    {"DS_HOOK_TIMEOUT_MS", NUMBER, GROUP_REGISTRY, FIELD(hook_timeout_ms), NULL, 10000, 10, 3600000,
     MS, "How long one run of the hook may take. Then it is killed."},

    {"DS_WEBHOOKS", CHOICE, GROUP_SUBSCRIPTIONS, FIELD(webhooks), "off|on", 1, 0, 0, NULL,
     "off: no webhooks are delivered, and new webhook subscriptions are refused. Pull-wake "
     "subscriptions do not need them."},
    {"DS_WEBHOOK_LOCAL", NUMBER, GROUP_SUBSCRIPTIONS, FIELD(webhook_local), NULL, 0, 0, 1, NULL,
     "1: webhooks may also be sent to this machine, without https: localhost, names below it, "
     "127.0.0.0/8 and ::1. For development, because any client can then reach all local services. "
     "\"make run\" and \"dsctl serve\" set it."},
    {"DS_WEBHOOK_ALLOW", LIST, GROUP_SUBSCRIPTIONS, FIELD(webhook_allow), "", 0, 0, 0, NULL,
     "Targets of webhooks that are allowed although they are not public or not https, with spaces "
     "or commas between them: networks such as 10.1.0.0/16 or fd00::/8, addresses, host names such "
     "as worker, and *.internal.example for all names below. A host that is listed by its name may "
     "have any address."},
    {"DS_WEBHOOK_DENY", LIST, GROUP_SUBSCRIPTIONS, FIELD(webhook_deny), "", 0, 0, 0, NULL,
     "Targets of webhooks that are refused, in the same form, also if DS_WEBHOOK_ALLOW or "
     "DS_WEBHOOK_LOCAL allows them."},
    {"DS_MAX_SUBSCRIPTIONS", NUMBER, GROUP_SUBSCRIPTIONS, FIELD(max_subscriptions), NULL, 10000, 0,
     10000000, "subscriptions",
     "Largest number of subscriptions in the database. A further one is refused."},

    {"DS_LOG_LEVEL", CHOICE, GROUP_OPERATION, FIELD(log_level), "error|warn|info|debug", LOG_INFO_,
     0, 0, NULL, "Lowest level that is logged; info includes warn and error."},
    {"DS_TEST_ENDPOINTS", NUMBER, GROUP_OPERATION, FIELD(test_endpoints), NULL, 0, 0, 1, NULL,
     "1: the server injects the faults in the table named faults into requests, for tests of "
     "clients, and anybody can set faults at /_test/inject-error. Never use it on a server that "
     "people use."},
};

const size_t config_table_rows = sizeof config_table / sizeof config_table[0];

static int64_t *number_field(struct config *config, const struct config_row *row)
{
    return (int64_t *)(void *)((char *)config + row->field);
}

static char **text_field(struct config *config, const struct config_row *row)
{
    return (char **)(void *)((char *)config + row->field);
}

static bool parse_number(const struct config_row *row, const char *value, int64_t *number)
{
    char *end;
    long long parsed;

    errno = 0;
    parsed = strtoll(value, &end, 10);
    *number = parsed;
    return errno == 0 && end != value && *end == '\0' && parsed >= row->least &&
           parsed <= row->most;
}

static bool parse_choice(const struct config_row *row, const char *value, int64_t *number)
{
    size_t len = strlen(value);
    const char *at = row->preset;

    for (*number = 0; len > 0; (*number)++) {
        size_t choice = strcspn(at, "|");

        if (choice == len && strncmp(at, value, len) == 0)
            return true;
        if (at[choice] == '\0')
            break;
        at += choice + 1;
    }
    return false;
}

/*
 * In memory mode the file is on tmpfs, in a folder that only this user may enter (place.h). Its
 * name is made from the path of the database, so that all processes find the same file.
 */
static char *memory_path(const char *database)
{
    char *path;

    if (asprintf(&path, "/dev/shm/durable-streams-%u/%016llx.db", (unsigned)geteuid(),
                 (unsigned long long)hash_text(database)) < 0)
        return NULL;
    return path;
}

/* Splits a text at spaces and commas into a list (config.h). NULL when out of memory. */
static char *split_list(const char *text)
{
    char *list = calloc(1, strlen(text) + 2), *to = list;

    for (; list && *text; text++)
        if (!strchr(" ,", *text))
            *to++ = *text;
        else if (to > list && to[-1] != '\0')
            to++;
    return list;
}

/* Replaces the path that was given by the real path of the file. */
static bool settle_database(struct config *config)
{
    char *path = place_real(config->database);

    if (path && config->durability == DURABILITY_MEMORY) {
        char *real = path;

        path = memory_path(real);
        free(real);
    }
    if (!path)
        return false;
    free(config->database);
    config->database = path;
    return true;
}

/* Sets one field from the value of its variable; NULL stands for the default. */
static bool load_row(struct config *config, const struct config_row *row, const char *value,
                     char *error, size_t size)
{
    char words[100];

    switch (row->kind) {
    case TEXT:
        *text_field(config, row) = strdup(value ? value : row->preset);
        return *text_field(config, row) != NULL;
    case LIST:
        *text_field(config, row) = split_list(value ? value : row->preset);
        return *text_field(config, row) != NULL;
    case NUMBER:
        *number_field(config, row) = row->number;
        if (!value || parse_number(row, value, number_field(config, row)))
            return true;
        (void)snprintf(error, size, "%s must be %s%lld %s %lld", row->name,
                       config_is_switch(row) ? "" : "a whole number from ", (long long)row->least,
                       config_is_switch(row) ? "or" : "to", (long long)row->most);
        return false;
    case CHOICE:
        *number_field(config, row) = row->number;
        if (!value || parse_choice(row, value, number_field(config, row)))
            return true;
        config_list_words(row, words, sizeof words);
        (void)snprintf(error, size, "%s must be %s", row->name, words);
        return false;
    }
    return false;
}

/* May the text become part of a header line? */
static bool is_header_safe(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text <= 0x20 || (unsigned char)*text >= 0x7f)
            return false;
    return true;
}

static bool split_base_url(struct config *config)
{
    const char *host = strstr(config->base_url, "://");

    config->base_path = "";
    if (!config->base_url[0])
        return true;
    if (strncmp(config->base_url, "http://", 7) != 0 &&
        strncmp(config->base_url, "https://", 8) != 0)
        return false;
    if (strchr("/:", host[3]) || strpbrk(host, "?#\"<>\\"))
        return false;
    config->base_path = host + 3 + strcspn(host + 3, "/");
    return true;
}

/* Is it scheme://host[:port] as browsers write it, in lower case and without a path? */
static bool is_origin(const char *origin)
{
    const char *host = strstr(origin, "://");

    return host > origin && host[3] &&
           strspn(origin, "abcdefghijklmnopqrstuvwxyz0123456789+-.") == (size_t)(host - origin) &&
           host[3 + strspn(host + 3, "abcdefghijklmnopqrstuvwxyz0123456789-._~:[]")] == '\0';
}

/* Is it the only word of the list? */
static bool is_only(const char *list, const char *word)
{
    return strcmp(list, word) == 0 && list[strlen(word) + 1] == '\0';
}

static bool is_star(const char *list)
{
    return is_only(list, "*");
}

/* Returns a message when the settings of CORS are wrong, else NULL. */
static const char *check_cors(const struct config *config)
{
    const char *origins = config->cors_origin, *headers = config->cors_headers;
    bool any = is_star(origins);

    for (const char *one = origins; *one && !any; one += strlen(one) + 1)
        if (!is_origin(one))
            return "DS_CORS_ORIGIN must be *, or origins such as https://app.example";
    if (config->cors_credentials && (any || !*origins))
        return "DS_CORS_CREDENTIALS=1 needs a list of origins in DS_CORS_ORIGIN: otherwise every "
               "page could act in the name of its visitor";
    for (const char *one = headers; *one && !is_star(headers); one += strlen(one) + 1)
        if (!is_header_safe(one) || strpbrk(one, "*\"():;<=>?@[\\]{}/"))
            return "DS_CORS_HEADERS must be *, or names of request headers";
    return NULL;
}

/* Is the path in its normal form? Requests are normalized, so no request could name another one. */
static bool is_path(const char *path)
{
    struct arena *arena = arena_new();
    const char *reason, *normal = NULL;
    bool same;

    if (arena && path[0] == '/' && !strpbrk(path, "?#"))
        normal = path_normalize(arena, path, strlen(path), &reason);
    same = normal && strcmp(normal, path) == 0;
    arena_free(arena);
    return same;
}

/* Returns a message when the list of proxies is wrong, else NULL. */
static const char *check_proxies(const char *list)
{
    struct network network;

    if (is_only(list, "0") || is_only(list, "1"))
        return NULL;
    for (; *list; list += strlen(list) + 1)
        if (!network_parse(list, &network) || !network_is_whole(&network))
            return "DS_TRUST_FORWARDED must be 0, 1, or networks such as 10.0.0.0/8 and addresses";
    return NULL;
}

/* Settles the texts that need more than a copy. Returns a message when one is wrong, else NULL. */
static const char *check_texts(struct config *config)
{
    const char *wrong;

    if (!is_header_safe(config->base_url))
        return "DS_BASE_URL must be printable ASCII without spaces";
    for (size_t len = strlen(config->base_url); len > 0 && config->base_url[len - 1] == '/'; len--)
        config->base_url[len - 1] = '\0'; /* a path, which begins with a slash, follows it */
    if (!split_base_url(config))
        return "DS_BASE_URL must be http://host[:port][/prefix] or https://host[:port][/prefix]";
    if (config->registry[0] && strcmp(config->registry, "off") != 0 && !is_path(config->registry))
        return "DS_REGISTRY must be off or the path of a stream in its normal form";
    if (config->hook[0] && config->hook[0] != '/')
        return "DS_HOOK must be the absolute path of a program";
    wrong = check_proxies(config->trusted_proxies);
    return wrong ? wrong : check_cors(config);
}

static bool check_webhook_list(const char *name, const char *list, char *error, size_t size)
{
    for (; *list; list += strlen(list) + 1) {
        const char *wrong = webhook_rule_check(list);

        if (wrong) {
            (void)snprintf(error, size, "%s: %.40s: %s", name, list, wrong);
            return false;
        }
    }
    return true;
}

bool config_load(struct config *config, char *error, size_t size)
{
    const char *wrong;

    memset(config, 0, sizeof *config);
    (void)snprintf(error, size, "out of memory");
    for (size_t i = 0; i < config_table_rows; i++)
        if (!load_row(config, &config_table[i], getenv(config_table[i].name), error, size))
            goto fail;
    if (!check_webhook_list("DS_WEBHOOK_ALLOW", config->webhook_allow, error, size) ||
        !check_webhook_list("DS_WEBHOOK_DENY", config->webhook_deny, error, size))
        goto fail;
    wrong = check_texts(config);
    if (wrong) {
        (void)snprintf(error, size, "%s", wrong);
        goto fail;
    }
    if (!settle_database(config))
        goto fail;
    return true;
fail:
    config_close(config);
    return false;
}

void config_close(struct config *config)
{
    for (size_t i = 0; i < config_table_rows; i++) {
        const struct config_row *row = &config_table[i];

        if (row->kind == TEXT || row->kind == LIST) {
            free(*text_field(config, row));
            *text_field(config, row) = NULL;
        }
    }
}

bool config_init(struct config *config, const char *database)
{
    char unused[1];

    memset(config, 0, sizeof *config);
    for (size_t i = 0; i < config_table_rows; i++)
        if (!load_row(config, &config_table[i], NULL, unused, sizeof unused))
            goto fail;
    config->base_path = "";
    free(config->database);
    config->database = place_real(database);
    if (config->database)
        return true;
fail:
    config_close(config);
    return false;
}
