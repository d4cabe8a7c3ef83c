//! Opening a channel: what both sides ask for, and what it would cost.

use bitcoin::Amount;
use bitcoin::hex::DisplayHex;

use super::{Sats, TimeUnit, WalletError};
use crate::channel::AuthorisationPolicy;
use crate::wallet;

/// What a receiver asks for. The defaults are what most want.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct InviteRequest {
    /// By default the least that the operator allows.
    #[uniffi(default = None)]
    pub min_capacity: Option<Sats>,
    /// By default whatever the operator allows.
    #[uniffi(default = None)]
    pub max_capacity: Option<Sats>,
    /// The least and the longest time from now to the refund locktime, in the operator's unit.
    #[uniffi(default = None)]
    pub min_lifetime: Option<u64>,
    /// See `min_lifetime`.
    #[uniffi(default = None)]
    pub max_lifetime: Option<u64>,
    /// A margin on the operator's exit delay: should it raise the delay later, closing still works.
    #[uniffi(default = 0)]
    pub delay_margin: u64,
    /// Take channels that are opened in a batch.
    #[uniffi(default = true)]
    pub batch_funding: bool,
    /// Take channels that are opened off chain: preconfirmed.
    #[uniffi(default = true)]
    pub offchain_funding: bool,
    /// Take channels whose payer gives what closing needs only when asked (`request_close`): without the payer such a
    /// channel can only be left on chain.
    #[uniffi(default = false)]
    pub on_close: bool,
    /// Shown to the payer, such as a name; not a secret.
    #[uniffi(default = None)]
    pub memo: Option<String>,
    /// How long the invite is good.
    #[uniffi(default = 86400)]
    pub valid_seconds: u64,
}

impl From<InviteRequest> for wallet::InviteRequest {
    fn from(request: InviteRequest) -> Self {
        let usual = Self::default();
        Self {
            min_capacity: request.min_capacity.map_or(usual.min_capacity, Amount::from),
            max_capacity: request.max_capacity.map(Amount::from),
            min_lifetime: request.min_lifetime.unwrap_or(usual.min_lifetime),
            max_lifetime: request.max_lifetime.unwrap_or(usual.max_lifetime),
            delay_margin: request.delay_margin,
            min_gap: None,
            batch_funding: request.batch_funding,
            offchain_funding: request.offchain_funding,
            on_close: request.on_close,
            memo: request.memo,
            valid_seconds: request.valid_seconds,
        }
    }
}

/// Where the money for a channel comes from.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Enum)]
pub enum FundingChoice {
    /// From VTXOs, in the next batch: final once the batch is confirmed.
    Batch,
    /// Straight from boarding coins, in the next batch.
    BatchFromBoarding,
    /// By an ark transaction, at once; the receiver may be offline. The channel is preconfirmed.
    Offchain,
    /// By the refund of a channel whose locktime has passed, straight into the new one: preconfirmed, and it expires with the
    /// old one. What the new channel does not take comes back.
    Refund {
        /// The channel that is refunded.
        channel_id: String,
    },
}

impl TryFrom<FundingChoice> for wallet::FundingChoice {
    type Error = WalletError;

    fn try_from(choice: FundingChoice) -> Result<Self, WalletError> {
        Ok(match choice {
            FundingChoice::Batch => Self::Batch,
            FundingChoice::BatchFromBoarding => Self::BatchFromBoarding,
            FundingChoice::Offchain => Self::Offchain,
            FundingChoice::Refund { channel_id } => Self::Refund(channel_id.parse()?),
        })
    }
}

/// What a payer wants.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct ProposeRequest {
    /// The most that can ever be paid in the channel.
    pub capacity: Sats,
    /// Where the money comes from.
    pub funding: FundingChoice,
    /// From now to the refund locktime, in the operator's unit; by default as long as the batch allows.
    #[uniffi(default = None)]
    pub lifetime: Option<u64>,
    /// Added to the least delay the invite asks for, in the operator's unit.
    #[uniffi(default = 0)]
    pub delay_margin: u64,
    /// Give the receiver what closing needs only when it asks (`request_close`): until then nobody but this wallet can begin
    /// to spend the channel. The invite must take it.
    #[uniffi(default = false)]
    pub on_close: bool,
}

impl TryFrom<ProposeRequest> for wallet::ProposeRequest {
    type Error = WalletError;

    fn try_from(request: ProposeRequest) -> Result<Self, WalletError> {
        Ok(Self {
            capacity: request.capacity.into(),
            funding: request.funding.try_into()?,
            lifetime: request.lifetime,
            delay_margin: request.delay_margin,
            authorisation: if request.on_close { AuthorisationPolicy::OnClose } else { AuthorisationPolicy::AtOpen },
        })
    }
}

/// An offer for the receiver.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Proposal {
    /// For the receiver, by any transport.
    pub offer: String,
    /// For `cancel_proposal`.
    pub offer_id: String,
    /// What the operator takes.
    pub fee: Sats,
    /// For off-chain funding: the channel exists already.
    pub channel_id: Option<String>,
}

impl Proposal {
    pub(super) fn of(proposal: &wallet::Proposal) -> Result<Self, WalletError> {
        Ok(Self {
            offer: proposal.offer.to_text()?,
            offer_id: proposal.offer.id().to_lower_hex_string(),
            fee: proposal.fee.into(),
            channel_id: proposal.channel_id.map(|id| id.to_string()),
        })
    }
}

/// What accepting an offer came to.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Enum)]
pub enum Acceptance {
    /// Hand the text to the payer at once; co-signing goes on in the background until `valid_until` (unix seconds).
    Accepted {
        /// The answer for the payer, as text.
        accept: String,
        /// When it ends, in unix seconds.
        valid_until: u64,
    },
    /// The channel was funded off chain, has been verified, and is open.
    Open {
        /// The channel.
        channel_id: String,
    },
}

impl Acceptance {
    pub(super) fn of(acceptance: &wallet::Acceptance) -> Result<Self, WalletError> {
        Ok(match acceptance {
            wallet::Acceptance::Accepted(accept) => {
                Self::Accepted { accept: accept.to_text()?, valid_until: accept.valid_until }
            }
            wallet::Acceptance::Open(id) => Self::Open { channel_id: id.to_string() },
        })
    }
}

/// Figures for a decision. Moments are in `unit`.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Quote {
    /// What its moments are counted in.
    pub unit: TimeUnit,
    /// What the operator takes.
    pub fee: Sats,
    /// What leaves the wallet, without the fee.
    pub amount: Sats,
    /// The least and the most that are possible here.
    pub minimum: Sats,
    /// See `minimum`.
    pub maximum: Sats,
    /// For a channel: from then on the payer can refund.
    pub locktime: Option<u64>,
    /// For a channel: until then it takes payments.
    pub close_by: Option<u64>,
    /// Who must be trusted, in plain words.
    pub trust: Vec<String>,
}

impl From<wallet::Quote> for Quote {
    fn from(quote: wallet::Quote) -> Self {
        Self {
            unit: quote.unit.into(),
            fee: quote.fee.into(),
            amount: quote.amount.into(),
            minimum: quote.minimum.into(),
            maximum: quote.maximum.into(),
            locktime: quote.locktime,
            close_by: quote.close_by,
            trust: quote.trust.into_iter().map(str::to_owned).collect(),
        }
    }
}
