/* The explicit streams of a subscription (protocol section 6.4): POST adds some, DELETE takes one
   away. */
#include "engine/subscription.h"
#include "exchange/exchange.h"
#include "server/control_path.h"
#include "server/op.h"
#include "server/op_control.h"

struct streams {
    struct control control;
    struct subscription_streams asked;
    const char *one; /* the stream that DELETE names */
};

static enum ds_status apply_streams(struct batch *batch, struct commit_write *write)
{
    return subscription_streams(batch, &((struct streams *)write)->asked);
}

static void finish_streams(struct commit_write *write, enum ds_status status)
{
    struct streams *streams = (struct streams *)write;

    if (status == DS_OK && streams->asked.verdict == DS_OK)
        control_answer_empty(streams->control.exchange);
    else
        control_refuse_status(streams->control.exchange,
                              status == DS_OK ? streams->asked.verdict : status,
                              status == DS_OK ? streams->asked.reason : NULL);
}

void op_subscription_streams_add(struct ds_exchange *exchange)
{
    struct streams *streams = control_begin(exchange, sizeof *streams);
    struct json_value array;

    if (!streams || !control_read_body(&streams->control))
        return;
    array = json_get(streams->control.body, "streams");
    if (json_kind(array) != JSON_ARRAY)
        control_object(&streams->control, "streams must be an array of paths");
    streams->asked.name = streams->control.name;
    streams->asked.stream = control_streams(&streams->control, array, &streams->asked.streams);
    if (!control_refuse_body(&streams->control))
        control_submit(&streams->control, apply_streams, finish_streams);
}

void op_subscription_streams_remove(struct ds_exchange *exchange)
{
    struct streams *streams = control_begin(exchange, sizeof *streams);
    const char *link;

    if (!streams)
        return;
    link = control_path_link(exchange->arena, exchange->request.path);
    streams->control.no_memory = !link;
    if (link)
        streams->one = control_stream(&streams->control, link);
    streams->asked.name = streams->control.name;
    streams->asked.stream = &streams->one;
    streams->asked.streams = 1;
    streams->asked.removes = true;
    if (!control_refuse_body(&streams->control))
        control_submit(&streams->control, apply_streams, finish_streams);
}
