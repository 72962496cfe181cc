/*
 * Heads and bodies in chunks, by our parser and by Debian's libhttp-parser: whatever ours accepts,
 * the other one must accept too, and see the same request. The other one may be laxer. Where it is
 * stricter, excuse() says why. Tables of requests, and random changes of them.
 */
#include <ctype.h>
#include <http_parser.h>
#include <strings.h>

#include "http/http_chunked.h"
#include "http/http_head.h"
#include "unit.h"

enum { ROUNDS = 100000, TEXT_MOST = 2000 };

/* What a parser sees. */
struct view {
    bool whole, chunked, keeps;
    bool closes;      /* theirs: the client has sent "close" */
    long long length; /* -1: not sent */
    size_t used;      /* bytes up to the end of head and body */
    size_t fields_len, content_len;
    char method[40], target[TEXT_MOST];
    char fields[2 * TEXT_MOST], content[TEXT_MOST]; /* fields: name, ':', value, LF */
    enum http_errno error;
};

static void append(char *to, size_t *used, size_t room, const char *text, size_t len)
{
    unit_check(*used + len < room, "a text is too long");
    memcpy(to + *used, text, len);
    *used += len;
    to[*used] = '\0';
}

static void add_field(struct view *view, const char *name, size_t name_len, const char *value,
                      size_t value_len)
{
    append(view->fields, &view->fields_len, sizeof view->fields, name, name_len);
    append(view->fields, &view->fields_len, sizeof view->fields, ":", 1);
    append(view->fields, &view->fields_len, sizeof view->fields, value, value_len);
    append(view->fields, &view->fields_len, sizeof view->fields, "\n", 1);
}

/* --- ours --- */

static bool take(void *to, const struct http_field *field)
{
    add_field(to, field->name, field->name_len, field->value, field->value_len);
    return true;
}

static void read_chunks(struct view *view, const char *data, size_t len)
{
    struct http_chunked chunked;
    struct http_content content;
    enum http_parse state;
    const char *at = data;

    http_chunked_begin(&chunked);
    do {
        state = http_chunked_take(&chunked, &at, &len, &content);
        if (content.len > 0)
            append(view->content, &view->content_len, sizeof view->content, content.at,
                   content.len);
    } while (state == HTTP_PARSE_MORE && len > 0);
    view->whole = state == HTTP_PARSE_WHOLE;
    view->used += (size_t)(at - data);
}

/* A head, and its body if that is in chunks. */
static void read_ours(struct view *view, const char *text, size_t len)
{
    struct http_head head = {0};
    size_t seen = 0;
    char *data;

    memset(view, 0, sizeof *view);
    if (http_head_find(&head, text, len, &seen) != HTTP_PARSE_WHOLE)
        return;
    data = unit_copy(text, head.len);
    if (http_head_parse(&head, data, take, view) == HTTP_PARSE_WHOLE) {
        view->whole = true;
        view->chunked = head.chunked;
        view->keeps = head.keeps;
        view->length = head.length;
        view->used = head.len;
        (void)snprintf(view->method, sizeof view->method, "%s", head.method);
        (void)snprintf(view->target, sizeof view->target, "%s%s", head.authority ?: "",
                       head.target);
        if (head.chunked)
            read_chunks(view, text + head.len, len - head.len);
    }
    free(data);
}

/* --- the other one --- */

struct other {
    struct view view;
    size_t target_len, name_len, value_len;
    char name[TEXT_MOST], value[TEXT_MOST];
    bool named, ended; /* a header line has begun; the head has ended */
};

static bool is_of_connection(const char *name)
{
    static const char *const names[] = {"Connection", "Content-Length",   "Expect",
                                        "Keep-Alive", "Proxy-Connection", "TE",
                                        "Trailer",    "Upgrade",          "Transfer-Encoding"};

    for (size_t i = 0; i < COUNT(names); i++)
        if (strcasecmp(name, names[i]) == 0)
            return true;
    return false;
}

static void end_field(struct other *other)
{
    if (!other->named)
        return;
    while (other->value_len > 0 && strchr(" \t", other->value[other->value_len - 1]))
        other->value_len--;
    other->name[other->name_len] = '\0';
    if (!is_of_connection(other->name) && !other->ended)
        add_field(&other->view, other->name, other->name_len, other->value, other->value_len);
    other->name_len = other->value_len = 0;
    other->named = false;
}

static int on_url(http_parser *parser, const char *at, size_t len)
{
    struct other *other = parser->data;

    append(other->view.target, &other->target_len, sizeof other->view.target, at, len);
    return 0;
}

static int on_name(http_parser *parser, const char *at, size_t len)
{
    struct other *other = parser->data;

    if (other->value_len > 0 || other->named)
        end_field(other);
    append(other->name, &other->name_len, sizeof other->name, at, len);
    return 0;
}

static int on_value(http_parser *parser, const char *at, size_t len)
{
    struct other *other = parser->data;

    other->named = true;
    append(other->value, &other->value_len, sizeof other->value, at, len);
    return 0;
}

static int on_head_end(http_parser *parser)
{
    struct other *other = parser->data;
    struct view *view = &other->view;

    end_field(other);
    other->ended = true;
    view->chunked = parser->flags & F_CHUNKED;
    view->keeps = http_should_keep_alive(parser);
    view->closes = parser->flags & F_CONNECTION_CLOSE;
    view->length = parser->flags & F_CONTENTLENGTH ? (long long)parser->content_length : -1;
    (void)snprintf(view->method, sizeof view->method, "%s",
                   http_method_str((enum http_method)parser->method));
    if (!view->chunked) {
        view->whole = true;
        http_parser_pause(parser, 1);
    }
    return 0;
}

static int on_content(http_parser *parser, const char *at, size_t len)
{
    struct other *other = parser->data;

    append(other->view.content, &other->view.content_len, sizeof other->view.content, at, len);
    return 0;
}

static int on_end(http_parser *parser)
{
    struct other *other = parser->data;

    other->view.whole = true;
    http_parser_pause(parser, 1);
    return 0;
}

static const http_parser_settings settings = {.on_url = on_url,
                                              .on_header_field = on_name,
                                              .on_header_value = on_value,
                                              .on_headers_complete = on_head_end,
                                              .on_body = on_content,
                                              .on_message_complete = on_end};

static void read_theirs(struct other *other, const char *text, size_t len)
{
    http_parser parser;

    memset(other, 0, sizeof *other);
    http_parser_init(&parser, HTTP_REQUEST);
    parser.data = other;
    other->view.used = http_parser_execute(&parser, &settings, text, len);
    other->view.error = HTTP_PARSER_ERRNO(&parser);
}

/* --- both --- */

/* Theirs is a whole URL, ours authority and path. */
static bool is_same_target(const char *ours, const char *theirs, bool absolute)
{
    size_t authority;

    if (!absolute)
        return strcmp(ours, theirs) == 0;
    theirs = strstr(theirs, "://") + 3;
    authority = strcspn(theirs, "/?");
    if (strncmp(ours, theirs, authority) != 0)
        return false;
    ours += authority;
    theirs += authority;
    if (*theirs != '/' && *ours++ != '/')
        return false;
    return strcmp(ours, theirs) == 0;
}

/* Why the other parser refuses, though ours is right; NULL: there is no reason. */
static const char *excuse(const struct view *ours, const struct view *theirs)
{
    bool known = false;

    for (int i = 0; !known && i < 64; i++)
        known = strcmp(http_method_str((enum http_method)i), ours->method) == 0;
    if (!known)
        return "it knows only some methods; a method may be any token (RFC 9110 section 9.1)";
    if ((theirs->error == HPE_UNEXPECTED_CONTENT_LENGTH ||
         theirs->error == HPE_INVALID_TRANSFER_ENCODING) &&
        !ours->chunked && strcasestr(ours->fields, "Transfer-Encoding"))
        return "it takes a name that only begins with Transfer-Encoding for that one";
    if (theirs->chunked && (theirs->error == HPE_INVALID_CONTENT_LENGTH ||
                            theirs->error == HPE_UNEXPECTED_CONTENT_LENGTH))
        return "it looks for a length in a trailer, which ours ignores (RFC 9110 section 6.5.1)";
    return NULL;
}

static void replace_tabs(char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (text[i] == '\t')
            text[i] = ' ';
}

/* Do both keep the connection, or neither? */
static bool is_same_end(const struct view *ours, const struct view *theirs, bool list)
{
    if (theirs->closes) /* even if HTTP/1.0 says "keep-alive" too, which the other one obeys */
        return !ours->keeps;
    /* the other one overlooks elements of a list, for example in "kee, close" and ",close" */
    return list || ours->keeps == theirs->keeps;
}

/* Returns whether ours accepted the text. */
static bool compare(const char *text, size_t len)
{
    static struct view ours;
    static struct other other;
    const struct view *theirs = &other.view;
    const char *shown;
    char *spaces;

    read_ours(&ours, text, len);
    if (!ours.whole)
        return false;
    /* it takes no tabs behind a value, where blanks may be tabs (RFC 9110 section 5.6.3) */
    spaces = unit_copy(text, len);
    replace_tabs(spaces, len);
    read_theirs(&other, spaces, len);
    free(spaces);
    replace_tabs(ours.fields, ours.fields_len);
    replace_tabs(ours.content, ours.content_len);
    shown = unit_show(text, len);
    if (!theirs->whole) {
        unit_check(excuse(&ours, theirs), "%s: %s", http_errno_name(theirs->error), shown);
        return true;
    }
    unit_check(strcmp(ours.method, theirs->method) == 0, "method: %s", shown);
    unit_check(is_same_target(ours.target, theirs->target, isalpha(*theirs->target)),
               "target: %s, not %s: %s", ours.target, theirs->target, shown);
    unit_check(ours.chunked == theirs->chunked, "chunked: %s", shown);
    unit_check(ours.length == theirs->length, "length: %s", shown);
    unit_check(is_same_end(&ours, theirs, memchr(text, ',', len)), "keeps: %s", shown);
    unit_check(strcmp(ours.fields, theirs->fields) == 0, "fields: %s, not %s: %s", ours.fields,
               theirs->fields, shown);
    unit_check(ours.content_len == theirs->content_len &&
                   memcmp(ours.content, theirs->content, ours.content_len) == 0,
               "content: %s", shown);
    /* it stops before the last LF of a head */
    unit_check(ours.used - theirs->used <= 1, "%zu bytes, not %zu: %s", ours.used, theirs->used,
               shown);
    return true;
}

#define HOST    " HTTP/1.1\r\nHost: h\r\n"
#define CHUNKED "POST /" HOST "Transfer-Encoding: chunked\r\n\r\n"

static const char *const requests[] = {
    "GET /" HOST "\r\n",
    "\r\n\r\nGET /a?b=c" HOST "\r\n",
    "HEAD / HTTP/1.0\r\n\r\n",
    "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
    "GET /" HOST "Connection: close, x\r\n\r\n",
    "GET /" HOST "Connection: upgrade\r\nUpgrade: h2c\r\n\r\n",
    "OPTIONS *" HOST "A:\r\nB: \t\r\nC: d \te\t \r\n\r\n",
    "GET http://[::1]:80/x?y" HOST "\r\n",
    "GET HTTPS://h.example:80?y/z" HOST "\r\n",
    "DELETE http://h" HOST "\r\n",
    "PUT /\xC3\xBC%20" HOST "Content-Length: 005\r\nContent-Type: text/plain; a=\"b\"\r\n\r\nhello",
    "POST /" HOST "content-length: 0\r\nExpect: 100-continue\r\n\r\n",
    "POST / HTTP/1.2\r\nHost:\r\nX: \xFF\r\nKeep-Alive: 5\r\nTE: trailers\r\n\r\n",
    CHUNKED "0\r\n\r\n",
    CHUNKED "5\r\nhello\r\n6;a=\"b\"\r\n world\r\n0\r\n\r\n",
    CHUNKED "000000000000000A\r\n0123456789\r\n1\r\nx\r\n0;x\r\nA: b\r\nC:\r\n\r\n",
    CHUNKED "4\r\n\r\n\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
};

START_TEST(understands_the_same_as_libhttp_parser)
{
    for (size_t i = 0; i < COUNT(requests); i++)
        ck_assert_msg(compare(requests[i], strlen(requests[i])), "%s", requests[i]);
}
END_TEST

/* What may matter at the place where it is put. */
static const char *const pieces[] = {
    "\r",
    "\n",
    "\r\n",
    "\r\n ",
    "\r\n\r\n",
    " ",
    "\t",
    ":",
    ",",
    ";",
    "\"",
    "0",
    "5",
    "+",
    "-",
    "/",
    "?",
    "#",
    "@",
    "\x7F",
    "\x80",
    "\v",
    "\r\nContent-Length: 5",
    "\r\nTransfer-Encoding: chunked",
    "\r\nTransfer-Encoding: identity",
    "\r\nConnection: close",
    "\r\nConnection: keep-alive",
    "\r\nConnection: keep-alive, close",
    "\r\nHost: i",
    "\r\nA: b",
    "chunked",
    "close",
    "keep-alive",
    "Content-Length",
    "HTTP/1.0",
    "http://h:80",
    "0\r\n\r\n",
    "1\r\nx\r\n",
};

static size_t change(char *text, size_t len, uint32_t *random)
{
    size_t at = unit_random(random) % (len + 1), cut = 0, put = 1;
    const char *piece = pieces[unit_random(random) % COUNT(pieces)];
    char byte = (char)unit_random(random);

    switch (unit_random(random) % 4) {
    case 0: /* another byte */
        piece = &byte;
        cut = at < len;
        break;
    case 1: /* some bytes less */
        put = 0;
        cut = unit_random(random) % 8;
        break;
    case 2: /* a piece more */
        put = strlen(piece);
        break;
    default: /* a piece instead of a byte */
        put = strlen(piece);
        cut = at < len;
    }
    if (cut > len - at)
        cut = len - at;
    if (len - cut + put >= TEXT_MOST / 2)
        return len;
    memmove(text + at + put, text + at + cut, len - at - cut);
    memcpy(text + at, piece, put);
    return len - cut + put;
}

START_TEST(understands_changed_requests_as_libhttp_parser_does)
{
    uint32_t random = 0x5EED;
    unsigned accepted = 0;
    char text[TEXT_MOST];

    for (int round = 0; round < ROUNDS; round++) {
        const char *request = requests[unit_random(&random) % COUNT(requests)];
        size_t len = strlen(request);

        memcpy(text, request, len);
        for (unsigned changes = 1 + unit_random(&random) % 3; changes > 0; changes--)
            len = change(text, len, &random);
        accepted += compare(text, len);
    }
    /* else the changes would be too coarse to find anything */
    ck_assert_msg(accepted > ROUNDS / 10, "only %u were accepted", accepted);
}
END_TEST

UNIT_MAIN(http_oracle, understands_the_same_as_libhttp_parser,
          understands_changed_requests_as_libhttp_parser_does)
