-- A payer that has granted a close may find out that it had signed more, on another phone or before it was restored: that
-- is remembered before it signs it again. Everything else is as it was.
DROP TRIGGER channel_update;

CREATE TRIGGER channel_update
BEFORE UPDATE OF amount, previous, ark_signature, exit_signature, high ON channel_hot
BEGIN
    SELECT CASE
        WHEN OLD.state NOT IN ('confirming', 'open')
            AND NOT (OLD.state = 'closing' AND NEW.amount = OLD.amount AND NEW.high = OLD.high)
            AND NOT (OLD.state = 'closing' AND OLD.role = 'payer' AND NEW.amount >= OLD.amount)
            THEN RAISE(ABORT, 'not open')
        WHEN NEW.high < OLD.high THEN RAISE(ABORT, 'lower high')
        WHEN OLD.role = 'receiver' AND NEW.amount < OLD.amount THEN RAISE(ABORT, 'lower amount')
        WHEN OLD.previous IS NOT NULL AND NEW.previous IS NULL THEN RAISE(ABORT, 'lower amount')
    END;
END;
