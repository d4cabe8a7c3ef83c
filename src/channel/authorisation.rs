//! What the payer signs once, so that the receiver can close without it.
//!
//! Three things on the forfeit leaf, each useless without the receiver's own signature: the checkpoint transaction; a
//! proof with which a receiver that crashed between submit and finalize fetches its pending transaction; and a proof
//! that evicts an intent with which the payer tries to lock the channel.

use bitcoin::secp256k1::schnorr;
use secp256k1::Keypair;

use super::intent::{Intent, IntentInput, IntentMessage};
use super::script::CheckpointScript;
use super::terms::leaf;
use super::transactions::CloseTemplate;
use super::{Channel, ChannelError, Unit, psbt};

/// The payer's signatures for one checkpoint script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Authorisation {
    pub script: CheckpointScript,
    pub checkpoint: schnorr::Signature,
    /// On both inputs of the get-pending-tx proof.
    pub pending: [schnorr::Signature; 2],
    /// On both inputs of the delete proof.
    pub delete: [schnorr::Signature; 2],
}

impl Authorisation {
    pub fn sign(channel: &Channel, script: CheckpointScript, payer: &Keypair) -> Result<Self, ChannelError> {
        let close = channel.close_template(script)?;
        let sign_both = |mut intent: Intent| -> Result<[schnorr::Signature; 2], ChannelError> {
            Ok([intent.sign_input(0, payer)?, intent.sign_input(1, payer)?])
        };
        Ok(Self {
            script,
            checkpoint: psbt::sign(&close.checkpoint.sighash()?, payer),
            pending: sign_both(pending_intent(channel)?)?,
            delete: sign_both(delete_intent(channel)?)?,
        })
    }

    /// Verifies all five signatures. Whether the script itself is acceptable is for [`CheckpointScript::check`].
    pub fn verify(&self, channel: &Channel, close: &CloseTemplate) -> Result<(), ChannelError> {
        let payer = &channel.terms.payer.key;
        if close.script != self.script {
            return Err(ChannelError::UnknownCheckpointScript { channel_id: channel.id });
        }
        if !psbt::verify(&close.checkpoint.sighash()?, payer, &self.checkpoint) {
            return Err(ChannelError::InvalidSignature { what: "authorisation: checkpoint signature" });
        }
        pending_intent(channel)?.verify_all(payer, &self.pending)?;
        delete_intent(channel)?.verify_all(payer, &self.delete)
    }

    /// The get-pending-tx proof with the receiver's signatures added.
    pub fn pending_proof(&self, channel: &Channel, receiver: &Keypair) -> Result<Intent, ChannelError> {
        complete(pending_intent(channel)?, channel, &self.pending, receiver)
    }

    /// The delete proof with the receiver's signatures added.
    pub fn delete_proof(&self, channel: &Channel, receiver: &Keypair) -> Result<Intent, ChannelError> {
        complete(delete_intent(channel)?, channel, &self.delete, receiver)
    }
}

fn complete(
    mut intent: Intent,
    channel: &Channel,
    payer: &[schnorr::Signature; 2],
    receiver: &Keypair,
) -> Result<Intent, ChannelError> {
    for (index, signature) in payer.iter().enumerate() {
        intent.add_signature(index, channel.terms.payer.key, *signature)?;
    }
    intent.sign_all(receiver)?;
    Ok(intent)
}

fn proof(channel: &Channel, message: &IntentMessage) -> Result<Intent, ChannelError> {
    let amount = channel.terms.capacity;
    let input = IntentInput::unlocked(channel.funding, amount, channel.tree().clone(), leaf::FORFEIT);
    Intent::new(message, &[input], Vec::new())
}

/// Never expires: a receiver may be away for long.
fn pending_intent(channel: &Channel) -> Result<Intent, ChannelError> {
    proof(channel, &IntentMessage::GetPendingTx { expire_at: 0 })
}

/// Expires with the locktime where that is a time: from then on the payer may use the VTXO again.
fn delete_intent(channel: &Channel) -> Result<Intent, ChannelError> {
    let locktime = channel.terms.locktime;
    let expire_at = match Unit::of(locktime) {
        Unit::Seconds => u64::from(locktime.to_consensus_u32()),
        Unit::Blocks => 0,
    };
    proof(channel, &IntentMessage::Delete { expire_at })
}
