//! Invite: the receiver says what channels it would take.

use bitcoin::secp256k1::PublicKey;
use bitcoin::{Amount, XOnlyPublicKey};

use super::{check_memo, decode, encode, text_form, wire};
use crate::channel::terms::tagged_hash;
use crate::channel::{AuthorisationPolicy, ChannelError, ChannelTerms, Delay, Network, Party};

/// What the receiver takes. Lifetimes are from now to the refund locktime, in the operator's unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    pub min_capacity: Amount,
    pub max_capacity: Amount,
    pub min_lifetime: u64,
    pub max_lifetime: u64,
    pub min_d1: Delay,
    pub max_d1: Delay,
    /// The least d2 − d1: all the time the receiver has when the payer unrolls.
    pub min_gap: u64,
    pub batch_funding: bool,
    pub offchain_funding: bool,
    /// Whether a payer may keep the authorisation to close until it is asked for it.
    pub on_close: bool,
}

/// The receiver's invitation to open one channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invite {
    pub network: Network,
    pub operator: XOnlyPublicKey,
    pub receiver: Party,
    /// Co-signs the batch tree.
    pub cosigner: PublicKey,
    pub bounds: Bounds,
    pub memo: Option<String>,
    /// Unix seconds.
    pub expires_at: u64,
}

impl Invite {
    pub(super) fn encode(&self) -> Vec<u8> {
        let bounds = &self.bounds;
        encode(&wire::Invite {
            version: wire::VERSION,
            network: self.network.code().into(),
            operator: self.operator.serialize().to_vec(),
            receiver: Some(wire::Party::of(&self.receiver)),
            cosigner: self.cosigner.serialize().to_vec(),
            min_capacity: bounds.min_capacity.to_sat(),
            max_capacity: bounds.max_capacity.to_sat(),
            min_lifetime: bounds.min_lifetime,
            max_lifetime: bounds.max_lifetime,
            min_d1: bounds.min_d1.sequence().to_consensus_u32(),
            max_d1: bounds.max_d1.sequence().to_consensus_u32(),
            min_gap: bounds.min_gap,
            funding: u32::from(bounds.batch_funding) | u32::from(bounds.offchain_funding) << 1,
            memo: self.memo.clone().unwrap_or_default(),
            expires_at: self.expires_at,
            on_close: bounds.on_close,
        })
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, ChannelError> {
        let wire: wire::Invite = decode(bytes, "invite")?;
        let (min_capacity, max_capacity) = (Amount::from_sat(wire.min_capacity), Amount::from_sat(wire.max_capacity));
        if min_capacity > max_capacity || max_capacity > Amount::MAX_MONEY || wire.min_lifetime > wire.max_lifetime {
            return Err(ChannelError::Malformed { what: "invite: bounds" });
        }
        let (min_d1, max_d1) = (wire::delay(wire.min_d1)?, wire::delay(wire.max_d1)?);
        if min_d1.unit() != max_d1.unit() {
            return Err(ChannelError::UnitMix);
        }
        if min_d1.value() > max_d1.value() {
            return Err(ChannelError::Malformed { what: "invite: bounds" });
        }
        Ok(Self {
            network: Network::from_code(wire.network)?,
            operator: wire::xonly(&wire.operator)?,
            receiver: wire::party(wire.receiver.as_ref())?,
            cosigner: wire::public_key(&wire.cosigner)?,
            bounds: Bounds {
                min_capacity,
                max_capacity,
                min_lifetime: wire.min_lifetime,
                max_lifetime: wire.max_lifetime,
                min_d1,
                max_d1,
                min_gap: wire.min_gap,
                batch_funding: wire.funding & 1 != 0,
                offchain_funding: wire.funding & 2 != 0,
                on_close: wire.on_close,
            },
            memo: check_memo(wire.memo)?,
            expires_at: wire.expires_at,
        })
    }

    /// The name of this invite.
    pub fn id(&self) -> [u8; 32] {
        tagged_hash(b"virtual-channels/invite", &self.encode())
    }

    /// `now` is unix seconds.
    pub fn check_expiry(&self, now: u64) -> Result<(), ChannelError> {
        if now >= self.expires_at {
            return Err(ChannelError::InviteExpired { expired_at: self.expires_at, now });
        }
        Ok(())
    }

    /// Whether `terms` are what this invite takes; `now` is in the unit of the terms.
    pub fn check_terms(&self, terms: &ChannelTerms, now: u64) -> Result<(), ChannelError> {
        let bounds = &self.bounds;
        if terms.network != self.network {
            return Err(ChannelError::WrongNetwork { expected: self.network, got: terms.network });
        }
        if terms.operator != self.operator {
            return Err(ChannelError::WrongOperator { expected: self.operator.into(), got: terms.operator.into() });
        }
        if terms.receiver != self.receiver {
            return Err(ChannelError::OfferMismatch { what: "the receiver's key or payout scripts" });
        }
        if terms.authorisation == AuthorisationPolicy::OnClose && !bounds.on_close {
            return Err(ChannelError::OnCloseRefused);
        }
        if terms.capacity < bounds.min_capacity || terms.capacity > bounds.max_capacity {
            let (min, max) = (bounds.min_capacity, bounds.max_capacity);
            return Err(ChannelError::CapacityOutOfBounds { capacity: terms.capacity, min, max });
        }
        let locktime = u64::from(terms.locktime.to_consensus_u32());
        let ahead = locktime.saturating_sub(now);
        if ahead < bounds.min_lifetime || ahead > bounds.max_lifetime {
            let (min, max) = (bounds.min_lifetime, bounds.max_lifetime);
            return Err(ChannelError::LocktimeOutOfBounds { ahead, min, max });
        }
        if terms.d1.unit() != bounds.min_d1.unit() || terms.d1.unit() != bounds.max_d1.unit() {
            return Err(ChannelError::UnitMix);
        }
        let (delay, minimum, maximum) = (terms.d1.value(), bounds.min_d1.value(), bounds.max_d1.value());
        if delay < minimum {
            return Err(ChannelError::DelayTooShort { delay, minimum });
        }
        if delay > maximum {
            return Err(ChannelError::DelayTooLong { delay, maximum });
        }
        let (gap, minimum) = (terms.d2.value().saturating_sub(delay), bounds.min_gap);
        if gap < minimum {
            return Err(ChannelError::DelayTooShort {
                delay: terms.d2.value(),
                minimum: delay.saturating_add(minimum),
            });
        }
        Ok(())
    }
}

text_form!(Invite, Invite, "an invite", std::convert::identity);
