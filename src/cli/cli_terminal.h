/*
 * Makes control characters visible in text from servers, streams and files, so that it cannot
 * control the terminal. The result is valid UTF-8 without control characters.
 *
 *     ESC, CR, DEL and the like        ^[ ^M ^?
 *     U+0080 to U+009F                 <U+009B>: U+009B is ESC [ to most terminals
 *     bytes that are not UTF-8         <9B>
 *     in a field, marks of direction and Unicode line ends   <U+202E> and the like
 *
 * Pure, thread-safe.
 */
#ifndef CLI_TERMINAL_H
#define CLI_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>

struct buf;

enum cli_terminal_kind {
    CLI_TERMINAL_TEXT,  /* of a stream: keeps line feeds, tabs and marks of direction */
    CLI_TERMINAL_FIELD, /* a name, a type, an error: must stay in its place on its line */
};

void cli_terminal_add(struct buf *buf, const char *text, size_t len, enum cli_terminal_kind kind);

/* Adds a valid JSON text with the same value, its control characters as \u009b and the like. */
void cli_terminal_add_json(struct buf *buf, const char *text, size_t len);

/* Replaces the line breaks between the tokens of a JSON text by spaces, so that it is one line. */
void cli_terminal_unbreak_json(char *text, size_t len);

#endif
