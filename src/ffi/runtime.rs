//! The library's own threads.
//!
//! Each wallet owns a tokio runtime of two threads. Work is spawned onto it and the exported future only waits: when
//! the caller cancels, the work goes on. Every piece of work holds the runtime, so that closing a wallet never tears a
//! call out of the wire (arkd fails a transaction for good when FinalizeTx is dropped); the last one that ends lets the
//! threads go.

use std::future::Future;
use std::sync::Arc;

use super::WalletError;
use crate::log::note;

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

impl Runtime {
    pub fn new() -> Result<Self, WalletError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("virtual-channels")
            .enable_all()
            .build()
            .map_err(|error| WalletError::Internal { detail: format!("no threads: {error}") })?;
        Ok(Self(Arc::new(Owner(Some(runtime)))))
    }

    fn handle(&self) -> Result<tokio::runtime::Handle, WalletError> {
        let runtime = self.0.0.as_ref();
        runtime.map(|runtime| runtime.handle().clone()).ok_or(WalletError::Closed)
    }

    /// Runs `work` to its end on the runtime.
    pub async fn run<T, F>(&self, work: F) -> Result<T, WalletError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, WalletError>> + Send + 'static,
    {
        let owner = self.clone();
        let task = self.handle()?.spawn(async move {
            let done = work.await;
            drop(owner);
            done
        });
        task.await.unwrap_or_else(|error| Err(broken(&error)))
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
    pub async fn run_blocking<T, F>(&self, work: F) -> Result<T, WalletError>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T, WalletError> + Send + 'static,
    {
        let owner = self.clone();
        let task = self.handle()?.spawn_blocking(move || {
            let done = work();
            drop(owner);
            done
        });
        task.await.unwrap_or_else(|error| Err(broken(&error)))
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
