//! Messages of all kinds, behind a right checksum: the kind, then the payload.
//!
//! What is read can be written and reads the same again, as text in either case and as bytes.

use virtual_channels::channel::message::{Grant, MAX_BYTES};
use virtual_channels::channel::{Message, Unit, text};

use crate::messages::{all, now};
use crate::pair::Pair;

const PREFIXES: [&str; 7] = ["vci", "vco", "vca", "vcu", "vcr", "vcq", "vcg"];

pub fn run(data: &[u8]) -> bool {
    let Some((kind, payload)) = data.split_first() else { return false };
    let kind = kind % 7;
    let prefix = PREFIXES[usize::from(kind)];
    let Ok(text) = text::encode(prefix, payload) else { return false };
    let read = Message::parse(&text);
    if payload.len() < MAX_BYTES {
        assert_eq!(read, Message::from_bytes(&[&[kind + 1], payload].concat()));
    }
    let Ok(message) = read else { return false };
    let bytes = message.to_bytes();
    assert!(bytes.len() <= MAX_BYTES);
    assert_eq!(Message::from_bytes(&bytes).as_ref(), Ok(&message));
    let text = message.to_text().expect("what was read can be written");
    assert_eq!(Message::parse(&format!(" {}\n", text.to_uppercase())).as_ref(), Ok(&message));
    judge(&message);
    true
}

/// The rules that a wallet asks next: any answer, no panic.
fn judge(message: &Message) {
    let pair = pair();
    match message {
        Message::Invite(invite) => {
            let _ = invite.check_expiry(now(Unit::Seconds));
            let _ = invite.check_terms(&pair.channel.terms, now(Unit::Seconds));
            assert_eq!(invite.id(), invite.clone().id());
        }
        Message::Offer(offer) => {
            let _ = offer.terms.check(&pair.info, now(offer.terms.unit()));
            let _ = offer.check_invite(&crate::messages::invite(pair), now(offer.terms.unit()));
            let _ = offer.terms.address();
        }
        Message::Accept(accept) => {
            let offer = crate::messages::offer(pair, &crate::messages::invite(pair), 3);
            if accept.check(&offer, now(Unit::Seconds)).is_ok() {
                assert_eq!(accept.offer_id, offer.id());
            }
        }
        Message::Update(message) => {
            let update = &message.update;
            if update.verify(&pair.channel, &[&pair.close]).is_ok() {
                assert!(update.amount <= pair.channel.terms.capacity);
                assert!(update.exit_transaction(&pair.channel, &pair.receiver).is_ok());
            }
            if let Some(authorisation) = &message.authorisation
                && authorisation.verify(&pair.channel, &pair.close).is_ok()
            {
                assert!(authorisation.delete_proof(&pair.channel, &pair.receiver).is_ok());
            }
        }
        Message::Receipt(receipt) => {
            let _ = receipt.verify(&pair.channel.terms.receiver.key);
        }
        Message::CloseRequest(request) => {
            let _ = request.check(&pair.channel.terms.receiver.key, now(Unit::Seconds));
        }
        Message::CloseGrant(grant) => {
            let _ = grant.check(&pair.channel.terms.payer.key);
            match &grant.grant {
                Grant::Close { authorisation, .. } => drop(authorisation.verify(&pair.channel, &pair.close)),
                Grant::Release(release) if release.verify(&pair.channel).is_ok() => {
                    assert!(release.pending_proof(&pair.channel, &pair.payer).is_ok());
                }
                Grant::Release(_) => {}
            }
        }
    }
}

fn pair() -> &'static Pair {
    static PAIR: std::sync::OnceLock<Pair> = std::sync::OnceLock::new();
    PAIR.get_or_init(|| Pair::new(21, Unit::Seconds, 100_000))
}

pub fn seeds() -> Vec<(String, Vec<u8>)> {
    let blocks = Pair::new(22, Unit::Blocks, 2_000_000);
    let both = [(pair(), "seconds"), (&blocks, "blocks")];
    let seeds = both.into_iter().flat_map(|(pair, unit)| {
        let messages = all(pair).into_iter().enumerate();
        messages.map(move |(index, message)| {
            let mut bytes = message.to_bytes();
            bytes[0] -= 1;
            (format!("{unit}-{index}"), bytes)
        })
    });
    seeds.collect()
}
