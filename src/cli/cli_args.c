/* The command line of dsctl: see cli_args.h. */
#include "cli/cli_args.h"

#include <stdio.h>
#include <string.h>

#include "base/nearest.h"

struct parse {
    struct cli_args *args;
    const struct cli_option *tables[2];
    int argc, at; /* at: the current word */
    char **argv;
    char *error;
    size_t size;
};

static const struct cli_option *find_option(const struct parse *parse, const char *name, size_t len,
                                            char letter)
{
    for (size_t i = 0; i < 2; i++)
        for (const struct cli_option *option = parse->tables[i]; option && option->name; option++)
            if (letter ? option->letter == letter
                       : strlen(option->name) == len && memcmp(option->name, name, len) == 0)
                return option;
    return NULL;
}

static bool add_given(struct parse *parse, const struct cli_option *option, const char *value)
{
    struct cli_args *args = parse->args;

    if (args->n_given == CLI_ARGS_MAX) {
        (void)snprintf(parse->error, parse->size, "too many options");
        return false;
    }
    args->given[args->n_given++] = (struct cli_given){option, value};
    return true;
}

/* Adds an option whose value is the next word. */
static bool add_next_word(struct parse *parse, const struct cli_option *option)
{
    if (parse->at + 1 >= parse->argc) {
        (void)snprintf(parse->error, parse->size, "--%s needs a value: %s", option->name,
                       option->value);
        return false;
    }
    return add_given(parse, option, parse->argv[++parse->at]);
}

/* Reports that there is no such option, and which one was probably meant. */
static void refuse_name(const struct parse *parse, const char *name, size_t len)
{
    const char *names[64], *nearest = NULL;
    char word[NEAREST_LONGEST + 1];
    size_t n = 0;

    for (size_t i = 0; i < 2; i++)
        for (const struct cli_option *option = parse->tables[i]; option && option->name; option++)
            if (n < sizeof names / sizeof names[0])
                names[n++] = option->name;
    if (len < sizeof word) {
        memcpy(word, name, len);
        word[len] = '\0';
        nearest = nearest_name(word, names, n);
    }
    if (nearest)
        (void)snprintf(parse->error, parse->size, "unknown option --%.*s (did you mean --%s?)",
                       (int)len, name, nearest);
    else
        (void)snprintf(parse->error, parse->size, "unknown option --%.*s", (int)len, name);
}

static bool parse_long(struct parse *parse, const char *word)
{
    size_t len = strcspn(word, "=");
    const struct cli_option *option = find_option(parse, word, len, 0);

    if (!option) {
        refuse_name(parse, word, len);
        return false;
    }
    if (!option->value && word[len] == '=') {
        (void)snprintf(parse->error, parse->size, "--%s takes no value", option->name);
        return false;
    }
    if (option->value && !word[len])
        return add_next_word(parse, option);
    return add_given(parse, option, option->value ? word + len + 1 : NULL);
}

static bool parse_short(struct parse *parse, const char *word)
{
    for (; *word; word++) {
        const struct cli_option *option = find_option(parse, NULL, 0, *word);

        if (!option) {
            (void)snprintf(parse->error, parse->size, "unknown option -%c", *word);
            return false;
        }
        if (option->value)
            return word[1] ? add_given(parse, option, word + 1) : add_next_word(parse, option);
        if (!add_given(parse, option, NULL))
            return false;
    }
    return true;
}

bool cli_args_parse(struct cli_args *args, const struct cli_option *first,
                    const struct cli_option *second, bool stop_at_operand, int argc, char **argv,
                    char *error, size_t size)
{
    struct parse parse = {args, {first, second}, argc, 0, argv, error, size};
    bool options = true; /* until "--" */

    args->operand = argv;
    args->n_operands = 0;
    for (; parse.at < argc; parse.at++) {
        char *word = argv[parse.at];

        if (!options || word[0] != '-' || !word[1]) {
            argv[args->n_operands++] = word;
            options = options && !stop_at_operand;
        } else if (strcmp(word, "--") == 0) {
            options = false;
        } else if (!(word[1] == '-' ? parse_long(&parse, word + 2)
                                    : parse_short(&parse, word + 1))) {
            return false;
        }
    }
    return true;
}

const char *cli_args_next(const struct cli_args *args, const char *name, size_t *at)
{
    while (*at < args->n_given) {
        const struct cli_given *given = &args->given[(*at)++];

        if (strcmp(given->option->name, name) == 0)
            return given->value ? given->value : "";
    }
    return NULL;
}

const char *cli_args_value(const struct cli_args *args, const char *name)
{
    const char *value, *last = NULL;
    size_t at = 0;

    while ((value = cli_args_next(args, name, &at)))
        last = value;
    return last;
}

bool cli_args_has(const struct cli_args *args, const char *name)
{
    return cli_args_value(args, name) != NULL;
}
