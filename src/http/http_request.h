/*
 * A request as the gateways hand it in: CGI parameters (RFC 3875) turned into method, path, query
 * and the headers that this server reads. Everything lives in the exchange's arena.
 */
#ifndef HTTP_REQUEST_H
#define HTTP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct config;

enum http_method {
    HTTP_GET,
    HTTP_HEAD,
    HTTP_POST,
    HTTP_PUT,
    HTTP_DELETE,
    HTTP_OPTIONS,
    HTTP_METHODS, /* how many there are; as a value: any other method */
};

/* What is read of a request; their CGI names are in http_request.c. */
enum http_param {
    PARAM_METHOD,
    PARAM_TARGET, /* REQUEST_URI */
    PARAM_SCRIPT_NAME,
    PARAM_PATH_INFO,
    PARAM_SCHEME,
    PARAM_HTTPS,
    PARAM_SERVER_NAME,
    PARAM_SERVER_PORT,
    PARAM_SERVER_SOFTWARE, /* only where the web server says it by itself: nginx does not here */
    PARAM_CONTENT_TYPE,
    PARAM_SENT_TYPE, /* nginx passes it besides: tells whether there were two */
    PARAM_CONTENT_LENGTH,
    PARAM_CONTENT_ENCODING,
    PARAM_HOST,
    PARAM_IF_NONE_MATCH,
    PARAM_ORIGIN,
    PARAM_REQUEST_HEADERS, /* Access-Control-Request-Headers */
    PARAM_LAST_EVENT_ID,
    PARAM_FORWARDED_HOST,
    PARAM_FORWARDED_PROTO,
    PARAM_PRODUCER_EPOCH, /* from here to PARAM_STREAM_TTL: the protocol's own, allowed once */
    PARAM_PRODUCER_ID,
    PARAM_PRODUCER_SEQ,
    PARAM_STREAM_CLOSED,
    PARAM_STREAM_EXPIRES_AT,
    PARAM_STREAM_FORK_OFFSET,
    PARAM_STREAM_FORK_SUB_OFFSET,
    PARAM_STREAM_FORKED_FROM,
    PARAM_STREAM_SEQ,
    PARAM_STREAM_TTL,
    PARAM_TEST_KILL, /* X-Test-Kill: read by builds with test hooks only */
    HTTP_PARAMS
};

struct http_request {
    enum http_method method;
    const char *param[HTTP_PARAMS]; /* NULL: absent. An empty Content-Type counts as absent */
    bool too_long;                  /* one of them was longer than DS_MAX_HEADER_BYTES */
    const char *repeated; /* the name of a header that came twice and must not; NULL: none */
    const char *origin;   /* of the page it comes from, if settings name it: see http_cors.h */
    const char *prefix; /* of the URL, as sent, before the path; "" but for a program in a folder */
    const char *path;   /* the stream's name, normalised; NULL before http_request_parse */
    const char *query;  /* "" if there is none */
    int64_t content_length; /* -1: not said */
    char *body;             /* malloc'd by the gateway, freed with the exchange */
    size_t body_len;
    bool body_too_large; /* more than DS_MAX_BODY_BYTES: read and thrown away */
};

/* Takes note of one CGI parameter ("NAME", "value"), if it is one that is read. False: no memory.
 */
bool http_request_add(struct http_request *request, struct arena *arena,
                      const struct config *config, const char *name, size_t name_len,
                      const char *value);

/* The number in CONTENT_LENGTH. -1: there is none; -2: it is not a number of digits. */
int64_t http_request_length(const char *text);

/*
 * Sets method, prefix, path, query and content_length from the parameters. 0, or the HTTP status to
 * answer with and a one-line *reason.
 *
 * The path is that of REQUEST_URI, less a prefix: that of DS_BASE_URL, or, where it has none,
 * what stands before PATH_INFO where the web server knows one (a program in a folder, shared
 * hosting). /~ann/streams.cgi/v1/stream/x is the stream /v1/stream/x.
 */
int http_request_parse(struct http_request *request, struct arena *arena,
                       const struct config *config, const char **reason);

/*
 * The name of another stream that a header gives as the path of its URL, in the same normal form;
 * NULL with a one-line *reason when there can be no such stream.
 */
const char *http_request_sibling(const struct http_request *request, struct arena *arena,
                                 const struct config *config, const char *url_path,
                                 const char **reason);

/*
 * The URL of the request's stream, as the client would write it: with scheme and host where they
 * are known, else a path. NULL when out of memory.
 */
const char *http_request_url(const struct http_request *request, struct arena *arena,
                             const struct config *config);

/*
 * Is the body compressed, or encoded in another way (Content-Encoding)? Readers would get its bytes
 * without that header.
 */
bool http_request_is_coded(const struct http_request *request);

/* Stream-Closed: true, in any case (protocol section 4.1); anything else is as if it were absent.
 */
bool http_request_closes(const struct http_request *request);

#endif
