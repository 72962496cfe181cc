/*
 * Short values: offsets, cursors, entity tags, codings, content types and producers, all from the
 * same input. An accepted value is safe to send back, and numbers are read correctly.
 */
#include "fuzz.h"

#include "http/http_etag.h"
#include "http/http_gzip.h"
#include "protocol/cursor.h"
#include "protocol/http_type.h"
#include "protocol/offset.h"
#include "protocol/producer.h"

static void check_offset(const char *data, size_t size)
{
    char back[OFFSET_TEXT_SIZE];
    int64_t position = -1;
    enum offset_kind kind = offset_parse(data, size, &position);

    if (kind == OFFSET_START)
        fuzz_require(position == 0);
    if (kind != OFFSET_POSITION)
        return;
    fuzz_require(position >= 0 && position <= OFFSET_POSITION_MAX);
    offset_format(position, back);
    fuzz_require(size == OFFSET_TEXT_LEN);
    fuzz_require(memcmp(data, back, size) == 0 || position == OFFSET_POSITION_MAX);
}

static void check_cursor(const char *data, size_t size)
{
    int64_t sent = cursor_parse(data, size), answer = cursor_response(1000, sent, 20, 12345);

    fuzz_require(sent >= -1);
    fuzz_require(answer > sent && answer >= 1000);
}

static void check_etag(const char *text)
{
    if (http_etag_matches(text, "\"s1:0:42\""))
        fuzz_require(strstr(text, "\"s1:0:42") || strchr(text, '*'));
}

static void check_coding(const char *text)
{
    if (http_gzip_is_wanted(text))
        fuzz_require(strcasestr(text, "gzip") || strchr(text, '*'));
}

static void check_type(const char *text)
{
    enum http_type_kind kind = http_type_kind(text);

    fuzz_require(kind == HTTP_TYPE_JSON || kind == HTTP_TYPE_TEXT || kind == HTTP_TYPE_BINARY);
    fuzz_require(http_type_matches(text, text));
    if (!http_type_is_valid(text))
        return;
    fuzz_require(strchr(text, '/'));
    for (const char *at = text; *at; at++)
        fuzz_require((unsigned char)*at >= 0x20 && *at != 0x7F);
}

static void check_producer(const char *text)
{
    struct producer producer;

    if (!producer_parse(&producer, text, "0", "0"))
        fuzz_require(producer.id == text && producer.id_len == strlen(text) && producer.id_len > 0);
    else
        fuzz_require(!producer.id);
    if (!producer_parse(&producer, "p", text, text))
        fuzz_require(producer.epoch == producer.seq && producer.seq >= 0 &&
                     producer.seq <= PRODUCER_NUMBER_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_string(data, size);

    check_offset((const char *)data, size);
    check_cursor((const char *)data, size);
    check_etag(text);
    check_coding(text);
    check_type(text);
    check_producer(text);
    free(text);
    return 0;
}
