//! What a scanned text is.

use super::Sats;
use crate::channel::message::Message;
use crate::wallet;

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
    /// The other side asks to end the channel now. Answer it with `grant_close`, once the user agrees.
    CloseRequest {
        /// The channel.
        channel_id: String,
    },
    /// What the other side grants to end the channel. Take it with `close_with`.
    CloseGrant {
        /// The channel.
        channel_id: String,
    },
    /// A static backup of this wallet. Give it to [`restore_wallet`](super::restore_wallet) with a new file; one of another
    /// wallet is refused with `OtherBackup`.
    Backup {
        /// When it was made, in unix seconds.
        made_at: u64,
        /// How many channels are in it.
        channels: u64,
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
        let message = match parsed {
            wallet::Parsed::Backup { made_at, channels } => return Self::Backup { made_at, channels: channels as u64 },
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
