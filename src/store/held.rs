//! What a store holds of its file: the connection, nothing for now, or nothing for good.

use std::time::Duration;

use rusqlite::Connection;

use super::StoreError;
use super::place::Place;

/// What is held of the file.
pub(super) enum Held {
    Open(Box<OpenFile>),
    /// Nothing, for now.
    Released,
    /// Nothing, for good.
    Closed,
}

pub(super) struct OpenFile {
    pub connection: Connection,
    pub place: Place,
}

impl OpenFile {
    /// Moves all changes into the main file, as far as others let it, and lets go of it. The file is let go of also
    /// when this fails; what was committed is then in the log, where the next one that opens the file finds it.
    pub fn leave(self, patience: Duration) -> Result<(), StoreError> {
        let waits = self.connection.busy_timeout(patience);
        // Another process that is reading right now only means that this one leaves the log behind.
        let checkpoint = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        let closed = self.connection.close().map_err(|(_, error)| error);
        waits.and(checkpoint).and(closed).map_err(StoreError::from).or_else(|error| match error {
            StoreError::Busy => Ok(()),
            other => Err(other),
        })
    }
}

impl Held {
    pub fn open(&self) -> Result<&OpenFile, StoreError> {
        match self {
            Self::Open(file) => Ok(file),
            Self::Released => Err(StoreError::Released),
            Self::Closed => Err(StoreError::Closed),
        }
    }
}
