/*
 * A disk on which the power is cut: what it surely holds by a trace, what it may hold besides, and
 * files as somebody might find them after the cut.
 *
 * What was synced is there. Of what was not, each write, truncation, creation and unlink is there
 * or is not, whatever became of the ones before it; of a write only some pieces of 512 or 4096
 * bytes may be there. Where a file has grown, and the bytes are not there, stands zero or anything.
 */
#ifndef DISK_H
#define DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proof.h"
#include "trace.h"

struct disk;

/* How the unsynced part is dealt with. */
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

/* With the files that the folder had when the trace began (copies, in `folder`). */
struct disk *disk_new(const struct trace *trace, const char *folder);
void disk_free(struct disk *disk);

/* Goes on by the next record of the trace. lies: as if nothing was ever synced. */
void disk_take(struct disk *disk, const struct trace_record *record, bool lies);

/* Changes that are not surely there. */
size_t disk_pending(const struct disk *disk);

/* Writes a state into the folder, which is empty. Returns how many changes are missing in it. */
size_t disk_cut(const struct disk *disk, enum disk_cut cut, struct chance *chance,
                const char *folder);

#endif
