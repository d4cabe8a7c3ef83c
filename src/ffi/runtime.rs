//! The library's own threads.
//!
//! Each wallet owns a tokio runtime of two threads. Work is spawned onto it and the exported future only waits: when
//! the caller cancels, the work goes on. Every piece of work holds the runtime, so that closing a wallet never tears a
//! call out of the wire (arkd fails a transaction for good when FinalizeTx is dropped); the last one that ends lets the
//! threads go.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::JoinHandle;

use super::WalletError;
use crate::log::note;

/// Work behind a pointer: what handles it is made once for each kind of answer, not once for each call. A third of the
/// code of the exported calls is saved by it (docs/adr/0008-size.md).
pub(super) type Boxed<T> = Pin<Box<dyn Future<Output = Result<T, WalletError>> + Send>>;

#[derive(Clone)]
pub(super) struct Runtime(Arc<Owner>);

/// Ends the threads without waiting for them, which is allowed anywhere, also on one of them.
struct Owner(Option<tokio::runtime::Runtime>);

impl Drop for Owner {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Writing to a connection that the other end has closed is an error here, and no signal: in an app that is not written in Rust
/// nobody ignores SIGPIPE, and it ends the process. On Apple's systems each socket is told so by `mio`; a JVM ignores it.
fn outlive_peers() {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        use nix::sys::signal::{SigSet, Signal};
        let mut signals = SigSet::empty();
        signals.add(Signal::SIGPIPE);
        if let Err(error) = signals.thread_block() {
            note!(Warn, "SIGPIPE is not blocked: {error}");
        }
    }
}

impl Runtime {
    pub fn new() -> Result<Self, WalletError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("virtual-channels")
            .enable_all()
            .on_thread_start(outlive_peers)
            .build()
            .map_err(|error| WalletError::Internal { detail: format!("no threads: {error}") })?;
        Ok(Self(Arc::new(Owner(Some(runtime)))))
    }

    fn handle(&self) -> Result<tokio::runtime::Handle, WalletError> {
        let runtime = self.0.0.as_ref();
        runtime.map(|runtime| runtime.handle().clone()).ok_or(WalletError::Closed)
    }

    /// Runs `work` to its end on the runtime.
    pub fn run<T: Send + 'static>(&self, work: Boxed<T>) -> Boxed<T> {
        let owner = self.clone();
        Box::pin(async move {
            let slot = Slot::default();
            let answer = slot.clone();
            let work = Box::pin(async move { answer.fill(work.await) });
            owner.spawn(work)?.await.map_err(|error| broken(&error))?;
            slot.take()
        })
    }

    /// A task that holds the runtime. Not generic: the machinery of tasks is in the library once.
    fn spawn(&self, work: Pin<Box<dyn Future<Output = ()> + Send>>) -> Result<JoinHandle<()>, WalletError> {
        let owner = self.clone();
        Ok(self.handle()?.spawn(async move {
            work.await;
            drop(owner);
        }))
    }

    /// Runs `work` to its end on the runtime; nobody waits for it.
    pub fn detach(&self, work: impl Future<Output = ()> + Send + 'static) {
        let owner = self.clone();
        if let Ok(handle) = self.handle() {
            handle.spawn(async move {
                work.await;
                drop(owner);
            });
        }
    }

    /// Runs `work` to its end on a thread that may block; nobody waits for it.
    pub fn detach_blocking(&self, work: impl FnOnce() + Send + 'static) {
        let _ = self.spawn_blocking(Box::new(work));
    }

    /// Runs `work`, which changes nothing, on the runtime, and ends it when the caller goes away.
    pub async fn wait<T, F>(&self, work: F) -> Result<T, WalletError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, WalletError>> + Send + 'static,
    {
        let mut waiting = tokio::task::JoinSet::new();
        waiting.spawn_on(work, &self.handle()?);
        match waiting.join_next().await {
            Some(done) => done.unwrap_or_else(|error| Err(broken(&error))),
            None => Err(WalletError::Closed),
        }
    }

    /// Runs `work` to its end on a thread that may block: SQLite and signatures.
    pub fn run_blocking<T: Send + 'static>(
        &self,
        work: Box<dyn FnOnce() -> Result<T, WalletError> + Send>,
    ) -> Boxed<T> {
        let owner = self.clone();
        Box::pin(async move {
            let slot = Slot::default();
            let answer = slot.clone();
            let work = Box::new(move || answer.fill(work()));
            owner.spawn_blocking(work)?.await.map_err(|error| broken(&error))?;
            slot.take()
        })
    }

    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>) -> Result<JoinHandle<()>, WalletError> {
        let owner = self.clone();
        Ok(self.handle()?.spawn_blocking(move || {
            work();
            drop(owner);
        }))
    }
}

/// Where a task leaves its answer.
struct Slot<T>(Arc<Mutex<Option<Result<T, WalletError>>>>);

impl<T> Clone for Slot<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(None)))
    }
}

impl<T> Slot<T> {
    fn fill(&self, answer: Result<T, WalletError>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
    }

    /// The answer of a task that has ended.
    fn take(&self) -> Result<T, WalletError> {
        let answer = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        answer.unwrap_or_else(|| Err(WalletError::Internal { detail: "a task left no answer".into() }))
    }
}

fn broken(error: &tokio::task::JoinError) -> WalletError {
    match error.is_cancelled() {
        true => WalletError::Closed,
        // A bug of ours; the panic itself has been caught, and what was stored is whole.
        false => {
            note!(Error, "a task panicked");
            WalletError::Internal { detail: "a task panicked".into() }
        }
    }
}
