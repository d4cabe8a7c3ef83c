//! The receiver's side of paying: which update counts.

use super::ChannelError;
use super::ChannelUpdate;
use super::script::CheckpointScript;

/// What an update that may be taken means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// New money: store it.
    Counts,
    /// Seen before: nothing to store.
    Replay,
    /// The same amount signed again for another accepted checkpoint script: the new signature replaces the old one.
    /// Accepted means: at least as new as the stored one's. The caller verifies against no older script, so that a
    /// replayed update cannot bring one back.
    Resigned,
}

/// An update with the checkpoint script its ark signature is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judged {
    pub update: ChannelUpdate,
    pub script: CheckpointScript,
}

/// Judges a verified update against what is stored. `amount` alone orders; `previous` only tells a payer who has
/// forgotten something from one whose earlier update is still on its way.
pub fn judge(stored: Option<&Judged>, incoming: &Judged) -> Result<Verdict, ChannelError> {
    let Some(stored) = stored else { return Ok(Verdict::Counts) };
    let (old, new) = (&stored.update, &incoming.update);
    let forked = || ChannelError::Forked { amount: new.amount, previous: new.previous, stored: Box::new(*old) };
    if new.amount < old.amount {
        return Err(ChannelError::Stale { amount: new.amount, stored: Box::new(*old) });
    }
    if new.amount == old.amount {
        return match (stored.script == incoming.script, new.previous == old.previous) {
            (false, _) => Ok(Verdict::Resigned),
            (true, true) => Ok(Verdict::Replay),
            (true, false) => Err(forked()),
        };
    }
    if new.previous < old.amount { Err(forked()) } else { Ok(Verdict::Counts) }
}
