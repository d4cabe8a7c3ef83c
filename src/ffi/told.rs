//! What the log says of the app's calls.

use std::sync::Arc;
use std::time::Instant;

use super::WalletError;
use super::clock::AskedClock;
use crate::log::note;
use crate::task::{self, Answer, Work};

/// Where a call leaves its answer, as far as the log is concerned.
pub(super) trait Ended: Send {
    /// `tell` gets the error that the call has ended with, if it is one.
    fn tell(&self, tell: &mut dyn FnMut(Option<&WalletError>));
}

impl<T: Send> Ended for Answer<Result<T, WalletError>> {
    fn tell(&self, tell: &mut dyn FnMut(Option<&WalletError>)) {
        self.look(|answer| tell(answer.and_then(|answer| answer.as_ref().err())));
    }
}

/// A call of the network, with its end. The app's clock is asked before it.
pub(super) fn call(name: &'static str, clock: Option<Arc<AskedClock>>, work: Work, ended: Box<dyn Ended>) -> Work {
    Box::pin(async move {
        if let Some(clock) = clock {
            // Not on one of the few threads that drive the network: the app may take its time.
            task::blocking(move || clock.ask()).await;
        }
        note!(Debug, "{name} begins");
        let started = Instant::now();
        work.await;
        let took = started.elapsed().as_millis();
        ended.tell(&mut |error| match error {
            None => note!(Debug, "{name} has ended after {took} ms"),
            Some(error) if is_broken(error) => note!(Error, "{name} broke after {took} ms: {error}"),
            Some(error) => note!(Warn, "{name} failed after {took} ms: {error}"),
        });
    })
}

/// A call that needs no network: only what is broken. Payments speak for themselves.
pub(super) fn local<T>(answer: Result<T, WalletError>) -> Result<T, WalletError> {
    answer.inspect_err(broken)
}

fn broken(error: &WalletError) {
    if is_broken(error) {
        note!(Error, "{error}");
    }
}

/// Whether the library or the file under it is at fault, and not what was asked for.
fn is_broken(error: &WalletError) -> bool {
    use WalletError as E;
    matches!(
        error,
        E::Internal { .. }
            | E::DatabaseCorrupt { .. }
            | E::DatabaseFailed { .. }
            | E::DatabaseFull
            | E::DatabaseReadOnly
    )
}
