/*
 * Bodies in chunks. Wherever they are cut, the content and the end are the same, and the content
 * lies in the bytes given.
 */
#include "fuzz.h"

#include "http/http_chunked.h"

struct body {
    enum http_parse state;
    char *content;
    size_t len, used; /* used: bytes up to the end of the body, or to the first wrong one */
};

static struct body take(const uint8_t *data, size_t size, size_t piece)
{
    struct body body = {HTTP_PARSE_MORE, malloc(size + 1), 0, 0};
    struct http_chunked chunked;

    fuzz_require(body.content);
    http_chunked_begin(&chunked);
    while (body.used < size && body.state == HTTP_PARSE_MORE) {
        size_t len = size - body.used < piece ? size - body.used : piece, left = len;
        char *exact = fuzz_string(data + body.used, len);
        const char *at = exact;

        while (left > 0 && body.state == HTTP_PARSE_MORE) {
            struct http_content content;

            body.state = http_chunked_take(&chunked, &at, &left, &content);
            fuzz_require(at + left == exact + len);
            fuzz_require(content.len == 0 || body.state == HTTP_PARSE_MORE);
            fuzz_require(content.len > 0 || left == 0 || body.state != HTTP_PARSE_MORE);
            if (content.len > 0) {
                fuzz_require(content.at >= exact && content.at + content.len == at);
                memcpy(body.content + body.len, content.at, content.len);
                body.len += content.len;
            }
        }
        body.used += len - left;
        free(exact);
    }
    fuzz_require((body.state == HTTP_PARSE_BAD) == (chunked.reason != NULL));
    return body;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t piece = size > 0 ? 1 + data[size - 1] % 16 : 1;
    struct body whole = take(data, size, size ? size : 1), pieces = take(data, size, piece);

    fuzz_require(whole.state == pieces.state && whole.used == pieces.used);
    fuzz_require(whole.len == pieces.len && memcmp(whole.content, pieces.content, whole.len) == 0);
    if (whole.state == HTTP_PARSE_WHOLE)
        fuzz_require(whole.used >= 5 && memcmp(data + whole.used - 4, "\r\n\r\n", 4) == 0);
    free(whole.content);
    free(pieces.content);
    return 0;
}
