/*
 * The empty CGI program, which is the upper bound for plain CGI: a process that reads its
 * environment and the body, and answers 204 with the header lines of an append's answer. It needs
 * only libc, so it loads no other library, and opens no database.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

int main(void)
{
    static char body[65536];
    const char *target = "";

    for (char **entry = environ; *entry; entry++)
        if (strncmp(*entry, "REQUEST_URI=", 12) == 0)
            target = *entry + 12;
    while (read(STDIN_FILENO, body, sizeof body) > 0)
        ;
    (void)printf("Status: %s\r\n"
                 "X-Content-Type-Options: nosniff\r\n"
                 "Cross-Origin-Resource-Policy: cross-origin\r\n"
                 "Access-Control-Allow-Origin: *\r\n"
                 "Access-Control-Expose-Headers: Stream-Next-Offset, Stream-Cursor, "
                 "Stream-Up-To-Date, Stream-Closed, Stream-TTL, Stream-Expires-At, "
                 "Stream-SSE-Data-Encoding, Producer-Epoch, Producer-Seq, Producer-Expected-Seq, "
                 "Producer-Received-Seq, Location, ETag, Content-Type, Content-Encoding, "
                 "Retry-After, Vary\r\n"
                 "Stream-Next-Offset: 0000000000000000_0000000000000000\r\n"
                 "Cache-Control: no-store\r\n"
                 "\r\n",
                 strcmp(target, "/health") == 0 ? "200 OK" : "204 No Content");
    return 0;
}
