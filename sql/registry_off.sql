-- Takes away what registry_on.sql makes.
DROP TRIGGER IF EXISTS registry_stream_made;
DROP TRIGGER IF EXISTS registry_stream_deleted;
DROP TRIGGER IF EXISTS registry_stream_changed;
DROP VIEW IF EXISTS registry_event; -- and with it registry_append
