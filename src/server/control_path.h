/*
 * Names and paths in requests below /v1/stream/__ds (protocol section 6). Pure, thread-safe.
 *
 *     /v1/stream/__ds/subscriptions/a%3Ab/streams/events%2Fx
 *                                   ─────         ──────────
 *                                   the ID        the path of a link
 */
#ifndef CONTROL_PATH_H
#define CONTROL_PATH_H

#include <stdbool.h>

struct arena;
struct config;

#define CONTROL_ROOT          "/v1/stream/__ds"
#define CONTROL_SUBSCRIPTIONS CONTROL_ROOT "/subscriptions/"

/* The ID in a path below CONTROL_SUBSCRIPTIONS: one segment, percent-decoded once. In the arena;
   NULL when out of memory. */
const char *control_path_name(struct arena *arena, const char *path);

/*
 * The link in such a path: what follows "/streams/". With slashes in it, it is written as in the
 * stream's URL. As one segment it was percent-encoded once more, with %2F for slashes, and is
 * decoded. In the arena; NULL when out of memory.
 */
const char *control_path_link(struct arena *arena, const char *path);

/*
 * The whole path of the stream that a client names relative to /v1/stream/, normalised, without
 * slashes at its ends. In the arena; NULL with a *reason as that of path_normalize().
 */
const char *control_path_stream(struct arena *arena, const struct config *config, const char *text,
                                const char **reason);

#endif
