/*
 * HTTP for dsctl, by libcurl: one connection, requests with retries, headers of answers. The only
 * room that knows libcurl.
 *
 * What is tried again, with pauses that grow from 0.1 to 5 s, or as long as Retry-After says:
 *
 *     429 and 503                      always: the server says that it has done nothing
 *     no connection                    always, but at once an error while nobody ever answered
 *     500, 502, 504, a broken answer   if the request is safe to repeat
 *
 * for --retry seconds in all; a reading that follows has no such limit.
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
    bool is_safe;  /* may be carried out twice without harm */
    bool is_live;  /* the answer comes when something happens: --timeout does not apply */
    bool endless;  /* tried again for ever */
    bool once;     /* tried once: the caller looks at the answer, whatever it is */
    /* takes the body of a 200 as it comes, false ends the answer; NULL: it is collected. For one
       that is tried once, since what came of a broken answer has been taken. */
    bool (*sink)(void *arg, const char *data, size_t len);
    void *arg;
};

enum { CLI_HTTP_ERROR_SIZE = 256 }; /* libcurl's CURL_ERROR_SIZE */

struct cli_answer {
    long status;                     /* 0: nobody answered */
    bool is_complete;                /* the whole answer came */
    bool repeated;                   /* an earlier try may have been carried out */
    char error[CLI_HTTP_ERROR_SIZE]; /* in words, when it is not complete */
    struct buf head;                 /* "name: value\0", one after the other */
    struct buf body;
};

/* NULL, after saying why. */
struct cli_http *cli_http_new(struct cli *cli);
void cli_http_free(struct cli_http *http);

/*
 * Sends it and tries again as above. answer is zeroed or one that was used before; close it with
 * cli_http_drop(). CLI_UNREACHABLE, already said: nobody answered. CLI_DONE: answer has a status,
 * whichever, or was tried once.
 */
enum cli_exit cli_http_send(struct cli_http *http, const struct cli_request *request,
                            struct cli_answer *answer);
void cli_http_drop(struct cli_answer *answer);

/* The value of a header of the answer; NULL: it has none. Lives as long as the answer. */
const char *cli_http_header(const struct cli_answer *answer, const char *name);
bool cli_http_is_true(const struct cli_answer *answer, const char *name);

/* Waits, as between tries: the first time briefly, then longer. *pause_ms begins with 0. */
void cli_http_pause(int64_t *pause_ms);

#endif
