/* HTTP for dsctl: see cli_http.h. */
#include "cli/cli_http.h"

#include <ctype.h>
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/clock.h"
#include "base/digits.h"
#include "durable_streams.h"

enum {
    PAUSE_FIRST_MS = 100,
    PAUSE_MOST_MS = 5000,
    RETRY_MS = 10000,
    CONNECT_S = 10,
    SILENCE_S = 150, /* in a live answer: longer than usual long-polls and keep-alives */
    ERROR_BODY_MAX = 4096,
};

struct cli_http {
    struct cli *cli;
    CURL *curl;
    long timeout_s;
    bool said_lost; /* a lost connection has been reported */
    /* of the current request */
    const struct cli_request *request;
    struct cli_answer *answer;
    bool was_stopped; /* by its sink */
    int sent; /* how many times: libcurl repeats a request by itself if a reused connection turns
                 out to be dead */
};

/* These options become headers, in which a line break would begin another header. */
static bool check_headers(const struct cli *cli)
{
    static const char *const names[] = {"content-type", "producer", "seq", "offset"};
    const char *value;

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        for (size_t at = 0; (value = cli_args_next(&cli->args, names[i], &at));)
            if (strpbrk(value, "\r\n")) {
                (void)cli_fail(cli, CLI_USAGE, "--%s is one line", names[i]);
                return false;
            }
    return true;
}

struct cli_http *cli_http_new(struct cli *cli)
{
    struct cli_http *http;
    int64_t timeout = 60;

    if (!check_headers(cli))
        return NULL;
    http = calloc(1, sizeof *http);
    if (!http || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(http);
        (void)cli_no_memory(cli);
        return NULL;
    }
    http->cli = cli;
    http->curl = curl_easy_init();
    if (!http->curl)
        (void)cli_no_memory(cli);
    if (!http->curl || !cli_duration(cli, "timeout", 1, 86400, &timeout)) {
        cli_http_free(http);
        return NULL;
    }
    http->timeout_s = (long)timeout;
    return http;
}

void cli_http_free(struct cli_http *http)
{
    if (!http)
        return;
    if (http->curl)
        curl_easy_cleanup(http->curl);
    curl_global_cleanup();
    free(http);
}

void cli_http_drop(struct cli_answer *answer)
{
    buf_close(&answer->head);
    buf_close(&answer->body);
    *answer = (struct cli_answer){0};
}

const char *cli_http_header(const struct cli_answer *answer, const char *name)
{
    const char *at = answer->head.data, *end = at ? at + answer->head.len : at;
    size_t len = strlen(name);

    for (; at < end; at += strlen(at) + 1)
        if (strncasecmp(at, name, len) == 0 && at[len] == ':')
            return at + len + 1 + strspn(at + len + 1, " \t");
    return NULL;
}

bool cli_http_is_true(const struct cli_answer *answer, const char *name)
{
    const char *value = cli_http_header(answer, name);

    return value && strcasecmp(value, "true") == 0;
}

void cli_http_pause(int64_t *pause_ms)
{
    int64_t ms;
    struct timespec pause;

    *pause_ms = *pause_ms == 0 ? PAUSE_FIRST_MS : *pause_ms * 2;
    if (*pause_ms > PAUSE_MOST_MS)
        *pause_ms = PAUSE_MOST_MS;
    /* at random, so that clients do not all return at once after a restart */
    ms = *pause_ms / 2 + (int64_t)clock_random() % (*pause_ms / 2 + 1);
    pause = (struct timespec){ms / 1000, ms % 1000 * 1000000};
    (void)nanosleep(&pause, NULL);
}

/* --------------------------------------------------------------------------- libcurl calls -- */

static size_t take_header(char *line, size_t size, size_t count, void *arg)
{
    struct cli_http *http = arg;
    size_t len = size * count, whole = len;

    if (len >= 5 && memcmp(line, "HTTP/", 5) == 0) { /* drop the headers of a 100 Continue */
        buf_clear(&http->answer->head);
        return whole;
    }
    while (len > 0 && isspace((unsigned char)line[len - 1]))
        len--;
    buf_add(&http->answer->head, line, len);
    if (len > 0)
        buf_addc(&http->answer->head, '\0');
    return buf_failed(&http->answer->head) ? 0 : whole;
}

static size_t take_body(char *data, size_t size, size_t count, void *arg)
{
    struct cli_http *http = arg;
    const struct cli_request *request = http->request;
    size_t len = size * count;
    long status = 0;

    (void)curl_easy_getinfo(http->curl, CURLINFO_RESPONSE_CODE, &status);
    if (request->sink && status == 200) {
        http->was_stopped = !request->sink(request->arg, data, len);
        return http->was_stopped ? 0 : len;
    }
    if (status >= 300 && http->answer->body.len > ERROR_BODY_MAX)
        return len;
    buf_add(&http->answer->body, data, len);
    return buf_failed(&http->answer->body) ? 0 : len;
}

/* Called each time before a request is sent. */
static int note_sent(void *arg, char *ip, char *local_ip, int port, int local_port)
{
    struct cli_http *http = arg;

    (void)ip;
    (void)local_ip;
    (void)port;
    (void)local_port;
    if (++http->sent > 1)
        http->answer->repeated = true;
    return CURL_PREREQFUNC_OK;
}

/* A proxy from the environment is not meant for this machine. */
static bool is_local(const char *url)
{
    static const char *const hosts[] = {"localhost", "127.", "[::1]"};
    const char *host = strstr(url, "://");

    host = host ? host + 3 : url;
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++)
        if (strncmp(host, hosts[i], strlen(hosts[i])) == 0)
            return true;
    return false;
}

static bool add_line(struct curl_slist **list, const char *line)
{
    struct curl_slist *longer = curl_slist_append(*list, line);

    if (longer)
        *list = longer;
    return longer != NULL;
}

/* A worker shows the token of its claim: only one header can be Authorization. */
static bool is_replaced(const struct cli_request *request, const char *line)
{
    static const char name[] = "Authorization:";

    return request->headers[0] && strncasecmp(request->headers[0], name, strlen(name)) == 0 &&
           strncasecmp(line, name, strlen(name)) == 0;
}

static bool make_headers(const struct cli_http *http, struct curl_slist **list)
{
    const struct cli_login *login = &http->cli->login;
    bool ok = add_line(list, "Expect:"); /* do not wait for 100 Continue */

    for (size_t i = 0; ok && http->request->headers[i]; i++)
        ok = add_line(list, http->request->headers[i]);
    for (size_t i = 0; ok && i < login->n_headers; i++)
        ok = is_replaced(http->request, login->headers[i]) || add_line(list, login->headers[i]);
    return ok;
}

static void set_options(struct cli_http *http, struct curl_slist *headers)
{
    const struct cli_request *request = http->request;
    const char *cacert = cli_value(http->cli, "cacert");
    const struct cli_login *login = &http->cli->login;
    CURL *curl = http->curl;

    curl_easy_reset(curl); /* the connection stays open */
    (void)curl_easy_setopt(curl, CURLOPT_URL, request->url);
    (void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_USERAGENT, "dsctl/" DS_VERSION);
    (void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
    (void)curl_easy_setopt(curl, CURLOPT_HEADERDATA, http);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, http);
    (void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, http->answer->error);
    (void)curl_easy_setopt(curl, CURLOPT_PREREQFUNCTION, note_sent);
    (void)curl_easy_setopt(curl, CURLOPT_PREREQDATA, http);
    (void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_S);
    /* time out after silence, not because of slowness */
    (void)curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME,
                           request->is_live ? (long)SILENCE_S : http->timeout_s);
    if (!request->is_live)
        (void)curl_easy_setopt(curl, CURLOPT_ACCEPT_ENCODING, "");
    /* keep libcurl from repeating it: see sent */
    (void)curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT,
                           (long)(request->has_body && !request->is_safe));
    if (is_local(request->url))
        (void)curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    if (cacert)
        (void)curl_easy_setopt(curl, CURLOPT_CAINFO, cacert);
    if (cli_has(http->cli, "insecure")) {
        (void)curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
        (void)curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    if (login->user) {
        (void)curl_easy_setopt(curl, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
        (void)curl_easy_setopt(curl, CURLOPT_USERNAME, login->user);
        (void)curl_easy_setopt(curl, CURLOPT_PASSWORD, login->password);
    }
    if (request->has_body) {
        (void)curl_easy_setopt(curl, CURLOPT_POST, 1L);
        (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->len);
        (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->len ? request->body : "");
    } else if (strcmp(request->method, "HEAD") == 0) {
        (void)curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    }
    (void)curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
}

/* ------------------------------------------------------------------------------- attempts -- */

/* The outcome of one attempt. */
enum outcome {
    ANSWERED,
    BUSY,      /* 429, 503: not carried out */
    NOBODY,    /* no connection: not carried out */
    UNCERTAIN, /* it may have been carried out */
    HOPELESS,  /* the URL, TLS, memory: another attempt cannot help */
};

static enum outcome judge_answer(const struct cli_http *http, CURLcode code)
{
    long status = http->answer->status;

    if (code == CURLE_OK || http->was_stopped) {
        if (status == 429 || status == 503)
            return BUSY;
        return status == 500 || status == 502 || status == 504 ? UNCERTAIN : ANSWERED;
    }
    switch (code) {
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return NOBODY;
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
    case CURLE_BAD_CONTENT_ENCODING:
        return UNCERTAIN;
    default:
        return HOPELESS;
    }
}

/* Describes an error. libcurl describes a refused connection with figures that do not help. */
static void name_error(struct cli_http *http, CURLcode code)
{
    struct cli_answer *answer = http->answer;
    long number = 0;

    (void)curl_easy_getinfo(http->curl, CURLINFO_OS_ERRNO, &number);
    if (code == CURLE_COULDNT_CONNECT && number > 0)
        (void)snprintf(answer->error, sizeof answer->error, "cannot connect: %s",
                       strerror((int)number));
    else if (http->was_stopped)
        (void)snprintf(answer->error, sizeof answer->error, "the answer is damaged");
    else if (!answer->error[0])
        (void)snprintf(answer->error, sizeof answer->error, "%s", curl_easy_strerror(code));
}

static enum outcome try_once(struct cli_http *http)
{
    struct cli_answer *answer = http->answer;
    struct curl_slist *headers = NULL;
    CURLcode code = CURLE_OUT_OF_MEMORY;

    buf_clear(&answer->head);
    buf_clear(&answer->body);
    answer->status = 0;
    answer->error[0] = '\0';
    http->was_stopped = false;
    http->sent = 0;
    if (make_headers(http, &headers)) {
        set_options(http, headers);
        code = curl_easy_perform(http->curl);
        (void)curl_easy_getinfo(http->curl, CURLINFO_RESPONSE_CODE, &answer->status);
    }
    curl_slist_free_all(headers);
    answer->is_complete = code == CURLE_OK;
    if (code != CURLE_OK)
        name_error(http, code);
    if (answer->status > 0)
        http->cli->is_connected = true;
    return judge_answer(http, code);
}

static bool may_repeat(const struct cli_http *http, enum outcome outcome, int64_t deadline)
{
    if (outcome == ANSWERED || outcome == HOPELESS || http->request->once)
        return false;
    if (outcome == UNCERTAIN && !http->request->is_safe)
        return false;
    if (outcome == NOBODY && !http->cli->is_connected && http->cli->retry_ms < 0)
        return false;
    return http->request->endless || clock_monotonic_ms() < deadline;
}

static void wait_for_retry(struct cli_http *http, enum outcome outcome, int64_t *pause_ms)
{
    const char *after = cli_http_header(http->answer, "Retry-After");
    int64_t seconds;

    if (outcome != BUSY && !http->said_lost) {
        if (http->answer->status > 0)
            cli_note(http->cli, "the server answers %ld; trying again", http->answer->status);
        else
            cli_note(http->cli, "%s; trying again", http->answer->error);
        http->said_lost = true;
    }
    if (outcome == BUSY && after && digits_parse(after, strlen(after), 60, &seconds) &&
        seconds > 0) {
        struct timespec pause = {(time_t)seconds, 0};

        (void)nanosleep(&pause, NULL);
    } else {
        cli_http_pause(pause_ms);
    }
}

enum cli_exit cli_http_send(struct cli_http *http, const struct cli_request *request,
                            struct cli_answer *answer)
{
    int64_t retry_ms = http->cli->retry_ms < 0 ? RETRY_MS : http->cli->retry_ms, pause_ms = 0;
    int64_t deadline = clock_monotonic_ms() + retry_ms;
    enum outcome outcome;

    http->request = request;
    http->answer = answer;
    answer->repeated = false;
    for (;;) {
        outcome = try_once(http);
        if (!may_repeat(http, outcome, deadline))
            break;
        answer->repeated = answer->repeated || outcome == UNCERTAIN;
        wait_for_retry(http, outcome, &pause_ms);
    }
    if (outcome == ANSWERED)
        http->said_lost = false;
    if (answer->status > 0 && (answer->is_complete || http->was_stopped))
        return CLI_DONE;
    if (request->once && outcome != HOPELESS)
        return CLI_DONE;
    if (outcome == UNCERTAIN && !request->is_safe)
        return cli_fail(http->cli, CLI_UNREACHABLE,
                        "%s: %s; it is unknown whether the request was carried out", http->cli->url,
                        answer->error);
    return cli_fail(http->cli, CLI_UNREACHABLE, "%s: %s", http->cli->url, answer->error);
}
