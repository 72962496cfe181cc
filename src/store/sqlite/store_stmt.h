/* The statements of the program, and the functions that run them. */
#ifndef STORE_STMT_H
#define STORE_STMT_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "protocol/status.h"

struct store_conn;

/* Every statement that a request can reach; store_stmt.c has their SQL in the same order. */
enum stmt {
    STMT_BEGIN_READ,
    STMT_BEGIN_WRITE,
    STMT_COMMIT,
    STMT_ROLLBACK,
    STMT_STREAM_BY_PATH,
    STMT_STREAM_BY_ID,
    STMT_STREAM_SOURCE,
    STMT_STREAM_INSERT,
    STMT_STREAM_RESTORE,
    STMT_STREAM_UPDATE,
    STMT_STREAM_GROW,
    STMT_STREAM_RENEW,
    STMT_STREAM_DELETE,
    STMT_STREAM_MARK_DELETED,
    STMT_STREAM_COLLECT,
    STMT_STREAM_HAS_FORKS,
    STMT_STREAM_EXPIRED,
    STMT_STREAM_ORPHANED,
    STMT_MESSAGE_INSERT,
    STMT_MESSAGE_READ,
    STMT_MESSAGE_READ_INSIDE,
    STMT_MESSAGE_START,
    STMT_MESSAGE_PLACES,
    STMT_MESSAGE_SLICE,
    STMT_MESSAGE_ALL,
    STMT_MESSAGE_COUNT,
    STMT_MESSAGE_DELETE,
    STMT_PRODUCER_GET,
    STMT_PRODUCER_PUT,
    STMT_PRODUCER_ALL,
    STMT_PRODUCER_DELETE,
    STMT_GARBAGE_NEXT,
    STMT_GARBAGE_DONE,
    STMT_REGISTRY,
    STMT_REGISTRY_ON,
    STMT_REGISTRY_OFF,
    STMT_FAULT_FIND,
    STMT_FAULT_AFTER,
    STMT_FAULT_LAST,
    STMT_FAULT_COUNT,
    STMT_FAULT_SET,
    STMT_FAULT_CLEAR,
    STMT_FAULT_CLEAR_ALL,
    STMT_FAULT_LIST,
    STMT_FAULT_PARSE,
    STMT_SUBSCRIPTION_BY_NAME,
    STMT_SUBSCRIPTION_BY_ID,
    STMT_SUBSCRIPTION_AFTER,
    STMT_SUBSCRIPTION_INSERT,
    STMT_SUBSCRIPTION_LIFE,
    STMT_SUBSCRIPTION_UPDATE,
    STMT_SUBSCRIPTION_POSTPONE,
    STMT_SUBSCRIPTION_DELETE,
    STMT_SUBSCRIPTION_UNBURY,
    STMT_SUBSCRIPTION_COUNT,
    STMT_TOMBSTONE_DATE,
    STMT_SUBSCRIPTION_DUE,
    STMT_SUBSCRIPTION_TO_ATTEMPT,
    STMT_SUBSCRIPTION_WITH_EVENT,
    STMT_SUBSCRIPTION_NEXT_ATTEMPT,
    STMT_SUBSCRIPTION_NEXT_LEASE_END,
    STMT_SUBSCRIPTION_NEED,
    STMT_SUBSCRIPTION_PATTERNS,
    STMT_SUBSCRIPTION_IS_WAKE_STREAM,
    STMT_SUBSCRIPTION_CANDIDATES,
    STMT_ARRIVAL_NEXT,
    STMT_ARRIVAL_DONE,
    STMT_LINK_GET,
    STMT_LINK_PUT,
    STMT_LINK_MATCH,
    STMT_LINK_DELETE,
    STMT_LINK_PENDING,
    STMT_LINK_OTHERS,
    STMT_LINK_ALL,
    STMT_LINK_HAS_ENDED,
    STMT_LINK_COUNT,
    STMT_LINK_HAS_PENDING,
    STMT_LINK_LOOK,
    STMT_LINK_GROW,
    STMT_LINK_UNGLOB_SUBSCRIPTION,
    STMT_LINK_UNGLOB,
    STMT_LINK_ONLY_EXPLICIT,
    STMT_LINK_ARRIVE,
    STMT_WEBHOOK_KEYS,
    STMT_WEBHOOK_KEY_PUT,
    STMT_WEBHOOK_KEY_DELETE,
    STMT_SCHEMA_VERSION,
    STMT_UPKEEP_CHECKPOINT,
    STMT_DATA_VERSION,
    STMT_PAGE_COUNT,
    STMT_COUNT
};

extern const char *const stmt_sql[STMT_COUNT];

/* The statement, ready for binding. NULL, with *status and a log line, if it cannot be prepared. */
sqlite3_stmt *stmt_get(struct store_conn *conn, enum stmt which, enum ds_status *status);

/* Prepares a statement that no request runs; the caller finalizes it. sql is a constant. NULL as
   above. */
sqlite3_stmt *stmt_prepare(struct store_conn *conn, const char *sql, enum ds_status *status);

/* Runs a statement that returns no rows, and resets it. */
enum ds_status stmt_run(struct store_conn *conn, sqlite3_stmt *stmt);

/* Steps once; *row says whether there is a row. The caller resets the statement. */
enum ds_status stmt_step(struct store_conn *conn, sqlite3_stmt *stmt, bool *row);

/* Runs a statement with up to two integers as parameters. */
enum ds_status stmt_run_ids(struct store_conn *conn, enum stmt which, int64_t a, int64_t b);

/* Runs a statement with one text as parameter. */
enum ds_status stmt_run_text(struct store_conn *conn, enum stmt which, const char *text);

/* As stmt_run_ids(), and reads one number: 0 if there is no row, or NULL in it. */
enum ds_status stmt_query_int(struct store_conn *conn, enum stmt which, int64_t a, int64_t b,
                              int64_t *value);

/* Reads one number with SQL that no request runs. */
enum ds_status stmt_ask_int(struct store_conn *conn, const char *sql, int64_t *value);

/* Turns an SQLite result code into a status, and logs what an operator should know. */
enum ds_status store_status(struct store_conn *conn, int code, const char *doing);

#endif
