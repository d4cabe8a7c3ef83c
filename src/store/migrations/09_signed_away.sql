-- What the wallet signed its coins away for. A batch takes them once its commitment transaction is in a block, and never
-- without; an ark transaction that is final has taken them.
CREATE TABLE signed_away (
    outpoint BLOB NOT NULL CHECK (length(outpoint) = 36),
    spent_by BLOB NOT NULL CHECK (length(spent_by) = 32),
    -- The coin is gone for good.
    final INTEGER NOT NULL CHECK (final IN (0, 1)),
    PRIMARY KEY (outpoint, spent_by)
) STRICT, WITHOUT ROWID;

-- Of coins in older files nobody knows what for.
INSERT INTO signed_away (outpoint, spent_by, final) SELECT outpoint, zeroblob(32), 1 FROM known_coins WHERE done = 1;
