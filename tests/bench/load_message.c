/* Messages that name their writer, and the ledger of the acknowledged ones. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

uint32_t run;

static const char json_begin[] = "{\"m\":\"", json_end[] = "\"}";

bool type_is_json(void)
{
    return strcmp(want.type, "application/json") == 0;
}

/* without printf(), which would be a tenth of the work of a request */
static char *put_word(char *at, char name, uint64_t value)
{
    char digits[20];
    int count = 0;

    *at++ = name;
    *at++ = '=';
    do
        digits[count++] = (char)('0' + value % 10);
    while ((value /= 10) > 0);
    while (count > 0)
        *at++ = digits[--count];
    *at++ = ' ';
    return at;
}

/* FNV-1a */
static uint32_t hash_of(const char *text, size_t len)
{
    uint32_t hash = 2166136261U;

    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (unsigned char)text[i]) * 16777619U;
    return hash;
}

static void put_text(char *to, size_t size, const struct message *message)
{
    char *at = to;

    at = put_word(at, 'r', message->run);
    at = put_word(at, 'w', message->writer);
    at = put_word(at, 's', message->stream);
    at = put_word(at, 'n', message->number);
    at = put_word(at, 't', (uint64_t)message->sent);
    at = put_word(at, 'h', hash_of(to, (size_t)(at - to)));
    memset(at, '.', size - (size_t)(at - to));
}

void message_put(char *to, const struct message *message)
{
    const size_t size = (size_t)want.body;
    const size_t begin = sizeof json_begin - 1, end = sizeof json_end - 1;

    if (type_is_json()) {
        memcpy(to, json_begin, begin);
        put_text(to + begin, size - begin - end, message);
        memcpy(to + size - end, json_end, end);
    } else {
        put_text(to, size - 1, message);
        to[size - 1] = '\n';
    }
}

static bool read_word(const char **at, const char *end, char name, uint64_t *value)
{
    const char *p = *at;

    if (end - p < 4 || p[0] != name || p[1] != '=')
        return false;
    *value = 0;
    for (p += 2; p < end && *p >= '0' && *p <= '9'; p++)
        *value = *value * 10 + (uint64_t)(*p - '0');
    if (p == end || *p != ' ')
        return false;
    *at = p + 1;
    return true;
}

bool message_read(const char *text, size_t len, struct message *message)
{
    const char *at = text, *end = text + len;
    uint64_t from, writer, stream, sent;

    if (!read_word(&at, end, 'r', &from) || !read_word(&at, end, 'w', &writer) ||
        !read_word(&at, end, 's', &stream) || !read_word(&at, end, 'n', &message->number) ||
        !read_word(&at, end, 't', &sent))
        return false;
    message->run = (uint32_t)from;
    message->writer = (uint32_t)writer;
    message->stream = (uint32_t)stream;
    message->sent = (int64_t)sent;
    return true;
}

bool message_check(const char *bytes, struct message *message)
{
    static char again[1 << 16];
    size_t begin = type_is_json() ? sizeof json_begin - 1 : 0;

    if (!message_read(bytes + begin, (size_t)want.body - begin, message))
        return false;
    message_put(again, message);
    return memcmp(again, bytes, (size_t)want.body) == 0;
}

void ledger_add(uint32_t writer, uint64_t count)
{
    static FILE *file;

    if (!want.ledger)
        return;
    if (!file && !(file = fopen(want.ledger, "ae")))
        die(want.ledger);
    if (fprintf(file, "%u %u %llu\n", run, writer, (unsigned long long)count) < 0 ||
        fflush(file) != 0)
        die(want.ledger);
}

static int compare(const void *one, const void *other)
{
    const struct ledger_entry *a = one, *b = other;

    if (a->run != b->run)
        return a->run < b->run ? -1 : 1;
    return a->writer < b->writer ? -1 : a->writer > b->writer;
}

void ledger_load(struct ledger *ledger)
{
    struct ledger_entry entry;
    unsigned long long count;
    size_t room = 0;
    FILE *file = fopen(want.ledger ? want.ledger : "", "re");

    if (!file)
        die("cannot read the ledger");
    while (fscanf(file, "%u %u %llu", &entry.run, &entry.writer, &count) == 3) {
        if (ledger->count == room) {
            room = room ? 2 * room : 64;
            ledger->entry = realloc(ledger->entry, room * sizeof entry);
            if (!ledger->entry)
                die("no memory");
        }
        entry.count = count;
        entry.seen = allocate(count / 8 + 1, 1);
        ledger->entry[ledger->count++] = entry;
    }
    (void)fclose(file);
    if (ledger->count > 0)
        qsort(ledger->entry, ledger->count, sizeof entry, compare);
}

long ledger_find(const struct ledger *ledger, const struct message *message)
{
    static struct ledger_entry *last; /* the next message is usually of the same writer */
    struct ledger_entry key = {.run = message->run, .writer = message->writer};

    if (!last || compare(last, &key) != 0)
        last = ledger->count > 0 ? bsearch(&key, ledger->entry, ledger->count, sizeof key, compare)
                                 : NULL;
    if (!last || message->number >= last->count)
        return -1;
    return last - ledger->entry;
}
