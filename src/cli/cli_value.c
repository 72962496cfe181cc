/* An incremental JSON checker: see cli_value.h. */
#include "cli/cli_value.h"

#include <stdbool.h>
#include <string.h>

#include "protocol/json_scan.h"

/* What was read last, or has to come next. */
enum place {
    START,       /* 0: before the first value */
    VALUE,       /* after a comma or colon */
    FIRST_VALUE, /* after '[': a value or ']' */
    FIRST_NAME,  /* after '{': a name or '}' */
    NAME,        /* after a comma in an object */
    COLON,
    AFTER, /* after a value: a comma or a closing bracket, at depth 0 only white space */
    STRING,
    NAME_STRING,
    ESCAPE,
    NAME_ESCAPE,
    WORD,
    MINUS,
    ZERO,
    DIGITS,
    POINT,
    FRACTION,
    EXPONENT,
    EXPONENT_SIGN,
    EXPONENT_DIGITS,
    WRONG,
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_in_object(const struct cli_value *value)
{
    return value->depth > 0 && value->open[value->depth - 1] == '{';
}

/* A number has no end mark; it may end in these places. */
static bool may_end(int place)
{
    return place == ZERO || place == DIGITS || place == FRACTION || place == EXPONENT_DIGITS;
}

static int begin_word(struct cli_value *value, const char *rest)
{
    value->word = rest;
    return WORD;
}

static int open_nest(struct cli_value *value, char c)
{
    if (value->depth == JSON_DEPTH_MAX)
        return WRONG;
    value->open[value->depth++] = c;
    return c == '[' ? FIRST_VALUE : FIRST_NAME;
}

static int begin_value(struct cli_value *value, char c)
{
    switch (c) {
    case '"':
        return STRING;
    case '[':
    case '{':
        return open_nest(value, c);
    case 't':
        return begin_word(value, "rue");
    case 'f':
        return begin_word(value, "alse");
    case 'n':
        return begin_word(value, "ull");
    case '-':
        return MINUS;
    case '0':
        return ZERO;
    default:
        return is_digit(c) ? DIGITS : WRONG;
    }
}

static int end_nest(struct cli_value *value)
{
    value->depth--;
    return AFTER;
}

static int take_after(struct cli_value *value, char c)
{
    if (value->depth == 0)
        return WRONG;
    if (c == ',')
        return is_in_object(value) ? NAME : VALUE;
    /* in ASCII, a closing bracket is its opening one plus 2 */
    return c == value->open[value->depth - 1] + 2 ? end_nest(value) : WRONG;
}

/* Inside a string: multi-byte characters (RFC 3629), escapes, and the end of the string. */
static int take_in_string(struct cli_value *value, char byte, int here)
{
    unsigned char c = (unsigned char)byte;

    if (value->more > 0) {
        if (c < value->low || c > value->high)
            return WRONG;
        value->more--;
        value->low = 0x80;
        value->high = 0xBF;
        return here;
    }
    if (c == '"')
        return here == STRING ? AFTER : COLON;
    if (c == '\\')
        return here == STRING ? ESCAPE : NAME_ESCAPE;
    if (c < 0x20 || (c >= 0x80 && c < 0xC2) || c > 0xF4)
        return WRONG;
    if (c >= 0x80) {
        value->more = c < 0xE0 ? 1 : c < 0xF0 ? 2 : 3;
        value->low = c == 0xE0 ? 0xA0 : c == 0xF0 ? 0x90 : 0x80;
        value->high = c == 0xED ? 0x9F : c == 0xF4 ? 0x8F : 0xBF;
    }
    return here;
}

/* After a backslash. */
static int take_escape(struct cli_value *value, char c, int here)
{
    int back = here == ESCAPE ? STRING : NAME_STRING;

    if (value->hex > 0) {
        if (!is_digit(c) && !((c | 0x20) >= 'a' && (c | 0x20) <= 'f'))
            return WRONG;
        return --value->hex == 0 ? back : here;
    }
    if (c == 'u') {
        value->hex = 4;
        return here;
    }
    return c != '\0' && strchr("\"\\/bfnrt", c) ? back : WRONG;
}

static int take_in_number(char c, int here)
{
    switch (here) {
    case MINUS:
        return c == '0' ? ZERO : is_digit(c) ? DIGITS : WRONG;
    case ZERO:
    case DIGITS:
        if (here == DIGITS && is_digit(c))
            return DIGITS;
        if (c == '.')
            return POINT;
        return (c | 0x20) == 'e' ? EXPONENT : WRONG;
    case POINT:
        return is_digit(c) ? FRACTION : WRONG;
    case FRACTION:
        if (is_digit(c))
            return FRACTION;
        return (c | 0x20) == 'e' ? EXPONENT : WRONG;
    case EXPONENT:
        if (c == '+' || c == '-')
            return EXPONENT_SIGN;
        return is_digit(c) ? EXPONENT_DIGITS : WRONG;
    default: /* EXPONENT_SIGN, EXPONENT_DIGITS */
        return is_digit(c) ? EXPONENT_DIGITS : WRONG;
    }
}

/* Between tokens; c is not white space. */
static int take_token(struct cli_value *value, char c)
{
    switch (value->at) {
    case FIRST_VALUE:
        return c == ']' ? end_nest(value) : begin_value(value, c);
    case FIRST_NAME:
        if (c == '}')
            return end_nest(value);
        return c == '"' ? NAME_STRING : WRONG;
    case NAME:
        return c == '"' ? NAME_STRING : WRONG;
    case COLON:
        return c == ':' ? VALUE : WRONG;
    case AFTER:
        return take_after(value, c);
    default: /* START, VALUE */
        return begin_value(value, c);
    }
}

static int take_byte(struct cli_value *value, char c)
{
    switch (value->at) {
    case WRONG:
        return WRONG;
    case STRING:
    case NAME_STRING:
        return take_in_string(value, c, value->at);
    case ESCAPE:
    case NAME_ESCAPE:
        return take_escape(value, c, value->at);
    case WORD:
        if (c != *value->word)
            return WRONG;
        return *++value->word ? WORD : AFTER;
    default:
        break;
    }
    if (value->at >= MINUS) {
        if (!may_end(value->at) || !(json_is_space(c) || strchr(",]}", c)) || c == '\0')
            return take_in_number(c, value->at);
        value->at = AFTER;
    }
    return json_is_space(c) ? value->at : take_token(value, c);
}

size_t cli_value_feed(struct cli_value *value, const char *data, size_t len)
{
    size_t i = 0;

    while (i < len && value->at != WRONG)
        value->at = take_byte(value, data[i++]);
    return i;
}

enum cli_value_state cli_value_state(const struct cli_value *value)
{
    if (value->at == WRONG)
        return CLI_VALUE_WRONG;
    if (value->at == START)
        return CLI_VALUE_BLANK;
    return value->depth == 0 && (value->at == AFTER || may_end(value->at)) ? CLI_VALUE_WHOLE
                                                                           : CLI_VALUE_BEGUN;
}
