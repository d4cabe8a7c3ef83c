//! One error for phones, with the figures a person needs.

use std::collections::HashMap;

use super::{ChannelState, Role, Sats};

/// Why something did not work. What was stored before is as it was. Moments are unix seconds, or
/// heights where the operator counts in blocks.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Error)]
#[uniffi::export(Display)]
pub enum WalletError {
    // Texts.
    /// Not a text of this library, or one that was damaged on its way.
    InvalidText {
        /// What does not fit.
        reason: String,
    },
    /// A good text, but of another kind than this call takes.
    WrongMessage {
        /// The kind that the call takes.
        expected: String,
        /// The kind that the text is of.
        got: String,
    },
    /// The text is of a newer version of the library.
    UnknownVersion {
        /// The version that the text has.
        version: u32,
    },
    /// Neither an Ark address of this operator's network nor an on-chain one.
    InvalidAddress,

    // Opening.
    /// The other side, the operator or the database is on another network.
    WrongNetwork {
        /// This wallet's network.
        expected: String,
        /// The other network.
        got: String,
    },
    /// The other side uses another operator.
    WrongOperator {
        /// The key of this wallet's operator, in hex.
        expected: String,
        /// The other key, in hex.
        got: String,
    },
    /// Ask the receiver for a new invite. Unix seconds.
    InviteExpired {
        /// When it ended.
        expired_at: u64,
        /// What time it is.
        now: u64,
    },
    /// An invite is for one channel: ask the receiver for a new one.
    InviteUsed,
    /// The offer does not answer the invite it names.
    OtherInvite,
    /// The accept does not answer the offer it names.
    OtherOffer,
    /// Propose again. Unix seconds.
    AcceptExpired {
        /// When it ended.
        valid_until: u64,
        /// What time it is.
        now: u64,
    },
    /// Ask the other side to ask again with `request_close`. Unix seconds.
    CloseRequestExpired {
        /// When it ended.
        expired_at: u64,
        /// What time it is.
        now: u64,
    },
    /// What the other side proposes would not be safe.
    InvalidTerms {
        /// What is not acceptable.
        reason: String,
    },
    /// The receiver or the operator takes no channel of that size.
    CapacityOutOfBounds {
        /// What was asked for.
        capacity: Sats,
        /// The least that is possible.
        minimum: Sats,
        /// The most that is possible.
        maximum: Sats,
    },
    /// The receiver takes no channel of that lifetime. In the operator's unit.
    LocktimeOutOfBounds {
        /// How far ahead the locktime is.
        ahead: u64,
        /// The least that is possible.
        minimum: u64,
        /// The most that is possible.
        maximum: u64,
    },
    /// There would be no time left to pay, or to close before the batch expires. In the operator's unit.
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
    PreconfirmedTooLarge {
        /// What was asked for.
        capacity: Sats,
        /// The largest that this wallet takes.
        limit: Sats,
    },
    /// What the payer offers as funding is not what it should be.
    FundingNotUsable {
        /// What is wrong with it.
        reason: String,
    },
    /// Mined not deep enough yet: try again later.
    NotConfirmed {
        /// The commitment transaction.
        txid: String,
        /// The confirmations it has.
        confirmations: u32,
        /// The confirmations it needs.
        needed: u32,
    },
    /// The receiver did not take part in the batch: nothing was spent.
    NotOpened {
        /// Why not.
        reason: String,
    },

    // Signatures and what the operator wants signed.
    /// A signature of the other side or of the operator is wrong.
    InvalidSignature {
        /// Which signature.
        what: String,
    },
    /// The operator changed its settings, and the payment is for others than this wallet knows.
    UnknownCheckpointScript {
        /// The channel.
        channel_id: String,
    },
    /// The payer has not given what closing needs. The first payment brings it; where the payer authorises on close only
    /// (`on_close`), ask with `request_close`.
    MissingAuthorisation {
        /// The channel.
        channel_id: String,
    },
    /// The payer calls `reauthorise` and hands the payment over again.
    ReauthorisationNeeded {
        /// The channel.
        channel_id: String,
    },
    /// What the operator wants signed would put money at risk.
    UnsafeOperator {
        /// What is wrong with it.
        reason: String,
    },

    // Paying and receiving.
    /// A payment of nothing.
    ZeroPayment,
    /// More than the channel can carry in all.
    OverCapacity {
        /// The total that the payment would come to.
        amount: Sats,
        /// What the channel can carry in all.
        capacity: Sats,
    },
    /// One side would be left with less than the network lets through; the nearest possible totals are named.
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
    InvalidPaymentId {
        /// The most bytes an id may have.
        limit: u64,
    },
    /// The receiver has a newer payment already: give `stored_payment` to the payer's `catch_up`.
    Stale {
        /// The total of the payment that was handed over.
        amount: Sats,
        /// What the receiver has stored, in all.
        stored_amount: Sats,
        /// The stored payment, as text.
        stored_payment: String,
    },
    /// Two wallets paid from the same mnemonic: give `stored_payment` to the payer's `catch_up`.
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
    CatchUpNeeded {
        /// The channel.
        channel_id: String,
    },
    /// The payment is for another channel than the one it was given for.
    OtherChannel {
        /// The channel that it should be for.
        expected: String,
        /// The channel that it is for.
        got: String,
    },
    /// There is no payment in this channel yet.
    NothingPaid,
    /// Too late to pay. In the channel's unit.
    PastCloseBy {
        /// The channel.
        channel_id: String,
        /// When payments ended.
        close_by: u64,
        /// What time it is.
        now: u64,
    },
    /// The wallet has not looked at the chain for too long to take money: call `watch`.
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
    InsufficientFunds {
        /// What is needed, fees included.
        needed: Sats,
        /// What can be spent now.
        available: Sats,
    },
    /// Confirmed coins of the on-chain wallet that pay fees are missing: pay to its address, then go on.
    InsufficientFeeCoins {
        /// What is needed.
        needed: Sats,
        /// What can be used now.
        available: Sats,
        /// The on-chain address of this wallet.
        address: String,
    },
    /// Exits under way keep on-chain coins for their fees.
    ReservedForExits {
        /// Exits under way.
        exits: u64,
        /// What is kept for them.
        reserved: Sats,
        /// What can be sent.
        available: Sats,
    },
    /// Less than the operator or the network lets through.
    AmountTooSmall {
        /// The amount.
        amount: Sats,
        /// The least that is possible.
        minimum: Sats,
    },
    /// More than the operator takes at once.
    AmountTooLarge {
        /// The amount.
        amount: Sats,
        /// The most that is possible.
        maximum: Sats,
    },
    /// The operator's fee would eat up the coins.
    FeesLeaveTooLittle {
        /// The operator's fee.
        fee: Sats,
        /// What it leaves.
        left: Sats,
        /// The least that is possible.
        minimum: Sats,
    },
    /// No coin needs settling.
    NothingToSettle,
    /// A channel funded off chain needs coins that are settled, and not too many of them.
    NeedsSettledVtxos {
        /// How many coins an off-chain opening takes.
        limit: u64,
    },
    /// Another call is about to spend the coin, `txid:vout`: wait for it, or call `resume`.
    CoinLocked {
        /// The coin.
        outpoint: String,
    },

    // Channels.
    /// No such thing in this wallet.
    NotFound,
    /// The channel is past that, or not there yet.
    WrongState {
        /// The channel.
        channel_id: String,
        /// The state it is in.
        state: ChannelState,
        /// What was asked for.
        what: String,
    },
    /// That is for the other side of the channel to do.
    WrongRole {
        /// The channel.
        channel_id: String,
        /// Which side this wallet is.
        role: Role,
    },
    /// Too early for the refund. In the channel's unit.
    LocktimeNotReached {
        /// The channel.
        channel_id: String,
        /// When the refund is possible.
        locktime: u64,
        /// What the chain's clock, or its height, says.
        now: u64,
    },
    /// The channel was spent by somebody else, as by the receiver who closed it.
    AlreadySpent {
        /// The channel.
        channel_id: String,
        /// The transaction, where it is known.
        spent_by: Option<String>,
    },
    /// The channel has been put on chain; the operator cannot move it any more.
    Unrolled {
        /// The channel.
        channel_id: String,
    },
    /// The batch expired, and the money is in the operator's hands.
    Expired {
        /// The channel.
        channel_id: String,
        /// What this wallet had in it.
        amount: Sats,
    },
    /// The operator has signed and does not finish: nothing else can be done with these coins for now.
    FinalizeFailed {
        /// The transaction.
        txid: String,
        /// The operator's words.
        reason: String,
    },
    /// An answer was lost. Money is safe either way; `resume` finds out.
    OutcomeUnknown {
        /// The transaction.
        txid: String,
    },

    // Operator and chain.
    /// No connection to the operator. Paying and receiving go on without.
    OperatorUnreachable {
        /// Its address.
        url: String,
        /// Why not.
        reason: String,
    },
    /// The operator has taken the call and gives no answer.
    OperatorTimeout {
        /// The call, by its gRPC name.
        call: String,
        /// How long the answer was waited for.
        seconds: u64,
    },
    /// The operator said no: its own code, name and words.
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
    OperatorAnswer {
        /// What is wrong with it.
        reason: String,
    },
    /// The batch came to nothing, and nothing was spent: try again.
    BatchFailed {
        /// The operator's words.
        reason: String,
    },
    /// No connection to the Esplora server.
    ChainUnreachable {
        /// Its address.
        url: String,
        /// Why not.
        reason: String,
    },
    /// The Esplora server answered something that makes no sense.
    ChainAnswer {
        /// What is wrong with it.
        reason: String,
    },
    /// The Bitcoin network's words for why.
    TransactionRejected {
        /// The network's words.
        reason: String,
    },

    // Wallet and database.
    /// A typing mistake, or words of another list. The words themselves are not shown.
    InvalidMnemonic,
    /// An address in the configuration.
    InvalidUrl {
        /// The address.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The wallet was closed, by `shutdown` or by letting go of it.
    Closed,
    /// Between `release_database` and `reopen_database`: nothing is wrong; what was under way goes on with `resume`.
    DatabaseReleased,
    /// The file was made with another mnemonic, network or operator.
    OtherWallet {
        /// What is different.
        reason: String,
    },
    /// The backup was made with another mnemonic, network or operator.
    OtherBackup {
        /// What is different.
        what: String,
    },
    /// Some other file lies there; it stays as it is.
    NotADatabase,
    /// A newer version of the app has had the file.
    DatabaseNewer {
        /// The version of the file.
        found: i64,
        /// The newest version that is known here.
        known: i64,
    },
    /// The file is damaged.
    DatabaseCorrupt {
        /// What is damaged.
        what: String,
    },
    /// The disk is full; what was being stored is not, and nothing was handed out.
    DatabaseFull,
    /// The file, its folder or the disk cannot be written.
    DatabaseReadOnly,
    /// Another process holds the file: try again.
    DatabaseBusy,
    /// The file was moved or deleted, or the disk fails; nothing is paid that cannot be stored.
    DatabaseFailed {
        /// What failed.
        reason: String,
    },
    /// Maintenance took so long that it was not waited for any more; the next run shows what came of it.
    StillRunning {
        /// How long it was waited for.
        seconds: u64,
    },
    /// More in one call than it takes.
    TooMany {
        /// The most that are taken at once.
        limit: u64,
    },
    /// A bug. Please report it.
    Internal {
        /// Where.
        detail: String,
    },
}
