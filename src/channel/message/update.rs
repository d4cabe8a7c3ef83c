//! The payment as it travels: the update, the authorisation until it is acknowledged, a memo.

use bitcoin::Amount;

use super::{check_memo, decode, encode, text_form, wire};
use crate::channel::script::CheckpointScript;
use crate::channel::{Authorisation, ChannelError, ChannelId, ChannelUpdate};

/// A payment handed over. As text it has less than 300 characters without Authorisation and memo, as long as no more
/// than 343 BTC are in the channel (and 306 with all the bitcoin there are).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateMessage {
    pub update: ChannelUpdate,
    pub authorisation: Option<Authorisation>,
    /// For display. Not authenticated.
    pub memo: Option<String>,
}

impl UpdateMessage {
    pub(super) fn encode(&self) -> Vec<u8> {
        let update = &self.update;
        let mut signatures = update.ark_signature.as_ref().to_vec();
        signatures.extend(update.exit_signature.as_ref());
        encode(&wire::Update {
            version: wire::VERSION,
            channel_id: update.channel_id.0.to_vec(),
            previous: update.previous.to_sat(),
            amount: update.amount.to_sat(),
            signatures,
            authorisation: self.authorisation.as_ref().map(authorisation_to_wire),
            memo: self.memo.clone().unwrap_or_default(),
        })
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, ChannelError> {
        let wire: wire::Update = decode(bytes, "payment")?;
        let [ark_signature, exit_signature] = wire::signatures(&wire.signatures, "payment: signatures")?;
        let (previous, amount) = (Amount::from_sat(wire.previous), Amount::from_sat(wire.amount));
        if amount > Amount::MAX_MONEY || previous > Amount::MAX_MONEY {
            return Err(ChannelError::Malformed { what: "payment: amount" });
        }
        let channel_id = ChannelId::from_slice(&wire.channel_id)?;
        let update = ChannelUpdate { channel_id, previous, amount, ark_signature, exit_signature };
        let authorisation = wire.authorisation.as_ref().map(authorisation_from_wire).transpose()?;
        Ok(Self { update, authorisation, memo: check_memo(wire.memo)? })
    }
}

pub(super) fn authorisation_to_wire(authorisation: &Authorisation) -> wire::Authorisation {
    let mut signatures = Vec::with_capacity(5 * 64);
    let proofs = authorisation.pending.iter().chain(&authorisation.delete);
    for signature in authorisation.checkpoint.iter().chain(proofs) {
        signatures.extend(signature.as_ref());
    }
    wire::Authorisation {
        delay: authorisation.script.delay.sequence().to_consensus_u32(),
        key: authorisation.script.key.serialize().to_vec(),
        signatures,
    }
}

pub(super) fn authorisation_from_wire(wire: &wire::Authorisation) -> Result<Authorisation, ChannelError> {
    const WHAT: &str = "authorisation: signatures";
    let (checkpoint, proofs) = match wire.signatures.split_at_checked(64) {
        Some((first, rest)) if wire.signatures.len() == 5 * 64 => {
            let [checkpoint] = wire::signatures(first, WHAT)?;
            (Some(checkpoint), rest)
        }
        _ => (None, wire.signatures.as_slice()),
    };
    let [pending0, pending1, delete0, delete1] = wire::signatures(proofs, WHAT)?;
    Ok(Authorisation {
        script: CheckpointScript { delay: wire::delay(wire.delay)?, key: wire::xonly(&wire.key)? },
        checkpoint,
        pending: [pending0, pending1],
        delete: [delete0, delete1],
    })
}

impl Authorisation {
    /// The protobuf bytes, as stored.
    pub fn to_bytes(&self) -> Vec<u8> {
        encode(&authorisation_to_wire(self))
    }

    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ChannelError> {
        let wire: wire::Authorisation =
            prost::Message::decode(bytes).map_err(|_| ChannelError::Malformed { what: "authorisation" })?;
        authorisation_from_wire(&wire)
    }
}

text_form!(UpdateMessage, Update, "a payment", Box::new);
