/* Durations: see cli_duration.h. */
#include "cli/cli_duration.h"

#include <stddef.h>
#include <string.h>

#include "base/digits.h"

bool cli_duration_parse(const char *text, int64_t most, int64_t *seconds)
{
    static const struct {
        char letter;
        int64_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}, {'w', 604800}};
    size_t len = strlen(text);
    int64_t unit = 1, number;

    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (len > 0 && text[len - 1] == units[i].letter) {
            unit = units[i].seconds;
            len--;
            break;
        }
    if (!digits_parse(text, len, most / unit,
                      &number)) /* so that the product does not exceed most */
        return false;
    *seconds = number * unit;
    return true;
}
