/* Addresses of webhooks: see deliver_guard.h. */
#include "deliver/deliver_guard.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>

#include "protocol/webhook_url.h"

static void note_refused(struct guard *guard, const struct sockaddr *address)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    const char *text = NULL;

    if (address->sa_family == AF_INET) {
        memcpy(&v4, address, sizeof v4);
        text = inet_ntop(AF_INET, &v4.sin_addr, guard->refused, sizeof guard->refused);
    } else if (address->sa_family == AF_INET6) {
        memcpy(&v6, address, sizeof v6);
        text = inet_ntop(AF_INET6, &v6.sin6_addr, guard->refused, sizeof guard->refused);
    }
    if (!text)
        memcpy(guard->refused, "?", 2);
}

curl_socket_t guard_open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct guard *guard = arg;

    if (purpose != CURLSOCKTYPE_IPCXN ||
        !webhook_address_allowed(&address->addr, guard->host, guard->rules)) {
        note_refused(guard, &address->addr);
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}
