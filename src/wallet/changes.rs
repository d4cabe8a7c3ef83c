//! Telling those who show the wallet's state that it may have changed.

use super::Wallet;
use super::error::Result;

impl Wallet {
    /// Waits until this wallet has changed something in its database after version `seen`, and answers the version it
    /// is now; at once when that is another one already. Begin with 0. What another process changes does not count.
    /// Answers [`crate::store::StoreError::Closed`] once the wallet is closed.
    pub async fn next_change(&self, seen: u64) -> Result<u64> {
        Ok(self.store.next_change(seen).await?)
    }
}
