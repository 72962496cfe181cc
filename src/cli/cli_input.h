/* Standard input of dsctl, read as a whole or as it arrives. */
#ifndef CLI_INPUT_H
#define CLI_INPUT_H

#include <stdbool.h>

#include "cli/cli.h"

struct buf;

/* The largest request body for which a server can be configured (DS_MAX_BODY_BYTES). An endless
 * input or line is refused before it fills memory. */
enum { CLI_INPUT_MOST = 900 << 20 };

/* Reads up to the end. False after reporting an error. */
bool cli_input_all(const struct cli *cli, struct buf *buf);

enum cli_input { CLI_INPUT_DATA, CLI_INPUT_END, CLI_INPUT_IDLE, CLI_INPUT_FAILED };

/*
 * Adds the available input to buf. CLI_INPUT_IDLE: none arrived for wait_ms milliseconds; -1 waits
 * without limit.
 */
enum cli_input cli_input_some(const struct cli *cli, struct buf *buf, int wait_ms);

#endif
