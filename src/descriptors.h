/*
 * Descriptors 0 to 2 are everybody's: hooks, libraries and assert() write to them. A program may be
 * started without them, FastCGI's are; then the next file to be opened, the database say, would get
 * such a number, and their words.
 */
#ifndef DESCRIPTORS_H
#define DESCRIPTORS_H

#include <stdbool.h>

/*
 * Puts something in the place of those that are closed that can be neither read nor written as is
 * usual; before anything is opened. passed_on: programs that are started get it as well, else they
 * find them closed, as we did.
 */
void descriptors_occupy(bool passed_on);

/* Has standard error something to say to, that programs which are started get as well? */
bool descriptors_has_error(void);

#endif
