/*
 * Any code may write to descriptors 0, 1 and 2: hooks, libraries, assert(). But a program may be
 * started without them, as a FastCGI program is, and a program that uses the library may have
 * closed them. The next file to be opened, such as the database, would then get such a number, and
 * messages would be written into it. These functions prevent that. Thread-safe, except
 * descriptors_occupy().
 */
#ifndef DESCRIPTORS_H
#define DESCRIPTORS_H

#include <stdbool.h>

/* --- for our own programs, at their start --- */

/*
 * Opens /dev/null on each of the three that is closed: descriptor 0 for writing, the others for
 * reading, so that using them fails as before. Must be called before anything else is opened.
 * passed_on: the programs that we start inherit the descriptor; otherwise they find it closed, as
 * we did.
 */
void descriptors_occupy(bool passed_on);

/* Is standard error open, and inherited by the programs that we start? */
bool descriptors_has_error(void);

/* --- for any program, with each file that we open --- */

/*
 * Moves an open file to a descriptor above 2, close-on-exec, and closes fd; returns fd itself if it
 * is above 2. Returns -1, with errno, on failure, and for -1, so that the call can enclose open(),
 * socket() and the like.
 */
int descriptor_high(int fd);

/* Does the same with n descriptors, such as a pipe's. False, with errno, if one of them failed. */
bool descriptors_high(int *fds, int n);

#endif
