//! Channels that a batch took back. Until its commitment transaction is buried that is the operator's word: one that is
//! never published, or replaced after a reorganisation, has taken nothing, and the channel is the payer's to take back again,
//! or to leave on chain.

use bitcoin::Txid;
use serde::{Deserialize, Serialize};

use super::batch::encode;
use super::error::Result;
use super::events::EventKind;
use super::refund::refund_flow;
use super::signed_away::are_apart;
use super::{Wallet, WalletError};
use crate::chain::TxStatus;
use crate::channel::ChannelId;
use crate::log::note;
use crate::store::{ChannelRow, ChannelState, Db, Role};

/// A look that did not find the commitment transaction.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Missing {
    txid: Txid,
    height: u32,
    /// Unix seconds.
    at: u64,
}

impl Wallet {
    /// Whether there are channels of which the chain has not said for good that a batch took them back.
    pub(super) fn doubts_taken_back(&self) -> Result<bool> {
        self.store.read(|db| Ok(!taken_back(db)?.is_empty()))
    }

    /// Asks the chain for the batches that took channels back. Where two looks do not find one the channel is to be taken
    /// back again; where it comes after all, it is back.
    pub(super) async fn look_at_taken_back(&self, height: u32) -> Result<()> {
        for (row, txid) in self.store.read::<_, Box<WalletError>>(taken_back)? {
            // Who does not answer has not said that it is missing.
            match (self.net.chain.status(txid).await, row.hot.state) {
                (Ok(TxStatus::Unknown), ChannelState::Refunded) => {
                    self.note_missing(&row.record.id, Missing { txid, height, at: self.now().wall })?;
                }
                (Ok(TxStatus::Confirmed { .. }), ChannelState::Refunding) => self.note_found(&row.record.id, txid)?,
                (Ok(TxStatus::Confirmed { .. } | TxStatus::Mempool), _) => self.forget_missing(&row.record.id)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn note_missing(&self, id: &ChannelId, look: Missing) -> Result<()> {
        let first = self.store.read::<_, Box<WalletError>>(|db| missing(db, id))?;
        match first.filter(|first| first.txid == look.txid) {
            Some(first) if are_apart((first.height, first.at), (look.height, look.at)) => {
                self.store.write::<_, Box<WalletError>>(|db| {
                    db.set_state(id, &[ChannelState::Refunded], ChannelState::Refunding)?;
                    Ok(db.delete_meta(&missing_key(id))?)
                })?;
                note!(Warn, "channel {id}: the batch {} that took it back is not on chain: it goes on", look.txid);
                self.events.ring();
                Ok(())
            }
            Some(_) => Ok(()),
            None => self.store.write(|db| Ok(db.set_meta(&missing_key(id), &encode(&look)?)?)),
        }
    }

    fn note_found(&self, id: &ChannelId, txid: Txid) -> Result<()> {
        self.store.write::<_, Box<WalletError>>(|db| {
            // What the operator may have signed since then ends by itself.
            if db.flow(&refund_flow(id))?.is_some() {
                return Ok(());
            }
            db.set_state(id, &[ChannelState::Refunding], ChannelState::Refunded)?;
            self.push_event(db, Some(id), &EventKind::ChannelRefunded { txid })
        })?;
        self.events.ring();
        Ok(())
    }

    fn forget_missing(&self, id: &ChannelId) -> Result<()> {
        if self.store.read::<_, Box<WalletError>>(|db| missing(db, id))?.is_some() {
            self.store.write::<_, Box<WalletError>>(|db| Ok(db.delete_meta(&missing_key(id))?))?;
        }
        Ok(())
    }
}

/// The channels, and the batches that took them.
fn taken_back(db: &Db<'_>) -> Result<Vec<(ChannelRow, Txid)>> {
    let mut rows = Vec::new();
    for away in db.signed_away()?.into_iter().filter(|away| !away.is_final) {
        let is_result = |row: &ChannelRow| row.result.is_some_and(|result| result.txid == away.spent_by);
        let is_back = |row: &ChannelRow| matches!(row.hot.state, ChannelState::Refunded | ChannelState::Refunding);
        let row = db.channel_at(&away.outpoint)?.filter(|row| row.hot.role == Role::Payer && is_back(row));
        rows.extend(row.filter(is_result).map(|row| (row, away.spent_by)));
    }
    Ok(rows)
}

fn missing(db: &Db<'_>, id: &ChannelId) -> Result<Option<Missing>> {
    let Some(data) = db.meta(&missing_key(id))? else { return Ok(None) };
    Ok(Some(serde_json::from_slice(&data).map_err(|_| WalletError::CorruptFlow { what: "a batch that is missing" })?))
}

fn missing_key(id: &ChannelId) -> String {
    format!("missing-batch:{id}")
}
