/* Stream-TTL and Stream-Expires-At: an accepted value can be written, and reads as the same. */
#include "fuzz.h"

#include "base/clock.h"
#include "protocol/expiry.h"

#include <inttypes.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_string(data, size), back[CLOCK_TIME_SIZE];
    int64_t seconds, ms, again;

    if (expiry_parse_ttl(text, &seconds)) {
        (void)snprintf(back, sizeof back, "%" PRId64, seconds);
        fuzz_require(strcmp(back, text) == 0);
        fuzz_require(!clock_parse_time(text, &ms)); /* no text is valid as both */
    }
    if (clock_parse_time(text, &ms)) {
        clock_format_time(ms, back);
        fuzz_require(strlen(back) == strlen("2026-01-02T03:04:05.678Z"));
        fuzz_require(clock_parse_time(back, &again));
        /* the offset of a zone may lead up to a day beyond the years that can be written */
        fuzz_require(again == ms || strncmp(text, "0000-01-01", 10) == 0 ||
                     strncmp(text, "9999-12-31", 10) == 0);
    }
    /* any number can be written */
    if (size >= sizeof ms) {
        memcpy(&ms, data, sizeof ms);
        clock_format_time(ms, back);
        fuzz_require(clock_parse_time(back, &again));
    }
    free(text);
    return 0;
}
