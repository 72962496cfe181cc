/*
 * The name that the user probably meant: "did you mean …?" for a misspelt command or variable.
 * Pure, thread-safe.
 */
#ifndef NEAREST_H
#define NEAREST_H

#include <stddef.h>

/* Longer words are not compared. */
enum { NEAREST_LONGEST = 64 };

/*
 * The one of n names that is most like word; NULL when none is like it. Upper and lower case count
 * as the same. Of names that are equally near, the first one is returned.
 *
 * A name is like the word when it begins with it (at least three letters), or when a third of the
 * word's letters or fewer are wrong: one was added, left out or replaced, or two neighbours were
 * swapped. One wrong letter is always allowed, so that "sl" finds "ls".
 */
const char *nearest_name(const char *word, const char *const *names, size_t n);

#endif
