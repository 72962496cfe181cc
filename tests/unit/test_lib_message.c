/* Messages one by one: their boundaries, offsets, and parts. */
#include <time.h>

#include "lib_unit.h"

struct got {
    struct ds_store *store;
    int most, count; /* calls */
    size_t bytes;    /* of the current message */
    char last[DS_OFFSET_SIZE];
    char text[4000]; /* "message|message|…"; a large one as its first byte and its length */
};

static bool note_message(void *arg, const struct ds_message *message)
{
    struct got *got = arg;
    char *end = got->text + strlen(got->text);
    size_t room = sizeof got->text - (size_t)(end - got->text);

    ck_assert_uint_eq(strlen(message->data), message->len);
    ck_assert_int_lt(strcmp(message->offset, message->next_offset), 0);
    if (got->last[0]) /* without a gap */
        ck_assert_str_eq(message->offset, got->last);
    (void)strcpy(got->last, message->next_offset);
    ck_assert_int_gt(message->appended_at, (time(NULL) - 3600) * INT64_C(1000));
    got->bytes += message->len;
    if (!message->more) {
        if (got->bytes > 100)
            (void)snprintf(end, room, "%c*%zu|", message->data[0], got->bytes);
        else
            (void)snprintf(end, room, "%s|", message->data);
        got->bytes = 0;
    }
    return ++got->count < got->most;
}

static struct ds_read_end expect_messages(struct ds_store *store, const char *path,
                                          const char *offset, const char *text)
{
    struct got got = {store, 1000000, 0, 0, "", ""};
    struct ds_read_end end = {.closed = false};

    ck_assert_int_eq(ds_read_messages(store, path, offset, note_message, &got, &end), DS_OK);
    ck_assert_str_eq(got.text, text);
    if (got.last[0])
        ck_assert_str_eq(end.next_offset, got.last);
    ck_assert(end.up_to_date);
    return end;
}

START_TEST(each_append_is_a_message_and_each_element_of_a_json_array)
{
    struct ds_store *store = lib_begin();
    struct ds_append_result after;
    struct ds_read_end end;

    lib_create(store, "/b", "text/plain");
    expect_messages(store, "/b", NULL, "");
    lib_append(store, "/b", "one");
    lib_append(store, "/b", "two");
    ck_assert_int_eq(ds_append(store, "/b", "three", 5, NULL, &after), DS_OK);
    end = expect_messages(store, "/b", NULL, "one|two|three|");
    ck_assert_str_eq(end.next_offset, after.next_offset);
    ck_assert(!end.closed);
    ck_assert_int_eq(ds_close_stream(store, "/b", NULL), DS_OK);
    end = expect_messages(store, "/b", "0000000000000000_0000000000000003", "two|three|");
    ck_assert(end.closed);
    expect_messages(store, "/b", DS_NOW, "");
    /* inside a message: from its start */
    expect_messages(store, "/b", "0000000000000000_0000000000000004", "two|three|");

    lib_create(store, "/j", "application/json");
    lib_append(store, "/j", "[1, {\"a\": [2, 3]}, \"x,y\"]");
    lib_append(store, "/j", " null ");
    expect_messages(store, "/j", DS_START, "1|{\"a\": [2, 3]}|\"x,y\"|null|");
    lib_end(store);
}
END_TEST

START_TEST(messages_of_the_state_protocol_are_as_in_a_read)
{
    struct ds_store *store = lib_begin();
    struct got got = {store, 100, 0, 0, "", ""};
    struct ds_read_result read;

    lib_create(store, "/j", "application/json");
    lib_append(store, "/j",
               "{\"type\":\"u\",\"key\":\"1\",\"headers\":{\"operation\":\"delete\"}}");
    ck_assert_int_eq(ds_read(store, "/j", NULL, &read), DS_OK);
    ck_assert_int_eq(ds_read_messages(store, "/j", NULL, note_message, &got, NULL), DS_OK);
    ck_assert_ptr_nonnull(strstr(got.text, "\"offset\":\"00"));
    got.text[strlen(got.text) - 1] = '\0'; /* the bar */
    ck_assert_uint_eq(strlen(got.text), read.len - 2);
    ck_assert_int_eq(strncmp(got.text, read.data + 1, read.len - 2), 0);
    ds_read_free(&read);
    lib_end(store);
}
END_TEST

static void append_large(struct ds_store *store, const char *path, char c, size_t len)
{
    char *data = malloc(len);

    ck_assert_ptr_nonnull(data);
    memset(data, c, len);
    ck_assert_int_eq(ds_append(store, path, data, len, NULL, NULL), DS_OK);
    free(data);
}

START_TEST(a_large_message_comes_in_parts_that_say_so)
{
    enum { PART = 256 * 1024 };
    const struct ds_store_options little = {.durability = DS_DURABILITY_NORMAL,
                                            .read_chunk_bytes = 100};
    const struct ds_create_options inside = {.fork_of = "/b",
                                             .fork_offset = "0000000000000000_0000000000000001",
                                             .fork_sub_offset = 2 * PART};
    struct ds_store *store = NULL;
    struct got got = {NULL, 100, 0, 0, "", ""};

    lib_make_folder(); /* whatever the size of a page */
    ck_assert_int_eq(ds_store_open(lib_database, &little, &store), DS_OK);
    lib_create(store, "/b", "application/octet-stream");
    lib_append(store, "/b", "s");
    append_large(store, "/b", 'a', 3 * PART + 5);
    append_large(store, "/b", 'b', 2 * PART); /* no shorter part at its end */
    append_large(store, "/b", 'c', PART);
    append_large(store, "/b", 'd', PART);
    lib_append(store, "/b", "e");
    expect_messages(store, "/b", NULL, "s|a*786437|b*524288|c*262144|d*262144|e|");
    ck_assert_int_eq(ds_read_messages(store, "/b", NULL, note_message, &got, NULL), DS_OK);
    ck_assert_int_eq(got.count, 1 + 4 + 2 + 1 + 1 + 1);
    /* from an offset inside a message, the whole message is read, with all its parts */
    expect_messages(store, "/b", "0000000000000000_0000000000300000",
                    "a*786437|b*524288|c*262144|d*262144|e|");
    /* a fork has only the part of the message before its fork offset */
    ck_assert_int_eq(ds_create(store, "/f", &inside, NULL, NULL), DS_OK);
    lib_append(store, "/f", "own");
    expect_messages(store, "/f", NULL, "s|a*524288|own|");
    lib_end(store);
}
END_TEST

START_TEST(reading_ends_where_the_function_says_and_goes_on_from_there)
{
    struct ds_store *store = lib_begin();
    struct got got = {store, 2, 0, 0, "", ""};
    struct ds_read_end end;

    lib_create(store, "/b", "text/plain");
    lib_append(store, "/b", "1");
    lib_append(store, "/b", "2");
    lib_append(store, "/b", "3");
    ck_assert_int_eq(ds_close_stream(store, "/b", NULL), DS_OK);
    ck_assert_int_eq(ds_read_messages(store, "/b", NULL, note_message, &got, &end), DS_OK);
    ck_assert_str_eq(got.text, "1|2|");
    ck_assert_str_eq(end.next_offset, got.last);
    ck_assert(!end.up_to_date && !end.closed);
    end = expect_messages(store, "/b", end.next_offset, "3|");
    ck_assert(end.closed);
    lib_end(store);
}
END_TEST

/* More messages than fit on a page. */
enum { MANY = 3000 };

static bool append_another(void *arg, const struct ds_message *message)
{
    struct got *got = arg;

    unit_check(strtol(message->data, NULL, 10) == got->count, "%s is not %d", message->data,
               got->count);
    if (++got->count == MANY / 2) /* allowed, and read as well */
        lib_append(got->store, "/n", "[3000,3001,3002]");
    return true;
}

START_TEST(what_is_appended_meanwhile_is_read_too)
{
    struct ds_store *store = lib_begin();
    struct got got = {store, 0, 0, 0, "", ""};
    struct ds_read_end end;
    char *numbers = malloc(MANY * 5), *at = numbers;

    lib_create(store, "/n", "application/json");
    for (int i = 0; i < MANY; i++)
        at += sprintf(at, "%c%d", i == 0 ? '[' : ',', i);
    (void)strcpy(at, "]");
    lib_append(store, "/n", numbers);
    free(numbers);
    ck_assert_int_eq(ds_read_messages(store, "/n", NULL, append_another, &got, &end), DS_OK);
    ck_assert_int_eq(got.count, MANY + 3);
    ck_assert(end.up_to_date);
    lib_end(store);
}
END_TEST

static bool end_stream(void *arg, const struct ds_message *message)
{
    struct got *got = arg;

    (void)message;
    if (++got->count == 1) {
        ck_assert_int_eq(ds_delete(got->store, "/b"), DS_OK);
        lib_create(got->store, "/b", "text/plain");
        lib_append(got->store, "/b", "a longer text of another stream");
    }
    return true;
}

START_TEST(what_cannot_be_read_says_so)
{
    const struct ds_store_options little = {.read_chunk_bytes = 1};
    struct ds_store *store = NULL;
    struct ds_read_end end = {.next_offset = "untouched"};
    struct got got = {NULL, 100, 0, 0, "", ""};

    lib_make_folder(); /* one message a page */
    ck_assert_int_eq(ds_store_open(lib_database, &little, &store), DS_OK);
    got.store = store;
    lib_create(store, "/b", "text/plain");
    lib_append(store, "/b", "1");
    lib_append(store, "/b", "2");
    ck_assert_int_eq(ds_read_messages(store, "/c", NULL, note_message, &got, &end), DS_NOT_FOUND);
    ck_assert_int_eq(ds_read_messages(store, "/b", "x", note_message, &got, &end), DS_INVALID);
    ck_assert_int_eq(ds_read_messages(store, "/b", "0000000000000000_0000000000000003",
                                      note_message, &got, &end),
                     DS_INVALID);
    ck_assert_int_eq(got.count, 0);
    /* the messages of a later stream at the same path do not belong to this one */
    ck_assert_int_eq(ds_read_messages(store, "/b", NULL, end_stream, &got, &end), DS_NOT_FOUND);
    ck_assert_int_eq(got.count, 1);
    ck_assert_str_eq(end.next_offset, "untouched");
    lib_end(store);
}
END_TEST

UNIT_MAIN(lib_message, each_append_is_a_message_and_each_element_of_a_json_array,
          messages_of_the_state_protocol_are_as_in_a_read,
          a_large_message_comes_in_parts_that_say_so,
          reading_ends_where_the_function_says_and_goes_on_from_there,
          what_is_appended_meanwhile_is_read_too, what_cannot_be_read_says_so)
