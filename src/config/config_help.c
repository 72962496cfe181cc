/*
 * Prints the table of settings: for a terminal (--help), and as mdoc (--help=man), from which
 * deploy/man/settings.sh makes the section of the manual page.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "config/config.h"
#include "config/config_private.h"

enum { WIDTH = 78, INDENT = 6, TEXT_SIZE = 100 };

static const char *const titles[] = {
    [GROUP_STORAGE] = "Storage",
    [GROUP_LIMITS] = "Limits",
    [GROUP_TIMEOUTS] = "Time-outs",
    [GROUP_READS] = "Reads",
    [GROUP_CACHING] = "Caching and CORS",
    [GROUP_WEB_SERVER] = "Web server and processes",
    [GROUP_REGISTRY] = "Registry and hook",
    [GROUP_SUBSCRIPTIONS] = "Subscriptions",
    [GROUP_OPERATION] = "Logging and testing",
};

/* Text that is wrapped at WIDTH columns. */
struct page {
    FILE *out;
    int indent;  /* of each line */
    int used;    /* columns of the current line; 0: it is empty */
    bool is_man; /* mdoc: a full stop ends the line, and special characters are escaped */
};

static void end_line(struct page *page)
{
    if (page->used > 0)
        (void)fputc('\n', page->out);
    page->used = 0;
}

static void add_man_word(const struct page *page, const char *word, int len)
{
    if (page->used == 0 && (*word == '.' || *word == '\''))
        (void)fputs("\\&", page->out);
    for (int i = 0; i < len; i++)
        if (word[i] == '\\')
            (void)fputs("\\e", page->out);
        else if (word[i] == '-' && word[0] == '-')
            (void)fputs("\\-", page->out); /* the minus of an option, not a hyphen */
        else
            (void)fputc(word[i], page->out);
}

static void add_word(struct page *page, const char *word, int len)
{
    if (page->used > 0 && page->used + 1 + len > WIDTH)
        end_line(page);
    if (page->used > 0)
        page->used += fprintf(page->out, " ");
    else
        page->used = fprintf(page->out, "%*s", page->indent, "");
    if (page->is_man)
        add_man_word(page, word, len);
    else
        (void)fprintf(page->out, "%.*s", len, word);
    page->used += len;
}

/* Writes sentences and ends their last line. */
static void add_text(struct page *page, const char *text)
{
    while (*text) {
        int len = (int)strcspn(text, " ");

        add_word(page, text, len);
        if (page->is_man && text[len - 1] == '.')
            end_line(page);
        text += len;
        text += *text == ' ';
    }
    end_line(page);
}

/* The default as a person would write it after the name of the setting. */
static void describe_default(const struct config_row *row, char *text, size_t size)
{
    const char *word = row->preset;

    if (row->kind == NUMBER) {
        (void)snprintf(text, size, "%lld", (long long)row->number);
        return;
    }
    for (int64_t i = 0; row->kind == CHOICE && i < row->number; i++)
        word += strcspn(word, "|") + 1;
    (void)snprintf(text, size, "%.*s",
                   (int)(row->kind == CHOICE ? strcspn(word, "|") : strlen(word)), word);
}

void config_list_words(const struct config_row *row, char *text, size_t size)
{
    const char *words = row->preset;
    size_t used = 0;

    while (*words && used < size) {
        int len = (int)strcspn(words, "|");
        const char *rest = words + len + (words[len] == '|'), *between = "";

        if (*rest)
            between = strchr(rest, '|') ? ", " : " or ";
        used += (size_t)snprintf(text + used, size - used, "%.*s%s", len, words, between);
        words = rest;
    }
}

/* The values that are allowed; empty for texts, which the help describes. */
static void describe_range(const struct config_row *row, char *text, size_t size)
{
    text[0] = '\0';
    if (row->kind == NUMBER)
        (void)snprintf(text, size, "%lld %s %lld%s%s", (long long)row->least,
                       config_is_switch(row) ? "or" : "to", (long long)row->most,
                       row->unit ? " " : "", row->unit ? row->unit : "");
    else if (row->kind == CHOICE)
        config_list_words(row, text, size);
}

/* " (64 MiB)" for a number of bytes that a reader would not recognise; else nothing. */
static void describe_size(const struct config_row *row, char *text, size_t size)
{
    const int64_t kib = 1024, mib = kib * kib;
    int64_t large = row->number % mib == 0 ? mib : kib;

    text[0] = '\0';
    if (row->unit && strcmp(row->unit, "bytes") == 0 && row->number >= kib &&
        row->number % large == 0)
        (void)snprintf(text, size, " (%lld %s)", (long long)(row->number / large),
                       large == mib ? "MiB" : "KiB");
}

static bool begins_group(size_t i)
{
    return i == 0 || config_table[i].group != config_table[i - 1].group;
}

void config_print_help(FILE *out)
{
    struct page page = {.out = out, .indent = INDENT};
    char preset[TEXT_SIZE], range[TEXT_SIZE];

    for (size_t i = 0; i < config_table_rows; i++) {
        const struct config_row *row = &config_table[i];

        describe_default(row, preset, sizeof preset);
        describe_range(row, range, sizeof range);
        if (begins_group(i))
            (void)fprintf(out, "%s%s\n", i == 0 ? "" : "\n", titles[row->group]);
        (void)fprintf(out, "  %s=%s%s%s%s\n", row->name, preset, range[0] ? "  (" : "", range,
                      range[0] ? ")" : "");
        add_text(&page, row->help);
    }
}

void config_print_man(FILE *out)
{
    struct page page = {.out = out, .is_man = true};
    char preset[TEXT_SIZE], range[TEXT_SIZE], bytes[TEXT_SIZE], values[3 * TEXT_SIZE + 30];

    for (size_t i = 0; i < config_table_rows; i++) {
        const struct config_row *row = &config_table[i];

        describe_default(row, preset, sizeof preset);
        describe_range(row, range, sizeof range);
        describe_size(row, bytes, sizeof bytes);
        (void)snprintf(values, sizeof values, "%s%s%sDefault: %s%s.", range[0] ? "Allowed: " : "",
                       range, range[0] ? ". " : "", preset[0] ? preset : "empty", bytes);
        if (begins_group(i))
            (void)fprintf(out, "%s.Ss %s\n.Bl -tag -width Ds\n", i == 0 ? "" : ".El\n",
                          titles[row->group]);
        (void)fprintf(out, ".It Ev %s\n", row->name);
        add_text(&page, row->help);
        add_text(&page, values);
    }
    (void)fprintf(out, ".El\n");
}
