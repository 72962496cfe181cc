/*
 * Descriptors 0, 1 and 2 are standard input, output and error, also in a program that has closed
 * them: what it prints, and what its libraries and asserts print, goes there. So no file of ours
 * may have one of them.
 */
#ifndef DESCRIPTOR_H
#define DESCRIPTOR_H

#include <stdbool.h>

/*
 * The same open file on a descriptor that is none of the three, close-on-exec; fd itself where it
 * is none. -1 stays -1 with its errno, so that it goes around open(), socket() and the like.
 */
int descriptor_high(int fd);

/* Likewise for all of them, of a pipe say; false, with errno, when one could not be had. */
bool descriptors_high(int *fds, int n);

#endif
