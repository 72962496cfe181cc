-- Views for people at the sqlite3 prompt. The program itself reads only the tables.

-- Streams, with offsets as clients see them and times in UTC.
CREATE VIEW stream_overview AS
SELECT path,
       content_type,
       messages,
       tail AS bytes,
       printf('0000000000000000_%016d', tail) AS tail,
       CASE WHEN deleted_at NOTNULL THEN 'deleted, kept for forks'
            WHEN expires_at <= strftime('%s') * 1000 THEN 'expired'
            WHEN closed_at NOTNULL THEN 'closed'
            ELSE 'open' END AS state,
       strftime('%Y-%m-%dT%H:%M:%SZ', created_at / 1000, 'unixepoch') AS created,
       strftime('%Y-%m-%dT%H:%M:%SZ', closed_at / 1000, 'unixepoch') AS closed,
       ttl_seconds,
       strftime('%Y-%m-%dT%H:%M:%SZ', expires_at / 1000, 'unixepoch') AS expires,
       (SELECT path FROM stream WHERE id = s.source_id) AS forked_from,
       CASE WHEN source_id NOTNULL THEN printf('0000000000000000_%016d', fork_position) END AS forked_at
FROM stream AS s;

-- Messages: text and JSON as text, all others in hexadecimal.
CREATE VIEW message_text AS
SELECT path,
       printf('0000000000000000_%016d', position) AS "offset",
       part,
       strftime('%Y-%m-%dT%H:%M:%fZ', appended_at / 1000.0, 'unixepoch') AS appended,
       length(payload) AS bytes,
       CASE WHEN content_type LIKE 'text/%' OR content_type LIKE 'application/json%'
            THEN CAST(payload AS TEXT) ELSE hex(payload) END AS payload
FROM message JOIN stream ON stream.id = stream_id;

-- Idempotent producers by path.
CREATE VIEW producer_overview AS
SELECT path,
       producer_id,
       epoch,
       p.last_seq,
       strftime('%Y-%m-%dT%H:%M:%SZ', updated_at / 1000, 'unixepoch') AS updated
FROM producer AS p JOIN stream ON stream.id = stream_id;
