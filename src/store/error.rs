//! What can go wrong with the file.

use bitcoin::hex::DisplayHex;
use bitcoin::{Amount, OutPoint, XOnlyPublicKey};
use rusqlite::ffi::{self, ErrorCode};

use super::ChannelState;
use crate::channel::Network;

/// Errors of the store. Whatever it is, the file is as it was before the transaction.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    #[error("the file is not a wallet database")]
    NotOurs,
    #[error("the database is of a newer version (schema {found}, this version knows up to {known})")]
    NewerSchema { found: i64, known: i64 },
    #[error("the database is corrupt: {what}")]
    Corrupt { what: String },
    #[error("no space left for the database")]
    Full,
    #[error("the database cannot be written: the file, its folder or the disk is read-only")]
    ReadOnly,
    #[error("the database is in use by another process that does not let go")]
    Busy,
    #[error("the database cannot be opened: {detail}")]
    CannotOpen { detail: String },
    #[error("the database cannot be read or written: {detail}")]
    Io { detail: String },
    #[error("the database file was moved, replaced or deleted while it was open: nothing is written any more")]
    Moved,
    #[error("the wallet is closed")]
    Closed,
    #[error("the database is released: reopen it first")]
    Released,
    #[error("{what} is not in the database")]
    NotFound { what: &'static str },
    #[error("{what} is in the database already, with other content")]
    AlreadyExists { what: &'static str },
    #[error("its mnemonic is another one")]
    OtherWallet,
    #[error("the database belongs to a wallet on {}, not on {}", stored.name(), got.name())]
    OtherNetwork { stored: Network, got: Network },
    #[error("the database belongs to a wallet of operator {stored}")]
    OtherOperator { stored: Box<XOnlyPublicKey> },
    #[error("all key indexes have been used")]
    KeysExhausted,
    #[error("coin {outpoint} is held by flow {}", by.as_hex())]
    CoinLocked { outpoint: OutPoint, by: Box<[u8; 32]> },
    #[error("the flow is at step {found}, not at {expected}: another process has gone on with it")]
    StepChanged { expected: Box<str>, found: Box<str> },
    #[error("the invite has been used")]
    InviteUsed,
    #[error("the amount cannot go down from {stored} to {refused}")]
    LowerAmount { stored: Amount, refused: Amount },
    #[error("{amount} is more than the channel's {capacity}")]
    OverCapacity { amount: Amount, capacity: Amount },
    #[error("the channel is {state} and takes no payments")]
    NotOpen { state: ChannelState },
    #[error("the channel is {found} and cannot become {to}")]
    StateChanged { found: ChannelState, to: ChannelState },
    #[error("the branch of {outpoint} belongs to a channel that is funded and stays as it is")]
    BranchFixed { outpoint: OutPoint },
    #[error("a record is longer than {limit} bytes")]
    TooLong { limit: usize },
    #[error("invalid {what}")]
    Invalid { what: &'static str },
    #[error("a write inside a read")]
    NotWriting,
    #[error("the database refused it: {detail}")]
    Refused { detail: String },
    #[error("SQLite error {code}: {detail}")]
    Sqlite { code: i32, detail: String },
}

impl StoreError {
    pub(super) fn corrupt(what: impl Into<String>) -> Self {
        Self::Corrupt { what: what.into() }
    }

    /// Whether the file itself failed: SQLite may have rolled the transaction back, so nothing more may be written in it.
    pub fn is_fatal(&self) -> bool {
        matches!(
            self,
            Self::Full
                | Self::ReadOnly
                | Self::Busy
                | Self::CannotOpen { .. }
                | Self::Io { .. }
                | Self::Moved
                | Self::Closed
                | Self::Released
                | Self::Corrupt { .. }
                | Self::NotOurs
                | Self::Sqlite { .. }
        )
    }

    /// Whether a check, a key or a trigger refused the statement.
    pub(super) fn is_refused(&self) -> bool {
        matches!(self, Self::Refused { .. })
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::Error as E;
        match error {
            E::SqliteFailure(failure, message) => from_code(&failure, message),
            E::SqlInputError { error, msg, .. } => from_code(&error, Some(msg)),
            E::InvalidColumnType(_, name, kind) => Self::corrupt(format!("column {name} holds {kind}")),
            E::IntegralValueOutOfRange(_, value) => Self::corrupt(format!("number {value} is out of range")),
            E::FromSqlConversionFailure(..) | E::Utf8Error(..) => Self::corrupt("a column holds another type"),
            E::InvalidPath(_) | E::NulError(_) => Self::CannotOpen { detail: "the path is not usable".into() },
            other => Self::Sqlite { code: ffi::SQLITE_ERROR, detail: other.to_string() },
        }
    }
}

fn from_code(failure: &ffi::Error, message: Option<String>) -> StoreError {
    let detail = message.unwrap_or_else(|| failure.to_string());
    match failure.code {
        ErrorCode::NotADatabase => StoreError::NotOurs,
        ErrorCode::DatabaseCorrupt => StoreError::corrupt(detail),
        ErrorCode::DiskFull => StoreError::Full,
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied => StoreError::ReadOnly,
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed => StoreError::Busy,
        ErrorCode::CannotOpen => StoreError::CannotOpen { detail },
        ErrorCode::SystemIoFailure => StoreError::Io { detail: format!("{detail} ({})", failure.extended_code) },
        ErrorCode::TooBig => StoreError::TooLong { limit: super::open::MAX_LENGTH },
        ErrorCode::ConstraintViolation => StoreError::Refused { detail },
        // Our statements are fixed and tested: one that does not fit the schema means that the schema has changed.
        ErrorCode::Unknown if failure.extended_code == ffi::SQLITE_ERROR => StoreError::corrupt(detail),
        _ => StoreError::Sqlite { code: failure.extended_code, detail },
    }
}
