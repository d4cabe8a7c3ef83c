//! Letting go of the database while the app sleeps: iOS ends an app that holds a lock on a file it shares with its
//! extensions when it is suspended.

use std::sync::PoisonError;

use super::error::Result;
use super::{Wallet, WalletError};
use crate::store::{Binding, SeenTime, StoreError};

impl Wallet {
    /// Lets go of the database: no lock, no open file, and everything is in the one file. Waits for the read or write
    /// that is running (within [`crate::store::BUSY_TIMEOUT`]), not for a flow that waits for the network.
    ///
    /// Calls from then on answer [`StoreError::Released`] until [`Wallet::reopen_database`]; only
    /// [`Wallet::next_event`] goes on waiting. A flow that comes to its next step meanwhile ends with that error, and
    /// [`Wallet::resume`] goes on with it later, as after a killed process. Co-signing in the background waits. Also
    /// after an error nothing is held. Releasing again does nothing.
    pub fn release_database(&self) -> Result<()> {
        let released = self.store.release();
        // Keys of channels have no business in a sleeping app.
        self.forget_loaded();
        Ok(released?)
    }

    /// Picks up the database again, after checking that the file is still this wallet's. What another process (an app
    /// extension) changed meanwhile is seen. Call [`Wallet::resume`] afterwards. After an error the database stays
    /// released; reopening again does nothing.
    pub fn reopen_database(&self) -> Result<()> {
        let (fingerprint, network) = (self.keys.fingerprint()?, self.config.network);
        let mut seen = SeenTime::default();
        let reopened = self.store.reopen::<WalletError>(|db| {
            let stored = db.binding()?.ok_or(StoreError::OtherWallet)?;
            db.bind(&Binding { fingerprint, network, operator: stored.operator })?;
            seen = db.seen_time()?;
            Ok(())
        })?;
        if !reopened {
            return Ok(());
        }
        self.forget_loaded();
        *self.cached_info.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.take_seen(seen);
        self.returned.notify_waiters();
        self.events.ring();
        Ok(())
    }

    fn forget_loaded(&self) {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Whether the database was let go of since `reopened` was read from the store.
    pub(super) fn was_released(&self, reopened: u64) -> bool {
        self.store.is_released() || self.store.reopened() != reopened
    }

    /// Waits until the database is held again; fails when the wallet is closed.
    pub(super) async fn until_reopened(&self) -> Result<()> {
        loop {
            let returned = self.returned.notified();
            match self.store.read(|_| Ok(())) {
                Err(StoreError::Released) => returned.await,
                other => return Ok(other?),
            }
        }
    }

    /// Runs a step of background work, again when the database was released in between.
    pub(super) async fn across_release<T>(&self, step: impl Fn() -> Result<T>) -> Result<T> {
        loop {
            match step() {
                Err(error) if error.is_released() => self.until_reopened().await?,
                other => return other,
            }
        }
    }
}
