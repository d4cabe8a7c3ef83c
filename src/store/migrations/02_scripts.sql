-- Scripts whose coins are ours, and how to sign for them.
CREATE TABLE scripts (
    script BLOB PRIMARY KEY NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('vtxo', 'boarding', 'chain')),
    key_index INTEGER NOT NULL,
    operator BLOB NOT NULL CHECK (length(operator) = 32),
    delay INTEGER,
    CHECK ((kind = 'chain') = (delay IS NULL))
) STRICT, WITHOUT ROWID;
