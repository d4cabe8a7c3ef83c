//! What an app developer wants to know when something does not work: who was called, how long it took, what became of
//! it. Ids, amounts, durations and error sentences; never words, keys, nonces, signatures or whole messages.
//!
//! Nobody is called where something is logged: a record goes into a bounded queue, from which a thread of its own feeds
//! the sink. A sink that is slow, stuck or broken costs records, which are counted, and nothing else. Without a sink
//! a line of the log costs one look at an atomic.

mod queue;
mod text;

use std::fmt::Arguments;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use queue::Queue;

/// How much a record matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Something inside the library, or the database, is broken.
    Error = 1,
    /// Something was refused or failed.
    Warn,
    /// What the wallet does: flows, channel states.
    Info,
    /// Every payment and every call to a server.
    Debug,
}

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub level: Level,
    /// The part of the library: a module of this crate.
    pub target: &'static str,
    /// One line of at most about 1 000 bytes.
    pub text: String,
    pub unix_millis: u64,
}

/// Takes the records, one after the other, on a thread of its own.
pub type Sink = Box<dyn FnMut(Record) + Send>;

/// The process's log.
static LOG: Log = Log::new();

struct Log {
    /// The highest level that is wanted; 0 for none.
    level: AtomicU8,
    queue: RwLock<Option<Queue>>,
}

/// Sends records up to `level` to `sink` from now on, in place of the one before, or to nobody. The thread of the one
/// before ends once it has delivered what waited, which it does for a second at most.
pub fn set_sink(sink: Option<Sink>, level: Level) {
    LOG.set(sink, level);
}

/// Whether anybody wants to know.
pub(crate) fn enabled(level: Level) -> bool {
    LOG.enabled(level)
}

/// Use [`note`], which asks first.
pub(crate) fn write(level: Level, module: &'static str, text: Arguments<'_>) {
    LOG.write(level, module, text);
}

/// A line of the log: `note!(Info, "channel {id} is {state}")`. Nothing is evaluated when nobody wants to know.
macro_rules! note {
    ($level:ident, $($text:tt)+) => {
        if $crate::log::enabled($crate::log::Level::$level) {
            $crate::log::write($crate::log::Level::$level, module_path!(), format_args!($($text)+));
        }
    };
}
pub(crate) use note;

impl Log {
    const fn new() -> Self {
        Self { level: AtomicU8::new(0), queue: RwLock::new(None) }
    }

    fn set(&self, sink: Option<Sink>, level: Level) {
        let queue = sink.and_then(Queue::start);
        let mut held = self.queue.write().unwrap_or_else(PoisonError::into_inner);
        self.level.store(queue.as_ref().map_or(0, |_| level as u8), Ordering::Relaxed);
        let before = std::mem::replace(&mut *held, queue);
        drop(held);
        drop(before);
    }

    fn enabled(&self, level: Level) -> bool {
        level as u8 <= self.level.load(Ordering::Relaxed)
    }

    fn write(&self, level: Level, module: &'static str, text: Arguments<'_>) {
        let text = text::one_line(text);
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let unix_millis = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        // `virtual_channels::operator::client` is the operator's.
        let target = module.split("::").nth(1).unwrap_or(module);
        let held = self.queue.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = held.as_ref() {
            queue.push(Record { level, target, text, unix_millis });
        }
    }
}

#[cfg(test)]
mod tests;
