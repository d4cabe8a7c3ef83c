//! The app's clock. It is asked before a call's work begins, on a thread that may wait and under no lock; in the
//! meantime its last answer goes on by the time that has passed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use super::ListenerError;
use crate::log::note;
use crate::wallet::{self, SystemClock};

/// So many calls ask at once; more take the last answer. A clock that calls the wallet, which asks the clock, ends here.
const MAX_ASKING: usize = 2;

/// The latest hour that is believed, in unix seconds: as milliseconds it still fits.
const MAX_SECONDS: u64 = 1 << 50;

/// A clock of the app, for tests and for phones that know the time better than their system does.
///
/// It is asked at the beginning of every call, payments included (only `shutdown` and `release_database` do without): it
/// must answer at once. It may call the wallet. When
/// it throws, the system's clock is taken for that call. The wallet trusts no clock alone: its time never runs
/// backwards, is never behind the chain's, and goes on by itself while the wallet is open.
#[uniffi::export(foreign)]
pub trait Clock: Send + Sync {
    /// Seconds since 1970, UTC.
    fn unix_seconds(&self) -> Result<u64, ListenerError>;
}

/// A [`Clock`] for the wallet, which calls nothing of the app.
pub(super) struct AskedClock {
    app: Arc<dyn Clock>,
    system: SystemClock,
    started: Instant,
    /// What the app's clock said when `started` was, in milliseconds.
    offset: AtomicU64,
    asking: AtomicUsize,
}

/// One of the [`MAX_ASKING`].
struct Asking<'a>(&'a AtomicUsize);

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl AskedClock {
    /// Not asked yet: until then it is the system's.
    pub fn new(app: Arc<dyn Clock>) -> Self {
        let clock = Self {
            app,
            system: SystemClock::default(),
            started: Instant::now(),
            offset: AtomicU64::new(0),
            asking: AtomicUsize::new(0),
        };
        clock.set(wallet::Clock::now(&clock.system));
        clock
    }

    /// Asks the app. Calls foreign code: never under a lock, and where waiting does no harm.
    pub fn ask(&self) {
        let before = self.asking.fetch_add(1, Ordering::SeqCst);
        let _asking = Asking(&self.asking);
        if before < MAX_ASKING {
            let answer = self.app.unix_seconds();
            self.set(answer.unwrap_or_else(|error| {
                note!(Warn, "the app's clock fails, the system's is taken: {error}");
                wallet::Clock::now(&self.system)
            }));
        }
    }

    fn set(&self, seconds: u64) {
        let now = seconds.min(MAX_SECONDS) * 1_000;
        // Wraps for an hour before the start, and back again in `now`.
        self.offset.store(now.wrapping_sub(self.elapsed()), Ordering::SeqCst);
    }

    fn elapsed(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl wallet::Clock for AskedClock {
    fn now(&self) -> u64 {
        self.offset.load(Ordering::SeqCst).wrapping_add(self.elapsed()) / 1_000
    }

    fn running(&self) -> u64 {
        self.system.running()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::wallet::Clock as _;

    struct Says(Mutex<Result<u64, ListenerError>>);

    impl Clock for Says {
        fn unix_seconds(&self) -> Result<u64, ListenerError> {
            self.0.lock().unwrap().clone()
        }
    }

    #[test]
    fn goes_by_the_last_answer() {
        let says = Arc::new(Says(Mutex::new(Ok(1_800_000_000))));
        let clock = AskedClock::new(says.clone());
        let system = SystemClock::default();
        assert!(clock.now().abs_diff(system.now()) <= 1, "not asked yet");
        for (answer, expected) in [(1_800_000_000, 1_800_000_000), (7, 7), (0, 0), (u64::MAX, MAX_SECONDS)] {
            *says.0.lock().unwrap() = Ok(answer);
            clock.ask();
            assert!((expected..expected + 2).contains(&clock.now()), "{answer}: {}", clock.now());
        }
        *says.0.lock().unwrap() = Err(ListenerError::Failed { reason: "no battery".into() });
        clock.ask();
        assert!(clock.now().abs_diff(system.now()) <= 1, "the system's where it fails");
    }

    /// Asks its own clock again.
    struct Turns(std::sync::OnceLock<std::sync::Weak<AskedClock>>, AtomicUsize);

    impl Clock for Turns {
        fn unix_seconds(&self) -> Result<u64, ListenerError> {
            self.1.fetch_add(1, Ordering::SeqCst);
            self.0.get().unwrap().upgrade().unwrap().ask();
            Ok(5)
        }
    }

    #[test]
    fn a_clock_that_asks_itself_comes_to_an_end() {
        let turns = Arc::new(Turns(std::sync::OnceLock::new(), AtomicUsize::new(0)));
        let clock = Arc::new(AskedClock::new(turns.clone()));
        assert!(turns.0.set(Arc::downgrade(&clock)).is_ok());
        for round in 1..=2 {
            clock.ask();
            assert_eq!(turns.1.load(Ordering::SeqCst), round * MAX_ASKING);
        }
    }
}
