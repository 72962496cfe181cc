/*
 * Idempotent producers: see producer.h, which holds the decision table.
 *
 * Headers are read before the request is queued. They are judged later, in the transaction, against
 * the state that the transaction sees; hence two functions.
 *
 * Must hold: of all requests with the same id, epoch and seq, at most one is accepted.
 */
#include "protocol/producer.h"

#include "base/digits.h"

#include <string.h>

static const char *check_producer_id(const char *id, size_t len)
{
    if (len == 0)
        return "Producer-Id is empty";
    if (len > PRODUCER_ID_MAX)
        return "Producer-Id is too long";
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)id[i] < 0x20 || id[i] == 0x7F)
            return "Producer-Id contains a control character";
    return NULL;
}

const char *producer_parse(struct producer *producer, const char *id, const char *epoch,
                           const char *seq)
{
    struct producer read = {0};
    const char *reason;

    *producer = read; /* a caller that ignores the reason must not find a producer */
    if (!id && !epoch && !seq)
        return NULL;
    if (!id || !epoch || !seq)
        return "Producer-Id, Producer-Epoch and Producer-Seq must be sent together";
    read.id = id;
    read.id_len = strlen(id);
    reason = check_producer_id(id, read.id_len);
    if (reason)
        return reason;
    /* a JavaScript producer cannot count beyond 2^53-1, so no producer may */
    if (!digits_parse(epoch, strlen(epoch), PRODUCER_NUMBER_MAX, &read.epoch))
        return "Producer-Epoch is not an integer from 0 to 2^53-1";
    if (!digits_parse(seq, strlen(seq), PRODUCER_NUMBER_MAX, &read.seq))
        return "Producer-Seq is not an integer from 0 to 2^53-1";
    *producer = read;
    return NULL;
}

const char *producer_check(const struct producer *producer)
{
    if (producer->epoch < 0 || producer->epoch > PRODUCER_NUMBER_MAX)
        return "Producer-Epoch is not an integer from 0 to 2^53-1";
    if (producer->seq < 0 || producer->seq > PRODUCER_NUMBER_MAX)
        return "Producer-Seq is not an integer from 0 to 2^53-1";
    return check_producer_id(producer->id, producer->id_len);
}

enum producer_verdict producer_judge(const struct producer *producer,
                                     const struct producer_state *state)
{
    /* any epoch: the state may be gone with a stream that was deleted and created again */
    if (!state->exists)
        return producer->seq == 0 ? PRODUCER_ACCEPT : PRODUCER_GAP;
    /* a later epoch has taken over: even a retry with an older one comes from a zombie */
    if (producer->epoch < state->epoch)
        return PRODUCER_STALE_EPOCH;
    if (producer->epoch > state->epoch)
        return producer->seq == 0 ? PRODUCER_ACCEPT : PRODUCER_BAD_EPOCH_START;
    if (producer->seq <= state->last_seq)
        return PRODUCER_DUPLICATE;
    return producer->seq == state->last_seq + 1 ? PRODUCER_ACCEPT : PRODUCER_GAP;
}
