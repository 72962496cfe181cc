/* How store_subscription*.c read columns into which a person may have written anything. */
#ifndef STORE_SUBSCRIPTION_PRIVATE_H
#define STORE_SUBSCRIPTION_PRIVATE_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

struct arena;

/* The row under way. */
struct subscription_reading {
    struct arena *arena;
    sqlite3_stmt *stmt;
    const char *damage; /* a column with an invalid value, or NULL */
    bool failed;        /* out of memory */
};

/* A text in the arena. NULL if the column is NULL and not needed. */
const char *subscription_text(struct subscription_reading *reading, int column, bool needed);

/* A number in range; `absent` if the column is NULL. */
int64_t subscription_number(struct subscription_reading *reading, int column, int64_t least,
                            int64_t most, int64_t absent);

#endif
