-- Durable Streams in SQLite.
--
-- Times are Unix milliseconds, and positions are payload bytes from the start of a stream. The views
-- in views.sql show both as people and clients read them. A row of `stream` may be deleted at the
-- sqlite3 prompt: running processes notice it within a second, and the triggers below do the rest.
--
-- Every process that opens the database parses its whole schema, and a CGI process does so for one
-- request. So the triggers of the registry (registry.sql) exist only while it is on, and the table
-- of faults (faults.sql), those of subscriptions (subscriptions.sql) and the keys of webhooks
-- (webhook_keys.sql) are made only when they are needed.
--
-- `dsctl check` compares these statements with those of a database, but not their comments.
--
-- To change the schema after a release, add a file that migrates from the version before, and raise
-- SCHEMA_VERSION (src/store/sqlite/schema.h).

PRAGMA application_id = 0x44735374; -- "DsSt"
PRAGMA user_version = 6; -- SCHEMA_VERSION; earlier versions were never released

-- One row for each stream, from its creation until its deletion; a deleted stream that forks read keeps
-- its row until the last fork is gone.
CREATE TABLE stream (
    id               INTEGER PRIMARY KEY AUTOINCREMENT, -- never reused: a new stream at an old path gets a new id
    path             TEXT    NOT NULL UNIQUE,           -- the normalised path of its URL
    content_type     TEXT    NOT NULL,                  -- as sent by the request that created it
    tail             INTEGER NOT NULL DEFAULT 0,        -- position after the last byte; a fork counts inherited bytes
    messages         INTEGER NOT NULL DEFAULT 0,        -- its own messages; a fork does not count inherited ones
    created_at       INTEGER NOT NULL,                  -- time
    closed_at        INTEGER,                           -- NULL while the stream is open
    closed_producer  TEXT,                              -- the producer that closed it, if one did,
    closed_epoch     INTEGER,                           --   the epoch
    closed_seq       INTEGER,                           --   and the sequence number of that request
    ttl_seconds      INTEGER,                           -- Stream-TTL: every read and write moves expires_at
    expires_at       INTEGER,                           -- the deadline; renewals by reads are saved within a second
    last_seq         BLOB,                              -- the highest Stream-Seq so far, compared byte by byte
    source_id        INTEGER REFERENCES stream (id),    -- the stream that this one was forked from
    fork_position    INTEGER,                           -- bytes before this position are inherited, later ones are its own
    fork_offset      INTEGER,                           -- Stream-Fork-Offset as a position; the tail of the source if not sent
    fork_sub_offset  INTEGER,                           -- Stream-Fork-Sub-Offset; 0 if not sent
    deleted_at       INTEGER,                           -- deleted, but kept because forks read it; answered with 410
    registry         INTEGER CHECK (registry = 1),      -- 1: this stream is the registry
    subscribed       INTEGER CHECK (subscribed = 1)     -- 1: a subscription has a link to it (subscriptions.sql)
);

CREATE INDEX stream_by_source ON stream (source_id) WHERE source_id IS NOT NULL;
CREATE INDEX stream_by_expiry ON stream (expires_at) WHERE expires_at IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX stream_deleted ON stream (deleted_at) WHERE deleted_at IS NOT NULL;
-- at most one registry; also finds quickly that there is none
CREATE UNIQUE INDEX stream_registry ON stream (registry) WHERE registry IS NOT NULL;

-- The messages of all streams in the order of arrival, so that appends change few pages. A body of
-- more than 256 KiB in a byte stream takes several rows, numbered by part.
CREATE TABLE message (
    id          INTEGER PRIMARY KEY,
    stream_id   INTEGER NOT NULL, -- stream.id
    position    INTEGER NOT NULL, -- of its first byte in the stream
    part        INTEGER NOT NULL, -- 0 in the first row of a message, then 1, 2, …
    appended_at INTEGER NOT NULL, -- time
    payload     BLOB    NOT NULL  -- as received; JSON without surrounding white space
);

CREATE UNIQUE INDEX message_by_position ON message (stream_id, position);

-- Idempotent producers: the last epoch and sequence of each in a stream.
CREATE TABLE producer (
    stream_id   INTEGER NOT NULL, -- stream.id
    producer_id TEXT    NOT NULL, -- Producer-Id
    epoch       INTEGER NOT NULL, -- Producer-Epoch
    last_seq    INTEGER NOT NULL, -- the last Producer-Seq that was accepted
    updated_at  INTEGER NOT NULL, -- time of that request
    PRIMARY KEY (stream_id, producer_id)
) WITHOUT ROWID;

-- Deleted streams whose messages and producers the sweep still has to delete.
CREATE TABLE garbage (
    stream_id INTEGER PRIMARY KEY -- the former stream.id
);

-- Counts checkpoints. Each of them first writes this row to the write-ahead log:
-- src/store/sqlite/store_checkpoint.c says why.
CREATE TABLE upkeep (
    id          INTEGER PRIMARY KEY CHECK (id = 1), -- one row; none before the first checkpoint
    checkpoints INTEGER NOT NULL                    -- number of checkpoints begun so far
);

-- Forks read their source, so a source can only be marked deleted (deleted_at).
CREATE TRIGGER stream_keep_source BEFORE DELETE ON stream
WHEN EXISTS (SELECT 1 FROM stream AS fork WHERE fork.source_id = OLD.id)
BEGIN
    SELECT RAISE(ABORT, 'this stream has forks: delete those first, or set deleted_at');
END;

CREATE TRIGGER stream_leave_garbage AFTER DELETE ON stream
BEGIN
    INSERT INTO garbage (stream_id) VALUES (OLD.id);
END;
