/* Standard input of dsctl: see cli_input.h. */
#include "cli/cli_input.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"

enum { PIECE = 65536 };

enum cli_input cli_input_some(const struct cli *cli, struct buf *buf, int wait_ms)
{
    struct pollfd wait = {.fd = STDIN_FILENO, .events = POLLIN};
    ssize_t n;

    if (wait_ms >= 0 && poll(&wait, 1, wait_ms) == 0)
        return CLI_INPUT_IDLE;
    if (!buf_reserve(buf, PIECE)) {
        (void)cli_no_memory(cli);
        return CLI_INPUT_FAILED;
    }
    do
        n = read(STDIN_FILENO, buf->data + buf->len, PIECE);
    while (n < 0 && errno == EINTR);
    if (n < 0) {
        (void)cli_fail(cli, CLI_FAILED, "cannot read standard input: %s", strerror(errno));
        return CLI_INPUT_FAILED;
    }
    buf->len += (size_t)n;
    return n > 0 ? CLI_INPUT_DATA : CLI_INPUT_END;
}

bool cli_input_all(const struct cli *cli, struct buf *buf)
{
    enum cli_input input = CLI_INPUT_DATA;

    while (input == CLI_INPUT_DATA && buf->len <= CLI_INPUT_MOST)
        input = cli_input_some(cli, buf, -1);
    if (input == CLI_INPUT_DATA)
        (void)cli_fail(cli, CLI_FAILED, "standard input is longer than the largest message");
    return input == CLI_INPUT_END;
}
