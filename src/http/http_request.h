/*
 * A request: the gateway's CGI parameters (RFC 3875) turned into method, path, query and the
 * headers that this server reads. Texts live in the exchange's arena. Not for several threads at a
 * time.
 */
#ifndef HTTP_REQUEST_H
#define HTTP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct config;
struct http_field;

enum http_method {
    HTTP_GET,
    HTTP_HEAD,
    HTTP_POST,
    HTTP_PUT,
    HTTP_DELETE,
    HTTP_OPTIONS,
    HTTP_METHODS, /* their number; as a value, any other method */
};

/* The parameters that this server reads; http_request.c has their CGI names. */
enum http_param {
    PARAM_METHOD,
    PARAM_TARGET, /* REQUEST_URI */
    PARAM_SCRIPT_NAME,
    PARAM_PATH_INFO,
    PARAM_SCHEME,
    PARAM_HTTPS,
    PARAM_SERVER_NAME,
    PARAM_SERVER_PORT,
    PARAM_REMOTE_ADDR,     /* of the client of a web server, or of our own HTTP door */
    PARAM_SERVER_SOFTWARE, /* absent under nginx, whose shipped site does not pass it */
    PARAM_CONTENT_TYPE,
    PARAM_SENT_TYPE, /* HTTP_CONTENT_TYPE of nginx, which shows a second Content-Type */
    PARAM_CONTENT_LENGTH,
    PARAM_CONTENT_ENCODING,
    PARAM_HOST,
    PARAM_AUTHORIZATION, /* absent if longer than DS_MAX_HEADER_BYTES: tokens of ours are short */
    PARAM_ACCEPT_ENCODING,
    PARAM_IF_NONE_MATCH,
    PARAM_ORIGIN,
    PARAM_REQUEST_HEADERS, /* Access-Control-Request-Headers */
    PARAM_LAST_EVENT_ID,
    PARAM_FORWARDED_HOST,
    PARAM_FORWARDED_PROTO,
    PARAM_PRODUCER_EPOCH, /* from here to PARAM_STREAM_TTL: the protocol's, each allowed once */
    PARAM_PRODUCER_ID,
    PARAM_PRODUCER_SEQ,
    PARAM_STREAM_CLOSED,
    PARAM_STREAM_EXPIRES_AT,
    PARAM_STREAM_FORK_OFFSET,
    PARAM_STREAM_FORK_SUB_OFFSET,
    PARAM_STREAM_FORKED_FROM,
    PARAM_STREAM_SEQ,
    PARAM_STREAM_TTL,
    PARAM_TEST_KILL, /* X-Test-Kill, which only builds with test hooks obey */
    HTTP_PARAMS
};

struct http_request {
    enum http_method method;
    const char *param[HTTP_PARAMS]; /* NULL: absent. An empty Content-Type counts as absent */
    bool too_long;                  /* a value was longer than DS_MAX_HEADER_BYTES */
    const char *repeated;   /* the name of a header that was sent twice and must not be, or NULL */
    const char *origin;     /* the page's origin, if it is one of several in the settings */
    const char *prefix;     /* what precedes the path in the URL, as sent; "" if nothing does */
    const char *path;       /* the stream's normalised name; NULL before http_request_parse() */
    const char *query;      /* "" if there is none */
    int64_t content_length; /* bytes; -1: not sent */
    char *body;             /* malloc'd by the gateway, freed with the exchange */
    size_t body_len;
    bool body_too_large; /* it had more than DS_MAX_BODY_BYTES, and was read and discarded */
};

/* Adds one CGI parameter, and ignores it if this server does not read it. The value is copied.
   False when out of memory. */
bool http_request_add(struct http_request *request, struct arena *arena,
                      const struct config *config, const char *name, size_t name_len,
                      const char *value);

/* Adds one header line of HTTP, in the same way; several lines of a list become one. Names with a
   "_" are ignored: in CGI's names it stands for a "-". */
bool http_request_add_field(struct http_request *request, struct arena *arena,
                            const struct config *config, const struct http_field *field);

/* The number of bytes in CONTENT_LENGTH; -1 if it is absent or empty, -2 if it is not a number. */
int64_t http_request_length(const char *text);

/*
 * Sets method, prefix, path, query and content_length from the parameters. Returns 0, or the HTTP
 * status to answer with and a one-line *reason.
 *
 * The path is that of REQUEST_URI without a prefix. The prefix is that of DS_BASE_URL; if that has
 * none, it is the part before PATH_INFO when the web server passes one, as for a program in a
 * folder on shared hosting: /~ann/streams.cgi/v1/stream/x is the stream /v1/stream/x.
 */
int http_request_parse(struct http_request *request, struct arena *arena,
                       const struct config *config, const char **reason);

/*
 * The normalised name of another stream, whose URL path a header gives (Stream-Forked-From). NULL
 * with a one-line *reason when no stream can have it.
 */
const char *http_request_sibling(const struct http_request *request, struct arena *arena,
                                 const struct config *config, const char *url_path,
                                 const char **reason);

/* Does the request say what scheme or host a client of a proxy used, and does it depend on its
   PARAM_REMOTE_ADDR whether that counts? */
bool http_request_needs_address(const struct http_request *request, const struct config *config);

/*
 * The URL of the request's stream as the client would write it: absolute if the host is known, else
 * a path. NULL when out of memory.
 */
const char *http_request_url(const struct http_request *request, struct arena *arena,
                             const struct config *config);

/*
 * Scheme, host and prefix of the server's URLs, as the client would write them; only the prefix if
 * no host is known. A path follows it. NULL when out of memory.
 */
const char *http_request_base(const struct http_request *request, struct arena *arena,
                              const struct config *config);

/* Has the body a Content-Encoding other than identity? Readers would get it without that header. */
bool http_request_is_coded(const struct http_request *request);

/* Does Stream-Closed say "true", in upper or lower case (protocol section 4.1)? Other values count
   as absent. */
bool http_request_closes(const struct http_request *request);

#endif
