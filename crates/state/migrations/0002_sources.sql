-- Where principals come from: empty for people's own doing, else the source
-- that lists them, `sync:<kind>:<endpoint>`; `removed` since when it does not.
ALTER TABLE principals ADD COLUMN source TEXT NOT NULL DEFAULT '';
ALTER TABLE principals ADD COLUMN removed INTEGER; -- µs since 1970

-- Keys the same. A source may tell no secret; `active` is what people switch,
-- `suspended` what the source says.
CREATE TABLE access_keys_2 (
    id            TEXT PRIMARY KEY,
    principal     TEXT NOT NULL REFERENCES principals (arn) ON DELETE CASCADE,
    sealed_secret BLOB,
    active        INTEGER NOT NULL CHECK (active IN (0, 1)),
    created       INTEGER NOT NULL, -- µs since 1970
    source        TEXT NOT NULL DEFAULT '',
    suspended     INTEGER NOT NULL DEFAULT 0 CHECK (suspended IN (0, 1)),
    removed       INTEGER -- µs since 1970
) STRICT;
INSERT INTO access_keys_2 (id, principal, sealed_secret, active, created)
    SELECT id, principal, sealed_secret, active, created FROM access_keys;
DROP TABLE access_keys;
ALTER TABLE access_keys_2 RENAME TO access_keys;
CREATE INDEX access_keys_by_principal ON access_keys (principal);
CREATE INDEX access_keys_by_source ON access_keys (source) WHERE source <> '';
