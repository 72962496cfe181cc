/*
 * Heads of HTTP requests. Wherever the bytes are cut, the result is the same; the parsed texts lie
 * in the head; and what is accepted holds no byte by which another server could see another
 * request.
 */
#include "fuzz.h"

#include "http/http_head.h"

struct seen {
    const char *data;
    size_t len, fields, used;
};

static void check_text(const struct seen *seen, const char *text, size_t len)
{
    fuzz_require(text >= seen->data && text + len < seen->data + seen->len);
    fuzz_require(text[len] == '\0' && !memchr(text, '\0', len));
    for (size_t i = 0; i < len; i++)
        fuzz_require((unsigned char)text[i] >= ' ' ? text[i] != 0x7F : text[i] == '\t');
}

static bool take(void *to, const struct http_field *field)
{
    struct seen *seen = to;

    check_text(seen, field->name, field->name_len);
    check_text(seen, field->value, field->value_len);
    fuzz_require(field->name_len > 0 && !strpbrk(field->name, " \t:"));
    fuzz_require(field->value_len == 0 || (!strchr(" \t", *field->value) &&
                                           !strchr(" \t", field->value[field->value_len - 1])));
    seen->fields++;
    seen->used += field->name_len + field->value_len;
    return true;
}

static bool take_one(void *to, const struct http_field *field)
{
    (void)field;
    return ++*(size_t *)to < 2;
}

/* Looks for the end in pieces of `piece` bytes. */
static enum http_parse find(const uint8_t *data, size_t size, size_t piece, struct http_head *head)
{
    enum http_parse state = HTTP_PARSE_MORE;
    size_t seen = 0;

    for (size_t have = piece; state == HTTP_PARSE_MORE; have += piece) {
        char *exact;

        have = have < size ? have : size;
        exact = fuzz_string(data, have);
        state = http_head_find(head, exact, have, &seen);
        fuzz_require(seen <= have);
        free(exact);
        if (have == size)
            break;
    }
    return state;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_head head = {0}, other = {0};
    size_t piece = size > 0 ? 1 + data[size - 1] % 64 : 1, count = 0;
    enum http_parse state = find(data, size, size ? size : 1, &head);
    struct seen seen;
    char *text;

    fuzz_require(find(data, size, piece, &other) == state);
    if (state == HTTP_PARSE_BAD)
        fuzz_require(head.status == other.status && head.reason && head.status >= 400);
    if (state != HTTP_PARSE_WHOLE)
        return 0;
    fuzz_require(head.len == other.len && head.len <= size && head.len <= HTTP_HEAD_MOST);
    text = malloc(head.len);
    fuzz_require(text);
    memcpy(text, data, head.len);
    seen = (struct seen){text, head.len, 0, 0};
    if (http_head_parse(&head, text, take, &seen) == HTTP_PARSE_WHOLE) {
        check_text(&seen, head.method, strlen(head.method));
        if (strcmp(head.target, "/") != 0)
            check_text(&seen, head.target, strlen(head.target));
        if (head.authority)
            check_text(&seen, head.authority, strlen(head.authority));
        fuzz_require(*head.method && *head.target && !strpbrk(head.target, " \t#"));
        fuzz_require(!(head.chunked && head.length >= 0) && head.length >= -1);
        fuzz_require(head.minor == 1 || (head.minor == 0 && !head.chunked && !head.expects));
        fuzz_require(seen.fields <= HTTP_HEAD_FIELDS && seen.used <= head.len);
    } else {
        fuzz_require(head.status >= 400 && head.status < 600 && head.reason);
    }
    /* memory that ends at the second line */
    memcpy(text, data, head.len);
    if (http_head_parse(&head, text, take_one, &count) == HTTP_PARSE_WHOLE)
        fuzz_require(count < 2);
    free(text);
    return 0;
}
