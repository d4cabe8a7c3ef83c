//! Close grant: what the other side needs to end the channel now.

use bitcoin::XOnlyPublicKey;
use bitcoin::secp256k1::schnorr;
use secp256k1::{Keypair, Message};

use super::close_request::{signatures, update};
use super::update::{authorisation_from_wire, authorisation_to_wire};
use super::{decode, encode, text_form, wire};
use crate::channel::script::CheckpointScript;
use crate::channel::terms::tagged_hash;
use crate::channel::{Authorisation, ChannelError, ChannelId, ChannelUpdate, Release, psbt};

/// Ends a channel together with the other side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloseGrant {
    pub channel_id: ChannelId,
    pub grant: Grant,
    pub signature: schnorr::Signature,
}

/// What is granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
pub enum Grant {
    /// By the payer: the update to close at and the Authorisation for it, checkpoint included, both for the operator's
    /// checkpoint script of the day.
    Close { update: ChannelUpdate, authorisation: Authorisation },
    /// By the receiver: everything goes back to the payer.
    Release(Release),
}

impl CloseGrant {
    pub fn sign(channel_id: ChannelId, grant: Grant, own: &Keypair) -> Self {
        let signature = psbt::sign(&message(&to_wire(&channel_id, &grant)), own);
        Self { channel_id, grant, signature }
    }

    /// Whether the owner of `other` granted this. What is granted is verified against the channel.
    pub fn check(&self, other: &XOnlyPublicKey) -> Result<(), ChannelError> {
        match psbt::verify(&message(&to_wire(&self.channel_id, &self.grant)), other, &self.signature) {
            true => Ok(()),
            false => Err(ChannelError::InvalidSignature { what: "close grant signature" }),
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let unsigned = to_wire(&self.channel_id, &self.grant);
        encode(&wire::CloseGrant { signature: self.signature.as_ref().to_vec(), ..unsigned })
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, ChannelError> {
        let wire: wire::CloseGrant = decode(bytes, "close grant")?;
        let [signature] = wire::signatures(&wire.signature, "close grant: signature")?;
        let channel_id = ChannelId::from_slice(&wire.channel_id)?;
        let grant = match (wire.close, wire.release) {
            (Some(close), None) => {
                let authorisation = close.authorisation.as_ref();
                let authorisation =
                    authorisation.ok_or(ChannelError::Malformed { what: "close grant: authorisation" })?;
                Grant::Close {
                    update: update(channel_id, close.previous, close.amount, &close.signatures)?,
                    authorisation: authorisation_from_wire(authorisation)?,
                }
            }
            (None, Some(release)) => {
                let [checkpoint, ark, pending0, pending1] =
                    wire::signatures(&release.signatures, "close grant: release")?;
                let script = CheckpointScript { delay: wire::delay(release.delay)?, key: wire::xonly(&release.key)? };
                Grant::Release(Release { script, checkpoint, ark, pending: [pending0, pending1] })
            }
            _ => return Err(ChannelError::Malformed { what: "close grant: what is granted" }),
        };
        Ok(Self { channel_id, grant, signature })
    }
}

fn to_wire(channel_id: &ChannelId, grant: &Grant) -> wire::CloseGrant {
    let (close, release) = match grant {
        Grant::Close { update, authorisation } => {
            let close = wire::Close {
                previous: update.previous.to_sat(),
                amount: update.amount.to_sat(),
                signatures: signatures(update),
                authorisation: Some(authorisation_to_wire(authorisation)),
            };
            (Some(close), None)
        }
        Grant::Release(release) => {
            let mut signatures = Vec::with_capacity(4 * 64);
            for signature in [&release.checkpoint, &release.ark].into_iter().chain(&release.pending) {
                signatures.extend(signature.as_ref());
            }
            let (delay, key) = (release.script.delay.sequence().to_consensus_u32(), release.script.key);
            (None, Some(wire::Release { delay, key: key.serialize().to_vec(), signatures }))
        }
    };
    let (version, channel_id) = (wire::VERSION, channel_id.0.to_vec());
    wire::CloseGrant { version, channel_id, close, release, signature: Vec::new() }
}

/// What is signed: everything but the signature.
fn message(unsigned: &wire::CloseGrant) -> Message {
    Message::from_digest(tagged_hash(b"virtual-channels/close-grant", &encode(unsigned)))
}

text_form!(CloseGrant, CloseGrant, "a close grant", Box::new);
