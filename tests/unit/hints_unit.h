/* For the tests of the hints: a hints file with a name of its own. */
#ifndef HINTS_UNIT_H
#define HINTS_UNIT_H

#include <unistd.h>

#include "base/log.h"
#include "hints/hints.h"
#include "unit.h"

static char path[80]; /* of the file; a second process opens it too */

static inline struct hints *unit_open_hints(void)
{
    struct hints *hints;
    int fd;

    log_open(LOG_ERR_);
    (void)strcpy(path, "/tmp/ds-unit-XXXXXX");
    fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    (void)close(fd);
    ck_assert_int_eq(hints_open(&hints, path, NULL, NULL), DS_OK);
    return hints;
}

static inline void unit_close_hints(struct hints *hints)
{
    hints_close(hints, NULL, NULL);
    (void)unlink(path);
}

#endif
