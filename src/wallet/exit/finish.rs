//! The end of an exit: the journal lets go of it, and the channel is what it has become, in one transaction.

use bitcoin::{Amount, OutPoint, Transaction, Txid};

use super::super::coins::sum;
use super::super::error::Result;
use super::super::events::EventKind;
use super::super::{Wallet, WalletError};
use super::ExitStage;
use super::data::Claim;
use super::drive::Exit;
use super::ended::End;
use crate::log::note;
use crate::store::{ChannelResult, ChannelState};

impl Wallet {
    /// Our claim is deep enough.
    pub(super) async fn finish_claim(&self, exit: &mut Exit, tx: &Transaction) -> Result<()> {
        let txid = tx.compute_txid();
        let first = OutPoint::new(txid, 0);
        // Its child may have paid the fee out of it.
        let child = match self.net.chain.outspend(first).await? {
            Some(spend) => exit.data.child_of(&txid).filter(|child| child.compute_txid() == spend.txid),
            None => None,
        };
        let (outpoint, amount) = match child {
            Some(child) => {
                let left = sum(child.output.iter().map(|output| output.value));
                let coins = child.input.iter().any(|input| input.previous_output.txid != txid);
                // With a fee coin in it, what it pays out is not the claim alone.
                let value = tx.output.first().map_or(Amount::ZERO, |output| output.value);
                (OutPoint::new(child.compute_txid(), 0), if coins { value } else { left })
            }
            None => (first, tx.output.first().map_or(Amount::ZERO, |output| output.value)),
        };
        let refunded = match exit.data.claim {
            Claim::UnilateralRefund => true,
            Claim::Own { .. } => exit.loaded.as_ref().is_some_and(|loaded| {
                loaded.record.role == crate::store::Role::Payer && exit.data.amount == loaded.record.capacity
            }),
            Claim::ExitUpdate => false,
        };
        let state = if refunded { ChannelState::Refunded } else { ChannelState::Settled };
        let spent = exit.target();
        self.finish(exit, state, (spent, txid), Some(outpoint), amount)
    }

    /// The other side's exit update is deep enough: what it pays this side is on chain.
    pub(super) fn finish_other(
        &self,
        exit: &mut Exit,
        tx: &Transaction,
        own: Option<(OutPoint, Amount)>,
    ) -> Result<()> {
        let amount = own.map_or(Amount::ZERO, |(_, amount)| amount);
        // Also where this side wanted something else, which will never be.
        let spent = exit.data.outpoint;
        let own = own.map(|(outpoint, _)| outpoint);
        self.finish(exit, ChannelState::Settled, (spent, tx.compute_txid()), own, amount)
    }

    fn finish(
        &self,
        exit: &mut Exit,
        state: ChannelState,
        (spent, txid): (OutPoint, Txid),
        own: Option<OutPoint>,
        amount: Amount,
    ) -> Result<()> {
        let outpoint = exit.data.outpoint;
        let event = EventKind::ExitClaimed { outpoint, txid, amount };
        exit.data.claimed_by = Some(txid);
        exit.data.end = Some(End { outpoint: spent, spent_by: txid, height: 0, at: 0 });
        self.end_exit(exit, state, &ChannelResult { txid, outpoint: own }, &event)?;
        note!(Info, "exit of {outpoint}: {txid} pays {} sats", amount.to_sat());
        (exit.data.stage, exit.data.amount) = (ExitStage::Done, amount);
        Ok(())
    }

    /// Another transaction was first, and is deep enough.
    pub(super) fn finish_lost(&self, exit: &mut Exit, spent_by: Txid) -> Result<()> {
        let outpoint = exit.data.outpoint;
        let result = ChannelResult { txid: spent_by, outpoint: None };
        exit.data.claimed_by = None;
        self.end_exit(exit, ChannelState::Lost, &result, &EventKind::ExitLost { outpoint, spent_by })?;
        exit.data.problem = None;
        note!(Warn, "exit of {outpoint}: lost to {spent_by}");
        exit.data.stage = ExitStage::Lost;
        Ok(())
    }

    /// The batch that the coin went into is deep enough: a closed channel has been settled by it.
    pub(super) fn finish_overtaken(&self, exit: &mut Exit, commitment: Txid) -> Result<()> {
        let outpoint = exit.data.outpoint;
        let result = ChannelResult { txid: commitment, outpoint: None };
        let event = EventKind::ExitLost { outpoint, spent_by: commitment };
        self.end_exit(exit, ChannelState::Settled, &result, &event)?;
        note!(Info, "exit of {outpoint}: went into the batch of {commitment}");
        (exit.data.stage, exit.data.problem) = (ExitStage::Lost, None);
        Ok(())
    }

    fn end_exit(&self, exit: &Exit, state: ChannelState, result: &ChannelResult, event: &EventKind) -> Result<()> {
        let channel = exit.data.channel_id()?;
        self.store.write::<_, Box<WalletError>>(|db| {
            if let Some(id) = &channel {
                db.set_state(id, &[ChannelState::Exiting], state)?;
                db.set_result(id, result)?;
            }
            db.delete_flow(&exit.flow.id)?;
            self.mark_left(db, &exit.data)?;
            if exit.data.end.is_some() {
                self.remember_end(db, &exit.data)?;
            }
            self.push_event(db, channel.as_ref(), event)
        })?;
        self.events.ring();
        Ok(())
    }
}
