/*
 * What the fuzz targets share. Each fuzz_<x>.c feeds one parser of foreign input, and checks what
 * must hold for any input. Linked with clang's libFuzzer (-fsanitize=fuzzer), it searches for
 * inputs that fail; linked with replay.c, by any compiler, it runs the inputs in corpus/<x>/.
 *
 * To add a target: write fuzz_<x>.c, and put a few inputs into corpus/<x>/. When a search has found
 * a failure: put its input into corpus/<x>/ under a name that says what it is.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Unlike assert(), also checks if NDEBUG is defined. */
#define fuzz_require(condition)                                                                    \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            (void)fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition);   \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* The input as a string, like a header or a URL, in a block of its exact size. */
static inline char *fuzz_string(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);

    fuzz_require(text);
    if (size)
        memcpy(text, data, size);
    text[size] = '\0';
    return text;
}

#endif
