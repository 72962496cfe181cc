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
} // namespace

int main()
{
    ds_store_options options = ds_store_options();
    ds_create_options text = ds_create_options();
    ds_read_result read;
    ds_store *store = nullptr;
    const std::string message = "from C++";

    options.durability = DS_DURABILITY_NORMAL;
    options.on_created = hear;
    text.content_type = "text/plain";
    if (ds_store_open(":memory:", &options, &store) != DS_OK ||
        ds_create(store, "/v1/stream/cpp", &text, nullptr, nullptr) != DS_OK ||
        ds_append(store, "/v1/stream/cpp", message.data(), message.size(), nullptr, nullptr) !=
            DS_OK ||
        ds_read(store, "/v1/stream/cpp", DS_START, &read) != DS_OK ||
        ds_list(store, nullptr, print, nullptr) != DS_OK)
        return 1;
    std::cout << read.data << '\n';
    ds_read_free(&read);
    ds_store_close(store);
    return events == 1 ? 0 : 1;
}
