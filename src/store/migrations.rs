//! The schema, one step a file. Steps that have been released never change; new ones are added at the end.

use std::time::Instant;

use rusqlite::Connection;
use rusqlite_migration::{M, Migrations};

use super::StoreError;
use super::open::BUSY_TIMEOUT;

const STEPS: &[M<'static>] = &[
    M::up(include_str!("migrations/01_wallet.sql")),
    M::up(include_str!("migrations/02_scripts.sql")),
    M::up(include_str!("migrations/03_flows.sql")),
    M::up(include_str!("migrations/04_invites.sql")),
    M::up(include_str!("migrations/05_channels.sql")),
    M::up(include_str!("migrations/06_branches.sql")),
    M::up(include_str!("migrations/07_events.sql")),
    M::up(include_str!("migrations/08_known_coins.sql")),
    M::up(include_str!("migrations/09_signed_away.sql")),
    M::up(include_str!("migrations/10_grants.sql")),
];

/// The schema version this code knows.
pub(super) const KNOWN: i64 = STEPS.len() as i64;

pub(super) fn migrations() -> Migrations<'static> {
    Migrations::from_slice(STEPS)
}

/// The schema version of the file; 0 is an empty one.
pub(super) fn version(connection: &Connection) -> Result<i64, StoreError> {
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    match version {
        ..0 => Err(StoreError::corrupt(format!("schema version {version}"))),
        found if found > KNOWN => Err(StoreError::NewerSchema { found, known: KNOWN }),
        known => Ok(known),
    }
}

/// Brings the schema up to date, in one transaction.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let end = Instant::now() + BUSY_TIMEOUT;
    loop {
        let before = version(connection)?;
        if before == KNOWN {
            return Ok(());
        }
        let Err(error) = migrations().to_latest(connection) else { return Ok(()) };
        // Another process may have migrated between our look at the version and our turn to write.
        if version(connection)? == before || Instant::now() > end {
            return Err(match error {
                rusqlite_migration::Error::RusqliteError { err, .. } => err.into(),
                other => StoreError::Refused { detail: other.to_string() },
            });
        }
    }
}
