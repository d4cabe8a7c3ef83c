//! What the log says of the app's calls.

use std::future::Future;
use std::time::Instant;

use super::WalletError;
use crate::log::note;

/// A call of the network, with its end.
pub(super) async fn call<T>(
    name: &'static str,
    work: impl Future<Output = Result<T, WalletError>>,
) -> Result<T, WalletError> {
    note!(Debug, "{name} begins");
    let started = Instant::now();
    let answer = work.await;
    let took = started.elapsed().as_millis();
    match &answer {
        Ok(_) => note!(Debug, "{name} has ended after {took} ms"),
        Err(error) if is_broken(error) => note!(Error, "{name} broke after {took} ms: {error}"),
        Err(error) => note!(Warn, "{name} failed after {took} ms: {error}"),
    }
    answer
}

/// A call that needs no network: only what is broken. Payments speak for themselves.
pub(super) fn local<T>(answer: Result<T, WalletError>) -> Result<T, WalletError> {
    if let Err(error) = &answer
        && is_broken(error)
    {
        note!(Error, "{error}");
    }
    answer
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
