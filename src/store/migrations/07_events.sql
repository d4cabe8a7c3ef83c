-- Events other than payments, until the app has acknowledged them. A number is never used twice, so that an old
-- token cannot acknowledge a new event.
CREATE TABLE events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    channel BLOB CHECK (length(channel) = 32),
    kind TEXT NOT NULL,
    data BLOB NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
