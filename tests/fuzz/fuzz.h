/*
 * What the fuzz targets share. Each fuzz_<x>.c feeds one parser of foreign input and states what
 * must hold of any answer; links with clang's libFuzzer (-fsanitize=fuzzer) to search, or with
 * replay.c and any compiler to run what corpus/<x>/ holds.
 *
 * When adding a target: fuzz_<x>.c, and a few inputs in corpus/<x>/. When a search finds a
 * failure: the input goes into corpus/<x>/ under a name that says what it is.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Not assert(): it must also hold where NDEBUG is set. */
#define fuzz_require(condition)                                                                    \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            (void)fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition);   \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* The input as a header or a URL would arrive: a string, in a block of its exact size. */
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
