/* Bodies in chunks: see http_chunked.h. */
#include "http/http_chunked.h"

#include "base/digits.h"
#include "protocol/http_type.h"

enum {
    IN_SIZE,
    IN_EXTENSION,
    IN_SIZE_END,
    IN_DATA,
    IN_DATA_CR,
    IN_DATA_LF,
    IN_TRAILER,
    IN_NAME,
    IN_FIELD,
    IN_FIELD_END,
    IN_LAST_LF
};

enum { MOST_DIGITS = 16 };

static bool is_text(char c)
{
    return (unsigned char)c >= 0x20 ? c != 0x7f : c == '\t';
}

/* One byte outside of data. NULL, or why it is wrong. */
static const char *take_byte(struct http_chunked *chunked, char c)
{
    int digit;

    switch (chunked->state) {
    case IN_SIZE:
        digit = digits_hex(c);
        if (digit >= 0) {
            if (chunked->line > MOST_DIGITS)
                return "a chunk's size is too long";
            chunked->left = chunked->left << 4 | (uint64_t)digit;
            chunked->digits = true;
            return NULL;
        }
        if (!chunked->digits)
            return "a chunk has no size";
        if (c == '\r')
            chunked->state = IN_SIZE_END;
        else if (c == ';')
            chunked->state = IN_EXTENSION;
        else
            return "a chunk's size must be hexadecimal digits";
        return NULL;
    case IN_EXTENSION:
        if (c == '\r')
            chunked->state = IN_SIZE_END;
        else if (!is_text(c))
            return "a chunk's extension holds a control character";
        return NULL;
    case IN_SIZE_END:
        if (c != '\n')
            return "a chunk's size must end with CR LF";
        chunked->state = chunked->left > 0 ? IN_DATA : IN_TRAILER;
        chunked->line = 0;
        return NULL;
    case IN_DATA_CR:
        if (c != '\r')
            return "a chunk must end with CR LF";
        chunked->state = IN_DATA_LF;
        return NULL;
    case IN_DATA_LF:
        if (c != '\n')
            return "a chunk must end with CR LF";
        chunked->state = IN_SIZE;
        chunked->digits = false;
        chunked->line = 0;
        return NULL;
    case IN_TRAILER:
        if (c == '\r') {
            chunked->state = IN_LAST_LF;
            return NULL;
        }
        chunked->state = IN_NAME;
        return http_type_is_token_char(c) ? NULL : "a trailer is malformed";
    case IN_NAME:
        if (c == ':')
            chunked->state = IN_FIELD;
        else if (!http_type_is_token_char(c))
            return "a trailer is malformed";
        return NULL;
    case IN_FIELD:
        if (c == '\r')
            chunked->state = IN_FIELD_END;
        else if (!is_text(c))
            return "a trailer holds a control character";
        return NULL;
    default:
        return c == '\n' ? NULL : "a trailer must end with CR LF";
    }
}

enum http_parse http_chunked_take(struct http_chunked *chunked, const char **data, size_t *len,
                                  struct http_content *content)
{
    content->len = 0;
    while (*len > 0) {
        size_t most = chunked->state >= IN_TRAILER ? HTTP_CHUNKED_TRAILER : HTTP_CHUNKED_LINE;
        char c = **data;

        if (chunked->state == IN_DATA) {
            content->at = *data;
            content->len = *len < chunked->left ? *len : (size_t)chunked->left;
            *data += content->len;
            *len -= content->len;
            chunked->left -= content->len;
            if (chunked->left == 0)
                chunked->state = IN_DATA_CR;
            return HTTP_PARSE_MORE;
        }
        if (++chunked->line > most)
            chunked->reason = "a line of a chunk is too long";
        else
            chunked->reason = take_byte(chunked, c); /* which counts anew in a new line */
        if (chunked->reason)
            return HTTP_PARSE_BAD;
        ++*data;
        --*len;
        if (chunked->state == IN_FIELD_END && c == '\n')
            chunked->state = IN_TRAILER;
        else if (chunked->state == IN_LAST_LF && c == '\n')
            return HTTP_PARSE_WHOLE;
    }
    return HTTP_PARSE_MORE;
}
