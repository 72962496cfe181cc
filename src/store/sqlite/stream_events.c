/*
 * Stream events: streams that were created or deleted, for a listener (hooks, the library's
 * callbacks). A commit with events also wakes the readers of the registry, to which triggers have
 * appended the same events.
 *
 *     store_insert, store_delete ──▶ noted ──▶ COMMIT ──▶ committed ──▶ store_deliver_events
 *                                      │
 *                                      └─────▶ ROLLBACK: forgotten
 *
 * Only this process's own changes are noted; a statement at the sqlite3 prompt makes no event.
 */
#include "store/sqlite/stream_events.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "hints/wake.h"
#include "store/sqlite/store_private.h"

struct stream_event {
    struct stream_event *next;
    struct ds_event event;
    char text[]; /* path and content type */
};

void store_on_event(struct store *store, ds_event_fn *listener, void *arg)
{
    store->listener = listener;
    store->listener_arg = arg;
}

void stream_events_note(struct store_conn *conn, enum ds_event_kind kind,
                        const struct stream *stream, int64_t at)
{
    size_t path_size = strlen(stream->path) + 1, type_size = strlen(stream->content_type) + 1;
    struct stream_event *event;

    conn->has_events = true;
    if (!conn->store->listener)
        return;
    event = malloc(sizeof *event + path_size + type_size);
    if (!event) {
        log_error("out of memory: no event for %s", stream->path);
        return;
    }
    memcpy(event->text, stream->path, path_size);
    memcpy(event->text + path_size, stream->content_type, type_size);
    event->event =
        (struct ds_event){kind, event->text, event->text + path_size, stream->created_at, at};
    event->next = NULL;
    *conn->noted_events_end = event;
    conn->noted_events_end = &event->next;
}

static void free_list(struct stream_event *event)
{
    struct stream_event *next;

    for (; event; event = next) {
        next = event->next;
        free(event);
    }
}

void stream_events_commit(struct store_conn *conn, int64_t registry_id)
{
    struct stream_event **end = &conn->committed_events;

    if (!conn->has_events)
        return;
    conn->has_events = false;
    if (registry_id != 0)
        wake_publish(conn->store->hints, &registry_id, 1);
    while (*end)
        end = &(*end)->next;
    *end = conn->noted_events;
    conn->noted_events = NULL;
    conn->noted_events_end = &conn->noted_events;
}

void stream_events_forget(struct store_conn *conn)
{
    free_list(conn->noted_events);
    conn->noted_events = NULL;
    conn->noted_events_end = &conn->noted_events;
    conn->has_events = false;
}

void stream_events_close(struct store_conn *conn)
{
    stream_events_forget(conn);
    free_list(conn->committed_events);
    conn->committed_events = NULL;
}

void store_deliver_events(struct store_conn *conn)
{
    struct stream_event *first = conn->committed_events;

    conn->committed_events = NULL;
    for (struct stream_event *event = first; event; event = event->next)
        conn->store->listener(conn->store->listener_arg, &event->event);
    free_list(first);
}
