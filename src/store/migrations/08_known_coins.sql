-- Coins of the wallet that were seen unspent. One that is spent later, and was never signed away here, was spent by
-- somebody else who has the seed.
CREATE TABLE known_coins (
    outpoint BLOB PRIMARY KEY CHECK (length(outpoint) = 36),
    boarding INTEGER NOT NULL CHECK (boarding IN (0, 1)),
    -- Signed away by this wallet, or the app has been told: of no interest any more.
    done INTEGER NOT NULL CHECK (done IN (0, 1))
) STRICT, WITHOUT ROWID;
