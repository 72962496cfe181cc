/* Counts connections by address: see address_count.h. */
#include "gateway/address_count.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "protocol/network.h"

enum { NETWORK_BYTES = 8 }; /* of an IPv6 address */

struct address_entry {
    SLIST_ENTRY(address_entry) next;
    struct address address; /* of IPv6 the first one of the network */
    int64_t connections;
};

void address_count_open(struct address_count *count)
{
    (void)pthread_mutex_init(&count->lock, NULL);
    for (int i = 0; i < ADDRESS_BUCKETS; i++)
        SLIST_INIT(&count->bucket[i]);
}

void address_count_close(struct address_count *count)
{
    for (int i = 0; i < ADDRESS_BUCKETS; i++)
        while (!SLIST_EMPTY(&count->bucket[i])) {
            struct address_entry *entry = SLIST_FIRST(&count->bucket[i]);

            SLIST_REMOVE_HEAD(&count->bucket[i], next);
            free(entry);
        }
    (void)pthread_mutex_destroy(&count->lock);
}

static unsigned bucket_of(const struct address *address)
{
    return (unsigned)(hash_bytes(address, sizeof *address) % ADDRESS_BUCKETS);
}

static struct address_entry *find_entry(struct address_count *count, const struct address *address)
{
    struct address_entry *entry;

    SLIST_FOREACH(entry, &count->bucket[bucket_of(address)], next)
        if (memcmp(&entry->address, address, sizeof *address) == 0)
            return entry;
    entry = calloc(1, sizeof *entry);
    if (!entry)
        return NULL;
    entry->address = *address;
    SLIST_INSERT_HEAD(&count->bucket[bucket_of(address)], entry, next);
    return entry;
}

struct address_entry *address_count_enter(struct address_count *count,
                                          const struct address *address, int64_t most)
{
    struct address first = *address;
    struct address_entry *entry;

    if (!address_is_v4(address))
        memset(first.byte + NETWORK_BYTES, 0, sizeof first.byte - NETWORK_BYTES);
    (void)pthread_mutex_lock(&count->lock);
    entry = find_entry(count, &first);
    if (entry && entry->connections < most)
        entry->connections++;
    else
        entry = NULL;
    (void)pthread_mutex_unlock(&count->lock);
    return entry;
}

void address_count_leave(struct address_count *count, struct address_entry *entry)
{
    (void)pthread_mutex_lock(&count->lock);
    if (--entry->connections == 0) {
        SLIST_REMOVE(&count->bucket[bucket_of(&entry->address)], entry, address_entry, next);
        free(entry);
    }
    (void)pthread_mutex_unlock(&count->lock);
}
