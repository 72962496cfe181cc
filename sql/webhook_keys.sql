-- The keys that sign webhooks (Ed25519). The first process that delivers webhooks makes this table.
-- Whoever can read it can sign as this server; `dsctl export` leaves it out unless asked.

CREATE TABLE webhook_key (
    kid        TEXT    PRIMARY KEY NOT NULL, -- ds_ and the thumbprint of the public key (RFC 7638)
    x          TEXT    NOT NULL,             -- the public key, 32 bytes in base64url
    seed       BLOB    NOT NULL,             -- the private key, 32 bytes
    created_at INTEGER NOT NULL,             -- time; published since then
    signs_from INTEGER NOT NULL,             -- time of its first signature
    signs_until INTEGER                      -- time of its last signature; NULL: none is planned. Published a while longer
) WITHOUT ROWID;
