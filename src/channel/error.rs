//! Everything the protocol can refuse, with the figures a person needs.

use std::fmt::Display;

use bitcoin::{Amount, Txid, XOnlyPublicKey};

use super::{ChannelId, ChannelUpdate, Network};

/// Why the protocol refused something. Amounts are sats; delays and moments are in the channel's unit. What is large is behind
/// pointers: every result carries the room for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChannelError {
    // Reading.
    #[error("malformed {what}")]
    Malformed { what: &'static str },
    #[error("message version {version} is not known; update the app")]
    UnknownVersion { version: u32 },
    #[error("{size} bytes are more than the {limit} a message may have")]
    TooLarge { size: usize, limit: usize },
    #[error("this is no text of this library")]
    NotOurText,
    #[error("the text is damaged: its checksum does not fit")]
    Checksum,
    #[error("this is {got}, not {expected}")]
    OtherKind { expected: &'static str, got: &'static str },
    #[error("not an Ark address")]
    InvalidAddress,
    #[error("network {name:?} is not known")]
    UnknownNetwork { name: String },
    #[error("{value} is no valid relative delay (blocks below 512, else a multiple of 512 seconds)")]
    InvalidDelay { value: i64 },
    #[error("{value} is no valid locktime")]
    InvalidLocktime { value: u64 },
    #[error("not a valid public key")]
    InvalidKey,
    #[error("a tree of {leaves} leaves is not supported")]
    UnsupportedTree { leaves: usize },
    #[error("malformed transaction: {what}")]
    MalformedTransaction { what: &'static str },

    // Terms.
    #[error("network is {got:?}, expected {expected:?}")]
    WrongNetwork { expected: Network, got: Network },
    #[error("operator key is {got}, expected {expected}")]
    WrongOperator { expected: Box<XOnlyPublicKey>, got: Box<XOnlyPublicKey> },
    #[error("payer, receiver and operator must have three different keys")]
    EqualKeys,
    #[error("blocks and seconds are mixed")]
    UnitMix,
    #[error("delay {delay} is below the operator's exit delay {minimum}")]
    DelayTooShort { delay: u64, minimum: u64 },
    #[error("delay {delay} is above the {maximum} agreed on")]
    DelayTooLong { delay: u64, maximum: u64 },
    #[error("d1 ({d1}) must be shorter than d2 ({d2})")]
    DelayOrder { d1: u64, d2: u64 },
    #[error("payout script {script} is no P2TR output with a valid key")]
    InvalidPayout { script: String },
    #[error("capacity {capacity} is outside {min} to {max}")]
    CapacityOutOfBounds { capacity: Amount, min: Amount, max: Amount },
    #[error("locktime is {ahead} ahead, must be {min} to {max}")]
    LocktimeOutOfBounds { ahead: u64, min: u64, max: u64 },
    #[error(
        "the deadlines do not fit: locktime {locktime}, batch expiry {expiry}, payer must exit by {payer_exit_by}, \
         receiver must close by {close_by}, now {now}"
    )]
    DeadlinesDoNotFit { locktime: u64, expiry: u64, payer_exit_by: u64, close_by: u64, now: u64 },

    // The operator's scripts.
    #[error("checkpoint script {script} is not acceptable: it must be a delay and the operator's forfeit key")]
    UnacceptableCheckpointScript { script: String },
    #[error("checkpoint delay of {seconds} s is below the {minimum} s that are safe")]
    CheckpointDelayTooShort { seconds: u64, minimum: u64 },

    // Invite, offer, accept.
    #[error("the invite expired at {expired_at}, it is {now}")]
    InviteExpired { expired_at: u64, now: u64 },
    #[error("the offer is for another invite")]
    OtherInvite,
    #[error("the invite has been used")]
    InviteUsed,
    #[error("the offer changes what the invite says: {what}")]
    OfferMismatch { what: &'static str },
    #[error("the invite does not take channels funded {kind}")]
    FundingKindRefused { kind: &'static str },
    #[error("the invite does not take channels that need their payer to be closed")]
    OnCloseRefused,
    #[error("the accept is for another offer")]
    OtherOffer,
    #[error("the accept ended at {valid_until}, it is {now}")]
    AcceptExpired { valid_until: u64, now: u64 },

    // Signatures.
    #[error("invalid {what}")]
    InvalidSignature { what: &'static str },
    #[error("signature of {key} is missing")]
    MissingSignature { key: Box<XOnlyPublicKey> },
    #[error("sighash type {got:#04x} is not allowed, only SIGHASH_DEFAULT is")]
    SighashType { got: u8 },
    #[error("transaction {got} is not the {expected} that was built here")]
    OtherTransaction { expected: Box<Txid>, got: Box<Txid> },
    #[error("checkpoint {txid} is missing in the answer")]
    MissingCheckpoint { txid: Txid },

    // Payments.
    #[error("update is for channel {got}, not {expected}")]
    OtherChannel { expected: Box<ChannelId>, got: Box<ChannelId> },
    #[error("{amount} is more than the capacity {capacity}")]
    OverCapacity { amount: Amount, capacity: Amount },
    #[error(transparent)]
    ImpossibleAmount(Box<ImpossibleAmount>),
    #[error("a payment must be at least one sat")]
    ZeroPayment,
    #[error("the amount never goes down: {amount} is below {current}")]
    LowerAmount { amount: Amount, current: Amount },
    #[error("update to {amount} is stale: {} is stored", stored.amount)]
    Stale { amount: Amount, stored: Box<ChannelUpdate> },
    #[error("update to {amount} was built on {previous}, but {} is stored: the payer has forgotten an update", stored.amount)]
    Forked { amount: Amount, previous: Amount, stored: Box<ChannelUpdate> },
    #[error(
        "the ark signature fits no checkpoint script known for channel {channel_id}: ask the payer to authorise again"
    )]
    UnknownCheckpointScript { channel_id: ChannelId },
    #[error("channel {channel_id} has no authorisation yet: ask the payer to send it along")]
    MissingAuthorisation { channel_id: ChannelId },
    #[error("nothing has been paid yet")]
    NothingPaid,

    // Closing together.
    #[error("the close request ended at {expires_at}, it is {now}: ask for a new one")]
    CloseRequestExpired { expires_at: u64, now: u64 },
    #[error("channel {channel_id} can be closed only with its payer: ask it for a grant, or leave on chain")]
    GrantNeeded { channel_id: ChannelId },

    // The branch.
    #[error("branch: {what}")]
    InvalidBranch { what: String },
    #[error("branch of {levels} levels is deeper than the {limit} that can be unrolled in time")]
    BranchTooDeep { levels: usize, limit: usize },
}

/// An amount that the two outputs of a close cannot have, and the nearest ones that they can.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "an amount of {amount} in a channel of {capacity} is not possible (outputs must be {min} to {max}); nearest: \
     {} below, {} above",
    or(below, "none"),
    or(above, "none")
)]
pub struct ImpossibleAmount {
    pub amount: Amount,
    pub capacity: Amount,
    pub min: Amount,
    pub max: Amount,
    pub below: Option<Amount>,
    pub above: Option<Amount>,
}

/// What there is, or what is said where there is nothing.
pub(crate) fn or<T: Display>(value: &Option<T>, nothing: &str) -> String {
    value.as_ref().map_or_else(|| nothing.to_owned(), T::to_string)
}
