-- The journal of flows of several steps, and the coins they hold.
CREATE TABLE flows (
    id BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 32),
    kind TEXT NOT NULL,
    step TEXT NOT NULL,
    data BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE TABLE coin_locks (
    outpoint BLOB PRIMARY KEY NOT NULL CHECK (length(outpoint) = 36),
    flow BLOB NOT NULL REFERENCES flows (id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE INDEX coin_locks_by_flow ON coin_locks (flow);
