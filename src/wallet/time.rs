//! The wallet's view of time: the highest of clock and chain ever seen.

use super::Wallet;
use super::clock::Now;
use super::error::Result;
use crate::channel::{ChannelError, Network};
use crate::store::SeenTime;

/// A chain that claims to be further ahead of the wall clock than this is not believed (outside regtest).
const MAX_AHEAD_SECONDS: u64 = 30 * 24 * 3600;

impl Wallet {
    /// The time without any network: never behind what was seen before.
    pub(super) fn now(&self) -> Now {
        let mut seen = self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        seen.wall = seen.wall.max(self.config.clock.now());
        *seen
    }

    /// Looks at the chain's tip and stores the highest of everything.
    pub(super) async fn observe(&self) -> Result<Now> {
        let tip = self.net.chain.tip().await?;
        let wall = self.config.clock.now();
        if self.config.network != Network::Regtest && tip.median_time_past > wall.saturating_add(MAX_AHEAD_SECONDS) {
            return Err(ChannelError::InvalidLocktime { value: tip.median_time_past }.into());
        }
        let seen = SeenTime { wall, height: u64::from(tip.height), median: tip.median_time_past };
        let highest = self.store.write(|db| db.see_time(seen))?;
        let mut cached = self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *cached = Now {
            wall: cached.wall.max(highest.wall),
            height: cached.height.max(highest.height),
            median_time: cached.median_time.max(highest.median),
        };
        Ok(*cached)
    }
}
