/*
 * Payloads of text streams in SSE frames. A simple reader checks the frame: one line "event: data",
 * then lines that begin with "data:", and an empty line at the end only.
 */
#include "fuzz.h"

#include "base/buf.h"
#include "base/utf8.h"
#include "protocol/sse.h"

static void check_frame(const struct buf *frame)
{
    static const char head[] = "event: data\n";
    const char *at = frame->data + sizeof head - 1, *end = frame->data + frame->len;

    fuzz_require(!frame->failed && frame->len > sizeof head + 1);
    fuzz_require(memcmp(frame->data, head, sizeof head - 1) == 0);
    fuzz_require(end[-1] == '\n' && end[-2] == '\n');
    while (at < end - 1) {
        fuzz_require(end - at > 5 && memcmp(at, "data:", 5) == 0);
        at = (const char *)memchr(at, '\n', (size_t)(end - at)) + 1;
    }
    fuzz_require(at == end - 1);
    fuzz_require(!memchr(frame->data, '\r', frame->len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    size_t tail = utf8_incomplete_tail(text, size);
    struct buf buf = {0};

    fuzz_require(tail <= 3 && tail <= size);
    /* a text with an incomplete end is not valid; valid text remains valid without that end */
    fuzz_require(tail == 0 || !utf8_is_valid(text, size));
    fuzz_require(utf8_incomplete_tail(text, size - tail) == 0 || !utf8_is_valid(text, size - tail));
    utf8_add_lossy(&buf, text, size);
    fuzz_require(utf8_is_valid(buf.data, buf.len));
    fuzz_require(!utf8_is_valid(text, size) || buf.len == size);

    for (enum sse_encoding encoding = SSE_TEXT; encoding <= SSE_BASE64; encoding++) {
        buf_clear(&buf);
        sse_add_data(&buf, encoding, text, size);
        check_frame(&buf);
        fuzz_require(encoding == SSE_JSON || utf8_is_valid(buf.data, buf.len));
    }
    buf_close(&buf);
    return 0;
}
