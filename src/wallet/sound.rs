//! Channels that can be read: one whose row is damaged must not keep the others from being looked at, closed and left.

use super::error::Result;
use super::maintain::has_ended;
use super::{Wallet, WalletError};
use crate::channel::ChannelId;
use crate::store::{ChannelRow, DamagedRow, StoreError};

/// A channel of which not all can be read.
pub(super) struct Damaged {
    /// Which one, where that can be read.
    pub id: Option<ChannelId>,
    pub error: Box<WalletError>,
}

impl Wallet {
    /// All channels that can be read, oldest first. [`Wallet::maintain`] reports the others.
    pub(super) fn sound_channels(&self) -> Result<Vec<ChannelRow>> {
        Ok(self.sound_and_damaged()?.0)
    }

    /// All channels that can be read, and the others. Of those that have ended only the row is read.
    pub(super) fn sound_and_damaged(&self) -> Result<(Vec<ChannelRow>, Vec<Damaged>)> {
        let (rows, damaged) = self.store.read::<_, Box<WalletError>>(|db| Ok(db.channels()?))?;
        let as_damaged = |DamagedRow { id, error }| Damaged { id, error: Box::new(error.into()) };
        let mut damaged: Vec<Damaged> = damaged.into_iter().map(as_damaged).collect();
        let mut sound = Vec::with_capacity(rows.len());
        for row in rows {
            let id = row.record.id;
            let readable = if has_ended(&row) { Ok(()) } else { self.loaded(&id).map(|_| ()) };
            match readable {
                Ok(()) => sound.push(row),
                Err(error) if is_damage(&error) => damaged.push(Damaged { id: Some(id), error }),
                // Forgotten since, by another process.
                Err(error) if matches!(*error, WalletError::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        Ok((sound, damaged))
    }
}

/// Whether what is stored of a channel is not what was stored.
pub(super) fn is_damage(error: &WalletError) -> bool {
    use WalletError::{Channel, CorruptFlow, Store};
    matches!(error, Channel(_) | CorruptFlow { .. } | Store(StoreError::Corrupt { .. }))
}
