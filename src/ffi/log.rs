//! The log, for the app.

use std::sync::Arc;

use super::ListenerError;
use crate::log;

/// How much a record of the log matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum LogLevel {
    /// Something inside the library, or the database, is broken.
    Error,
    /// Something was refused or failed.
    Warn,
    /// What the wallet does: flows, states of channels.
    Info,
    /// Every payment and every call to a server.
    Debug,
}

/// One line of the log. It never holds a secret: no words, keys, nonces, signatures or whole messages.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct LogRecord {
    /// How much it matters.
    pub level: LogLevel,
    /// The part of the library: `wallet`, `store`, `operator`, `chain` or `ffi`.
    pub target: String,
    /// One line of at most about 1 000 bytes. Says in brackets how many records before it were lost, if any.
    pub text: String,
    /// Milliseconds since 1970, UTC, by the system's clock.
    pub unix_millis: u64,
}

/// Takes the log's records.
///
/// It is called from one thread of the library's own (`vc-log`), one record after the other, in their order. It may take
/// its time, throw, or call the library: nobody waits for it. While it is busy 1 024 records wait; more are lost, and
/// counted.
#[uniffi::export(foreign)]
pub trait LogSink: Send + Sync {
    /// Takes one record. What it throws is ignored.
    fn log(&self, record: LogRecord) -> Result<(), ListenerError>;
}

/// Sends the records of all wallets of this process, up to `level`, to `sink` from now on, in place of the one before;
/// without a sink nothing is logged, and that costs nothing. Comes back at once; the sink before may get what it had
/// been sent already, for up to a second.
#[uniffi::export]
pub fn set_log_sink(sink: Option<Arc<dyn LogSink>>, level: LogLevel) {
    let feed = |sink: Arc<dyn LogSink>| -> log::Sink {
        Box::new(move |record| {
            // One that throws gets the next record all the same.
            let _ = sink.log(record.into());
        })
    };
    log::set_sink(sink.map(feed), level.into());
}

impl From<LogLevel> for log::Level {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Error => Self::Error,
            LogLevel::Warn => Self::Warn,
            LogLevel::Info => Self::Info,
            LogLevel::Debug => Self::Debug,
        }
    }
}

impl From<log::Record> for LogRecord {
    fn from(record: log::Record) -> Self {
        let level = match record.level {
            log::Level::Error => LogLevel::Error,
            log::Level::Warn => LogLevel::Warn,
            log::Level::Info => LogLevel::Info,
            log::Level::Debug => LogLevel::Debug,
        };
        Self { level, target: record.target.into(), text: record.text, unix_millis: record.unix_millis }
    }
}
