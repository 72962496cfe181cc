/* FastCGI requests that come in bit by bit: see spool.h. */
#include "spool.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "config.h"
#include "log.h"

/* FastCGI 1.0, section 8 */
enum { FCGI_STDIN = 5, FCGI_GET_VALUES = 9, HEADER_LEN = 8 };

/* room for parameters and the headers of records, beside the body */
enum { BESIDE_BODY = 1024 * 1024 };

struct spool {
    int fd; /* of the file; -1: taken */
    int64_t size, most_of_body, most_of_all;
    bool too_large;
    struct spool_scan scan;
};

static _Atomic int64_t spooled; /* bytes of all spools of the process */

static void end_of_header(struct spool_scan *scan)
{
    size_t content = (size_t)scan->header[4] << 8 | scan->header[5];

    scan->header_len = 0;
    scan->left = content + scan->header[6];
    if (scan->header[1] == FCGI_STDIN)
        scan->body += (int64_t)content;
    /* a question about us stands alone; none of our servers asks, and libfcgi ends on it */
    scan->last =
        (scan->header[1] == FCGI_STDIN && content == 0) || scan->header[1] == FCGI_GET_VALUES;
    scan->whole = scan->last && scan->left == 0;
}

size_t spool_look(struct spool_scan *scan, const char *data, size_t len)
{
    size_t at = 0;

    while (at < len && !scan->whole) {
        size_t wanted = scan->left > 0 ? scan->left : HEADER_LEN - scan->header_len;
        size_t n = len - at < wanted ? len - at : wanted;

        if (scan->left > 0) {
            scan->left -= n;
            scan->whole = scan->last && scan->left == 0;
        } else {
            memcpy(scan->header + scan->header_len, data + at, n);
            scan->header_len += n;
            if (scan->header_len == HEADER_LEN)
                end_of_header(scan);
        }
        at += n;
    }
    return at;
}

bool spool_is_whole(int fd, char *room, size_t size)
{
    struct spool_scan scan = {0};
    ssize_t n = recv(fd, room, size, MSG_PEEK | MSG_DONTWAIT);

    if (n > 0)
        (void)spool_look(&scan, room, (size_t)n);
    return scan.whole;
}

struct spool *spool_new(const struct config *config)
{
    struct spool *spool = calloc(1, sizeof *spool);

    if (!spool)
        return NULL;
    spool->most_of_body = config->max_body_bytes;
    spool->most_of_all = config->max_queued_bytes + BESIDE_BODY;
    spool->fd = memfd_create("request", MFD_CLOEXEC);
    if (spool->fd >= 0)
        return spool;
    log_warn("cannot collect a request");
    free(spool);
    return NULL;
}

void spool_free(struct spool *spool)
{
    if (!spool)
        return;
    if (spool->fd >= 0)
        (void)close(spool->fd);
    atomic_fetch_sub(&spooled, spool->size);
    free(spool);
}

static bool keep(struct spool *spool, const char *data, size_t len)
{
    if (spool->too_large)
        return true;
    /* the piece that goes over the limit is kept: it may hold the parameters as well */
    spool->too_large = spool->scan.body > spool->most_of_body;
    if (atomic_fetch_add(&spooled, (int64_t)len) + (int64_t)len > spool->most_of_all) {
        atomic_fetch_sub(&spooled, (int64_t)len);
        log_warn("requests on their way in take more than DS_MAX_QUEUED_BYTES: one is cut off");
        return false;
    }
    spool->size += (int64_t)len;
    while (len > 0) {
        ssize_t n = write(spool->fd, data, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        data += n;
        len -= (size_t)n;
    }
    return true;
}

enum spool_state spool_fill(struct spool *spool, int fd, char *room, size_t size)
{
    /* others are waiting for this worker too: of a large body, some at a time */
    for (int i = 0; i < 64 && !spool->scan.whole; i++) {
        ssize_t n = recv(fd, room, size, MSG_DONTWAIT);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return SPOOL_MORE;
        if (n <= 0)
            return SPOOL_GONE;
        /* nobody sends the next request before the answer to this one */
        if (spool_look(&spool->scan, room, (size_t)n) != (size_t)n || !keep(spool, room, (size_t)n))
            return SPOOL_GONE;
    }
    return spool->scan.whole ? SPOOL_WHOLE : SPOOL_MORE;
}

int spool_take_fd(struct spool *spool)
{
    int fd = spool->fd;

    spool->fd = -1;
    (void)lseek(fd, 0, SEEK_SET);
    return fd;
}

bool spool_is_too_large(const struct spool *spool)
{
    return spool->too_large;
}
