/* HEAD (protocol section 5.5): a stream's metadata, from its row only. */
#include "base/clock.h"
#include "exchange/answer.h"
#include "exchange/exchange.h"
#include "http/http_response.h"
#include "live/read_head.h"
#include "server/op.h"
#include "store/store.h"

/* Unlike a read, it does not renew a TTL (section 5.1). */
void op_head(struct ds_exchange *exchange)
{
    struct buf *head = &exchange->head;
    struct stream stream;
    char when[CLOCK_TIME_SIZE];
    enum ds_status status = store_hold(exchange->conn, exchange->arena, exchange->request.path,
                                       clock_wall_ms(), &stream);

    store_end_read(exchange->conn);
    if (status != DS_OK) {
        exchange_refuse_status(exchange, status);
        exchange_finish(exchange);
        return;
    }
    exchange_answer(exchange, 200);
    http_add(head, "Content-Type", stream.content_type);
    read_head_add_sandbox(head);
    http_add_offset(head, stream.tail);
    if (stream.ttl_seconds >= 0) {
        http_add_int(head, "Stream-TTL", stream.ttl_seconds);
    } else if (stream.expires_at != 0) {
        clock_format_time(stream.expires_at, when);
        http_add(head, "Stream-Expires-At", when);
    }
    if (stream.closed_at != 0)
        http_add(head, "Stream-Closed", "true");
    http_add(head, "Cache-Control", "no-store");
    read_head_add_tail_etag(head, &stream); /* that of any other range needs the last message */
    http_end(head, -1);
    exchange_finish(exchange);
}
