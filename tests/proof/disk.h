/*
 * A disk on which the power is cut. From a trace it knows which data the disk must hold and which
 * it may hold, and it makes the files as they may be found after the cut.
 *
 * All synced data is there. Each later write, truncation, creation and unlink is there or not,
 * independent of the earlier ones; of a write, some pieces of 512 or 4096 bytes may be there. Where
 * a file has grown and the bytes are lost, it has zeros or random bytes.
 */
#ifndef DISK_H
#define DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proof.h"
#include "trace.h"

struct disk;

/* Which part of the unsynced changes is there. */
enum disk_cut {
    CUT_LOSE,     /* nothing of it is there */
    CUT_KEEP,     /* all of it: the process died, not the machine */
    CUT_SOME,     /* each with its own chance */
    CUT_ONE_LOST, /* all but one */
    CUT_ONE_KEPT, /* only one */
    CUT_END_LOST, /* all before a moment, nothing after it */
    CUT_TORN,     /* each torn into pieces, of which some are there */
    CUTS,
};

extern const char *const disk_cuts[CUTS];

/* Starts with the files of the database when the trace began (copies, in `folder`). */
struct disk *disk_new(const struct trace *trace, const char *folder);
void disk_free(struct disk *disk);

/* Applies the next record of the trace. lies: ignores syncs. */
void disk_take(struct disk *disk, const struct trace_record *record, bool lies);

/* The number of changes that a cut may lose. */
size_t disk_pending(const struct disk *disk);

/* Writes a state into the folder, which is empty. Returns how many changes are missing in it. */
size_t disk_cut(const struct disk *disk, enum disk_cut cut, struct chance *chance,
                const char *folder);

#endif
