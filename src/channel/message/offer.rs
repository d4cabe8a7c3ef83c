//! Offer: the payer fixes the terms.

use bitcoin::secp256k1::PublicKey;
use bitcoin::{Amount, OutPoint, absolute};

use super::{decode, encode, text_form, wire};
use crate::channel::terms::tagged_hash;
use crate::channel::{AuthorisationPolicy, ChannelError, ChannelTerms, Invite, Network};

/// The most inputs a payer may open a channel from.
pub const MAX_INPUTS: usize = 32;

/// How the channel VTXO comes to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Funding {
    /// In a batch that both co-sign, from these coins of the payer.
    Batch { inputs: Vec<OutPoint> },
    /// By an ark transaction of the payer: this VTXO exists already, preconfirmed.
    Offchain { outpoint: OutPoint },
}

/// The payer's proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    pub invite_id: [u8; 32],
    pub terms: ChannelTerms,
    /// Co-signs the batch tree.
    pub cosigner: PublicKey,
    pub funding: Funding,
}

impl Offer {
    pub(super) fn encode(&self) -> Vec<u8> {
        let terms = &self.terms;
        let (inputs, funding) = match &self.funding {
            Funding::Batch { inputs } => (inputs.iter().map(wire::Point::of).collect(), None),
            Funding::Offchain { outpoint } => (Vec::new(), Some(wire::Point::of(outpoint))),
        };
        encode(&wire::Offer {
            version: wire::VERSION,
            invite_id: self.invite_id.to_vec(),
            network: terms.network.code().into(),
            operator: terms.operator.serialize().to_vec(),
            payer: Some(wire::Party::of(&terms.payer)),
            receiver: Some(wire::Party::of(&terms.receiver)),
            capacity: terms.capacity.to_sat(),
            locktime: terms.locktime.to_consensus_u32(),
            d1: terms.d1.sequence().to_consensus_u32(),
            d2: terms.d2.sequence().to_consensus_u32(),
            authorisation: terms.authorisation.code(),
            cosigner: self.cosigner.serialize().to_vec(),
            inputs,
            funding,
        })
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, ChannelError> {
        let wire: wire::Offer = decode(bytes, "offer")?;
        let funding = match (wire.funding, wire.inputs.as_slice()) {
            (Some(outpoint), []) => Funding::Offchain { outpoint: outpoint.outpoint()? },
            (None, inputs) if !inputs.is_empty() && inputs.len() <= MAX_INPUTS => {
                Funding::Batch { inputs: inputs.iter().map(wire::Point::outpoint).collect::<Result<_, _>>()? }
            }
            _ => return Err(ChannelError::Malformed { what: "offer: funding" }),
        };
        Ok(Self {
            invite_id: wire::hash32(&wire.invite_id, "offer: invite id")?,
            terms: ChannelTerms {
                network: Network::from_code(wire.network)?,
                operator: wire::xonly(&wire.operator)?,
                payer: wire::party(wire.payer.as_ref())?,
                receiver: wire::party(wire.receiver.as_ref())?,
                capacity: Amount::from_sat(wire.capacity),
                locktime: absolute::LockTime::from_consensus(wire.locktime),
                d1: wire::delay(wire.d1)?,
                d2: wire::delay(wire.d2)?,
                authorisation: AuthorisationPolicy::from_code(wire.authorisation)?,
            },
            cosigner: wire::public_key(&wire.cosigner)?,
            funding,
        })
    }

    /// The hash that an Accept signs.
    pub fn id(&self) -> [u8; 32] {
        tagged_hash(b"virtual-channels/offer", &self.encode())
    }

    /// Whether this offer answers `invite` as the receiver made it; `now` is in the unit of the terms.
    pub fn check_invite(&self, invite: &Invite, now: u64) -> Result<(), ChannelError> {
        if self.invite_id != invite.id() {
            return Err(ChannelError::OtherInvite);
        }
        match self.funding {
            Funding::Batch { .. } if !invite.bounds.batch_funding => {
                return Err(ChannelError::FundingKindRefused { kind: "in a batch" });
            }
            Funding::Offchain { .. } if !invite.bounds.offchain_funding => {
                return Err(ChannelError::FundingKindRefused { kind: "off chain" });
            }
            _ => {}
        }
        if self.cosigner == invite.cosigner {
            return Err(ChannelError::EqualKeys);
        }
        invite.check_terms(&self.terms, now)
    }
}

text_form!(Offer, Offer, "an offer", Box::new);
