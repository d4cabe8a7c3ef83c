//! Leaving on chain: with what is stored, and nobody but the chain.
//!
//! An exit is a row in the journal that says what is left, and why. Everything else is looked up again at every run:
//! which transactions of the way are on chain, what spends what, and so what comes next. So it does not matter where
//! the last run was killed, who else broadcasts parts of the way, or what a reorganisation took back.
//!
//! The way is the stored branch, level by level, each transaction with a child that pays for both; where a close or a
//! refund was answered by the operator, its checkpoint and ark transaction, too. At its end the money is claimed: the
//! receiver's exit update after d1, the payer's refund after d2, an own VTXO by its owner's leaf after the exit delay.

mod answered;
mod begin;
mod boarding;
mod branches;
mod children;
mod claim;
mod coins;
mod data;
mod drive;
mod ended;
mod expiring;
mod finish;
mod follow;

mod quote;
mod rival;
mod unrolled;
mod worth;

pub use quote::ExitQuote;

pub(super) use boarding::Boarded;
pub(super) use coins::was_left;
pub(super) use data::{exit_flow, payout_of};
pub(super) use worth::paid_for;

use bitcoin::{Amount, OutPoint, Txid};
use serde::{Deserialize, Serialize};

use super::batch::decode;
use super::error::Result;
use super::{Wallet, WalletError};
use crate::channel::{ChannelId, Unit};
use crate::log::note;
use crate::store::FlowKind;

/// Why something is left on chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExitReason {
    /// The user wanted it.
    Asked,
    /// The last moment for it had come.
    Deadline,
    /// Somebody put the channel on chain.
    Unrolled,
    /// Somebody put a coin on chain that the channel was made from.
    AncestorUnrolled,
    /// The operator's books show the channel spent by a transaction that this wallet did not sign.
    HostileSpend,
    /// A transaction was submitted and never finalized.
    NotFinalized,
    /// The operator refuses for good what would be cheaper.
    OperatorRefuses,
}

/// How far an exit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExitStage {
    /// So many transactions of the way are confirmed.
    Unrolling { done: u32, of: u32 },
    /// The VTXO is on chain; it can be claimed when the chain is there: at a height, or at a median time past.
    Waiting { until: u64, unit: Unit },
    /// The claim is on its way into a block.
    Claiming,
    /// The claim is in a block, not deep enough yet.
    Claimed { confirmations: u32 },
    /// The money is ours on chain.
    Done,
    /// Another transaction was first, for good.
    Lost,
}

impl ExitStage {
    /// The word in the journal.
    fn word(&self) -> &'static str {
        match self {
            Self::Unrolling { .. } => "unrolling",
            Self::Waiting { .. } => "waiting",
            Self::Claiming => "claiming",
            Self::Claimed { .. } => "claimed",
            Self::Done => "done",
            Self::Lost => "lost",
        }
    }
}

/// What holds an exit up, at the last look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExitProblem {
    /// Confirmed coins for fees are missing: so much more, to this address of the wallet.
    NeedsFees {
        #[serde(with = "bitcoin::amount::serde::as_sat")]
        missing: Amount,
        address: String,
    },
    /// At the current fee rate nothing would be left of the claim.
    NothingLeft {
        #[serde(with = "bitcoin::amount::serde::as_sat")]
        amount: Amount,
        #[serde(with = "bitcoin::amount::serde::as_sat")]
        fee: Amount,
    },
    /// Somebody else spends what this exit needs; nothing is decided yet.
    Conflict { outpoint: OutPoint, spent_by: Txid },
    /// The network did not take a transaction.
    Refused { why: String },
    /// Something else went wrong, such as no answer from the chain server.
    Failed { why: String },
}

/// An exit as an app shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExitInfo {
    /// The VTXO that is left, or the coin at a boarding address.
    pub outpoint: OutPoint,
    /// The channel in it, if there is one.
    pub channel_id: Option<ChannelId>,
    pub reason: ExitReason,
    /// At the last look.
    pub stage: ExitStage,
    /// What is claimed; once it is done, less what the claim itself cost.
    pub amount: Amount,
    /// The transaction that claims, once it was seen.
    pub claim: Option<Txid>,
    /// What holds it up.
    pub problem: Option<ExitProblem>,
}

impl Wallet {
    /// Leaves a channel on chain, with whatever is stored: begins, and goes as far as it goes now. Once it has begun
    /// there is no way back. Calling again goes on. A failing first step is in the answer's `problem`.
    pub async fn exit_channel(&self, id: &ChannelId) -> Result<ExitInfo> {
        // A refund into a new channel that came to nothing with the operator is left as the new one.
        let id = &self.adopt_refund(&*self.loaded(id)?)?.unwrap_or(*id);
        self.check_not_taken(id).await?;
        self.begin_exit(id, ExitReason::Asked)?;
        let funding = self.loaded(id)?.channel.funding;
        let all = self.advance_exits().await?;
        all.into_iter().find(|exit| exit.outpoint == funding).ok_or(Box::new(super::WalletError::NotFound))
    }

    /// The exits under way, oldest first, as the last look left them. No network.
    pub fn exits(&self) -> Result<Vec<ExitInfo>> {
        let flows = self.store.read(|db| db.flows_of(FlowKind::Exit))?;
        flows.iter().filter_map(|flow| Some(decode::<data::ExitData>(flow).ok()?.info())).collect()
    }

    /// Takes exits whose entry cannot be read out of the journal: the others go on, and maintenance begins them anew, as the chain
    /// shows how far they are.
    pub(super) fn drop_damaged_exits(&self) -> Result<()> {
        let flows = self.store.read::<_, Box<WalletError>>(|db| Ok(db.flows_of(FlowKind::Exit)?))?;
        for flow in flows {
            if let Err(error) = decode::<data::ExitData>(&flow) {
                note!(Error, "an exit begins anew, its entry cannot be read: {error}");
                self.store.write::<_, Box<WalletError>>(|db| Ok(db.delete_flow(&flow.id)?))?;
            }
        }
        Ok(())
    }
}
