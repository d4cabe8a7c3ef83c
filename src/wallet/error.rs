//! What a wallet can refuse or fail at. Whatever it is, what was stored before is as it was.

use bitcoin::{Amount, Txid};

use crate::chain::ChainError;
use crate::channel::{ChannelError, ChannelId, or};
use crate::operator::OperatorError;
use crate::store::{ChannelState, Role, StoreError};

/// Errors of the wallet. Amounts are sats, moments unix seconds or heights as the channel counts.
#[derive(Debug, thiserror::Error)]
pub enum WalletError {
    #[error(transparent)]
    Channel(#[from] ChannelError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Operator(#[from] OperatorError),
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error("these are not 12 to 24 words of a BIP39 mnemonic with a right checksum")]
    InvalidMnemonic,
    #[error("a key could not be derived")]
    KeyDerivation,
    #[error("{url:?} is no usable address: {why}")]
    InvalidUrl { url: String, why: &'static str },
    #[error("the wallet is closed")]
    Closed,
    #[error("not an Ark address or on-chain address of this network")]
    InvalidAddress,
    #[error("{needed} are needed, {available} can be spent now")]
    InsufficientFunds { needed: Amount, available: Amount },
    #[error("{needed} in confirmed coins are needed for fees on chain, {available} can be used: pay to {address}")]
    InsufficientFeeCoins { needed: Amount, available: Amount, address: String },
    #[error("{exits} exits under way keep {reserved} on chain for their fees, {available} can be sent")]
    ReservedForExits { exits: usize, reserved: Amount, available: Amount },
    #[error("{amount} is less than the {minimum} that is possible here")]
    AmountTooSmall { amount: Amount, minimum: Amount },
    #[error("{amount} is more than the {maximum} that is possible here")]
    AmountTooLarge { amount: Amount, maximum: Amount },
    #[error("there is nothing to settle")]
    NothingToSettle,
    #[error("fees of {fee} leave {left}, less than the minimum of {minimum}")]
    FeesLeaveTooLittle { fee: Amount, left: Amount, minimum: Amount },
    #[error("an off-chain opening needs settled VTXOs (at most {limit}); settle first")]
    NeedsSettledVtxos { limit: usize },
    #[error("no invite, offer or channel of this wallet has that id")]
    NotFound,
    #[error("channel {channel_id} is {state}: {what} needs another state")]
    WrongState { channel_id: ChannelId, state: ChannelState, what: &'static str },
    #[error("this wallet is the {role} of channel {channel_id}, which cannot do that")]
    WrongRole { channel_id: ChannelId, role: Role },
    #[error("channel {channel_id} takes no more payments since {close_by}: it must be closed")]
    PastCloseBy { channel_id: ChannelId, close_by: u64, now: u64 },
    #[error(
        "the chain was last seen {blind_seconds} s ago, new money is taken up to {max_blind_seconds} s: go online once"
    )]
    Blind { channel_id: ChannelId, blind_seconds: u64, max_blind_seconds: u64 },
    #[error("a preconfirmed channel of {capacity} is above the {limit} this wallet takes")]
    PreconfirmedTooLarge { capacity: Amount, limit: Amount },
    #[error("the locktime {locktime} has not passed yet: the chain says {now}")]
    LocktimeNotReached { channel_id: ChannelId, locktime: u64, now: u64 },
    #[error("the funding VTXO {what}")]
    FundingNotUsable { what: String },
    #[error("commitment transaction {txid} has {confirmations} confirmations of {needed}")]
    NotConfirmed { txid: Txid, confirmations: u32, needed: u32 },
    #[error(
        "the operator's checkpoint script changed: ask the payer to send its latest update again before closing channel {channel_id}"
    )]
    ReauthorisationNeeded { channel_id: ChannelId },
    #[error("the other side was first: channel {channel_id} is spent by {}", or(spent_by, "an unknown transaction"))]
    AlreadySpent { channel_id: ChannelId, spent_by: Option<Txid> },
    #[error("channel {channel_id} was paid {amount}: it is closed, not given back")]
    Paid { channel_id: ChannelId, amount: Amount },
    #[error("channel {channel_id} is on chain: it must be left on chain, too")]
    Unrolled { channel_id: ChannelId },
    #[error("channel {channel_id} expired: {amount} cannot be claimed through the operator any more")]
    Expired { channel_id: ChannelId, amount: Amount },
    #[error("transaction {ark_txid} was submitted, and the operator refuses to finalize it: {why}")]
    FinalizeFailed { ark_txid: Txid, why: String },
    #[error("it is not known yet whether {ark_txid} went through; resume to find out")]
    OutcomeUnknown { ark_txid: Txid },
    #[error("the batch with commitment transaction {txid} has not been decided yet; resume to find out")]
    BatchUndecided { txid: Txid },
    #[error("the receiver did not open: {why}")]
    NotOpened { why: String },
    #[error("stored data of {what} cannot be read")]
    CorruptFlow { what: &'static str },
    #[error("the payment id is empty or longer than {limit} bytes")]
    InvalidPaymentId { limit: usize },
    #[error("not done within {seconds} s: it goes on in the background")]
    StillRunning { seconds: u64 },
    #[error("the backup is of another {what}")]
    OtherBackup { what: &'static str },
    #[error("channel {channel_id} was restored: its latest payment must be seen before anything is signed in it")]
    CatchUpNeeded { channel_id: ChannelId },
    #[error("at most {limit} at once")]
    TooMany { limit: usize },
}

impl WalletError {
    /// Whether the database was released ([`super::Wallet::release_database`]): nothing is wrong, it is to be gone on
    /// with later.
    pub fn is_released(&self) -> bool {
        matches!(self, Self::Store(StoreError::Released))
    }

    /// Whether the database itself fails, whatever was asked of it.
    pub(super) fn is_fatal(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_fatal())
    }

    /// Whether a batch is left as it is, for resuming to go on with.
    pub(super) fn is_for_later(&self) -> bool {
        self.is_released() || matches!(self, Self::BatchUndecided { .. })
    }
}

/// Behind a pointer: a result that carries it is small, and so is everything that hands one on.
pub(super) type Result<T> = std::result::Result<T, Box<WalletError>>;

macro_rules! boxed_from {
    ($($from:ty)*) => {$(
        impl From<$from> for Box<WalletError> {
            fn from(error: $from) -> Self {
                Self::new(error.into())
            }
        }
    )*};
}

boxed_from! { ChannelError StoreError OperatorError ChainError }
