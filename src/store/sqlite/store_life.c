/*
 * Where streams begin and end: notes of it for whoever listens (hooks, the library's callbacks),
 * and the news for readers of the registry, which triggers have written meanwhile.
 *
 *     store_insert, store_delete ──▶ noted ── commit ──▶ committed ── store_tell ──▶ listener
 *                                      └── rollback ──▶ nothing happened
 *
 * Only what this process does is noted; a statement at the sqlite3 prompt tells nobody.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "hints/wake.h"
#include "store/sqlite/store_private.h"

struct life {
    struct life *next;
    struct ds_event event;
    char text[]; /* path and content type */
};

void store_listen(struct store *store, ds_event_fn *listener, void *arg)
{
    store->listener = listener;
    store->listener_arg = arg;
}

void life_note(struct store_conn *conn, enum ds_event_kind kind, const struct stream *stream,
               int64_t at)
{
    size_t path_size = strlen(stream->path) + 1, type_size = strlen(stream->content_type) + 1;
    struct life *life;

    conn->lives_changed = true;
    if (!conn->store->listener)
        return;
    life = malloc(sizeof *life + path_size + type_size);
    if (!life) {
        log_error("out of memory: nobody hears of %s", stream->path);
        return;
    }
    memcpy(life->text, stream->path, path_size);
    memcpy(life->text + path_size, stream->content_type, type_size);
    life->event =
        (struct ds_event){kind, life->text, life->text + path_size, stream->created_at, at};
    life->next = NULL;
    *conn->noted_end = life;
    conn->noted_end = &life->next;
}

static void free_list(struct life *life)
{
    struct life *next;

    for (; life; life = next) {
        next = life->next;
        free(life);
    }
}

void life_committed(struct store_conn *conn, int64_t registry_id)
{
    struct life **end = &conn->committed;

    if (!conn->lives_changed)
        return;
    conn->lives_changed = false;
    if (registry_id != 0)
        wake_publish(conn->store->hints, &registry_id, 1);
    while (*end)
        end = &(*end)->next;
    *end = conn->noted;
    conn->noted = NULL;
    conn->noted_end = &conn->noted;
}

void life_forget(struct store_conn *conn)
{
    free_list(conn->noted);
    conn->noted = NULL;
    conn->noted_end = &conn->noted;
    conn->lives_changed = false;
}

void life_close(struct store_conn *conn)
{
    life_forget(conn);
    free_list(conn->committed);
    conn->committed = NULL;
}

void store_tell(struct store_conn *conn)
{
    struct life *first = conn->committed;

    conn->committed = NULL;
    for (struct life *life = first; life; life = life->next)
        conn->store->listener(conn->store->listener_arg, &life->event);
    free_list(first);
}
