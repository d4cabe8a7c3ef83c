//! A chain server that still answers, and follows the chain no more. Its blocks stand for the time, so that with them nothing
//! would ever be due: it counts as one that does not answer, and closes go by the clock.

use super::Wallet;
use super::error::Result;
use crate::chain::{ChainError, Tip};

/// Hours without a block. It happens to a chain that is followed once in a hundred thousand million years.
const LIMIT: u64 = 6;

const KEY: &str = "last-block";

/// A block, and when it was first seen as the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct LastBlock {
    height: u64,
    /// Unix seconds by the phone's clock. What passes between two readings of it counts, not what it shows.
    since: u64,
}

impl LastBlock {
    fn after(before: Option<Self>, height: u64, wall: u64) -> Self {
        match before.filter(|before| before.height == height) {
            Some(before) => Self { height, since: before.since.min(wall) },
            None => Self { height, since: wall },
        }
    }

    fn hours(&self, wall: u64) -> u64 {
        wall.saturating_sub(self.since) / 3600
    }

    fn encode(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.height.to_be_bytes());
        bytes[8..].copy_from_slice(&self.since.to_be_bytes());
        bytes
    }

    /// One that is damaged is forgotten.
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (height, since) = bytes.split_first_chunk::<8>()?;
        Some(Self { height: u64::from_be_bytes(*height), since: u64::from_be_bytes(since.try_into().ok()?) })
    }
}

impl Wallet {
    /// Refuses a tip that has been the last one for too long.
    pub(super) fn check_moves(&self, tip: &Tip) -> Result<()> {
        let wall = self.now().wall;
        let before = self.store.read::<_, Box<super::WalletError>>(|db| Ok(db.meta(KEY)?))?;
        let before = before.as_deref().and_then(LastBlock::decode);
        let last = LastBlock::after(before, tip.height.into(), wall);
        if Some(last) != before {
            self.store.write::<_, Box<super::WalletError>>(|db| Ok(db.set_meta(KEY, &last.encode())?))?;
        }
        let hours = last.hours(wall);
        if hours < LIMIT {
            return Ok(());
        }
        let what =
            format!("block {} has been its last one for {hours} hours: it does not follow the chain", tip.height);
        Err(ChainError::BadAnswer { call: "the last block", what }.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3600;

    #[test]
    fn stands_still() {
        let first = LastBlock::after(None, 100, 50 * HOUR);
        let later = LastBlock::after(Some(first), 100, 56 * HOUR);
        assert_eq!((later, later.hours(56 * HOUR)), (first, LIMIT));
        // A block begins anew, and so does one that a reorganisation took away.
        for height in [101, 99] {
            assert_eq!(LastBlock::after(Some(later), height, 57 * HOUR).hours(57 * HOUR), 0);
        }
    }

    #[test]
    fn a_wrong_clock_is_no_standstill() {
        // A day ahead all the time.
        let ahead = LastBlock::after(None, 100, 74 * HOUR);
        assert_eq!(LastBlock::after(Some(ahead), 100, 75 * HOUR).hours(75 * HOUR), 1);
        // Set right, and still the same block: counted from then on.
        let right = LastBlock::after(Some(ahead), 100, 51 * HOUR);
        assert_eq!((right.hours(51 * HOUR), right.hours(57 * HOUR)), (0, LIMIT));
    }

    #[test]
    fn as_it_is_stored() {
        let last = LastBlock { height: 800_000, since: 1_800_000_000 };
        assert_eq!(LastBlock::decode(&last.encode()), Some(last));
        assert_eq!(LastBlock::decode(&last.encode()[1..]), None);
    }
}
