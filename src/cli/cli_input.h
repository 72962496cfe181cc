/* Standard input of dsctl: the whole of it, or as it comes. */
#ifndef CLI_INPUT_H
#define CLI_INPUT_H

#include <stdbool.h>

#include "cli/cli.h"

struct buf;

/* The largest request body that a server can be set to take (DS_MAX_BODY_BYTES): an
   input or line without an end is refused before it takes all memory. */
enum { CLI_INPUT_MOST = 900 << 20 };

/* All of it, up to its end. False after saying why. */
bool cli_input_all(const struct cli *cli, struct buf *buf);

enum cli_input { CLI_INPUT_DATA, CLI_INPUT_END, CLI_INPUT_IDLE, CLI_INPUT_FAILED };

/*
 * What is there, added to buf. With wait_ms >= 0, CLI_INPUT_IDLE when nothing came for so long;
 * -1 waits for ever.
 */
enum cli_input cli_input_some(const struct cli *cli, struct buf *buf, int wait_ms);

#endif
