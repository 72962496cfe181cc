-- The registry: a JSON stream that lists the streams, in messages of the state protocol. Database
-- triggers update it in the same transaction that creates or deletes a stream, whatever caused it: a
-- request, expiry, the deletion of the last fork of a deleted source, a statement at the sqlite3
-- prompt. The triggers exist only while the registry is switched on
-- (src/store/sqlite/store_registry.c).
--
-- No json_object(): SQLite 3.40 regards JSON functions as unsafe in a schema that is not trusted.

-- A row inserted into this view is appended to the registry as an event. The view is always empty:
-- message_text shows the registry.
CREATE VIEW registry_event AS
SELECT '' AS operation, '' AS path, '' AS content_type, 0 AS created_at WHERE 0;

-- The key of /v1/stream/a/b is a/b. Every other path is its own key, as is one whose short key would
-- look like another's. Paths that are not printable ASCII are left out, since no client can ask for
-- them; so are such parameters of a content type, which would need escaping or might not be UTF-8.
CREATE TRIGGER registry_append INSTEAD OF INSERT ON registry_event
WHEN typeof(NEW.path) = 'text' AND NEW.path NOT GLOB '*[^ -~]*'
BEGIN
    INSERT INTO message (stream_id, position, part, appended_at, payload)
    SELECT id, tail, 0, CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER),
           CAST('{"type":"stream","key":"' || key || '",'
                || CASE NEW.operation WHEN 'insert'
                   THEN '"value":{"path":"' || key || '","contentType":"'
                        || replace(replace(type, '\', '\\'), '"', '\"')
                        || '","createdAt":' || CAST(NEW.created_at AS INTEGER) || '},'
                   ELSE '' END
                || '"headers":{"operation":"' || NEW.operation || '"}}' AS BLOB)
    FROM (SELECT id, tail,
                 replace(replace(CASE WHEN NEW.path GLOB '/v1/stream/[^/]*' THEN substr(NEW.path, 12)
                                      ELSE NEW.path END, '\', '\\'), '"', '\"') AS key,
                 CASE WHEN typeof(NEW.content_type) <> 'text' THEN 'application/octet-stream'
                      WHEN NEW.content_type NOT GLOB '*[^ -~]*' THEN NEW.content_type
                      WHEN NEW.content_type GLOB '?*;*'
                           AND substr(NEW.content_type, 1, instr(NEW.content_type, ';')) NOT GLOB '*[^ -~]*'
                           THEN substr(NEW.content_type, 1, instr(NEW.content_type, ';') - 1)
                      ELSE 'application/octet-stream' END AS type
          FROM stream WHERE registry = 1 AND closed_at IS NULL AND deleted_at IS NULL);

    UPDATE stream
    SET tail = tail + (SELECT length(payload) FROM message
                       WHERE stream_id = stream.id AND position = stream.tail),
        messages = messages + 1
    WHERE registry = 1 AND closed_at IS NULL AND deleted_at IS NULL;
END;

CREATE TRIGGER registry_stream_made AFTER INSERT ON stream
WHEN NEW.registry IS NULL AND NEW.deleted_at IS NULL
     AND EXISTS (SELECT 1 FROM stream WHERE registry = 1)
BEGIN
    INSERT INTO registry_event (operation, path, content_type, created_at)
    VALUES ('insert', NEW.path, NEW.content_type, NEW.created_at);
END;

-- A stream that was marked deleted before has had its event then.
CREATE TRIGGER registry_stream_deleted AFTER DELETE ON stream
WHEN OLD.registry IS NULL AND OLD.deleted_at IS NULL
     AND EXISTS (SELECT 1 FROM stream WHERE registry = 1)
BEGIN
    INSERT INTO registry_event (operation, path) VALUES ('delete', OLD.path);
END;

-- A stream with forks that is marked deleted; or, at the prompt, one that is unmarked or renamed.
CREATE TRIGGER registry_stream_changed AFTER UPDATE OF deleted_at, path ON stream
WHEN NEW.registry IS NULL
     AND ((OLD.deleted_at IS NULL) <> (NEW.deleted_at IS NULL) OR OLD.path <> NEW.path)
     AND EXISTS (SELECT 1 FROM stream WHERE registry = 1)
BEGIN
    INSERT INTO registry_event (operation, path)
    SELECT 'delete', OLD.path WHERE OLD.deleted_at IS NULL;
    INSERT INTO registry_event (operation, path, content_type, created_at)
    SELECT 'insert', NEW.path, NEW.content_type, NEW.created_at WHERE NEW.deleted_at IS NULL;
END;
