/*
 * Variables that look like settings but are not: a misspelt setting would otherwise be ignored
 * silently, and keep its default.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/nearest.h"
#include "config/config.h"
#include "config/config_private.h"

#define PREFIX "DS_"
/* Set once the warnings were logged. It reaches the responders of a supervisor, which inherit its
   environment and would repeat them; not the hook, whose variables begin with DS_. */
#define CHECKED "DURABLE_STREAMS_ENVIRONMENT_CHECKED"

enum { PREFIX_LEN = sizeof PREFIX - 1, NAME_SIZE = NEAREST_LONGEST, NAMES_MOST = 100 };

extern char **environ;

/* Variables of dsctl and of the library's test server, either of which may have started this
   server, and of tests. */
static bool is_for_others(const char *name)
{
    static const char *const names[] = {"DS_URL", "DS_DB", "DS_USER", "DS_HEADER", "DS_LIBEXECDIR"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return strncmp(name, "DS_SUB_", 7) == 0; /* set for the commands of dsctl's workers */
}

/* Fills names with those of the settings, without the prefix that all of them share. */
static size_t list_names(const char *names[static NAMES_MOST])
{
    size_t n = 0;

    for (; n < config_table_rows && n < NAMES_MOST; n++)
        names[n] = config_table[n].name + PREFIX_LEN;
    return n;
}

static void warn_unless_known(const char *name, const char *const *names, size_t n)
{
    const char *nearest = nearest_name(name + PREFIX_LEN, names, n);

    if (is_for_others(name) || (nearest && strcmp(nearest, name + PREFIX_LEN) == 0))
        return;
    if (nearest)
        log_warn("%s is not a setting; did you mean " PREFIX "%s?", name, nearest);
    else if (strncmp(name, "DS_TEST_", 8) != 0 && !getenv("DS_HOOK")) /* a hook gets DS_* too */
        log_warn("%s is not a setting", name);
}

void config_warn_unknown(void)
{
    const char *names[NAMES_MOST];
    size_t n = list_names(names);

    if (getenv(CHECKED))
        return;
    for (char **entry = environ; *entry; entry++) {
        size_t len = strcspn(*entry, "=");
        char name[NAME_SIZE];

        if (strncmp(*entry, PREFIX, PREFIX_LEN) != 0)
            continue;
        /* cuts long names: no setting has one */
        len = len < sizeof name ? len : sizeof name - 1;
        memcpy(name, *entry, len);
        name[len] = '\0';
        warn_unless_known(name, names, n);
    }
    (void)setenv(CHECKED, "1", 1);
}
