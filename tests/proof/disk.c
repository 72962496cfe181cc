/* States of a disk after a power cut: see disk.h. */
#include "disk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct content {
    char *data;
    size_t len, room;
};

/* One change that was not synced. */
struct change {
    const struct trace_record *record;
    uint64_t number; /* of the record */
};

struct changes {
    struct change *change;
    size_t n, room;
};

struct file {
    struct content durable;
    struct changes pending;
    bool named; /* in the folder, as far as that is durable */
};

struct disk {
    const struct trace *trace;
    struct file file[TRACE_FILES]; /* that of the folder has creations and unlinks */
    uint64_t records;
};

const char *const disk_cuts[CUTS] = {"lost",     "kept",     "some", "one lost",
                                     "one kept", "end lost", "torn"};

static void *grow(void *memory, size_t bytes)
{
    memory = realloc(memory, bytes);
    PROOF(memory, "out of memory");
    return memory;
}

static void resize(struct content *content, size_t len)
{
    if (len > content->room) {
        content->room = len * 2;
        content->data = grow(content->data, content->room);
    }
    if (len > content->len)
        memset(content->data + content->len, 0, len - content->len);
    content->len = len;
}

static void put(struct content *content, size_t at, const char *data, size_t len)
{
    if (at + len > content->len)
        resize(content, at + len);
    memcpy(content->data + at, data, len);
}

static void apply(struct content *content, const struct trace_record *record)
{
    if (record->kind == TRACE_WRITE)
        put(content, record->at, record->data, record->len);
    else
        resize(content, record->at);
}

static void note(struct changes *pending, const struct trace_record *record, uint64_t number)
{
    if (pending->n == pending->room) {
        pending->room = pending->room ? pending->room * 2 : 64;
        pending->change = grow(pending->change, pending->room * sizeof *pending->change);
    }
    pending->change[pending->n++] = (struct change){record, number};
}

struct disk *disk_new(const struct trace *trace, const char *folder)
{
    struct disk *disk = grow(NULL, sizeof *disk);

    memset(disk, 0, sizeof *disk);
    disk->trace = trace;
    for (uint32_t i = 1; i < trace->header->files; i++) {
        struct content *durable = &disk->file[i].durable;
        char name[300];

        (void)snprintf(name, sizeof name, "%s/%s", folder, trace->header->file[i].name);
        durable->data = proof_read(name, &durable->len);
        durable->room = durable->len;
        disk->file[i].named = durable->data != NULL;
    }
    /* files of the same name came later */
    for (uint32_t i = 1; i < trace->header->files; i++)
        for (uint32_t j = 1; j < i; j++)
            if (disk->file[i].named &&
                strcmp(trace->header->file[i].name, trace->header->file[j].name) == 0) {
                disk->file[i].named = false;
                disk->file[i].durable.len = 0;
            }
    return disk;
}

void disk_free(struct disk *disk)
{
    for (int i = 0; i < TRACE_FILES; i++) {
        free(disk->file[i].durable.data);
        free(disk->file[i].pending.change);
    }
    free(disk);
}

static void make_durable(struct disk *disk, uint32_t number, const struct trace_record *record)
{
    if (record->kind == TRACE_CREATE)
        disk->file[record->file].named = true;
    else if (record->kind == TRACE_UNLINK)
        disk->file[record->file].named = false;
    else
        apply(&disk->file[number].durable, record);
}

/* A sync that began with record number `begin` has ended. */
static void synced(struct disk *disk, uint32_t number, uint64_t begin)
{
    struct changes *pending = &disk->file[number].pending;
    size_t n = 0;

    for (; n < pending->n && pending->change[n].number < begin; n++)
        make_durable(disk, number, pending->change[n].record);
    pending->n -= n;
    memmove(pending->change, pending->change + n, pending->n * sizeof *pending->change);
}

void disk_take(struct disk *disk, const struct trace_record *record, bool lies)
{
    uint64_t number = disk->records++;

    switch ((enum trace_kind)record->kind) {
    case TRACE_WRITE:
    case TRACE_TRUNCATE:
        note(&disk->file[record->file].pending, record, number);
        break;
    case TRACE_CREATE:
    case TRACE_UNLINK:
        note(&disk->file[TRACE_FOLDER].pending, record, number);
        break;
    case TRACE_SYNCED:
        if (!lies && disk->file[record->file].pending.n > 0)
            synced(disk, record->file, record->at);
        break;
    case TRACE_SYNC:
    case TRACE_MARK:
        break;
    }
}

size_t disk_pending(const struct disk *disk)
{
    size_t n = 0;

    for (uint32_t i = 0; i < disk->trace->header->files; i++)
        n += disk->file[i].pending.n;
    return n;
}

/* --- a cut --- */

/* A cut: decides for one change after the other whether it is there. */
struct choice {
    enum disk_cut cut;
    struct chance *chance;
    size_t next, one; /* the change that is lost, or kept, or begins the lost end */
    uint64_t of;      /* CUT_SOME: this many eighths are there */
    bool whole;       /* CUT_TORN: writes of this file are there whole, or not at all */
    size_t missing;
};

static bool is_there(struct choice *choice)
{
    size_t i = choice->next++;
    bool there = true;

    switch (choice->cut) {
    case CUT_LOSE:
        there = false;
        break;
    case CUT_SOME:
        there = chance_below(choice->chance, 8) < choice->of;
        break;
    case CUT_ONE_LOST:
        there = i != choice->one;
        break;
    case CUT_ONE_KEPT:
        there = i == choice->one;
        break;
    case CUT_END_LOST:
        there = i < choice->one;
        break;
    case CUT_TORN:
        there = !choice->whole || chance_one_in(choice->chance, 2);
        break;
    case CUT_KEEP:
    case CUTS:
        break;
    }
    choice->missing += !there;
    return there;
}

/* Fills the place of a lost write in a file that has grown. */
static void put_nothing(struct content *content, size_t end, struct chance *chance)
{
    size_t from = content->len;

    if (end <= from)
        return;
    resize(content, end);
    if (chance_one_in(chance, 2))
        chance_fill(chance, content->data + from, end - from);
}

static void put_pieces(struct content *content, const struct trace_record *record,
                       struct chance *chance)
{
    size_t size = chance_one_in(chance, 2) ? 512 : 4096, from = record->at,
           end = record->at + record->len;

    if (chance_one_in(chance, 2))
        put_nothing(content, end, chance);
    while (from < end) {
        size_t to = (from / size + 1) * size;

        if (to > end)
            to = end;
        if (chance_one_in(chance, 2))
            put(content, from, record->data + (from - record->at), to - from);
        from = to;
    }
}

static void cut_file(const struct file *file, struct choice *choice, struct content *content)
{
    resize(content, 0);
    if (file->durable.len > 0)
        put(content, 0, file->durable.data, file->durable.len);
    choice->whole = choice->cut == CUT_TORN && chance_one_in(choice->chance, 4);
    for (size_t i = 0; i < file->pending.n; i++) {
        const struct trace_record *record = file->pending.change[i].record;
        bool there = is_there(choice);

        if (there && choice->cut == CUT_TORN && !choice->whole && record->kind == TRACE_WRITE) {
            put_pieces(content, record, choice->chance);
            choice->missing++;
        } else if (there) {
            apply(content, record);
        } else if (record->kind == TRACE_WRITE && chance_one_in(choice->chance, 4)) {
            put_nothing(content, record->at + record->len, choice->chance);
        }
    }
}

size_t disk_cut(const struct disk *disk, enum disk_cut cut, struct chance *chance,
                const char *folder)
{
    size_t pending = disk_pending(disk);
    struct choice choice = {.cut = cut, .chance = chance};
    const struct file *names = &disk->file[TRACE_FOLDER];
    bool named[TRACE_FILES];
    struct content content = {0};
    char name[300];

    choice.one = pending > 0 ? (size_t)chance_below(chance, pending) : 0;
    choice.of = 1 + chance_below(chance, 7);
    for (uint32_t i = 0; i < TRACE_FILES; i++)
        named[i] = disk->file[i].named;
    for (size_t i = 0; i < names->pending.n; i++)
        if (is_there(&choice))
            named[names->pending.change[i].record->file] =
                names->pending.change[i].record->kind == TRACE_CREATE;
    for (uint32_t i = 1; i < disk->trace->header->files; i++) {
        cut_file(&disk->file[i], &choice, &content);
        if (!named[i])
            continue;
        (void)snprintf(name, sizeof name, "%s/%s", folder, disk->trace->header->file[i].name);
        proof_write(name, content.data, content.len);
    }
    free(content.data);
    return choice.missing;
}
