/*
 * The frame of every proof: seeds, rounds, time, and how it ends.
 *
 *     PROGRAM [--seed N] [--rounds N] [--seconds N] [--keep]
 *
 * A proof consists of rounds. The seed of a round is the first seed plus its number, and decides
 * everything except the order in which parallel processes run. A proof ends when it has run both
 * the given number of rounds and the given time, after at least one round. A round that fails
 * prints the seed that repeats it, and keeps its files.
 */
#ifndef PROOF_H
#define PROOF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct proof {
    const char *name;
    uint64_t seed; /* of the round under way */
    int rounds, done;
    int64_t until_ms; /* by the monotonic clock */
    bool keep;        /* the folders stay */
    char folder[200]; /* of the round, empty at its begin */
};

extern struct proof proof;

/* Reads the arguments; ends the program if they are wrong. */
void proof_begin(const char *name, int argc, char **argv);

/* True for another round: creates its folder, and removes the last one. */
bool proof_round(void);

/* Prints the fault and how to repeat it, and ends the program. */
_Noreturn void proof_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

#define PROOF(condition, ...)                                                                      \
    do {                                                                                           \
        if (!(condition))                                                                          \
            proof_fail(__VA_ARGS__);                                                               \
    } while (0)

/* Prints the last line of a proof: its name, and what it covered. */
void proof_end(const char *format, ...) __attribute__((format(printf, 1, 2)));

int64_t proof_now_ms(void);
void proof_sleep_us(int64_t us);

/* A name in the round's folder, in the next of 32 buffers of the thread. */
const char *proof_file(const char *name);

/* The bytes of a file, to be freed; NULL with *len 0 if it does not exist. */
char *proof_read(const char *name, size_t *len);
void proof_write(const char *name, const void *data, size_t len);
void proof_copy(const char *from, const char *to); /* removes `to` if there is no `from` */
void proof_remove(const char *name);               /* a folder with all that is in it */

/* --- chance: the same numbers for the same seed --- */

struct chance {
    uint64_t state;
};

struct chance chance_from(uint64_t seed, uint64_t salt);
uint64_t chance_next(struct chance *chance);
uint64_t chance_below(struct chance *chance, uint64_t n);                 /* 0 … n - 1 */
int64_t chance_between(struct chance *chance, int64_t low, int64_t high); /* both included */
bool chance_one_in(struct chance *chance, uint64_t n);
void chance_fill(struct chance *chance, void *data, size_t len);

#endif
