-- "VCHN": tells our files from other programs'. Set in the same transaction as the tables.
PRAGMA application_id = 1447249998;

-- What the file belongs to, and what may only grow. One row.
CREATE TABLE wallet (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    fingerprint BLOB CHECK (length(fingerprint) = 32),
    network INTEGER,
    operator BLOB CHECK (length(operator) = 32),
    batch_expiry INTEGER,
    next_key_index INTEGER NOT NULL DEFAULT 0 CHECK (next_key_index BETWEEN 0 AND 2147483648),
    wall INTEGER NOT NULL DEFAULT 0 CHECK (wall >= 0),
    height INTEGER NOT NULL DEFAULT 0 CHECK (height >= 0),
    median INTEGER NOT NULL DEFAULT 0 CHECK (median >= 0),
    CHECK ((fingerprint IS NULL) = (network IS NULL) AND (network IS NULL) = (operator IS NULL))
) STRICT;

INSERT INTO wallet (one) VALUES (1);

CREATE TRIGGER wallet_only_grows BEFORE UPDATE OF next_key_index, wall, height, median ON wallet
WHEN NEW.next_key_index < OLD.next_key_index OR NEW.wall < OLD.wall OR NEW.height < OLD.height OR NEW.median < OLD.median
BEGIN
    SELECT RAISE(ABORT, 'goes back');
END;

CREATE TRIGGER wallet_is_bound BEFORE UPDATE OF fingerprint, network ON wallet
WHEN OLD.fingerprint IS NOT NULL AND (NEW.fingerprint IS NOT OLD.fingerprint OR NEW.network IS NOT OLD.network)
BEGIN
    SELECT RAISE(ABORT, 'bound');
END;

CREATE TABLE meta (
    key TEXT PRIMARY KEY NOT NULL,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;
