/* Places of this installation; the Makefile writes their values. */
#ifndef PATHS_H
#define PATHS_H

extern const char paths_libexec[]; /* $(libexecdir) */

#endif
