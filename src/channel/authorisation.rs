//! What the payer signs once, so that the receiver can close without it.
//!
//! Three things on the forfeit leaf, each useless without the receiver's own signature: the checkpoint transaction
//! (with [`AuthorisationPolicy::OnClose`] only when the receiver asks for it); a proof with which a receiver that crashed between submit and finalize fetches its pending transaction; and a proof
//! that evicts an intent with which the payer tries to lock the channel.

use bitcoin::XOnlyPublicKey;
use bitcoin::secp256k1::schnorr;
use secp256k1::Keypair;

use super::intent::{Intent, IntentInput, IntentMessage};
use super::script::CheckpointScript;
use super::terms::leaf;
use super::transactions::CloseTemplate;
use super::{AuthorisationPolicy, Channel, ChannelError, Unit, psbt};

/// The payer's signatures for one checkpoint script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Authorisation {
    pub script: CheckpointScript,
    /// What lets the receiver close without the payer. With [`AuthorisationPolicy::OnClose`] it comes in a grant.
    pub checkpoint: Option<schnorr::Signature>,
    /// On both inputs of the get-pending-tx proof.
    pub pending: [schnorr::Signature; 2],
    /// On both inputs of the delete proof.
    pub delete: [schnorr::Signature; 2],
}

impl Authorisation {
    /// What goes along with payments.
    pub fn sign(channel: &Channel, script: CheckpointScript, payer: &Keypair) -> Result<Self, ChannelError> {
        let full = Self::grant(channel, script, payer)?;
        match channel.terms.authorisation {
            AuthorisationPolicy::AtOpen => Ok(full),
            AuthorisationPolicy::OnClose => Ok(Self { checkpoint: None, ..full }),
        }
    }

    /// With the checkpoint, whatever the policy: the receiver can close from then on.
    pub fn grant(channel: &Channel, script: CheckpointScript, payer: &Keypair) -> Result<Self, ChannelError> {
        let close = channel.close_template(script)?;
        let sign_both = |mut intent: Intent| -> Result<[schnorr::Signature; 2], ChannelError> {
            Ok([intent.sign_input(0, payer)?, intent.sign_input(1, payer)?])
        };
        Ok(Self {
            script,
            checkpoint: Some(psbt::sign(&close.checkpoint.sighash()?, payer)),
            pending: sign_both(pending_intent(channel)?)?,
            delete: sign_both(delete_intent(channel)?)?,
        })
    }

    /// Verifies all signatures; that of the checkpoint must be there unless the payer keeps it until the close. Whether the script itself is acceptable is for [`CheckpointScript::check`].
    pub fn verify(&self, channel: &Channel, close: &CloseTemplate) -> Result<(), ChannelError> {
        let payer = &channel.terms.payer.key;
        if close.script != self.script {
            return Err(ChannelError::UnknownCheckpointScript { channel_id: channel.id });
        }
        match (&self.checkpoint, channel.terms.authorisation) {
            (Some(signature), _) if !psbt::verify(&close.checkpoint.sighash()?, payer, signature) => {
                return Err(ChannelError::InvalidSignature { what: "authorisation: checkpoint signature" });
            }
            (None, AuthorisationPolicy::AtOpen) => {
                return Err(ChannelError::MissingAuthorisation { channel_id: channel.id });
            }
            _ => {}
        }
        pending_intent(channel)?.verify_all(payer, &self.pending)?;
        delete_intent(channel)?.verify_all(payer, &self.delete)
    }

    /// The get-pending-tx proof with the receiver's signatures added.
    pub fn pending_proof(&self, channel: &Channel, receiver: &Keypair) -> Result<Intent, ChannelError> {
        complete(pending_intent(channel)?, channel.terms.payer.key, &self.pending, receiver)
    }

    /// The delete proof with the receiver's signatures added.
    pub fn delete_proof(&self, channel: &Channel, receiver: &Keypair) -> Result<Intent, ChannelError> {
        complete(delete_intent(channel)?, channel.terms.payer.key, &self.delete, receiver)
    }
}

/// The other side's signatures, and our own.
pub(super) fn complete(
    mut intent: Intent,
    other: XOnlyPublicKey,
    signatures: &[schnorr::Signature; 2],
    own: &Keypair,
) -> Result<Intent, ChannelError> {
    for (index, signature) in signatures.iter().enumerate() {
        intent.add_signature(index, other, *signature)?;
    }
    intent.sign_all(own)?;
    Ok(intent)
}

fn proof(channel: &Channel, message: &IntentMessage) -> Result<Intent, ChannelError> {
    let amount = channel.terms.capacity;
    let input = IntentInput::unlocked(channel.funding, amount, channel.tree().clone(), leaf::FORFEIT);
    Intent::new(message, &[input], Vec::new())
}

/// Never expires: a receiver may be away for long.
pub(super) fn pending_intent(channel: &Channel) -> Result<Intent, ChannelError> {
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
