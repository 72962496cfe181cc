/*
 * The list of everything that was written to each stream and of its acknowledgements, to be
 * compared with the database.
 *
 * A stream is a number. The number and the seed of the first round decide its path and all data
 * that is ever written to it. It consists of units, one for each append: a text or, in every third
 * stream, an array of JSON messages. A stream is created once, and may be deleted once; some
 * streams are imported as a whole.
 */
#ifndef LEDGER_H
#define LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LEDGER_STREAMS = 4096, UNIT_MOST = 400 * 1024 };

enum mark {
    MARK_CREATING,
    MARK_CREATED,
    MARK_SENDING, /* unit n, for the first time or again */
    MARK_SENT,    /* unit n was acknowledged */
    MARK_DELETING,
    MARK_DELETED,
    MARK_IMPORTING, /* a stream that has n units */
    MARK_IMPORTED,
};

/* When something first happened, as a growing number; 0: never. */
struct unit_times {
    uint64_t sending, sent;
};

struct stream_times {
    uint64_t creating, created, deleting, deleted;
    uint64_t whole; /* imported: it has this many units, or does not exist */
    struct unit_times *unit;
    uint64_t units, room; /* units that were being sent */
};

struct ledger {
    struct stream_times stream[LEDGER_STREAMS];
    uint32_t streams; /* one more than the last known one */
    int64_t acknowledged;
};

void ledger_clear(struct ledger *ledger);
void ledger_note(struct ledger *ledger, uint32_t stream, enum mark mark, uint64_t n, uint64_t when);

/* --- content --- */

bool stream_is_json(uint32_t stream);
const char *stream_type(uint32_t stream);
const char *stream_path(uint32_t stream, char to[40]);
int stream_of(const char *path); /* -1: none of ours */

/* Writes unit n, as it is sent, to `to`, which has UNIT_MOST bytes. */
size_t unit_content(uint32_t stream, uint64_t n, char *to);

/* The size of units: mostly small, sometimes several rows. */
extern uint64_t unit_seed;

/* --- what is found --- */

struct found {
    bool there;
    char *data; /* all of it; JSON messages with a comma between them */
    size_t len, room;
    uint64_t units;   /* that it consists of, by ledger_judge() */
    int64_t last_seq; /* of the producer, -1 none */
};

void found_add(struct found *found, bool json, const char *data, size_t len);
void found_clear(struct found found[LEDGER_STREAMS]);

/* True if the data found consists of whole units, from the first on; counts them. */
bool found_count(struct found *found, uint32_t stream);

/*
 * Compares the data found with the ledger; returns a fault, or NULL. all: every acknowledged unit
 * must be there. Otherwise only those that were acknowledged before the last unit that is there was
 * begun, so that the order is kept.
 */
const char *ledger_judge(const struct ledger *ledger, struct found found[LEDGER_STREAMS], bool all);

#endif
