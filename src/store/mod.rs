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
mod hot;
mod invites;
mod keys;
mod meta;
mod migrations;
mod open;
mod payment_ring;
mod place;
mod rare;
mod words;

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;

pub use channels::{ChannelRecord, ChannelRow};
pub use clock::SeenTime;
pub use db::Db;
pub use error::StoreError;
pub use events::{EventToken, PAYMENT_RECEIVED, PAYMENT_SENT, StoredEvent};
pub use flows::Flow;
pub use hot::HotRow;
pub use invites::Invite;
pub use keys::OwnScript;
pub use meta::Binding;
pub use open::BUSY_TIMEOUT;
pub use payment_ring::{PaymentHash, Ring};
pub use rare::ChannelResult;
pub use words::{ChannelState, FlowKind, FundingKind, Role, ScriptKind};

/// The wallet's database file. Shared between threads by reference; they take turns.
pub struct Store {
    connection: Mutex<Option<Connection>>,
    place: place::Place,
    changes: changes::Changes,
}

impl Store {
    /// Opens the file, or creates it (readable by its owner only), and brings its schema up to date.
    ///
    /// Refuses foreign files, files of a newer version, corrupt files and files that cannot be written, and leaves
    /// them as they were.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let connection = Mutex::new(Some(open::open(path)?));
        Ok(Self { connection, place: place::Place::of(path)?, changes: changes::Changes::default() })
    }

    /// Moves all changes into the main file and lets go of it. Waits for the call that is running; later calls answer
    /// [`StoreError::Closed`], closing again does nothing. Nothing is lost when this is never called.
    pub fn close(&self) -> Result<(), StoreError> {
        let held = self.lock().take();
        self.changes.close();
        let Some(connection) = held else { return Ok(()) };
        // Another process that is reading right now only means that this one leaves the log behind.
        let checkpoint = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        let closed = connection.close().map_err(|(_, error)| error);
        checkpoint.and(closed).map_err(StoreError::from).or_else(|error| match error {
            StoreError::Busy => Ok(()),
            other => Err(other),
        })
    }

    /// Runs `f` on one consistent state of the file. Do not call the store inside `f`: it would wait for itself.
    pub fn read<R, E: From<StoreError>>(&self, f: impl FnOnce(&Db<'_>) -> Result<R, E>) -> Result<R, E> {
        let guard = self.lock();
        let connection = guard.as_ref().ok_or(StoreError::Closed)?;
        let transaction = Transaction::begin(connection, "BEGIN DEFERRED")?;
        let answer = f(&Db::new(connection, false));
        drop(transaction);
        answer
    }

    /// Runs `f` as one transaction: all of it is on disk when this returns `Ok`, and nothing of it when `f` or the
    /// commit fails. No other writer, in this process or another, comes between. Do not call the store inside `f`.
    /// [`StoreError::Moved`] means that the file was moved or deleted meanwhile: nothing may rest on the transaction.
    pub fn write<R, E: From<StoreError>>(&self, f: impl FnOnce(&Db<'_>) -> Result<R, E>) -> Result<R, E> {
        let change = self.changes.begin();
        let guard = self.lock();
        let connection = guard.as_ref().ok_or(StoreError::Closed)?;
        self.place.check()?;
        let transaction = Transaction::begin(connection, "BEGIN IMMEDIATE")?;
        let db = Db::new(connection, true);
        let answer = f(&db)?;
        transaction.commit()?;
        if db.committed() {
            change.happened();
        }
        self.place.check()?;
        Ok(answer)
    }

    /// Waits until something was changed through this store after version `seen`, and answers the version it is now;
    /// at once when it is another one already, which it is for 0. Changes by other stores of the same file do not
    /// count. [`StoreError::Closed`] once the store is closed.
    pub async fn next_change(&self, seen: u64) -> Result<u64, StoreError> {
        self.changes.next(seen).await
    }

    /// A panic in another thread's closure has been rolled back, so the connection behind the poison is sound.
    fn lock(&self) -> MutexGuard<'_, Option<Connection>> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
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
