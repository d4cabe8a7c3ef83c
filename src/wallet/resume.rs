//! Resuming: finishing what a killed process, a lost answer or a dead operator interrupted.

use bitcoin::hex::DisplayHex;

use super::Wallet;
use super::WalletError;
use super::attempt::Found;
use super::batch::{BatchData, decode, step};
use super::error::Result;
use super::propose::PROPOSED;
use super::take_back::AskedBy;
use crate::log::note;
use crate::store::{Flow, FlowKind, Role};

/// A proposal that nobody accepted is dropped after so long, in seconds.
const FORGET_PROPOSAL: u64 = 7 * 24 * 3600;

impl Wallet {
    /// Takes every interrupted flow on as far as it goes now. Answers how many are still under way, and the errors of
    /// those that failed. Safe to call at any time, as often as wanted; call it after opening the wallet and when the
    /// network comes back.
    pub async fn resume(&self) -> Result<(usize, Vec<WalletError>)> {
        // Exits need the chain alone, and wait for nobody's turn.
        let exits = self.advance_exits().await;
        let mut errors: Vec<WalletError> = exits.err().into_iter().map(|error| *error).collect();
        let _flow = self.flow.lock().await;
        let mut flows = self.store.read(|db| db.flows())?;
        flows.retain(|flow| flow.kind != FlowKind::Exit);
        if flows.iter().any(|flow| flow.step != PROPOSED || was_tried(flow)) {
            self.fresh_info().await?;
            // What is submitted already needs nobody but the operator.
            if let Err(error) = self.observe().await {
                errors.push(*error);
                flows.retain(|flow| !is_batch(flow));
            }
        }
        // Batches may take long; nothing waits for them.
        let (batches, others): (Vec<_>, Vec<_>) = flows.iter().partition(|flow| is_batch(flow));
        for flow in others.into_iter().chain(batches) {
            note!(Info, "flow {} ({}): goes on from {}", flow.id.as_hex(), flow.kind, flow.step);
            if let Err(error) = self.resume_one(flow).await {
                note!(Warn, "flow {} ({}): stays: {error}", flow.id.as_hex(), flow.kind);
                errors.push(*error);
            }
        }
        let left = self.store.read(|db| db.flows())?.iter().filter(|flow| flow.step != PROPOSED).count();
        Ok((left, errors))
    }

    async fn resume_one(&self, flow: &Flow) -> Result<()> {
        match flow.kind {
            FlowKind::OpenPayer if flow.step == PROPOSED => self.resume_proposal(flow).await,
            FlowKind::OpenPayer => self.continue_opening(flow).await.map(drop),
            FlowKind::OpenReceiver => self.continue_accepting(flow).await,
            FlowKind::Settle | FlowKind::Withdraw => self.resume_batch(flow).await,
            FlowKind::Close => {
                let data: super::offchain::OffchainData = decode(flow)?;
                let id = super::offchain::channel_id(&data)?.ok_or(WalletError::CorruptFlow { what: "a close" })?;
                let loaded = self.loaded(&id)?;
                self.drive_close(&loaded).await.map(drop)
            }
            FlowKind::Refund => {
                let data: super::offchain::OffchainData = decode(flow)?;
                let id = super::offchain::channel_id(&data)?.ok_or(WalletError::CorruptFlow { what: "a refund" })?;
                let loaded = self.loaded(&id)?;
                self.drive_refund(&loaded, AskedBy::Maintenance).await.map(drop)
            }
            FlowKind::Exit => Ok(()),
            FlowKind::Release => self.continue_release(flow).await,
            FlowKind::Send | FlowKind::OpenOffchain => self.drive_offchain(flow.id).await.map(drop),
        }
    }

    /// A proposal that waits for its Accept, or whose opening failed: that batch may have been published all the same,
    /// and then the terms in the journal are all that leads to the money.
    async fn resume_proposal(&self, flow: &Flow) -> Result<()> {
        let data: BatchData = decode(flow)?;
        if was_tried(flow) && !matches!(self.find_opened(flow, Role::Payer).await?, Found::Nothing) {
            return Ok(());
        }
        if !data.has_attempts() && self.now().wall > flow.updated_at.saturating_add(FORGET_PROPOSAL) {
            self.store.write(|db| db.delete_flow(&flow.id))?;
        }
        Ok(())
    }

    /// A settling or withdrawing that was interrupted: done, joined again, or given up.
    async fn resume_batch(&self, flow: &Flow) -> Result<()> {
        let data: BatchData = decode(flow)?;
        if let (step::READY, Some(outcome)) = (flow.step.as_str(), &data.outcome) {
            match self.batch_went_through(outcome, &data).await? {
                Some(true) => return self.end_batch(flow.id, &data),
                _ if !self.is_given_up(outcome) => {
                    return Err(Box::new(WalletError::BatchUndecided { txid: outcome.commitment }));
                }
                _ => self.abandon(flow.id, &data)?,
            }
        }
        self.delete_intents(&data).await?;
        self.try_batch(flow.id, &data).await.map(drop)
    }
}

/// Whether a proposal has been opened before, so that its channel may exist.
pub(super) fn was_tried(flow: &Flow) -> bool {
    flow.kind == FlowKind::OpenPayer
        && decode::<BatchData>(flow).is_ok_and(|data| data.opening.is_some_and(|opening| opening.valid_until > 0))
}

fn is_batch(flow: &Flow) -> bool {
    matches!(flow.kind, FlowKind::OpenPayer | FlowKind::OpenReceiver | FlowKind::Settle | FlowKind::Withdraw)
}
