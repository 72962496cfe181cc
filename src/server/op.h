/*
 * The operations, one file each. Every operation owns the exchange that it is given: it answers, or
 * hands it to the committer or the live desk. The numbers are sections of the protocol.
 */
#ifndef OP_H
#define OP_H

struct ds_exchange;

void op_create(struct ds_exchange *exchange);  /* PUT, forks included (4.2, 5.1) */
void op_append(struct ds_exchange *exchange);  /* POST, closing included (5.2, 5.3) */
void op_delete(struct ds_exchange *exchange);  /* DELETE (5.4) */
void op_head(struct ds_exchange *exchange);    /* HEAD (5.5) */
void op_read(struct ds_exchange *exchange);    /* GET, live modes included (5.6 to 5.8) */
void op_options(struct ds_exchange *exchange); /* OPTIONS: CORS preflight */
void op_health(struct ds_exchange *exchange);  /* GET /health */

/* below /v1/stream/__ds/ (6, 7): op_control.h has what they share */
void op_subscription_put(struct ds_exchange *exchange);            /* PUT …/subscriptions/ID */
void op_subscription_get(struct ds_exchange *exchange);            /* GET, HEAD */
void op_subscription_delete(struct ds_exchange *exchange);         /* DELETE */
void op_subscription_streams_add(struct ds_exchange *exchange);    /* POST …/streams */
void op_subscription_streams_remove(struct ds_exchange *exchange); /* DELETE …/streams/PATH */
void op_subscription_callback(struct ds_exchange *exchange);       /* POST …/callback */
void op_subscription_claim(struct ds_exchange *exchange);          /* POST …/claim */
void op_subscription_ack(struct ds_exchange *exchange);            /* POST …/ack */
void op_subscription_release(struct ds_exchange *exchange);        /* POST …/release */
void op_subscription_keys(struct ds_exchange *exchange);           /* GET, HEAD /jwks.json */

/* /_test/inject-error, with DS_TEST_ENDPOINTS=1 */
void op_fault_list(struct ds_exchange *exchange);  /* GET */
void op_fault_set(struct ds_exchange *exchange);   /* POST */
void op_fault_clear(struct ds_exchange *exchange); /* DELETE */

/* The methods of a stream, for Allow and Access-Control-Allow-Methods. */
#define OP_METHODS "GET, HEAD, POST, PUT, DELETE, OPTIONS"

#endif
