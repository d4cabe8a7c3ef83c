//! One message of every kind, made from a pair of parties.

use secp256k1::rand::Rng;
use virtual_channels::channel::message::{Bounds, Funding, Grant, memo_hash};
use virtual_channels::channel::{
    Accept, Authorisation, AuthorisationPolicy, ChannelTerms, CloseGrant, CloseRequest, Delay, Invite, Message, Offer,
    Receipt, Release, Unit, UpdateMessage,
};

use crate::pair::{HEIGHT, NOW, Pair, keypair, outpoint, rng, sats};

/// An invite that takes the pair's terms.
pub fn invite(pair: &Pair) -> Invite {
    let terms = &pair.channel.terms;
    let unit = terms.unit();
    Invite {
        network: terms.network,
        operator: terms.operator,
        receiver: terms.receiver,
        cosigner: keypair(&mut rng(77)).public_key(),
        bounds: Bounds {
            min_capacity: sats(1_000),
            max_capacity: sats(10_000_000),
            min_lifetime: 24 * unit.hour(),
            max_lifetime: 30 * 24 * unit.hour(),
            min_d1: terms.d1,
            max_d1: Delay::at_least(unit, 7 * terms.d1.value()).unwrap(),
            min_gap: terms.d1.value(),
            batch_funding: true,
            offchain_funding: true,
            on_close: false,
        },
        memo: Some("café, bread ☕".to_string()),
        expires_at: NOW + 3600,
    }
}

/// The moment at which `invite` and its offers are looked at, in the channel's unit.
pub fn now(unit: Unit) -> u64 {
    match unit {
        Unit::Seconds => NOW,
        Unit::Blocks => HEIGHT,
    }
}

pub fn offer(pair: &Pair, invite: &Invite, inputs: usize) -> Offer {
    let mut rng = rng(78);
    Offer {
        invite_id: invite.id(),
        terms: pair.channel.terms,
        cosigner: keypair(&mut rng).public_key(),
        funding: Funding::Batch { inputs: (0..inputs).map(|_| outpoint(&mut rng)).collect() },
    }
}

pub fn update(pair: &Pair, previous: u64, amount: u64) -> UpdateMessage {
    UpdateMessage { update: pair.update(previous, amount), authorisation: None, memo: None }
}

/// A request by the receiver, at the amount it holds.
pub fn close_request(pair: &Pair, amount: u64) -> CloseRequest {
    let update = (amount > 0).then(|| pair.update(0, amount));
    CloseRequest::sign(pair.channel.id, update, amount > 0, NOW + 3600, &pair.receiver)
}

/// The payer's grant.
pub fn close_grant(pair: &Pair) -> CloseGrant {
    let authorisation = Authorisation::grant(&pair.channel, pair.script(), &pair.payer).unwrap();
    let grant = Grant::Close { update: pair.update(4_000, 5_001), authorisation };
    CloseGrant::sign(pair.channel.id, grant, &pair.payer)
}

/// The receiver's.
pub fn release_grant(pair: &Pair) -> CloseGrant {
    let release = Release::sign(&pair.channel, pair.script(), &pair.receiver).unwrap();
    CloseGrant::sign(pair.channel.id, Grant::Release(release), &pair.receiver)
}

/// At least one message of every kind, with and without what is optional.
pub fn all(pair: &Pair) -> Vec<Message> {
    let invite = invite(pair);
    let offer = offer(pair, &invite, 3);
    let accept = Accept::sign(offer.id(), NOW + 120, &pair.receiver);
    let plain = update(pair, 0, 5_000);
    let full = UpdateMessage {
        authorisation: Some(pair.authorisation()),
        memo: Some("two loaves".to_string()),
        ..update(pair, 5_000, 5_001)
    };
    let receipt = Receipt::sign(pair.channel.id, sats(5_001), memo_hash(Some("two loaves")), &pair.receiver);
    let offchain = Offer { funding: Funding::Offchain { outpoint: pair.channel.funding }, ..offer.clone() };
    let terms = ChannelTerms { authorisation: AuthorisationPolicy::OnClose, ..offer.terms };
    let on_close = Offer { terms, ..offer.clone() };
    let takes_both = Invite { bounds: Bounds { on_close: true, ..invite.bounds.clone() }, ..invite.clone() };
    let kept = Authorisation { checkpoint: None, ..pair.authorisation() };
    let kept = UpdateMessage { authorisation: Some(kept), ..plain.clone() };
    vec![
        Message::Invite(Invite { memo: None, ..invite.clone() }),
        Message::Invite(invite),
        Message::Offer(Box::new(offer)),
        Message::Offer(Box::new(offchain)),
        Message::Accept(accept),
        Message::Update(Box::new(plain)),
        Message::Update(Box::new(full)),
        Message::Receipt(receipt),
        Message::Invite(takes_both),
        Message::Offer(Box::new(on_close)),
        Message::Update(Box::new(kept)),
        Message::CloseRequest(Box::new(close_request(pair, 0))),
        Message::CloseRequest(Box::new(close_request(pair, 5_001))),
        Message::CloseGrant(Box::new(close_grant(pair))),
        Message::CloseGrant(Box::new(release_grant(pair))),
    ]
}

/// `count` random bytes.
pub fn noise(rng: &mut secp256k1::rand::rngs::StdRng, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    rng.fill(bytes.as_mut_slice());
    bytes
}

/// `bytes` with a few random changes: flips, cuts, insertions, repetitions, parts of `other`.
pub fn mutate(rng: &mut secp256k1::rand::rngs::StdRng, bytes: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..rng.gen_range(1..=4) {
        let at = rng.gen_range(0..=bytes.len());
        match rng.gen_range(0..7) {
            0 | 1 if at < bytes.len() => bytes[at] ^= 1 << rng.gen_range(0..8),
            2 if at < bytes.len() => bytes[at] = rng.r#gen(),
            3 => bytes.truncate(at),
            4 => {
                let count = rng.gen_range(1..12);
                let more = noise(rng, count);
                bytes.splice(at..at, more);
            }
            5 => {
                let end = rng.gen_range(at..=bytes.len());
                let part = bytes[at..end].to_vec();
                bytes.splice(at..at, part);
            }
            6 if !other.is_empty() => {
                let from = rng.gen_range(0..other.len());
                let to = rng.gen_range(from..=other.len());
                bytes.splice(at..at, other[from..to].iter().copied());
            }
            _ => {
                let end = rng.gen_range(at..=bytes.len());
                bytes.drain(at..end);
            }
        }
    }
    bytes
}
