-- What a person wants to see at the sqlite3 prompt. For people only: the program reads the tables.

-- Streams as people think of them: offsets as clients see them, times in UTC.
CREATE VIEW stream_overview AS
SELECT s.path,
       s.content_type,
       s.messages,
       s.tail AS bytes,
       printf('%016d_%016d', 0, s.tail) AS tail,
       CASE WHEN s.deleted_at IS NOT NULL THEN 'deleted, kept for forks'
            WHEN s.expires_at <= CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) THEN 'expired'
            WHEN s.closed_at IS NOT NULL THEN 'closed'
            ELSE 'open' END AS state,
       strftime('%Y-%m-%dT%H:%M:%SZ', s.created_at / 1000, 'unixepoch') AS created,
       strftime('%Y-%m-%dT%H:%M:%SZ', s.closed_at / 1000, 'unixepoch') AS closed,
       s.ttl_seconds,
       strftime('%Y-%m-%dT%H:%M:%SZ', s.expires_at / 1000, 'unixepoch') AS expires,
       source.path AS forked_from,
       CASE WHEN s.source_id IS NOT NULL THEN printf('%016d_%016d', 0, s.fork_position) END AS forked_at
FROM stream AS s LEFT JOIN stream AS source ON source.id = s.source_id;

-- Messages in readable form: text and JSON as text, anything else in hexadecimal.
CREATE VIEW message_text AS
SELECT s.path,
       printf('%016d_%016d', 0, m.position) AS "offset",
       m.part,
       strftime('%Y-%m-%dT%H:%M:%fZ', m.appended_at / 1000.0, 'unixepoch') AS appended,
       length(m.payload) AS bytes,
       CASE WHEN lower(s.content_type) LIKE 'text/%'
              OR lower(s.content_type) LIKE 'application/json%' THEN CAST(m.payload AS TEXT)
            ELSE hex(m.payload) END AS payload
FROM message AS m JOIN stream AS s ON s.id = m.stream_id;

-- Idempotent producers by path.
CREATE VIEW producer_overview AS
SELECT s.path,
       p.producer_id,
       p.epoch,
       p.last_seq,
       strftime('%Y-%m-%dT%H:%M:%SZ', p.updated_at / 1000, 'unixepoch') AS updated
FROM producer AS p JOIN stream AS s ON s.id = p.stream_id;
