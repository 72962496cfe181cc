/* Injected faults, what of them needs no database and no client: see fault.h. */
#include "fault.h"

#include <strings.h>

#include "buf.h"
#include "clock.h"

enum { PERCENT = 3 }; /* of the bits */

bool fault_is_met(const struct fault *fault, const char *method, double draw)
{
    if (fault->method && fault->method[0] && strcasecmp(fault->method, method) != 0)
        return false;
    return draw < fault->probability;
}

int64_t fault_delay(const struct fault *fault)
{
    if (fault->delay_ms < 0)
        return 0;
    return fault->delay_ms + (int64_t)(fault_draw() * (double)(fault->jitter_ms + 1));
}

double fault_draw(void)
{
    return clock_random() / 4294967296.0;
}

/* A bit that is drawn twice is itself again: 3 in 100 draws change a little less than 3 %. */
static void corrupt(unsigned char *data, size_t len)
{
    unsigned char first = data[0];
    size_t draws = len * 8 * PERCENT / 100;

    for (; draws > 0; draws--) {
        size_t bit = ((size_t)clock_random() << 32 | clock_random()) % (len * 8);

        data[bit / 8] = (unsigned char)(data[bit / 8] ^ 1U << bit % 8);
    }
    data[0] = (unsigned char)((data[0] & 0x7f) | (~first & 0x80));
}

void mangle_body(const struct mangle *mangle, struct buf *body)
{
    if (mangle->truncate && (int64_t)body->len > mangle->bytes)
        body->len = (size_t)mangle->bytes;
    if (mangle->corrupt && body->len > 0)
        corrupt((unsigned char *)body->data, body->len);
}
