/* Streams, units, and the check that all are there: see ledger.h. */
#include "ledger.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proof.h"

uint64_t unit_seed;

void ledger_clear(struct ledger *ledger)
{
    for (uint32_t i = 0; i < ledger->streams; i++)
        free(ledger->stream[i].unit);
    memset(ledger, 0, sizeof *ledger);
}

static void first(uint64_t *time, uint64_t when)
{
    if (*time == 0)
        *time = when;
}

static struct unit_times *unit_of(struct stream_times *stream, uint64_t n)
{
    if (n >= stream->room) {
        uint64_t room = n * 2 + 16;

        stream->unit = realloc(stream->unit, room * sizeof *stream->unit);
        PROOF(stream->unit, "out of memory");
        memset(stream->unit + stream->room, 0, (room - stream->room) * sizeof *stream->unit);
        stream->room = room;
    }
    if (n >= stream->units)
        stream->units = n + 1;
    return &stream->unit[n];
}

void ledger_note(struct ledger *ledger, uint32_t number, enum mark mark, uint64_t n, uint64_t when)
{
    struct stream_times *stream = &ledger->stream[number];

    PROOF(number < LEDGER_STREAMS, "more streams than the ledger has room for");
    if (number >= ledger->streams)
        ledger->streams = number + 1;
    switch (mark) {
    case MARK_CREATING:
        first(&stream->creating, when);
        break;
    case MARK_CREATED:
        first(&stream->created, when);
        break;
    case MARK_SENDING:
        first(&unit_of(stream, n)->sending, when);
        break;
    case MARK_SENT:
        first(&unit_of(stream, n)->sent, when);
        ledger->acknowledged++;
        break;
    case MARK_DELETING:
        first(&stream->deleting, when);
        break;
    case MARK_DELETED:
        first(&stream->deleted, when);
        break;
    case MARK_IMPORTING:
        first(&stream->creating, when);
        stream->whole = n;
        for (uint64_t i = 0; i < n; i++)
            first(&unit_of(stream, i)->sending, when);
        break;
    case MARK_IMPORTED:
        first(&stream->created, when);
        ledger->acknowledged += (int64_t)stream->whole;
        for (uint64_t i = 0; i < stream->whole; i++)
            first(&unit_of(stream, i)->sent, when);
        break;
    }
}

/* --- content --- */

bool stream_is_json(uint32_t stream)
{
    return stream % 3 == 0;
}

const char *stream_type(uint32_t stream)
{
    return stream_is_json(stream) ? "application/json" : "text/plain";
}

const char *stream_path(uint32_t stream, char to[40])
{
    (void)snprintf(to, 40, "/v1/stream/proof-%u", stream);
    return to;
}

int stream_of(const char *path)
{
    unsigned stream;
    char again[40];

    if (sscanf(path, "/v1/stream/proof-%u", &stream) != 1 || stream >= LEDGER_STREAMS)
        return -1;
    return strcmp(stream_path(stream, again), path) == 0 ? (int)stream : -1;
}

static size_t draw_size(struct chance *chance)
{
    switch (chance_below(chance, 400)) {
    case 0:
        return (size_t)chance_between(chance, 1, UNIT_MOST - 200);
    case 1:
    case 2:
    case 3:
    case 4:
    case 5:
        return (size_t)chance_between(chance, 1, 30000);
    default:
        return (size_t)chance_between(chance, 1, 300);
    }
}

static size_t put_letters(char *to, struct chance *chance, size_t len)
{
    uint64_t bits = chance_next(chance);

    for (size_t i = 0; i < len; i++) {
        if (i % 8 == 0)
            bits = bits * UINT64_C(6364136223846793005) + 1442695040888963407;
        to[i] = (char)('a' + (bits >> (8 * (i % 8)) & 0xff) % 26);
    }
    return len;
}

size_t unit_content(uint32_t stream, uint64_t n, char *to)
{
    struct chance chance = chance_from(unit_seed + stream, n);
    size_t size = draw_size(&chance), at = 0;
    uint64_t messages = stream_is_json(stream) ? 1 + chance_below(&chance, 4) : 1;

    if (!stream_is_json(stream)) {
        at = (size_t)sprintf(to, "%u %llu ", stream, (unsigned long long)n);
        at += put_letters(to + at, &chance, size);
        to[at++] = '\n';
        return at;
    }
    to[at++] = '[';
    for (uint64_t i = 0; i < messages; i++) {
        at += (size_t)sprintf(to + at, "%s{\"n\":%llu,\"of\":\"", i ? "," : "",
                              (unsigned long long)n);
        at += put_letters(to + at, &chance, size / messages);
        at += (size_t)sprintf(to + at, "\"}");
    }
    to[at++] = ']';
    return at;
}

/* --- what is found --- */

static void append(struct found *found, const char *data, size_t len)
{
    if (found->len + len > found->room) {
        found->room = (found->len + len) * 2;
        found->data = realloc(found->data, found->room);
        PROOF(found->data, "out of memory");
    }
    memcpy(found->data + found->len, data, len);
    found->len += len;
}

void found_add(struct found *found, bool json, const char *data, size_t len)
{
    if (json && found->len > 0)
        append(found, ",", 1);
    if (len > 0)
        append(found, data, len);
}

void found_clear(struct found found[LEDGER_STREAMS])
{
    for (int i = 0; i < LEDGER_STREAMS; i++) {
        found[i].there = false;
        found[i].len = 0;
        found[i].units = 0;
        found[i].last_seq = -1;
    }
}

static char told[300];

/* True if the data consists of whole units in order; counts them. */
static bool count_units(struct found *found, uint32_t stream, uint64_t most)
{
    static _Thread_local char unit[UNIT_MOST];
    bool json = stream_is_json(stream);
    size_t at = 0;

    found->units = 0;
    while (at < found->len) {
        const char *content = unit;
        size_t len;

        if (found->units == most)
            return false;
        len = unit_content(stream, found->units, unit);
        if (json) { /* without the brackets, after a comma */
            content++;
            len -= 2;
            if (at > 0 && found->data[at++] != ',')
                return false;
        }
        if (at + len > found->len || memcmp(found->data + at, content, len) != 0)
            return false;
        at += len;
        found->units++;
    }
    return true;
}

bool found_count(struct found *found, uint32_t stream)
{
    return count_units(found, stream, UINT64_MAX);
}

static const char *tell(uint32_t stream, const struct stream_times *times,
                        const struct found *found, const char *what)
{
    (void)snprintf(told, sizeof told,
                   "stream %u %s (%s, %zu bytes, %llu whole units; %llu were begun; created %llu "
                   "%llu, deleted %llu %llu)",
                   stream, what, found->there ? "there" : "not there", found->len,
                   (unsigned long long)found->units, (unsigned long long)times->units,
                   (unsigned long long)times->creating, (unsigned long long)times->created,
                   (unsigned long long)times->deleting, (unsigned long long)times->deleted);
    return told;
}

static bool is_before(uint64_t time, uint64_t limit)
{
    return time != 0 && time < limit;
}

/* Checks that every unit found was begun. Notes the last begun one that is there. */
static const char *judge_presence(uint32_t stream, const struct stream_times *times,
                                  struct found *found, uint64_t *last)
{
    if (!found->there)
        return NULL;
    if (times->creating == 0)
        return tell(stream, times, found, "was never made");
    if (!count_units(found, stream, times->units))
        return tell(stream, times, found, "holds what nobody has written there");
    if (times->whole != 0 && found->units != times->whole)
        return tell(stream, times, found, "was imported in part");
    if (found->last_seq >= 0 && (uint64_t)found->last_seq + 1 != found->units)
        return tell(stream, times, found, "has another number of its producer");
    if (*last < times->creating)
        *last = times->creating;
    if (found->units > 0 && *last < times->unit[found->units - 1].sending)
        *last = times->unit[found->units - 1].sending;
    return NULL;
}

/* Checks that all units are there that were acknowledged before `limit`. */
static const char *judge_absence(uint32_t stream, const struct stream_times *times,
                                 const struct found *found, uint64_t limit)
{
    if (found->there && is_before(times->deleted, limit))
        return tell(stream, times, found, "was deleted, as was acknowledged");
    if (!found->there && is_before(times->created, limit) && times->deleting == 0)
        return tell(stream, times, found, "was made, as was acknowledged");
    for (uint64_t n = found->units; n < times->units && found->there; n++)
        if (is_before(times->unit[n].sent, limit))
            return tell(stream, times, found, "lacks an acknowledged unit");
    return NULL;
}

const char *ledger_judge(const struct ledger *ledger, struct found found[LEDGER_STREAMS], bool all)
{
    uint64_t last = 0;
    const char *wrong = NULL;

    for (uint32_t i = 0; !wrong && i < LEDGER_STREAMS; i++)
        wrong = judge_presence(i, &ledger->stream[i], &found[i], &last);
    for (uint32_t i = 0; !wrong && i < ledger->streams; i++)
        wrong = judge_absence(i, &ledger->stream[i], &found[i], all ? UINT64_MAX : last);
    return wrong;
}
