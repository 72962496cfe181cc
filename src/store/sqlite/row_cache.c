/*
 * A cache of stream rows that a connection has read, valid as long as nobody commits.
 *
 * Clients that poll ask for the same few streams again and again, and usually nothing has changed.
 * SQLite detects changes by the header of the log's index: 48 bytes of shared memory, stored twice,
 * which every commit of every process changes, even one at the sqlite3 prompt
 * (sqlite.org/walformat.html, section 2.1). While the header stays the same, SQLite trusts the
 * pages in its cache, and this file trusts its rows:
 *
 *     header, SELECT, header: the same?  ── yes ──▶  the row belongs to this header
 *     header: still the same?            ── yes ──▶  a SELECT would find this row again
 *
 * Only the header is read, so no lock is needed; SQLite takes one for the pages that it will read.
 * Writers write the second copy first and readers read it last, so if both are equal, neither is
 * half written.
 *
 * The cache is used only if the header has the documented layout, whose number is in it, and says
 * that it is initialised. Otherwise nothing is kept, and every read asks the database.
 *
 * Must hold: an earlier header never returns, because it counts commits and has the checksum of the
 * last one; and no caller uses the cache inside a write transaction.
 */
#include "store/sqlite/row_cache.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/hash.h"
#include "store/sqlite/store_private.h"

enum {
    LAYOUT = 3007000,   /* the only layout of the log's index that walformat.html documents */
    INITIALISED = 12,   /* offset of the byte that says that the header is valid */
    ROWS = 256,         /* a power of two */
    MOST_TEXT = 1024,   /* bytes of text in a cached row; usually some 50 */
    HEADER = 6,         /* words of 8 bytes */
    LOG_STATE = 2,      /* the words that identify a state of the log: from here, */
    LOG_STATE_END = 5,  /*   up to here */
    REGION = 32 * 1024, /* bytes of shared memory, as SQLite maps it */
};

struct row {
    uint64_t moment; /* the header that it belongs to */
    size_t room, text_len;
    struct stream stream;
    char text[]; /* the texts of the stream */
};

struct row_cache {
    const _Atomic uint64_t *index; /* of the log; SQLite maps it while the connection is open */
    uint64_t header[HEADER];       /* the last one that was seen */
    uint64_t moment;               /* how many different headers were seen */
    struct row *row[ROWS];         /* by hash of the path; a newer row replaces an older one */
};

static unsigned hash_of(const char *path)
{
    uint64_t hash = hash_text(path);

    return (hash ^ hash >> 16) % ROWS;
}

/* Has the header the documented layout? Its number is in the machine's byte order. */
static bool is_understood(const uint64_t header[static HEADER])
{
    uint32_t layout;

    memcpy(&layout, header, sizeof layout);
    return layout == LAYOUT && ((const unsigned char *)header)[INITIALISED] == 1;
}

/* False if the header is half written, or has another layout. */
static bool read_header(const _Atomic uint64_t *index, uint64_t header[static HEADER])
{
    for (int i = 0; i < HEADER; i++)
        header[i] = atomic_load_explicit(&index[i], memory_order_relaxed);
    atomic_thread_fence(memory_order_acquire);
    for (int i = 0; i < HEADER; i++)
        if (header[i] != atomic_load_explicit(&index[HEADER + i], memory_order_relaxed))
            return false;
    return is_understood(header);
}

/* Is the header in shared memory complete, and the last one that was seen? Notes another one. */
static bool is_same_header(struct row_cache *cache)
{
    uint64_t header[HEADER];

    if (!read_header(cache->index, header))
        return false;
    if (memcmp(header, cache->header, sizeof header) == 0)
        return true;
    memcpy(cache->header, header, sizeof header);
    cache->moment++;
    return false;
}

/* The address of the log's index. Only after SQLite has read something, or this call would open
   it. */
static const void *find_index(struct store_conn *conn)
{
    sqlite3_file *file = NULL;
    void volatile *region = NULL;

    if (sqlite3_file_control(conn->db, "main", SQLITE_FCNTL_FILE_POINTER, &file) != SQLITE_OK ||
        !file || !file->pMethods || file->pMethods->iVersion < 2 ||
        file->pMethods->xShmMap(file, 0, REGION, 0, &region) != SQLITE_OK)
        return NULL;
    return (const void *)(uintptr_t)region;
}

uint64_t row_cache_wal_state(struct store_conn *conn)
{
    uint64_t header[HEADER], state;

    if (!conn->log_index)
        conn->log_index = find_index(conn);
    if (!conn->log_index || !read_header(conn->log_index, header))
        return 0;
    /* the log's length and pages, the checksum of its last frame, and its salts */
    state = hash_bytes(&header[LOG_STATE], (LOG_STATE_END - LOG_STATE) * sizeof header[0]);
    return state ? state : 1;
}

static struct row_cache *row_cache_new(struct store_conn *conn)
{
    const void *index = find_index(conn);
    struct row_cache *cache = index ? calloc(1, sizeof *cache) : NULL;

    if (!cache)
        return NULL;
    cache->index = index;
    (void)is_same_header(cache);
    return cache;
}

void row_cache_close(struct store_conn *conn)
{
    if (!conn->rows)
        return;
    for (int i = 0; i < ROWS; i++)
        free(conn->rows->row[i]);
    free(conn->rows);
    conn->rows = NULL;
}

static const char *moved_text(const char *text, const char *from, const char *to)
{
    return text ? to + (text - from) : NULL;
}

/* Moves the stream's texts from the copy `from` to the copy `to`. */
static void move_texts(struct stream *stream, const char *from, const char *to)
{
    stream->path = moved_text(stream->path, from, to);
    stream->content_type = moved_text(stream->content_type, from, to);
    stream->closed_producer = moved_text(stream->closed_producer, from, to);
    stream->last_seq = moved_text(stream->last_seq, from, to);
}

bool row_cache_get(struct store_conn *conn, struct arena *arena, const char *path,
                   struct stream *stream)
{
    struct row_cache *cache = conn->rows;
    const struct row *row;
    char *text;

    if (!cache || !is_same_header(cache))
        return false;
    row = cache->row[hash_of(path)];
    if (!row || row->moment != cache->moment || strcmp(row->stream.path, path) != 0)
        return false;
    text = arena_alloc(arena, row->text_len);
    if (!text)
        return false;
    memcpy(text, row->text, row->text_len);
    *stream = row->stream;
    move_texts(stream, row->text, text);
    return true;
}

static struct row *room_for_row(struct row **place, size_t text_len)
{
    struct row *row = *place;

    if (row && row->room >= text_len)
        return row;
    free(row);
    *place = row = malloc(sizeof *row + text_len);
    if (row)
        row->room = text_len;
    return row;
}

static const char *put_text(char **to, const char *text, size_t len)
{
    char *copy = *to;

    if (!text)
        return NULL;
    memcpy(copy, text, len);
    copy[len] = '\0';
    *to += len + 1;
    return copy;
}

void row_cache_put(struct store_conn *conn, const struct stream *stream)
{
    struct row_cache *cache = conn->rows;
    size_t path_len = strlen(stream->path), type_len = strlen(stream->content_type);
    size_t producer_len = stream->closed_producer ? strlen(stream->closed_producer) : 0;
    size_t text_len = path_len + type_len + producer_len + stream->last_seq_len + 4;
    struct row *row;
    char *to;

    if (!cache) { /* cache from the next read on */
        conn->rows = row_cache_new(conn);
        return;
    }
    if (!is_same_header(cache) || text_len > MOST_TEXT)
        return;
    row = room_for_row(&cache->row[hash_of(stream->path)], text_len);
    if (!row)
        return;
    to = row->text;
    row->moment = cache->moment;
    row->text_len = text_len;
    row->stream = *stream;
    row->stream.path = put_text(&to, stream->path, path_len);
    row->stream.content_type = put_text(&to, stream->content_type, type_len);
    row->stream.closed_producer = put_text(&to, stream->closed_producer, producer_len);
    row->stream.last_seq = put_text(&to, stream->last_seq, stream->last_seq_len);
}
