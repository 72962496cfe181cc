/*
 * Reads FastCGI requests from the connections of a web server.
 *
 * A worker never waits for the rest of a request: Apache passes a body on as it arrives, and a
 * client that sends slowly would otherwise occupy a worker. The connection keeps the part that has
 * arrived (spool), and is armed again. If nothing arrives for DS_UPLOAD_TIMEOUT_MS, the request is
 * answered with 408.
 */
#include "gateway/gateway_private.h"

#include "base/log.h"
#include "config/config.h"
#include "exchange/answer.h"
#include "exchange/exchange.h"
#include "server/route.h"
#include "server/server.h"

void fcgi_input_end(struct connection *connection)
{
    spool_free(connection->spool);
    connection->spool = NULL;
    atomic_fetch_sub(&connection->gateway->server->exchanges.count, 1);
}

/* Moves the parameters into the exchange. Returns 0, or the HTTP status of a refusal. */
static int read_params(struct spool *spool, struct ds_exchange *exchange, const char **reason)
{
    struct spool_param param;
    enum spool_next next;
    size_t at = 0;

    while ((next = spool_next(spool, &at, &param)) == SPOOL_PARAM) {
        *reason = "out of memory, try again";
        if (!http_request_add(&exchange->request, exchange->arena, exchange->config, param.name,
                              param.name_len, param.value))
            return 503;
    }
    *reason = "the parameters of the request are malformed";
    return next == SPOOL_MALFORMED ? 400 : 0;
}

/* Moves the request into the exchange. Returns 0, or the HTTP status of a refusal. */
static int read_request(struct spool *spool, struct ds_exchange *exchange, const char **reason)
{
    struct http_request *request = &exchange->request;
    int status;

    switch (spool->trouble) {
    case SPOOL_NO_ROOM:
        *reason = "too many requests are coming in, try again";
        return 503;
    case SPOOL_NO_MEMORY:
        *reason = "out of memory, try again";
        return 503;
    case SPOOL_TOO_MANY:
        *reason = "the request headers are too large";
        return 431;
    case SPOOL_TOO_LARGE:
        request->body_too_large = true;
        break;
    case SPOOL_FINE:
        break;
    }
    status = read_params(spool, exchange, reason);
    if (status != 0)
        return status;
    *reason = "the request was cut short";
    if (http_request_length(request->param[PARAM_CONTENT_LENGTH]) > spool->body_len)
        return 400;
    request->body = buf_take(&spool->body, &request->body_len);
    return 0;
}

/* Empties the spool that the request was read into: the connection's or the worker's. */
static void drop_spool(struct worker *worker, struct connection *connection)
{
    if (connection->spool)
        fcgi_input_end(connection);
    else
        spool_reset(&worker->spool);
}

static void answer_request(struct worker *worker, struct connection *connection, bool late)
{
    struct spool *spool = connection->spool ? connection->spool : &worker->spool;
    struct server *server = worker->gateway->server;
    struct peer *peer = &connection->peer;
    struct ds_exchange *exchange;
    const char *reason = "the rest of the request did not arrive in time";
    int status = 408;

    if (spool->part == SPOOL_BEGIN) { /* no request has begun: there is nothing to answer */
        drop_spool(worker, connection);
        connection_close(connection);
        return;
    }
    peer->request_id = spool->id;
    peer->keep = spool->keep && !late;
    exchange = exchange_new(&server->exchanges, peer, worker->conn);
    if (exchange && !late)
        status = read_request(spool, exchange, &reason);
    drop_spool(worker, connection);
    if (!exchange) {
        log_error("out of memory for a request");
        peer->done(peer, exchanges_send_no_memory(&server->exchanges, peer));
    } else if (status != 0) {
        exchange_refuse(exchange, status, reason);
        exchange_finish(exchange);
    } else {
        route(exchange);
    }
}

/* --- incomplete requests --- */

/* Keeps the part of the request that has arrived, and arms the connection for the rest. */
static void wait_for_more(struct worker *worker, struct connection *connection)
{
    struct gateway *gateway = worker->gateway;

    /* the spool held a question about the server, now answered: the connection is idle again */
    if (connection->spool && spool_is_empty(connection->spool))
        fcgi_input_end(connection);
    if (!connection->spool && !spool_is_empty(&worker->spool)) {
        connection->spool = spool_keep(&worker->spool);
        if (!connection->spool) { /* refused at once, without its rest */
            worker->spool.keep = false;
            worker->spool.trouble = SPOOL_NO_MEMORY;
            answer_request(worker, connection, false);
            return;
        }
        /* server_drain() waits for incomplete requests too */
        atomic_fetch_add(&gateway->server->exchanges.count, 1);
    }
    connection_wait(connection,
                    connection->spool ? gateway->server->engine.config->upload_timeout_ms : 0,
                    false);
}

static void read_connection(struct worker *worker, struct connection *connection)
{
    struct spool *spool = connection->spool ? connection->spool : &worker->spool;

    switch (spool_fill(spool, connection->peer.fd, worker->room, GATEWAY_ROOM)) {
    case SPOOL_MORE:
        wait_for_more(worker, connection);
        break;
    case SPOOL_WHOLE:
        answer_request(worker, connection, false);
        break;
    case SPOOL_GONE:
        if (!connection->spool)
            spool_reset(&worker->spool);
        connection_close(connection);
        break;
    }
}

void fcgi_input_ready(struct worker *worker, struct connection *connection, bool late)
{
    if (late)
        answer_request(worker, connection, true);
    else
        read_connection(worker, connection);
}
