/* FNV-1a: the published values, so that names made from hashes never change. */
#include "base/hash.h"
#include "unit.h"

START_TEST(gives_the_published_values)
{
    ck_assert(hash_text("") == UINT64_C(0xcbf29ce484222325));
    ck_assert(hash_text("a") == UINT64_C(0xaf63dc4c8601ec8c));
    ck_assert(hash_text("foobar") == UINT64_C(0x85944171f73967e8));
    ck_assert(hash_bytes("foobar", 6) == hash_text("foobar"));
}
END_TEST

START_TEST(hashes_bytes_beyond_a_nul_and_above_ascii)
{
    ck_assert(hash_bytes("a\0b", 3) != hash_bytes("a\0c", 3));
    ck_assert(hash_text("\xff") == hash_bytes("\xff", 1));
}
END_TEST

UNIT_MAIN(hash, gives_the_published_values, hashes_bytes_beyond_a_nul_and_above_ascii)
