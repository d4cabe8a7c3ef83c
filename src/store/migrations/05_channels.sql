-- A channel is one row in each of three tables, by how often they change: never, at every payment, rarely.
CREATE TABLE channels (
    n INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE CHECK (length(id) = 32),
    role TEXT NOT NULL CHECK (role IN ('payer', 'receiver')),
    terms BLOB NOT NULL,
    capacity INTEGER NOT NULL CHECK (capacity > 0),
    funding BLOB NOT NULL UNIQUE CHECK (length(funding) = 36),
    funding_kind TEXT NOT NULL CHECK (funding_kind IN ('batch', 'offchain')),
    key_index INTEGER NOT NULL,
    commitments BLOB NOT NULL CHECK (length(commitments) % 32 = 0),
    batch_expiry INTEGER NOT NULL,
    expiry INTEGER NOT NULL CHECK (expiry >= 0),
    expires_at INTEGER NOT NULL CHECK (expires_at >= 0),
    levels INTEGER NOT NULL CHECK (levels >= 0),
    created_at INTEGER NOT NULL CHECK (created_at >= 0)
) STRICT;

-- The row a payment writes: small, so that a payment changes one page, and with all that the rules below look at.
CREATE TABLE channel_hot (
    n INTEGER PRIMARY KEY REFERENCES channels (n) ON DELETE CASCADE,
    id BLOB NOT NULL UNIQUE CHECK (length(id) = 32),
    role TEXT NOT NULL,
    capacity INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN (
        'confirming', 'open', 'closing', 'closed', 'settled', 'refunding', 'refunded', 'exiting', 'lost'
    )),
    amount INTEGER NOT NULL DEFAULT 0 CHECK (amount BETWEEN 0 AND capacity),
    previous INTEGER,
    ark_signature BLOB CHECK (length(ark_signature) = 64),
    exit_signature BLOB CHECK (length(exit_signature) = 64),
    high INTEGER NOT NULL DEFAULT 0 CHECK (high BETWEEN amount AND capacity),
    ring BLOB NOT NULL,
    acknowledged INTEGER NOT NULL DEFAULT 0 CHECK (acknowledged IN (0, 1)),
    authorisation_hash BLOB CHECK (length(authorisation_hash) = 32),
    last_watch INTEGER NOT NULL DEFAULT 0 CHECK (last_watch >= 0),
    notified INTEGER NOT NULL DEFAULT 0 CHECK (notified BETWEEN 0 AND capacity),
    CHECK ((previous IS NULL) = (ark_signature IS NULL) AND (previous IS NULL) = (exit_signature IS NULL)),
    CHECK (previous IS NOT NULL OR amount = 0)
) STRICT;

CREATE TABLE channel_rare (
    n INTEGER PRIMARY KEY REFERENCES channels (n) ON DELETE CASCADE,
    authorisation BLOB,
    submit_answer BLOB,
    result_txid BLOB CHECK (length(result_txid) = 32),
    result_outpoint BLOB CHECK (length(result_outpoint) = 36)
) STRICT;

CREATE TRIGGER channels_never_change
BEFORE UPDATE OF n, id, role, terms, capacity, funding, funding_kind, key_index, levels, created_at ON channels
BEGIN
    SELECT RAISE(ABORT, 'static');
END;

-- Until the commitment transaction is buried, its confirmation and with it the expiry may still move.
CREATE TRIGGER channels_expiry_is_fixed
BEFORE UPDATE OF commitments, batch_expiry, expiry, expires_at ON channels
WHEN NOT EXISTS (SELECT 1 FROM channel_hot WHERE n = OLD.n AND state = 'confirming')
BEGIN
    SELECT RAISE(ABORT, 'static');
END;

CREATE TRIGGER channel_hot_never_changes BEFORE UPDATE OF n, id, role, capacity ON channel_hot
BEGIN
    SELECT RAISE(ABORT, 'static');
END;

-- The promise to both sides: what was signed or received is never forgotten, and a channel that is being left takes
-- no payment.
CREATE TRIGGER channel_update
BEFORE UPDATE OF amount, previous, ark_signature, exit_signature, high ON channel_hot
BEGIN
    SELECT CASE
        WHEN OLD.state NOT IN ('confirming', 'open')
            AND NOT (OLD.state = 'closing' AND NEW.amount = OLD.amount AND NEW.high = OLD.high)
            THEN RAISE(ABORT, 'not open')
        WHEN NEW.high < OLD.high THEN RAISE(ABORT, 'lower high')
        WHEN OLD.role = 'receiver' AND NEW.amount < OLD.amount THEN RAISE(ABORT, 'lower amount')
        WHEN OLD.previous IS NOT NULL AND NEW.previous IS NULL THEN RAISE(ABORT, 'lower amount')
    END;
END;

-- Closing, refunding and exiting are one-way.
CREATE TRIGGER channel_state BEFORE UPDATE OF state ON channel_hot
WHEN NEW.state IN ('confirming', 'open') AND OLD.state NOT IN ('confirming', 'open')
BEGIN
    SELECT RAISE(ABORT, 'one way');
END;

-- The submit answer is what a receiver goes on chain with: it may be fetched again, never forgotten.
CREATE TRIGGER channel_submit_answer BEFORE UPDATE OF submit_answer ON channel_rare
WHEN OLD.submit_answer IS NOT NULL AND NEW.submit_answer IS NULL
BEGIN
    SELECT RAISE(ABORT, 'static');
END;

CREATE TRIGGER channels_finished_only BEFORE DELETE ON channels
WHEN NOT EXISTS (SELECT 1 FROM channel_hot WHERE n = OLD.n AND state IN ('settled', 'refunded', 'lost'))
BEGIN
    SELECT RAISE(ABORT, 'not finished');
END;
