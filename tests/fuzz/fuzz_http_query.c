/* Queries: a value is found if and only if its count is not 0, and fits into the query. */
#include "fuzz.h"

#include "base/arena.h"
#include "http/http_query.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"offset", "live", "cursor", "a b", "%", "a", ""};
    struct arena *arena = arena_new();
    char *query = fuzz_string(data, size);

    fuzz_require(arena);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        unsigned count;
        size_t len;
        const char *value = http_query_get(arena, query, names[i], &len, &count);

        fuzz_require((value != NULL) == (count > 0));
        fuzz_require(value ? len <= strlen(query) && value[len] == '\0' : len == 0);
    }
    free(query);
    arena_free(arena);
    return 0;
}
