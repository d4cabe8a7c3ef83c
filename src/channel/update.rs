//! A payment: the new split, signed twice.

use bitcoin::Amount;
use bitcoin::Transaction;
use bitcoin::secp256k1::schnorr;
use secp256k1::Keypair;

use super::transactions::{CloseTemplate, set_witness};
use super::{Channel, ChannelError, ChannelId, psbt};

/// The state of a channel as the payer signed it. `amount` is cumulative and the only ordering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChannelUpdate {
    pub channel_id: ChannelId,
    /// The amount the payer built on. Not signed: a hint that lets the receiver notice a payer who forgot something.
    pub previous: Amount,
    /// All that has been paid so far.
    pub amount: Amount,
    /// For the cooperative close, through the operator.
    pub ark_signature: schnorr::Signature,
    /// For the way on chain, without anybody.
    pub exit_signature: schnorr::Signature,
}

impl ChannelUpdate {
    /// Signs `amount`, which must have been checked against the limits.
    pub fn sign(channel: &Channel, close: &CloseTemplate, payer: &Keypair, previous: Amount, amount: Amount) -> Self {
        Self {
            channel_id: channel.id,
            previous,
            amount,
            ark_signature: psbt::sign(&close.ark.message(amount), payer),
            exit_signature: psbt::sign(&channel.exit_sighash().message(amount), payer),
        }
    }

    /// Whether the update is for `channel` and within its capacity.
    pub fn check_channel(&self, channel: &Channel) -> Result<(), ChannelError> {
        if self.channel_id != channel.id {
            return Err(ChannelError::OtherChannel { expected: channel.id.into(), got: self.channel_id.into() });
        }
        let capacity = channel.terms.capacity;
        if self.amount > capacity {
            return Err(ChannelError::OverCapacity { amount: self.amount, capacity });
        }
        Ok(())
    }

    /// Whether the exit signature is the payer's. It does not depend on the operator's settings, so it is what a
    /// payer recognises its own updates by.
    pub fn verify_exit(&self, channel: &Channel) -> Result<(), ChannelError> {
        self.check_channel(channel)?;
        let message = channel.exit_sighash().message(self.amount);
        if psbt::verify(&message, &channel.terms.payer.key, &self.exit_signature) {
            Ok(())
        } else {
            Err(ChannelError::InvalidSignature { what: "exit signature" })
        }
    }

    /// Whether the ark signature is the payer's for the ark transaction over `close`.
    pub fn ark_fits(&self, channel: &Channel, close: &CloseTemplate) -> bool {
        psbt::verify(&close.ark.message(self.amount), &channel.terms.payer.key, &self.ark_signature)
    }

    /// Verifies both signatures; the ark signature must fit one of `closes` (newest first), and the answer is which.
    pub fn verify(&self, channel: &Channel, closes: &[&CloseTemplate]) -> Result<usize, ChannelError> {
        self.verify_exit(channel)?;
        closes
            .iter()
            .position(|close| self.ark_fits(channel, close))
            .ok_or(ChannelError::UnknownCheckpointScript { channel_id: self.channel_id })
    }

    /// The exit update with both signatures: ready to broadcast d1 after the funding output.
    pub fn exit_transaction(&self, channel: &Channel, receiver: &Keypair) -> Result<Transaction, ChannelError> {
        let mut tx = channel.exit_update(self.amount)?;
        let leaf = channel.update_leaf()?;
        let own = psbt::sign(&channel.exit_sighash().message(self.amount), receiver);
        set_witness(&mut tx, psbt::witness(&leaf, &[self.exit_signature, own]));
        Ok(tx)
    }
}
