//! Leaving with the wallet's own VTXOs.

use std::collections::HashSet;

use bitcoin::{Amount, OutPoint, Txid};

use super::super::batch::decode;
use super::super::error::Result;
use super::super::events::EventKind;
use super::super::signed_away::{gone_for_good, maybe_gone};
use super::super::{Wallet, WalletError, offchain};
use super::data::{Claim, ExitData, exit_flow};
use super::{ExitInfo, ExitReason, ExitStage};
use crate::chain::TxStatus;
use crate::channel::branch::Branch;
use crate::channel::exit::ExitPath;
use crate::channel::{ChannelId, OperatorInfo};
use crate::log::note;
use crate::store::{ChannelState, Db, FlowKind, ScriptKind};

impl Wallet {
    /// Leaves on chain with all VTXOs of this wallet: those from batches and those made off chain, also what closed
    /// channels have become. Each becomes an exit of its own, by its stored branch. An interrupted flow gives up its coins
    /// unless the operator holds what takes them; a coin that went into a batch is left while that batch is not on chain, and
    /// what the batch made of it once it is. Begins, and goes as far as it goes now; answers these exits. There is no way
    /// back.
    pub async fn exit_coins(&self) -> Result<Vec<ExitInfo>> {
        let info = self.info()?;
        // While a flow is running its coins are its own.
        let idle = self.flow.try_lock().ok();
        let unseen = self.unseen_roots().await?;
        let taken = self.taken().await?;
        let mut left: HashSet<OutPoint> = HashSet::new();
        for (id, result) in self.closed_channels()? {
            if taken.contains(&result) {
                continue;
            }
            match self.begin_exit(&id, ExitReason::Asked) {
                Ok(()) => drop(left.insert(self.loaded(&id)?.channel.funding)),
                // Settled by now, or nothing of it is ours.
                Err(error @ WalletError::WrongState { .. }) => note!(Info, "channel {id} is not left: {error}"),
                Err(error) => return Err(error),
            }
        }
        left.extend(
            self.store
                .write::<_, WalletError>(|db| self.begin_coin_exits(db, &info, idle.is_some(), &taken, &unseen))?,
        );
        drop(idle);
        self.events.ring();
        let all = self.advance_exits().await?;
        Ok(all.into_iter().filter(|exit| exit.channel_id.is_none() || left.contains(&exit.outpoint)).collect())
    }

    /// A coin whose exit has ended: an operator that was away meanwhile may still show it, and what it shows is worth
    /// nothing.
    pub(super) fn mark_left(&self, db: &Db<'_>, data: &ExitData) -> Result<()> {
        match data.claim {
            Claim::Own { outpoint, .. } => Ok(db.set_meta(&left_key(&outpoint), &[1])?),
            _ => Ok(()),
        }
    }

    /// Those of these VTXOs that this wallet took on chain.
    pub(in crate::wallet) fn left_on_chain(&self, outpoints: &[OutPoint]) -> Result<HashSet<OutPoint>> {
        self.store.read(|db| {
            let mut left = HashSet::new();
            for outpoint in outpoints {
                if was_left(db, outpoint)? {
                    left.insert(*outpoint);
                }
            }
            Ok(left)
        })
    }

    /// Closed channels, and this side's output of the close.
    fn closed_channels(&self) -> Result<Vec<(ChannelId, OutPoint)>> {
        let rows = self.store.read::<_, WalletError>(|db| Ok(db.channels()?))?;
        let closed = rows.into_iter().filter(|row| row.hot.state == ChannelState::Closed);
        Ok(closed.filter_map(|row| Some((row.record.id, row.result?.outpoint?))).collect())
    }

    /// Commitment transactions of stored branches that the chain server does not know: what hangs on them is not there.
    async fn unseen_roots(&self) -> Result<HashSet<Txid>> {
        let roots = self.store.read::<_, WalletError>(|db| {
            let (mut roots, gone) = (HashSet::new(), gone_for_good(db)?);
            for outpoint in db.branch_outpoints()? {
                if gone.contains(&outpoint) || was_left(db, &outpoint)? {
                    continue;
                }
                let Some(branch) = db.branch(&outpoint)? else { continue };
                roots.extend(ExitPath::new(&branch, []).roots());
            }
            Ok(roots)
        })?;
        let mut unseen = HashSet::new();
        for root in roots {
            if self.net.chain.status(root).await.is_ok_and(|status| status == TxStatus::Unknown) {
                unseen.insert(root);
            }
        }
        Ok(unseen)
    }

    fn begin_coin_exits(
        &self,
        db: &Db<'_>,
        info: &OperatorInfo,
        idle: bool,
        taken: &HashSet<OutPoint>,
        unseen: &HashSet<Txid>,
    ) -> Result<Vec<OutPoint>> {
        let mut begun = Vec::new();
        for outpoint in db.branch_outpoints()?.into_iter().filter(|outpoint| !taken.contains(outpoint)) {
            let Some(branch) = db.branch(&outpoint)? else { continue };
            if ExitPath::new(&branch, []).roots().iter().any(|root| unseen.contains(root)) {
                continue;
            }
            if let Some(by) = db.lock_of(&outpoint)?.filter(|_| idle)
                && db.flow(&exit_flow(&outpoint))?.is_none()
            {
                give_up(db, &by)?;
            }
            if self.begin_coin_exit(db, info, outpoint, &branch, ExitReason::Asked)? {
                begun.push(outpoint);
            }
        }
        Ok(begun)
    }

    /// The commitment transaction of a batch is in a block that took the coin of an exit: goes on with what the batch made.
    pub(super) fn begin_exits_of_batch(&self, commitment: &Txid, reason: ExitReason) -> Result<()> {
        let info = self.info()?;
        let begun = self.store.write::<_, WalletError>(|db| {
            let gone = maybe_gone(db)?;
            let mut begun = false;
            for outpoint in db.branch_outpoints()?.into_iter().filter(|outpoint| !gone.contains(outpoint)) {
                let Some(branch) = db.branch(&outpoint)? else { continue };
                let is_of_it = ExitPath::new(&branch, []).roots().contains(commitment);
                begun |= is_of_it && self.begin_coin_exit(db, &info, outpoint, &branch, reason)?;
            }
            Ok(begun)
        })?;
        if begun {
            self.events.ring();
        }
        Ok(())
    }

    /// The coins that stand in the transaction of a VTXO that is left come on chain with it, as a payer's change does:
    /// they are claimed there, too.
    pub(super) fn begin_exits_beside(
        &self,
        db: &Db<'_>,
        info: &OperatorInfo,
        outpoint: OutPoint,
        reason: ExitReason,
    ) -> Result<()> {
        let Some(branch) = db.branch(&outpoint)? else { return Ok(()) };
        let gone = maybe_gone(db)?;
        let outputs = branch.leaf().map_or(0, |tx| tx.output.len() as u32);
        for vout in (0..outputs).filter(|vout| *vout != outpoint.vout) {
            let beside = OutPoint { vout, ..outpoint };
            if !gone.contains(&beside) && self.begin_coin_exit(db, info, beside, &branch, reason)? {
                db.put_branch(&beside, &branch)?;
            }
        }
        Ok(())
    }

    /// Whether the exit of a coin began: it is this wallet's, and nothing else has to do with it.
    pub(super) fn begin_coin_exit(
        &self,
        db: &Db<'_>,
        info: &OperatorInfo,
        outpoint: OutPoint,
        branch: &Branch,
        reason: ExitReason,
    ) -> Result<bool> {
        let path = ExitPath::new(branch, []);
        let Some(output) = path.output(&outpoint) else { return Ok(false) };
        let own = db.script(&output.script_pubkey)?.filter(|own| own.kind == ScriptKind::Vtxo);
        let Some(own) = own else { return Ok(false) };
        let held = db.lock_of(&outpoint)?.is_some();
        let begun = db.flow(&exit_flow(&outpoint))?.is_some() || was_left(db, &outpoint)?;
        if held || begun || db.channel_at(&outpoint)?.is_some() || is_claimed(db, &outpoint)? {
            return Ok(false);
        }
        let to = self.fresh_chain_payout(db, info)?.script();
        let data = coin_exit(outpoint, output.value, own.script, to, path.nodes().len() as u32, reason);
        self.insert_exit(db, &data)?;
        db.lock_coins(&exit_flow(&outpoint), &[outpoint])?;
        // What spends it from now on is no surprise.
        db.coin_is_done(&outpoint, false)?;
        self.push_event(db, None, &EventKind::ExitBegan { outpoint, reason })?;
        Ok(true)
    }
}

fn left_key(outpoint: &OutPoint) -> String {
    format!("left:{outpoint}")
}

/// Whether the exit of a coin has come to its end.
pub(in crate::wallet) fn was_left(db: &Db<'_>, outpoint: &OutPoint) -> Result<bool> {
    Ok(db.meta(&left_key(outpoint))?.is_some())
}

/// Whether an exit claims it in the end, as that of a closed channel does with what the close paid.
fn is_claimed(db: &Db<'_>, coin: &OutPoint) -> Result<bool> {
    for flow in db.flows_of(FlowKind::Exit)? {
        if matches!(decode::<ExitData>(&flow)?.claim, Claim::Own { outpoint, .. } if outpoint == *coin) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Takes a coin, which is not taken, from the flow that holds it: an intent, a batch that is not on chain, a submission
/// whose checkpoints are not signed. The terms of an opening stay, as the other side may have the channel.
fn give_up(db: &Db<'_>, flow: &[u8; 32]) -> Result<()> {
    let Some(flow) = db.flow(flow)? else { return Ok(()) };
    match flow.kind {
        FlowKind::Settle | FlowKind::Withdraw => Ok(db.delete_flow(&flow.id)?),
        FlowKind::OpenPayer => Ok(db.unlock_coins(&flow.id)?),
        FlowKind::Send | FlowKind::OpenOffchain if flow.step == offchain::step::BUILT => Ok(db.delete_flow(&flow.id)?),
        _ => Ok(()),
    }
}

fn coin_exit(
    outpoint: OutPoint,
    amount: Amount,
    script: bitcoin::ScriptBuf,
    to: bitcoin::ScriptBuf,
    of: u32,
    reason: ExitReason,
) -> ExitData {
    ExitData {
        outpoint,
        channel: None,
        reason,
        then: Vec::new(),
        claim: Claim::Own { outpoint, script, to },
        amount,
        children: Vec::new(),
        stage: ExitStage::Unrolling { done: 0, of },
        problem: None,
        claimed_by: None,
        told: false,
    }
}
