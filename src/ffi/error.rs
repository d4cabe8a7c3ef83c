//! One error for phones, with the figures a person needs. Every error of the inner rooms has its place here.

use std::collections::HashMap;

use super::Sats;
use super::records::{ChannelState, Role};
use crate::chain::ChainError;
use crate::channel::{ChannelError, ChannelUpdate, UpdateMessage};
use crate::operator::OperatorError;
use crate::store::StoreError;
use crate::wallet;

fn or_none(amount: &Option<Sats>) -> String {
    amount.map_or_else(|| "none".into(), |amount| amount.to_string())
}

/// Why something did not work. What was stored before is as it was. Moments are unix seconds, or
/// heights where the operator counts in blocks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, uniffi::Error)]
#[uniffi::export(Display)]
pub enum WalletError {
    // Texts.
    /// Not a text of this library, or one that was damaged on its way.
    #[error("the text cannot be read: {reason}")]
    InvalidText { reason: String },
    /// A good text, but of another kind than this call takes.
    #[error("this is {got}, not {expected}")]
    WrongMessage { expected: String, got: String },
    /// The text is of a newer version of the library.
    #[error("message version {version} is not known; update the app")]
    UnknownVersion { version: u32 },
    /// Neither an Ark address of this operator's network nor an on-chain one.
    #[error("not an address of this network")]
    InvalidAddress,

    // Opening.
    /// The other side, the operator or the database is on another network.
    #[error("network is {got}, expected {expected}")]
    WrongNetwork { expected: String, got: String },
    /// The other side uses another operator.
    #[error("operator key is {got}, expected {expected}")]
    WrongOperator { expected: String, got: String },
    /// Ask the receiver for a new invite. Unix seconds.
    #[error("the invite expired at {expired_at}, it is {now}")]
    InviteExpired { expired_at: u64, now: u64 },
    /// An invite is for one channel: ask the receiver for a new one.
    #[error("the invite has been used")]
    InviteUsed,
    /// The offer does not answer the invite it names.
    #[error("the offer is for another invite")]
    OtherInvite,
    /// The accept does not answer the offer it names.
    #[error("the accept is for another offer")]
    OtherOffer,
    /// Propose again. Unix seconds.
    #[error("the accept ended at {valid_until}, it is {now}")]
    AcceptExpired { valid_until: u64, now: u64 },
    /// What the other side proposes would not be safe.
    #[error("the terms are not acceptable: {reason}")]
    InvalidTerms { reason: String },
    /// The receiver or the operator takes no channel of that size.
    #[error("capacity {capacity} is outside {minimum} to {maximum} sats")]
    CapacityOutOfBounds { capacity: Sats, minimum: Sats, maximum: Sats },
    /// The receiver takes no channel of that lifetime. In the operator's unit.
    #[error("the refund locktime is {ahead} ahead, must be {minimum} to {maximum}")]
    LocktimeOutOfBounds { ahead: u64, minimum: u64, maximum: u64 },
    /// There would be no time left to pay, or to close before the batch expires. In the operator's unit.
    #[error(
        "the deadlines do not fit: locktime {locktime}, batch expiry {expiry}, payments until {close_by}, now {now}"
    )]
    DeadlinesDoNotFit { locktime: u64, expiry: u64, close_by: u64, now: u64 },
    /// A channel funded off chain rests on the operator's honesty; `max_preconfirmed` says how far.
    #[error("a preconfirmed channel of {capacity} sats is above the {limit} this wallet takes")]
    PreconfirmedTooLarge { capacity: Sats, limit: Sats },
    /// What the payer offers as funding is not what it should be.
    #[error("the funding VTXO is not usable: it {reason}")]
    FundingNotUsable { reason: String },
    /// Mined not deep enough yet: try again later.
    #[error("commitment transaction {txid} has {confirmations} confirmations of {needed}")]
    NotConfirmed { txid: String, confirmations: u32, needed: u32 },
    /// The receiver did not take part in the batch: nothing was spent.
    #[error("the channel was not opened: {reason}")]
    NotOpened { reason: String },

    // Signatures and what the operator wants signed.
    /// A signature of the other side or of the operator is wrong.
    #[error("invalid {what}")]
    InvalidSignature { what: String },
    /// The operator changed its settings, and the payment is for others than this wallet knows.
    #[error("channel {channel_id}: the payment fits no known operator setting; ask the payer to authorise again")]
    UnknownCheckpointScript { channel_id: String },
    /// The first payment of a channel carries what closing needs; this one does not.
    #[error("channel {channel_id} has no authorisation yet; ask the payer to send it along")]
    MissingAuthorisation { channel_id: String },
    /// The payer calls `reauthorise` and hands the payment over again.
    #[error("the operator changed its settings; ask the payer of channel {channel_id} to authorise again")]
    ReauthorisationNeeded { channel_id: String },
    /// What the operator wants signed would put money at risk.
    #[error("the operator's scripts are not acceptable: {reason}")]
    UnsafeOperator { reason: String },

    // Paying and receiving.
    /// A payment of nothing.
    #[error("a payment must be at least one sat")]
    ZeroPayment,
    /// More than the channel can carry in all.
    #[error("{amount} sats are more than the capacity of {capacity}")]
    OverCapacity { amount: Sats, capacity: Sats },
    /// One side would be left with less than the network lets through; the nearest possible totals are named.
    #[error("{amount} of {capacity} sats is not possible; nearest: {} below, {} above", or_none(below), or_none(above))]
    ImpossibleAmount { amount: Sats, capacity: Sats, below: Option<Sats>, above: Option<Sats> },
    /// The app's own id of a payment is not usable.
    #[error("the payment id is empty or longer than {limit} bytes")]
    InvalidPaymentId { limit: u64 },
    /// The receiver has a newer payment already: give `stored_payment` to the payer's `catch_up`.
    #[error("the payment to {amount} sats is stale: {stored_amount} are stored")]
    Stale { amount: Sats, stored_amount: Sats, stored_payment: String },
    /// Two wallets paid from the same mnemonic: give `stored_payment` to the payer's `catch_up`.
    #[error("the payment to {amount} sats was built on {previous}, but {stored_amount} are stored")]
    Forked { amount: Sats, previous: Sats, stored_amount: Sats, stored_payment: String },
    /// The payment is for another channel than the one it was given for.
    #[error("payment is for channel {got}, not {expected}")]
    OtherChannel { expected: String, got: String },
    /// There is no payment in this channel yet.
    #[error("nothing has been paid yet")]
    NothingPaid,
    /// Too late to pay. In the channel's unit.
    #[error("channel {channel_id} takes no more payments since {close_by}: it must be closed")]
    PastCloseBy { channel_id: String, close_by: u64, now: u64 },
    /// The wallet has not looked at the chain for too long to take money: call `watch`.
    #[error("the chain was last seen {blind_seconds} s ago, payments are taken up to {max_blind_seconds} s: go online")]
    Blind { channel_id: String, blind_seconds: u64, max_blind_seconds: u64 },

    // Money.
    /// There is too little that can be spent now.
    #[error("{needed} sats are needed, {available} can be spent now")]
    InsufficientFunds { needed: Sats, available: Sats },
    /// Less than the operator or the network lets through.
    #[error("{amount} sats are less than the {minimum} that are possible here")]
    AmountTooSmall { amount: Sats, minimum: Sats },
    /// More than the operator takes at once.
    #[error("{amount} sats are more than the {maximum} that are possible here")]
    AmountTooLarge { amount: Sats, maximum: Sats },
    /// The operator's fee would eat up the coins.
    #[error("fees of {fee} sats leave {left}, less than the minimum of {minimum}")]
    FeesLeaveTooLittle { fee: Sats, left: Sats, minimum: Sats },
    /// No coin needs settling.
    #[error("there is nothing to settle")]
    NothingToSettle,
    /// A channel funded off chain needs coins that are settled, and not too many of them.
    #[error("an off-chain opening needs settled VTXOs (at most {limit}); settle first")]
    NeedsSettledVtxos { limit: u64 },
    /// Another call is about to spend the coin, `txid:vout`: wait for it, or call `resume`.
    #[error("coin {outpoint} is held by something under way")]
    CoinLocked { outpoint: String },

    // Channels.
    /// No such thing in this wallet.
    #[error("no invite, offer or channel of this wallet has that id")]
    NotFound,
    /// The channel is past that, or not there yet.
    #[error("channel {channel_id} is {state:?}: {what} needs another state")]
    WrongState { channel_id: String, state: ChannelState, what: String },
    /// That is for the other side of the channel to do.
    #[error("this wallet is the {role:?} of channel {channel_id}, which cannot do that")]
    WrongRole { channel_id: String, role: Role },
    /// Too early for the refund. In the channel's unit.
    #[error("the locktime {locktime} of channel {channel_id} has not passed: the chain says {now}")]
    LocktimeNotReached { channel_id: String, locktime: u64, now: u64 },
    /// The channel was spent by somebody else, as by the receiver who closed it.
    #[error("the other side was first: channel {channel_id} is spent by {}", spent_by.as_deref().unwrap_or("an unknown transaction"))]
    AlreadySpent { channel_id: String, spent_by: Option<String> },
    /// The channel has been put on chain; the operator cannot move it any more.
    #[error("channel {channel_id} is on chain: it must be left on chain, too")]
    Unrolled { channel_id: String },
    /// The batch expired, and the money is in the operator's hands.
    #[error("channel {channel_id} expired: {amount} sats cannot be claimed through the operator any more")]
    Expired { channel_id: String, amount: Sats },
    /// The operator has signed and does not finish: nothing else can be done with these coins for now.
    #[error("transaction {txid} was submitted, and the operator refuses to finalize it: {reason}")]
    FinalizeFailed { txid: String, reason: String },
    /// An answer was lost. Money is safe either way; `resume` finds out.
    #[error("it is not known yet whether {txid} went through; resume to find out")]
    OutcomeUnknown { txid: String },

    // Operator and chain.
    /// No connection to the operator. Paying and receiving go on without.
    #[error("the operator at {url} cannot be reached: {reason}")]
    OperatorUnreachable { url: String, reason: String },
    /// The operator has taken the call and gives no answer.
    #[error("the operator did not answer {call} within {seconds} s")]
    OperatorTimeout { call: String, seconds: u64 },
    /// The operator said no: its own code, name and words.
    #[error("the operator refused {call}: {name} {reason}")]
    OperatorRefused { call: String, code: Option<i32>, name: String, reason: String, figures: HashMap<String, String> },
    /// The operator answered something that makes no sense or would not be safe.
    #[error("the operator's answer is not usable: {reason}")]
    OperatorAnswer { reason: String },
    /// The batch came to nothing, and nothing was spent: try again.
    #[error("the batch came to nothing: {reason}")]
    BatchFailed { reason: String },
    /// No connection to the Esplora server.
    #[error("the chain server at {url} cannot be reached: {reason}")]
    ChainUnreachable { url: String, reason: String },
    /// The Esplora server answered something that makes no sense.
    #[error("the chain server's answer is not usable: {reason}")]
    ChainAnswer { reason: String },
    /// The Bitcoin network's words for why.
    #[error("the network did not take the transaction: {reason}")]
    TransactionRejected { reason: String },

    // Wallet and database.
    /// A typing mistake, or words of another list. The words themselves are not shown.
    #[error("these are not 12 to 24 words of a BIP39 mnemonic with a right checksum")]
    InvalidMnemonic,
    /// An address in the configuration.
    #[error("{url} is no usable address: {reason}")]
    InvalidUrl { url: String, reason: String },
    /// The wallet was closed, by `shutdown` or by letting go of it.
    #[error("the wallet is closed")]
    Closed,
    /// Between `release_database` and `reopen_database`: nothing is wrong; what was under way goes on with `resume`.
    #[error("the database is released: reopen it first")]
    DatabaseReleased,
    /// The file was made with another mnemonic, network or operator.
    #[error("the database belongs to another wallet: {reason}")]
    OtherWallet { reason: String },
    /// Some other file lies there; it stays as it is.
    #[error("the file is not a wallet database")]
    NotADatabase,
    /// A newer version of the app has had the file.
    #[error("the database is of a newer version ({found}, this one knows up to {known}); update the app")]
    DatabaseNewer { found: i64, known: i64 },
    /// The file is damaged.
    #[error("the database is corrupt: {what}")]
    DatabaseCorrupt { what: String },
    /// The disk is full; what was being stored is not, and nothing was handed out.
    #[error("no space left for the database")]
    DatabaseFull,
    /// The file, its folder or the disk cannot be written.
    #[error("the database cannot be written")]
    DatabaseReadOnly,
    /// Another process holds the file: try again.
    #[error("the database is in use by another process that does not let go")]
    DatabaseBusy,
    /// The file was moved or deleted, or the disk fails; nothing is paid that cannot be stored.
    #[error("the database: {reason}")]
    DatabaseFailed { reason: String },
    /// More in one call than it takes.
    #[error("at most {limit} at once")]
    TooMany { limit: u64 },
    /// A bug. Please report it.
    #[error("an error inside the library: {detail}")]
    Internal { detail: String },
}

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
            E::Unrolled { channel_id } => Self::Unrolled { channel_id: channel_id.to_string() },
            E::Expired { channel_id, amount } => {
                Self::Expired { channel_id: channel_id.to_string(), amount: amount.into() }
            }
            E::FinalizeFailed { ark_txid, why } => Self::FinalizeFailed { txid: ark_txid.to_string(), reason: why },
            E::OutcomeUnknown { ark_txid } => Self::OutcomeUnknown { txid: ark_txid.to_string() },
            E::BatchUndecided { txid } => Self::OutcomeUnknown { txid: txid.to_string() },
            E::NotOpened { why } => Self::NotOpened { reason: why },
            E::InvalidPaymentId { limit } => Self::InvalidPaymentId { limit: limit as u64 },
            E::TooMany { limit } => Self::TooMany { limit: limit as u64 },
        }
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
            E::MissingAuthorisation { channel_id } => Self::MissingAuthorisation { channel_id: channel_id.to_string() },
            E::UnacceptableCheckpointScript { .. } | E::CheckpointDelayTooShort { .. } => {
                Self::UnsafeOperator { reason: text }
            }
            E::ZeroPayment => Self::ZeroPayment,
            E::OverCapacity { amount, capacity } => {
                Self::OverCapacity { amount: amount.into(), capacity: capacity.into() }
            }
            E::ImpossibleAmount { amount, capacity, below, above, .. } => Self::ImpossibleAmount {
                amount: amount.into(),
                capacity: capacity.into(),
                below: below.map(Sats::from),
                above: above.map(Sats::from),
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
