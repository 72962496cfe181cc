/* Stream-TTL: see expiry.h. */
#include "protocol/expiry.h"

#include <string.h>

#include "base/digits.h"

#define TTL_MAX_S INT64_C(9007199254740991) /* 2^53-1; in milliseconds it still fits an int64 */

bool expiry_parse_ttl(const char *text, int64_t *seconds)
{
    if (text[0] == '0' && text[1] != '\0') /* section 5.1: no leading zeros */
        return false;
    return digits_parse(text, strlen(text), TTL_MAX_S, seconds);
}
