/* Which names and paths are whose: see subscription.h. Pure, thread-safe. */
#include <string.h>

#include "base/utf8.h"
#include "engine/subscription.h"

bool subscription_is_name(const char *text)
{
    size_t len = strlen(text);

    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7F)
            return false;
    return len > 0 && len <= SUBSCRIPTION_NAME_MOST && utf8_is_valid(text, len);
}

bool subscription_reserves(const char *path)
{
    size_t root = strlen(SUBSCRIPTION_ROOT);

    if (strncmp(path, SUBSCRIPTION_ROOT, root) != 0)
        return false;
    path += root + strspn(path + root, "/");
    return strncmp(path, "__ds", 4) == 0 && (path[4] == '\0' || path[4] == '/');
}
