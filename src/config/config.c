/*
 * The settings: see config.h.
 *
 * To add one: a field in struct config, a row below, the table in README.md, an entry in
 * deploy/man/durable-streams.fcgi.8.
 */
#include "config/config.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/place.h"
#include "protocol/cursor.h"
#include "protocol/path.h"

#define KIB INT64_C(1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

enum kind { NUMBER, CHOICE, TEXT, LIST };

struct row {
    const char *name;
    enum kind kind;
    size_t field;        /* offset in struct config */
    const char *preset;  /* default of a TEXT or LIST; the choices of a CHOICE, '|' between them */
    int64_t number;      /* default of a NUMBER or CHOICE */
    int64_t least, most; /* of a NUMBER */
    const char *help;
};

#define FIELD(member) offsetof(struct config, member)

static const struct row table[] = {
    {"DS_DATABASE", TEXT, FIELD(database), "data/streams.db", 0, 0, 0,
     "path of the database file; its folder must exist"},
    {"DS_DURABILITY", CHOICE, FIELD(durability), "full|normal|memory", DURABILITY_FULL, 0, 0,
     "full: answers wait for the disk; normal: a power cut may undo the last moments; memory: on "
     "tmpfs, gone at stop"},
    {"DS_BUSY_TIMEOUT_MS", NUMBER, FIELD(busy_timeout_ms), NULL, 5000, 0, 600000,
     "how long a write waits for a database that another program has locked, then 503"},
    {"DS_LONG_POLL_TIMEOUT_MS", NUMBER, FIELD(long_poll_timeout_ms), NULL, 30000, 100, 3600000,
     "how long a long-poll waits for data"},
    {"DS_SSE_LIFETIME_MS", NUMBER, FIELD(sse_lifetime_ms), NULL, 60000, 100, 86400000,
     "an SSE connection is ended after this, give or take a tenth"},
    {"DS_SSE_KEEPALIVE_MS", NUMBER, FIELD(sse_keepalive_ms), NULL, 15000, 100, 3600000,
     "a silent SSE connection gets a comment line this often"},
    {"DS_READ_CHUNK_BYTES", NUMBER, FIELD(read_chunk_bytes), NULL, 1 * MIB, 1024, 1 * GIB,
     "most payload bytes of one answer; a larger message is sent by itself, outside JSON streams "
     "one of more than 256 KiB in parts of that size"},
    {"DS_MAX_BODY_BYTES", NUMBER, FIELD(max_body_bytes), NULL, 64 * MIB, 1, 900 * MIB,
     "largest request body, else 413"},
    {"DS_MAX_MESSAGES", NUMBER, FIELD(max_messages), NULL, 65536, 1, 100000000,
     "most messages in one JSON body, else 413: others wait while they are stored"},
    {"DS_MAX_PATH_BYTES", NUMBER, FIELD(max_path_bytes), NULL, 2048, 16, 65536,
     "longest path of a stream, else 414"},
    {"DS_MAX_HEADER_BYTES", NUMBER, FIELD(max_header_bytes), NULL, 8192, 256, 65536,
     "longest value of one request header, else 431"},
    {"DS_MAX_PARKED", NUMBER, FIELD(max_parked), NULL, 50000, 1, 10000000,
     "most waiting readers of one process, else 503"},
    {"DS_MAX_QUEUED", NUMBER, FIELD(max_queued), NULL, 16384, 1, 10000000,
     "most writes waiting for their commit in one process, else 503"},
    {"DS_MAX_QUEUED_BYTES", NUMBER, FIELD(max_queued_bytes), NULL, 256 * MIB, 1 * MIB, 64 * GIB,
     "most bytes of such writes, and of requests that are still coming in, else 503"},
    {"DS_IO_TIMEOUT_MS", NUMBER, FIELD(io_timeout_ms), NULL, 30000, 100, 3600000,
     "how long the web server may take no bytes in the middle of an answer, then the connection is "
     "closed"},
    {"DS_UPLOAD_TIMEOUT_MS", NUMBER, FIELD(upload_timeout_ms), NULL, 60000, 100, 3600000,
     "how long a request that is coming in may pause, then 408"},
    {"DS_STOP_TIMEOUT_MS", NUMBER, FIELD(stop_timeout_ms), NULL, 10000, 0, 600000,
     "how long a graceful end may take"},
    {"DS_CURSOR_INTERVAL_SECONDS", NUMBER, FIELD(cursor_interval_s), NULL,
     DS_CURSOR_DEFAULT_INTERVAL_SECONDS, 1, 86400, "length of a cursor interval"},
    {"DS_CURSOR_EPOCH", NUMBER, FIELD(cursor_epoch_s), NULL, DS_CURSOR_DEFAULT_EPOCH, 0,
     INT64_C(253402300799), "start of the cursor intervals, in Unix seconds"},
    {"DS_CORS_ORIGIN", LIST, FIELD(cors_origin), "*", 0, 0, 0,
     "the origins whose pages may see answers (Access-Control-Allow-Origin): *, or some, such as "
     "https://app.example with spaces between them; empty: no CORS headers"},
    {"DS_CORS_CREDENTIALS", NUMBER, FIELD(cors_credentials), NULL, 0, 0, 1,
     "1: such pages may send cookies and passwords; not with *"},
    {"DS_CORS_HEADERS", LIST, FIELD(cors_headers), "", 0, 0, 0,
     "request headers that such pages may send besides those of the protocol and of tracing, or *"},
    {"DS_CACHE", CHOICE, FIELD(cache), "public|private|off", CACHE_PUBLIC, 0, 0,
     "who may cache catch-up reads for a minute"},
    {"DS_BASE_URL", TEXT, FIELD(base_url), "", 0, 0, 0,
     "scheme://host[:port][/prefix] of absolute URLs, the prefix in front of every stream's path; "
     "empty: from the request"},
    {"DS_TRUST_FORWARDED", NUMBER, FIELD(trust_forwarded), NULL, 0, 0, 1,
     "1: X-Forwarded-Proto and X-Forwarded-Host are believed; of a list, the first element"},
    {"DS_WORKERS", NUMBER, FIELD(workers), NULL, 4, 1, 256,
     "threads that read requests; waiting readers need none"},
    {"DS_PROCESSES", NUMBER, FIELD(processes), NULL, 1, 1, 64, "responder processes with --listen"},
    {"DS_REGISTRY", TEXT, FIELD(registry), "", 0, 0, 0,
     "path of a stream that says which streams there are, /v1/stream/__registry__ for example; "
     "off; empty: as the database has it"},
    {"DS_HOOK", TEXT, FIELD(hook), "", 0, 0, 0,
     "absolute path of a program that is run, with the event as JSON on its input, after a stream "
     "was made or deleted"},
    {"DS_HOOK_PROCESSES", NUMBER, FIELD(hook_processes), NULL, 4, 1, 64,
     "how many of it a process runs at once; 1: in order"},
    {"DS_HOOK_TIMEOUT_MS", NUMBER, FIELD(hook_timeout_ms), NULL, 10000, 10, 3600000,
     "how long it may take, then it is killed"},
    {"DS_CHECKPOINT", CHOICE, FIELD(checkpoint), "off|on", 1, 0, 0,
     "off: another program, such as Litestream, checkpoints the write-ahead log"},
    {"DS_WAL_BYTES", NUMBER, FIELD(wal_bytes), NULL, 16 * MIB, 64 * KIB, 64 * GIB,
     "the write-ahead log is checkpointed when it has grown to this"},
    {"DS_RESERVE_BYTES", NUMBER, FIELD(reserve_bytes), NULL, 4 * MIB, 0, 64 * GIB,
     "room kept for deletions on a full disk, in a file beside the database (twice as much, more "
     "while the log is long); 0: a full disk refuses deletions, too"},
    {"DS_TEST_ENDPOINTS", NUMBER, FIELD(test_endpoints), NULL, 0, 0, 1,
     "1: faults of the table `faults` are injected; anybody can set them at /_test/inject-error"},
    {"DS_LOG_LEVEL", CHOICE, FIELD(log_level), "error|warn|info|debug", LOG_INFO_, 0, 0,
     "least level that is logged"},
};

enum { ROWS = sizeof table / sizeof table[0] };

static int64_t *number_field(struct config *config, const struct row *row)
{
    return (int64_t *)(void *)((char *)config + row->field);
}

static char **text_field(struct config *config, const struct row *row)
{
    return (char **)(void *)((char *)config + row->field);
}

static bool parse_number(const struct row *row, const char *value, int64_t *number)
{
    char *end;
    long long parsed;

    errno = 0;
    parsed = strtoll(value, &end, 10);
    *number = parsed;
    return errno == 0 && end != value && *end == '\0' && parsed >= row->least &&
           parsed <= row->most;
}

static bool parse_choice(const struct row *row, const char *value, int64_t *number)
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
 * Memory mode: the file lies on tmpfs, under a name that is the same for every process of it, in a
 * folder of this user only (place.h).
 */
static char *memory_path(const char *database)
{
    uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a: short and stable is all it must be */
    char *path;

    for (const char *c = database; *c; c++)
        hash = (hash ^ (unsigned char)*c) * UINT64_C(1099511628211);
    if (asprintf(&path, "/dev/shm/durable-streams-%u/%016llx.db", (unsigned)geteuid(),
                 (unsigned long long)hash) < 0)
        return NULL;
    return path;
}

/* The words of a text, which spaces and commas separate. NULL when out of memory. */
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

/* Replaces the name that was given by the real name of the file. */
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

/* value NULL: the default. */
static bool load_row(struct config *config, const struct row *row, const char *value, char *error,
                     size_t size)
{
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
        (void)snprintf(error, size, "%s must be a whole number from %lld to %lld", row->name,
                       (long long)row->least, (long long)row->most);
        return false;
    case CHOICE:
        *number_field(config, row) = row->number;
        if (!value || parse_choice(row, value, number_field(config, row)))
            return true;
        (void)snprintf(error, size, "%s must be one of %s", row->name, row->preset);
        return false;
    }
    return false;
}

/* A text that becomes a part of header lines. */
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

/* scheme://host[:port] as browsers write it: in small letters, and without a path. */
static bool is_origin(const char *origin)
{
    const char *host = strstr(origin, "://");

    return host > origin && host[3] &&
           strspn(origin, "abcdefghijklmnopqrstuvwxyz0123456789+-.") == (size_t)(host - origin) &&
           host[3 + strspn(host + 3, "abcdefghijklmnopqrstuvwxyz0123456789-._~:[]")] == '\0';
}

/* A list of nothing but "*". */
static bool is_star(const char *list)
{
    return strcmp(list, "*") == 0 && list[2] == '\0';
}

/* NULL, or what is wrong. */
static const char *check_cors(const struct config *config)
{
    const char *origins = config->cors_origin, *headers = config->cors_headers;
    bool any = is_star(origins);

    for (const char *one = origins; *one && !any; one += strlen(one) + 1)
        if (!is_origin(one))
            return "DS_CORS_ORIGIN must be only *, or origins such as https://app.example";
    if (config->cors_credentials && (any || !*origins))
        return "DS_CORS_CREDENTIALS=1 wants origins by name in DS_CORS_ORIGIN: with *, any page "
               "could act as whoever looks at it";
    for (const char *one = headers; *one && !is_star(headers); one += strlen(one) + 1)
        if (!is_header_safe(one) || strpbrk(one, "*\"():;<=>?@[\\]{}/"))
            return "DS_CORS_HEADERS must be only *, or names of headers";
    return NULL;
}

/* A path in the form that requests get: else it would name a stream that nobody can ask for. */
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

bool config_load(struct config *config, char *error, size_t size)
{
    const char *wrong;

    memset(config, 0, sizeof *config);
    (void)snprintf(error, size, "out of memory");
    for (int i = 0; i < ROWS; i++)
        if (!load_row(config, &table[i], getenv(table[i].name), error, size))
            goto fail;
    if (!is_header_safe(config->base_url)) {
        (void)snprintf(error, size, "DS_BASE_URL must be printable ASCII");
        goto fail;
    }
    wrong = check_cors(config);
    if (wrong) {
        (void)snprintf(error, size, "%s", wrong);
        goto fail;
    }
    for (size_t len = strlen(config->base_url); len > 0 && config->base_url[len - 1] == '/'; len--)
        config->base_url[len - 1] = '\0'; /* a path follows it */
    if (!split_base_url(config)) {
        (void)snprintf(error, size, "DS_BASE_URL must be http[s]://host[:port][/prefix]");
        goto fail;
    }
    if (config->registry[0] && strcmp(config->registry, "off") != 0 && !is_path(config->registry)) {
        (void)snprintf(error, size, "DS_REGISTRY must be off or the path of a stream");
        goto fail;
    }
    if (config->hook[0] && config->hook[0] != '/') {
        (void)snprintf(error, size, "DS_HOOK must be the absolute path of a program");
        goto fail;
    }
    (void)snprintf(error, size, "out of memory");
    if (!settle_database(config))
        goto fail;
    return true;
fail:
    config_close(config);
    return false;
}

void config_close(struct config *config)
{
    free(config->database);
    free(config->base_url);
    free(config->cors_origin);
    free(config->cors_headers);
    free(config->registry);
    free(config->hook);
    config->database = config->base_url = config->cors_origin = config->cors_headers = NULL;
    config->registry = config->hook = NULL;
}

/* The default of a CHOICE within its list. */
static const char *choice_text(const struct row *row)
{
    const char *at = row->preset;

    for (int64_t i = 0; i < row->number; i++)
        at += strcspn(at, "|") + 1;
    return at;
}

static int choice_len(const struct row *row)
{
    return (int)strcspn(choice_text(row), "|");
}

void config_print_help(FILE *out)
{
    for (int i = 0; i < ROWS; i++) {
        const struct row *row = &table[i];

        if (row->kind == NUMBER)
            (void)fprintf(out, "  %s=%lld  (%lld to %lld)\n", row->name, (long long)row->number,
                          (long long)row->least, (long long)row->most);
        else if (row->kind == CHOICE)
            (void)fprintf(out, "  %s=%.*s  (%s)\n", row->name, choice_len(row), choice_text(row),
                          row->preset);
        else
            (void)fprintf(out, "  %s=%s\n", row->name, row->preset);
        (void)fprintf(out, "      %s\n", row->help);
    }
}

bool config_init(struct config *config, const char *database)
{
    char unused[1];

    memset(config, 0, sizeof *config);
    for (int i = 0; i < ROWS; i++)
        if (!load_row(config, &table[i], NULL, unused, sizeof unused))
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
