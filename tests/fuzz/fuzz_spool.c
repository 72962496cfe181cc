/*
 * The bytes of a FastCGI connection. A spool must read the same request from them wherever they are
 * cut; parameters must be strings within the input; and the spool must keep to its limits.
 */
#include "fuzz.h"

#include "base/log.h"
#include "config/config.h"
#include "gateway/spool.h"

static const struct config config = {
    .max_body_bytes = 1000, .max_queued_bytes = 100000, .max_parked = 50000};

/* Feeds a new spool in pieces of `piece` bytes, up to the first state that is not SPOOL_MORE. */
static void take(struct spool *spool, const uint8_t *data, size_t size, size_t piece,
                 enum spool_state *state)
{
    *state = SPOOL_MORE;
    spool_open(spool, &config);
    for (size_t at = 0; at < size && *state == SPOOL_MORE; at += piece) {
        size_t len = size - at < piece ? size - at : piece;
        char *exact = fuzz_string(data + at, len);

        *state = spool_take(spool, exact, len);
        free(exact);
        spool->reply_len = 0; /* as if the reply had been sent */
    }
}

static void check_params(struct spool *a, struct spool *b)
{
    struct spool_param one, other;
    size_t at_one = 0, at_other = 0, all = 0;
    enum spool_next next;

    for (;;) {
        next = spool_next(a, &at_one, &one);
        fuzz_require(spool_next(b, &at_other, &other) == next);
        if (next != SPOOL_PARAM)
            break;
        all += one.name_len + strlen(one.value);
        fuzz_require(one.name_len == other.name_len);
        fuzz_require(memcmp(one.name, other.name, one.name_len) == 0);
        fuzz_require(strcmp(one.value, other.value) == 0);
    }
    fuzz_require(all <= a->params.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t piece = size > 0 ? 1 + data[size - 1] % 16 : 1;
    enum spool_state whole, pieces;
    struct spool a, b;

    log_set_least(LOG_ERR_);
    take(&a, data, size, size ? size : 1, &whole);
    take(&b, data, size, piece, &pieces);
    fuzz_require(a.body.len <= 1000 && b.body.len <= 1000);
    /* bytes after the request are noticed only if they arrive in the same piece as its end */
    if (whole == SPOOL_WHOLE)
        fuzz_require(pieces == SPOOL_WHOLE);
    if (pieces == SPOOL_MORE)
        fuzz_require(whole == SPOOL_MORE);
    if (whole == SPOOL_WHOLE) {
        fuzz_require(a.trouble == b.trouble && a.id == b.id && a.keep == b.keep);
        fuzz_require(a.body_len == b.body_len && a.body.len == b.body.len);
        fuzz_require(a.body.len == 0 || memcmp(a.body.data, b.body.data, a.body.len) == 0);
        check_params(&a, &b);
    }
    spool_close(&a);
    spool_close(&b);
    return 0;
}
