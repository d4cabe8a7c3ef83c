-- Invites handed out by this wallet. Each is good for one channel.
CREATE TABLE invites (
    id BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 32),
    encoded BLOB NOT NULL,
    key_index INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used INTEGER NOT NULL DEFAULT 0 CHECK (used IN (0, 1))
) STRICT, WITHOUT ROWID;

CREATE TRIGGER invite_stays_used BEFORE UPDATE ON invites WHEN OLD.used = 1
BEGIN
    SELECT RAISE(ABORT, 'used');
END;
