//! Leaving with the wallet's own VTXOs.

use std::collections::HashSet;

use bitcoin::{Amount, OutPoint};

use super::super::error::Result;
use super::super::events::EventKind;
use super::super::{Wallet, WalletError, batch, offchain};
use super::data::{Claim, ExitData, exit_flow};
use super::{ExitInfo, ExitReason, ExitStage};
use crate::channel::branch::Branch;
use crate::channel::exit::ExitPath;
use crate::channel::{ChannelId, OperatorInfo};
use crate::log::note;
use crate::store::{ChannelState, Db, FlowKind, ScriptKind};

impl Wallet {
    /// Leaves on chain with all VTXOs of this wallet: those from batches and those made off chain, also what closed
    /// channels have become. Each becomes an exit of its own, by its stored branch. An interrupted flow gives up its coins
    /// where it has signed nothing away yet; else they stay with it. Begins, and goes as far as it goes now; answers
    /// these exits. There is no way back.
    pub async fn exit_coins(&self) -> Result<Vec<ExitInfo>> {
        let info = self.info()?;
        // While a flow is running its coins are its own.
        let idle = self.flow.try_lock().ok();
        let mut left: HashSet<OutPoint> = HashSet::new();
        for id in self.closed_channels()? {
            match self.begin_exit(&id, ExitReason::Asked) {
                Ok(()) => drop(left.insert(self.loaded(&id)?.channel.funding)),
                // Settled by now, or nothing of it is ours.
                Err(error @ WalletError::WrongState { .. }) => note!(Info, "channel {id} is not left: {error}"),
                Err(error) => return Err(error),
            }
        }
        left.extend(self.store.write::<_, WalletError>(|db| self.begin_coin_exits(db, &info, idle.is_some()))?);
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
                if db.meta(&left_key(outpoint))?.is_some() {
                    left.insert(*outpoint);
                }
            }
            Ok(left)
        })
    }

    fn closed_channels(&self) -> Result<Vec<ChannelId>> {
        let rows = self.store.read::<_, WalletError>(|db| Ok(db.channels()?))?;
        let closed = rows.into_iter().filter(|row| {
            row.hot.state == ChannelState::Closed && row.result.is_some_and(|result| result.outpoint.is_some())
        });
        Ok(closed.map(|row| row.record.id).collect())
    }

    fn begin_coin_exits(&self, db: &Db<'_>, info: &OperatorInfo, idle: bool) -> Result<Vec<OutPoint>> {
        let gone = signed_away(db)?;
        let mut begun = Vec::new();
        for outpoint in db.branch_outpoints()? {
            let Some(branch) = db.branch(&outpoint)? else { continue };
            if let Some(by) = db.lock_of(&outpoint)?.filter(|_| idle)
                && db.flow(&exit_flow(&outpoint))?.is_none()
                && gives_up(db, &by)?
            {
                db.delete_flow(&by)?;
            }
            if !gone.contains(&outpoint) && self.begin_coin_exit(db, info, outpoint, &branch, ExitReason::Asked)? {
                begun.push(outpoint);
            }
        }
        Ok(begun)
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
        let gone = signed_away(db)?;
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
    fn begin_coin_exit(
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
        if held || db.flow(&exit_flow(&outpoint))?.is_some() || db.channel_at(&outpoint)?.is_some() {
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

/// Coins that this wallet has signed away: the operator holds what takes them.
fn signed_away(db: &Db<'_>) -> Result<HashSet<OutPoint>> {
    Ok(db.known_coins()?.into_iter().filter(|coin| coin.done).map(|coin| coin.outpoint).collect())
}

/// Whether a flow has signed nothing yet that takes its coins away: an intent, or a submission whose checkpoints are not
/// signed. Openings in a batch keep theirs, as the other side may have the channel.
fn gives_up(db: &Db<'_>, flow: &[u8; 32]) -> Result<bool> {
    let Some(flow) = db.flow(flow)? else { return Ok(true) };
    match flow.kind {
        FlowKind::Settle | FlowKind::Withdraw if flow.step == batch::step::REGISTERING => {
            Ok(!batch::decode::<batch::BatchData>(&flow)?.has_attempts())
        }
        FlowKind::Send | FlowKind::OpenOffchain => Ok(flow.step == offchain::step::BUILT),
        _ => Ok(false),
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
