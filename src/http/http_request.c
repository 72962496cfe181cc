/* CGI parameters into a request: see http_request.h. */
#include "http/http_request.h"

#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/digits.h"
#include "config/config.h"
#include "http/http_cors.h"
#include "http/http_head.h"
#include "protocol/network.h"
#include "protocol/path.h"

/* bounds the search for a prefix: in "/v1//v1//v1/…" every "/v1/" is a candidate */
enum { LONGEST_PREFIX = 1024, MOST_PLACES = 16 };

enum { NAME_SIZE = 48 }; /* bytes, enough for every name that we read */

/* The parameters that we read, indexed by the length of their names: most others differ in it. */
static const struct name {
    const char *text; /* NULL ends the row */
    enum http_param param;
} names[][7] = {
    /* the last one of a length is empty */
    [5] = {{"HTTPS", PARAM_HTTPS}},
    [9] = {{"HTTP_HOST", PARAM_HOST}, {"PATH_INFO", PARAM_PATH_INFO}},
    [11] = {{"HTTP_ORIGIN", PARAM_ORIGIN},
            {"REMOTE_ADDR", PARAM_REMOTE_ADDR},
            {"REQUEST_URI", PARAM_TARGET},
            {"SCRIPT_NAME", PARAM_SCRIPT_NAME},
            {"SERVER_NAME", PARAM_SERVER_NAME},
            {"SERVER_PORT", PARAM_SERVER_PORT}},
    [12] = {{"CONTENT_TYPE", PARAM_CONTENT_TYPE}},
    [14] = {{"CONTENT_LENGTH", PARAM_CONTENT_LENGTH},
            {"REQUEST_METHOD", PARAM_METHOD},
            {"REQUEST_SCHEME", PARAM_SCHEME}},
    [15] = {{"HTTP_STREAM_SEQ", PARAM_STREAM_SEQ},
            {"HTTP_STREAM_TTL", PARAM_STREAM_TTL},
            {"SERVER_SOFTWARE", PARAM_SERVER_SOFTWARE}},
    [16] = {{"HTTP_PRODUCER_ID", PARAM_PRODUCER_ID}, {"HTTP_X_TEST_KILL", PARAM_TEST_KILL}},
    [17] = {{"HTTP_CONTENT_TYPE", PARAM_SENT_TYPE}, {"HTTP_PRODUCER_SEQ", PARAM_PRODUCER_SEQ}},
    [18] = {{"HTTP_AUTHORIZATION", PARAM_AUTHORIZATION},
            {"HTTP_IF_NONE_MATCH", PARAM_IF_NONE_MATCH},
            {"HTTP_LAST_EVENT_ID", PARAM_LAST_EVENT_ID},
            {"HTTP_STREAM_CLOSED", PARAM_STREAM_CLOSED}},
    [19] = {{"HTTP_PRODUCER_EPOCH", PARAM_PRODUCER_EPOCH}},
    [20] = {{"HTTP_ACCEPT_ENCODING", PARAM_ACCEPT_ENCODING}},
    [21] = {{"HTTP_CONTENT_ENCODING", PARAM_CONTENT_ENCODING},
            {"HTTP_X_FORWARDED_HOST", PARAM_FORWARDED_HOST}},
    [22] = {{"HTTP_STREAM_EXPIRES_AT", PARAM_STREAM_EXPIRES_AT},
            {"HTTP_X_FORWARDED_PROTO", PARAM_FORWARDED_PROTO}},
    [23] = {{"HTTP_STREAM_FORK_OFFSET", PARAM_STREAM_FORK_OFFSET},
            {"HTTP_STREAM_FORKED_FROM", PARAM_STREAM_FORKED_FROM}},
    [27] = {{"HTTP_STREAM_FORK_SUB_OFFSET", PARAM_STREAM_FORK_SUB_OFFSET}},
    [35] = {{"HTTP_ACCESS_CONTROL_REQUEST_HEADERS", PARAM_REQUEST_HEADERS}},
};

/*
 * Headers that a request may have only once. A web server passes a second one on either as another
 * parameter or joined to the first by ", ". The joined form looks like one value that contains
 * ", ", so we refuse both forms at every gateway instead of guessing which value was meant. A comma
 * without a space is an ordinary character of Producer-Id and Stream-Seq.
 */
static const char *const single[HTTP_PARAMS] = {
    [PARAM_SENT_TYPE] = "Content-Type",
    [PARAM_CONTENT_ENCODING] = "Content-Encoding",
    [PARAM_AUTHORIZATION] = "Authorization",
    [PARAM_PRODUCER_EPOCH] = "Producer-Epoch",
    [PARAM_PRODUCER_ID] = "Producer-Id",
    [PARAM_PRODUCER_SEQ] = "Producer-Seq",
    [PARAM_STREAM_CLOSED] = "Stream-Closed",
    [PARAM_STREAM_EXPIRES_AT] = "Stream-Expires-At",
    [PARAM_STREAM_FORK_OFFSET] = "Stream-Fork-Offset",
    [PARAM_STREAM_FORK_SUB_OFFSET] = "Stream-Fork-Sub-Offset",
    [PARAM_STREAM_FORKED_FROM] = "Stream-Forked-From",
    [PARAM_STREAM_SEQ] = "Stream-Seq",
    [PARAM_STREAM_TTL] = "Stream-TTL",
};

/* Inline: most parameters of a web server are none of ours, and a call would cost more than the
 * look. */
static inline int find_param(const char *name, size_t len)
{
    if (len >= sizeof names / sizeof *names)
        return -1;
    /* most names begin with "HTTP_" or "SERVER_": the last letter tells them apart sooner */
    for (const struct name *row = names[len]; row->text; row++)
        if (row->text[len - 1] == name[len - 1] && memcmp(row->text, name, len) == 0)
            return (int)row->param;
    return -1;
}

/* These are not headers of the client, and the path has its own limit. */
static bool is_about_path(int param)
{
    return param == PARAM_TARGET || param == PARAM_SCRIPT_NAME || param == PARAM_PATH_INFO;
}

static inline bool add_param(struct http_request *request, struct arena *arena,
                             const struct config *config, int which, const char *value)
{
    size_t len;

    if (request->param[which]) { /* if another header is sent twice, the first one counts */
        if (single[which])
            request->repeated = single[which];
        return true;
    }
    len = strlen(value);
    if (len == 0 && (which == PARAM_CONTENT_TYPE || which == PARAM_CONTENT_LENGTH))
        return true; /* web servers pass these two empty when the client sent none */
    if (len > (size_t)config->max_header_bytes && !is_about_path(which)) {
        /* credentials for the web server or the application are none of our business */
        request->too_long |= which != PARAM_AUTHORIZATION;
        return true;
    }
    if (which == PARAM_ORIGIN) /* now: a refusal may be sent before the request is parsed */
        request->origin = http_cors_origin(config, value);
    request->param[which] = arena_strndup(arena, value, len);
    return request->param[which] != NULL;
}

bool http_request_add(struct http_request *request, struct arena *arena,
                      const struct config *config, const char *name, size_t name_len,
                      const char *value)
{
    int which = find_param(name, name_len);

    return which < 0 || add_param(request, arena, config, which, value);
}

/* The name of CGI for a header: "Stream-Seq" is HTTP_STREAM_SEQ. Returns its length; 0: too long
   for one that we read, or with a "_", by which it could pass for another one. */
static size_t write_name(const struct http_field *field, char name[static NAME_SIZE])
{
    static const char prefix[] = "HTTP_";
    size_t len = sizeof prefix - 1;

    if (field->name_len > NAME_SIZE - sizeof prefix)
        return 0;
    memcpy(name, prefix, len);
    for (size_t i = 0; i < field->name_len; i++) {
        char c = field->name[i];

        if (c == '_')
            return 0;
        name[len++] = c == '-' ? '_' : c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
    }
    return len;
}

/* Lists, which a client may also send as several lines (RFC 9110 section 5.3). */
static bool is_list(int param)
{
    return param == PARAM_ACCEPT_ENCODING || param == PARAM_IF_NONE_MATCH ||
           param == PARAM_REQUEST_HEADERS || param == PARAM_FORWARDED_HOST ||
           param == PARAM_FORWARDED_PROTO;
}

/* Adds one more line of a list to those before it, as web servers do for their programs. */
static bool join(struct http_request *request, struct arena *arena, const struct config *config,
                 int which, const struct http_field *field)
{
    const char *first = request->param[which];

    if (strlen(first) + 2 + field->value_len > (size_t)config->max_header_bytes) {
        request->too_long = true;
        return true;
    }
    request->param[which] = arena_printf(arena, "%s, %s", first, field->value);
    return request->param[which] != NULL;
}

bool http_request_add_field(struct http_request *request, struct arena *arena,
                            const struct config *config, const struct http_field *field)
{
    char name[NAME_SIZE];
    size_t len = write_name(field, name);
    int which = len > 0 ? find_param(name, len) : -1;

    if (which < 0)
        return true;
    if (is_list(which) && request->param[which])
        return join(request, arena, config, which, field);
    if (which == PARAM_SENT_TYPE) { /* CGI names it CONTENT_TYPE, and only a second one so */
        which = PARAM_CONTENT_TYPE;
        if (request->param[which])
            request->repeated = single[PARAM_SENT_TYPE];
    }
    return add_param(request, arena, config, which, field->value);
}

static enum http_method parse_method(const char *name)
{
    static const char *const methods[HTTP_METHODS] = {
        [HTTP_GET] = "GET", [HTTP_HEAD] = "HEAD",     [HTTP_POST] = "POST",
        [HTTP_PUT] = "PUT", [HTTP_DELETE] = "DELETE", [HTTP_OPTIONS] = "OPTIONS",
    };
    int i;

    for (i = 0; i < HTTP_METHODS; i++)
        if (strcmp(name, methods[i]) == 0)
            break;
    return (enum http_method)i;
}

int64_t http_request_length(const char *text)
{
    int64_t length = 0;

    if (!text || !*text) /* web servers pass it empty when the client sent none */
        return -1;
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || length > INT64_MAX / 10 - 10)
            return -2;
        length = length * 10 + (*text - '0');
    }
    return length;
}

/* The name of a header that was sent more than once, in either form; NULL if none was. */
static const char *find_repeated(const struct http_request *request)
{
    if (request->repeated)
        return request->repeated;
    /* only the protocol's headers: others may be lists, and are parsed as such */
    for (int i = PARAM_PRODUCER_EPOCH; i <= PARAM_STREAM_TTL; i++)
        if (request->param[i] && strstr(request->param[i], ", "))
            return single[i];
    return NULL;
}

/* Can this path follow a prefix? A program in a folder answers to these paths only. */
static bool is_own_path(const char *path, size_t len)
{
    return strncmp(path, "/v1/", 4) == 0 || strncmp(path, "/_test/", 7) == 0 ||
           (len == 7 && strncmp(path, "/health", 7) == 0);
}

/* prefix_len if one of our paths follows the prefix in path, else 0. */
static size_t match_start(const char *prefix, size_t prefix_len, const char *path, size_t len)
{
    if (prefix_len == 0 || len <= prefix_len || strncmp(path, prefix, prefix_len) != 0 ||
        !is_own_path(path + prefix_len, len - prefix_len))
        return 0;
    return prefix_len;
}

static size_t match_prefix(const char *prefix, const char *path, size_t len)
{
    return match_start(prefix, strlen(prefix), path, len);
}

/* The next character of a decoded path; "%2f" counts as a slash, and several slashes as one. */
static char next_folded(const char **at)
{
    bool slash = false;

    for (;; slash = true) {
        if (**at == '/')
            *at += 1;
        else if ((*at)[0] == '%' && (*at)[1] == '2' && ((*at)[2] | 0x20) == 'f')
            *at += 3;
        else
            break;
    }
    if (slash)
        return '/';
    return **at ? *(*at)++ : '\0';
}

/*
 * Are these the same path? Web servers decode PATH_INFO and merge its slashes, but only some decode
 * %2f, so the comparison ignores these differences.
 */
static bool is_path_info(const char *decoded, const char *path_info)
{
    for (;;) {
        char a = next_folded(&decoded), b = next_folded(&path_info);

        if (a != b)
            return false;
        if (a == '\0')
            return true;
    }
}

static char *decode_path(struct arena *arena, const char *path, size_t len)
{
    char *decoded = arena_alloc(arena, len + 1), *to = decoded;
    const char *end = path + len;

    if (!decoded)
        return NULL;
    while (path < end) {
        int byte = *path == '%' ? digits_percent(path, end) : -1;

        *to++ = byte > 0 ? (char)byte : *path;
        path += byte > 0 ? 3 : 1;
    }
    *to = '\0';
    return decoded;
}

/*
 * Sets *skip to the length of the path's prefix. REQUEST_URI is what the client sent, so after a
 * rewrite the prefix in it is not SCRIPT_NAME; but PATH_INFO is always the part after the prefix.
 * If several places fit, the first one counts, so that repeated slashes belong to the stream's
 * path. False when out of memory: continuing would address another stream.
 */
static bool find_prefix(const struct http_request *request, struct arena *arena, const char *path,
                        size_t len, size_t *skip)
{
    const char *path_info = request->param[PARAM_PATH_INFO];
    const char *script = request->param[PARAM_SCRIPT_NAME], *at;
    size_t most = len;
    int places = 0;

    *skip = 0;
    if (!script || !path_info || path_info[0] != '/')
        return true;
    if (len > LONGEST_PREFIX) /* the comparison still needs the whole path */
        most = LONGEST_PREFIX;
    at = decode_path(arena, path, len);
    if (!at)
        return false;
    for (size_t i = 0; i < most; at++) {
        if (is_own_path(path + i, len - i) && places++ < MOST_PLACES &&
            is_path_info(at, path_info)) {
            *skip = i;
            return true;
        }
        i += path[i] == '%' && digits_percent(path + i, path + len) > 0 ? 3 : 1;
    }
    *skip = match_prefix(script, path, len);
    return true;
}

/*
 * The length of the prefix in the URL of another stream. A program in a folder has several
 * prefixes: that of this request, the program's own name, and after a rewrite the folder's.
 */
static size_t strip_length(const struct http_request *request, const char *url_path, size_t len)
{
    const char *script = request->param[PARAM_SCRIPT_NAME], *slash;
    size_t skip = match_prefix(request->prefix, url_path, len);

    if (skip > 0 || !script || !request->param[PARAM_PATH_INFO])
        return skip;
    skip = match_prefix(script, url_path, len);
    slash = strrchr(script, '/');
    if (skip == 0 && slash)
        skip = match_start(script, (size_t)(slash - script), url_path, len);
    return skip;
}

const char *http_request_sibling(const struct http_request *request, struct arena *arena,
                                 const struct config *config, const char *url_path,
                                 const char **reason)
{
    size_t len = strlen(url_path);
    size_t skip = strip_length(request, url_path, len);

    url_path += skip;
    len -= skip;
    *reason = "the path must begin with a slash";
    if (url_path[0] != '/')
        return NULL;
    *reason = "the path is too long";
    if (len > (size_t)config->max_path_bytes)
        return NULL;
    *reason = "out of memory";
    return path_normalize(arena, url_path, len, reason);
}

int http_request_parse(struct http_request *request, struct arena *arena,
                       const struct config *config, const char **reason)
{
    const char *path, *repeated, *method = request->param[PARAM_METHOD];
    size_t len, skip = 0;

    request->query = request->prefix = "";
    request->method = method ? parse_method(method) : HTTP_METHODS;
    request->content_length = http_request_length(request->param[PARAM_CONTENT_LENGTH]);
    if (request->content_length == -2) {
        *reason = "Content-Length must be a number";
        return 400;
    }
    if (request->too_long) {
        *reason = "a request header is too long";
        return 431;
    }
    repeated = find_repeated(request);
    if (repeated) {
        *reason = arena_printf(
            arena, "%s must be sent once, and must not hold a comma before a space", repeated);
        if (!*reason)
            *reason = "a header was sent twice";
        return 400;
    }
    if (!request->param[PARAM_TARGET] ||
        !path_split_target(request->param[PARAM_TARGET], &path, &len, &request->query)) {
        *reason = "the request has no path (is REQUEST_URI passed on?)";
        return 400;
    }
    *reason = "out of memory";
    if (config->base_path[0])
        skip = match_prefix(config->base_path, path, len);
    else if (!find_prefix(request, arena, path, len, &skip))
        return 503;
    if (skip > 0) {
        request->prefix = arena_strndup(arena, path, skip);
        if (!request->prefix)
            return 503;
        path += skip;
        len -= skip;
    }
    if (len > (size_t)config->max_path_bytes) {
        *reason = "the path is too long";
        return 414;
    }
    *reason = "out of memory";
    request->path = path_normalize(arena, path, len, reason);
    if (!request->path)
        return strcmp(*reason, "out of memory") == 0 ? 503 : 400;
    return 0;
}

/* A part of a header's value; empty if there is no such header. */
struct span {
    const char *at;
    size_t len;
};

/* The next element of a list (RFC 9110 section 5.6.1) from `at` on, which may be NULL. */
static struct span next_element(const char *at)
{
    struct span element = {"", 0};

    if (!at)
        return element;
    element.at = at + strspn(at, ", \t");
    element.len = strcspn(element.at, ",");
    while (element.len > 0 && strchr(" \t", element.at[element.len - 1]))
        element.len--;
    return element;
}

static bool is_word(struct span span, const char *word)
{
    return span.len == strlen(word) && strncasecmp(span.at, word, span.len) == 0;
}

/* Is this a name, IPv4 address or [IPv6 address], with an optional port? Location must hold no
   other text. */
static bool is_host(struct span host)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_~";
    const char *at = host.at, *end = host.at + host.len;

    if (host.len == 0 || host.len > 255)
        return false;
    if (*at == '[') {
        at += 1 + strspn(at + 1, "0123456789abcdefABCDEF:.");
        if (at >= end || *at++ != ']')
            return false;
    } else {
        at += strspn(at, letters);
    }
    if (at > host.at && at < end && *at == ':')
        at += 1 + strspn(at + 1, "0123456789");
    return at == end;
}

/*
 * Takes scheme and host from X-Forwarded-Proto and X-Forwarded-Host. Each proxy appends its own
 * value to the list, so the first element is the one that the client used. Values that cannot be a
 * scheme or a host are ignored.
 */
static void take_forwarded(const struct http_request *request, struct span *scheme,
                           struct span *host)
{
    struct span proto = next_element(request->param[PARAM_FORWARDED_PROTO]);
    struct span name = next_element(request->param[PARAM_FORWARDED_HOST]);

    if (is_word(proto, "https") || is_word(proto, "http"))
        *scheme = proto;
    if (is_host(name))
        *host = name;
}

bool http_request_needs_address(const struct http_request *request, const struct config *config)
{
    return (request->param[PARAM_FORWARDED_PROTO] || request->param[PARAM_FORWARDED_HOST]) &&
           strcmp(config->trusted_proxies, "0") != 0 && strcmp(config->trusted_proxies, "1") != 0;
}

/* Does the request come from a proxy that we believe (DS_TRUST_FORWARDED)? */
static bool is_trusted(const struct http_request *request, const struct config *config)
{
    const char *from = request->param[PARAM_REMOTE_ADDR];
    struct address address;

    return strcmp(config->trusted_proxies, "1") == 0 ||
           (from && address_parse(from, strlen(from), &address) &&
            network_list_has(config->trusted_proxies, &address));
}

static struct span span_of(const char *text)
{
    return text ? (struct span){text, strlen(text)} : (struct span){"", 0};
}

/* scheme://host[:port]; "" if no host is known. NULL when out of memory. */
static const char *find_origin(const struct http_request *request, struct arena *arena,
                               const struct config *config)
{
    const char *const *param = request->param;
    struct span scheme = span_of(param[PARAM_SCHEME]), host = span_of(param[PARAM_HOST]);
    const char *port = param[PARAM_SERVER_PORT];

    if (param[PARAM_HTTPS] && strcasecmp(param[PARAM_HTTPS], "on") == 0)
        scheme = span_of("https");
    if (is_trusted(request, config))
        take_forwarded(request, &scheme, &host);
    if (is_host(host)) {
        port = NULL; /* Host includes it */
    } else {
        host = span_of(param[PARAM_SERVER_NAME]);
        if (!is_host(host))
            return "";
        if (port && strspn(port, "0123456789") == 0)
            port = NULL;
    }
    return arena_printf(arena, "%s://%.*s%s%.5s", is_word(scheme, "https") ? "https" : "http",
                        (int)host.len, host.at, port ? ":" : "", port ? port : "");
}

const char *http_request_base(const struct http_request *request, struct arena *arena,
                              const struct config *config)
{
    const char *origin =
        config->base_url[0] ? config->base_url : find_origin(request, arena, config);

    if (!origin)
        return NULL;
    return arena_printf(arena, "%s%s", origin, config->base_path[0] ? "" : request->prefix);
}

const char *http_request_url(const struct http_request *request, struct arena *arena,
                             const struct config *config)
{
    const char *base = http_request_base(request, arena, config);

    return base ? arena_printf(arena, "%s%s", base, request->path) : NULL;
}

bool http_request_is_coded(const struct http_request *request)
{
    struct span coding = next_element(request->param[PARAM_CONTENT_ENCODING]);

    while (is_word(coding, "identity"))
        coding = next_element(coding.at + coding.len);
    return coding.len > 0;
}

bool http_request_closes(const struct http_request *request)
{
    const char *closed = request->param[PARAM_STREAM_CLOSED];

    return closed && strcasecmp(closed, "true") == 0;
}
