/*
 * FastCGI records on the wire (FastCGI 1.0, sections 3.3 and 8).
 *
 * A record is a header, its content, and padding that the receiver skips:
 *
 *     byte 0     1      2  3    4  5      6         7
 *     ┌─────────┬──────┬──────┬─────────┬─────────┬──────────┬─────────┬─────────┐
 *     │ version │ type │  id  │ content │ padding │ reserved │ content │ padding │
 *     │         │      │      │ length  │ length  │          │         │         │
 *     └─────────┴──────┴──────┴─────────┴─────────┴──────────┴─────────┴─────────┘
 *
 * Numbers of two bytes are big-endian; the id is the request's. The names are those of the
 * specification, and therefore also those of libfcgi's fastcgi.h: a file includes one of the two.
 */
#ifndef FCGI_RECORD_H
#define FCGI_RECORD_H

#include <stddef.h>
#include <stdint.h>

enum {
    FCGI_VERSION_1 = 1,
    FCGI_HEADER_LEN = 8,
    /* The most content of a record that needs no padding: lengths should be multiples of 8. */
    FCGI_FULL_CONTENT = 65528,
    FCGI_NULL_REQUEST_ID = 0, /* of records about the application as a whole */
};

/* Record types. */
enum {
    FCGI_BEGIN_REQUEST = 1,
    FCGI_ABORT_REQUEST = 2,
    FCGI_END_REQUEST = 3,
    FCGI_PARAMS = 4,
    FCGI_STDIN = 5,
    FCGI_STDOUT = 6,
    FCGI_STDERR = 7,
    FCGI_DATA = 8,
    FCGI_GET_VALUES = 9,
    FCGI_GET_VALUES_RESULT = 10,
    FCGI_UNKNOWN_TYPE = 11,
};

/*
 * The content of BEGIN_REQUEST is the role in two bytes, the flags in one, and five reserved bytes;
 * that of END_REQUEST the application status in four bytes, the protocol status in one, and three
 * reserved bytes; that of UNKNOWN_TYPE the type in one byte and seven reserved bytes.
 */
enum { FCGI_BEGIN_LEN = 8, FCGI_END_LEN = 8, FCGI_UNKNOWN_LEN = 8 };
enum { FCGI_RESPONDER = 1, FCGI_AUTHORIZER = 2, FCGI_FILTER = 3 };
enum { FCGI_KEEP_CONN = 1 };

/* The names that a web server may ask for by GET_VALUES. */
#define FCGI_MAX_CONNS  "FCGI_MAX_CONNS"
#define FCGI_MAX_REQS   "FCGI_MAX_REQS"
#define FCGI_MPXS_CONNS "FCGI_MPXS_CONNS"

struct fcgi_record {
    int version, type;
    uint16_t id;
    size_t content, padding; /* bytes that follow the header */
};

/* Both take FCGI_HEADER_LEN bytes. */
static inline struct fcgi_record fcgi_record_read(const unsigned char *header)
{
    return (struct fcgi_record){
        .version = header[0],
        .type = header[1],
        .id = (uint16_t)(header[2] << 8 | header[3]),
        .content = (size_t)header[4] << 8 | header[5],
        .padding = header[6],
    };
}

static inline void fcgi_record_write(unsigned char *header, int type, uint16_t id, size_t content,
                                     size_t padding)
{
    header[0] = FCGI_VERSION_1;
    header[1] = (unsigned char)type;
    header[2] = (unsigned char)(id >> 8);
    header[3] = (unsigned char)(id & 0xff);
    header[4] = (unsigned char)(content >> 8);
    header[5] = (unsigned char)(content & 0xff);
    header[6] = (unsigned char)padding;
    header[7] = 0;
}

#endif
