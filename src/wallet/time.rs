//! The wallet's view of time: the highest of clock and chain ever seen.

use super::Wallet;
use super::clock::Now;
use super::error::Result;
use crate::chain::Tip;
use crate::channel::{ChannelError, Network, Unit};
use crate::store::SeenTime;

/// A chain that claims to be further ahead of the wall clock than this is not believed (outside regtest).
const MAX_AHEAD_SECONDS: u64 = 30 * 24 * 3600;

/// How far the wall clock may be ahead of the chain's median time past, which lags an hour or so, for its reading to be
/// kept. A phone's clock that was wrong once must not be believed for ever: what is kept is never undone.
const MAX_KEPT_SECONDS: u64 = 6 * 3600;

/// The wall clock between the chain's time and what that may lag behind.
fn believable(wall: u64, median_time: u64) -> u64 {
    wall.min(median_time.saturating_add(MAX_KEPT_SECONDS)).max(median_time)
}

/// The wall clock as it may be stored beside the chain's time (regtest's chain may stand still).
fn keepable(wall: u64, median_time: u64, network: Network) -> u64 {
    match network {
        Network::Regtest => wall,
        _ => wall.min(median_time.saturating_add(MAX_KEPT_SECONDS)),
    }
}

impl Wallet {
    /// The moment of a look at the chain, for records that later moments are counted from.
    pub(super) fn watched_at(&self) -> u64 {
        let now = self.now();
        keepable(now.wall, now.median_time, self.config.network)
    }

    /// The moment by which something that cannot be undone is judged: by the chain's last block alone, not by the highest
    /// ever seen, and by the clock only as far as a chain may lag behind it.
    pub(super) fn moment(&self, unit: Unit, tip: &Tip) -> u64 {
        match unit {
            Unit::Blocks => u64::from(tip.height),
            Unit::Seconds => believable(self.now().wall, tip.median_time_past),
        }
    }

    /// The time without any network: never behind what was seen before, and never slower than this process runs: a
    /// clock that was set back does not stop it.
    pub(super) fn now(&self) -> Now {
        // Before the lock: a clock is somebody else's code.
        let wall = self.config.clock.now();
        let running = self.opened.1.saturating_add(self.config.clock.running().saturating_sub(self.opened.0));
        let mut seen = self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        seen.wall = seen.wall.max(wall).max(running);
        *seen
    }

    /// Looks at the chain's tip and stores the highest of everything.
    pub(super) async fn observe(&self) -> Result<Now> {
        self.observe_tip().await?;
        Ok(self.now())
    }

    /// The same, and answers the tip itself.
    pub(super) async fn observe_tip(&self) -> Result<Tip> {
        let tip = self.net.chain.tip().await?;
        let wall = self.now().wall;
        if self.config.network != Network::Regtest && tip.median_time_past > wall.saturating_add(MAX_AHEAD_SECONDS) {
            return Err(ChannelError::InvalidLocktime { value: tip.median_time_past }.into());
        }
        let wall = keepable(wall, tip.median_time_past, self.config.network);
        let seen = SeenTime { wall, height: u64::from(tip.height), median: tip.median_time_past };
        self.take_seen(self.store.write(|db| db.see_time(seen))?);
        // Regtest's chain may stand still.
        if self.config.network != Network::Regtest {
            self.check_moves(&tip)?;
        }
        Ok(tip)
    }

    /// Takes over what the store has seen, where it is higher.
    pub(super) fn take_seen(&self, highest: SeenTime) -> Now {
        let mut cached = self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *cached = Now {
            wall: cached.wall.max(highest.wall),
            height: cached.height.max(highest.height),
            median_time: cached.median_time.max(highest.median),
        };
        *cached
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHAIN: u64 = 1_800_000_000;
    const DAY: u64 = 86_400;

    #[test]
    fn a_wrong_clock_is_believed_within_bounds() {
        assert_eq!(believable(CHAIN + 3_600, CHAIN), CHAIN + 3_600);
        assert_eq!(believable(CHAIN + DAY, CHAIN), CHAIN + MAX_KEPT_SECONDS);
        assert_eq!(believable(0, CHAIN), CHAIN);
        assert_eq!(believable(u64::MAX, u64::MAX), u64::MAX);
    }

    #[test]
    fn a_clock_that_was_wrong_once_is_not_kept() {
        for wrong in [CHAIN + DAY, CHAIN + 3_650 * DAY, u64::MAX] {
            assert_eq!(keepable(wrong, CHAIN, Network::Bitcoin), CHAIN + MAX_KEPT_SECONDS);
        }
        // A right one, ahead of the chain by its usual lag, and one that was set back.
        for right in [CHAIN, CHAIN + 3_600, CHAIN - DAY] {
            assert_eq!(keepable(right, CHAIN, Network::Bitcoin), right);
        }
        assert_eq!(keepable(CHAIN + DAY, CHAIN, Network::Regtest), CHAIN + DAY);
        assert_eq!(keepable(CHAIN, u64::MAX, Network::Bitcoin), CHAIN);
    }
}
