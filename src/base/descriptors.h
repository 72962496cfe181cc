/*
 * Descriptors 0 to 2 are everybody's: hooks, libraries and assert() write to them. A program may be
 * started without them, as FastCGI programs are, and a program that uses the library may have
 * closed them. Then the next file to be opened, the database say, would get such a number, and
 * whatever somebody prints would be written into it.
 */
#ifndef DESCRIPTORS_H
#define DESCRIPTORS_H

#include <stdbool.h>

/* --- in a program of ours, when it starts --- */

/*
 * Opens something useless on each of them that is closed (/dev/null, in the direction that is not
 * used); to be called before anything else is opened. passed_on: programs that we start inherit it;
 * else they find the descriptor closed, as we did.
 */
void descriptors_occupy(bool passed_on);

/* Is standard error open, and inherited by programs that we start? */
bool descriptors_has_error(void);

/* --- in any program, for each file of ours --- */

/*
 * The same open file on a descriptor above the three, close-on-exec; fd itself if it is above them
 * already. -1 stays -1 with its errno, so that the call can enclose open(), socket() and the like.
 */
int descriptor_high(int fd);

/* Likewise for all of them, of a pipe say; false, with errno, when one could not be had. */
bool descriptors_high(int *fds, int n);

#endif
