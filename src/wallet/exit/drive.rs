//! A run over all exits: each goes as far as the chain lets it go now.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bitcoin::{FeeRate, OutPoint, Transaction, Txid};
use futures_util::FutureExt;

use super::super::batch::decode;
use super::super::error::Result;
use super::super::events::EventKind;
use super::super::loaded::LoadedChannel;
use super::super::{Wallet, WalletError};
use super::data::{Child, Claim, ExitData, corrupt};
use super::ended::spends;
use super::{ExitInfo, ExitProblem, ExitStage};
use crate::chain::{ChainError, Spend, Tip, TxStatus};
use crate::channel::exit::{ExitPath, anchor_of};
use crate::log::note;
use crate::store::{Flow, FlowKind};

/// Transactions of an exit aim at being in one of so many blocks.
pub(super) const AIM: u16 = 2;

/// What a run has seen of the chain, and what it has sent.
pub(super) struct Look {
    pub tip: Tip,
    pub rate: FeeRate,
    /// Coins that children spend which this run has sent.
    pub taken: Vec<OutPoint>,
    /// Children of former runs, which may have to go out again as they are.
    pub kept: Vec<Child>,
    /// Those of them that others paid in the place of: their coins are free, whatever the on-chain wallet remembers.
    pub beaten: HashSet<Txid>,
    /// Transactions that were sent with a child in this run: another exit by the same way makes no rival.
    pub sent: HashSet<Txid>,
    /// Children of ours wait for a block and pay what the rate of today asks for: the change of their coins comes back soon.
    pub waiting: bool,
    /// So many exits found no coin in this run, and wait for that change.
    pub without_coins: usize,
}

/// An exit with what it rests on.
pub(super) struct Exit {
    pub flow: Flow,
    pub data: ExitData,
    pub path: ExitPath,
    pub loaded: Option<Arc<LoadedChannel>>,
}

impl Exit {
    /// The output that is claimed in the end.
    pub fn target(&self) -> OutPoint {
        match &self.data.claim {
            Claim::Own { outpoint, .. } => *outpoint,
            Claim::ExitUpdate | Claim::UnilateralRefund => self.data.outpoint,
        }
    }
}

impl Wallet {
    /// Takes every exit as far as it goes now: broadcasts what is next, with fees by the chain server's estimate, raises
    /// the fee of what is stuck, claims what has waited long enough. Needs only the chain. Safe to repeat at any time,
    /// and worth repeating whenever there is a new block. One that fails does not stop the others: its `problem` says
    /// why. Answers all exits, those that ended in this run too.
    pub async fn advance_exits(&self) -> Result<Vec<ExitInfo>> {
        // Large, and every flow that resumes would carry it.
        self.run_exits().boxed().await
    }

    async fn run_exits(&self) -> Result<Vec<ExitInfo>> {
        let _turn = self.exiting.lock().await;
        self.drop_damaged_exits()?;
        let exits = || self.store.read::<_, Box<WalletError>>(|db| Ok(db.flows_of(FlowKind::Exit)?));
        if exits()?.is_empty() && !self.doubts_ends()? && !self.doubts_taken_back()? {
            return Ok(Vec::new());
        }
        self.observe().await?;
        let tip = self.net.chain.tip().await?;
        let looked = match self.look_at_ended(tip.height).await {
            Ok(()) => self.look_at_taken_back(tip.height).await,
            failed => failed,
        };
        if let Err(error) = looked {
            if error.is_released() {
                return Err(error);
            }
            note!(Warn, "exits: what has ended cannot be looked at again: {error}");
        }
        let mut flows = exits()?;
        // A server without estimates holds nobody up: the least that is relayed, and more once it knows.
        let fees = self.net.chain.fees().await.unwrap_or_default();
        // Without it the coins of the last time are still there to be tried.
        if let Err(error) = self.sync_onchain().boxed().await {
            note!(Warn, "exits: the fee coins cannot be looked up: {error}");
        }
        let mut look = Look {
            tip,
            rate: fees.within(AIM),
            taken: Vec::new(),
            kept: Vec::new(),
            beaten: HashSet::new(),
            sent: HashSet::new(),
            waiting: false,
            without_coins: 0,
        };
        let mut turns = HashMap::new();
        for flow in &flows {
            let data: ExitData = decode(flow)?;
            let channel = data.channel_id()?.and_then(|id| self.loaded(&id).ok());
            let last = channel.map_or(u64::MAX, |loaded| loaded.record.expiry);
            turns.insert(flow.id, (data.claim != Claim::ExitUpdate, last));
            look.kept.extend(data.children);
        }
        // Where there are not coins for all: a receiver's claim has a rival that others do not have, and the earliest deadline
        // comes first.
        flows.sort_by_key(|flow| turns.get(&flow.id).copied());
        let mut infos = Vec::with_capacity(flows.len());
        for flow in flows {
            infos.push(self.advance_exit(&mut look, flow).await?);
        }
        Ok(infos)
    }

    async fn advance_exit(&self, look: &mut Look, flow: Flow) -> Result<ExitInfo> {
        let mut exit = match self.load_exit(flow.clone()) {
            Ok(exit) => exit,
            Err(error) => {
                let mut info = decode::<ExitData>(&flow)?.info()?;
                info.problem = Some(ExitProblem::Failed { why: error.to_string() });
                return Ok(info);
            }
        };
        exit.data.problem = None;
        match self.drive_exit(look, &mut exit).await {
            Ok(()) => {}
            Err(error) if error.is_released() => return Err(error),
            Err(error) => {
                note!(Warn, "exit of {}: {error}", exit.data.outpoint);
                exit.data.problem = Some(problem(*error));
            }
        }
        if !matches!(exit.data.problem, Some(ExitProblem::Conflict { .. })) {
            exit.data.end = None;
        }
        if !matches!(exit.data.stage, ExitStage::Done | ExitStage::Lost)
            && let Err(error) = self.keep_exit(&mut exit)
        {
            // Another process may have taken it further.
            if error.is_released() {
                return Err(error);
            }
            exit.data.problem = Some(problem(*error));
        }
        exit.data.info()
    }

    pub(super) fn load_exit(&self, flow: Flow) -> Result<Exit> {
        let data: ExitData = decode(&flow)?;
        let loaded = data.channel_id()?.map(|id| self.loaded(&id)).transpose()?;
        let branch = self.store.read(|db| db.branch(&data.outpoint))?.ok_or_else(corrupt)?;
        let path = ExitPath::new(&branch, data.then.iter().map(|tx| tx.0.clone()));
        Ok(Exit { flow, data, path, loaded })
    }

    /// Writes down how far it is, and tells the app once that coins are missing.
    pub(super) fn keep_exit(&self, exit: &mut Exit) -> Result<()> {
        let needs = match &exit.data.problem {
            Some(ExitProblem::NeedsFees { missing, address }) => Some((*missing, address.clone())),
            _ => None,
        };
        let event = needs.as_ref().filter(|_| !exit.data.told).map(|(missing, address)| EventKind::ExitNeedsFees {
            outpoint: exit.data.outpoint,
            missing: *missing,
            address: address.clone(),
        });
        exit.data.told = needs.is_some();
        let channel = exit.data.channel_id()?;
        let (flow, data) = (&mut exit.flow, &exit.data);
        self.store.write(|db| {
            self.save_exit(db, flow, data)?;
            event.as_ref().map_or(Ok(()), |event| self.push_event(db, channel.as_ref(), event))
        })?;
        if event.is_some() {
            self.events.ring();
        }
        Ok(())
    }

    /// One exit: up the way until its end is on chain, then the claim.
    async fn drive_exit(&self, look: &mut Look, exit: &mut Exit) -> Result<()> {
        if self.overtaken(look, exit).await? {
            return Ok(());
        }
        let end = exit.path.last().ok_or_else(corrupt)?.compute_txid();
        match self.net.chain.status(end).await? {
            TxStatus::Confirmed { height, hash, .. } => self.at_the_end(look, exit, height, hash).await,
            // A coin at a boarding address whose block was taken back: it waits for another.
            TxStatus::Unknown | TxStatus::Mempool if exit.path.last().and_then(anchor_of).is_none() => {
                exit.data.stage = ExitStage::Unrolling { done: 0, of: 1 };
                Ok(())
            }
            TxStatus::Unknown | TxStatus::Mempool => self.unroll(look, exit).await,
        }
    }

    /// A batch that was thought to have failed is on chain: the operator's forfeit takes the coin, and what the batch made
    /// of it is left instead. Goes on as before should the block be taken back.
    async fn overtaken(&self, look: &Look, exit: &mut Exit) -> Result<bool> {
        let Claim::Own { outpoint, .. } = exit.data.claim else { return Ok(false) };
        if matches!(exit.data.stage, ExitStage::Claimed { .. }) {
            return Ok(false);
        }
        for row in self.store.read::<_, Box<WalletError>>(|db| Ok(db.signed_away_of(&outpoint)?))? {
            let status = self.net.chain.status(row.spent_by).await?;
            if !status.is_confirmed() {
                continue;
            }
            self.begin_exits_of_batch(&row.spent_by, exit.data.reason)?;
            exit.data.problem = Some(ExitProblem::Conflict { outpoint, spent_by: row.spent_by });
            let confirmations = status.confirmations(look.tip.height);
            if self.is_lost(look, exit, outpoint, (row.spent_by, confirmations)) {
                self.finish_overtaken(exit, row.spent_by)?;
            }
            return Ok(true);
        }
        Ok(false)
    }

    /// Sends every transaction of the way whose parents are confirmed, and keeps those alive that are in the mempool.
    async fn unroll(&self, look: &mut Look, exit: &mut Exit) -> Result<()> {
        let mut confirmed = HashSet::new();
        for root in exit.path.roots() {
            match self.net.chain.status(root).await? {
                TxStatus::Confirmed { .. } => drop(confirmed.insert(root)),
                TxStatus::Mempool => {}
                TxStatus::Unknown => {
                    // A reorganisation may have taken it for a moment, or another transaction has taken its place.
                    let why = format!("the chain server does not know commitment transaction {root}");
                    exit.data.problem = Some(ExitProblem::Failed { why });
                }
            }
        }
        let nodes: Vec<Transaction> = exit.path.nodes().to_vec();
        let mut done = 0;
        for node in &nodes {
            let txid = node.compute_txid();
            if look.sent.contains(&txid) {
                continue;
            }
            let has_parents = node.input.iter().all(|input| confirmed.contains(&input.previous_output.txid));
            if !has_parents {
                continue;
            }
            match self.net.chain.status(txid).await? {
                TxStatus::Confirmed { .. } => {
                    confirmed.insert(txid);
                    done += 1;
                    continue;
                }
                TxStatus::Mempool => self.keep_up(look, exit, node, &[]).await?,
                TxStatus::Unknown => match self.rival_of(node).await? {
                    Some((outpoint, spend)) => return self.crossed(look, exit, node, outpoint, spend).await,
                    None => self.send_package(look, exit, node, &[], None).await?,
                },
            }
            exit.data.stage = ExitStage::Unrolling { done, of: nodes.len() as u32 };
        }
        exit.data.stage = ExitStage::Unrolling { done, of: nodes.len() as u32 };
        Ok(())
    }

    /// Something else that spends an input of `node`.
    async fn rival_of(&self, node: &Transaction) -> Result<Option<(OutPoint, Spend)>> {
        let txid = node.compute_txid();
        for input in &node.input {
            if let Some(spend) =
                self.net.chain.outspend(input.previous_output).await?.filter(|spend| spend.txid != txid)
            {
                return Ok(Some((input.previous_output, spend)));
            }
        }
        Ok(None)
    }

    /// Another transaction spends what the way goes through.
    async fn crossed(
        &self,
        look: &mut Look,
        exit: &mut Exit,
        node: &Transaction,
        outpoint: OutPoint,
        spend: Spend,
    ) -> Result<()> {
        if outpoint == exit.data.outpoint && exit.loaded.is_some() {
            return self.follow(look, exit, spend).await;
        }
        exit.data.problem = Some(ExitProblem::Conflict { outpoint, spent_by: spend.txid });
        if !spend.status.is_confirmed() {
            let rival = self.rival(spend.txid).await?;
            return self.send_package(look, exit, node, &[], Some(rival)).await;
        }
        let is_spent = self.net.chain.transaction(spend.txid).await?.is_some_and(|tx| spends(&tx, &outpoint));
        let confirmations = spend.status.confirmations(look.tip.height);
        if is_spent && self.is_lost(look, exit, outpoint, (spend.txid, confirmations)) {
            self.finish_lost(exit, spend.txid)?;
        }
        Ok(())
    }
}

impl ExitProblem {
    /// What is missing to pay with, where that is the error.
    pub(super) fn of_coins(error: &WalletError) -> Option<Self> {
        let WalletError::InsufficientFeeCoins { needed, available, address } = error else { return None };
        let missing = needed.checked_sub(*available).unwrap_or(bitcoin::Amount::ZERO);
        Some(Self::NeedsFees { missing, address: address.clone() })
    }
}

fn problem(error: WalletError) -> ExitProblem {
    if let Some(problem) = ExitProblem::of_coins(&error) {
        return problem;
    }
    match error {
        WalletError::Chain(ChainError::Rejected { reason }) => ExitProblem::Refused { why: reason },
        other => ExitProblem::Failed { why: other.to_string() },
    }
}
