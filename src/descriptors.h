/*
 * Descriptors 0 to 2 are everybody's: hooks, libraries and assert() write to them. A program may be
 * started without them, FastCGI's are, and a program that uses the library may have closed them;
 * then the next file to be opened, the database say, would get such a number, and their words.
 */
#ifndef DESCRIPTORS_H
#define DESCRIPTORS_H

#include <stdbool.h>

/* --- in a program of ours, when it starts --- */

/*
 * Puts something in the place of those that are closed that can be neither read nor written as is
 * usual; before anything is opened. passed_on: programs that are started get it as well, else they
 * find them closed, as we did.
 */
void descriptors_occupy(bool passed_on);

/* Has standard error something to say to, that programs which are started get as well? */
bool descriptors_has_error(void);

/* --- in any program, for each file of ours --- */

/*
 * The same open file on a descriptor that is none of the three, close-on-exec; fd itself where it
 * is none. -1 stays -1 with its errno, so that it goes around open(), socket() and the like.
 */
int descriptor_high(int fd);

/* Likewise for all of them, of a pipe say; false, with errno, when one could not be had. */
bool descriptors_high(int *fds, int n);

#endif
