// A user of the header in C++, by the oldest standard that we promise.
#include <durable_streams.h>

#include <cstring>
#include <iostream>
#include <string>

namespace
{
int events = 0;

void hear(void *, const ds_event *event)
{
    events += event->kind == DS_EVENT_CREATED;
}

bool print(void *, const ds_stream *stream)
{
    std::cout << stream->path << ' ' << stream->tail << '\n';
    return true;
}

// A worker that claims what is pending, and acks all of it.
bool work(ds_store *store)
{
    ds_claim *claim = nullptr;
    ds_ack ack = ds_ack();
    bool next = true;

    if (ds_subscription_claim(store, "workers", "worker", &claim, nullptr) != DS_OK)
        return false;
    ack.path = claim->link[0].path;
    ack.offset = claim->link[0].tail_offset;
    const bool done =
        ds_subscription_ack(store, "workers", claim, &ack, 1, true, &next, nullptr) == DS_OK;
    ds_claim_free(claim);
    return done && !next;
}
} // namespace

int main()
{
    ds_store_options options = ds_store_options();
    ds_create_options text = ds_create_options();
    ds_subscription_options subscription = ds_subscription_options();
    ds_read_result read;
    ds_store *store = nullptr;
    const std::string message = "from C++";

    subscription.pattern = "*";
    subscription.wake_stream = "/v1/stream/wakes";
    options.durability = DS_DURABILITY_NORMAL;
    options.on_created = hear;
    text.content_type = "text/plain";
    if (ds_store_open(":memory:", &options, &store) != DS_OK ||
        ds_subscription_put(store, "workers", &subscription, nullptr, nullptr, nullptr) != DS_OK ||
        ds_create(store, "/v1/stream/cpp", &text, nullptr, nullptr) != DS_OK ||
        ds_append(store, "/v1/stream/cpp", message.data(), message.size(), nullptr, nullptr) !=
            DS_OK ||
        ds_read(store, "/v1/stream/cpp", DS_START, &read) != DS_OK ||
        ds_list(store, nullptr, print, nullptr) != DS_OK || !work(store))
        return 1;
    std::cout << read.data << '\n';
    ds_read_free(&read);
    ds_store_close(store);
    return events == 1 ? 0 : 1;
}
