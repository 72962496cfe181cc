/* What subscription*.c share. Functions run inside the transaction of a batch. */
#ifndef SUBSCRIPTION_PRIVATE_H
#define SUBSCRIPTION_PRIVATE_H

#include "engine/subscription.h"

/*
 * Makes the next wake: a new generation and wake_id, in place of the one before. A webhook is due
 * at once, or after a pause if `attempts` says that its receiver was slow to answer the last ones.
 * The event of a pull-wake is appended to its wake stream, or remains due. Writes the row, whose
 * new texts are in the arena.
 */
enum ds_status subscription_wake(struct batch *batch, struct arena *arena,
                                 struct subscription *row);

/* Ends the wake and the lease, and makes the next wake if something is pending, which *next says.
   Writes the row. */
enum ds_status subscription_rest(struct batch *batch, struct subscription *row, bool *next);

/* Appends the event of an unclaimed wake to its wake stream, or marks it as due. Changes the row
   only in memory. */
enum ds_status subscription_add_event(struct batch *batch, struct subscription *row);

/* Is the lease over? */
bool subscription_is_over(const struct subscription *row, int64_t now);

/* Ends a lease that is over, or a wake that nobody has claimed and that has become needless; makes
   a wake if something is pending although none is in flight, as after an import. Writes the row if
   it has changed. */
enum ds_status subscription_recheck(struct batch *batch, struct subscription *row);

/* Was a row read that a person or a fault has damaged? It is logged, and must not stop the work for
   all others. */
static inline bool subscription_is_damaged(enum ds_status status, const struct subscription *row)
{
    return status == DS_FAILED && row->id != 0;
}

/* Finds a subscription by name. DS_NOT_FOUND also in a database without the tables. */
enum ds_status subscription_find(struct store_conn *conn, struct arena *arena, const char *name,
                                 struct subscription *row);

/* Reads `most` links into the view: all by path, or with wake those that are pending first. */
enum ds_status subscription_view_links(struct store_conn *conn, struct arena *arena, bool wake,
                                       size_t most, struct subscription_view *view);

/* The whole token, in the arena; NULL when out of memory. */
const char *subscription_token(struct arena *arena, const struct subscription *row);

/* subscription_backoff() with a random draw. */
int64_t subscription_pause(int64_t attempts);

/* Moves the cursor of a link forward to a position up to its tail. */
enum ds_status subscription_move(struct store_conn *conn, int64_t subscription_id,
                                 struct subscription_link *link, int64_t position);

#endif
