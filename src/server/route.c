/*
 * Which operation serves which path and method.
 *
 *     /health                     GET, HEAD           can the database be read?
 *     /v1/stream/__ds and below   its own table       subscriptions (section 6), never a stream
 *     /_test/inject-error         GET HEAD POST DELETE   injected faults, with DS_TEST_ENDPOINTS=1
 *     /_test and below            none                reserved for tests
 *     anything else               GET HEAD POST PUT DELETE OPTIONS   a stream
 *
 * Below /v1/stream/__ds, where every refusal is JSON (op_control.h):
 *
 *     /subscriptions/ID                GET HEAD PUT DELETE   a subscription
 *     /subscriptions/ID/streams        POST                  its explicit streams
 *     /subscriptions/ID/streams/PATH   DELETE
 *     /subscriptions/ID/callback       POST                  of a webhook: ack, done
 *     /subscriptions/ID/claim, …/ack, …/release   POST       of a pull-wake
 *     /jwks.json                       GET HEAD              the keys that sign webhooks
 *     anything else                    404
 *
 * With DS_TEST_ENDPOINTS=1, a request first meets the fault of its path, if there is one
 * (op_fault.h): it is delayed, refused, or its connection is cut, whether or not the path has a
 * stream. OPTIONS requests and those to the faults' own path are exempt.
 *
 * To add an operation, add a row here and in the table, a line in op.h, and a file; CONTRIBUTING.md
 * has the whole checklist.
 */
#include "server/route.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/arena.h"
#include "config/config.h"
#include "engine/subscription.h"
#include "exchange/answer.h"
#include "exchange/exchange.h"
#include "http/http_response.h"
#include "server/control_path.h"
#include "server/op.h"
#include "server/op_control.h"
#include "server/op_fault.h"
#include "server/server.h"

typedef void operation(struct ds_exchange *exchange);

struct route {
    const char *path;            /* in `controls`, below CONTROL_ROOT, and a pattern: see fits() */
    bool prefix;                 /* also every path below it */
    bool testing;                /* only with DS_TEST_ENDPOINTS=1 */
    const char *allow;           /* its methods, for Allow; NULL: every request is answered 404 */
    operation *op[HTTP_METHODS]; /* NULL: the method is answered 405 */
};

static const struct route routes[] = {
    {"/health",
     false,
     false,
     "GET, HEAD, OPTIONS",
     {[HTTP_GET] = op_health, [HTTP_HEAD] = op_health, [HTTP_OPTIONS] = op_options}},
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

#define POST_ONLY(op)                                                                              \
    "POST, OPTIONS",                                                                               \
    {                                                                                              \
        [HTTP_POST] = (op), [HTTP_OPTIONS] = op_options                                            \
    }

static const struct route controls[] = {
    {"/subscriptions/*",
     false,
     false,
     "GET, HEAD, PUT, DELETE, OPTIONS",
     {[HTTP_GET] = op_subscription_get,
      [HTTP_HEAD] = op_subscription_get,
      [HTTP_PUT] = op_subscription_put,
      [HTTP_DELETE] = op_subscription_delete,
      [HTTP_OPTIONS] = op_options}},
    {"/subscriptions/*/streams", false, false, POST_ONLY(op_subscription_streams_add)},
    {"/subscriptions/*/streams/**",
     false,
     false,
     "DELETE, OPTIONS",
     {[HTTP_DELETE] = op_subscription_streams_remove, [HTTP_OPTIONS] = op_options}},
    {"/subscriptions/*/callback", false, false, POST_ONLY(op_subscription_callback)},
    {"/subscriptions/*/claim", false, false, POST_ONLY(op_subscription_claim)},
    {"/subscriptions/*/ack", false, false, POST_ONLY(op_subscription_ack)},
    {"/subscriptions/*/release", false, false, POST_ONLY(op_subscription_release)},
    {"/jwks.json",
     false,
     false,
     "GET, HEAD, OPTIONS",
     {[HTTP_GET] = op_subscription_keys,
      [HTTP_HEAD] = op_subscription_keys,
      [HTTP_OPTIONS] = op_options}},
};

static const struct route *find_route(const struct config *config, const char *path)
{
    for (size_t i = 0;; i++) { /* the last row matches every path */
        size_t len = strlen(routes[i].path);

        if (strncmp(path, routes[i].path, len) == 0 &&
            (!routes[i].testing || config->test_endpoints) &&
            (path[len] == '\0' || (routes[i].prefix && (path[len] == '/' || len == 0))))
            return &routes[i];
    }
}

/* A `*` in the pattern stands for a segment, and `**` for one or several; none of them is empty. */
static bool fits(const char *pattern, const char *path)
{
    while (*pattern) {
        size_t stars = strspn(pattern, "*"), len;

        if (stars == 0 && *pattern++ != *path++)
            return false;
        if (stars == 0)
            continue;
        len = stars == 1 ? strcspn(path, "/") : strlen(path);
        if (len == 0)
            return false;
        pattern += stars;
        path += len;
    }
    return *path == '\0';
}

/* The row of a path that subscription_reserves(); NULL: there is nothing. */
static const struct route *find_control(const char *path)
{
    size_t root = strlen(CONTROL_ROOT);

    if (strncmp(path, CONTROL_ROOT, root) != 0) /* it has further slashes before `__ds` */
        return NULL;
    for (size_t i = 0; i < sizeof controls / sizeof *controls; i++)
        if (fits(controls[i].path, path + root))
            return &controls[i];
    return NULL;
}

static void refuse_method(struct ds_exchange *exchange, const struct route *row)
{
    exchange_refuse_begin(exchange, 405);
    http_add(&exchange->head, "Allow", row->allow);
    exchange_refuse_end(exchange, "this method is not allowed here");
    exchange_finish(exchange);
}

/* RFC 9110 section 12.5.3: Accept-Encoding says which coding would be accepted. */
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

static void run_control(struct ds_exchange *exchange)
{
    struct http_request *request = &exchange->request;
    const struct route *row = find_control(request->path);

    if (!row) {
        control_refuse(exchange, 404, "SUBSCRIPTION_NOT_FOUND", "there is nothing at this path");
    } else if (request->method == HTTP_METHODS || !row->op[request->method]) {
        control_refuse_begin(exchange, 405, "METHOD_NOT_ALLOWED",
                             "this method is not allowed here");
        http_add(&exchange->head, "Allow", row->allow);
        control_refuse_end(exchange);
    } else if (is_write(request) && http_request_is_coded(request)) {
        control_refuse_begin(exchange, 415, "INVALID_REQUEST",
                             "send the body without Content-Encoding");
        http_add(&exchange->head, "Accept-Encoding", "identity");
        control_refuse_end(exchange);
    } else if (request->body_too_large) {
        control_refuse_status(exchange, DS_TOO_LARGE, NULL);
    } else {
        exchange->allow = row->allow;
        row->op[request->method](exchange);
    }
}

static void run_operation(struct ds_exchange *exchange)
{
    struct http_request *request = &exchange->request;
    const struct route *row;

    if (subscription_reserves(request->path)) {
        run_control(exchange);
        return;
    }
    row = find_route(exchange->config, request->path);
    exchange->allow = row->allow;
    if (!row->allow) {
        exchange_refuse(exchange, 404, "this path is reserved");
        exchange_finish(exchange);
    } else if (request->method == HTTP_METHODS || !row->op[request->method]) {
        refuse_method(exchange, row);
    } else if (is_write(request) && http_request_is_coded(request)) {
        refuse_coding(exchange);
    } else if (request->body_too_large) {
        exchange_refuse_status(exchange, DS_TOO_LARGE);
        exchange_finish(exchange);
    } else {
        row->op[request->method](exchange);
    }
}

/* After the delay of a fault. */
static void resume_route(struct ds_exchange *exchange)
{
    if (!op_fault_strike(exchange))
        run_operation(exchange);
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
        run_operation(exchange);
    } else if (!op_fault_meet(exchange, resume_route)) {
        resume_route(exchange);
    }
}
