/*
 * The body of a write as messages: one, or the elements of a JSON array (section 9.1).
 */
#ifndef STREAM_BODY_H
#define STREAM_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/commit.h"
#include "protocol/status.h"

/* A body as it came in, and what is known of it. */
struct stream_body {
    const char *data; /* borrowed */
    size_t len;
    int64_t max_messages;   /* of a JSON array */
    bool checked;           /* as JSON: then these two are set */
    enum ds_status verdict; /* DS_OK, DS_INVALID or DS_TOO_LARGE */
    const char *reason;     /* one line, static; NULL with DS_OK */
};

/*
 * Checks the body as JSON, once. Costs time, so it is done before the transaction wherever the type
 * is known before it.
 */
void stream_body_check_json(struct stream_body *body);

/* Is it an array without elements? Of a body that passed the check. */
bool stream_body_is_empty_json(const struct stream_body *body);

/* Appends its messages to the stream, in the batch's transaction. */
enum ds_status stream_body_append(struct batch *batch, struct stream *stream,
                                  const struct stream_body *body);

#endif
