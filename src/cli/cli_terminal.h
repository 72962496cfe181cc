/*
 * Text of anybody's for a terminal, or for a line of ours: characters that a terminal would obey
 * are made visible. The result is valid UTF-8 without control characters.
 *
 *     ESC, CR, DEL and the like        ^[ ^M ^?
 *     U+0080 to U+009F                 <U+009B>: U+009B is ESC [ to most terminals
 *     bytes that are not UTF-8         <9B>
 *     in a field, characters that turn the direction of text or end lines   <U+202E> and such
 *
 * Pure, thread-safe.
 */
#ifndef CLI_TERMINAL_H
#define CLI_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>

struct buf;

enum cli_terminal_kind {
    CLI_TERMINAL_TEXT,  /* of a stream: line feeds and tabs are meant, and so is its direction */
    CLI_TERMINAL_FIELD, /* a name, a type, an error: stays in its place on its line */
};

void cli_terminal_add(struct buf *buf, const char *text, size_t len, enum cli_terminal_kind kind);

/* A valid JSON text: the same value, with \u009b and the like for what a terminal would obey. */
void cli_terminal_add_json(struct buf *buf, const char *text, size_t len);

#endif
