/* Cursors for users of the library: the rules of cursor.h with the clock and a random number. */
#include <string.h>

#include "base/clock.h"
#include "protocol/cursor.h"

/* No client was ever given a later one: it does not count as a cursor. */
#define CURSOR_MAX INT64_C(9007199254740991) /* 2^53-1 */

static int64_t interval_of(const struct ds_cursor_options *options)
{
    return options && options->interval_seconds >= 1 ? options->interval_seconds
                                                     : DS_CURSOR_DEFAULT_INTERVAL_SECONDS;
}

int64_t ds_cursor_calculate(const struct ds_cursor_options *options)
{
    return cursor_calculate(clock_wall_ms(), interval_of(options),
                            options ? options->epoch : DS_CURSOR_DEFAULT_EPOCH);
}

int64_t ds_cursor_handle_collision(int64_t current, int64_t client,
                                   const struct ds_cursor_options *options)
{
    if (client > CURSOR_MAX)
        client = -1;
    return cursor_response(current, client, interval_of(options), clock_random());
}

int64_t ds_cursor_generate_response(const char *client, const struct ds_cursor_options *options)
{
    return ds_cursor_handle_collision(ds_cursor_calculate(options),
                                      client ? cursor_parse(client, strlen(client)) : -1, options);
}
