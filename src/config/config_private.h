/* The table of settings as the files of src/config/ see it; all other files use config.h. */
#ifndef CONFIG_PRIVATE_H
#define CONFIG_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum config_kind {
    NUMBER,
    CHOICE, /* one of some words */
    TEXT,
    LIST, /* words with spaces or commas between them */
};

/* The rows of a group are next to each other in the table; config_help.c has the titles. */
enum config_group {
    GROUP_STORAGE,
    GROUP_LIMITS,
    GROUP_TIMEOUTS,
    GROUP_READS,
    GROUP_CACHING,
    GROUP_WEB_SERVER,
    GROUP_REGISTRY,
    GROUP_SUBSCRIPTIONS,
    GROUP_OPERATION,
};

struct config_row {
    const char *name;
    enum config_kind kind;
    enum config_group group;
    size_t field;        /* offset in struct config */
    const char *preset;  /* default of a text or list; the words of a choice, '|' between them */
    int64_t number;      /* default of a number; of a choice, the place of its word from 0 on */
    int64_t least, most; /* of a number */
    const char *unit;    /* of a number: plural, for people; NULL: it has none */
    const char *help;    /* sentences, each with a full stop: "--help=man" puts each on a line */
};

extern const struct config_row config_table[];
extern const size_t config_table_rows;

/* Is it a number that can be only 0 or 1? */
static inline bool config_is_switch(const struct config_row *row)
{
    return row->most - row->least == 1;
}

/* The words of a choice as a sentence has them: "full, normal or memory". */
void config_list_words(const struct config_row *row, char *text, size_t size);

#endif
