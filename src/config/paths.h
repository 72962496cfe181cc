/* Folders of this installation. The Makefile generates their values. */
#ifndef PATHS_H
#define PATHS_H

extern const char paths_libexec[]; /* $(libexecdir) */

#endif
