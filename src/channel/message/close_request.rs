//! Close request: one side asks the other to end the channel together, now.

use bitcoin::secp256k1::schnorr;
use bitcoin::{Amount, XOnlyPublicKey};
use secp256k1::{Keypair, Message};

use super::{decode, encode, text_form, wire};
use crate::channel::terms::tagged_hash;
use crate::channel::{ChannelError, ChannelId, ChannelUpdate, psbt};

/// Asks for a [`super::CloseGrant`]. It binds nobody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloseRequest {
    pub channel_id: ChannelId,
    /// The latest update of the side that asks, by whose exit signature the payer recognises it.
    pub update: Option<ChannelUpdate>,
    /// From the receiver: it can take no other amount than that of `update` any more.
    pub exactly: bool,
    /// Unix seconds: whoever keeps a copy cannot use it later.
    pub expires_at: u64,
    pub signature: schnorr::Signature,
}

impl CloseRequest {
    pub fn sign(
        channel_id: ChannelId,
        update: Option<ChannelUpdate>,
        exactly: bool,
        expires_at: u64,
        own: &Keypair,
    ) -> Self {
        let unsigned = to_wire(&channel_id, update.as_ref(), exactly, expires_at);
        Self { channel_id, update, exactly, expires_at, signature: psbt::sign(&message(&unsigned), own) }
    }

    /// Whether this is a request by the owner of `other`, and still good at `now` (unix seconds).
    pub fn check(&self, other: &XOnlyPublicKey, now: u64) -> Result<(), ChannelError> {
        let unsigned = to_wire(&self.channel_id, self.update.as_ref(), self.exactly, self.expires_at);
        if !psbt::verify(&message(&unsigned), other, &self.signature) {
            return Err(ChannelError::InvalidSignature { what: "close request signature" });
        }
        if now >= self.expires_at {
            return Err(ChannelError::CloseRequestExpired { expires_at: self.expires_at, now });
        }
        Ok(())
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let unsigned = to_wire(&self.channel_id, self.update.as_ref(), self.exactly, self.expires_at);
        encode(&wire::CloseRequest { signature: self.signature.as_ref().to_vec(), ..unsigned })
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, ChannelError> {
        let wire: wire::CloseRequest = decode(bytes, "close request")?;
        let [signature] = wire::signatures(&wire.signature, "close request: signature")?;
        let channel_id = ChannelId::from_slice(&wire.channel_id)?;
        let update = match wire.signatures.is_empty() {
            true if wire.amount == 0 && wire.previous == 0 => None,
            true => return Err(ChannelError::Malformed { what: "close request: amount" }),
            false => Some(update(channel_id, wire.previous, wire.amount, &wire.signatures)?),
        };
        Ok(Self { channel_id, update, exactly: wire.exactly, expires_at: wire.expires_at, signature })
    }
}

/// An update that travels inside another message.
pub(super) fn update(
    channel_id: ChannelId,
    previous: u64,
    amount: u64,
    signatures: &[u8],
) -> Result<ChannelUpdate, ChannelError> {
    let [ark_signature, exit_signature] = wire::signatures(signatures, "close: signatures")?;
    let (previous, amount) = (Amount::from_sat(previous), Amount::from_sat(amount));
    if amount > Amount::MAX_MONEY || previous > Amount::MAX_MONEY {
        return Err(ChannelError::Malformed { what: "close: amount" });
    }
    Ok(ChannelUpdate { channel_id, previous, amount, ark_signature, exit_signature })
}

/// Both signatures of an update, one after the other.
pub(super) fn signatures(update: &ChannelUpdate) -> Vec<u8> {
    [*update.ark_signature.as_ref(), *update.exit_signature.as_ref()].concat()
}

fn to_wire(
    channel_id: &ChannelId,
    update: Option<&ChannelUpdate>,
    exactly: bool,
    expires_at: u64,
) -> wire::CloseRequest {
    wire::CloseRequest {
        version: wire::VERSION,
        channel_id: channel_id.0.to_vec(),
        previous: update.map_or(0, |update| update.previous.to_sat()),
        amount: update.map_or(0, |update| update.amount.to_sat()),
        signatures: update.map(signatures).unwrap_or_default(),
        exactly,
        expires_at,
        signature: Vec::new(),
    }
}

/// What is signed: everything but the signature.
fn message(unsigned: &wire::CloseRequest) -> Message {
    Message::from_digest(tagged_hash(b"virtual-channels/close-request", &encode(unsigned)))
}

text_form!(CloseRequest, CloseRequest, "a close request", Box::new);
