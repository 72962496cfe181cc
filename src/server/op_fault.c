/*
 * Injected faults: the operations on /_test/inject-error, and what happens to a request that meets
 * a fault (fault.h has the order of steps).
 *
 * Only the web server can cut the client's connection. nginx does it on our request, by an internal
 * location of its site (deploy/nginx/site.conf). For other web servers we close our connection
 * without an answer. They would answer 500 or 503 then; the option `faults` of their shipped sites
 * turns that into a cut.
 */
#include "server/op_fault.h"

#include <string.h>

#include "base/arena.h"
#include "base/log.h"
#include "engine/commit.h"
#include "exchange/answer.h"
#include "exchange/exchange.h"
#include "http/http_response.h"
#include "live/live.h"
#include "protocol/fault.h"
#include "server/op.h"
#include "server/server.h"
#include "store/store.h"

/* --- meeting a fault --- */

static const char *method_name(const struct http_request *request)
{
    return request->param[PARAM_METHOD] ? request->param[PARAM_METHOD] : "";
}

static enum ds_status find_fault(struct ds_exchange *exchange)
{
    const struct http_request *request = &exchange->request;
    struct fault *fault = arena_zalloc(exchange->arena, sizeof *fault);
    enum ds_status status;

    if (!fault)
        return DS_NO_MEMORY;
    exchange_yield_slot(exchange); /* counting a fault commits on this thread */
    status = store_fault_meet(exchange->conn, exchange->arena, request->path, method_name(request),
                              fault_draw(), fault);
    if (status == DS_OK) {
        commit_wal_grew(exchange->server->engine.commit, store_wal_bytes(exchange->conn));
        log_debug("%s %s meets a fault", method_name(request), request->path);
        exchange->fault = fault;
    }
    return status;
}

bool op_fault_meet(struct ds_exchange *exchange, void (*resume)(struct ds_exchange *exchange))
{
    enum ds_status status;
    int64_t delay;

    if (exchange->request.method == HTTP_OPTIONS ||
        strcmp(exchange->request.path, OP_FAULT_PATH) == 0)
        return false;
    status = find_fault(exchange);
    if (status == DS_NOT_FOUND)
        return false;
    if (status != DS_OK) {
        exchange_refuse_status(exchange, status);
        exchange_finish(exchange);
        return true;
    }
    delay = fault_delay(exchange->fault);
    if (delay == 0)
        return false;
    if (!live_delay(exchange->server->live, exchange, delay, resume)) {
        exchange_refuse(exchange, 503, "too many requests are delayed");
        exchange_finish(exchange);
    }
    return true;
}

static void cut_connection(struct ds_exchange *exchange)
{
    const char *server = exchange->request.param[PARAM_SERVER_SOFTWARE];

    if (exchange->peer->kind == PEER_HTTP || (server && strncmp(server, "nginx", 5) != 0)) {
        exchange_drop(exchange);
        return;
    }
    exchange_answer(exchange, 502);
    http_add(&exchange->head, "X-Accel-Redirect", "/.drop");
    http_end(&exchange->head, 0);
    exchange_finish(exchange);
}

static void answer_injected(struct ds_exchange *exchange)
{
    const struct fault *fault = exchange->fault;
    struct buf *head = &exchange->head;
    bool has_body = fault->status != 204 && fault->status != 205 && fault->status != 304;

    exchange_answer(exchange, (int)fault->status);
    http_add(head, "Cache-Control", "no-store");
    if (fault->retry_after >= 0)
        http_add_int(head, "Retry-After", fault->retry_after);
    if (has_body) {
        http_add(head, "Content-Type", "text/plain");
        buf_adds(&exchange->body, "Injected error for testing");
    }
    http_end(head, has_body ? (int64_t)exchange->body.len : -1);
    exchange_finish(exchange);
}

bool op_fault_strike(struct ds_exchange *exchange)
{
    const struct fault *fault = exchange->fault;

    if (!fault || (!fault->drop && fault->status == 0))
        return false;
    if (fault->drop)
        cut_connection(exchange);
    else
        answer_injected(exchange);
    return true;
}

/* --- /_test/inject-error --- */

/* Answers 200 with the body, or refuses with the store's status. */
static void answer_faults(struct ds_exchange *exchange, enum ds_status status)
{
    if (status != DS_OK) {
        exchange_refuse_status(exchange, status);
    } else {
        exchange_answer(exchange, 200);
        http_add(&exchange->head, "Cache-Control", "no-store");
        http_add(&exchange->head, "Content-Type", "application/json");
        http_end(&exchange->head, (int64_t)exchange->body.len);
    }
    exchange_finish(exchange);
}

static void answer_change(struct ds_exchange *exchange, enum ds_status status)
{
    if (status == DS_OK)
        buf_adds(&exchange->body, "{\"ok\":true}");
    answer_faults(exchange, status);
}

/* Normalises the fault's path as that of a request. NULL, or the reason why no request can have
   it. */
static const char *name_path(struct ds_exchange *exchange, struct fault *fault)
{
    const char *reason = NULL;

    fault->path = http_request_sibling(&exchange->request, exchange->arena, exchange->config,
                                       fault->path, &reason);
    if (fault->path && strcmp(fault->path, OP_FAULT_PATH) == 0)
        return "faults are not injected here";
    return fault->path ? NULL : reason;
}

void op_fault_set(struct ds_exchange *exchange)
{
    const struct http_request *request = &exchange->request;
    struct fault fault;
    const char *reason = NULL;
    enum ds_status status = store_fault_parse(exchange->conn, exchange->arena, request->body,
                                              request->body_len, &fault, &reason);

    if (status == DS_OK)
        reason = name_path(exchange, &fault);
    if (reason) {
        exchange_refuse(exchange, strcmp(reason, "out of memory") == 0 ? 503 : 400, reason);
        exchange_finish(exchange);
        return;
    }
    exchange_yield_slot(exchange);
    if (status == DS_OK)
        status = store_fault_set(exchange->conn, &fault);
    answer_change(exchange, status);
}

void op_fault_clear(struct ds_exchange *exchange)
{
    exchange_yield_slot(exchange);
    answer_change(exchange, store_fault_clear(exchange->conn, NULL));
}

void op_fault_list(struct ds_exchange *exchange)
{
    answer_faults(exchange, store_fault_list(exchange->conn, &exchange->body));
}
