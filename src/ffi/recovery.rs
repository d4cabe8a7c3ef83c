//! Backups, and a wallet made again from its words.

use std::sync::Arc;

use super::clock::Clock;
use super::onchain::OnchainBalance;
use super::setup::Setup;
use super::{Sats, Wallet, WalletConfig, WalletError};
use crate::channel::ChannelId;
use crate::channel::message::Offer;
use crate::wallet;

/// A wallet made again, and what was found.
#[derive(uniffi::Record)]
pub struct Restored {
    /// The wallet, open.
    pub wallet: Arc<Wallet>,
    /// What was found.
    pub report: RestoreReport,
}

/// What a restore came to.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct RestoreReport {
    /// VTXOs that can be spent, or recovered in a batch.
    pub vtxos: Vec<FoundCoin>,
    /// Coins at boarding addresses.
    pub boarding: Vec<FoundCoin>,
    /// What the on-chain wallet holds: coins for fees, and what exits and withdrawals to oneself brought.
    pub onchain: OnchainBalance,
    /// Channels out of the backup, also those that turned out to have ended.
    pub channels: Vec<String>,
    /// VTXOs of this wallet and channels that are on chain and have not been claimed, as `txid:index`.
    pub exits: Vec<String>,
    /// What could not be done, or not be known.
    pub warnings: Vec<RestoreWarning>,
}

/// A coin that was found.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct FoundCoin {
    /// As `txid:index`.
    pub outpoint: String,
    /// What it is worth.
    pub amount: Sats,
}

/// What a restore could not do. Restoring again, or going on with the wallet, does it later.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Enum)]
pub enum RestoreWarning {
    /// Without a backup channels are not found.
    NoBackup,
    /// The operator did not answer: VTXOs were not looked for. Restore again when it does.
    OperatorAway {
        /// What happened.
        reason: String,
    },
    /// The chain server did not answer: coins on chain were not looked for. Restore again when it does.
    ChainAway {
        /// What happened.
        reason: String,
    },
    /// More keys are in use than were looked at.
    TooManyKeys {
        /// The index up to which keys were looked at.
        index: u32,
    },
    /// This channel could not be looked at.
    ChannelNotSeen {
        /// Which one.
        channel_id: String,
        /// What happened.
        reason: String,
    },
    /// The branch of this VTXO could not be had: without the operator it cannot be taken on chain.
    BranchMissing {
        /// The VTXO, as `txid:index`.
        outpoint: String,
        /// What happened.
        reason: String,
    },
    /// A channel that was being opened when the backup was made could not be taken over yet: restore again once its batch
    /// is confirmed.
    OpeningNotSeen {
        /// The offer it was opened by.
        offer_id: String,
        /// What happened.
        reason: String,
    },
    /// This channel's VTXO was spent, and not known by whom: what became of it is to be seen.
    ChannelSpent {
        /// Which one.
        channel_id: String,
    },
}

impl From<wallet::FoundCoin> for FoundCoin {
    fn from(coin: wallet::FoundCoin) -> Self {
        Self { outpoint: coin.outpoint.to_string(), amount: coin.amount.into() }
    }
}

impl From<wallet::RestoreReport> for RestoreReport {
    fn from(report: wallet::RestoreReport) -> Self {
        let coins = |coins: Vec<wallet::FoundCoin>| coins.into_iter().map(FoundCoin::from).collect();
        Self {
            vtxos: coins(report.vtxos),
            boarding: coins(report.boarding),
            onchain: report.onchain.into(),
            channels: report.channels.iter().map(ChannelId::to_string).collect(),
            exits: report.exits.iter().map(ToString::to_string).collect(),
            warnings: report.warnings.into_iter().map(RestoreWarning::from).collect(),
        }
    }
}

impl From<wallet::RestoreWarning> for RestoreWarning {
    fn from(warning: wallet::RestoreWarning) -> Self {
        use wallet::RestoreWarning as W;
        match warning {
            W::NoBackup => Self::NoBackup,
            W::OperatorAway { why } => Self::OperatorAway { reason: why },
            W::ChainAway { why } => Self::ChainAway { reason: why },
            W::TooManyKeys { index } => Self::TooManyKeys { index },
            W::ChannelNotSeen { channel_id, why } => {
                Self::ChannelNotSeen { channel_id: channel_id.to_string(), reason: why }
            }
            W::BranchMissing { outpoint, why } => Self::BranchMissing { outpoint: outpoint.to_string(), reason: why },
            W::OpeningNotSeen { offer_id, why } => Self::OpeningNotSeen { offer_id, reason: why },
            W::ChannelSpent { channel_id } => Self::ChannelSpent { channel_id: channel_id.to_string() },
        }
    }
}

/// Makes the database of a wallet again from its words: finds VTXOs by the operator's books, coins on chain, and exits under
/// way, finalizes a payment of own coins that was interrupted, and gives out no key again that may be in use. With the text
/// of [`Wallet::backup`] also the channels, and then without the operator, too.
///
/// A channel that comes back this way waits for its latest payment: as payer it pays only after the receiver's latest
/// update was shown to [`Wallet::catch_up`] (or [`Wallet::pay_from_zero`]); as receiver it gets the latest update from
/// the payer again, which counts whatever the deadlines say: it is what had been paid before, and pays for nothing new.
/// The words alone need the operator. A restore that was interrupted, or warns of a server that was away, is called again
/// on the same file: it adds what is missing and takes nothing away.
#[uniffi::export(default(backup = None, clock = None))]
pub async fn restore_wallet(
    config: WalletConfig,
    mnemonic: String,
    backup: Option<String>,
    clock: Option<Arc<dyn Clock>>,
) -> Result<Restored, WalletError> {
    let mnemonic = zeroize::Zeroizing::new(mnemonic);
    let Setup { config, clock, runtime } = Setup::new(config, clock).await?;
    let restoring = async move { Ok(Box::pin(wallet::Wallet::restore(config, &mnemonic, backup.as_deref())).await?) };
    let (inner, report) = runtime.run("restore", Box::pin(restoring)).await?;
    Ok(Restored { wallet: Arc::new(Wallet { inner, clock, runtime }), report: report.into() })
}

#[uniffi::export]
impl Wallet {
    /// The static backup of the wallet as text, encrypted with a key from the mnemonic: all channels that have not ended,
    /// and what leads to the wallet's own coins without the operator. To be stored somewhere else after every opening;
    /// payments do not change it. About 3 kB for the first channel, 1 to 2 for each more.
    ///
    /// Of a damaged file everything is saved that can be read, and the log says what is left out: an older backup may have
    /// it. Two are restored one after the other, into the same file. What would not fit into 8 MiB, thousands of channels, is
    /// an error: each channel has a backup of its own then ([`Wallet::channel_backup`]).
    pub async fn backup(&self) -> Result<String, WalletError> {
        self.local(|wallet| Ok(wallet.backup()?)).await
    }

    /// The static backup of one channel. [`restore_wallet`] takes it in place of the whole.
    pub async fn channel_backup(&self, channel_id: String) -> Result<String, WalletError> {
        let id: ChannelId = channel_id.parse()?;
        self.local(move |wallet| Ok(wallet.channel_backup(&id)?)).await
    }

    /// As payer of a channel that came out of a backup: the receiver says that it was never paid anything in it, so
    /// payments begin at zero. Should the receiver have an update all the same, it refuses the first payment and shows
    /// it; what it can claim does not change either way.
    pub async fn pay_from_zero(&self, channel_id: String) -> Result<(), WalletError> {
        let id: ChannelId = channel_id.parse()?;
        self.local(move |wallet| Ok(wallet.pay_from_zero(&id)?)).await
    }

    /// The channel in a text, for the other side of it that has lost its file: all that [`Wallet::recover_channel`] needs,
    /// beside the latest payment. No network.
    pub async fn describe_channel(&self, channel_id: String) -> Result<String, WalletError> {
        let id: ChannelId = channel_id.parse()?;
        self.local(move |wallet| Ok(wallet.describe_channel(&id)?.to_text()?)).await
    }

    /// Takes back a channel that the other side describes ([`Wallet::describe_channel`]); answers its id. Nothing of the
    /// description is believed: the keys in it must be this wallet's, and the VTXO is verified. It goes on as one out of
    /// a backup does.
    pub async fn recover_channel(&self, description: String) -> Result<String, WalletError> {
        let offer = Offer::parse(&description)?;
        self.flow("recover_channel", move |wallet| async move { Ok(wallet.recover_channel(&offer).await?.to_string()) })
            .await
    }
}
