//! One error for phones, with the figures a person needs.

use std::collections::HashMap;

use super::Sats;
use super::records::{ChannelState, Role};

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
    InvalidText {
        /// What does not fit.
        reason: String,
    },
    /// A good text, but of another kind than this call takes.
    #[error("this is {got}, not {expected}")]
    WrongMessage {
        /// The kind that the call takes.
        expected: String,
        /// The kind that the text is of.
        got: String,
    },
    /// The text is of a newer version of the library.
    #[error("message version {version} is not known; update the app")]
    UnknownVersion {
        /// The version that the text has.
        version: u32,
    },
    /// Neither an Ark address of this operator's network nor an on-chain one.
    #[error("not an address of this network")]
    InvalidAddress,

    // Opening.
    /// The other side, the operator or the database is on another network.
    #[error("network is {got}, expected {expected}")]
    WrongNetwork {
        /// This wallet's network.
        expected: String,
        /// The other network.
        got: String,
    },
    /// The other side uses another operator.
    #[error("operator key is {got}, expected {expected}")]
    WrongOperator {
        /// The key of this wallet's operator, in hex.
        expected: String,
        /// The other key, in hex.
        got: String,
    },
    /// Ask the receiver for a new invite. Unix seconds.
    #[error("the invite expired at {expired_at}, it is {now}")]
    InviteExpired {
        /// When it ended.
        expired_at: u64,
        /// What time it is.
        now: u64,
    },
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
    AcceptExpired {
        /// When it ended.
        valid_until: u64,
        /// What time it is.
        now: u64,
    },
    /// What the other side proposes would not be safe.
    #[error("the terms are not acceptable: {reason}")]
    InvalidTerms {
        /// What is not acceptable.
        reason: String,
    },
    /// The receiver or the operator takes no channel of that size.
    #[error("capacity {capacity} is outside {minimum} to {maximum} sats")]
    CapacityOutOfBounds {
        /// What was asked for.
        capacity: Sats,
        /// The least that is possible.
        minimum: Sats,
        /// The most that is possible.
        maximum: Sats,
    },
    /// The receiver takes no channel of that lifetime. In the operator's unit.
    #[error("the refund locktime is {ahead} ahead, must be {minimum} to {maximum}")]
    LocktimeOutOfBounds {
        /// How far ahead the locktime is.
        ahead: u64,
        /// The least that is possible.
        minimum: u64,
        /// The most that is possible.
        maximum: u64,
    },
    /// There would be no time left to pay, or to close before the batch expires. In the operator's unit.
    #[error(
        "the deadlines do not fit: locktime {locktime}, batch expiry {expiry}, payments until {close_by}, now {now}"
    )]
    DeadlinesDoNotFit {
        /// When the payer may take the money back.
        locktime: u64,
        /// When the batch expires.
        expiry: u64,
        /// Until when there would be payments.
        close_by: u64,
        /// What time it is.
        now: u64,
    },
    /// A channel funded off chain rests on the operator's honesty; `max_preconfirmed` says how far.
    #[error("a preconfirmed channel of {capacity} sats is above the {limit} this wallet takes")]
    PreconfirmedTooLarge {
        /// What was asked for.
        capacity: Sats,
        /// The largest that this wallet takes.
        limit: Sats,
    },
    /// What the payer offers as funding is not what it should be.
    #[error("the funding VTXO is not usable: it {reason}")]
    FundingNotUsable {
        /// What is wrong with it.
        reason: String,
    },
    /// Mined not deep enough yet: try again later.
    #[error("commitment transaction {txid} has {confirmations} confirmations of {needed}")]
    NotConfirmed {
        /// The commitment transaction.
        txid: String,
        /// The confirmations it has.
        confirmations: u32,
        /// The confirmations it needs.
        needed: u32,
    },
    /// The receiver did not take part in the batch: nothing was spent.
    #[error("the channel was not opened: {reason}")]
    NotOpened {
        /// Why not.
        reason: String,
    },

    // Signatures and what the operator wants signed.
    /// A signature of the other side or of the operator is wrong.
    #[error("invalid {what}")]
    InvalidSignature {
        /// Which signature.
        what: String,
    },
    /// The operator changed its settings, and the payment is for others than this wallet knows.
    #[error("channel {channel_id}: the payment fits no known operator setting; ask the payer to authorise again")]
    UnknownCheckpointScript {
        /// The channel.
        channel_id: String,
    },
    /// The first payment of a channel carries what closing needs; this one does not.
    #[error("channel {channel_id} has no authorisation yet; ask the payer to send it along")]
    MissingAuthorisation {
        /// The channel.
        channel_id: String,
    },
    /// The payer calls `reauthorise` and hands the payment over again.
    #[error("the operator changed its settings; ask the payer of channel {channel_id} to authorise again")]
    ReauthorisationNeeded {
        /// The channel.
        channel_id: String,
    },
    /// What the operator wants signed would put money at risk.
    #[error("the operator's scripts are not acceptable: {reason}")]
    UnsafeOperator {
        /// What is wrong with it.
        reason: String,
    },

    // Paying and receiving.
    /// A payment of nothing.
    #[error("a payment must be at least one sat")]
    ZeroPayment,
    /// More than the channel can carry in all.
    #[error("{amount} sats are more than the capacity of {capacity}")]
    OverCapacity {
        /// The total that the payment would come to.
        amount: Sats,
        /// What the channel can carry in all.
        capacity: Sats,
    },
    /// One side would be left with less than the network lets through; the nearest possible totals are named.
    #[error("{amount} of {capacity} sats is not possible; nearest: {} below, {} above", or_none(below), or_none(above))]
    ImpossibleAmount {
        /// The total that the payment would come to.
        amount: Sats,
        /// What the channel can carry in all.
        capacity: Sats,
        /// The nearest possible total below, if there is one.
        below: Option<Sats>,
        /// The nearest possible total above, if there is one.
        above: Option<Sats>,
    },
    /// The app's own id of a payment is not usable.
    #[error("the payment id is empty or longer than {limit} bytes")]
    InvalidPaymentId {
        /// The most bytes an id may have.
        limit: u64,
    },
    /// The receiver has a newer payment already: give `stored_payment` to the payer's `catch_up`.
    #[error("the payment to {amount} sats is stale: {stored_amount} are stored")]
    Stale {
        /// The total of the payment that was handed over.
        amount: Sats,
        /// What the receiver has stored, in all.
        stored_amount: Sats,
        /// The stored payment, as text.
        stored_payment: String,
    },
    /// Two wallets paid from the same mnemonic: give `stored_payment` to the payer's `catch_up`.
    #[error("the payment to {amount} sats was built on {previous}, but {stored_amount} are stored")]
    Forked {
        /// The total of the payment that was handed over.
        amount: Sats,
        /// The total that it was built on.
        previous: Sats,
        /// What the receiver has stored, in all.
        stored_amount: Sats,
        /// The stored payment, as text.
        stored_payment: String,
    },
    /// The channel came out of a backup: show the receiver's latest payment to `catch_up` first, or call `pay_from_zero` where
    /// the receiver says that nothing was paid.
    #[error("channel {channel_id} was restored: its latest payment must be seen before anything is signed in it")]
    CatchUpNeeded {
        /// The channel.
        channel_id: String,
    },
    /// The payment is for another channel than the one it was given for.
    #[error("payment is for channel {got}, not {expected}")]
    OtherChannel {
        /// The channel that it should be for.
        expected: String,
        /// The channel that it is for.
        got: String,
    },
    /// There is no payment in this channel yet.
    #[error("nothing has been paid yet")]
    NothingPaid,
    /// Too late to pay. In the channel's unit.
    #[error("channel {channel_id} takes no more payments since {close_by}: it must be closed")]
    PastCloseBy {
        /// The channel.
        channel_id: String,
        /// When payments ended.
        close_by: u64,
        /// What time it is.
        now: u64,
    },
    /// The wallet has not looked at the chain for too long to take money: call `watch`.
    #[error("the chain was last seen {blind_seconds} s ago, payments are taken up to {max_blind_seconds} s: go online")]
    Blind {
        /// The channel.
        channel_id: String,
        /// How long ago the chain was seen.
        blind_seconds: u64,
        /// How long ago it may be.
        max_blind_seconds: u64,
    },

    // Money.
    /// There is too little that can be spent now.
    #[error("{needed} sats are needed, {available} can be spent now")]
    InsufficientFunds {
        /// What is needed, fees included.
        needed: Sats,
        /// What can be spent now.
        available: Sats,
    },
    /// Confirmed coins of the on-chain wallet that pay fees are missing: pay to its address, then go on.
    #[error("{needed} sats in confirmed coins are needed for fees on chain, {available} can be used: pay to {address}")]
    InsufficientFeeCoins {
        /// What is needed.
        needed: Sats,
        /// What can be used now.
        available: Sats,
        /// The on-chain address of this wallet.
        address: String,
    },
    /// Exits under way keep on-chain coins for their fees.
    #[error("{exits} exits under way keep {reserved} sats on chain for their fees, {available} can be sent")]
    ReservedForExits {
        /// Exits under way.
        exits: u64,
        /// What is kept for them.
        reserved: Sats,
        /// What can be sent.
        available: Sats,
    },
    /// Less than the operator or the network lets through.
    #[error("{amount} sats are less than the {minimum} that are possible here")]
    AmountTooSmall {
        /// The amount.
        amount: Sats,
        /// The least that is possible.
        minimum: Sats,
    },
    /// More than the operator takes at once.
    #[error("{amount} sats are more than the {maximum} that are possible here")]
    AmountTooLarge {
        /// The amount.
        amount: Sats,
        /// The most that is possible.
        maximum: Sats,
    },
    /// The operator's fee would eat up the coins.
    #[error("fees of {fee} sats leave {left}, less than the minimum of {minimum}")]
    FeesLeaveTooLittle {
        /// The operator's fee.
        fee: Sats,
        /// What it leaves.
        left: Sats,
        /// The least that is possible.
        minimum: Sats,
    },
    /// No coin needs settling.
    #[error("there is nothing to settle")]
    NothingToSettle,
    /// A channel funded off chain needs coins that are settled, and not too many of them.
    #[error("an off-chain opening needs settled VTXOs (at most {limit}); settle first")]
    NeedsSettledVtxos {
        /// How many coins an off-chain opening takes.
        limit: u64,
    },
    /// Another call is about to spend the coin, `txid:vout`: wait for it, or call `resume`.
    #[error("coin {outpoint} is held by something under way")]
    CoinLocked {
        /// The coin.
        outpoint: String,
    },

    // Channels.
    /// No such thing in this wallet.
    #[error("no invite, offer or channel of this wallet has that id")]
    NotFound,
    /// The channel is past that, or not there yet.
    #[error("channel {channel_id} is {state:?}: {what} needs another state")]
    WrongState {
        /// The channel.
        channel_id: String,
        /// The state it is in.
        state: ChannelState,
        /// What was asked for.
        what: String,
    },
    /// That is for the other side of the channel to do.
    #[error("this wallet is the {role:?} of channel {channel_id}, which cannot do that")]
    WrongRole {
        /// The channel.
        channel_id: String,
        /// Which side this wallet is.
        role: Role,
    },
    /// Too early for the refund. In the channel's unit.
    #[error("the locktime {locktime} of channel {channel_id} has not passed: the chain says {now}")]
    LocktimeNotReached {
        /// The channel.
        channel_id: String,
        /// When the refund is possible.
        locktime: u64,
        /// What the chain's clock, or its height, says.
        now: u64,
    },
    /// The channel was spent by somebody else, as by the receiver who closed it.
    #[error("the other side was first: channel {channel_id} is spent by {}", spent_by.as_deref().unwrap_or("an unknown transaction"))]
    AlreadySpent {
        /// The channel.
        channel_id: String,
        /// The transaction, where it is known.
        spent_by: Option<String>,
    },
    /// The channel has been put on chain; the operator cannot move it any more.
    #[error("channel {channel_id} is on chain: it must be left on chain, too")]
    Unrolled {
        /// The channel.
        channel_id: String,
    },
    /// The batch expired, and the money is in the operator's hands.
    #[error("channel {channel_id} expired: {amount} sats cannot be claimed through the operator any more")]
    Expired {
        /// The channel.
        channel_id: String,
        /// What this wallet had in it.
        amount: Sats,
    },
    /// The operator has signed and does not finish: nothing else can be done with these coins for now.
    #[error("transaction {txid} was submitted, and the operator refuses to finalize it: {reason}")]
    FinalizeFailed {
        /// The transaction.
        txid: String,
        /// The operator's words.
        reason: String,
    },
    /// An answer was lost. Money is safe either way; `resume` finds out.
    #[error("it is not known yet whether {txid} went through; resume to find out")]
    OutcomeUnknown {
        /// The transaction.
        txid: String,
    },

    // Operator and chain.
    /// No connection to the operator. Paying and receiving go on without.
    #[error("the operator at {url} cannot be reached: {reason}")]
    OperatorUnreachable {
        /// Its address.
        url: String,
        /// Why not.
        reason: String,
    },
    /// The operator has taken the call and gives no answer.
    #[error("the operator did not answer {call} within {seconds} s")]
    OperatorTimeout {
        /// The call, by its gRPC name.
        call: String,
        /// How long the answer was waited for.
        seconds: u64,
    },
    /// The operator said no: its own code, name and words.
    #[error("the operator refused {call}: {name} {reason}")]
    OperatorRefused {
        /// The call, by its gRPC name.
        call: String,
        /// The operator's own number of the error, where it gives one.
        code: Option<i32>,
        /// The operator's own name of the error.
        name: String,
        /// The operator's words.
        reason: String,
        /// The figures that the operator gives along.
        figures: HashMap<String, String>,
    },
    /// The operator answered something that makes no sense or would not be safe.
    #[error("the operator's answer is not usable: {reason}")]
    OperatorAnswer {
        /// What is wrong with it.
        reason: String,
    },
    /// The batch came to nothing, and nothing was spent: try again.
    #[error("the batch came to nothing: {reason}")]
    BatchFailed {
        /// The operator's words.
        reason: String,
    },
    /// No connection to the Esplora server.
    #[error("the chain server at {url} cannot be reached: {reason}")]
    ChainUnreachable {
        /// Its address.
        url: String,
        /// Why not.
        reason: String,
    },
    /// The Esplora server answered something that makes no sense.
    #[error("the chain server's answer is not usable: {reason}")]
    ChainAnswer {
        /// What is wrong with it.
        reason: String,
    },
    /// The Bitcoin network's words for why.
    #[error("the network did not take the transaction: {reason}")]
    TransactionRejected {
        /// The network's words.
        reason: String,
    },

    // Wallet and database.
    /// A typing mistake, or words of another list. The words themselves are not shown.
    #[error("these are not 12 to 24 words of a BIP39 mnemonic with a right checksum")]
    InvalidMnemonic,
    /// An address in the configuration.
    #[error("{url} is no usable address: {reason}")]
    InvalidUrl {
        /// The address.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The wallet was closed, by `shutdown` or by letting go of it.
    #[error("the wallet is closed")]
    Closed,
    /// Between `release_database` and `reopen_database`: nothing is wrong; what was under way goes on with `resume`.
    #[error("the database is released: reopen it first")]
    DatabaseReleased,
    /// The file was made with another mnemonic, network or operator.
    #[error("the database belongs to another wallet: {reason}")]
    OtherWallet {
        /// What is different.
        reason: String,
    },
    /// The backup was made with another mnemonic, network or operator.
    #[error("the backup is of another {what}")]
    OtherBackup {
        /// What is different.
        what: String,
    },
    /// Some other file lies there; it stays as it is.
    #[error("the file is not a wallet database")]
    NotADatabase,
    /// A newer version of the app has had the file.
    #[error("the database is of a newer version ({found}, this one knows up to {known}); update the app")]
    DatabaseNewer {
        /// The version of the file.
        found: i64,
        /// The newest version that is known here.
        known: i64,
    },
    /// The file is damaged.
    #[error("the database is corrupt: {what}")]
    DatabaseCorrupt {
        /// What is damaged.
        what: String,
    },
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
    DatabaseFailed {
        /// What failed.
        reason: String,
    },
    /// Maintenance took so long that it was not waited for any more; the next run shows what came of it.
    #[error("not done within {seconds} s: it goes on in the background")]
    StillRunning {
        /// How long it was waited for.
        seconds: u64,
    },
    /// More in one call than it takes.
    #[error("at most {limit} at once")]
    TooMany {
        /// The most that are taken at once.
        limit: u64,
    },
    /// A bug. Please report it.
    #[error("an error inside the library: {detail}")]
    Internal {
        /// Where.
        detail: String,
    },
}
