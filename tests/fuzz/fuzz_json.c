/*
 * Request bodies of JSON streams. Here the splitter also gets texts that are not valid JSON, which
 * it never does in the server. Even so it must read no byte outside the text, and must end.
 */
#include "fuzz.h"

#include "protocol/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data, *end = text + size, *before = text, *message;
    const char *reason = json_precheck(text, size);
    struct json_split split;
    size_t len, messages = 0;

    fuzz_require(!reason || *reason);
    json_split_init(&split, text, size);
    while (json_split_next(&split, &message, &len)) {
        fuzz_require(message >= before && message <= end && len <= (size_t)(end - message));
        fuzz_require(len == 0 || !memchr(" \t\r\n", message[0], 4));
        fuzz_require(len == 0 || !memchr(" \t\r\n", message[len - 1], 4));
        before = message + len;
        fuzz_require(++messages <= size);
    }
    fuzz_require(split.array || messages <= 1);
    fuzz_require(!json_split_next(&split, &message, &len));
    return 0;
}
