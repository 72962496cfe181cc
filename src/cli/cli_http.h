/*
 * HTTP for dsctl: one connection, requests that are repeated, headers of answers. Only cli_http.c
 * knows libcurl.
 *
 * A request is repeated in these cases, after pauses that grow from 0.1 s to 5 s or that
 * Retry-After sets:
 *
 *     429 and 503                      always: the server says that it did nothing
 *     no connection                    always; before the first answer only with --retry
 *     500, 502, 504, a broken answer   if the request may be carried out twice
 *
 * dsctl gives up after the time of --retry; tail -f has no such limit.
 */
#ifndef CLI_HTTP_H
#define CLI_HTTP_H

#include "base/buf.h"
#include "cli/cli.h"

struct cli_http;

struct cli_request {
    const char *method;
    const char *url;
    const char *headers[12]; /* "Name: value"; NULL ends them */
    const char *body;
    size_t len;
    bool has_body; /* also when len is 0 */
    bool is_safe;  /* may be carried out twice */
    bool is_live;  /* the answer may wait for new data: --timeout does not apply */
    bool endless;  /* repeated without limit */
    bool once;     /* never repeated: the caller handles every answer */
    /* takes the body of a 200 as it arrives, and returns false to stop; NULL: the body is
       collected. Needs `once`, because a repeated answer would start again from its beginning. */
    bool (*sink)(void *arg, const char *data, size_t len);
    void *arg;
};

enum { CLI_HTTP_ERROR_SIZE = 256 }; /* libcurl's CURL_ERROR_SIZE */

struct cli_answer {
    long status;                     /* 0: there was no answer */
    bool is_complete;                /* the whole answer arrived */
    bool repeated;                   /* an earlier attempt may have been carried out */
    char error[CLI_HTTP_ERROR_SIZE]; /* why it is not complete */
    struct buf head;                 /* "name: value\0" for each header */
    struct buf body;
};

/* NULL after reporting an error. */
struct cli_http *cli_http_new(struct cli *cli);
void cli_http_free(struct cli_http *http);

/*
 * Sends a request and repeats it as above. answer starts as zeroes or is used again; free it with
 * cli_http_drop(). CLI_UNREACHABLE: no answer, which has been reported. CLI_DONE: answer has some
 * status, or the request was sent only once.
 */
enum cli_exit cli_http_send(struct cli_http *http, const struct cli_request *request,
                            struct cli_answer *answer);
void cli_http_drop(struct cli_answer *answer);

/* The value of a header; NULL: the answer does not have it. Valid as long as the answer. */
const char *cli_http_header(const struct cli_answer *answer, const char *name);
bool cli_http_is_true(const struct cli_answer *answer, const char *name);

/* Waits as between attempts, longer each time. *pause_ms starts at 0. */
void cli_http_pause(int64_t *pause_ms);

#endif
