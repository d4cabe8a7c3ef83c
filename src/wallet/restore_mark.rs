//! Channels that came out of a backup: what they may not do before their latest update has been seen, and what they may.

use std::sync::atomic::Ordering;

use super::error::Result;
use super::loaded::LoadedChannel;
use super::{Wallet, WalletError};
use crate::channel::ChannelId;
use crate::store::{ChannelState, Db, HotRow, Role};

fn mark_key(id: &ChannelId) -> String {
    format!("restored:{id}")
}

/// Whether the channel waits for its latest update since it came out of a backup.
pub(super) fn is_restored(db: &Db<'_>, id: &ChannelId) -> Result<bool> {
    Ok(db.meta(&mark_key(id))?.is_some())
}

pub(super) fn mark_restored(db: &Db<'_>, id: &ChannelId) -> Result<()> {
    Ok(db.set_meta(&mark_key(id), &[1])?)
}

pub(super) fn unmark_restored(db: &Db<'_>, id: &ChannelId) -> Result<()> {
    Ok(db.delete_meta(&mark_key(id))?)
}

/// A restored receiver takes its latest update as long as it can do anything with it.
pub(super) fn require_alive(hot: &HotRow) -> Result<()> {
    if matches!(hot.state, ChannelState::Confirming | ChannelState::Open) {
        return Ok(());
    }
    Err(Box::new(WalletError::WrongState { channel_id: hot.id, state: hot.state, what: "an update" }))
}

impl LoadedChannel {
    /// As it was when the channel was read: whether it waited for its latest update.
    pub fn was_restored(&self) -> bool {
        self.restored.load(Ordering::SeqCst)
    }

    /// Whether it still waits: another process may have seen the update since. Costs a look at the store only for a
    /// channel that was restored.
    pub fn awaits_update(&self, db: &Db<'_>) -> Result<bool> {
        Ok(self.was_restored() && is_restored(db, &self.channel.id)?)
    }

    /// Refuses to sign for a side that does not know what was paid: a payer a payment, a receiver a release.
    pub fn check_caught_up(&self, db: &Db<'_>) -> Result<()> {
        if self.awaits_update(db)? {
            return Err(Box::new(WalletError::CatchUpNeeded { channel_id: self.channel.id }));
        }
        Ok(())
    }

    /// The latest update has been seen, in the transaction that stores it.
    pub fn caught_up(&self, db: &Db<'_>) -> Result<()> {
        if self.was_restored() { unmark_restored(db, &self.channel.id) } else { Ok(()) }
    }
}

impl Wallet {
    /// After the transaction of [`LoadedChannel::caught_up`]: the channel is read again when it is needed next.
    pub(super) fn unload_restored(&self, loaded: &LoadedChannel) {
        if loaded.was_restored() {
            self.unload(&loaded.channel.id);
        }
    }

    /// As payer of a channel that came out of a backup: the receiver says that it was never paid anything in it, so there
    /// is nothing to show, and payments begin at zero. Should the receiver have an update all the same, it refuses the
    /// first payment and shows it ([`Wallet::catch_up`]); what it can claim does not change either way.
    pub fn pay_from_zero(&self, id: &ChannelId) -> Result<()> {
        let loaded = self.loaded(id)?;
        loaded.check_role(Role::Payer)?;
        self.store.write(|db| loaded.caught_up(db))?;
        self.unload_restored(&loaded);
        Ok(())
    }
}
