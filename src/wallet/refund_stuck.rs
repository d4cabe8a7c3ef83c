//! A refund into a new channel that the operator has signed and does not finalize: the new channel exists all the same,
//! as transactions that this payer can put on chain.

use bitcoin::OutPoint;

use super::batch::decode;
use super::error::Result;
use super::loaded::LoadedChannel;
use super::offchain::{OffchainData, output_to};
use super::open_offchain::offer_of;
use super::refund::{REFUNDABLE, refund_flow};
use super::{Wallet, WalletError};
use crate::channel::branch::BranchNode;
use crate::channel::{Channel, ChannelId};
use crate::store::{ChannelRecord, ChannelResult, ChannelState, FundingKind, Role};

impl Wallet {
    /// Takes the new channel for real, with the old branch and both signed transactions as its own branch, so that it
    /// can be left on chain; its receiver never hears of it. `None`: there is no such refund. No network.
    pub(super) fn adopt_refund(&self, old: &LoadedChannel) -> Result<Option<ChannelId>> {
        let id = old.channel.id;
        let Some(flow) = self.store.read(|db| db.flow(&refund_flow(&id)))? else { return Ok(None) };
        let data: OffchainData = decode(&flow)?;
        let (Some(opening), Some(answer)) = (&data.opening, &data.answer) else { return Ok(None) };
        let job = self.refund_job(&data)?;
        let transactions = job.transactions(&answer.signatures(&job)?)?;
        let txid = job.tx.txid();
        let funding = OutPoint::new(txid, 0);
        let channel = Channel::new(offer_of(&data, funding)?.terms, funding)?;
        let change = data.outputs.get(1).and_then(|output| output_to(&job, &output.script));
        let record = ChannelRecord {
            id: channel.id,
            role: Role::Payer,
            terms: channel.terms.canonical(),
            capacity: channel.terms.capacity,
            funding,
            funding_kind: FundingKind::Offchain,
            key_index: opening.key_index,
            // A checkpoint and an ark transaction below the old one.
            levels: old.record.levels.saturating_add(2),
            created_at: self.timestamp(),
            ..old.record.clone()
        };
        self.store.write(|db| {
            let mut branch = db.branch(&old.channel.funding)?.ok_or(WalletError::NotFound)?;
            branch.nodes.extend(transactions.into_iter().map(|tx| BranchNode { tx, cosigners: [].into() }));
            for outpoint in [Some(funding), change].into_iter().flatten() {
                db.put_branch(&outpoint, &branch)?;
            }
            self.insert_channel(db, &channel, &record, ChannelState::Open)?;
            db.set_state(&id, &REFUNDABLE, ChannelState::Refunded)?;
            db.set_result(&id, &ChannelResult { txid, outpoint: change })?;
            Ok::<_, Box<WalletError>>(db.delete_flow(&flow.id)?)
        })?;
        self.events.ring();
        Ok(Some(channel.id))
    }
}
