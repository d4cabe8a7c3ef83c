//! Waiting for changes, for views that show channels and balances.

use std::sync::Arc;

use super::{Wallet, WalletError};

#[uniffi::export]
impl Wallet {
    /// Waits until this wallet has changed something in its database (a payment, a channel's state, an event, …) after
    /// version `seen`, and answers the version it is now; at once when that is another one already. Begin with 0, then
    /// give the last answer, and read `channels()` again after each. Changes that come together may be one answer; what
    /// another process changes is none. Answers `Closed` once the wallet is closed. Giving up while it waits changes
    /// nothing.
    pub async fn next_change(self: Arc<Self>, seen: u64) -> Result<u64, WalletError> {
        let inner = self.inner.clone();
        // Who waits does not keep the wallet open.
        drop(self);
        Ok(inner.next_change(seen).await?)
    }
}
