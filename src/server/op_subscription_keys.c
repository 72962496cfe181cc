/* GET and HEAD of the public keys by which receivers verify webhooks (protocol section 6.5). */
#include "engine/subscription_json.h"
#include "exchange/answer.h"
#include "exchange/exchange.h"
#include "http/http_response.h"
#include "server/op.h"
#include "server/op_control.h"

void op_subscription_keys(struct ds_exchange *exchange)
{
    struct buf *head = &exchange->head;
    struct webhook_key keys[WEBHOOK_KEYS_MOST];
    size_t n;
    enum ds_status status = store_webhook_keys(exchange->conn, keys, &n);

    if (status != DS_OK) {
        control_refuse_status(exchange, status, NULL);
        return;
    }
    subscription_add_keys(&exchange->body, keys, n);
    exchange_answer(exchange, 200);
    /* an empty set must not outlast the first key, which signs at once */
    http_add(head, "Cache-Control", n > 0 ? "public, max-age=300" : "no-store");
    http_add(head, "Content-Type", "application/jwk-set+json");
    http_end(head, (int64_t)exchange->body.len);
    exchange_finish(exchange);
}
