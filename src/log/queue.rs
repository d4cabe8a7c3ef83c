//! Between those who log and the one who listens.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use super::{Record, Sink};

/// Records that wait for the sink.
pub(super) const WAITING: usize = 1_024;

/// How long a sink that was removed may go on with what waits.
const FAREWELL: Duration = Duration::from_secs(1);

/// A sink with its thread. Dropping it ends the thread.
pub(super) struct Queue {
    sender: SyncSender<Record>,
    /// Records that found no room since the last that did.
    lost: AtomicU64,
    removed: Arc<AtomicBool>,
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.removed.store(true, Ordering::SeqCst);
    }
}

impl Queue {
    /// `None` when there is no thread to be had: then nothing is logged.
    pub fn start(sink: Sink) -> Option<Self> {
        let (sender, records) = sync_channel(WAITING);
        let removed = Arc::new(AtomicBool::new(false));
        let seen = removed.clone();
        let thread = std::thread::Builder::new().name("vc-log".into());
        thread.spawn(move || deliver(sink, &records, &seen)).ok()?;
        Some(Self { sender, lost: AtomicU64::new(0), removed })
    }

    /// Never waits.
    pub fn push(&self, mut record: Record) {
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            record.text = format!("[{lost} records before this one were lost] {}", record.text);
        }
        if let Err(TrySendError::Full(_)) = self.sender.try_send(record) {
            self.lost.fetch_add(lost + 1, Ordering::Relaxed);
        }
    }
}

fn deliver(mut sink: Sink, records: &Receiver<Record>, removed: &AtomicBool) {
    let mut end = None;
    for record in records {
        if removed.load(Ordering::SeqCst) && Instant::now() >= *end.get_or_insert_with(|| Instant::now() + FAREWELL) {
            return;
        }
        // Whatever the sink does is the sink's.
        let _ = catch_unwind(AssertUnwindSafe(|| sink(record)));
    }
}
