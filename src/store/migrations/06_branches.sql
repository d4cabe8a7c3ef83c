-- Signed branches, from commitment transactions down to a VTXO: what a unilateral exit broadcasts.
CREATE TABLE branches (
    outpoint BLOB PRIMARY KEY NOT NULL CHECK (length(outpoint) = 36),
    data BLOB NOT NULL
) STRICT;

CREATE TRIGGER branch_of_channel AFTER DELETE ON channels
BEGIN
    DELETE FROM branches WHERE outpoint = OLD.funding;
END;
