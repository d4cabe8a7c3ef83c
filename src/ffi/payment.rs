//! Payments, on both sides.

use super::{Sats, WalletError};
use crate::wallet;

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
    ///
    /// The first payment of a receiver that was restored (`awaits_update` until then) counts whatever the deadlines say: it
    /// is what had been paid before. Hand over nothing new for it: a payer might make it after its locktime, and take the
    /// money back.
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
