//! How each error reads: a sentence with its figures.

use std::fmt;

use super::{Sats, WalletError};

fn or_none(amount: &Option<Sats>) -> String {
    amount.map_or_else(|| "none".into(), |amount| amount.to_string())
}

impl std::error::Error for WalletError {}

impl fmt::Display for WalletError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidText { reason } => write!(f, "the text cannot be read: {reason}"),
            Self::WrongMessage { expected, got } => write!(f, "this is {got}, not {expected}"),
            Self::UnknownVersion { version } => write!(f, "message version {version} is not known; update the app"),
            Self::InvalidAddress => f.write_str("not an address of this network"),
            Self::WrongNetwork { expected, got } => write!(f, "network is {got}, expected {expected}"),
            Self::WrongOperator { expected, got } => write!(f, "operator key is {got}, expected {expected}"),
            Self::InviteExpired { expired_at, now } => write!(f, "the invite expired at {expired_at}, it is {now}"),
            Self::InviteUsed => f.write_str("the invite has been used"),
            Self::OtherInvite => f.write_str("the offer is for another invite"),
            Self::OtherOffer => f.write_str("the accept is for another offer"),
            Self::AcceptExpired { valid_until, now } => write!(f, "the accept ended at {valid_until}, it is {now}"),
            Self::CloseRequestExpired { expired_at, now } => {
                write!(f, "the close request ended at {expired_at}, it is {now}: ask for a new one")
            }
            Self::InvalidTerms { reason } => write!(f, "the terms are not acceptable: {reason}"),
            Self::CapacityOutOfBounds { capacity, minimum, maximum } => {
                write!(f, "capacity {capacity} is outside {minimum} to {maximum} sats")
            }
            Self::LocktimeOutOfBounds { ahead, minimum, maximum } => {
                write!(f, "the refund locktime is {ahead} ahead, must be {minimum} to {maximum}")
            }
            Self::DeadlinesDoNotFit { locktime, expiry, close_by, now } => write!(
                f,
                "the deadlines do not fit: locktime {locktime}, batch expiry {expiry}, payments until {close_by}, now {now}"
            ),
            Self::PreconfirmedTooLarge { capacity, limit } => {
                write!(f, "a preconfirmed channel of {capacity} sats is above the {limit} this wallet takes")
            }
            Self::FundingNotUsable { reason } => write!(f, "the funding VTXO is not usable: it {reason}"),
            Self::NotConfirmed { txid, confirmations, needed } => {
                write!(f, "commitment transaction {txid} has {confirmations} confirmations of {needed}")
            }
            Self::NotOpened { reason } => write!(f, "the channel was not opened: {reason}"),
            Self::InvalidSignature { what } => write!(f, "invalid {what}"),
            Self::UnknownCheckpointScript { channel_id } => write!(
                f,
                "channel {channel_id}: the payment fits no known operator setting; ask the payer to authorise again"
            ),
            Self::MissingAuthorisation { channel_id } => {
                write!(f, "channel {channel_id} has no authorisation yet; ask the payer to send it along")
            }
            Self::ReauthorisationNeeded { channel_id } => {
                write!(f, "the operator changed its settings; ask the payer of channel {channel_id} to authorise again")
            }
            Self::UnsafeOperator { reason } => write!(f, "the operator's scripts are not acceptable: {reason}"),
            Self::ZeroPayment => f.write_str("a payment must be at least one sat"),
            Self::OverCapacity { amount, capacity } => {
                write!(f, "{amount} sats are more than the capacity of {capacity}")
            }
            Self::ImpossibleAmount { amount, capacity, below, above } => write!(
                f,
                "{amount} of {capacity} sats is not possible; nearest: {} below, {} above",
                or_none(below),
                or_none(above)
            ),
            Self::InvalidPaymentId { limit } => write!(f, "the payment id is empty or longer than {limit} bytes"),
            Self::Stale { amount, stored_amount, .. } => {
                write!(f, "the payment to {amount} sats is stale: {stored_amount} are stored")
            }
            Self::Forked { amount, previous, stored_amount, .. } => {
                write!(f, "the payment to {amount} sats was built on {previous}, but {stored_amount} are stored")
            }
            Self::CatchUpNeeded { channel_id } => write!(
                f,
                "channel {channel_id} was restored: its latest payment must be seen before anything is signed in it"
            ),
            Self::OtherChannel { expected, got } => write!(f, "payment is for channel {got}, not {expected}"),
            Self::NothingPaid => f.write_str("nothing has been paid yet"),
            Self::PastCloseBy { channel_id, close_by, .. } => {
                write!(f, "channel {channel_id} takes no more payments since {close_by}: it must be closed")
            }
            Self::Blind { blind_seconds, max_blind_seconds, .. } => write!(
                f,
                "the chain was last seen {blind_seconds} s ago, payments are taken up to {max_blind_seconds} s: go online"
            ),
            Self::InsufficientFunds { needed, available } => {
                write!(f, "{needed} sats are needed, {available} can be spent now")
            }
            Self::InsufficientFeeCoins { needed, available, address } => write!(
                f,
                "{needed} sats in confirmed coins are needed for fees on chain, {available} can be used: pay to {address}"
            ),
            Self::ReservedForExits { exits, reserved, available } => write!(
                f,
                "{exits} exits under way keep {reserved} sats on chain for their fees, {available} can be sent"
            ),
            Self::AmountTooSmall { amount, minimum } => {
                write!(f, "{amount} sats are less than the {minimum} that are possible here")
            }
            Self::AmountTooLarge { amount, maximum } => {
                write!(f, "{amount} sats are more than the {maximum} that are possible here")
            }
            Self::FeesLeaveTooLittle { fee, left, minimum } => {
                write!(f, "fees of {fee} sats leave {left}, less than the minimum of {minimum}")
            }
            Self::NothingToSettle => f.write_str("there is nothing to settle"),
            Self::NeedsSettledVtxos { limit } => {
                write!(f, "an off-chain opening needs settled VTXOs (at most {limit}); settle first")
            }
            Self::CoinLocked { outpoint } => write!(f, "coin {outpoint} is held by something under way"),
            Self::NotFound => f.write_str("no invite, offer or channel of this wallet has that id"),
            Self::WrongState { channel_id, state, what } => {
                write!(f, "channel {channel_id} is {state:?}: {what} needs another state")
            }
            Self::WrongRole { channel_id, role } => {
                write!(f, "this wallet is the {role:?} of channel {channel_id}, which cannot do that")
            }
            Self::LocktimeNotReached { channel_id, locktime, now } => {
                write!(f, "the locktime {locktime} of channel {channel_id} has not passed: the chain says {now}")
            }
            Self::AlreadySpent { channel_id, spent_by } => write!(
                f,
                "the other side was first: channel {channel_id} is spent by {}",
                spent_by.as_deref().unwrap_or("an unknown transaction")
            ),
            Self::Unrolled { channel_id } => {
                write!(f, "channel {channel_id} is on chain: it must be left on chain, too")
            }
            Self::Expired { channel_id, amount } => {
                write!(f, "channel {channel_id} expired: {amount} sats cannot be claimed through the operator any more")
            }
            Self::FinalizeFailed { txid, reason } => {
                write!(f, "transaction {txid} was submitted, and the operator refuses to finalize it: {reason}")
            }
            Self::OutcomeUnknown { txid } => {
                write!(f, "it is not known yet whether {txid} went through; resume to find out")
            }
            Self::OperatorUnreachable { url, reason } => write!(f, "the operator at {url} cannot be reached: {reason}"),
            Self::OperatorTimeout { call, seconds } => {
                write!(f, "the operator did not answer {call} within {seconds} s")
            }
            Self::OperatorRefused { call, name, reason, .. } => {
                write!(f, "the operator refused {call}: {name} {reason}")
            }
            Self::OperatorAnswer { reason } => write!(f, "the operator's answer is not usable: {reason}"),
            Self::BatchFailed { reason } => write!(f, "the batch came to nothing: {reason}"),
            Self::ChainUnreachable { url, reason } => {
                write!(f, "the chain server at {url} cannot be reached: {reason}")
            }
            Self::ChainAnswer { reason } => write!(f, "the chain server's answer is not usable: {reason}"),
            Self::TransactionRejected { reason } => write!(f, "the network did not take the transaction: {reason}"),
            Self::InvalidMnemonic => {
                f.write_str("these are not 12 to 24 words of a BIP39 mnemonic with a right checksum")
            }
            Self::InvalidUrl { url, reason } => write!(f, "{url} is no usable address: {reason}"),
            Self::Closed => f.write_str("the wallet is closed"),
            Self::DatabaseReleased => f.write_str("the database is released: reopen it first"),
            Self::OtherWallet { reason } => write!(f, "the database belongs to another wallet: {reason}"),
            Self::OtherBackup { what } => write!(f, "the backup is of another {what}"),
            Self::NotADatabase => f.write_str("the file is not a wallet database"),
            Self::DatabaseNewer { found, known } => {
                write!(f, "the database is of a newer version ({found}, this one knows up to {known}); update the app")
            }
            Self::DatabaseCorrupt { what } => write!(f, "the database is corrupt: {what}"),
            Self::DatabaseFull => f.write_str("no space left for the database"),
            Self::DatabaseReadOnly => f.write_str("the database cannot be written"),
            Self::DatabaseBusy => f.write_str("the database is in use by another process that does not let go"),
            Self::DatabaseFailed { reason } => write!(f, "the database: {reason}"),
            Self::StillRunning { seconds } => write!(f, "not done within {seconds} s: it goes on in the background"),
            Self::TooMany { limit } => write!(f, "at most {limit} at once"),
            Self::Internal { detail } => write!(f, "an error inside the library: {detail}"),
        }
    }
}
