/* arena.c: pieces are aligned, do not move or overlap, and are freed in one call. */
#include "base/arena.h"

#include "unit.h"

#include <stdalign.h>
#include <stdbool.h>

START_TEST(aligns_every_piece_for_any_type)
{
    struct arena *arena = arena_new();

    for (size_t size = 0; size < 200; size++) {
        void *piece = arena_alloc(arena, size);

        ck_assert_msg((uintptr_t)piece % alignof(max_align_t) == 0, "size %zu: %p", size, piece);
    }
    arena_free(arena);
}
END_TEST

START_TEST(keeps_small_and_large_pieces_apart_and_intact)
{
    enum { PIECES = 2000 };
    struct arena *arena = arena_new();
    static unsigned char *piece[PIECES];
    static size_t size[PIECES];
    uint32_t random = 1;

    /* sizes below, near and far above that of a block */
    for (size_t i = 0; i < PIECES; i++) {
        size[i] = unit_random(&random) % (i % 50 == 0 ? 20000 : i % 7 == 0 ? 4100 : 100);
        piece[i] = arena_alloc(arena, size[i]);
        unit_check(piece[i] != NULL, "piece %zu", i);
        memset(piece[i], (int)(i % 251), size[i]);
    }
    for (size_t i = 0; i < PIECES; i++)
        for (size_t j = 0; j < size[i]; j++)
            unit_check(piece[i][j] == i % 251, "byte %zu of piece %zu was overwritten", j, i);
    arena_free(arena);
}
END_TEST

START_TEST(zeroes_a_piece_if_asked)
{
    struct arena *arena = arena_new();

    for (size_t size = 1; size < 9000; size += 997) {
        unsigned char *piece = arena_zalloc(arena, size);

        for (size_t i = 0; i < size; i++)
            ck_assert_msg(piece[i] == 0, "byte %zu of %zu", i, size);
        memset(piece, 0xFF, size);
    }
    arena_free(arena);
}
END_TEST

START_TEST(copies_text_and_adds_a_nul)
{
    struct arena *arena = arena_new();
    char *text = unit_copy("abc", 3); /* without a NUL: the copy must not look for one */

    ck_assert_str_eq(arena_strndup(arena, text, 3), "abc");
    ck_assert_str_eq(arena_strndup(arena, text, 0), "");
    ck_assert_mem_eq(arena_strndup(arena, "a\0b", 3), "a\0b", 4);
    free(text);
    arena_free(arena);
}
END_TEST

START_TEST(prints_text_of_any_length)
{
    struct arena *arena = arena_new();
    const char *text;

    ck_assert_str_eq(arena_printf(arena, "%s-%d", "x", 7), "x-7");
    ck_assert_str_eq(arena_printf(arena, "%s", ""), "");
    text = arena_printf(arena, "%010000d", 1);
    ck_assert_uint_eq(strlen(text), 10000);
    ck_assert_str_eq(text + 9990, "0000000001");
    arena_free(arena);
}
END_TEST

START_TEST(returns_null_for_an_impossible_size)
{
    struct arena *arena = arena_new();

    ck_assert_ptr_null(arena_alloc(arena, SIZE_MAX));
    ck_assert_ptr_null(arena_alloc(arena, SIZE_MAX - 15));
    ck_assert_ptr_null(arena_zalloc(arena, SIZE_MAX - 40));
    /* the arena still works */
    ck_assert_str_eq(arena_strndup(arena, "abc", 3), "abc");
    arena_free(arena);
}
END_TEST

START_TEST(accepts_null_in_free)
{
    arena_free(NULL);
}
END_TEST

UNIT_MAIN(arena, aligns_every_piece_for_any_type, keeps_small_and_large_pieces_apart_and_intact,
          zeroes_a_piece_if_asked, copies_text_and_adds_a_nul, prints_text_of_any_length,
          returns_null_for_an_impossible_size, accepts_null_in_free)
