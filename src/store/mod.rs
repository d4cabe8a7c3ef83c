//! What must survive: one SQLite file, one durable commit a step, nothing about networks.
//!
//! [`Store`] is the file; [`Store::write`] is one durable transaction and [`Store::read`] one consistent look. Inside
//! them a [`Db`] offers the tables, each in a file of its own. The rules that guard money (amounts that never go down,
//! states that are one-way) are triggers and checks in `migrations/`, so that no path around them exists.
//!
//! Several processes may use the file at once; a call waits up to [`BUSY_TIMEOUT`] for another's transaction.
//! All calls block: run them where blocking is allowed.

mod branch_codec;
mod branches;
mod cells;
mod changes;
mod channels;
mod clock;
mod db;
mod error;
mod events;
mod flows;
mod held;
mod hot;
mod invites;
mod keys;
mod known_coins;
mod meta;
mod migrations;
mod open;
mod payment_ring;
mod place;
mod rare;
mod release;
mod signed_away;
mod words;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use held::{Held, OpenFile};
use rusqlite::Connection;

pub use channels::{ChannelRecord, ChannelRow, DamagedRow};
pub use clock::SeenTime;
pub use db::Db;
pub use error::StoreError;
pub use events::{EventToken, PAYMENT_RECEIVED, PAYMENT_SENT, StoredEvent};
pub use flows::Flow;
pub use hot::HotRow;
pub use invites::Invite;
pub use keys::OwnScript;
pub use known_coins::KnownCoin;
pub use meta::Binding;
pub use open::BUSY_TIMEOUT;
pub use payment_ring::{PaymentHash, Ring};
pub use rare::ChannelResult;
pub use signed_away::SignedAway;
pub use words::{ChannelState, FlowKind, FundingKind, Role, ScriptKind};

/// The wallet's database file. Shared between threads by reference; they take turns.
pub struct Store {
    path: PathBuf,
    held: Mutex<Held>,
    changes: changes::Changes,
    /// Calls of [`Store::release`] that wait for their turn: nothing new begins before them.
    releasing: AtomicUsize,
    closing: AtomicBool,
    reopened: AtomicU64,
}

impl Store {
    /// Opens the file, or creates it (readable by its owner only), and brings its schema up to date.
    ///
    /// Refuses foreign files, files of a newer version, corrupt files and files that cannot be written, and leaves
    /// them as they were.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        // Absolute, so that no name (":memory:", "file:…") has a meaning of its own, now or when it is opened again.
        let path = std::path::absolute(path).map_err(|error| StoreError::CannotOpen { detail: error.to_string() })?;
        let connection = open::open(&path)?;
        let file = OpenFile { connection, place: place::Place::of(&path)? };
        let held = Mutex::new(Held::Open(Box::new(file)));
        Ok(Self {
            path,
            held,
            changes: changes::Changes::default(),
            releasing: AtomicUsize::new(0),
            closing: AtomicBool::new(false),
            reopened: AtomicU64::new(0),
        })
    }

    /// Moves all changes into the main file and lets go of it for good. Waits for the call that is running; later calls
    /// answer [`StoreError::Closed`], closing again does nothing. Nothing is lost when this is never called.
    pub fn close(&self) -> Result<(), StoreError> {
        self.closing.store(true, Ordering::SeqCst);
        let closed = self.leave(Held::Closed, BUSY_TIMEOUT);
        self.changes.close();
        closed
    }

    /// As [`Store::close`], but waits for nobody: neither for another process, which finds the log then, nor for a call
    /// that is running: then it answers false, and [`Store::close`] has to follow. Later calls are refused in any case.
    pub fn close_at_once(&self) -> bool {
        self.closing.store(true, Ordering::SeqCst);
        self.changes.close();
        let held = match self.held.try_lock() {
            Ok(held) => held,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return false,
        };
        let _ = release::let_go(held, Held::Closed, Duration::ZERO);
        true
    }

    /// Runs `f` on one consistent state of the file. Do not call the store inside `f`: it would wait for itself.
    pub fn read<R, E: From<StoreError>>(&self, f: impl FnOnce(&Db<'_>) -> Result<R, E>) -> Result<R, E> {
        let mut f = Some(f);
        let mut answer = None;
        self.reading(&mut |db| answer = f.take().map(|f| f(db)))?;
        answer.unwrap_or_else(|| Err(StoreError::Closed.into()))
    }

    /// Runs `f` as one transaction: all of it is on disk when this returns `Ok`, and nothing of it when `f` or the
    /// commit fails. No other writer, in this process or another, comes between. Do not call the store inside `f`.
    /// [`StoreError::Moved`] means that the file was moved or deleted meanwhile: nothing may rest on the transaction.
    pub fn write<R, E: From<StoreError>>(&self, f: impl FnOnce(&Db<'_>) -> Result<R, E>) -> Result<R, E> {
        let mut f = Some(f);
        let mut answer = None;
        let written = self.writing(&mut |db| {
            answer = f.take().map(|f| f(db));
            matches!(answer, Some(Ok(_)))
        });
        match answer {
            Some(Ok(answer)) => written.map(|()| answer).map_err(E::from),
            Some(failed) => failed,
            None => Err(written.err().unwrap_or(StoreError::Closed).into()),
        }
    }

    /// What every look shares, whatever it answers: it is in the library once (docs/adr/0008-size.md).
    fn reading(&self, f: &mut dyn FnMut(&Db<'_>)) -> Result<(), StoreError> {
        let held = self.turn()?;
        let file = held.open()?;
        let transaction = Transaction::begin(&file.connection, "BEGIN DEFERRED")?;
        f(&Db::new(&file.connection, false));
        drop(transaction);
        Ok(())
    }

    /// What every transaction shares. `f` says whether to commit.
    fn writing(&self, f: &mut dyn FnMut(&Db<'_>) -> bool) -> Result<(), StoreError> {
        let change = self.changes.begin();
        let held = self.turn()?;
        let file = held.open()?;
        file.place.check()?;
        let transaction = Transaction::begin(&file.connection, "BEGIN IMMEDIATE")?;
        let db = Db::new(&file.connection, true);
        if !f(&db) {
            return Ok(());
        }
        transaction.commit()?;
        if db.committed() {
            change.happened();
        }
        file.place.check()
    }

    /// Waits until something was changed through this store after version `seen`, and answers the version it is now;
    /// at once when it is another one already, which it is for 0. Changes by other stores of the same file do not
    /// count, but [`Store::reopen`] counts as one. [`StoreError::Closed`] once the store is closed.
    pub async fn next_change(&self, seen: u64) -> Result<u64, StoreError> {
        self.changes.next(seen).await
    }

    /// The file, for a call that begins now: not before those that want to let go of it.
    fn turn(&self) -> Result<MutexGuard<'_, Held>, StoreError> {
        let held = self.held();
        if self.closing.load(Ordering::SeqCst) {
            return Err(StoreError::Closed);
        }
        if self.releasing.load(Ordering::SeqCst) > 0 {
            return Err(StoreError::Released);
        }
        Ok(held)
    }

    /// A panic in another thread's closure has been rolled back, so the connection behind the poison is sound.
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An open transaction; rolled back unless committed, also when the closure panics.
struct Transaction<'a>(&'a Connection);

impl<'a> Transaction<'a> {
    fn begin(connection: &'a Connection, sql: &str) -> Result<Self, StoreError> {
        connection.prepare_cached(sql)?.execute([])?;
        Ok(Self(connection))
    }

    fn commit(self) -> Result<(), StoreError> {
        self.0.prepare_cached("COMMIT")?.execute([])?;
        Ok(())
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        // After a full disk or an I/O error SQLite may have rolled back by itself.
        if !self.0.is_autocommit() {
            let _ = self.0.execute_batch("ROLLBACK");
        }
    }
}

#[cfg(test)]
mod tests;
