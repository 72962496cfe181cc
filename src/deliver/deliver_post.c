/* One POST of a webhook: see deliver_post.h. */
#include "deliver/deliver_post.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "deliver/deliver_sign.h"
#include "durable_streams.h"
#include "engine/subscription_json.h"
#include "protocol/json_value.h"
#include "protocol/webhook_url.h"

struct post *post_new(struct arena *arena, const struct subscription_attempt *attempt,
                      const struct webhook_rules *rules)
{
    struct post *post = calloc(1, sizeof *post);

    if (!post)
        return NULL;
    post->arena = arena;
    post->attempt = *attempt;
    post->end.attempt = &post->attempt;
    post->guard = (struct guard){.host = post->host, .rules = rules};
    return post;
}

void post_free(struct post *post)
{
    curl_easy_cleanup(post->easy);
    curl_slist_free_all(post->headers);
    buf_close(&post->text);
    buf_close(&post->answer);
    arena_free(post->arena);
    free(post);
}

/* The text is shown to people, and part of it may come from the receiver. */
static void fail_post(struct post *post, const char *what, const char *detail)
{
    (void)snprintf(post->failure, sizeof post->failure, "%s%s%s", what, detail[0] ? ": " : "",
                   detail);
    for (char *at = post->failure; *at; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            *at = '?';
    post->end.outcome = SUBSCRIPTION_FAILED;
    post->end.failure = post->failure;
}

/* --- the request --- */

static bool set_body(struct post *post, int64_t seconds, size_t *at)
{
    buf_printf(&post->text, "%lld.", (long long)seconds);
    *at = post->text.len;
    subscription_add_webhook(&post->text, &post->attempt);
    return !buf_failed(&post->text);
}

static bool add_header(struct post *post, const char *line)
{
    struct curl_slist *longer = curl_slist_append(post->headers, line);

    if (longer)
        post->headers = longer;
    return longer != NULL;
}

/* libcurl would wait for `100 Continue` before a long body. */
static bool set_headers(struct post *post, const struct signer *signer, int64_t seconds)
{
    struct buf line = {0};
    bool done;

    buf_adds(&line, "webhook-signature: ");
    done = sign_text(signer, seconds, post->text.data, post->text.len, &line);
    buf_addc(&line, '\0');
    done = done && !buf_failed(&line) && add_header(post, line.data) &&
           add_header(post, "content-type: application/json") && add_header(post, "Expect:");
    buf_close(&line);
    return done;
}

/* The host as libcurl understands it, which is what it connects to. */
static bool set_host(struct post *post)
{
    CURLU *url = curl_url();
    char *host = NULL;
    bool done =
        url && curl_url_set(url, CURLUPART_URL, post->attempt.view.row.url, 0) == CURLUE_OK &&
        curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK && strlen(host) < POST_HOST_SIZE;

    if (done)
        memcpy(post->host, host, strlen(host) + 1);
    curl_free(host);
    curl_url_cleanup(url);
    return done;
}

/* --- the answer --- */

static size_t take_head(char *data, size_t size, size_t count, void *arg)
{
    struct post *post = arg;

    (void)data;
    post->head_bytes += size * count;
    return post->head_bytes <= POST_ANSWER_MOST ? size * count : 0;
}

static size_t take_body(char *data, size_t size, size_t count, void *arg)
{
    struct post *post = arg;
    size_t len = size * count;

    if (len > POST_ANSWER_MOST - post->answer.len) {
        post->is_long = true; /* status and head are known, and the rest does not matter */
        return 0;
    }
    buf_add(&post->answer, data, len);
    return buf_failed(&post->answer) ? 0 : len;
}

/* Is the answer a JSON object in which `done` is exactly true? */
static bool is_done(const struct buf *answer)
{
    return answer->len > 0 && !json_precheck(answer->data, answer->len) &&
           json_is_valid(answer->data, answer->len) &&
           json_is_true(json_get(json_value_of(answer->data, answer->len), "done"));
}

/* --- the transfer --- */

static bool set_limits(struct post *post, int64_t now)
{
    int64_t left = post->attempt.deadline - now;
    long time = (long)(left < 1 ? 1 : left > POST_TIME_MS ? POST_TIME_MS : left);

    return curl_easy_setopt(post->easy, CURLOPT_TIMEOUT_MS, time) == CURLE_OK &&
           curl_easy_setopt(post->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)POST_CONNECT_MS) ==
               CURLE_OK &&
           curl_easy_setopt(post->easy, CURLOPT_HEADERFUNCTION, take_head) == CURLE_OK &&
           curl_easy_setopt(post->easy, CURLOPT_HEADERDATA, post) == CURLE_OK &&
           curl_easy_setopt(post->easy, CURLOPT_WRITEFUNCTION, take_body) == CURLE_OK &&
           curl_easy_setopt(post->easy, CURLOPT_WRITEDATA, post) == CURLE_OK;
}

/* Where it may go: to the URL only, and only to addresses that the guard lets pass. A proxy would
   connect in our place, so those of the environment do not count. */
static bool set_ways(struct post *post)
{
    return curl_easy_setopt(post->easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
           curl_easy_setopt(post->easy, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
           curl_easy_setopt(post->easy, CURLOPT_PROXY, "") == CURLE_OK &&
           curl_easy_setopt(post->easy, CURLOPT_NOPROXY, "*") == CURLE_OK &&
           curl_easy_setopt(post->easy, CURLOPT_OPENSOCKETFUNCTION, guard_open_socket) ==
               CURLE_OK &&
           curl_easy_setopt(post->easy, CURLOPT_OPENSOCKETDATA, &post->guard) == CURLE_OK;
}

static bool set_request(struct post *post, size_t body_at)
{
    return curl_easy_setopt(post->easy, CURLOPT_URL, post->attempt.view.row.url) == CURLE_OK &&
           curl_easy_setopt(post->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) ==
               CURLE_OK &&
           curl_easy_setopt(post->easy, CURLOPT_POST, 1L) == CURLE_OK &&
           curl_easy_setopt(post->easy, CURLOPT_POSTFIELDS, post->text.data + body_at) ==
               CURLE_OK &&
           curl_easy_setopt(post->easy, CURLOPT_POSTFIELDSIZE_LARGE,
                            (curl_off_t)(post->text.len - body_at)) == CURLE_OK &&
           curl_easy_setopt(post->easy, CURLOPT_HTTPHEADER, post->headers) == CURLE_OK &&
           curl_easy_setopt(post->easy, CURLOPT_USERAGENT, "durable-streams/" DS_VERSION) ==
               CURLE_OK &&
           curl_easy_setopt(post->easy, CURLOPT_ERRORBUFFER, post->error) == CURLE_OK &&
           curl_easy_setopt(post->easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(post->easy, CURLOPT_PRIVATE, post) == CURLE_OK;
}

bool post_start(struct post *post, CURLM *multi, const struct signer *signer, int64_t now)
{
    int64_t seconds = now / 1000;
    size_t body_at;
    /* the settings may have changed since the subscription was created */
    const char *refusal = webhook_url_check(post->attempt.view.row.url, post->guard.rules);

    if (refusal) {
        fail_post(post, refusal, "");
        return false;
    }
    if (!set_host(post)) {
        fail_post(post, "the URL cannot be used", "");
        return false;
    }
    if (!signer) {
        fail_post(post, "there is no key to sign with", "");
        return false;
    }
    post->easy = curl_easy_init();
    if (post->easy && set_body(post, seconds, &body_at) && set_headers(post, signer, seconds) &&
        set_limits(post, now) && set_ways(post) && set_request(post, body_at) &&
        curl_multi_add_handle(multi, post->easy) == CURLM_OK)
        return true;
    fail_post(post, "out of memory", "");
    return false;
}

static void explain_failure(struct post *post, CURLcode result)
{
    const char *detail = post->error[0] ? post->error : curl_easy_strerror(result);
    bool connects = result == CURLE_COULDNT_CONNECT || result == CURLE_OPERATION_TIMEDOUT;
    char text[POST_FAILURE_SIZE];

    (void)snprintf(text, sizeof text, "the host is at %s, which webhooks may not reach",
                   post->guard.refused);
    if (connects && post->guard.refused[0])
        fail_post(post, text, "");
    else if (result == CURLE_COULDNT_RESOLVE_HOST)
        fail_post(post, "could not resolve the host", "");
    else if (result == CURLE_COULDNT_CONNECT)
        fail_post(post, "could not connect", detail);
    else if (result == CURLE_OPERATION_TIMEDOUT)
        fail_post(post, "the receiver did not answer in time", detail);
    else if (post->head_bytes > POST_ANSWER_MOST)
        fail_post(post, "the head of the receiver's answer is too long", "");
    else
        fail_post(post, "the POST failed", detail);
}

void post_end(struct post *post, CURLcode result)
{
    char text[POST_FAILURE_SIZE];
    long status = 0;

    (void)curl_easy_getinfo(post->easy, CURLINFO_RESPONSE_CODE, &status);
    if (result != CURLE_OK && !post->is_long) {
        explain_failure(post, result);
    } else if (status < 200 || status > 299) {
        (void)snprintf(text, sizeof text, "the receiver answered %ld", status);
        fail_post(post, text, "");
    } else {
        post->end.outcome =
            !post->is_long && is_done(&post->answer) ? SUBSCRIPTION_DONE : SUBSCRIPTION_TAKEN;
        post->end.failure = NULL;
    }
}
