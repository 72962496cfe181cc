/*
 * From path and method to an operation.
 *
 *     /health                     GET, HEAD           is the database there?
 *     /v1/stream/__ds and below   none yet            reserved for subscriptions (section 6)
 *     /_test and below            none yet            reserved for fault injection
 *     anything else               GET HEAD POST PUT DELETE OPTIONS   a stream
 *
 * To add an operation: its row above and in the table, its line in op.h, its file.
 */
#include "route.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "arena.h"
#include "gateway.h"
#include "http_response.h"
#include "op.h"
#include "server.h"

typedef void operation(struct ds_exchange *exchange);

struct place {
    const char *path;
    bool prefix;                 /* and everything below it */
    const char *allow;           /* the methods that there are, for Allow */
    operation *op[HTTP_METHODS]; /* NULL: 405, or 404 where allow is NULL */
};

static const struct place places[] = {
    {"/health",
     false,
     "GET, HEAD, OPTIONS",
     {[HTTP_GET] = op_health, [HTTP_HEAD] = op_health, [HTTP_OPTIONS] = op_options}},
    {"/v1/stream/__ds", true, NULL, {NULL}},
    {"/_test", true, NULL, {NULL}},
    {"",
     true,
     OP_METHODS,
     {[HTTP_GET] = op_read,
      [HTTP_HEAD] = op_head,
      [HTTP_POST] = op_append,
      [HTTP_PUT] = op_create,
      [HTTP_DELETE] = op_delete,
      [HTTP_OPTIONS] = op_options}},
};

static const struct place *find_place(const char *path)
{
    for (size_t i = 0;; i++) { /* the last one takes every path */
        size_t len = strlen(places[i].path);

        if (strncmp(path, places[i].path, len) == 0 &&
            (path[len] == '\0' || (places[i].prefix && (path[len] == '/' || len == 0))))
            return &places[i];
    }
}

static void refuse_method(struct ds_exchange *exchange, const struct place *place)
{
    http_refuse_begin(exchange, 405);
    http_add(&exchange->head, "Allow", place->allow);
    http_refuse_end(exchange, "this method is not allowed here");
    exchange_finish(exchange);
}

void route(struct ds_exchange *exchange)
{
    struct http_request *request = &exchange->request;
    const char *reason = NULL;
    const struct place *place;
    int status = http_request_parse(request, exchange->arena, exchange->server->config, &reason);

    exchange->no_body = request->method == HTTP_HEAD;
    if (status != 0) {
        http_refuse(exchange, status, reason);
        exchange_finish(exchange);
        return;
    }
    place = find_place(request->path);
    if (!place->allow) {
        http_refuse(exchange, 404, "this path is reserved");
        exchange_finish(exchange);
    } else if (request->method == HTTP_METHODS || !place->op[request->method]) {
        refuse_method(exchange, place);
    } else if (request->body_too_large) {
        http_refuse_status(exchange, DS_TOO_LARGE);
        exchange_finish(exchange);
    } else {
        place->op[request->method](exchange);
    }
}
