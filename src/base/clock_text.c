/*
 * Times as text: see clock.h.
 *
 * The calendar is two dozen lines of our own, because timegm() and gmtime_r() take a lock in the C
 * library and obey a TZ that asks for leap seconds, and timegm() silently turns February 30 into a
 * day of March. Days are counted from 0000-01-01 of the proleptic Gregorian calendar (RFC 3339
 * section 1).
 *
 * Must hold: clock_parse_time(clock_format_time(t)) is t for every t of the years 0000 to 9999.
 */
#include "base/clock.h"

#include <stdio.h>

#include "base/digits.h"

#define MINUTE_MS INT64_C(60000)
#define DAY_MS    INT64_C(86400000)

enum { DAYS_TO_1970 = 719528, YEARS_MAX = 9999 };

static bool is_leap(int year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* Days from 0000-01-01 to January 1 of year >= 0. Counts the leap years, of which 0 is one. */
static int days_before_year(int year)
{
    return year * 365 + (year + 3) / 4 - (year + 99) / 100 + (year + 399) / 400;
}

/* Days from January 1 to the first of month 1..13, where 13 is the next January. */
static int days_before_month(int month, bool leap)
{
    static const int days[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365};

    return days[month - 1] + (leap && month > 2);
}

/* Reads exactly `count` digits, whose value is at most `max`. A NUL is not a digit, so this stops
   at the end of the text. */
static bool read_number(const char **at, size_t count, int max, int *value)
{
    int64_t number;

    if (!digits_parse(*at, count, max, &number))
        return false;
    *at += count;
    *value = (int)number;
    return true;
}

static bool read_char(const char **at, char c)
{
    if (**at != c)
        return false;
    ++*at;
    return true;
}

/* full-date = 4DIGIT "-" 2DIGIT "-" 2DIGIT */
static bool read_date(const char **at, int64_t *days)
{
    int year, month, day, first;

    if (!read_number(at, 4, YEARS_MAX, &year) || !read_char(at, '-') ||
        !read_number(at, 2, 12, &month) || month < 1 || !read_char(at, '-') ||
        !read_number(at, 2, 31, &day) || day < 1)
        return false;
    first = days_before_month(month, is_leap(year));
    if (day > days_before_month(month + 1, is_leap(year)) - first)
        return false;
    *days = days_before_year(year) + first + day - 1;
    return true;
}

/* partial-time = 2DIGIT ":" 2DIGIT ":" 2DIGIT [ "." 1*DIGIT ] */
static bool read_clock(const char **at, int64_t *ms)
{
    int hour, minute, second, digit, scale = 100;

    if (!read_number(at, 2, 23, &hour) || !read_char(at, ':') || !read_number(at, 2, 59, &minute) ||
        !read_char(at, ':') || !read_number(at, 2, 60, &second))
        return false;
    if (second == 60) /* Unix time has no number for a leap second */
        second = 59;
    *ms = (hour * 60 + minute) * MINUTE_MS + second * 1000;
    if (!read_char(at, '.'))
        return true;
    if (!read_number(at, 1, 9, &digit))
        return false;
    do {
        *ms += digit * scale;
        scale /= 10; /* 0 from the fourth digit on */
    } while (read_number(at, 1, 9, &digit));
    return true;
}

/* time-offset = "Z" / ( "+" / "-" ) 2DIGIT ":" 2DIGIT; how far local time is ahead of UTC */
static bool read_zone(const char **at, int64_t *ms)
{
    int hour, minute;
    bool west = **at == '-';

    *ms = 0;
    if (read_char(at, 'Z') || read_char(at, 'z'))
        return true;
    if (!read_char(at, west ? '-' : '+') || !read_number(at, 2, 23, &hour) || !read_char(at, ':') ||
        !read_number(at, 2, 59, &minute))
        return false;
    *ms = (west ? -1 : 1) * (hour * 60 + minute) * MINUTE_MS;
    return true;
}

bool clock_parse_time(const char *text, int64_t *ms)
{
    int64_t days, clock, zone;

    /* RFC 3339 section 5.6 allows "t"; it also lets applications accept a space, which we do not */
    if (!read_date(&text, &days) || (!read_char(&text, 'T') && !read_char(&text, 't')) ||
        !read_clock(&text, &clock) || !read_zone(&text, &zone) || *text != '\0')
        return false;
    *ms = (days - DAYS_TO_1970) * DAY_MS + clock - zone;
    return true;
}

/* Writes value in exactly `count` digits, then the character `behind`; returns the place after
   both. */
static char *put_number(char *to, int count, int value, char behind)
{
    for (int i = count - 1; i >= 0; i--, value /= 10)
        to[i] = (char)('0' + value % 10);
    to[count] = behind;
    return to + count + 1;
}

void clock_format_time(int64_t ms, char text[static CLOCK_TIME_SIZE])
{
    const int64_t first = -DAYS_TO_1970 * DAY_MS;
    const int64_t last = (days_before_year(YEARS_MAX + 1) - DAYS_TO_1970) * DAY_MS - 1;
    int days, year, month = 12, clock;

    /* a TTL of 2^53-1 s ends in a year that the format has no digits for */
    ms = ms < first ? first : ms > last ? last : ms;
    days = (int)((ms - first) / DAY_MS);
    clock = (int)((ms - first) % DAY_MS);
    /* as if every fourth year were a leap year: never too late, and at most one year too early */
    year = days * 4 / 1461;
    if (days_before_year(year + 1) <= days)
        year++;
    days -= days_before_year(year);
    while (days_before_month(month, is_leap(year)) > days)
        month--;
    days -= days_before_month(month, is_leap(year));
    text = put_number(text, 4, year, '-');
    text = put_number(text, 2, month, '-');
    text = put_number(text, 2, days + 1, 'T');
    text = put_number(text, 2, clock / 3600000, ':');
    text = put_number(text, 2, clock / 60000 % 60, ':');
    text = put_number(text, 2, clock / 1000 % 60, '.');
    text = put_number(text, 3, clock % 1000, 'Z');
    *text = '\0';
}

void clock_format_http(int64_t seconds, char text[static CLOCK_HTTP_SIZE])
{
    static const char days[] = "ThuFriSatSunMonTueWed"; /* 1970 began on a Thursday */
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    char time[CLOCK_TIME_SIZE];
    int month;

    clock_format_time(seconds * 1000, time);
    month = (time[5] - '0') * 10 + time[6] - '1';
    (void)snprintf(text, CLOCK_HTTP_SIZE, "%.3s, %.2s %.3s %.4s %.8s GMT",
                   days + 3 * (seconds / 86400 % 7), time + 8, months + 3 * month, time, time + 11);
}
