/* Stream-TTL: see expiry.h. */
#include "protocol/expiry.h"

#include <string.h>

#include "base/digits.h"

#define TTL_MAX_S INT64_C(9007199254740991) /* 2^53-1; fits an int64_t in milliseconds, too */

bool expiry_parse_ttl(const char *text, int64_t *seconds)
{
    if (text[0] == '0' && text[1] != '\0') /* section 5.1: no leading zeros */
        return false;
    return digits_parse(text, strlen(text), TTL_MAX_S, seconds);
}
