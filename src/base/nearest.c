/* The nearest name: see nearest.h. */
#include "base/nearest.h"

#include <string.h>
#include <strings.h>

enum { PREFIX_LETTERS = 3 };

static int lower(char c)
{
    return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : (unsigned char)c;
}

static size_t least_of(size_t a, size_t b)
{
    return a < b ? a : b;
}

/*
 * The edits that turn a into b (optimal string alignment): rows of the usual matrix, where entry j
 * of a row is the distance between the first letters of a and the first j letters of b. Swapping
 * two neighbours looks back two rows, so three are kept.
 */
static size_t edits_between(const char *a, size_t a_len, const char *b, size_t b_len)
{
    size_t rows[3][NEAREST_LONGEST + 1];

    for (size_t j = 0; j <= b_len; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        size_t *row = rows[i % 3], *above = rows[(i - 1) % 3], *above2 = rows[(i + 1) % 3];

        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            int from = lower(a[i - 1]), to = lower(b[j - 1]);

            row[j] = least_of(above[j - 1] + (from != to), least_of(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && from == lower(b[j - 2]) && to == lower(a[i - 2]))
                row[j] = least_of(row[j], above2[j - 2] + 1);
        }
    }
    return rows[a_len % 3][b_len];
}

const char *nearest_name(const char *word, const char *const *names, size_t n)
{
    size_t len = strlen(word), limit = len / 3 > 1 ? len / 3 : 1;
    const char *nearest = NULL;

    if (len == 0 || len > NEAREST_LONGEST)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        size_t name_len = strlen(names[i]), edits;

        if (name_len > NEAREST_LONGEST)
            continue;
        edits = edits_between(word, len, names[i], name_len);
        if (edits > 1 && len >= PREFIX_LETTERS && strncasecmp(names[i], word, len) == 0)
            edits = 1;
        /* the first name may need as many edits as the limit; each further one must need fewer */
        if (edits < limit + (nearest == NULL)) {
            nearest = names[i];
            limit = edits;
        }
    }
    return nearest;
}
