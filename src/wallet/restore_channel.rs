//! Channels of a backup, as rows.

use super::WalletError;
use super::error::Result;
use super::keys::{KeyUse, Keys};
use super::restore::RestoreWarning;
use super::restore_mark::mark_restored;
use crate::channel::backup::ChannelBackup;
use crate::channel::{Channel, ChannelId};
use crate::store::{ChannelRecord, ChannelState, Db, FundingKind, Role, StoreError};

/// Whether a channel of a backup has the key it says. It does, unless the backup was made by something else.
pub(super) fn key_fits(keys: &Keys, channel: &ChannelBackup) -> Result<()> {
    let (key_use, party) = match channel.is_payer {
        true => (KeyUse::Payer, channel.terms.payer),
        false => (KeyUse::Receiver, channel.terms.receiver),
    };
    match keys.keypair(key_use, channel.key_index)?.xonly() == party.key {
        true => Ok(()),
        false => Err(Box::new(WalletError::OtherBackup { what: "mnemonic" })),
    }
}

/// Stores a channel that waits for its latest update. One that is in the file already stays as it is, but for a branch
/// that is missing or damaged; one whose row is damaged is told of, and keeps no other out.
pub(super) fn insert(db: &Db<'_>, channel: &ChannelBackup, warnings: &mut Vec<RestoreWarning>) -> Result<ChannelId> {
    let id = Channel::new(channel.terms, channel.funding)?.id;
    if !channel.branch.nodes.is_empty() && db.sound_branch(&channel.funding)?.is_none() {
        db.put_branch(&channel.funding, &channel.branch)?;
    }
    match db.channel_at(&channel.funding) {
        Ok(None) => {}
        Ok(Some(_)) => return Ok(id),
        Err(error @ StoreError::Corrupt { .. }) => {
            warnings.push(RestoreWarning::ChannelNotSeen { channel_id: id, why: error.to_string() });
            return Ok(id);
        }
        Err(error) => return Err(error.into()),
    }
    let record = ChannelRecord {
        id,
        role: if channel.is_payer { Role::Payer } else { Role::Receiver },
        terms: channel.terms.canonical(),
        capacity: channel.terms.capacity,
        funding: channel.funding,
        funding_kind: if channel.is_offchain { FundingKind::Offchain } else { FundingKind::Batch },
        key_index: channel.key_index,
        commitments: channel.commitments.clone(),
        batch_expiry: channel.batch_expiry,
        expiry: channel.expiry,
        expires_at: channel.expires_at,
        levels: channel.levels,
        created_at: channel.created_at,
    };
    let state = if channel.was_confirmed { ChannelState::Open } else { ChannelState::Confirming };
    let authorisation = channel.authorisation.as_ref().map(|authorisation| authorisation.to_bytes());
    db.insert_channel(&record, state, authorisation.as_deref())?;
    mark_restored(db, &id)?;
    Ok(id)
}
