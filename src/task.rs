//! Tasks, and the answers that they leave.
//!
//! The machinery of a task is as large as its work is small, and the compiler makes it once for each kind of work. Here
//! all work goes behind a pointer first, so that it is in the library once (docs/adr/0008-size.md).

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::JoinHandle;

/// Work of any kind.
pub type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Runs `work` to its end, whether or not anybody waits for it.
pub fn spawn(work: impl Future<Output = ()> + Send + 'static) {
    drop(spawn_boxed(Box::pin(work)));
}

/// The same for work that has an answer: it comes when it is waited for. `None` when the work has panicked, or the
/// runtime is shutting down.
pub fn answered<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> impl Future<Output = Option<T>> {
    let answer = Answer::default();
    let place = answer.clone();
    let running = spawn_boxed(Box::pin(async move { place.put(work.await) }));
    async move {
        running.await.ok()?;
        answer.take()
    }
}

/// The same for work that blocks.
pub fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> impl Future<Output = Option<T>> {
    let answer = Answer::default();
    let place = answer.clone();
    let running = spawn_blocking(Box::new(move || place.put(work())));
    async move {
        running.await.ok()?;
        answer.take()
    }
}

fn spawn_boxed(work: Work) -> JoinHandle<()> {
    tokio::spawn(work)
}

fn spawn_blocking(work: Box<dyn FnOnce() + Send>) -> JoinHandle<()> {
    tokio::task::spawn_blocking(work)
}

/// Where a task leaves its answer.
pub struct Answer<T>(Arc<Mutex<Option<T>>>);

impl<T> Clone for Answer<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Default for Answer<T> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(None)))
    }
}

impl<T> Answer<T> {
    pub fn put(&self, answer: T) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
    }

    /// Looks at the answer, and leaves it.
    pub fn look<R>(&self, look: impl FnOnce(Option<&T>) -> R) -> R {
        look(self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref())
    }

    /// The answer of a task that has ended.
    pub fn take(&self) -> Option<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn answers_come() {
        assert_eq!(answered(async { 7 }).await, Some(7));
        assert_eq!(blocking(|| 8).await, Some(8));
    }

    #[tokio::test]
    async fn a_panic_is_no_answer() {
        assert_eq!(answered::<u8>(async { panic!("the test's own") }).await, None);
        assert_eq!(blocking::<u8>(|| panic!("the test's own")).await, None);
    }

    #[tokio::test]
    async fn work_goes_on_when_nobody_waits() {
        let (done, told) = tokio::sync::oneshot::channel();
        drop(answered(async move {
            tokio::task::yield_now().await;
            done.send(()).unwrap();
        }));
        told.await.unwrap();
    }
}
