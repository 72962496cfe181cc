-- Injected faults, with which clients are tested. All processes that run with DS_TEST_ENDPOINTS=1 obey
-- this table at once; POST /_test/inject-error writes to it too. For example,
--
--     INSERT INTO faults (path, status) VALUES ('/v1/stream/x', 503);
--
-- makes the next request to that stream fail, which also removes the row again.

CREATE TABLE faults (
    path                TEXT    PRIMARY KEY NOT NULL,   -- of the stream, as in stream.path; without a query
    method              TEXT,                           -- only requests with this method, in upper or lower case; NULL: all except OPTIONS
    count               INTEGER NOT NULL DEFAULT 1,     -- number of requests still to meet it; 0 or less counts as 1
    probability         REAL    NOT NULL DEFAULT 1,     -- that a request meets it, 0 to 1; requests that do not are not counted

    delay_ms            INTEGER,                        -- the request first waits this many milliseconds,
    jitter_ms           INTEGER NOT NULL DEFAULT 0,     --   and a random time of up to this many more
    drop_connection     INTEGER NOT NULL DEFAULT 0,     -- 1: then the connection is closed without an answer,
    status              INTEGER,                        -- or this is the status of the answer, and the request has no effect
    retry_after         INTEGER,                        --   (Retry-After: of that answer, in seconds),
    truncate_body_bytes INTEGER,                        -- or the body of a GET is cut after this many bytes
    corrupt_body        INTEGER NOT NULL DEFAULT 0,     --   or, with 1, has some bits flipped,
    sse_event_type      TEXT,                           -- or an SSE reader first receives an event of this type
    sse_event_data      TEXT    NOT NULL DEFAULT '',    --   and with this data

    CONSTRAINT "path begins with /" CHECK (typeof(path) = 'text' AND path LIKE '/%'),
    CONSTRAINT "path is without a query" CHECK (instr(path, '?') = 0),
    CONSTRAINT "method is a word" CHECK (typeof(method) IN ('null', 'text')),
    CONSTRAINT "count is a number" CHECK (count BETWEEN -1e15 AND 1e15),
    CONSTRAINT "probability is 0 to 1" CHECK (probability BETWEEN 0 AND 1),
    CONSTRAINT "delay_ms is 0 to a day" CHECK (delay_ms BETWEEN 0 AND 86400000),
    CONSTRAINT "jitter_ms is 0 to a day" CHECK (jitter_ms BETWEEN 0 AND 86400000),
    CONSTRAINT "drop_connection is 0 or 1" CHECK (drop_connection IN (0, 1)),
    CONSTRAINT "status is 200 to 599" CHECK (status BETWEEN 200 AND 599),
    CONSTRAINT "retry_after is a number of seconds" CHECK (retry_after BETWEEN 0 AND 1e9),
    CONSTRAINT "truncate_body_bytes is a number" CHECK (truncate_body_bytes BETWEEN 0 AND 1e15),
    CONSTRAINT "corrupt_body is 0 or 1" CHECK (corrupt_body IN (0, 1)),
    CONSTRAINT "sse_event_type is one line"
        CHECK (typeof(sse_event_type) IN ('null', 'text') AND sse_event_type NOT GLOB ('*[' || char(10, 13) || ']*')),
    CONSTRAINT "sse_event_data is text" CHECK (typeof(sse_event_data) = 'text'),
    CONSTRAINT "one of status, delay_ms, drop_connection, truncate_body_bytes, corrupt_body, sse_event_type is given"
        CHECK (status IS NOT NULL OR delay_ms IS NOT NULL OR drop_connection OR truncate_body_bytes IS NOT NULL
               OR corrupt_body OR sse_event_type IS NOT NULL)
) WITHOUT ROWID;
