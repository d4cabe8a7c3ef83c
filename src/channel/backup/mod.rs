//! The static backup: what a wallet cannot find again from its mnemonic, exported once after an opening.
//!
//! It holds what never changes about channels (terms, outpoint, key index, signed branch, the payer's Authorisation) and
//! where the wallet's own coins are (scripts by key index, branches). Payments are not in it, so none is owed after a
//! payment, and it never becomes stale. It holds no secret key, but says who is paid where: it travels encrypted
//! ([`seal`]).
//!
//! # What is lost with a phone, and what brings it back
//!
//! | restored from | receiver | payer |
//! |---|---|---|
//! | mnemonic and backup | has the channel; the latest update comes from the payer, which keeps it and sends it again. Until then nothing can be closed. A payer that will not send it, or sends an older one, decides what the receiver gets | has the channel; pays nothing until the receiver has shown its latest update, which the payer knows by its own exit signature. Refund and unilateral exit need no update |
//! | mnemonic alone | finds coins; a channel comes back when the other side describes it, and with it the latest update | the same |
//!
//! What a restored payer signs can never lower what the receiver holds: only a higher amount replaces an update. Payment
//! ids are forgotten: an id that was paid before the loss would be paid once more.

mod codec;
mod seal;

use bitcoin::{OutPoint, Txid, XOnlyPublicKey};

use super::branch::Branch;
use super::{Authorisation, ChannelError, ChannelTerms, Delay, Network, Offer, OperatorInfo};

pub use codec::{MAX_CHANNELS, MAX_SCRIPTS};
pub use seal::{MAX_BYTES, MAX_TEXT, PREFIX, SALT, open, seal};

/// Everything a backup holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaticBackup {
    pub network: Network,
    /// The operator as it was last seen, so that a wallet can be restored while it is away or gone.
    pub info: OperatorInfo,
    /// The operator's signer key when the wallet was made.
    pub operator: XOnlyPublicKey,
    /// Unix seconds.
    pub made_at: u64,
    /// No key index from here on has been given out.
    pub next_key_index: u32,
    /// Whether all scripts and channels are in it.
    pub whole: bool,
    /// How long the operator's batches live, where one was seen.
    pub batch_expiry: Option<Delay>,
    pub scripts: Vec<BackupScript>,
    pub channels: Vec<ChannelBackup>,
    /// Offers of channels that were being opened: whether they came to be shows the operator's books.
    pub openings: Vec<Offer>,
    /// The wallet's own VTXOs with their branches.
    pub branches: Vec<(OutPoint, Branch)>,
}

/// What kind of output an own script makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScriptUse {
    Vtxo,
    Boarding,
    /// BIP86, on chain.
    Chain,
}

/// An own script, by what it is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackupScript {
    pub script_use: ScriptUse,
    pub key_index: u32,
    pub operator: XOnlyPublicKey,
    /// None on chain.
    pub delay: Option<Delay>,
}

/// What never changes about a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelBackup {
    /// Payer or receiver.
    pub is_payer: bool,
    /// Funded off chain: preconfirmed.
    pub is_offchain: bool,
    /// Whether its commitment transaction was deep enough.
    pub was_confirmed: bool,
    pub terms: ChannelTerms,
    pub funding: OutPoint,
    /// The index of this side's keys.
    pub key_index: u32,
    /// The commitment transactions its branch hangs on.
    pub commitments: Vec<Txid>,
    pub batch_expiry: Delay,
    /// A height or unix seconds, in the unit of the terms.
    pub expiry: u64,
    /// By the operator's clock, unix seconds.
    pub expires_at: u64,
    pub levels: u32,
    /// Unix seconds.
    pub created_at: u64,
    /// What lets the receiver close alone.
    pub authorisation: Option<Authorisation>,
    /// Empty where it was not stored.
    pub branch: Branch,
}

impl StaticBackup {
    /// The bytes that [`seal`] encrypts. [`ChannelError::TooLarge`] above [`MAX_BYTES`].
    pub fn encode(&self) -> Result<Vec<u8>, ChannelError> {
        codec::encode(self)
    }

    /// Reads [`StaticBackup::encode`] back. Takes no more memory than a few times what the bytes take.
    pub fn decode(bytes: &[u8]) -> Result<Self, ChannelError> {
        codec::decode(bytes)
    }
}
