//! Accept: the receiver is there and will co-sign.

use bitcoin::XOnlyPublicKey;
use bitcoin::secp256k1::schnorr;
use secp256k1::{Keypair, Message};

use super::{decode, encode, text_form, wire};
use crate::channel::terms::tagged_hash;
use crate::channel::{ChannelError, Offer, psbt};

/// The receiver's signature under an offer's hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accept {
    pub offer_id: [u8; 32],
    /// Unix seconds: until then the receiver listens.
    pub valid_until: u64,
    pub signature: schnorr::Signature,
}

impl Accept {
    pub fn sign(offer_id: [u8; 32], valid_until: u64, receiver: &Keypair) -> Self {
        Self { offer_id, valid_until, signature: psbt::sign(&message(&offer_id, valid_until), receiver) }
    }

    /// Whether this is the accept of `offer` by its receiver, and still good at `now` (unix seconds).
    pub fn check(&self, offer: &Offer, now: u64) -> Result<(), ChannelError> {
        if self.offer_id != offer.id() {
            return Err(ChannelError::OtherOffer);
        }
        let key: &XOnlyPublicKey = &offer.terms.receiver.key;
        if !psbt::verify(&message(&self.offer_id, self.valid_until), key, &self.signature) {
            return Err(ChannelError::InvalidSignature { what: "accept signature" });
        }
        if now >= self.valid_until {
            return Err(ChannelError::AcceptExpired { valid_until: self.valid_until, now });
        }
        Ok(())
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        encode(&wire::Accept {
            version: wire::VERSION,
            offer_id: self.offer_id.to_vec(),
            valid_until: self.valid_until,
            signature: self.signature.as_ref().to_vec(),
        })
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, ChannelError> {
        let wire: wire::Accept = decode(bytes, "accept")?;
        let [signature] = wire::signatures(&wire.signature, "accept: signature")?;
        let offer_id = wire::hash32(&wire.offer_id, "accept: offer id")?;
        Ok(Self { offer_id, valid_until: wire.valid_until, signature })
    }
}

fn message(offer_id: &[u8; 32], valid_until: u64) -> Message {
    let mut bytes = offer_id.to_vec();
    bytes.extend(valid_until.to_be_bytes());
    Message::from_digest(tagged_hash(b"virtual-channels/accept", &bytes))
}

text_form!(Accept, Accept, "an accept", std::convert::identity);
