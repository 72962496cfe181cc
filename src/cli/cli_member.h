/* Members of JSON objects that dsctl prints. A comma goes first unless the buffer ends with an
 * opening bracket. */
#ifndef CLI_MEMBER_H
#define CLI_MEMBER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

void cli_member_name(struct buf *buf, const char *name);                   /* the value follows */
void cli_member_text(struct buf *buf, const char *name, const char *text); /* NULL: null */
void cli_member_number(struct buf *buf, const char *name, int64_t value);
void cli_member_time(struct buf *buf, const char *name, int64_t ms);
void cli_member_bool(struct buf *buf, const char *name, bool value);

#endif
