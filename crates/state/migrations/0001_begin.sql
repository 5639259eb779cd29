-- Who is registered.
CREATE TABLE principals (
    arn           TEXT PRIMARY KEY,
    account       TEXT NOT NULL,
    kind          TEXT NOT NULL CHECK (kind IN ('root', 'user', 'role')),
    name          TEXT NOT NULL,
    path          TEXT NOT NULL,
    id            TEXT NOT NULL,
    administrator INTEGER NOT NULL CHECK (administrator IN (0, 1)),
    created       INTEGER NOT NULL, -- µs since 1970
    UNIQUE (account, kind, name)
) STRICT;

-- Their keys; secrets are sealed under `key/<id>`.
CREATE TABLE access_keys (
    id            TEXT PRIMARY KEY,
    principal     TEXT NOT NULL REFERENCES principals (arn) ON DELETE CASCADE,
    sealed_secret BLOB NOT NULL,
    active        INTEGER NOT NULL CHECK (active IN (0, 1)),
    created       INTEGER NOT NULL -- µs since 1970
) STRICT;
CREATE INDEX access_keys_by_principal ON access_keys (principal);

-- What passing answers showed: `key/<id>` and `principal/<arn>`; whole facts
-- sealed under `learned/<subject>`. `sequence` is the journal's.
CREATE TABLE learned (
    subject  TEXT PRIMARY KEY,
    sequence INTEGER NOT NULL,
    expires  INTEGER, -- µs since 1970; null for what does not end
    active   INTEGER NOT NULL CHECK (active IN (0, 1)),
    sealed   BLOB NOT NULL
) STRICT;
CREATE INDEX learned_by_end ON learned (expires);

-- Where each reader of the journal stands; the text is the journal's.
CREATE TABLE positions (
    reader   TEXT PRIMARY KEY,
    position TEXT NOT NULL,
    advanced INTEGER NOT NULL -- µs since 1970
) STRICT;

-- Single values; secret ones are sealed under `meta/<name>`.
CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;
