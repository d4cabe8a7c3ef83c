//! Releasing: the receiver signs a channel in which nothing was paid back to its payer.

use bitcoin::secp256k1::schnorr;
use secp256k1::Keypair;

use super::authorisation::{complete, pending_intent};
use super::intent::Intent;
use super::script::CheckpointScript;
use super::{Channel, ChannelError, psbt};

/// The receiver's signatures for one checkpoint script, all on the forfeit leaf: with them payer and operator give the
/// whole capacity back to the payer, before the locktime. They are good for no other transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Release {
    pub script: CheckpointScript,
    pub checkpoint: schnorr::Signature,
    /// On the ark transaction that pays everything to the payer.
    pub ark: schnorr::Signature,
    /// On both inputs of the get-pending-tx proof.
    pub pending: [schnorr::Signature; 2],
}

impl Release {
    pub fn sign(channel: &Channel, script: CheckpointScript, receiver: &Keypair) -> Result<Self, ChannelError> {
        let tx = channel.release(&script)?;
        let mut pending = pending_intent(channel)?;
        Ok(Self {
            script,
            checkpoint: psbt::sign(&tx.checkpoint(0)?.sighash()?, receiver),
            ark: psbt::sign(&tx.ark_sighash(0)?, receiver),
            pending: [pending.sign_input(0, receiver)?, pending.sign_input(1, receiver)?],
        })
    }

    /// Verifies all four signatures. Whether the script itself is acceptable is for [`CheckpointScript::check`].
    pub fn verify(&self, channel: &Channel) -> Result<(), ChannelError> {
        let tx = channel.release(&self.script)?;
        let receiver = &channel.terms.receiver.key;
        let refuse = |what| Err(ChannelError::InvalidSignature { what });
        if !psbt::verify(&tx.checkpoint(0)?.sighash()?, receiver, &self.checkpoint) {
            return refuse("release: checkpoint signature");
        }
        if !psbt::verify(&tx.ark_sighash(0)?, receiver, &self.ark) {
            return refuse("release: ark signature");
        }
        pending_intent(channel)?.verify_all(receiver, &self.pending)
    }

    /// The get-pending-tx proof with the payer's signatures added.
    pub fn pending_proof(&self, channel: &Channel, payer: &Keypair) -> Result<Intent, ChannelError> {
        complete(pending_intent(channel)?, channel.terms.receiver.key, &self.pending, payer)
    }
}
