/*
 * Messages of the state protocol (an extension of Durable Streams): JSON objects whose "headers"
 * hold an "operation" or a "control". Readers get them with headers.offset, the offset after the
 * message; what is stored stays as it was sent.
 *
 * Pure: no I/O, no memory, thread-safe.
 */
#ifndef JSON_STATE_H
#define JSON_STATE_H

#include <stdbool.h>
#include <stddef.h>

/* Where headers.offset goes: at `at`, in place of `cut` bytes. */
struct json_place {
    size_t at;
    size_t cut;  /* the value of an offset that is there; 0: there is none */
    bool member; /* a further member is wanted, with a comma before it; else a value */
};

/*
 * False when the message, one valid JSON text without white space around it, is none of the state
 * protocol. Where a name occurs more than once the last one counts, as it does for JSON.parse().
 */
bool json_state_place(const char *text, size_t len, struct json_place *place);

#endif
