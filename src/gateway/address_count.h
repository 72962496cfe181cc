/*
 * Counts connections by the address of the client, so that none takes all of them. An IPv6 client
 * has a whole network of 2^64 addresses, so these count as one. Thread-safe.
 */
#ifndef ADDRESS_COUNT_H
#define ADDRESS_COUNT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

enum { ADDRESS_BUCKETS = 1024 };

struct address;
struct address_entry;

struct address_count {
    pthread_mutex_t lock;
    SLIST_HEAD(, address_entry) bucket[ADDRESS_BUCKETS];
};

void address_count_open(struct address_count *count);
void address_count_close(struct address_count *count);

/*
 * Counts one more connection, unless `most` are there. Returns what address_count_leave() takes;
 * NULL: there are too many, or memory ran out.
 */
struct address_entry *address_count_enter(struct address_count *count,
                                          const struct address *address, int64_t most);
void address_count_leave(struct address_count *count, struct address_entry *entry);

#endif
