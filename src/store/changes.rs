//! How often the file was changed through this store, and a bell for those who wait for the next time.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::Notify;

use super::StoreError;

/// Counts committed changes. Counting is one atomic addition and, when nobody waits, one look at the bell.
pub(super) struct Changes {
    version: AtomicU64,
    closed: AtomicBool,
    bell: Notify,
}

impl Default for Changes {
    fn default() -> Self {
        // Never 0, so that whoever has seen nothing yet (0) gets an answer at once.
        Self { version: AtomicU64::new(1), closed: AtomicBool::new(false), bell: Notify::new() }
    }
}

impl Changes {
    /// A transaction that begins. Wakes those who wait when it is dropped: to be made before the store is locked, so
    /// that no waker runs under its lock.
    pub fn begin(&self) -> Change<'_> {
        Change { changes: self, happened: Cell::new(false) }
    }

    /// Wakes everybody: nothing more will change.
    pub fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.bell.notify_waiters();
    }

    /// Waits until the version is another one than `seen`, and answers it.
    pub async fn next(&self, seen: u64) -> Result<u64, StoreError> {
        loop {
            // Made before the look, so that a change right after it is not missed.
            let bell = self.bell.notified();
            if self.closed.load(Ordering::SeqCst) {
                return Err(StoreError::Closed);
            }
            let version = self.version.load(Ordering::SeqCst);
            if version != seen {
                return Ok(version);
            }
            bell.await;
        }
    }
}

/// One transaction.
pub(super) struct Change<'a> {
    changes: &'a Changes,
    happened: Cell<bool>,
}

impl Change<'_> {
    /// It is committed, and has changed something.
    pub fn happened(&self) {
        self.happened.set(true);
    }
}

impl Drop for Change<'_> {
    fn drop(&mut self) {
        if self.happened.get() {
            self.changes.version.fetch_add(1, Ordering::SeqCst);
            self.changes.bell.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::task::{Context, Poll, Wake, Waker};

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    impl Count {
        fn woken(&self) -> usize {
            self.0.load(Ordering::SeqCst)
        }
    }

    fn poll(
        future: std::pin::Pin<&mut impl Future<Output = Result<u64, StoreError>>>,
        count: &Arc<Count>,
    ) -> Poll<u64> {
        let waker = Waker::from(count.clone());
        future.poll(&mut Context::from_waker(&waker)).map(Result::unwrap)
    }

    #[test]
    fn wakes_after_a_change_and_only_then() {
        let (changes, count) = (Changes::default(), Arc::new(Count::default()));
        let mut waiting = pin!(changes.next(1));
        assert_eq!(poll(pin!(changes.next(0)), &count), Poll::Ready(1));
        assert_eq!(poll(waiting.as_mut(), &count), Poll::Pending);
        drop(changes.begin());
        assert_eq!((count.woken(), poll(waiting.as_mut(), &count)), (0, Poll::Pending));
        for _ in 0..3 {
            changes.begin().happened();
        }
        assert_eq!((count.woken(), poll(waiting.as_mut(), &count)), (1, Poll::Ready(4)));
        assert_eq!(poll(pin!(changes.next(4)), &count), Poll::Pending);
    }

    #[test]
    fn closing_wakes_everybody_for_good() {
        let (changes, count) = (Changes::default(), Arc::new(Count::default()));
        let waker = Waker::from(count.clone());
        let mut waiting = pin!(changes.next(1));
        assert!(poll(waiting.as_mut(), &count).is_pending());
        changes.close();
        assert_eq!(count.woken(), 1);
        let mut context = Context::from_waker(&waker);
        assert_eq!(waiting.as_mut().poll(&mut context), Poll::Ready(Err(StoreError::Closed)));
        assert_eq!(pin!(changes.next(0)).poll(&mut context), Poll::Ready(Err(StoreError::Closed)));
    }

    #[test]
    fn one_that_is_given_up_leaves_nothing_behind() {
        let (changes, count) = (Changes::default(), Arc::new(Count::default()));
        for _ in 0..1_000 {
            assert!(poll(pin!(changes.next(1)), &count).is_pending());
        }
        assert_eq!(Arc::strong_count(&count), 1, "a waker is kept");
        changes.begin().happened();
        assert_eq!(count.woken(), 0);
    }

    #[test]
    fn many_threads_lose_no_change() {
        let changes = Changes::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..1_000).for_each(|_| changes.begin().happened()));
            }
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let mut seen = 0;
            while seen < 4_001 {
                seen = runtime.block_on(changes.next(seen)).unwrap();
            }
            assert_eq!(seen, 4_001);
        });
    }
}
