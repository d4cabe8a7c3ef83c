//! What a channel is, and where it is in its life.

use super::Sats;
use crate::channel::{self, AuthorisationPolicy};
use crate::store;
use crate::wallet;

/// Which side of a channel this wallet is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum Role {
    /// Funds the channel and pays in it.
    Payer,
    /// Is paid, and closes it.
    Receiver,
}

impl From<store::Role> for Role {
    fn from(role: store::Role) -> Self {
        match role {
            store::Role::Payer => Self::Payer,
            store::Role::Receiver => Self::Receiver,
        }
    }
}

/// How a channel was funded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum FundingKind {
    /// In a batch: final once its commitment transaction is confirmed.
    Batch,
    /// By an ark transaction: preconfirmed; payer and operator together could still double-spend it.
    Offchain,
}

/// Where a channel is in its life. Only an open one takes payments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum ChannelState {
    /// The batch is done; its commitment transaction is not confirmed deep enough yet.
    Confirming,
    /// Takes payments.
    Open,
    /// The close has begun.
    Closing,
    /// Closed; the result is preconfirmed.
    Closed,
    /// The result is in a confirmed batch.
    Settled,
    /// The refund has begun.
    Refunding,
    /// The payer has its money back.
    Refunded,
    /// On its way on chain.
    Exiting,
    /// Nothing can be claimed any more.
    Lost,
}

impl From<store::ChannelState> for ChannelState {
    fn from(state: store::ChannelState) -> Self {
        use store::ChannelState as S;
        match state {
            S::Confirming => Self::Confirming,
            S::Open => Self::Open,
            S::Closing => Self::Closing,
            S::Closed => Self::Closed,
            S::Settled => Self::Settled,
            S::Refunding => Self::Refunding,
            S::Refunded => Self::Refunded,
            S::Exiting => Self::Exiting,
            S::Lost => Self::Lost,
        }
    }
}

/// What an operator counts in: seconds in reality, blocks on regtest only. (`Unit` is Kotlin's own.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum TimeUnit {
    /// Heights, and numbers of blocks.
    Blocks,
    /// Unix time, and seconds.
    Seconds,
}

impl From<channel::Unit> for TimeUnit {
    fn from(unit: channel::Unit) -> Self {
        match unit {
            channel::Unit::Blocks => Self::Blocks,
            channel::Unit::Seconds => Self::Seconds,
        }
    }
}

/// A channel. Moments and delays are in `unit`: unix seconds, or heights and blocks.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct ChannelInfo {
    /// Names the channel in all calls.
    pub id: String,
    /// Which side this wallet is.
    pub role: Role,
    /// Where it is in its life.
    pub state: ChannelState,
    /// How final its funding is.
    pub funding_kind: FundingKind,
    /// The channel VTXO, `txid:vout`.
    pub funding: String,
    /// What its moments and delays are counted in.
    pub unit: TimeUnit,
    /// The most that can be paid in all.
    pub capacity: Sats,
    /// All that has been paid, by the latest update.
    pub amount: Sats,
    /// The most the receiver may be able to claim.
    pub highest: Sats,
    /// What can still be paid.
    pub remaining: Sats,
    /// From then on the payer can refund.
    pub locktime: u64,
    /// When the operator may sweep the VTXO.
    pub expiry: u64,
    /// From then on no payment is taken and the receiver should close.
    pub close_by: u64,
    /// From then on the receiver must be on its way on chain.
    pub exit_by: u64,
    /// Before then the payer of a channel that is spent but not closed must be on its way on chain.
    pub payer_exit_by: u64,
    /// How long a channel that is on chain waits for the receiver's claim.
    pub receiver_delay: u64,
    /// How long it waits for the payer's refund.
    pub payer_delay: u64,
    /// As receiver: until when payments are taken without another look at the chain (unix seconds).
    pub takes_money_until: Option<u64>,
    /// Transactions that a unilateral exit must confirm one after the other.
    pub levels: u32,
    /// What a unilateral exit puts on chain, in virtual bytes.
    pub exit_vbytes: u64,
    /// How long that takes at least, beside `receiver_delay` or `payer_delay`.
    pub exit_time: u64,
    /// As receiver: by then the chain must have been looked at again (unix seconds).
    pub watch_by: Option<u64>,
    /// Came out of a backup and waits for its latest update: the payer pays nothing, and the receiver can claim nothing,
    /// before the other side has shown it (`catch_up`, `receive`).
    pub awaits_update: bool,
    /// Whether the receiver needs the payer to close (`request_close`): alone it can only leave on chain.
    pub on_close: bool,
    /// Whether the receiver is known to be able to close alone.
    pub acknowledged: bool,
    /// The transaction that ended the channel.
    pub result_txid: Option<String>,
    /// Unix seconds.
    pub created_at: u64,
}

impl From<wallet::ChannelInfo> for ChannelInfo {
    fn from(info: wallet::ChannelInfo) -> Self {
        Self {
            id: info.id.to_string(),
            role: info.role.into(),
            state: info.state.into(),
            funding_kind: match info.funding_kind {
                store::FundingKind::Batch => FundingKind::Batch,
                store::FundingKind::Offchain => FundingKind::Offchain,
            },
            funding: info.funding.to_string(),
            unit: info.unit.into(),
            capacity: info.capacity.into(),
            amount: info.amount.into(),
            highest: info.high.into(),
            remaining: info.remaining.into(),
            locktime: info.locktime.to_consensus_u32().into(),
            expiry: info.expiry,
            close_by: info.close_by,
            exit_by: info.exit_by,
            payer_exit_by: info.payer_exit_by,
            receiver_delay: info.d1.value(),
            payer_delay: info.d2.value(),
            takes_money_until: info.takes_money_until,
            levels: info.levels,
            exit_vbytes: info.exit_vbytes,
            exit_time: info.exit_time,
            watch_by: info.watch_by,
            awaits_update: info.awaits_update,
            on_close: info.authorisation == AuthorisationPolicy::OnClose,
            acknowledged: info.acknowledged,
            result_txid: info.result.map(|txid| txid.to_string()),
            created_at: info.created_at,
        }
    }
}

/// What a look at a channel showed.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct WatchReport {
    /// The channel.
    pub channel_id: String,
    /// Where it is now.
    pub state: ChannelState,
    /// Confirmations of the commitment transaction.
    pub confirmations: u32,
    /// Whether somebody has begun to put the channel on chain.
    pub unrolled: bool,
    /// What spent the channel in the operator's books.
    pub spent_by: Option<String>,
    /// Whether the operator answered; the chain did.
    pub operator_seen: bool,
}

impl From<wallet::WatchReport> for WatchReport {
    fn from(report: wallet::WatchReport) -> Self {
        Self {
            channel_id: report.channel_id.to_string(),
            state: report.state.into(),
            confirmations: report.confirmations,
            unrolled: report.unrolled,
            spent_by: report.spent_by.map(|txid| txid.to_string()),
            operator_seen: report.operator_seen,
        }
    }
}
