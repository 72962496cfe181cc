/*
 * The frame of every unit test: main(), and random bytes for tests that need them.
 *
 * A test file ends with UNIT_MAIN(module, test, test, …). The compiler reports a test that is
 * missing there as an unused variable. The variables of Check work as usual: CK_FORK=no for a
 * debugger, CK_RUN_CASE, CK_VERBOSITY.
 */
#ifndef UNIT_H
#define UNIT_H

#include <check.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

/*
 * For checks in loops of a hundred thousand rounds: ck_assert_msg() writes to a pipe even when the
 * check succeeds, which would turn seconds into minutes.
 */
#define unit_check(condition, ...)                                                                 \
    do {                                                                                           \
        if (!(condition))                                                                          \
            ck_abort_msg(__VA_ARGS__);                                                             \
    } while (0)

/* Every test of a module, one after the other; 0 when all passed. */
static inline int unit_run(const char *module, const TTest *const *tests, size_t count)
{
    Suite *suite = suite_create(module);
    TCase *tcase = tcase_create(module);
    SRunner *runner;
    int failed;

    tcase_set_timeout(tcase, 60); /* the exhaustive ones, with sanitizers, on a loaded machine */
    for (size_t i = 0; i < count; i++)
        tcase_add_test(tcase, tests[i]);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#define UNIT_MAIN(module, ...)                                                                     \
    int main(void)                                                                                 \
    {                                                                                              \
        const TTest *const tests[] = {__VA_ARGS__};                                                \
                                                                                                   \
        return unit_run(#module, tests, COUNT(tests));                                             \
    }

/* Marsaglia's xorshift: the same numbers in every run, so that a failure can be repeated. */
static inline uint32_t unit_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

/* A copy in a block of the exact size, so that a sanitizer sees every read beyond its end. */
static inline char *unit_copy(const void *data, size_t len)
{
    char *copy = malloc(len ? len : 1);

    unit_check(copy != NULL, "out of memory");
    if (len)
        memcpy(copy, data, len);
    return copy;
}

/* The data as a C string literal, for messages. The result is static: one at a time. */
static inline const char *unit_show(const void *data, size_t len)
{
    static char text[800];
    const unsigned char *at = data;
    size_t used = 0;

    for (size_t i = 0; i < len && used < sizeof text - 8; i++)
        if (at[i] >= ' ' && at[i] < 0x7F)
            text[used++] = (char)at[i];
        else
            used += (size_t)snprintf(text + used, 5, "\\x%02X", at[i]);
    text[used] = '\0';
    return text;
}

#endif
