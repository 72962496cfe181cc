/*
 * Checks each address before a connection to it is opened. The URL was checked when the
 * subscription was created, but a name may resolve to anything, and later to something else.
 */
#ifndef DELIVER_GUARD_H
#define DELIVER_GUARD_H

#include <curl/curl.h>
#include <netinet/in.h>

struct webhook_rules;

struct guard {
    const char *host; /* of the URL, as libcurl understands it */
    const struct webhook_rules *rules;
    char refused[INET6_ADDRSTRLEN]; /* the last address that was refused; "" if none was */
};

/* For CURLOPT_OPENSOCKETFUNCTION, with a struct guard. Thread-safe with a guard of its own. */
curl_socket_t guard_open_socket(void *guard, curlsocktype purpose, struct curl_sockaddr *address);

#endif
