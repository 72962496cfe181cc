/* The head of an HTTP request: see http_head.h. */
#include "http/http_head.h"

#include <string.h>
#include <strings.h>

#include "http/http_request.h"

enum { MOST_EMPTY_LINES = 2, LONGEST_METHOD = 32 };

/* What a byte may be part of. */
enum { TOKEN = 1, VALUE = 2, TARGET = 4, HOST = 8 };

static const unsigned char kinds[256] = {
    ['\t'] = VALUE,
    [' '] = VALUE,
    ['!'] = TOKEN | VALUE | TARGET | HOST,
    ['"'] = VALUE,
    ['#'] = TOKEN | VALUE,
    ['$'] = TOKEN | VALUE | TARGET | HOST,
    ['%'] = TOKEN | VALUE | TARGET | HOST,
    ['&'] = TOKEN | VALUE | TARGET | HOST,
    ['\''] = TOKEN | VALUE | TARGET | HOST,
    ['('] = VALUE | TARGET | HOST,
    [')'] = VALUE | TARGET | HOST,
    ['*'] = TOKEN | VALUE | TARGET | HOST,
    ['+'] = TOKEN | VALUE | TARGET | HOST,
    [','] = VALUE | TARGET | HOST,
    ['-'] = TOKEN | VALUE | TARGET | HOST,
    ['.'] = TOKEN | VALUE | TARGET | HOST,
    ['/'] = VALUE | TARGET,
    ['0' ... '9'] = TOKEN | VALUE | TARGET | HOST,
    [':'] = VALUE | TARGET | HOST,
    [';'] = VALUE | TARGET | HOST,
    ['<'] = VALUE,
    ['='] = VALUE | TARGET | HOST,
    ['>'] = VALUE,
    ['?'] = VALUE | TARGET,
    ['@'] = VALUE | TARGET,
    ['A' ... 'Z'] = TOKEN | VALUE | TARGET | HOST,
    ['['] = VALUE | TARGET | HOST,
    ['\\'] = VALUE,
    [']'] = VALUE | TARGET | HOST,
    ['^'] = TOKEN | VALUE,
    ['_'] = TOKEN | VALUE | TARGET | HOST,
    ['`'] = TOKEN | VALUE,
    ['a' ... 'z'] = TOKEN | VALUE | TARGET | HOST,
    ['{'] = VALUE,
    ['|'] = TOKEN | VALUE,
    ['}'] = VALUE,
    ['~'] = TOKEN | VALUE | TARGET | HOST,
    [128 ... 255] = VALUE | TARGET,
};

static size_t span_of(const char *at, const char *end, int kind)
{
    const char *from = at;

    while (at < end && kinds[(unsigned char)*at] & kind)
        at++;
    return (size_t)(at - from);
}

static enum http_parse refuse(struct http_head *head, int status, const char *reason)
{
    head->status = status;
    head->reason = reason;
    return HTTP_PARSE_BAD;
}

enum http_parse http_head_find(struct http_head *head, const char *data, size_t len, size_t *seen)
{
    size_t most = len < HTTP_HEAD_MOST ? len : HTTP_HEAD_MOST, skip = 0;
    const char *at;

    for (int i = 0; i < MOST_EMPTY_LINES && most - skip >= 2 && memcmp(data + skip, "\r\n", 2) == 0;
         i++)
        skip += 2;
    if (*seen < skip)
        *seen = skip;
    /* for example TLS, which would never send a line; a CR may yet become one more empty line */
    if (most > skip && !(kinds[(unsigned char)data[skip]] & TOKEN) &&
        (data[skip] != '\r' || (most - skip > 1 && data[skip + 1] != '\n')))
        return refuse(head, 400, "this is no HTTP request");
    /* the last byte may be the LF of an end that began before */
    for (at = data + *seen; at < data + most; at++) {
        at = memchr(at, '\n', (size_t)(data + most - at));
        if (!at)
            break;
        if (at == data || at[-1] != '\r')
            return refuse(head, 400, "lines of the head must end with CR LF");
        if (at - data >= (ptrdiff_t)skip + 3 && at[-2] == '\n') {
            head->len = (size_t)(at - data) + 1;
            return HTTP_PARSE_WHOLE;
        }
        if (at - data == (ptrdiff_t)skip + 1)
            return refuse(head, 400, "the request line is missing");
    }
    *seen = most;
    if (len >= HTTP_HEAD_MOST)
        return refuse(head, 431, "the request headers are too large");
    return HTTP_PARSE_MORE;
}

/* --- the request line --- */

/* http://authority/path: moves head->target on to the path. */
static bool split_absolute(struct http_head *head, char *target)
{
    size_t scheme = strncasecmp(target, "http://", 7) == 0    ? 7
                    : strncasecmp(target, "https://", 8) == 0 ? 8
                                                              : 0;
    char *end;

    if (scheme == 0)
        return false;
    end = target + scheme + strcspn(target + scheme, "/?");
    if (span_of(target + scheme, end, HOST) != (size_t)(end - target) - scheme ||
        end == target + scheme)
        return false;
    /* moved to the front, so that a NUL fits behind it */
    memmove(target, target + scheme, (size_t)(end - target) - scheme);
    target[(size_t)(end - target) - scheme] = '\0';
    head->authority = target;
    if (*end == '?') { /* room for the slash: the scheme has left some */
        end--;
        *end = '/';
    }
    head->target = *end ? end : "/";
    return true;
}

static enum http_parse parse_line(struct http_head *head, char *at, char *end)
{
    size_t method = span_of(at, end, TOKEN), target;
    char *version;

    if (method == 0 || method > LONGEST_METHOD || at + method >= end || at[method] != ' ')
        return refuse(head, 400, "the request line has no method");
    at[method] = '\0';
    head->method = at;
    at += method + 1;
    target = span_of(at, end, TARGET);
    if (target == 0 || at + target >= end || at[target] != ' ')
        return refuse(head, 400, "the request line has no target, or one with a wrong character");
    at[target] = '\0';
    head->target = at;
    version = at + target + 1;
    if (end - version != 8 || memcmp(version, "HTTP/", 5) != 0 || version[6] != '.' ||
        version[5] < '0' || version[5] > '9' || version[7] < '0' || version[7] > '9')
        return refuse(head, 400, "the request line has no version");
    if (version[5] != '1')
        return refuse(head, 505, "only HTTP/1.1 and HTTP/1.0 are spoken here");
    head->minor = version[7] == '0' ? 0 : 1;
    if (*at != '/' && strcmp(at, "*") != 0 && strcmp(head->method, "CONNECT") != 0 &&
        !split_absolute(head, at))
        return refuse(head, 400, "the target must be a path or an http URL");
    return HTTP_PARSE_WHOLE;
}

/* --- the header lines --- */

struct lines {
    bool host, coded, close, keep_alive;
};

static bool is_name(const struct http_field *field, const char *name, size_t len)
{
    return field->name_len == len && strncasecmp(field->name, name, len) == 0;
}

#define IS_NAME(field, name) is_name(field, name, sizeof name - 1)

static bool read_length(struct http_head *head, const char *value)
{
    int64_t length = http_request_length(value);

    if (length < 0 || head->length >= 0)
        return false;
    head->length = length;
    return true;
}

/* Is the word an element of a list? */
static bool lists(const char *value, const char *word)
{
    size_t len = strlen(word), element;

    for (;; value += element) {
        value += strspn(value, ", \t");
        element = strcspn(value, ",");
        if (element == 0)
            return false;
        if (element >= len && strncasecmp(value, word, len) == 0 &&
            strspn(value + len, " \t") == element - len)
            return true;
    }
}

/* A line that concerns the connection. 0: it does not; 1: taken; -1: refused. */
static int take_connection_line(struct http_head *head, struct lines *lines,
                                const struct http_field *field)
{
    if (IS_NAME(field, "Content-Length")) {
        if (read_length(head, field->value))
            return 1;
        (void)refuse(head, 400, "Content-Length must be one number, sent once");
        return -1;
    }
    if (IS_NAME(field, "Transfer-Encoding")) {
        if (lines->coded || strcasecmp(field->value, "chunked") != 0) {
            (void)refuse(head, lines->coded ? 400 : 501,
                         "the only Transfer-Encoding here is chunked, sent once");
            return -1;
        }
        return lines->coded = true;
    }
    if (IS_NAME(field, "Connection")) {
        lines->close |= lists(field->value, "close");
        lines->keep_alive |= lists(field->value, "keep-alive");
        return 1;
    }
    if (IS_NAME(field, "Expect")) {
        if (strcasecmp(field->value, "100-continue") != 0) {
            (void)refuse(head, 417, "the only expectation here is 100-continue");
            return -1;
        }
        return head->expects = true;
    }
    return IS_NAME(field, "Keep-Alive") || IS_NAME(field, "Upgrade") || IS_NAME(field, "TE") ||
           IS_NAME(field, "Trailer") || IS_NAME(field, "Proxy-Connection");
}

/* Cuts one line, which ends at `end`, where the CR is. */
static bool cut_line(struct http_field *field, char *at, char *end)
{
    size_t name = span_of(at, end, TOKEN);
    char *value = at + name + 1;

    if (name == 0 || at + name >= end || at[name] != ':' ||
        span_of(value, end, VALUE) != (size_t)(end - value))
        return false;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    at[name] = *end = '\0';
    *field = (struct http_field){at, value, name, (size_t)(end - value)};
    return true;
}

static enum http_parse check_lines(struct http_head *head, const struct lines *lines)
{
    if (!lines->host && head->minor > 0)
        return refuse(head, 400, "Host must be sent");
    if (lines->coded && head->length >= 0)
        return refuse(head, 400, "Content-Length and Transfer-Encoding exclude each other");
    if (lines->coded && head->minor == 0)
        return refuse(head, 400, "HTTP/1.0 has no Transfer-Encoding");
    head->chunked = lines->coded;
    head->keeps = head->minor > 0 ? !lines->close : lines->keep_alive && !lines->close;
    head->expects &= head->minor > 0;
    return HTTP_PARSE_WHOLE;
}

enum http_parse http_head_parse(struct http_head *head, char *data,
                                bool (*take)(void *to, const struct http_field *field), void *to)
{
    char *at = data, *end = data + head->len - 2, *cr;
    struct lines lines = {0};
    struct http_field field;
    int fields = 0, taken;

    head->length = -1;
    while (*at == '\r')
        at += 2;
    cr = memchr(at, '\r', (size_t)(end - at));
    if (!cr || cr[1] != '\n')
        return refuse(head, 400, "the request line is missing");
    if (parse_line(head, at, cr) != HTTP_PARSE_WHOLE)
        return HTTP_PARSE_BAD;
    for (at = cr + 2; at < end; at = cr + 2) {
        cr = memchr(at, '\r', (size_t)(end - at));
        if (!cr || cr[1] != '\n' || !cut_line(&field, at, cr))
            return refuse(head, 400, "a header line is malformed");
        if (++fields > HTTP_HEAD_FIELDS)
            return refuse(head, 431, "there are too many header lines");
        taken = take_connection_line(head, &lines, &field);
        if (taken < 0)
            return HTTP_PARSE_BAD;
        if (IS_NAME(&field, "Host")) {
            if (lines.host ||
                span_of(field.value, field.value + field.value_len, HOST) != field.value_len)
                return refuse(head, 400, "Host must be a name, sent once");
            lines.host = true;
        }
        if (taken == 0 && !take(to, &field))
            return refuse(head, 503, "out of memory, try again");
    }
    return check_lines(head, &lines);
}
