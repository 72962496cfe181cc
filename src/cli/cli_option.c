/* Operands and values of options, read and checked: see cli.h. */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/digits.h"
#include "cli/cli.h"
#include "cli/cli_duration.h"

const char *cli_operand(const struct cli *cli, int n)
{
    return n < cli->args.n_operands ? cli->args.operand[n] : NULL;
}

const char *cli_value(const struct cli *cli, const char *option)
{
    return cli_args_value(&cli->args, option);
}

bool cli_has(const struct cli *cli, const char *option)
{
    return cli_args_has(&cli->args, option);
}

bool cli_number(const struct cli *cli, const char *option, int64_t least, int64_t most,
                int64_t *value)
{
    const char *text = cli_value(cli, option);
    int64_t number;

    if (!text)
        return true;
    if (!digits_parse(text, strlen(text), most, &number) || number < least) {
        (void)cli_fail(cli, CLI_USAGE, "--%s takes a whole number from %lld to %lld", option,
                       (long long)least, (long long)most);
        return false;
    }
    *value = number;
    return true;
}

bool cli_duration(const struct cli *cli, const char *option, int64_t least, int64_t most,
                  int64_t *seconds)
{
    const char *text = cli_value(cli, option);
    int64_t given;

    if (!text)
        return true;
    if (!cli_duration_parse(text, most, &given) || given < least) {
        (void)cli_fail(cli, CLI_USAGE,
                       "--%s takes a duration: seconds, or a number with a unit as in 90s, 15m, "
                       "5h, 7d or 2w, from %lld to %lld seconds",
                       option, (long long)least, (long long)most);
        return false;
    }
    *seconds = given;
    return true;
}

/* Characters that the path of a URL may contain (RFC 3986). % is one of them, because the path may
 * be encoded already. */
static bool is_path_character(unsigned char c)
{
    return c > 0x20 && c < 0x7f && !strchr("\"#<>?\\^`{|}", c);
}

static size_t put_path(char *to, const char *path)
{
    size_t len = 0;

    for (; *path; path++)
        if (is_path_character((unsigned char)*path))
            to[len++] = *path;
        else
            len += (size_t)sprintf(to + len, "%%%02X", (unsigned char)*path);
    to[len] = '\0';
    return len;
}

const char *cli_path_word(const struct cli *cli, const char *path)
{
    char *word = arena_alloc(cli->arena, 3 * strlen(path) + 1);

    if (word)
        (void)put_path(word, path);
    return word;
}

const char *cli_path(const struct cli *cli, const char *name)
{
    size_t prefix = strlen(cli->url), len = 0;
    char *path;

    if (strncmp(name, "http://", 7) == 0 || strncmp(name, "https://", 8) == 0) {
        if (cli->db || strncmp(name, cli->url, prefix) != 0 || name[prefix] != '/') {
            (void)cli_fail(cli, CLI_USAGE, "%s is not below %s (see --url)", name, cli->url);
            return NULL;
        }
        name += prefix;
    }
    if (!name[0]) {
        (void)cli_fail(cli, CLI_USAGE, "the name of the stream is empty");
        return NULL;
    }
    path = arena_alloc(cli->arena, strlen("/v1/stream/") + 3 * strlen(name) + 1);
    if (!path) {
        (void)cli_no_memory(cli);
        return NULL;
    }
    if (name[0] != '/')
        len = (size_t)sprintf(path, "/v1/stream/");
    (void)put_path(path + len, name);
    return path;
}
