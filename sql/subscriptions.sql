-- Subscriptions (protocol sections 6 and 7): durable cursors that wake workers. The first
-- subscription makes these tables, so that other databases do not carry them.
--
-- Triggers on `stream` keep the links true, whatever makes or ends a stream: a request, expiry, the
-- deletion of the last fork, a statement at the sqlite3 prompt. They only write down what has
-- happened; matching patterns and making wakes is the program's work (src/engine/subscription*.c),
-- in the same transaction, or within a second after a statement at the prompt.
--
-- Delete a subscription with
--
--     DELETE FROM subscription WHERE name = 'x';

CREATE TABLE subscription (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,  -- one that is made again gets its old id: subscription_tombstone
    name            TEXT    NOT NULL UNIQUE,            -- the ID in its URL, decoded
    type            TEXT    NOT NULL,                   -- 'webhook' or 'pull-wake'
    pattern         TEXT,                               -- glob over paths below /v1/stream/; NULL: none
    url             TEXT,                               -- webhook: where wakes are sent
    wake_stream     TEXT,                               -- pull-wake: the path of the stream that gets wake events
    lease_ttl_ms    INTEGER NOT NULL,                   -- length of a lease
    description     TEXT,                               -- for people
    config          TEXT    NOT NULL,                   -- all of the above and the streams of the request that made it, as JSON
    base_url        TEXT    NOT NULL,                   -- scheme, host and prefix of its URLs
    created_at      INTEGER NOT NULL,                   -- time

    generation      INTEGER NOT NULL DEFAULT 0,         -- counts wakes; never goes back
    wake_id         TEXT,                               -- the wake in flight; NULL: none, and nothing is pending
    token           TEXT,                               -- the secret in the tokens of this generation
    woken_at        INTEGER,                            -- time of the last wake
    event_due       INTEGER,                            -- 1: the wake stream is missing or closed, its event is still to be written
    holder          TEXT,                               -- pull-wake: the worker that has the lease
    lease_until     INTEGER,                            -- end of the lease; NULL: nobody has it
    attempts        INTEGER NOT NULL DEFAULT 0,         -- webhook: POSTs since the last `done` or callback
    next_attempt_at INTEGER,                            -- time of the next POST; NULL: none is due
    failed_at       INTEGER,                            -- time of the last failed POST; NULL: it did not fail
    failure         TEXT,                               --   and what was wrong
    unsettled       INTEGER,                            -- 1: upkeep must look whether it needs a wake: a stream of it has ended, or it was imported

    CONSTRAINT "type is webhook or pull-wake" CHECK (type IN ('webhook', 'pull-wake')),
    CONSTRAINT "a webhook has a url" CHECK (type <> 'webhook' OR typeof(url) = 'text'),
    CONSTRAINT "a pull-wake has a wake_stream" CHECK (type <> 'pull-wake' OR typeof(wake_stream) = 'text'),
    CONSTRAINT "a holder has a lease" CHECK (holder IS NULL OR (wake_id IS NOT NULL AND lease_until IS NOT NULL))
);

-- without webhooks that will be tried again, of which there may be many: the attempt looks at their lease
CREATE INDEX subscription_by_lease ON subscription (lease_until)
WHERE lease_until IS NOT NULL AND next_attempt_at IS NULL;
CREATE INDEX subscription_by_attempt ON subscription (next_attempt_at) WHERE next_attempt_at IS NOT NULL;
CREATE INDEX subscription_by_wake_stream ON subscription (wake_stream) WHERE wake_stream IS NOT NULL;
CREATE INDEX subscription_by_pattern ON subscription (pattern) WHERE pattern IS NOT NULL;
CREATE INDEX subscription_unsettled ON subscription (unsettled) WHERE unsettled IS NOT NULL;

-- Deleted subscriptions: one of the same name goes on with id and generation, so that tokens and
-- producer epochs of its earlier life stay stale.
CREATE TABLE subscription_tombstone (
    name       TEXT    PRIMARY KEY NOT NULL, -- as in subscription
    id         INTEGER NOT NULL,
    generation INTEGER NOT NULL,             -- the last one
    deleted_at INTEGER NOT NULL              -- time
) WITHOUT ROWID;

-- The streams of a subscription, each with its cursor. A link is explicit (named by a client), or
-- made by the pattern, or both.
CREATE TABLE subscription_link (
    subscription_id INTEGER NOT NULL,           -- subscription.id
    path            TEXT    NOT NULL,           -- of the stream, as in stream.path
    stream_id       INTEGER,                    -- stream.id; NULL: an explicit link to a stream that does not exist
    is_explicit     INTEGER NOT NULL DEFAULT 0, -- 1: named by a client
    is_glob         INTEGER NOT NULL DEFAULT 0, -- 1: matched by the pattern
    acked           INTEGER NOT NULL,           -- the cursor, a position; -1: from the start of the stream
    pending         INTEGER NOT NULL DEFAULT 0, -- 1: the stream has data after the cursor
    PRIMARY KEY (subscription_id, path)
) WITHOUT ROWID;

CREATE INDEX subscription_link_by_stream ON subscription_link (stream_id) WHERE stream_id IS NOT NULL;
CREATE INDEX subscription_link_absent ON subscription_link (path) WHERE stream_id IS NULL;
CREATE INDEX subscription_link_pending ON subscription_link (subscription_id, pending) WHERE pending = 1;

-- Streams that were made and are still to be compared with patterns and explicit links; and the
-- registry, to which another trigger has appended that.
CREATE TABLE subscription_arrival (
    stream_id INTEGER PRIMARY KEY -- stream.id
);

-- Streams that have ended while a lease was held. Its holder may have read them, so its acks do not
-- count for the next streams of these paths. Rows of earlier generations mean nothing; the next
-- stream that ends under a lease takes them away.
CREATE TABLE subscription_ended (
    subscription_id INTEGER NOT NULL, -- subscription.id
    generation      INTEGER NOT NULL, -- of the lease
    path            TEXT    NOT NULL, -- as in subscription_link
    PRIMARY KEY (subscription_id, generation, path)
) WITHOUT ROWID;

CREATE TRIGGER subscription_deleted AFTER DELETE ON subscription
BEGIN
    INSERT OR REPLACE INTO subscription_tombstone (name, id, generation, deleted_at)
    VALUES (OLD.name, OLD.id, OLD.generation, CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER));
    DELETE FROM subscription_link WHERE subscription_id = OLD.id;
    DELETE FROM subscription_ended WHERE subscription_id = OLD.id;
END;

-- stream.subscribed says whether an append must look for links.
CREATE TRIGGER subscription_link_made AFTER INSERT ON subscription_link WHEN NEW.stream_id IS NOT NULL
BEGIN
    UPDATE stream SET subscribed = 1 WHERE id = NEW.stream_id AND subscribed IS NULL;
END;

CREATE TRIGGER subscription_link_moved AFTER UPDATE OF stream_id ON subscription_link
WHEN NEW.stream_id IS NOT NULL
BEGIN
    UPDATE stream SET subscribed = 1 WHERE id = NEW.stream_id AND subscribed IS NULL;
END;

CREATE TRIGGER subscription_link_ended AFTER DELETE ON subscription_link WHEN OLD.stream_id IS NOT NULL
BEGIN
    UPDATE stream SET subscribed = NULL
    WHERE id = OLD.stream_id
      AND NOT EXISTS (SELECT 1 FROM subscription_link WHERE stream_id = OLD.stream_id);
END;

CREATE TRIGGER subscription_stream_made AFTER INSERT ON stream
WHEN NEW.registry IS NULL AND NEW.deleted_at IS NULL
BEGIN
    INSERT INTO subscription_arrival (stream_id) VALUES (NEW.id);
    INSERT OR IGNORE INTO subscription_arrival (stream_id)
    SELECT id FROM stream WHERE registry = 1 AND subscribed = 1;
END;

-- A row inserted into this view ends the links of a stream; the view is always empty.
CREATE VIEW subscription_stream_end AS SELECT 0 AS stream_id, '' AS path WHERE 0;

-- The links of the pattern end with the stream. Explicit ones wait for the next stream of this
-- path, from its start. A wake event that was lost with its stream is due again.
CREATE TRIGGER subscription_end_links INSTEAD OF INSERT ON subscription_stream_end
BEGIN
    UPDATE subscription SET unsettled = 1
    WHERE id IN (SELECT subscription_id FROM subscription_link
                 WHERE stream_id = NEW.stream_id AND pending = 1);
    DELETE FROM subscription_ended
    WHERE (subscription_id, generation) IN
          (SELECT e.subscription_id, e.generation
           FROM subscription_link AS l
           JOIN subscription AS s ON s.id = l.subscription_id
           JOIN subscription_ended AS e ON e.subscription_id = s.id AND e.generation < s.generation
           WHERE l.stream_id = NEW.stream_id);
    INSERT OR IGNORE INTO subscription_ended (subscription_id, generation, path)
    SELECT s.id, s.generation, l.path
    FROM subscription_link AS l
    JOIN subscription AS s ON s.id = l.subscription_id
    WHERE l.stream_id = NEW.stream_id AND s.lease_until IS NOT NULL;
    DELETE FROM subscription_link WHERE stream_id = NEW.stream_id AND is_explicit = 0;
    UPDATE subscription_link SET stream_id = NULL, is_glob = 0, acked = -1, pending = 0
    WHERE stream_id = NEW.stream_id;
    UPDATE stream SET subscribed = NULL WHERE id = NEW.stream_id;
    UPDATE subscription SET event_due = 1
    WHERE wake_stream = NEW.path AND wake_id IS NOT NULL AND lease_until IS NULL;
    DELETE FROM subscription_arrival WHERE stream_id = NEW.stream_id;
    INSERT OR IGNORE INTO subscription_arrival (stream_id)
    SELECT id FROM stream WHERE registry = 1 AND subscribed = 1;
END;

CREATE TRIGGER subscription_stream_deleted AFTER DELETE ON stream WHEN OLD.deleted_at IS NULL
BEGIN
    INSERT INTO subscription_stream_end (stream_id, path) VALUES (OLD.id, OLD.path);
END;

-- A stream that is marked deleted, because forks read it; or, at the prompt, unmarked or renamed.
CREATE TRIGGER subscription_stream_changed AFTER UPDATE OF deleted_at, path ON stream
WHEN (OLD.deleted_at IS NULL) <> (NEW.deleted_at IS NULL) OR OLD.path <> NEW.path
BEGIN
    INSERT INTO subscription_stream_end (stream_id, path) VALUES (OLD.id, OLD.path);
    INSERT INTO subscription_arrival (stream_id)
    SELECT NEW.id WHERE NEW.deleted_at IS NULL AND NEW.registry IS NULL;
END;

-- Patterns do not match the registry, which would wake workers by their own subscriptions. A client
-- may name it.
CREATE TRIGGER subscription_stream_registered AFTER UPDATE OF registry ON stream WHEN NEW.registry = 1
BEGIN
    UPDATE subscription SET unsettled = 1
    WHERE id IN (SELECT subscription_id FROM subscription_link
                 WHERE stream_id = NEW.id AND is_explicit = 0 AND pending = 1);
    DELETE FROM subscription_link WHERE stream_id = NEW.id AND is_explicit = 0;
    UPDATE subscription_link SET is_glob = 0 WHERE stream_id = NEW.id;
    INSERT OR IGNORE INTO subscription_arrival (stream_id) VALUES (NEW.id);
END;

-- Subscriptions for people: what each is doing, with times in UTC.
CREATE VIEW subscription_overview AS
SELECT name,
       type,
       pattern,
       CASE WHEN wake_id IS NULL THEN 'idle'
            WHEN type = 'pull-wake' AND lease_until IS NULL THEN 'waits for a claim'
            WHEN type = 'pull-wake' THEN 'held'
            WHEN failed_at IS NOT NULL THEN 'failed, will be tried again'
            WHEN next_attempt_at IS NOT NULL THEN 'is being delivered'
            ELSE 'waits for a callback' END AS state,
       generation,
       (SELECT count(*) FROM subscription_link WHERE subscription_id = s.id) AS links,
       (SELECT count(*) FROM subscription_link WHERE subscription_id = s.id AND pending = 1) AS pending,
       holder,
       strftime('%Y-%m-%dT%H:%M:%SZ', lease_until / 1000, 'unixepoch') AS lease_until,
       attempts,
       strftime('%Y-%m-%dT%H:%M:%SZ', next_attempt_at / 1000, 'unixepoch') AS next_attempt,
       failure,
       ifnull(url, wake_stream) AS target,
       strftime('%Y-%m-%dT%H:%M:%SZ', created_at / 1000, 'unixepoch') AS created,
       description
FROM subscription AS s;

-- Their streams, with offsets as clients see them.
CREATE VIEW subscription_link_overview AS
SELECT name AS subscription,
       l.path,
       CASE WHEN is_explicit THEN 'explicit' ELSE 'glob' END AS link_type,
       CASE WHEN acked < 0 THEN '-1' ELSE printf('0000000000000000_%016d', acked) END AS acked_offset,
       printf('0000000000000000_%016d', ifnull(tail, 0)) AS tail_offset,
       pending,
       stream_id IS NOT NULL AS "exists"
FROM subscription_link AS l
JOIN subscription ON subscription.id = subscription_id
LEFT JOIN stream ON stream.id = stream_id;
