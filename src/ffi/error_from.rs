//! Every error of the inner rooms has its place in the one for phones.

use super::{Sats, WalletError};
use crate::chain::ChainError;
use crate::channel::{ChannelError, ChannelUpdate, UpdateMessage};
use crate::operator::OperatorError;
use crate::store::{ChannelState, StoreError};
use crate::wallet;

impl From<wallet::WalletError> for WalletError {
    fn from(error: wallet::WalletError) -> Self {
        use wallet::WalletError as E;
        let text = error.to_string();
        match error {
            E::Channel(error) => error.into(),
            E::Store(error) => error.into(),
            E::Operator(error) => error.into(),
            E::Chain(error) => error.into(),
            E::InvalidMnemonic => Self::InvalidMnemonic,
            E::KeyDerivation | E::CorruptFlow { .. } => Self::Internal { detail: text },
            E::InvalidUrl { url, why } => Self::InvalidUrl { url, reason: why.into() },
            E::Closed => Self::Closed,
            E::InvalidAddress => Self::InvalidAddress,
            E::InsufficientFunds { needed, available } => {
                Self::InsufficientFunds { needed: needed.into(), available: available.into() }
            }
            E::InsufficientFeeCoins { needed, available, address } => {
                Self::InsufficientFeeCoins { needed: needed.into(), available: available.into(), address }
            }
            E::ReservedForExits { exits, reserved, available } => {
                Self::ReservedForExits { exits: exits as u64, reserved: reserved.into(), available: available.into() }
            }
            E::AmountTooSmall { amount, minimum } => {
                Self::AmountTooSmall { amount: amount.into(), minimum: minimum.into() }
            }
            E::AmountTooLarge { amount, maximum } => {
                Self::AmountTooLarge { amount: amount.into(), maximum: maximum.into() }
            }
            E::NothingToSettle => Self::NothingToSettle,
            E::FeesLeaveTooLittle { fee, left, minimum } => {
                Self::FeesLeaveTooLittle { fee: fee.into(), left: left.into(), minimum: minimum.into() }
            }
            E::NeedsSettledVtxos { limit } => Self::NeedsSettledVtxos { limit: limit as u64 },
            E::NotFound => Self::NotFound,
            E::WrongState { channel_id, state, what } => {
                Self::WrongState { channel_id: channel_id.to_string(), state: state.into(), what: what.into() }
            }
            E::WrongRole { channel_id, role } => {
                Self::WrongRole { channel_id: channel_id.to_string(), role: role.into() }
            }
            E::PastCloseBy { channel_id, close_by, now } => {
                Self::PastCloseBy { channel_id: channel_id.to_string(), close_by, now }
            }
            E::Blind { channel_id, blind_seconds, max_blind_seconds } => {
                Self::Blind { channel_id: channel_id.to_string(), blind_seconds, max_blind_seconds }
            }
            E::PreconfirmedTooLarge { capacity, limit } => {
                Self::PreconfirmedTooLarge { capacity: capacity.into(), limit: limit.into() }
            }
            E::LocktimeNotReached { channel_id, locktime, now } => {
                Self::LocktimeNotReached { channel_id: channel_id.to_string(), locktime, now }
            }
            E::FundingNotUsable { what } => Self::FundingNotUsable { reason: what },
            E::NotConfirmed { txid, confirmations, needed } => {
                Self::NotConfirmed { txid: txid.to_string(), confirmations, needed }
            }
            E::ReauthorisationNeeded { channel_id } => {
                Self::ReauthorisationNeeded { channel_id: channel_id.to_string() }
            }
            E::AlreadySpent { channel_id, spent_by } => Self::AlreadySpent {
                channel_id: channel_id.to_string(),
                spent_by: spent_by.map(|txid| txid.to_string()),
            },
            E::Paid { channel_id, .. } => Self::WrongState {
                channel_id: channel_id.to_string(),
                state: ChannelState::Open.into(),
                what: "giving back what was paid".into(),
            },
            E::Unrolled { channel_id } => Self::Unrolled { channel_id: channel_id.to_string() },
            E::Expired { channel_id, amount } => {
                Self::Expired { channel_id: channel_id.to_string(), amount: amount.into() }
            }
            E::FinalizeFailed { ark_txid, why } => Self::FinalizeFailed { txid: ark_txid.to_string(), reason: why },
            E::OutcomeUnknown { ark_txid } => Self::OutcomeUnknown { txid: ark_txid.to_string() },
            E::BatchUndecided { txid } => Self::OutcomeUnknown { txid: txid.to_string() },
            E::NotOpened { why } => Self::NotOpened { reason: why },
            E::InvalidPaymentId { limit } => Self::InvalidPaymentId { limit: limit as u64 },
            E::StillRunning { seconds } => Self::StillRunning { seconds },
            E::OtherBackup { what } => Self::OtherBackup { what: what.into() },
            E::CatchUpNeeded { channel_id } => Self::CatchUpNeeded { channel_id: channel_id.to_string() },
            E::TooMany { limit } => Self::TooMany { limit: limit as u64 },
        }
    }
}

impl From<Box<wallet::WalletError>> for WalletError {
    fn from(error: Box<wallet::WalletError>) -> Self {
        (*error).into()
    }
}

impl From<ChannelError> for WalletError {
    fn from(error: ChannelError) -> Self {
        use ChannelError as E;
        let text = error.to_string();
        match error {
            E::UnknownVersion { version } => Self::UnknownVersion { version },
            E::OtherKind { expected, got } => Self::WrongMessage { expected: expected.into(), got: got.into() },
            E::InvalidAddress => Self::InvalidAddress,
            E::WrongNetwork { expected, got } => {
                Self::WrongNetwork { expected: expected.name().into(), got: got.name().into() }
            }
            E::WrongOperator { expected, got } => {
                Self::WrongOperator { expected: expected.to_string(), got: got.to_string() }
            }
            E::InviteExpired { expired_at, now } => Self::InviteExpired { expired_at, now },
            E::InviteUsed => Self::InviteUsed,
            E::OtherInvite => Self::OtherInvite,
            E::OtherOffer => Self::OtherOffer,
            E::AcceptExpired { valid_until, now } => Self::AcceptExpired { valid_until, now },
            E::CapacityOutOfBounds { capacity, min, max } => {
                Self::CapacityOutOfBounds { capacity: capacity.into(), minimum: min.into(), maximum: max.into() }
            }
            E::LocktimeOutOfBounds { ahead, min, max } => {
                Self::LocktimeOutOfBounds { ahead, minimum: min, maximum: max }
            }
            E::DeadlinesDoNotFit { locktime, expiry, close_by, now, .. } => {
                Self::DeadlinesDoNotFit { locktime, expiry, close_by, now }
            }
            E::InvalidSignature { what } => Self::InvalidSignature { what: what.into() },
            E::MissingSignature { .. } | E::SighashType { .. } => Self::InvalidSignature { what: text },
            E::UnknownCheckpointScript { channel_id } => {
                Self::UnknownCheckpointScript { channel_id: channel_id.to_string() }
            }
            E::OnCloseRefused => Self::InvalidTerms { reason: text },
            E::CloseRequestExpired { expires_at, now } => Self::CloseRequestExpired { expired_at: expires_at, now },
            E::GrantNeeded { channel_id } | E::MissingAuthorisation { channel_id } => {
                Self::MissingAuthorisation { channel_id: channel_id.to_string() }
            }
            E::UnacceptableCheckpointScript { .. } | E::CheckpointDelayTooShort { .. } => {
                Self::UnsafeOperator { reason: text }
            }
            E::ZeroPayment => Self::ZeroPayment,
            E::OverCapacity { amount, capacity } => {
                Self::OverCapacity { amount: amount.into(), capacity: capacity.into() }
            }
            E::ImpossibleAmount(error) => Self::ImpossibleAmount {
                amount: error.amount.into(),
                capacity: error.capacity.into(),
                below: error.below.map(Sats::from),
                above: error.above.map(Sats::from),
            },
            E::Stale { amount, stored } => Self::Stale {
                amount: amount.into(),
                stored_amount: stored.amount.into(),
                stored_payment: update_text(*stored),
            },
            E::Forked { amount, previous, stored } => Self::Forked {
                amount: amount.into(),
                previous: previous.into(),
                stored_amount: stored.amount.into(),
                stored_payment: update_text(*stored),
            },
            E::OtherChannel { expected, got } => {
                Self::OtherChannel { expected: expected.to_string(), got: got.to_string() }
            }
            E::NothingPaid => Self::NothingPaid,
            E::OtherTransaction { .. } | E::MissingCheckpoint { .. } => Self::OperatorAnswer { reason: text },
            E::InvalidBranch { .. } | E::BranchTooDeep { .. } => Self::FundingNotUsable { reason: text },
            E::EqualKeys
            | E::UnitMix
            | E::DelayTooShort { .. }
            | E::DelayTooLong { .. }
            | E::DelayOrder { .. }
            | E::InvalidPayout { .. }
            | E::OfferMismatch { .. }
            | E::FundingKindRefused { .. }
            | E::InvalidDelay { .. }
            | E::InvalidLocktime { .. } => Self::InvalidTerms { reason: text },
            _ => Self::InvalidText { reason: text },
        }
    }
}

/// The stored update as text, for the payer to catch up with.
fn update_text(update: ChannelUpdate) -> String {
    UpdateMessage { update, authorisation: None, memo: None }.to_text().unwrap_or_default()
}

impl From<StoreError> for WalletError {
    fn from(error: StoreError) -> Self {
        use StoreError as E;
        let text = error.to_string();
        match error {
            E::NotOurs => Self::NotADatabase,
            E::NewerSchema { found, known } => Self::DatabaseNewer { found, known },
            E::Corrupt { what } => Self::DatabaseCorrupt { what },
            E::Full => Self::DatabaseFull,
            E::ReadOnly => Self::DatabaseReadOnly,
            E::Busy => Self::DatabaseBusy,
            E::Closed => Self::Closed,
            E::Released => Self::DatabaseReleased,
            E::OtherWallet | E::OtherNetwork { .. } | E::OtherOperator { .. } => Self::OtherWallet { reason: text },
            E::CoinLocked { outpoint, .. } => Self::CoinLocked { outpoint: outpoint.to_string() },
            E::InviteUsed => Self::InviteUsed,
            E::OverCapacity { amount, capacity } => {
                Self::OverCapacity { amount: amount.into(), capacity: capacity.into() }
            }
            E::NotFound { .. } => Self::NotFound,
            _ => Self::DatabaseFailed { reason: text },
        }
    }
}

impl From<OperatorError> for WalletError {
    fn from(error: OperatorError) -> Self {
        use OperatorError as E;
        let text = error.to_string();
        match error {
            E::Unreachable { url, why } => Self::OperatorUnreachable { url, reason: why },
            E::Timeout { call, seconds } => Self::OperatorTimeout { call: call.into(), seconds },
            E::Refused { call, error } => Self::OperatorRefused {
                call: call.into(),
                code: error.code,
                name: error.name,
                reason: error.message,
                figures: error.metadata.into_iter().collect(),
            },
            E::OutcomeUnknown { commitment: Some(txid), .. } => Self::OutcomeUnknown { txid: txid.to_string() },
            E::Channel(error) => (*error).into(),
            E::BatchFailed { .. } | E::NoBatch { .. } | E::Veto { .. } | E::StreamEnded { .. } => {
                Self::BatchFailed { reason: text }
            }
            _ => Self::OperatorAnswer { reason: text },
        }
    }
}

impl From<ChainError> for WalletError {
    fn from(error: ChainError) -> Self {
        let text = error.to_string();
        match error {
            ChainError::Unreachable { url, why } => Self::ChainUnreachable { url, reason: why },
            ChainError::Rejected { reason } => Self::TransactionRejected { reason },
            _ => Self::ChainAnswer { reason: text },
        }
    }
}
