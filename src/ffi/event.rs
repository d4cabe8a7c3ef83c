//! Events: what must be dealt with, and progress that is only shown.

use super::Sats;
use crate::wallet;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Event {
    /// Give it to `acknowledge_event` once dealt with; until then the event comes again, also after a restart. Progress
    /// has none and comes once.
    pub token: Option<String>,
    /// The channel it is about, if it is about one.
    pub channel_id: Option<String>,
    /// What happened.
    pub kind: EventKind,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Enum)]
pub enum EventKind {
    /// Money came in: all so far, and what came since the last acknowledged event. After a restore this may be what had been
    /// paid before: see `Received`.
    PaymentReceived {
        /// All that was received in the channel so far.
        amount: Sats,
        /// What came since the last acknowledged event.
        increase: Sats,
    },
    /// Money went out.
    PaymentSent {
        /// All that was paid in the channel so far.
        amount: Sats,
        /// What came since the last acknowledged event.
        increase: Sats,
    },
    /// The channel exists; payments wait for its confirmation.
    ChannelFunded,
    /// The channel takes payments.
    ChannelOpened,
    /// The channel is closed by this ark transaction.
    ChannelClosed {
        /// The ark transaction.
        txid: String,
    },
    /// The payer has its money back.
    ChannelRefunded {
        /// The ark transaction.
        txid: String,
    },
    /// As receiver: what was paid in the channel cannot be claimed any more.
    ChannelLost {
        /// What was paid in it.
        amount: Sats,
        /// The transaction that spent it.
        spent_by: String,
    },
    /// Somebody put the channel on chain.
    ChannelUnrolled,
    /// A channel, or a VTXO of this wallet (then the event names no channel), is being left on chain.
    ExitBegan {
        /// What is left, as `txid:index`.
        outpoint: String,
        /// Why.
        reason: ExitReason,
    },
    /// An exit waits for coins that pay its fees.
    ExitNeedsFees {
        /// What is left, as `txid:index`.
        outpoint: String,
        /// How much is missing.
        missing: Sats,
        /// The on-chain address of this wallet to pay it to.
        address: String,
    },
    /// An exit has come to its end: the money is on chain.
    ExitClaimed {
        /// What was left, as `txid:index`.
        outpoint: String,
        /// The transaction that pays this wallet.
        txid: String,
        /// What it pays.
        amount: Sats,
    },
    /// Nothing can be claimed on chain any more: another transaction was first.
    ExitLost {
        /// What was to be left, as `txid:index`.
        outpoint: String,
        /// The transaction that was first.
        spent_by: String,
    },
    /// A coin of this wallet was spent by a transaction that it did not make: another phone has the same mnemonic, or
    /// somebody else knows the words. Once for each coin. Tell the user; `docs/two-phones.md` says what to do.
    SeedUsedElsewhere {
        /// The coin, as `txid:index`.
        outpoint: String,
        /// The transaction that spent it, where operator or chain say which.
        spent_by: Option<String>,
    },
    /// An opening came to nothing.
    OpeningFailed {
        /// The offer.
        offer_id: String,
        /// Why.
        reason: String,
    },
    /// A long flow goes on.
    Progress {
        /// Its id, in hex.
        flow: String,
        /// Where it is.
        step: Step,
    },
}

/// Why something is left on chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
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

/// Where a long flow is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum Step {
    /// Registered; waiting for a batch.
    Registered,
    /// Our coins are in a batch that is being made.
    BatchStarted,
    /// The batch's transactions are checked and signed.
    TreeSigned,
    /// What an exit needs is stored; what the batch takes is being signed away.
    BranchStored,
    /// The batch is final; its transaction waits for confirmation.
    BatchFinalized,
    /// The batch failed and is tried again.
    BatchRetry,
    /// The off-chain transaction is submitted and the operator's answer stored.
    Submitted,
    /// The off-chain transaction is final.
    Finalized,
}

impl From<wallet::Event> for Event {
    fn from(event: wallet::Event) -> Self {
        use wallet::EventKind as K;
        let kind = match event.kind {
            K::PaymentReceived { amount, increase } => {
                EventKind::PaymentReceived { amount: amount.into(), increase: increase.into() }
            }
            K::PaymentSent { amount, increase } => {
                EventKind::PaymentSent { amount: amount.into(), increase: increase.into() }
            }
            K::ChannelFunded => EventKind::ChannelFunded,
            K::ChannelOpened => EventKind::ChannelOpened,
            K::ChannelClosed { txid } => EventKind::ChannelClosed { txid: txid.to_string() },
            K::ChannelRefunded { txid } => EventKind::ChannelRefunded { txid: txid.to_string() },
            K::ChannelLost { amount, spent_by } => {
                EventKind::ChannelLost { amount: amount.into(), spent_by: spent_by.to_string() }
            }
            K::ChannelUnrolled => EventKind::ChannelUnrolled,
            K::ExitBegan { outpoint, reason } => {
                EventKind::ExitBegan { outpoint: outpoint.to_string(), reason: reason.into() }
            }
            K::ExitNeedsFees { outpoint, missing, address } => {
                EventKind::ExitNeedsFees { outpoint: outpoint.to_string(), missing: missing.into(), address }
            }
            K::ExitClaimed { outpoint, txid, amount } => {
                EventKind::ExitClaimed { outpoint: outpoint.to_string(), txid: txid.to_string(), amount: amount.into() }
            }
            K::ExitLost { outpoint, spent_by } => {
                EventKind::ExitLost { outpoint: outpoint.to_string(), spent_by: spent_by.to_string() }
            }
            K::SeedUsedElsewhere { outpoint, spent_by } => EventKind::SeedUsedElsewhere {
                outpoint: outpoint.to_string(),
                spent_by: spent_by.map(|txid| txid.to_string()),
            },
            K::OpeningFailed { offer_id, why } => EventKind::OpeningFailed { offer_id, reason: why },
            K::Progress { flow, step } => EventKind::Progress { flow, step: step.into() },
        };
        Self { token: event.token, channel_id: event.channel.map(|id| id.to_string()), kind }
    }
}

impl From<wallet::ExitReason> for ExitReason {
    fn from(reason: wallet::ExitReason) -> Self {
        use wallet::ExitReason as R;
        match reason {
            R::Asked => Self::Asked,
            R::Deadline => Self::Deadline,
            R::Unrolled => Self::Unrolled,
            R::AncestorUnrolled => Self::AncestorUnrolled,
            R::HostileSpend => Self::HostileSpend,
            R::NotFinalized => Self::NotFinalized,
            R::OperatorRefuses => Self::OperatorRefuses,
        }
    }
}

impl From<wallet::Step> for Step {
    fn from(step: wallet::Step) -> Self {
        use wallet::Step as S;
        match step {
            S::Registered => Self::Registered,
            S::BatchStarted => Self::BatchStarted,
            S::TreeSigned => Self::TreeSigned,
            S::BranchStored => Self::BranchStored,
            S::BatchFinalized => Self::BatchFinalized,
            S::BatchRetry => Self::BatchRetry,
            S::Submitted => Self::Submitted,
            S::Finalized => Self::Finalized,
        }
    }
}
