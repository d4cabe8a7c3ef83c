//! Every kind there and back, and how long the texts are.

use virtual_channels::channel::message::{Funding, MAX_BYTES};
use virtual_channels::channel::{
    Accept, Authorisation, ChannelError, ChannelId, ChannelTerms, CloseGrant, CloseRequest, Invite, Message, Network,
    Offer, Receipt, Unit, UpdateMessage,
};

use crate::messages;
use crate::pair::{self, Pair, sats};

#[test]
fn every_kind_in_binary_and_text_in_both_cases() {
    for (seed, unit) in [(1, Unit::Seconds), (2, Unit::Blocks)] {
        let pair = Pair::new(seed, unit, 100_000);
        for message in messages::all(&pair) {
            let bytes = message.to_bytes();
            assert_eq!(Message::from_bytes(&bytes).unwrap(), message);
            assert!(bytes.len() < MAX_BYTES);
            let text = message.to_text().unwrap();
            assert_eq!(text, text.to_lowercase());
            for text in [text.clone(), text.to_uppercase(), format!("\n  {text}\t"), text.to_uppercase() + "\r\n"] {
                assert_eq!(Message::parse(&text).unwrap(), message);
            }
            // All of an upper-case text is in a QR code's alphanumeric mode.
            assert!(text.to_uppercase().bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()));
        }
    }
}

#[test]
fn every_network_travels() {
    for network in [Network::Bitcoin, Network::Testnet, Network::Signet, Network::Mutinynet, Network::Regtest] {
        let mut rng = pair::rng(5);
        let funding = pair::outpoint(&mut rng);
        let pair = Pair::at(&mut rng, network, Unit::Seconds, 50_000, funding);
        let invite = messages::invite(&pair);
        assert_eq!(Invite::parse(&invite.to_text().unwrap()).unwrap(), invite);
        assert_eq!(Network::from_arkd(network.name()).unwrap(), network);
        assert_eq!(ChannelTerms::from_canonical(&pair.channel.terms.canonical()).unwrap(), pair.channel.terms);
    }
}

#[test]
fn another_kind_is_named() {
    let pair = Pair::new(3, Unit::Seconds, 100_000);
    let names = ["an invite", "an offer", "an accept", "a payment", "a receipt", "a close request", "a close grant"];
    let mut seen = std::collections::BTreeSet::new();
    for message in messages::all(&pair) {
        let text = message.to_text().unwrap();
        let got = message.kind_name();
        let errors = [
            Invite::parse(&text).err(),
            Offer::parse(&text).err(),
            Accept::parse(&text).err(),
            UpdateMessage::parse(&text).err(),
            Receipt::parse(&text).err(),
            CloseRequest::parse(&text).err(),
            CloseGrant::parse(&text).err(),
        ];
        for (expected, error) in names.into_iter().zip(errors) {
            match error {
                None => assert_eq!(expected, got),
                Some(error) => assert_eq!(error, ChannelError::OtherKind { expected, got }),
            }
        }
        seen.insert(got);
    }
    assert_eq!(seen.len(), names.len());
    assert_eq!(
        ChannelError::OtherKind { expected: "an invite", got: "a payment" }.to_string(),
        "this is a payment, not an invite"
    );
}

/// The bound of a bare payment: under 300 characters up to 2^35 − 1 sats (343 BTC), 306 for all the money there is.
#[test]
fn a_payment_stays_under_300_characters() {
    let longest = |amount: u64| {
        let pair = Pair::new(4, Unit::Seconds, amount);
        let text = messages::update(&pair, amount, amount).to_text().unwrap();
        assert_eq!(UpdateMessage::parse(&text).unwrap().update.amount, sats(amount));
        text.len()
    };
    assert_eq!(longest((1 << 35) - 1), 297);
    assert_eq!(longest(1 << 35), 300);
    assert_eq!(longest(2_100_000_000_000_000), 306);
    assert_eq!(longest(330), 287);
    for bits in 9..35 {
        assert!(longest(1 << bits) < 300);
    }
}

#[test]
fn the_longest_messages_still_fit_one_qr_code() {
    const QR_ALPHANUMERIC: usize = 4_296;
    let pair = Pair::new(5, Unit::Seconds, 2_100_000_000_000_000);
    let invite = Invite { memo: Some("x".repeat(512)), ..messages::invite(&pair) };
    let offer = messages::offer(&pair, &invite, 32);
    assert_eq!(Offer::parse(&offer.to_text().unwrap()).unwrap(), offer);
    let update = UpdateMessage {
        authorisation: Some(pair.authorisation()),
        memo: Some("x".repeat(512)),
        ..messages::update(&pair, u64::from(u32::MAX), 2_100_000_000_000_000)
    };
    for text in [invite.to_text(), offer.to_text(), update.to_text()] {
        let text = text.unwrap();
        assert!(text.len() < QR_ALPHANUMERIC, "{}", text.len());
        Message::parse(&text).unwrap();
    }
}

#[test]
fn ids_commit_to_everything() {
    let pair = Pair::new(6, Unit::Seconds, 100_000);
    let invite = messages::invite(&pair);
    let offer = messages::offer(&pair, &invite, 2);
    let mut ids = std::collections::HashSet::from([invite.id()]);
    let mut changed = vec![invite.clone(); 8];
    changed[0].memo = None;
    changed[1].expires_at += 1;
    changed[2].bounds.min_capacity += sats(1);
    changed[3].bounds.offchain_funding = false;
    changed[4].cosigner = offer.cosigner;
    changed[5].receiver.chain_payout = invite.receiver.ark_payout;
    changed[6].bounds.min_gap += 1;
    changed[7].network = Network::Signet;
    assert!(changed.iter().all(|invite| ids.insert(invite.id())));

    let mut ids = std::collections::HashSet::from([offer.id()]);
    let mut changed = vec![offer.clone(); 6];
    changed[0].terms.capacity += sats(1);
    changed[1].invite_id[31] ^= 1;
    changed[2].cosigner = invite.cosigner;
    changed[3].funding = Funding::Offchain { outpoint: pair.channel.funding };
    changed[4].terms.payer.ark_payout = offer.terms.payer.chain_payout;
    changed[5].terms.d2 = offer.terms.d1;
    assert!(changed.iter().all(|offer| ids.insert(offer.id())));
    // An id is made over what was read, so a detour through text or bytes does not change it.
    assert_eq!(Offer::parse(&offer.to_text().unwrap()).unwrap().id(), offer.id());
}

#[test]
fn stored_forms_come_back() {
    let pair = Pair::new(7, Unit::Blocks, 100_000);
    let authorisation = pair.authorisation();
    assert_eq!(Authorisation::from_bytes(&authorisation.to_bytes()).unwrap(), authorisation);
    let id = pair.channel.id;
    assert_eq!(id.to_string().parse::<ChannelId>().unwrap(), id);
    assert_eq!(ChannelId::from_slice(&id.0).unwrap(), id);
    assert_eq!(ChannelId::from_slice(&id.0[1..]), Err(ChannelError::Malformed { what: "channel id" }));
    assert_eq!("zz".parse::<ChannelId>(), Err(ChannelError::Malformed { what: "channel id" }));
}
