-- Kinds of entries and facts, by number.
CREATE TABLE words (
  id   INTEGER PRIMARY KEY,
  word TEXT NOT NULL UNIQUE
) STRICT;

-- The log. record is record.Encode of the entry, hash its SHA-256; the other
-- columns find entries and say nothing that record does not.
CREATE TABLE entries (
  seq    INTEGER PRIMARY KEY,
  kind   INTEGER NOT NULL,
  about  INTEGER,          -- the first 8 bytes of SHA-256 of About; NULL where it is empty
  body   INTEGER,          -- blobs.id; NULL where there is none or it was removed
  hash   BLOB NOT NULL,
  record BLOB NOT NULL
) STRICT;
CREATE INDEX entries_kind ON entries(kind);
CREATE INDEX entries_about ON entries(about) WHERE about IS NOT NULL;

-- Bytes named by their SHA-256, of which short is the first 8 bytes.
CREATE TABLE blobs (
  id    INTEGER PRIMARY KEY,
  short INTEGER NOT NULL,
  data  BLOB NOT NULL      -- packed: a byte that says how, then the bytes
) STRICT;
CREATE INDEX blobs_short ON blobs(short);

-- How many entries hold a blob, where it is more than one.
CREATE TABLE shared (
  blob    INTEGER PRIMARY KEY,
  holders INTEGER NOT NULL
) STRICT;

-- Blobs that an entry holds besides its body.
CREATE TABLE held (
  entry INTEGER NOT NULL,
  blob  INTEGER NOT NULL,
  PRIMARY KEY (entry, blob)
) STRICT, WITHOUT ROWID;

CREATE TABLE facts (
  id    INTEGER PRIMARY KEY,
  kind  INTEGER NOT NULL,
  key   TEXT NOT NULL,
  seq   INTEGER NOT NULL,
  sum   INTEGER NOT NULL,  -- over all other columns but id, so that damage is found when it is read
  tags  BLOB NOT NULL,     -- packed, a NUL between two
  value BLOB NOT NULL      -- packed
) STRICT;
CREATE UNIQUE INDEX facts_key ON facts(kind, key);

-- Tags by number, each of one kind.
CREATE TABLE tags (
  kind INTEGER NOT NULL,
  tag  TEXT NOT NULL,
  id   INTEGER NOT NULL,
  PRIMARY KEY (kind, tag)
) STRICT, WITHOUT ROWID;

-- Which facts have a tag. One row holds 64 tags of a fact, whose numbers are
-- bucket*64 and on: tags that come together have numbers that lie together.
CREATE TABLE tagged (
  bucket INTEGER NOT NULL,
  fact   INTEGER NOT NULL,
  bits   INTEGER NOT NULL,
  PRIMARY KEY (bucket, fact)
) STRICT, WITHOUT ROWID;

CREATE TABLE counters (
  name  TEXT PRIMARY KEY,
  value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO counters VALUES ('tags', 0), ('probe', 0);
