//! Letting go of the file for a while, and picking it up again.

use std::sync::MutexGuard;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::held::{Held, OpenFile};
use super::place::Place;
use super::{Db, Store, StoreError, Transaction, open};
use crate::log::note;

/// How long letting go waits for another process that reads, before it leaves the log behind: a phone gives an app that
/// goes to the background a few seconds in all.
const LEAVING_PATIENCE: Duration = Duration::from_secs(1);

impl Store {
    /// Moves all changes into the main file and lets go of it: no lock and no open file is left behind. Waits for the
    /// one call that is running, which takes `BUSY_TIMEOUT` at most when another process is in its way; calls from
    /// then on answer [`StoreError::Released`] until [`Store::reopen`]. Also after an error nothing of the file is
    /// held. Releasing again does nothing, nor does releasing a closed store.
    pub fn release(&self) -> Result<(), StoreError> {
        // The lock is not fair: without this, calls that keep coming could hold it up for ever.
        self.releasing.fetch_add(1, Ordering::SeqCst);
        let left = self.leave(Held::Released, LEAVING_PATIENCE);
        self.releasing.fetch_sub(1, Ordering::SeqCst);
        left
    }

    pub(super) fn leave(&self, to: Held, patience: Duration) -> Result<(), StoreError> {
        let_go(self.held(), to, patience)
    }

    /// Picks up the file again after [`Store::release`], with all checks of [`Store::open`]; `check` looks whether it is
    /// still the right one, which another process may have changed. Never creates a file: one that is gone answers
    /// [`StoreError::Moved`]. After an error the store stays released. Does nothing when the file is held, and answers
    /// whether it did anything.
    pub fn reopen<E: From<StoreError>>(&self, check: impl FnOnce(&Db<'_>) -> Result<(), E>) -> Result<bool, E> {
        let change = self.changes.begin();
        let mut held = self.held();
        match *held {
            Held::Open(_) => return Ok(false),
            Held::Released => {}
            Held::Closed => return Err(StoreError::Closed.into()),
        }
        let place = Place::of(&self.path)?;
        let connection = open::existing(&self.path)?;
        {
            let _transaction = Transaction::begin(&connection, "BEGIN DEFERRED")?;
            check(&Db::new(&connection, false))?;
        }
        place.check()?;
        *held = Held::Open(Box::new(OpenFile { connection, place }));
        // While the lock is held: whoever reads the new file sees the new number.
        self.reopened.fetch_add(1, Ordering::SeqCst);
        change.happened();
        note!(Info, "picked up the database again");
        Ok(true)
    }

    /// How often the file was picked up again. What was read under another number may have been changed since by
    /// another process.
    pub fn reopened(&self) -> u64 {
        self.reopened.load(Ordering::SeqCst)
    }

    /// Whether the file is let go of for now.
    pub fn is_released(&self) -> bool {
        matches!(*self.held(), Held::Released)
    }
}

/// Lets go of what is held, and holds `to` from now on.
pub(super) fn let_go(mut held: MutexGuard<'_, Held>, to: Held, patience: Duration) -> Result<(), StoreError> {
    match std::mem::replace(&mut *held, Held::Closed) {
        Held::Closed => Ok(()),
        Held::Released => {
            *held = to;
            Ok(())
        }
        Held::Open(file) => {
            *held = to;
            let left = file.leave(patience);
            match &left {
                Ok(()) => note!(Info, "let go of the database"),
                Err(error) => note!(Error, "let go of the database, which did not end well: {error}"),
            }
            left
        }
    }
}
