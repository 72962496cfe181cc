/* nearest.c: which name the user meant, and when to suggest none. */
#include "base/nearest.h"

#include "unit.h"

static const char *const commands[] = {"serve", "create", "append", "tail",   "ls",
                                       "show",  "close",  "rm",     "fork",   "fault",
                                       "check", "export", "import", "compact"};
static const char *const settings[] = {
    "WORKERS", "PROCESSES", "LOG_LEVEL", "WAL_BYTES", "LONG_POLL_TIMEOUT_MS", "IO_TIMEOUT_MS"};

static void expect(const char *word, const char *const *names, size_t n, const char *expected)
{
    const char *found = nearest_name(word, names, n);

    ck_assert_msg(expected ? found && strcmp(found, expected) == 0 : !found,
                  "\"%s\" is like %s, expected %s", word, found ? found : "nothing",
                  expected ? expected : "nothing");
}

START_TEST(finds_a_misspelt_name)
{
    static const struct {
        const char *word, *meant;
    } cases[] = {
        {"appnd", "append"},  {"appned", "append"}, {"apppend", "append"}, {"upend", NULL},
        {"sl", "ls"},         {"l", "ls"},          {"lst", "ls"},         {"rn", "rm"},
        {"tial", "tail"},     {"TAIL", "tail"},     {"creat", "create"},   {"imp", "import"},
        {"exprot", "export"}, {"eXPort", "export"}, {"folk", "fork"},      {"ap", NULL},
        {"con", NULL},        {"subscribe", NULL},  {"x", NULL},           {"", NULL},
        {"delete", NULL},
    };

    for (size_t i = 0; i < COUNT(cases); i++)
        expect(cases[i].word, commands, COUNT(commands), cases[i].meant);
}
END_TEST

START_TEST(finds_a_misspelt_setting)
{
    expect("WORKER", settings, COUNT(settings), "WORKERS");
    expect("PROCESS", settings, COUNT(settings), "PROCESSES");
    expect("LOG", settings, COUNT(settings), "LOG_LEVEL");
    expect("LOGLEVEL", settings, COUNT(settings), "LOG_LEVEL");
    expect("LONGPOLL_TIMEOUT", settings, COUNT(settings), "LONG_POLL_TIMEOUT_MS");
    expect("OUT", settings, COUNT(settings), NULL);
    expect("COLOUR", settings, COUNT(settings), NULL);
}
END_TEST

START_TEST(the_nearest_wins_and_the_first_of_equals)
{
    static const char *const names[] = {"abcdef", "abcdxx", "abcdex", "abcdey"};

    expect("abcdee", names, COUNT(names), "abcdef");
    expect("abcdxz", names, COUNT(names), "abcdxx");
    expect("abcdey", names, COUNT(names), "abcdey");
    expect("abc", names, COUNT(names), "abcdef");
    expect("abc", names, 0, NULL);
}
END_TEST

START_TEST(long_words_resemble_nothing)
{
    char longest[NEAREST_LONGEST + 1], longer[NEAREST_LONGEST + 2], *word;
    const char *names[2] = {longer, longest};

    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    memset(longer, 'a', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    expect(longest, names, COUNT(names), longest);
    expect(longer, names, COUNT(names), NULL);
    word = malloc(100001);
    ck_assert_ptr_nonnull(word);
    memset(word, 'a', 100000);
    word[100000] = '\0';
    expect(word, names, COUNT(names), NULL);
    free(word);
}
END_TEST

UNIT_MAIN(nearest, finds_a_misspelt_name, finds_a_misspelt_setting,
          the_nearest_wins_and_the_first_of_equals, long_words_resemble_nothing)
