//! An exit as the journal keeps it.

use bitcoin::consensus::encode::{deserialize_hex, serialize_hex};
use bitcoin::{Amount, OutPoint, ScriptBuf, Transaction, Txid};
use serde::{Deserialize, Serialize};

use super::super::coins::sum;
use super::super::error::Result;
use super::super::{Wallet, WalletError};
use super::ended::{End, spends};
use super::{ExitInfo, ExitProblem, ExitReason, ExitStage};
use crate::channel::ChannelId;
use crate::channel::terms::tagged_hash;
use crate::store::{Db, Flow, FlowKind};

/// What an exit needs to go on in another process, apart from the stored branch and, in a channel, the stored update.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct ExitData {
    /// The VTXO that is left.
    pub outpoint: OutPoint,
    pub channel: Option<String>,
    pub reason: ExitReason,
    /// What follows the branch: checkpoint and ark transaction with all signatures, where they exist.
    pub then: Vec<Hex>,
    pub claim: Claim,
    /// What is claimed.
    #[serde(with = "bitcoin::amount::serde::as_sat")]
    pub amount: Amount,
    /// The children that were last made to pay for transactions of the way, by their parent.
    pub children: Vec<Child>,
    pub stage: ExitStage,
    pub problem: Option<ExitProblem>,
    /// The claim, once it is in the mempool or a block.
    pub claimed_by: Option<Txid>,
    /// Since when it looks as if it were lost; at the end what ended it.
    #[serde(default)]
    pub end: Option<End>,
    /// Whether the app was told that coins for fees are missing, since the last time they were not.
    pub told: bool,
}

/// How the money is taken at the end of the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Claim {
    /// As receiver, with the latest update.
    ExitUpdate,
    /// As payer, everything.
    UnilateralRefund,
    /// An own VTXO, by the leaf that is its owner's alone.
    Own { outpoint: OutPoint, script: ScriptBuf, to: ScriptBuf },
}

/// A fee-paying child.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Child {
    pub parent: Txid,
    pub tx: Hex,
    /// What it pays.
    #[serde(default, with = "bitcoin::amount::serde::as_sat")]
    pub fee: Amount,
}

/// A transaction as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct Hex(pub Transaction);

impl TryFrom<String> for Hex {
    type Error = &'static str;

    fn try_from(text: String) -> std::result::Result<Self, Self::Error> {
        deserialize_hex(&text).map(Self).map_err(|_| "not a transaction")
    }
}

impl From<Hex> for String {
    fn from(tx: Hex) -> Self {
        serialize_hex(&tx.0)
    }
}

impl ExitData {
    pub fn channel_id(&self) -> Result<Option<ChannelId>> {
        Ok(self.channel.as_ref().map(|text| text.parse()).transpose()?)
    }

    /// The child that was last made for a parent.
    pub fn child_of(&self, parent: &Txid) -> Option<&Transaction> {
        self.children.iter().find(|child| child.parent == *parent).map(|child| &child.tx.0)
    }

    pub fn set_child(&mut self, parent: Txid, tx: Transaction, fee: Amount) {
        self.children.retain(|child| child.parent != parent);
        self.children.push(Child { parent, tx: Hex(tx), fee });
    }

    /// What the child of a parent pays.
    pub fn paid_for(&self, parent: &Txid) -> Amount {
        sum(self.children.iter().filter(|child| child.parent == *parent).map(|child| child.fee))
    }

    /// What the children of other transactions than `parent` pay: spent, whatever becomes of this one.
    pub fn paid_beside(&self, parent: Option<&Txid>) -> Amount {
        sum(self.children.iter().filter(|child| Some(&child.parent) != parent).map(|child| child.fee))
    }

    /// What may be paid for `parent` (`None`: for the claim of an own VTXO): half of what is claimed is for all of the way,
    /// so that a server which invents a rate cannot burn everything.
    pub fn budget(&self, parent: Option<&Txid>) -> Amount {
        (self.amount / 2).checked_sub(self.paid_beside(parent)).unwrap_or(Amount::ZERO)
    }

    /// The same for a transaction of the way. The receiver's claim has a rival that gets all where it comes too late: it may pay
    /// half of what would be left without it, whatever the way has cost.
    pub fn budget_of(&self, tx: &Transaction) -> Amount {
        let txid = tx.compute_txid();
        let budget = self.budget(Some(&txid));
        if self.claim != Claim::ExitUpdate || !spends(tx, &self.outpoint) {
            return budget;
        }
        let left = self.amount.checked_sub(self.paid_beside(Some(&txid))).unwrap_or(Amount::ZERO);
        budget.max(left / 2)
    }

    pub fn info(&self) -> Result<ExitInfo> {
        Ok(ExitInfo {
            outpoint: self.outpoint,
            channel_id: self.channel_id()?,
            reason: self.reason,
            stage: self.stage,
            amount: self.amount,
            claim: self.claimed_by,
            problem: self.problem.clone(),
        })
    }
}

/// The journal entry of the exit of a VTXO: one at most.
pub(in crate::wallet) fn exit_flow(outpoint: &OutPoint) -> [u8; 32] {
    tagged_hash(b"virtual-channels/exit", &bitcoin::consensus::serialize(outpoint))
}

impl Wallet {
    /// Writes a new exit into the journal.
    pub(super) fn insert_exit(&self, db: &Db<'_>, data: &ExitData) -> Result<()> {
        let now = self.timestamp();
        let flow = Flow {
            id: exit_flow(&data.outpoint),
            kind: FlowKind::Exit,
            step: data.stage.word().into(),
            data: super::super::batch::encode(data)?,
            created_at: now,
            updated_at: now,
        };
        Ok(db.insert_flow(&flow)?)
    }

    /// Writes down how far an exit has got.
    pub(super) fn save_exit(&self, db: &Db<'_>, flow: &mut Flow, data: &ExitData) -> Result<()> {
        let (step, encoded) = (data.stage.word(), super::super::batch::encode(data)?);
        if flow.step == step && flow.data == encoded {
            return Ok(());
        }
        db.update_flow(&flow.id, &flow.step, step, &encoded, self.timestamp())?;
        (flow.step, flow.data) = (step.into(), encoded);
        Ok(())
    }
}

/// The script that an exit's claim pays to, where the journal says it; in a channel its terms may say it instead.
pub(in crate::wallet) fn payout_of(flow: &Flow) -> Result<Option<ScriptBuf>> {
    match super::super::batch::decode::<ExitData>(flow)?.claim {
        Claim::Own { to, .. } => Ok(Some(to)),
        Claim::ExitUpdate | Claim::UnilateralRefund => Ok(None),
    }
}

/// Stored data that must be there.
pub(super) fn corrupt() -> WalletError {
    WalletError::CorruptFlow { what: "an exit" }
}
