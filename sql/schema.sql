-- Durable Streams in SQLite.
--
-- Times are Unix milliseconds, positions are payload bytes from the start of a stream; the views
-- in views.sql show both as people and clients read them. A row of `stream` may be deleted at the
-- sqlite3 prompt: running processes notice within a second, and the triggers below see to the rest.
--
-- Each process that opens the database reads all of its schema, a CGI process for one request. So
-- the registry's triggers (registry.sql) and the table of faults (faults.sql) are there only while
-- they are used.
--
-- To change the schema once it was released: a file of its own that brings the version before it to
-- this one, and SCHEMA_VERSION (src/schema.h).

PRAGMA application_id = 0x44735374; -- "DsSt"
PRAGMA user_version = 6; -- SCHEMA_VERSION; those before it were never released

-- One row a stream, from its creation until it is deleted or, while forks read it, collected.
CREATE TABLE stream (
    id               INTEGER PRIMARY KEY AUTOINCREMENT, -- the incarnation: a path used again gets another
    path             TEXT    NOT NULL UNIQUE,           -- the URL path, normalised
    content_type     TEXT    NOT NULL,                  -- as the creator sent it
    tail             INTEGER NOT NULL DEFAULT 0,        -- position after the last byte, inherited ones included
    messages         INTEGER NOT NULL DEFAULT 0,        -- own messages, inherited ones not counted
    created_at       INTEGER NOT NULL,
    closed_at        INTEGER,                           -- NULL while open
    closed_producer  TEXT,                              -- the producer whose request closed it, if one did,
    closed_epoch     INTEGER,                           --   with the epoch
    closed_seq       INTEGER,                           --   and sequence of that request
    ttl_seconds      INTEGER,                           -- Stream-TTL: expires_at moves with every read and write
    expires_at       INTEGER,                           -- the deadline; up to a second behind while only read
    last_seq         BLOB,                              -- the highest Stream-Seq, compared bytewise
    source_id        INTEGER REFERENCES stream (id),    -- the stream this one was forked from
    fork_position    INTEGER,                           -- inherited up to here, own from here on
    fork_offset      INTEGER,                           -- Stream-Fork-Offset as a position, the tail if none was sent
    fork_sub_offset  INTEGER,                           -- Stream-Fork-Sub-Offset, 0 if none was sent
    deleted_at       INTEGER,                           -- deleted, but kept while forks read it: 410
    registry         INTEGER CHECK (registry = 1)       -- 1: this stream is the registry
);

CREATE INDEX stream_by_source ON stream (source_id) WHERE source_id IS NOT NULL;
CREATE INDEX stream_by_expiry ON stream (expires_at) WHERE expires_at IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX stream_deleted ON stream (deleted_at) WHERE deleted_at IS NOT NULL;
-- one at the most; and found at once, also when there is none
CREATE UNIQUE INDEX stream_registry ON stream (registry) WHERE registry IS NOT NULL;

-- Messages in the order of arrival, of all streams: appending changes few pages that way. A body
-- of a byte stream that is larger than 256 KiB lies in several rows, numbered by part.
CREATE TABLE message (
    id          INTEGER PRIMARY KEY,
    stream_id   INTEGER NOT NULL,
    position    INTEGER NOT NULL, -- of the first byte
    part        INTEGER NOT NULL, -- 0 for the first row of a message
    appended_at INTEGER NOT NULL,
    payload     BLOB    NOT NULL  -- as received; JSON without white space around it
);

CREATE UNIQUE INDEX message_by_position ON message (stream_id, position);

-- Idempotent producers: what each last wrote to a stream.
CREATE TABLE producer (
    stream_id   INTEGER NOT NULL,
    producer_id TEXT    NOT NULL,
    epoch       INTEGER NOT NULL,
    last_seq    INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    PRIMARY KEY (stream_id, producer_id)
) WITHOUT ROWID;

-- Deleted streams whose messages and producers are still to be cleared away, a slice at a time.
CREATE TABLE garbage (
    stream_id INTEGER PRIMARY KEY
);

-- Counts checkpoints: each appends this row to the write-ahead log first, for the reason that
-- src/store_checkpoint.c gives.
CREATE TABLE upkeep (
    id          INTEGER PRIMARY KEY CHECK (id = 1), -- one row, from the first checkpoint on
    checkpoints INTEGER NOT NULL                    -- begun so far
);

-- Forks read their source: it may be marked deleted (deleted_at), never taken away under them.
CREATE TRIGGER stream_keep_source BEFORE DELETE ON stream
WHEN EXISTS (SELECT 1 FROM stream AS fork WHERE fork.source_id = OLD.id)
BEGIN
    SELECT RAISE(ABORT, 'this stream has forks: delete those first, or set deleted_at');
END;

CREATE TRIGGER stream_leave_garbage AFTER DELETE ON stream
BEGIN
    INSERT INTO garbage (stream_id) VALUES (OLD.id);
END;
