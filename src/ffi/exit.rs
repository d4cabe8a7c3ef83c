//! Leaving on chain, when the operator is gone or does not play fair.

use super::event::ExitReason;
use super::onchain::fee_rate;
use super::{Sats, TimeUnit, Wallet, WalletError};
use crate::channel::ChannelId;
use crate::wallet;

/// How far an exit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum ExitStage {
    /// Transactions of the way are put on chain, one after the other.
    Unrolling {
        /// So many are confirmed.
        done: u32,
        /// So many there are.
        of: u32,
    },
    /// All is on chain; the money can be claimed later.
    Waiting {
        /// From then on: a height, or a median time past in unix seconds.
        until: u64,
        /// What it counts in.
        unit: TimeUnit,
    },
    /// The claim is on its way into a block.
    Claiming,
    /// The claim is in a block, not deep enough yet.
    Claimed {
        /// 1 in the last block.
        confirmations: u32,
    },
    /// The money is this wallet's on chain.
    Done,
    /// Another transaction was first, for good.
    Lost,
}

/// What holds an exit up, at the last look.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Enum)]
pub enum ExitProblem {
    /// Confirmed coins for fees are missing. It goes on once they are there.
    NeedsFees {
        /// So much more is needed at the current fee rate.
        missing: Sats,
        /// Where to pay it to: an on-chain address of this wallet.
        address: String,
    },
    /// At the current fee rate nothing would be left of the claim. It goes on when the rate has fallen.
    NothingLeft {
        /// What is claimed.
        amount: Sats,
        /// What claiming it costs now.
        fee: Sats,
    },
    /// Somebody else spends what this exit needs; nothing is decided yet.
    Conflict {
        /// What they spend, as `txid:index`.
        outpoint: String,
        /// By which transaction.
        spent_by: String,
    },
    /// The network did not take a transaction.
    Refused {
        /// Its reason.
        reason: String,
    },
    /// Something else went wrong, such as no answer from the chain server.
    Failed {
        /// What.
        reason: String,
    },
}

/// An exit under way.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct ExitInfo {
    /// The VTXO that is left, or the coin at a boarding address, as `txid:index`.
    pub outpoint: String,
    /// The channel in it, if there is one.
    pub channel_id: Option<String>,
    /// Why it is left.
    pub reason: ExitReason,
    /// How far it was at the last look.
    pub stage: ExitStage,
    /// What is claimed; once it is done, less what the claim itself cost.
    pub amount: Sats,
    /// The transaction that claims it, once it was seen.
    pub claim_txid: Option<String>,
    /// What holds it up.
    pub problem: Option<ExitProblem>,
}

/// What an exit costs and brings, and how long it takes, at a fee rate.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct ExitQuote {
    /// The fee rate, in sats for each virtual byte.
    pub sats_per_vbyte: u64,
    /// What would be claimed, before any fee.
    pub claimed: Sats,
    /// Transactions of the way that are not confirmed yet.
    pub transactions: u32,
    /// How many of them must confirm one after the other.
    pub levels: u32,
    /// What the on-chain wallet pays for them.
    pub fee: Sats,
    /// What the claim pays for itself; where it is too small for that, the on-chain wallet does, and `fee` includes it.
    pub claim_fee: Sats,
    /// What is won in the end: the claim less all fees.
    pub net: Sats,
    /// Confirmed coins that the on-chain wallet has.
    pub has: Sats,
    /// What it lacks.
    pub missing: Sats,
    /// How many coins it needs at once.
    pub coins: u32,
    /// The on-chain address of this wallet, where more is to be paid to.
    pub address: String,
    /// How long the VTXO must have been on chain: blocks or seconds, by `unit`.
    pub delay: u64,
    /// What the delay counts in.
    pub unit: TimeUnit,
    /// How long it takes until the claim is confirmed, about, in seconds.
    pub seconds: u64,
    /// From this claim on an exit wins more than it costs, at this rate.
    pub worth_from: Sats,
}

impl From<wallet::ExitQuote> for ExitQuote {
    fn from(quote: wallet::ExitQuote) -> Self {
        Self {
            sats_per_vbyte: quote.rate.to_sat_per_vb_ceil(),
            claimed: quote.claimed.into(),
            transactions: quote.transactions,
            levels: quote.levels,
            fee: quote.fee.into(),
            claim_fee: quote.claim_fee.into(),
            net: quote.net.into(),
            has: quote.has.into(),
            missing: quote.missing.into(),
            coins: quote.coins,
            address: quote.address,
            delay: quote.delay.value(),
            unit: quote.delay.unit().into(),
            seconds: quote.seconds,
            worth_from: quote.worth_from.into(),
        }
    }
}

impl From<wallet::ExitStage> for ExitStage {
    fn from(stage: wallet::ExitStage) -> Self {
        use wallet::ExitStage as S;
        match stage {
            S::Unrolling { done, of } => Self::Unrolling { done, of },
            S::Waiting { until, unit } => Self::Waiting { until, unit: unit.into() },
            S::Claiming => Self::Claiming,
            S::Claimed { confirmations } => Self::Claimed { confirmations },
            S::Done => Self::Done,
            S::Lost => Self::Lost,
        }
    }
}

impl From<wallet::ExitProblem> for ExitProblem {
    fn from(problem: wallet::ExitProblem) -> Self {
        use wallet::ExitProblem as P;
        match problem {
            P::NeedsFees { missing, address } => Self::NeedsFees { missing: missing.into(), address },
            P::NothingLeft { amount, fee } => Self::NothingLeft { amount: amount.into(), fee: fee.into() },
            P::Conflict { outpoint, spent_by } => {
                Self::Conflict { outpoint: outpoint.to_string(), spent_by: spent_by.to_string() }
            }
            P::Refused { why } => Self::Refused { reason: why },
            P::Failed { why } => Self::Failed { reason: why },
        }
    }
}

impl From<wallet::ExitInfo> for ExitInfo {
    fn from(exit: wallet::ExitInfo) -> Self {
        Self {
            outpoint: exit.outpoint.to_string(),
            channel_id: exit.channel_id.map(|id| id.to_string()),
            reason: exit.reason.into(),
            stage: exit.stage.into(),
            amount: exit.amount.into(),
            claim_txid: exit.claim.map(|txid| txid.to_string()),
            problem: exit.problem.map(ExitProblem::from),
        }
    }
}

fn all(exits: Vec<wallet::ExitInfo>) -> Vec<ExitInfo> {
    exits.into_iter().map(ExitInfo::from).collect()
}

#[uniffi::export]
impl Wallet {
    /// What leaving a channel on chain costs and brings, and how long it takes, before anybody decides; or what is left of
    /// it when it is under way. Without a rate the chain server's estimate.
    #[uniffi::method(default(sats_per_vbyte = None))]
    pub async fn exit_quote(&self, channel_id: String, sats_per_vbyte: Option<u64>) -> Result<ExitQuote, WalletError> {
        let (id, rate): (ChannelId, _) = (channel_id.parse()?, fee_rate(sats_per_vbyte));
        self.flow("exit_quote", move |wallet| async move { Ok(wallet.exit_quote(&id, rate).await?.into()) }).await
    }

    /// Leaves a channel on chain, with what is stored and without the operator: begins, and goes as far as it goes now.
    /// There is no way back once it has begun. [`Wallet::exit_quote`] says first what it costs and how long it takes.
    /// It goes on with [`Wallet::maintain`] or [`Wallet::continue_exits`]. Calling again goes on, too.
    pub async fn exit_channel(&self, channel_id: String) -> Result<ExitInfo, WalletError> {
        let id: ChannelId = channel_id.parse()?;
        self.flow("exit_channel", move |wallet| async move { Ok(wallet.exit_channel(&id).await?.into()) }).await
    }

    /// Leaves with all VTXOs of the wallet itself on chain, each by the branch that is stored, and takes the coins at boarding
    /// addresses back once their delay has passed. For an operator that is gone for good; otherwise [`Wallet::withdraw`] is
    /// cheaper. What costs more than it brings at the fees of today is not
    /// begun, and is in the answer with the problem that nothing would be left, and its figures.
    pub async fn exit_coins(&self) -> Result<Vec<ExitInfo>, WalletError> {
        self.flow("exit_coins", |wallet| async move { Ok(all(wallet.exit_coins().await?)) }).await
    }

    /// Takes every exit as far as it goes now. Needs only the chain. One that fails does not stop the others: see
    /// `problem`. [`Wallet::maintain`] does this, too.
    pub async fn continue_exits(&self) -> Result<Vec<ExitInfo>, WalletError> {
        self.flow("continue_exits", |wallet| async move { Ok(all(wallet.advance_exits().await?)) }).await
    }

    /// The exits under way, oldest first, as the last look left them. No network.
    pub async fn exits(&self) -> Result<Vec<ExitInfo>, WalletError> {
        self.local(|wallet| Ok(all(wallet.exits()?))).await
    }
}
