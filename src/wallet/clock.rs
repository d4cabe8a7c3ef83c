//! What time it is, for a wallet that trusts neither its phone's clock nor a single source.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};

use crate::channel::Unit;

/// The wall clock. Tests bring their own. It is asked in the middle of things, inside transactions too: it must answer
/// at once, and must not call the wallet.
pub trait Clock: Send + Sync {
    /// Unix seconds.
    fn now(&self) -> u64;

    /// Seconds since this clock was made, by something nobody can set and no sleep stops; 0 where there is nothing of the kind.
    fn running(&self) -> u64 {
        0
    }
}

/// What goes on while a phone sleeps, and cannot be set. [`std::time::Instant`] stands still then on all of these systems.
#[cfg(any(target_os = "linux", target_os = "android"))]
const SINCE_BOOT: ClockId = ClockId::CLOCK_BOOTTIME;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const SINCE_BOOT: ClockId = ClockId::CLOCK_MONOTONIC;

fn since_boot() -> Duration {
    clock_gettime(SINCE_BOOT).map_or(Duration::ZERO, Duration::from)
}

/// The system's clock.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    made: Duration,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self { made: since_boot() }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
    }

    fn running(&self) -> u64 {
        since_boot().saturating_sub(self.made).as_secs()
    }
}

/// The highest of everything seen so far: it never runs backwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// Unix seconds by the wall clock.
    pub wall: u64,
    pub height: u64,
    /// Unix seconds by the chain's median time past.
    pub median_time: u64,
}

impl Now {
    /// The moment that counts against expiries, and against locktimes where one protects oneself: the latest that
    /// anybody could claim it to be.
    pub fn latest(&self, unit: Unit) -> u64 {
        match unit {
            Unit::Blocks => self.height,
            Unit::Seconds => self.wall.max(self.median_time),
        }
    }

    /// The moment by which a locktime has surely passed: what the chain says.
    pub fn on_chain(&self, unit: Unit) -> u64 {
        match unit {
            Unit::Blocks => self.height,
            Unit::Seconds => self.median_time,
        }
    }

    /// The wall clock, or the chain's where that is ahead of it.
    pub fn unix(&self) -> u64 {
        self.wall.max(self.median_time)
    }
}
