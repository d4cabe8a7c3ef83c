//! Time never runs backwards: the highest ever seen is kept, and a clock that is behind it is overruled.

use rusqlite::params;

use super::cells::number;
use super::{Db, StoreError};

/// What the clock and the chain showed, or the highest of all that was ever seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SeenTime {
    /// Wall clock, unix seconds.
    pub wall: u64,
    /// Height of the chain.
    pub height: u64,
    /// Median time past of the tip, unix seconds.
    pub median: u64,
}

impl Db<'_> {
    /// Takes note of what is seen now, and answers the highest of each. Writes only what is higher.
    ///
    /// One wrong reading far in the future stays: bound what comes from outside before it gets here.
    pub fn see_time(&self, now: SeenTime) -> Result<SeenTime, StoreError> {
        let seen = self.seen_time()?;
        let highest = SeenTime {
            wall: seen.wall.max(now.wall),
            height: seen.height.max(now.height),
            median: seen.median.max(now.median),
        };
        if highest != seen {
            let row = params![number(highest.wall)?, number(highest.height)?, number(highest.median)?];
            self.wallet_row(self.run("UPDATE wallet SET wall = ?1, height = ?2, median = ?3", row)?)?;
        }
        Ok(highest)
    }

    /// The highest of each ever seen.
    pub fn seen_time(&self) -> Result<SeenTime, StoreError> {
        self.one("SELECT wall, height, median FROM wallet", [], |cells| {
            Ok(SeenTime { wall: cells.u64(0)?, height: cells.u64(1)?, median: cells.u64(2)? })
        })?
        .ok_or_else(|| StoreError::corrupt("the wallet row is missing"))
    }
}
