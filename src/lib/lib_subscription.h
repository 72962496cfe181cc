/*
 * What the files about subscriptions share: lib_subscription_put.c (creating), lib_subscription.c
 * (describing, deleting) and lib_claim.c (workers).
 */
#ifndef LIB_SUBSCRIPTION_H
#define LIB_SUBSCRIPTION_H

#include "engine/subscription.h"
#include "lib/lib.h"

/* Returns status. *reason, unless reason is NULL, becomes `why`, or the words for the status if
   that is NULL. */
enum ds_status lib_explain(enum ds_status status, const char *why, const char **reason);

/* Can it name a subscription or a worker? */
bool lib_is_name(const char *text);

/* lib_path() of a stream that subscriptions can have to do with: below SUBSCRIPTION_ROOT, and not
   reserved. */
enum ds_status lib_linkable(const struct ds_store *store, struct arena *arena, const char *path,
                            const char **normal, const char **reason);

/* The same for a list of paths that ends with NULL. A NULL instead of the list is an empty list. */
enum ds_status lib_take_streams(const struct ds_store *store, struct arena *arena,
                                const char *const *streams, const char *const **normal, size_t *n,
                                const char **reason);

/* Describes a subscription that was read with its links. */
enum ds_status lib_describe_view(struct ds_store *store, const struct subscription_view *view,
                                 struct ds_subscription **out);

/*
 * One block of memory for the caller: a struct, the links after it, and the texts after those.
 * lib_block_new() returns false when memory runs out. The texts that are put must be those that
 * `texts` counts: lib_text_size() of each. lib_put_links() comes first.
 */
struct lib_block {
    void *memory;
    struct ds_subscription_link *link;
    char *at;
};

size_t lib_text_size(const char *text); /* with its NUL; NULL has none */
bool lib_block_new(struct lib_block *block, size_t size, const struct subscription_view *view,
                   size_t texts);
const struct ds_subscription_link *lib_put_links(struct lib_block *block,
                                                 const struct subscription_view *view);
const char *lib_put_text(struct lib_block *block, const char *text);

#endif
