/*
 * Damaged databases, as after a disk error or a truncated copy. The input changes bytes of an
 * intact database. Every operation on it must end, and must not crash.
 *
 *     ┌──────┬────────────┬────────┬───────────┐
 *     │ page │ offset: 2  │ length │ bytes ... │   repeated to the end; page 255 truncates the
 *     └──────┴────────────┴────────┴───────────┘   file at the offset, in units of 256 bytes
 */
#include "fuzz_walk.h"
#include "protocol/fault.h"

enum { PAGE = 4096, CUT = 255 };

static void change(struct buf *bytes, const uint8_t *data, size_t size)
{
    while (size > 4 && bytes->len > 0) {
        size_t offset = (size_t)data[1] << 8 | data[2], len = data[3];
        size_t place = data[0] * (size_t)PAGE + offset % PAGE;

        if (data[0] == CUT) {
            len = 0;
            bytes->len = offset * 256 < bytes->len ? offset * 256 : bytes->len;
        }
        len = len < size - 4 ? len : size - 4;
        for (size_t i = 0; i < len && place + i < bytes->len; i++)
            bytes->data[place + i] = (char)data[4 + i];
        data += 4 + len;
        size -= 4 + len;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct buf whole;
    struct buf bytes = {0};
    struct store *store;

    if (!whole.data)
        walk_make(&whole);
    buf_add(&bytes, whole.data, whole.len);
    fuzz_require(!buf_failed(&bytes));
    change(&bytes, data, size);
    fuzz_save(&bytes);
    (void)walk_check();
    if (store_open(&store, &fuzz_config, false) == DS_OK) {
        walk(store);
        store_close(store, false);
    }
    buf_close(&bytes);
    return 0;
}
