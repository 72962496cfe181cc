/*
 * From path and method to an operation.
 *
 *     /health                     GET, HEAD           is the database there?
 *     /v1/stream/__ds and below   none yet            reserved for subscriptions (section 6)
 *     /_test/inject-error         GET HEAD POST DELETE   injected faults, with DS_TEST_ENDPOINTS=1
 *     /_test and below            none                reserved for tests
 *     anything else               GET HEAD POST PUT DELETE OPTIONS   a stream
 *
 * With DS_TEST_ENDPOINTS=1, a request first meets the fault that its path may have (op_fault.h): it
 * waits, is dropped or fails, whatever there is at the path. OPTIONS and the faults' own path never
 * do.
 *
 * To add an operation: its row above and in the table, its line in op.h, its file.
 */
#include "server/route.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/arena.h"
#include "config/config.h"
#include "exchange/answer.h"
#include "exchange/exchange.h"
#include "http/http_response.h"
#include "server/op.h"
#include "server/op_fault.h"
#include "server/server.h"

typedef void operation(struct ds_exchange *exchange);

struct place {
    const char *path;
    bool prefix;                 /* and everything below it */
    bool testing;                /* there with DS_TEST_ENDPOINTS=1 only */
    const char *allow;           /* the methods that there are, for Allow */
    operation *op[HTTP_METHODS]; /* NULL: 405, or 404 where allow is NULL */
};

static const struct place places[] = {
    {"/health",
     false,
     false,
     "GET, HEAD, OPTIONS",
     {[HTTP_GET] = op_health, [HTTP_HEAD] = op_health, [HTTP_OPTIONS] = op_options}},
    {"/v1/stream/__ds", true, false, NULL, {NULL}},
    {OP_FAULT_PATH,
     false,
     true,
     "GET, HEAD, POST, DELETE, OPTIONS",
     {[HTTP_GET] = op_fault_list,
      [HTTP_HEAD] = op_fault_list,
      [HTTP_POST] = op_fault_set,
      [HTTP_DELETE] = op_fault_clear,
      [HTTP_OPTIONS] = op_options}},
    {"/_test", true, false, NULL, {NULL}},
    {"",
     true,
     false,
     OP_METHODS,
     {[HTTP_GET] = op_read,
      [HTTP_HEAD] = op_head,
      [HTTP_POST] = op_append,
      [HTTP_PUT] = op_create,
      [HTTP_DELETE] = op_delete,
      [HTTP_OPTIONS] = op_options}},
};

static const struct place *find_place(const struct config *config, const char *path)
{
    for (size_t i = 0;; i++) { /* the last one takes every path */
        size_t len = strlen(places[i].path);

        if (strncmp(path, places[i].path, len) == 0 &&
            (!places[i].testing || config->test_endpoints) &&
            (path[len] == '\0' || (places[i].prefix && (path[len] == '/' || len == 0))))
            return &places[i];
    }
}

static void refuse_method(struct ds_exchange *exchange, const struct place *place)
{
    exchange_refuse_begin(exchange, 405);
    http_add(&exchange->head, "Allow", place->allow);
    exchange_refuse_end(exchange, "this method is not allowed here");
    exchange_finish(exchange);
}

/* RFC 9110 section 12.5.3: the answer says what would be taken. */
static void refuse_coding(struct ds_exchange *exchange)
{
    exchange_refuse_begin(exchange, 415);
    http_add(&exchange->head, "Accept-Encoding", "identity");
    exchange_refuse_end(exchange,
                        "send the body without Content-Encoding: it is stored as it comes");
    exchange_finish(exchange);
}

static bool is_write(const struct http_request *request)
{
    return request->method == HTTP_PUT || request->method == HTTP_POST;
}

static void carry_out(struct ds_exchange *exchange)
{
    struct http_request *request = &exchange->request;
    const struct place *place = find_place(exchange->config, request->path);

    exchange->allow = place->allow;
    if (!place->allow) {
        exchange_refuse(exchange, 404, "this path is reserved");
        exchange_finish(exchange);
    } else if (request->method == HTTP_METHODS || !place->op[request->method]) {
        refuse_method(exchange, place);
    } else if (is_write(request) && http_request_is_coded(request)) {
        refuse_coding(exchange);
    } else if (request->body_too_large) {
        exchange_refuse_status(exchange, DS_TOO_LARGE);
        exchange_finish(exchange);
    } else {
        place->op[request->method](exchange);
    }
}

/* After the wait that a fault may ask for. */
static void resume_route(struct ds_exchange *exchange)
{
    if (!op_fault_strike(exchange))
        carry_out(exchange);
}

void route(struct ds_exchange *exchange)
{
    struct http_request *request = &exchange->request;
    const char *reason = NULL;
    int status = http_request_parse(request, exchange->arena, exchange->config, &reason);

    exchange->no_body = request->method == HTTP_HEAD;
    if (status != 0) {
        exchange_refuse(exchange, status, reason);
        exchange_finish(exchange);
    } else if (!exchange->config->test_endpoints) {
        carry_out(exchange);
    } else if (!op_fault_meet(exchange, resume_route)) {
        resume_route(exchange);
    }
}
