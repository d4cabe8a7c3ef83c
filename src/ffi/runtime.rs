//! The library's own threads.
//!
//! Each wallet owns a tokio runtime of two threads. Work is spawned onto it and the exported future only waits: when
//! the caller cancels, the work goes on. Every piece of work holds the runtime, so that closing a wallet never tears a
//! call out of the wire (arkd fails a transaction for good when FinalizeTx is dropped); the last one that ends lets the
//! threads go.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::task::JoinHandle;

use super::clock::AskedClock;
use super::{WalletError, told};
use crate::log::note;
use crate::task::{Answer, Work};

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

    /// Runs `work` to its end on the runtime, with lines in the log.
    pub fn run<T: Send + 'static>(&self, call: &'static str, work: Boxed<T>) -> Boxed<T> {
        self.run_asked(call, None, work)
    }

    /// The same, after the app's clock was asked.
    pub fn run_asked<T: Send + 'static>(
        &self,
        call: &'static str,
        clock: Option<Arc<AskedClock>>,
        work: Boxed<T>,
    ) -> Boxed<T> {
        let (work, answer) = leaving(work);
        answer_of(self.run_work(told::call(call, clock, work, Box::new(answer.clone()))), answer)
    }

    /// What all calls share, whatever they answer: see [`crate::task`].
    fn run_work(&self, work: Work) -> Boxed<()> {
        let owner = self.clone();
        Box::pin(async move { owner.spawn(work)?.await.map_err(|error| broken(&error)) })
    }

    /// A task that holds the runtime.
    fn spawn(&self, work: Work) -> Result<JoinHandle<()>, WalletError> {
        let owner = self.clone();
        Ok(self.handle()?.spawn(async move {
            work.await;
            drop(owner);
        }))
    }

    /// Runs `work` to its end on the runtime; nobody waits for it.
    pub fn detach(&self, work: impl Future<Output = ()> + Send + 'static) {
        drop(self.spawn(Box::pin(work)));
    }

    /// Runs `work` to its end on a thread that may block; nobody waits for it.
    pub fn detach_blocking(&self, work: impl FnOnce() + Send + 'static) {
        let _ = self.spawn_blocking(Box::new(work));
    }

    /// Runs `work`, which changes nothing, on the runtime, and ends it when the caller goes away.
    pub fn wait<T: Send + 'static>(&self, work: Boxed<T>) -> Boxed<T> {
        let (work, answer) = leaving(work);
        answer_of(self.wait_for(work), answer)
    }

    fn wait_for(&self, work: Work) -> Boxed<()> {
        let owner = self.clone();
        Box::pin(async move {
            let mut waiting = tokio::task::JoinSet::new();
            waiting.spawn_on(work, &owner.handle()?);
            match waiting.join_next().await {
                Some(done) => done.map_err(|error| broken(&error)),
                None => Err(WalletError::Closed),
            }
        })
    }

    /// Runs `work` to its end on a thread that may block: SQLite and signatures.
    pub fn run_blocking<T: Send + 'static>(
        &self,
        work: Box<dyn FnOnce() -> Result<T, WalletError> + Send>,
    ) -> Boxed<T> {
        let answer = Answer::default();
        let place = answer.clone();
        answer_of(self.block_on(Box::new(move || place.put(work()))), answer)
    }

    fn block_on(&self, work: Box<dyn FnOnce() + Send>) -> Boxed<()> {
        let owner = self.clone();
        Box::pin(async move { owner.spawn_blocking(work)?.await.map_err(|error| broken(&error)) })
    }

    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>) -> Result<JoinHandle<()>, WalletError> {
        let owner = self.clone();
        Ok(self.handle()?.spawn_blocking(move || {
            work();
            drop(owner);
        }))
    }
}

/// Work, and where it leaves its answer.
fn leaving<T: Send + 'static>(work: Boxed<T>) -> (Work, Answer<Result<T, WalletError>>) {
    let answer = Answer::default();
    let place = answer.clone();
    (Box::pin(async move { place.put(work.await) }), answer)
}

/// The answer of a task, once it has ended.
fn answer_of<T: Send + 'static>(running: Boxed<()>, answer: Answer<Result<T, WalletError>>) -> Boxed<T> {
    Box::pin(async move {
        running.await?;
        let left = answer.take();
        left.unwrap_or_else(|| Err(WalletError::Internal { detail: "a task left no answer".into() }))
    })
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
