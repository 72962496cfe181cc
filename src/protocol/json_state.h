/*
 * Messages of the state protocol, an extension of Durable Streams: JSON objects whose "headers"
 * contain an "operation" or a "control". Readers get them with headers.offset, which is the offset
 * after the message. The stored message is not changed.
 *
 * Pure: without I/O or allocation. Thread-safe.
 */
#ifndef JSON_STATE_H
#define JSON_STATE_H

#include <stdbool.h>
#include <stddef.h>

/* Where headers.offset is inserted: at `at`, in place of `cut` bytes. */
struct json_place {
    size_t at;
    size_t cut;  /* length of the value of an existing "offset"; 0: there is none */
    bool member; /* insert a comma, the name and the value; else only the value */
};

/*
 * Finds the place for headers.offset in a message, which is a valid JSON text without white space
 * around it. False if it is not a message of the state protocol. If a name occurs more than once,
 * the last one counts, as with JSON.parse().
 */
bool json_state_place(const char *text, size_t len, struct json_place *place);

#endif
