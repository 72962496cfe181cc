/* Counts connections by address: see address_count.h. */
#include "gateway/address_count.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

enum { KEY_BYTES = 8 };

struct address_entry {
    SLIST_ENTRY(address_entry) next;
    unsigned char key[KEY_BYTES];
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

bool address_counts(const struct sockaddr *address)
{
    return address->sa_family == AF_INET || address->sa_family == AF_INET6;
}

/* The first half of an IPv6 address; an IPv4 address, also one that is written as IPv6, behind
   zeros, where no IPv6 network is. */
static void make_key(const struct sockaddr *address, unsigned char key[static KEY_BYTES])
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)address;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)address;

    memset(key, 0, KEY_BYTES);
    if (address->sa_family == AF_INET)
        memcpy(key + 4, &v4->sin_addr, 4);
    else if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
        memcpy(key + 4, v6->sin6_addr.s6_addr + 12, 4);
    else
        memcpy(key, &v6->sin6_addr, KEY_BYTES);
}

static unsigned bucket_of(const unsigned char key[static KEY_BYTES])
{
    return (unsigned)(hash_bytes(key, KEY_BYTES) % ADDRESS_BUCKETS);
}

static struct address_entry *find_entry(struct address_count *count,
                                        const unsigned char key[static KEY_BYTES])
{
    struct address_entry *entry;

    SLIST_FOREACH(entry, &count->bucket[bucket_of(key)], next)
        if (memcmp(entry->key, key, KEY_BYTES) == 0)
            return entry;
    entry = calloc(1, sizeof *entry);
    if (!entry)
        return NULL;
    memcpy(entry->key, key, KEY_BYTES);
    SLIST_INSERT_HEAD(&count->bucket[bucket_of(key)], entry, next);
    return entry;
}

struct address_entry *address_count_enter(struct address_count *count,
                                          const struct sockaddr *address, int64_t most)
{
    unsigned char key[KEY_BYTES];
    struct address_entry *entry;

    make_key(address, key);
    (void)pthread_mutex_lock(&count->lock);
    entry = find_entry(count, key);
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
        SLIST_REMOVE(&count->bucket[bucket_of(entry->key)], entry, address_entry, next);
        free(entry);
    }
    (void)pthread_mutex_unlock(&count->lock);
}
