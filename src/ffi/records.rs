//! Plain data: configuration, balances, channels, payments. No secret is ever in a record.

use bitcoin::Amount;

use super::{Sats, WalletError};
use crate::channel;
use crate::store;
use crate::wallet;

/// A Bitcoin network. Mutinynet is a signet with blocks every 30 seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum Network {
    /// Real money.
    Bitcoin,
    /// Testnet 3.
    Testnet,
    /// The default signet.
    Signet,
    /// A signet with blocks every 30 seconds.
    Mutinynet,
    /// A chain of one's own, for tests.
    Regtest,
}

impl From<Network> for channel::Network {
    fn from(network: Network) -> Self {
        match network {
            Network::Bitcoin => Self::Bitcoin,
            Network::Testnet => Self::Testnet,
            Network::Signet => Self::Signet,
            Network::Mutinynet => Self::Mutinynet,
            Network::Regtest => Self::Regtest,
        }
    }
}

/// How a wallet is set up.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct WalletConfig {
    /// The SQLite file; created where it does not exist.
    pub database_path: String,
    /// All addresses, keys and messages are for it.
    pub network: Network,
    /// arkd's gRPC address: `https://…`, or `http://…` on regtest.
    pub operator_url: String,
    /// An Esplora API.
    pub esplora_url: String,
    /// Confirmations that make a channel open and a VTXO settled; by default 2, on regtest 1.
    #[uniffi(default = None)]
    pub confirmations: Option<u32>,
    /// The largest preconfirmed channel taken as receiver; by default 100 000.
    #[uniffi(default = None)]
    pub max_preconfirmed: Option<Sats>,
    /// As receiver: how long after the last look at the chain new money is still taken. By default a quarter of d2.
    #[uniffi(default = None)]
    pub max_blind_seconds: Option<u64>,
    /// A proxy for operator and chain server: `socks5://host:port`, which looks up their names (Tor), or
    /// `http://host:port` (CONNECT). With one nothing goes around it. Without a name and password.
    #[uniffi(default = None)]
    pub proxy: Option<String>,
}

impl From<WalletConfig> for wallet::WalletConfig {
    fn from(config: WalletConfig) -> Self {
        let network = config.network.into();
        let mut full = Self::new(config.database_path, network, config.operator_url, config.esplora_url);
        full.confirmations = config.confirmations.unwrap_or(full.confirmations);
        full.max_preconfirmed = config.max_preconfirmed.map_or(full.max_preconfirmed, Amount::from);
        full.max_blind_seconds = config.max_blind_seconds;
        full.proxy = config.proxy;
        full
    }
}

/// Money by kind. Nothing is counted twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Record)]
pub struct Balance {
    /// On chain at boarding addresses, confirmed: settle it.
    pub boarding: Sats,
    /// On chain at boarding addresses, not confirmed yet.
    pub boarding_unconfirmed: Sats,
    /// VTXOs in a batch whose commitment transaction is confirmed.
    pub settled: Sats,
    /// VTXOs made off chain, or in a batch that is not confirmed yet.
    pub preconfirmed: Sats,
    /// Expired VTXOs: settling brings them back.
    pub recoverable: Sats,
    /// Held by something under way.
    pub pending: Sats,
    /// As payer: what has not been paid in channels that have not ended.
    pub in_channels: Sats,
    /// As receiver: what has been paid to us in channels that are not closed.
    pub receivable: Sats,
    /// All of it.
    pub total: Sats,
}

impl From<wallet::Balance> for Balance {
    fn from(balance: wallet::Balance) -> Self {
        Self {
            boarding: balance.boarding.into(),
            boarding_unconfirmed: balance.boarding_unconfirmed.into(),
            settled: balance.settled.into(),
            preconfirmed: balance.preconfirmed.into(),
            recoverable: balance.recoverable.into(),
            pending: balance.pending.into(),
            in_channels: balance.in_channels.into(),
            receivable: balance.receivable.into(),
            total: balance.total().into(),
        }
    }
}

/// The balance that was last seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Record)]
pub struct LastBalance {
    /// What the wallet held then.
    pub balance: Balance,
    /// When, in unix seconds; the same amounts may have been seen again up to ten minutes later.
    pub at: u64,
}

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
    /// As receiver: until when payments are taken without another look at the chain (unix seconds).
    pub takes_money_until: Option<u64>,
    /// Transactions that a unilateral exit must confirm one after the other.
    pub levels: u32,
    /// What a unilateral exit puts on chain, in virtual bytes.
    pub exit_vbytes: u64,
    /// How long that takes at least, beside the delays in the terms.
    pub exit_time: u64,
    /// As receiver: by then the chain must have been looked at again (unix seconds).
    pub watch_by: Option<u64>,
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
            takes_money_until: info.takes_money_until,
            levels: info.levels,
            exit_vbytes: info.exit_vbytes,
            exit_time: info.exit_time,
            watch_by: info.watch_by,
            acknowledged: info.acknowledged,
            result_txid: info.result.map(|txid| txid.to_string()),
            created_at: info.created_at,
        }
    }
}

/// A payment, durable and ready to be handed over.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Payment {
    /// The channel it is in.
    pub channel_id: String,
    /// All that has been paid in the channel.
    pub amount: Sats,
    /// What can still be paid.
    pub remaining: Sats,
    /// For the receiver, by any transport; in upper case it makes the smallest QR code.
    pub text: String,
    /// Whether this payment id had been paid before: nothing was added.
    pub repeated: bool,
}

impl Payment {
    pub(super) fn of(payment: &wallet::Payment) -> Result<Self, WalletError> {
        Ok(Self {
            channel_id: payment.channel_id.to_string(),
            amount: payment.amount.into(),
            remaining: payment.remaining.into(),
            text: payment.message.to_text()?,
            repeated: payment.repeated,
        })
    }
}

/// A payment that was taken.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Received {
    /// The channel it is in.
    pub channel_id: String,
    /// All that has been received in the channel.
    pub amount: Sats,
    /// What this payment added: zero for one that was seen before.
    pub increase: Sats,
    /// As the payer wrote it; not authenticated.
    pub memo: Option<String>,
}

impl From<wallet::Received> for Received {
    fn from(received: wallet::Received) -> Self {
        Self {
            channel_id: received.channel_id.to_string(),
            amount: received.amount.into(),
            increase: received.increase.into(),
            memo: received.memo,
        }
    }
}

/// What became of one of many payments: taken, or refused and why.
#[derive(Debug, uniffi::Enum)]
pub enum ReceiveResult {
    /// Verified and stored.
    Taken {
        /// What came in.
        received: Received,
    },
    /// Not taken.
    Refused {
        /// Why not.
        error: WalletError,
    },
}

impl ReceiveResult {
    pub(super) fn of(result: Result<Received, WalletError>) -> Self {
        match result {
            Ok(received) => Self::Taken { received },
            Err(error) => Self::Refused { error },
        }
    }
}

/// What a batch made of the wallet's coins.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Settlement {
    /// The batch's transaction on chain.
    pub commitment_txid: String,
    /// In the new VTXO, or paid on chain.
    pub amount: Sats,
    /// What the operator took.
    pub fee: Sats,
}

impl From<wallet::Settlement> for Settlement {
    fn from(settlement: wallet::Settlement) -> Self {
        Self {
            commitment_txid: settlement.commitment_txid.to_string(),
            amount: settlement.amount.into(),
            fee: settlement.fee.into(),
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

/// What resuming came to.
#[derive(Debug, uniffi::Record)]
pub struct ResumeReport {
    /// Flows that are still under way.
    pub left: u64,
    /// Those that failed, or could not be gone on with now.
    pub errors: Vec<WalletError>,
}

/// What a scanned text is.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Enum)]
pub enum Parsed {
    /// Answer it with [`Wallet::propose`](super::Wallet).
    Invite {
        /// The receiver's words, if there are any.
        memo: Option<String>,
        /// The smallest channel that the receiver takes.
        min_capacity: Sats,
        /// The largest channel that the receiver takes.
        max_capacity: Sats,
        /// When it ends, in unix seconds.
        expires_at: u64,
    },
    /// Answer it with `accept`.
    Offer {
        /// The offer.
        offer_id: String,
        /// What the channel can carry in all.
        capacity: Sats,
    },
    /// Answer it with `open_channel`.
    Accept {
        /// The offer.
        offer_id: String,
        /// When it ends, in unix seconds.
        valid_until: u64,
    },
    /// Take it with `receive`.
    Payment {
        /// The channel.
        channel_id: String,
        /// The total that the payment comes to.
        amount: Sats,
        /// The payer's words, if there are any.
        memo: Option<String>,
    },
    /// Check it with `acknowledge`.
    Receipt {
        /// The channel.
        channel_id: String,
        /// What the receiver has received in all.
        amount: Sats,
    },
    /// The other side asks to end the channel together now.
    CloseRequest {
        /// The channel.
        channel_id: String,
    },
    /// The other side's answer to a close request.
    CloseGrant {
        /// The channel.
        channel_id: String,
    },
    /// Pay it with `send`.
    ArkAddress {
        /// The address.
        address: String,
    },
    /// Pay it with `withdraw`.
    ChainAddress {
        /// The address.
        address: String,
    },
}

impl From<wallet::Parsed> for Parsed {
    fn from(parsed: wallet::Parsed) -> Self {
        use bitcoin::hex::DisplayHex;
        use channel::message::Message;
        let message = match parsed {
            wallet::Parsed::ArkAddress(address) => return Self::ArkAddress { address },
            wallet::Parsed::ChainAddress(address) => return Self::ChainAddress { address },
            wallet::Parsed::Message(message) => message,
        };
        match *message {
            Message::Invite(invite) => Self::Invite {
                memo: invite.memo,
                min_capacity: invite.bounds.min_capacity.into(),
                max_capacity: invite.bounds.max_capacity.into(),
                expires_at: invite.expires_at,
            },
            Message::Offer(offer) => {
                Self::Offer { offer_id: offer.id().to_lower_hex_string(), capacity: offer.terms.capacity.into() }
            }
            Message::Accept(accept) => {
                Self::Accept { offer_id: accept.offer_id.to_lower_hex_string(), valid_until: accept.valid_until }
            }
            Message::Update(update) => Self::Payment {
                channel_id: update.update.channel_id.to_string(),
                amount: update.update.amount.into(),
                memo: update.memo,
            },
            Message::Receipt(receipt) => {
                Self::Receipt { channel_id: receipt.channel_id.to_string(), amount: receipt.amount.into() }
            }
            Message::CloseRequest(request) => Self::CloseRequest { channel_id: request.channel_id.to_string() },
            Message::CloseGrant(grant) => Self::CloseGrant { channel_id: grant.channel_id.to_string() },
        }
    }
}
