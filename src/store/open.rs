//! Opening the file: whose it is, how it is kept durable, what bounds it has.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::{StoreError, migrations};

/// How long a call waits for another process's transaction.
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest record, in bytes. The longest honest one, a branch of 64 transactions, stays far below.
pub(super) const MAX_LENGTH: usize = 4 * 1024 * 1024;

/// "VCHN"; set by the first migration.
const APPLICATION_ID: i64 = 0x5643_484e;

/// Opens the file at an absolute path, or creates it.
pub(super) fn open(path: &Path) -> Result<Connection, StoreError> {
    create(path)?;
    existing(path)
}

/// Opens the file at an absolute path; creates none.
pub(super) fn existing(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_EXRESCODE;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_transaction_behavior(TransactionBehavior::Immediate);
    connection.set_prepared_statement_cache_capacity(96);
    bound(&connection)?;
    // SQLite falls back to reading when it may not write; a payment would then fail much later.
    if connection.is_readonly("main")? {
        return Err(StoreError::ReadOnly);
    }
    whose(&connection)?;
    migrations::version(&connection)?;
    durable(&connection)?;
    migrations::migrate(&mut connection)?;
    check(&connection)?;
    Ok(connection)
}

/// Creates an empty file for the owner only. Never opens one that exists: closing it again would drop the locks that
/// SQLite holds on it in this process.
fn create(path: &Path) -> Result<(), StoreError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => match std::fs::metadata(path) {
            // SQLite takes a file of a single byte for an empty one.
            Ok(file) if file.is_file() && file.len() == 1 => Err(StoreError::NotOurs),
            _ => Ok(()),
        },
        Err(error) => Err(from_io(&error)),
    }
}

/// Nothing that a file could smuggle in is run, and no record may fill the memory.
fn bound(connection: &Connection) -> Result<(), StoreError> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, MAX_LENGTH as i32)?;
    connection.set_limit(Limit::SQLITE_LIMIT_SQL_LENGTH, 64 * 1024)?;
    connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    connection.execute_batch(
        "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY;",
    )?;
    Ok(())
}

/// Refuses a database that another program made; an empty file is nobody's.
fn whose(connection: &Connection) -> Result<(), StoreError> {
    let id: i64 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    if id == APPLICATION_ID {
        return Ok(());
    }
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if (id, version, tables) == (0, 0, 0) {
        return Ok(());
    }
    // Another process may have created the tables between the two looks.
    let id: i64 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    if id == APPLICATION_ID { Ok(()) } else { Err(StoreError::NotOurs) }
}

/// A commit that has returned survives a power cut.
fn durable(connection: &Connection) -> Result<(), StoreError> {
    // Turning the log on needs the file alone for a moment, for which SQLite does not always wait by itself.
    let end = Instant::now() + BUSY_TIMEOUT;
    let mode: String = loop {
        match connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)) {
            Ok(mode) => break mode,
            Err(error) => match StoreError::from(error) {
                StoreError::Busy if Instant::now() < end => std::thread::sleep(Duration::from_millis(5)),
                other => return Err(other),
            },
        }
    };
    if mode != "wal" {
        return Err(StoreError::CannotOpen { detail: format!("its journal mode stays {mode}") });
    }
    // `fullfsync` matters on Apple's systems, where fsync leaves the data in the drive's cache.
    connection.execute_batch(
        "PRAGMA synchronous = FULL; PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON;
         PRAGMA journal_size_limit = 8388608;",
    )?;
    Ok(())
}

/// Finds damage now rather than in the middle of a payment. About a millisecond a megabyte.
fn check(connection: &Connection) -> Result<(), StoreError> {
    let answer: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if answer == "ok" { Ok(()) } else { Err(StoreError::corrupt(answer)) }
}

fn from_io(error: &std::io::Error) -> StoreError {
    match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => StoreError::ReadOnly,
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StoreError::Full,
        _ => StoreError::CannotOpen { detail: error.to_string() },
    }
}
