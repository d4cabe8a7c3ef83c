//! Damaged, cut, foreign and oversized messages, each with its own error.

use bitcoin::hex::DisplayHex;
use virtual_channels::channel::message::{MAX_BYTES, MAX_MEMO};
use virtual_channels::channel::text::{self, MAX_TEXT};
use virtual_channels::channel::{Accept, ChannelError, Invite, Message, Offer, Receipt, Unit, UpdateMessage};

use crate::messages;
use crate::pair::{Pair, sats};

fn pair() -> Pair {
    Pair::new(11, Unit::Seconds, 100_000)
}

/// The payload of a message, without its kind byte.
fn payload(message: &Message) -> Vec<u8> {
    message.to_bytes()[1..].to_vec()
}

const PREFIXES: [&str; 7] = ["vci", "vco", "vca", "vcu", "vcr", "vcq", "vcg"];

#[test]
fn unknown_versions_are_refused_whatever_else_is_in_the_message() {
    for message in messages::all(&pair()) {
        let mut bytes = message.to_bytes();
        assert_eq!(bytes[1..3], [0x08, 0x01], "field 1, version 1");
        bytes[2] = 2;
        assert_eq!(Message::from_bytes(&bytes), Err(ChannelError::UnknownVersion { version: 2 }));
        // A later version may use the same field numbers for other things: still the version is what is said.
        let later =
            [&[bytes[0], 0x08, 0x7f, 0x12, 0x00, 0x18, 0x05, 0x22, 0x02, 0x08, 0x01, 0x2d][..], &[0; 4]].concat();
        assert_eq!(Message::from_bytes(&later), Err(ChannelError::UnknownVersion { version: 127 }));
        let without = [&bytes[..1], &bytes[3..]].concat();
        assert_eq!(Message::from_bytes(&without), Err(ChannelError::UnknownVersion { version: 0 }));
    }
    for kind in 1..=7 {
        assert_eq!(Message::from_bytes(&[kind]), Err(ChannelError::UnknownVersion { version: 0 }));
    }
    assert_eq!(
        ChannelError::UnknownVersion { version: 2 }.to_string(),
        "message version 2 is not known; update the app"
    );
}

#[test]
fn tampered_text_fails_its_checksum() {
    for message in messages::all(&pair()) {
        let text = message.to_text().unwrap();
        for at in 4..text.len() {
            let mut damaged = text.clone().into_bytes();
            damaged[at] = if damaged[at] == b'q' { b'p' } else { b'q' };
            let damaged = String::from_utf8(damaged).unwrap();
            assert_eq!(Message::parse(&damaged), Err(ChannelError::Checksum), "{at}");
        }
        let swapped: String = [&text[..10], &text[11..12], &text[10..11], &text[12..]].concat();
        if swapped != text {
            assert_eq!(Message::parse(&swapped), Err(ChannelError::Checksum));
        }
    }
}

#[test]
fn truncated_text_and_bytes_are_refused() {
    for message in messages::all(&pair()) {
        let text = message.to_text().unwrap();
        for length in 0..text.len() {
            let error = Message::parse(&text[..length]).unwrap_err();
            assert!(matches!(error, ChannelError::Checksum | ChannelError::NotOurText), "{length}: {error:?}");
        }
        let bytes = message.to_bytes();
        for length in 0..bytes.len() {
            // A cut at the border of an optional field leaves another valid message, never the same one.
            assert_ne!(Message::from_bytes(&bytes[..length]).as_ref(), Ok(&message), "{length}");
        }
    }
    assert_eq!(Message::from_bytes(&[]), Err(ChannelError::Malformed { what: "empty message" }));
}

#[test]
fn foreign_texts_are_not_ours() {
    let pair = pair();
    let address = pair.channel.terms.address().unwrap().to_string();
    let hex = messages::all(&pair)[0].to_bytes().to_lower_hex_string();
    for foreign in [
        "",
        " ",
        "1",
        "hello",
        "vcu",
        "vcu1",
        address.as_str(),
        hex.as_str(),
        "https://example.org/pay",
        "bitcoin:bcrt1qcn6pt0yxgv40tc8agd6cvp4nkp5jsd5phys2ef?amount=1",
        "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about",
        "vcu1ö",
        "\u{202e}vcu1qqqq",
    ] {
        let error = Message::parse(foreign).unwrap_err();
        assert!(matches!(error, ChannelError::NotOurText | ChannelError::Checksum), "{foreign}: {error:?}");
    }
    assert_eq!(Message::parse(&address), Err(ChannelError::NotOurText));
    // Our alphabet and checksum, but no kind of ours.
    assert_eq!(Message::parse(&text::encode("vcx", &[1, 2, 3]).unwrap()), Err(ChannelError::NotOurText));
    assert_eq!(Message::parse(&text::encode("vcuu", &[1, 2, 3]).unwrap()), Err(ChannelError::NotOurText));
    // Mixed case.
    let text = messages::all(&pair)[0].to_text().unwrap();
    assert_eq!(Message::parse(&format!("{}{}", &text[..20], text[20..].to_uppercase())), Err(ChannelError::NotOurText));
    // Another prefix over the same data: the checksum covers it.
    assert_eq!(Message::parse(&text.replacen("vci", "vco", 1)), Err(ChannelError::Checksum));
    for kind in [0, 8, 255] {
        assert_eq!(Message::from_bytes(&[kind, 8, 1]), Err(ChannelError::Malformed { what: "message kind" }));
    }
}

#[test]
fn oversized_input_is_refused_before_it_is_read() {
    let too_long = format!("vcu1{}", "q".repeat(MAX_TEXT));
    let size = too_long.len();
    assert_eq!(Message::parse(&too_long), Err(ChannelError::TooLarge { size, limit: MAX_TEXT }));
    let size = 64 << 20;
    assert_eq!(Message::parse(&"q".repeat(size)), Err(ChannelError::TooLarge { size, limit: MAX_TEXT }));
    assert_eq!(Message::from_bytes(&vec![4; size]), Err(ChannelError::TooLarge { size, limit: MAX_BYTES }));
    let size = MAX_BYTES + 1;
    assert_eq!(Message::from_bytes(&vec![4; size]), Err(ChannelError::TooLarge { size, limit: MAX_BYTES }));
    for prefix in PREFIXES {
        let text = text::encode(prefix, &vec![0; size]).unwrap();
        assert!(text.len() <= MAX_TEXT);
        assert_eq!(Message::parse(&text), Err(ChannelError::TooLarge { size, limit: MAX_BYTES }));
    }
    let limit = MAX_TEXT * 5 / 8;
    assert_eq!(text::encode("vcu", &vec![0; MAX_TEXT]), Err(ChannelError::TooLarge { size: MAX_TEXT, limit }));
}

#[test]
fn long_and_broken_memos_are_refused() {
    let pair = pair();
    let memo = Some("x".repeat(MAX_MEMO + 1));
    let error = ChannelError::TooLarge { size: MAX_MEMO + 1, limit: MAX_MEMO };
    let invite = Invite { memo: memo.clone(), ..messages::invite(&pair) };
    assert_eq!(Invite::parse(&invite.to_text().unwrap()), Err(error.clone()));
    let update = UpdateMessage { memo, ..messages::update(&pair, 0, 330) };
    assert_eq!(UpdateMessage::parse(&update.to_text().unwrap()), Err(error));
    let update = UpdateMessage { memo: Some("xyz".to_string()), ..messages::update(&pair, 0, 330) };
    let mut bytes = Message::Update(Box::new(update)).to_bytes();
    *bytes.last_mut().unwrap() = 0xff;
    assert_eq!(Message::from_bytes(&bytes), Err(ChannelError::Malformed { what: "payment" }));
}

#[test]
fn lengths_that_lie_and_deep_nesting_are_refused() {
    // A field that claims more bytes than there are, up to the whole address space.
    for length in [[0xff, 0xff, 0xff, 0xff, 0x0f].as_slice(), &[0xff; 9], &[0x80, 0x80, 0x01]] {
        for kind in 1..=7 {
            for field in [0x12, 0x1a, 0x22, 0x2a, 0x32, 0x3a, 0x62, 0x6a] {
                let bytes = [&[kind, 0x08, 0x01, field][..], length].concat();
                assert!(matches!(Message::from_bytes(&bytes), Err(ChannelError::Malformed { .. })));
            }
        }
    }
    // Groups within groups.
    for kind in 1..=7 {
        let bytes = [&[kind, 0x08, 0x01][..], &[0xa3; 1].repeat(16_000)].concat();
        assert!(Message::from_bytes(&bytes).is_err());
        let bytes = [&[kind, 0x08, 0x01][..], &[0x9b, 0x06].repeat(8_000)].concat();
        assert!(matches!(Message::from_bytes(&bytes), Err(ChannelError::Malformed { .. })));
    }
    // Thousands of empty inputs.
    let offer = messages::offer(&pair(), &messages::invite(&pair()), 1);
    let mut bytes = Message::Offer(Box::new(offer)).to_bytes();
    bytes.extend([0x62, 0x00].repeat(7_000));
    assert_eq!(Message::from_bytes(&bytes), Err(ChannelError::Malformed { what: "offer: funding" }));
}

#[test]
fn wrong_parts_are_named() {
    let pair = pair();
    let invite = messages::invite(&pair);
    let offer = messages::offer(&pair, &invite, 1);
    // Bounds that contradict themselves.
    let mut wrong = invite.clone();
    wrong.bounds.min_capacity = wrong.bounds.max_capacity + sats(1);
    let bounds = ChannelError::Malformed { what: "invite: bounds" };
    assert_eq!(Invite::parse(&wrong.to_text().unwrap()), Err(bounds.clone()));
    let mut wrong = invite.clone();
    wrong.bounds.min_lifetime = wrong.bounds.max_lifetime + 1;
    assert_eq!(Invite::parse(&wrong.to_text().unwrap()), Err(bounds.clone()));
    let mut wrong = invite.clone();
    std::mem::swap(&mut wrong.bounds.min_d1, &mut wrong.bounds.max_d1);
    assert_eq!(Invite::parse(&wrong.to_text().unwrap()), Err(bounds));
    let mut wrong = invite.clone();
    wrong.bounds.max_d1 = virtual_channels::channel::Delay::blocks(1_000).unwrap();
    assert_eq!(Invite::parse(&wrong.to_text().unwrap()), Err(ChannelError::UnitMix));
    // Funding: nothing, both kinds, too many.
    for inputs in [0, 33] {
        let wrong = Offer::parse(&messages::offer(&pair, &invite, inputs).to_text().unwrap());
        assert_eq!(wrong, Err(ChannelError::Malformed { what: "offer: funding" }));
    }
    // Amounts beyond all the money.
    let bytes = |amount: u64| {
        let mut update = messages::update(&pair, 0, 330);
        update.update.amount = sats(amount);
        Message::Update(Box::new(update)).to_bytes()
    };
    Message::from_bytes(&bytes(2_100_000_000_000_000)).unwrap();
    for amount in [2_100_000_000_000_001, u64::MAX] {
        assert_eq!(Message::from_bytes(&bytes(amount)), Err(ChannelError::Malformed { what: "payment: amount" }));
    }
    // Cut signatures and ids.
    let accept = payload(&Message::Accept(Accept::sign(offer.id(), 5, &pair.receiver)));
    let receipt = payload(&Message::Receipt(Receipt::sign(pair.channel.id, sats(1), [0; 32], &pair.receiver)));
    let shorter = |kind: u8, payload: &[u8], field: usize| {
        // The last field is the signature: 2 bytes of tag and length, 64 of signature.
        let mut bytes = [&[kind], payload].concat();
        let start = bytes.len() - 65;
        assert_eq!(bytes[start], 64);
        bytes[start] = field as u8;
        bytes.truncate(start + 1 + field);
        Message::from_bytes(&bytes)
    };
    for length in [0, 1, 63] {
        assert_eq!(shorter(3, &accept, length), Err(ChannelError::Malformed { what: "accept: signature" }));
        assert_eq!(shorter(5, &receipt, length), Err(ChannelError::Malformed { what: "receipt: signature" }));
    }
}
