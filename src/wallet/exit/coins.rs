//! Leaving with the wallet's own VTXOs.

use std::collections::HashSet;

use bitcoin::{Amount, OutPoint, Txid};

use super::super::batch::decode;
use super::super::coins::sum;
use super::super::error::Result;
use super::super::events::EventKind;
use super::super::signed_away::{gone_for_good, maybe_gone};
use super::super::sound::is_damage;
use super::super::{Wallet, WalletError, offchain};
use super::data::{Claim, ExitData, exit_flow};
use super::worth::{Worth, pays_its_claim};
use super::{ExitInfo, ExitProblem, ExitReason, ExitStage};
use crate::chain::TxStatus;
use crate::channel::branch::Branch;
use crate::channel::exit::ExitPath;
use crate::channel::{ChannelId, OperatorInfo};
use crate::log::note;
use crate::store::{ChannelState, Db, FlowKind, ScriptKind};

/// An own VTXO that can be left with.
#[derive(Clone)]
pub(super) struct OwnVtxo {
    pub outpoint: OutPoint,
    pub amount: Amount,
    pub branch: Branch,
    pub path: ExitPath,
}

/// The way out of a closed channel.
struct ClosedWay {
    id: ChannelId,
    outpoint: OutPoint,
    amount: Amount,
    path: ExitPath,
}

impl Wallet {
    /// Leaves on chain with all VTXOs of this wallet: those from batches and those made off chain, also what closed
    /// channels have become; and takes the coins at boarding addresses back, which are there already. Each becomes an exit
    /// of its own, by its stored branch. An interrupted flow gives up its coins unless the operator holds what takes them:
    /// what that makes is left then, the payment beside the change, the channel of an opening. A coin that went into a batch is left while that batch is not on chain, and what the batch made of it once
    /// it is. Begins, and goes as far as it goes now; answers these exits. There is no way back.
    ///
    /// What costs more than it brings at the fees of today is not begun: it is in the answer with
    /// [`ExitProblem::NothingLeft`], which has the figures.
    pub async fn exit_coins(&self) -> Result<Vec<ExitInfo>> {
        let made = self.count_as_made(None, ExitReason::Asked).await?;
        let vtxos = self.own_vtxos()?;
        let closed = self.closed_ways().await?;
        let mut worth =
            self.worth(vtxos.iter().map(|vtxo| &vtxo.path).chain(closed.iter().map(|way| &way.path))).await?;
        let mut left: HashSet<OutPoint> = HashSet::new();
        let mut refused = Vec::new();
        for way in closed {
            if let Err(fee) = worth.judge(&way.path, way.amount, ExitReason::Asked) {
                refused.push(not_worth(way.outpoint, Some(way.id), (way.amount, fee), way.path.nodes().len()));
                continue;
            }
            match self.begin_exit(&way.id, ExitReason::Asked).map_err(|error| *error) {
                Ok(()) => drop(left.insert(way.outpoint)),
                // Settled by now, or nothing of it is ours.
                Err(error @ WalletError::WrongState { .. }) => {
                    note!(Info, "channel {} is not left: {error}", way.id);
                }
                Err(error) => return Err(error.into()),
            }
        }
        let (begun, more) = self.begin_if_worth(vtxos, worth, ExitReason::Asked).await?;
        left.extend(begun);
        refused.extend(more);
        refused.extend(self.leave_boarding().await?);
        let all = self.advance_exits().await?;
        let is_answered = |exit: &ExitInfo| left.contains(&exit.outpoint) || made.contains(&exit.outpoint.txid);
        let all = all.into_iter().filter(|exit| exit.channel_id.is_none() || is_answered(exit));
        Ok(all.chain(refused).collect())
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

    /// The ways out of closed channels whose result is still this wallet's.
    async fn closed_ways(&self) -> Result<Vec<ClosedWay>> {
        let rows = self.sound_channels()?;
        let closed = rows.into_iter().filter(|row| row.hot.state == ChannelState::Closed);
        let closed: Vec<_> = closed.filter_map(|row| Some((row.record.id, row.result?.outpoint?))).collect();
        if closed.is_empty() {
            return Ok(Vec::new());
        }
        let taken = self.taken().await?;
        let mut ways = Vec::new();
        for (id, _) in closed.into_iter().filter(|(_, result)| !taken.contains(result)) {
            match self.planned_exit(&id).map_err(|error| *error) {
                Ok(data) => {
                    let branch = self.store.read(|db| db.sound_branch(&data.outpoint))?.unwrap_or_default();
                    let path = ExitPath::new(&branch, data.then.into_iter().map(|tx| tx.0));
                    ways.push(ClosedWay { id, outpoint: data.outpoint, amount: data.amount, path });
                }
                Err(error @ WalletError::WrongState { .. }) => note!(Info, "channel {id} is not left: {error}"),
                Err(error) if is_damage(&error) => note!(Error, "channel {id} is not left: {error}"),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(ways)
    }

    /// The VTXOs of this wallet with a stored branch that are not gone for good and no exit claims, the largest first.
    pub(super) fn own_vtxos(&self) -> Result<Vec<OwnVtxo>> {
        let mut vtxos = self.store.read::<_, Box<WalletError>>(|db| {
            let (mut vtxos, gone) = (Vec::new(), gone_for_good(db)?);
            for outpoint in db.branch_outpoints()?.into_iter().filter(|outpoint| !gone.contains(outpoint)) {
                let Some(branch) = db.sound_branch(&outpoint)? else { continue };
                let path = ExitPath::new(&branch, []);
                let Some(output) = path.output(&outpoint).cloned() else { continue };
                let own = db.script(&output.script_pubkey)?.is_some_and(|own| own.kind == ScriptKind::Vtxo);
                if own && is_free(db, &outpoint)? {
                    vtxos.push(OwnVtxo { outpoint, amount: output.value, branch, path });
                }
            }
            Ok(vtxos)
        })?;
        vtxos.sort_unstable_by_key(|vtxo| (std::cmp::Reverse(vtxo.amount), vtxo.outpoint));
        Ok(vtxos)
    }

    /// Begins the exits of these VTXOs; see [`Wallet::begin_if_worth`].
    pub(super) async fn begin_worthwhile(
        &self,
        vtxos: Vec<OwnVtxo>,
        reason: ExitReason,
    ) -> Result<(Vec<OutPoint>, Vec<ExitInfo>)> {
        let worth = self.worth(vtxos.iter().map(|vtxo| &vtxo.path)).await?;
        self.begin_if_worth(vtxos, worth, reason).await
    }

    /// Begins the exits of those of these VTXOs that are this wallet's by the chain's word, and bring more than they cost.
    /// Answers them, and what is not worth it. A flow that nobody runs gives up its coins, unless the operator holds what
    /// takes them.
    async fn begin_if_worth(
        &self,
        vtxos: Vec<OwnVtxo>,
        mut worth: Worth,
        reason: ExitReason,
    ) -> Result<(Vec<OutPoint>, Vec<ExitInfo>)> {
        if vtxos.is_empty() {
            return Ok((Vec::new(), Vec::new()));
        }
        let info = self.info()?;
        // While a flow is running its coins are its own.
        let idle = self.flow.try_lock().ok();
        // At the last moment a batch that waits for its block is no reason to wait for it.
        let asked = |outpoint: &OutPoint| vtxos.iter().any(|vtxo| vtxo.outpoint == *outpoint);
        let taken = self.taken_by_chain(asked).await?;
        let taken = if reason == ExitReason::Deadline { taken.in_a_block } else { taken.seen };
        let unseen = self.unseen(vtxos.iter().flat_map(|vtxo| vtxo.path.roots())).await;
        let is_there = |vtxo: &OwnVtxo| {
            !taken.contains(&vtxo.outpoint) && !vtxo.path.roots().iter().any(|root| unseen.contains(root))
        };
        let (mut wanted, mut refused) = (Vec::new(), Vec::new());
        for vtxo in vtxos.into_iter().filter(is_there) {
            match worth.judge(&vtxo.path, vtxo.amount, reason) {
                Ok(()) => wanted.push(vtxo),
                Err(fee) => {
                    refused.push(not_worth(vtxo.outpoint, None, (vtxo.amount, fee), vtxo.path.nodes().len()));
                }
            }
        }
        let begun = self.store.write::<_, Box<WalletError>>(|db| {
            let mut begun = Vec::new();
            for vtxo in &wanted {
                if let Some(by) = db.lock_of(&vtxo.outpoint)?.filter(|_| idle.is_some())
                    && db.flow(&exit_flow(&vtxo.outpoint))?.is_none()
                {
                    give_up(db, &by)?;
                }
                if self.begin_coin_exit(db, &info, vtxo.outpoint, &vtxo.branch, reason)? {
                    begun.push(vtxo.outpoint);
                }
            }
            Ok(begun)
        })?;
        if !begun.is_empty() {
            self.events.ring();
        }
        Ok((begun, refused))
    }

    /// Those of these commitment transactions that the chain server does not know: what hangs on them is not there.
    pub(super) async fn unseen(&self, roots: impl Iterator<Item = Txid>) -> HashSet<Txid> {
        let roots: HashSet<Txid> = roots.collect();
        let mut unseen = HashSet::new();
        for root in roots {
            if self.net.chain.status(root).await.is_ok_and(|status| status == TxStatus::Unknown) {
                unseen.insert(root);
            }
        }
        unseen
    }

    /// The commitment transaction of a batch is in a block that took the coin of an exit: goes on with what the batch made.
    pub(super) fn begin_exits_of_batch(&self, commitment: &Txid, reason: ExitReason) -> Result<()> {
        let info = self.info()?;
        let begun = self.store.write::<_, Box<WalletError>>(|db| {
            let gone = maybe_gone(db)?;
            let mut begun = false;
            for outpoint in db.branch_outpoints()?.into_iter().filter(|outpoint| !gone.contains(outpoint)) {
                let Some(branch) = db.sound_branch(&outpoint)? else { continue };
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
        let Some(branch) = db.sound_branch(&outpoint)? else { return Ok(()) };
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

    /// What would be claimed so beside a VTXO.
    pub(in crate::wallet) fn beside(&self, outpoint: &OutPoint) -> Result<Amount> {
        self.store.read(|db| {
            let Some(branch) = db.branch(outpoint)? else { return Ok(Amount::ZERO) };
            let (gone, mut found) = (maybe_gone(db)?, Amount::ZERO);
            for (vout, output) in (0..).zip(branch.leaf().map_or(&[][..], |tx| &tx.output)) {
                let beside = OutPoint { vout, ..*outpoint };
                let own = db.script(&output.script_pubkey)?.is_some_and(|own| own.kind == ScriptKind::Vtxo);
                let wanted = beside != *outpoint && own && !gone.contains(&beside) && pays_its_claim(output.value);
                if wanted && db.lock_of(&beside)?.is_none() && is_free(db, &beside)? {
                    found = sum([found, output.value]);
                }
            }
            Ok(found)
        })
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
        if held || !is_free(db, &outpoint)? || !pays_its_claim(output.value) {
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

/// The exit of a coin goes on.
pub(super) fn unmark_left(db: &Db<'_>, outpoint: &OutPoint) -> Result<()> {
    Ok(db.delete_meta(&left_key(outpoint))?)
}

/// Whether the exit of a coin has come to its end.
pub(in crate::wallet) fn was_left(db: &Db<'_>, outpoint: &OutPoint) -> Result<bool> {
    Ok(db.meta(&left_key(outpoint))?.is_some())
}

/// Whether no exit has to do with a coin, and no channel is in it.
fn is_free(db: &Db<'_>, outpoint: &OutPoint) -> Result<bool> {
    let begun = db.flow(&exit_flow(outpoint))?.is_some() || was_left(db, outpoint)?;
    Ok(!begun && db.channel_at(outpoint)?.is_none() && !is_claimed(db, outpoint)?)
}

/// An exit that would cost more than it brings, as it is told.
pub(super) fn not_worth(
    outpoint: OutPoint,
    channel_id: Option<ChannelId>,
    (amount, fee): (Amount, Amount),
    of: usize,
) -> ExitInfo {
    ExitInfo {
        outpoint,
        channel_id,
        reason: ExitReason::Asked,
        stage: ExitStage::Unrolling { done: 0, of: of as u32 },
        amount,
        claim: None,
        problem: Some(ExitProblem::NothingLeft { amount, fee }),
    }
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
pub(super) fn give_up(db: &Db<'_>, flow: &[u8; 32]) -> Result<()> {
    let Some(flow) = db.flow(flow)? else { return Ok(()) };
    match flow.kind {
        FlowKind::Settle | FlowKind::Withdraw => Ok(db.delete_flow(&flow.id)?),
        FlowKind::OpenPayer => Ok(db.unlock_coins(&flow.id)?),
        FlowKind::Send | FlowKind::OpenOffchain if flow.step == offchain::step::BUILT => Ok(db.delete_flow(&flow.id)?),
        _ => Ok(()),
    }
}

pub(super) fn coin_exit(
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
        end: None,
        told: false,
    }
}
