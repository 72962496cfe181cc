/* Names, passwords and headers of requests: see cli_login.h. */
#include "cli/cli_login.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/digits.h"
#include "cli/cli.h"
#include "cli/cli_prompt.h"

enum { FILE_MOST = 65536, PASSWORD_SIZE = 1024 };

static char *copy_of(const struct cli *cli, const char *text)
{
    char *copy = arena_strndup(cli->arena, text, strlen(text));

    if (!copy)
        (void)cli_no_memory(cli);
    return copy;
}

/* ---------------------------------------------------------------------------------- hiding -- */

static bool is_web_url(const char *text)
{
    return strncmp(text, "http://", 7) == 0 || strncmp(text, "https://", 8) == 0;
}

/* The length of "name:password@" in a URL, and where it begins; 0: there is none. */
static size_t userinfo_length(const char *url, const char **begin)
{
    const char *scheme = strstr(url, "://"), *at;

    *begin = scheme ? scheme + 3 : url;
    at = memrchr(*begin, '@', strcspn(*begin, "/?#"));
    return at ? (size_t)(at + 1 - *begin) : 0;
}

const char *cli_login_take_userinfo(const struct cli *cli, char *url)
{
    const char *begin, *copy;
    size_t len = userinfo_length(url, &begin), rest;
    char *to = url + (begin - url);

    if (len == 0)
        return NULL;
    copy = arena_strndup(cli->arena, begin, len - 1);
    rest = strlen(begin) - len;
    memmove(to, to + len, rest);
    memset(to + rest, 0, len);
    return copy;
}

/* Replaces the value by a copy, and overwrites the word in argv. @FILE is not a secret. */
static bool hide_value(const struct cli *cli, struct cli_given *given)
{
    char *word = (char *)given->value; /* a part of argv, which is writable */
    const char *name = given->option->name;
    bool is_login = strcmp(name, "user") == 0 || strcmp(name, "header") == 0;
    bool is_secret = (is_login && word[0] != '@') || strcmp(name, "token") == 0;

    if (!is_secret && strcmp(name, "url") != 0)
        return true;
    given->value = copy_of(cli, word);
    if (!given->value)
        return false;
    if (is_secret)
        memset(word, 0, strlen(word));
    else
        (void)cli_login_take_userinfo(cli, word);
    return true;
}

bool cli_login_hide(struct cli *cli)
{
    for (size_t i = 0; i < cli->args.n_given; i++)
        if (cli->args.given[i].value && !hide_value(cli, &cli->args.given[i]))
            return false;
    /* a stream may be named by its whole URL; the login of --url applies */
    for (int i = 0; i < cli->args.n_operands; i++)
        if (is_web_url(cli->args.operand[i]))
            (void)cli_login_take_userinfo(cli, cli->args.operand[i]);
    return true;
}

/* ---------------------------------------------------------------------------------- values -- */

/* The value, or the text of the file if it is "@FILE"; in the arena. NULL after reporting an
   error. */
static char *read_value(const struct cli *cli, const char *value)
{
    char *text;
    FILE *file;
    size_t len;

    if (value[0] != '@')
        return copy_of(cli, value);
    file = fopen(value + 1, "r");
    if (!file) {
        (void)cli_fail(cli, CLI_FAILED, "%s: %s", value + 1, strerror(errno));
        return NULL;
    }
    text = arena_alloc(cli->arena, FILE_MOST + 1);
    len = text ? fread(text, 1, FILE_MOST + 1, file) : 0;
    if (!text) {
        (void)cli_no_memory(cli);
    } else if (ferror(file)) {
        (void)cli_fail(cli, CLI_FAILED, "%s: %s", value + 1, strerror(errno));
        text = NULL;
    } else if (len > FILE_MOST || memchr(text, '\0', len)) {
        (void)cli_fail(cli, CLI_FAILED, "%s: this is not a text of at most %d bytes", value + 1,
                       FILE_MOST);
        text = NULL;
    } else {
        text[len] = '\0';
    }
    (void)fclose(file);
    return text;
}

/* Cuts the first line off *text. NULL after the last line. */
static char *next_line(char **text)
{
    char *line = *text, *end = line + strcspn(line, "\n");

    if (!*line)
        return NULL;
    *text = *end ? end + 1 : end;
    *end = '\0';
    line[strcspn(line, "\r")] = '\0';
    return line;
}

/*
 * "Name: value", or "Name;" for an empty value, as libcurl has it. libcurl would leave out any
 * other line without a colon, and send one that begins with white space as a part of the header
 * before it.
 */
static bool is_header(const char *line)
{
    size_t len = strcspn(line, ":; \t");

    return len > 0 && (line[len] == ':' || strcmp(line + len, ";") == 0);
}

static bool add_header(struct cli *cli, const char *line, const char *where)
{
    struct cli_login *login = &cli->login;
    const char **longer;

    if (!is_header(line)) {
        (void)cli_fail(cli, CLI_USAGE, "%s takes 'Name: value'", where);
        return false;
    }
    longer = arena_alloc(cli->arena, (login->n_headers + 1) * sizeof *longer);
    if (!longer) {
        (void)cli_no_memory(cli);
        return false;
    }
    if (login->n_headers > 0)
        memcpy(longer, login->headers, login->n_headers * sizeof *longer);
    longer[login->n_headers++] = line;
    login->headers = longer;
    return true;
}

/* Adds each line of a value, of which an option has only one, as a header. */
static bool add_headers(struct cli *cli, const char *value, const char *where)
{
    char *text = read_value(cli, value), *line;

    if (!text)
        return false;
    if (!*text) /* which reports that it is not a header */
        return add_header(cli, text, where);
    while ((line = next_line(&text)))
        if (*line && !add_header(cli, line, where))
            return false;
    return true;
}

static bool read_headers(struct cli *cli, const char *headers)
{
    const char *value;
    size_t at = 0;

    if (headers && headers[0] && !add_headers(cli, headers, "DS_HEADER"))
        return false;
    while ((value = cli_args_next(&cli->args, "header", &at))) {
        if (strpbrk(value, "\r\n")) { /* a line break would begin another header */
            (void)cli_fail(cli, CLI_USAGE, "--header is one line");
            return false;
        }
        if (!add_headers(cli, value, "--header"))
            return false;
    }
    return true;
}

/* ----------------------------------------------------------------------- name and password -- */

static void decode_percent(char *text)
{
    const char *end = text + strlen(text);
    char *to = text;

    for (const char *at = text; at < end;) {
        int byte = *at == '%' ? digits_percent(at, end) : -1;

        *to++ = byte >= 0 ? (char)byte : *at;
        at += byte >= 0 ? 3 : 1;
    }
    *to = '\0';
}

/* In a URL, a missing password is an empty one: some servers expect only a key there. */
static bool read_userinfo(struct cli *cli)
{
    char *name = copy_of(cli, cli->login.userinfo), *colon;

    if (!name)
        return false;
    colon = strchr(name, ':');
    if (colon)
        *colon++ = '\0';
    decode_percent(name);
    if (colon)
        decode_percent(colon);
    cli->login.user = name;
    cli->login.password = colon ? colon : "";
    return true;
}

static bool ask_password(struct cli *cli)
{
    char *password;

    if (!isatty(STDIN_FILENO)) {
        (void)cli_fail(cli, CLI_USAGE,
                       "the password of %s is missing: give NAME:PASSWORD in a file (--user @FILE) "
                       "or in DS_USER",
                       cli->login.user);
        return false;
    }
    password = arena_alloc(cli->arena, PASSWORD_SIZE);
    if (!password) {
        (void)cli_no_memory(cli);
        return false;
    }
    cli->login.password = password;
    if (cli_prompt_password(cli, cli->login.user, password, PASSWORD_SIZE))
        return true;
    (void)cli_fail(cli, CLI_USAGE, "no password was given");
    return false;
}

static bool read_user(struct cli *cli, const char *value, const char *where)
{
    char *text = read_value(cli, value), *name = text ? next_line(&text) : NULL, *colon;

    if (!name) {
        if (text)
            (void)cli_fail(cli, CLI_USAGE, "%s takes NAME:PASSWORD, NAME or @FILE", where);
        return false;
    }
    colon = strchr(name, ':');
    if (colon)
        *colon++ = '\0';
    cli->login.user = name;
    cli->login.password = colon;
    return colon || ask_password(cli);
}

bool cli_login_read(struct cli *cli, const char *user, const char *headers)
{
    const char *option = cli_value(cli, "user");

    if (!read_headers(cli, headers))
        return false;
    if (option)
        return read_user(cli, option, "--user");
    if (cli->login.userinfo)
        return read_userinfo(cli);
    return !user || !user[0] || read_user(cli, user, "DS_USER");
}
