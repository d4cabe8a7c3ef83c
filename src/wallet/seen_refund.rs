//! A refund as the receiver sees it: after the locktime a payer may be first.

use bitcoin::{Amount, Txid};

use super::close::close_flow;
use super::error::Result;
use super::events::EventKind;
use super::loaded::LoadedChannel;
use super::offchain::step;
use super::seen_close::checkpoint_script;
use super::{Wallet, WalletError};
use crate::channel::Channel;
use crate::channel::psbt::verified_signature;
use crate::operator::Operator;
use crate::store::{ChannelResult, ChannelRow, ChannelState, Role};

/// More inputs than a refund has; those of a stranger's transaction are not all looked at.
const MAX_INPUTS: usize = 32;

impl Wallet {
    /// The books say that `ark_txid` spent the channel VTXO of a receiver. Where that is the payer's refund, final and
    /// after the locktime as the chain counts it, the channel is over: lost when something had been received in it. A
    /// spender of any other kind changes nothing here.
    pub(super) async fn note_refund(&self, row: &ChannelRow, ark_txid: Txid) -> Result<()> {
        let id = row.record.id;
        let running = [ChannelState::Confirming, ChannelState::Open, ChannelState::Closing];
        if row.hot.role != Role::Receiver || !running.contains(&row.hot.state) {
            return Ok(());
        }
        let operator = self.net.operator().await?;
        let loaded = self.loaded(&id)?;
        if !self.refunded_by(operator, &loaded, ark_txid).await? || !self.outputs_exist(operator, ark_txid).await? {
            return Ok(());
        }
        self.store.write(|db| {
            let hot = db.hot(&id)?.ok_or(WalletError::NotFound)?;
            let flow = close_flow(&id);
            // With the operator's answer in hand the close can still be put on chain.
            let answered = db.flow(&flow)?.is_some_and(|flow| flow.step == step::ANSWERED);
            if answered || !running.contains(&hot.state) {
                return Ok(());
            }
            let (to, event) = match hot.amount() {
                Amount::ZERO => (ChannelState::Refunded, EventKind::ChannelRefunded { txid: ark_txid }),
                amount => (ChannelState::Lost, EventKind::ChannelLost { amount, spent_by: ark_txid }),
            };
            db.set_state(&id, &running, to)?;
            db.set_result(&id, &ChannelResult { txid: ark_txid, outpoint: None })?;
            db.delete_flow(&flow)?;
            self.push_event(db, Some(&id), &event)
        })?;
        self.events.ring();
        Ok(())
    }

    /// Whether `ark_txid` spends the channel by its refund leaf, with the signatures of payer and operator, and could be
    /// put on chain now. Nothing else is believed: before the locktime no honest operator has such a transaction.
    pub(super) async fn refunded_by(
        &self,
        operator: &Operator,
        loaded: &LoadedChannel,
        ark_txid: Txid,
    ) -> Result<bool> {
        let locktime = u64::from(loaded.channel.terms.locktime.to_consensus_u32());
        if self.observe().await?.on_chain(loaded.unit()) < locktime {
            return Ok(false);
        }
        // Not shown is not proven.
        Ok(spends_refund_leaf(operator, &loaded.channel, ark_txid).await.unwrap_or(false))
    }
}

async fn spends_refund_leaf(operator: &Operator, channel: &Channel, ark_txid: Txid) -> Result<bool> {
    let Some(ark) = operator.virtual_txs(&[ark_txid]).await?.pop() else { return Ok(false) };
    let inputs = ark.unsigned_tx.input.iter().take(MAX_INPUTS);
    let txids: Vec<Txid> = inputs.map(|input| input.previous_output.txid).collect();
    let checkpoints = operator.virtual_txs(&txids).await?;
    let spends = |tx: &bitcoin::Transaction| tx.input.iter().any(|input| input.previous_output == channel.funding);
    let Some(checkpoint) = checkpoints.into_iter().find(|checkpoint| spends(&checkpoint.unsigned_tx)) else {
        return Ok(false);
    };
    let Some(index) = txids.iter().position(|txid| *txid == checkpoint.unsigned_tx.compute_txid()) else {
        return Ok(false);
    };
    let Some(script) = checkpoint_script(&ark, index) else { return Ok(false) };
    let expected = channel.refund_checkpoint(&script)?;
    if checkpoint.unsigned_tx.compute_txid() != expected.tx.compute_txid() {
        return Ok(false);
    }
    let prevouts = std::slice::from_ref(&expected.prevout);
    for key in [channel.terms.payer.key, channel.terms.operator] {
        verified_signature(&checkpoint, 0, &expected.tx, prevouts, &expected.vtxo_leaf, key)?;
    }
    Ok(true)
}
