/*
 * The list of everything that was written to each stream and of its acknowledgements, to be
 * compared with the database.
 *
 * A stream is a number; its path and all that is ever written to it follow from the number and the
 * seed of the first round. It consists of units, one for each append: a text or, in every third
 * stream, an array of JSON messages. A stream is made once, and may be deleted once; some come
 * whole by an import.
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

/* When something first happened, as a number that grows; 0: it did not. */
struct unit_times {
    uint64_t sending, sent;
};

struct stream_times {
    uint64_t creating, created, deleting, deleted;
    uint64_t whole; /* imported: it has so many units, or is not there */
    struct unit_times *unit;
    uint64_t units, room; /* units that were being sent */
};

struct ledger {
    struct stream_times stream[LEDGER_STREAMS];
    uint32_t streams; /* beyond the last one that was heard of */
    int64_t acknowledged;
};

void ledger_clear(struct ledger *ledger);
void ledger_note(struct ledger *ledger, uint32_t stream, enum mark mark, uint64_t n, uint64_t when);

/* --- content --- */

bool stream_is_json(uint32_t stream);
const char *stream_type(uint32_t stream);
const char *stream_path(uint32_t stream, char to[40]);
int stream_of(const char *path); /* -1: none of ours */

/* What unit n is, as it is sent: into `to`, which has UNIT_MOST bytes. */
size_t unit_content(uint32_t stream, uint64_t n, char *to);

/* How large units may be: mostly small, and now and then of several rows. */
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

/* Is what was found made of whole units, from the first on? Counts them. */
bool found_count(struct found *found, uint32_t stream);

/*
 * Does what is found fit? all: whatever was acknowledged must be there. Otherwise only what was
 * acknowledged before the last thing was begun that is there: the order is kept. Says what is
 * wrong, or returns NULL.
 */
const char *ledger_judge(const struct ledger *ledger, struct found found[LEDGER_STREAMS], bool all);

#endif
