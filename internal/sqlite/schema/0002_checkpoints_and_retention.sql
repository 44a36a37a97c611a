-- Signed checkpoints, by the number of entries that they were signed for.
CREATE TABLE checkpoints (
  size INTEGER PRIMARY KEY,
  note TEXT NOT NULL
) STRICT;

-- Up to which entry of a kind bodies have been removed.
CREATE TABLE expired (
  kind INTEGER PRIMARY KEY,
  seq  INTEGER NOT NULL
) STRICT;
