//! Anything at all into every decoder: no panic, and what is read can be written and read again.
//!
//! Seeds are fixed. Every decoder sees at least 100 000 inputs: random bytes, and mutations of real ones.

use bitcoin::{Script, ScriptBuf};
use secp256k1::rand::{Rng, rngs::StdRng};
use virtual_channels::channel::message::MAX_BYTES;
use virtual_channels::channel::script::CheckpointScript;
use virtual_channels::channel::{
    ArkAddress, Authorisation, ChannelError, ChannelId, ChannelTerms, Delay, Message, Network, Payout, Unit, text,
};

use crate::messages::{self, mutate, noise};
use crate::pair::{self, Pair};

const ROUNDS: usize = 100_000;

/// A real payload changed, or bytes out of nothing.
fn input(rng: &mut StdRng, real: &[Vec<u8>]) -> Vec<u8> {
    if rng.gen_ratio(1, 4) {
        let count = rng.gen_range(0..400);
        return noise(rng, count);
    }
    let (one, other) = (&real[rng.gen_range(0..real.len())], &real[rng.gen_range(0..real.len())]);
    mutate(rng, one, other)
}

fn pairs() -> [Pair; 2] {
    [Pair::new(21, Unit::Seconds, 100_000), Pair::new(22, Unit::Blocks, 2_000_000)]
}

/// What was read is bounded and reads the same again.
fn stable(read: Result<Message, ChannelError>) -> bool {
    let Ok(message) = read else { return false };
    let bytes = message.to_bytes();
    assert!(bytes.len() <= MAX_BYTES);
    assert_eq!(Message::from_bytes(&bytes), Ok(message));
    true
}

/// One kind's payload decoder, in binary and, every eighth time, as text behind a right checksum.
fn kind(kind: u8, prefix: &str) {
    let mut rng = pair::rng(u64::from(kind) << 32);
    let all = pairs().iter().flat_map(messages::all).map(|message| message.to_bytes()).collect::<Vec<_>>();
    let real: Vec<Vec<u8>> = all.iter().filter(|bytes| bytes[0] == kind).map(|bytes| bytes[1..].to_vec()).collect();
    let (mut read, mut refused) = (0, 0);
    for round in 0..ROUNDS {
        let payload = input(&mut rng, &real);
        let result = if round % 8 != 0 {
            Message::from_bytes(&[&[kind], payload.as_slice()].concat())
        } else {
            Message::parse(&text::encode(prefix, &payload).unwrap())
        };
        if stable(result) { read += 1 } else { refused += 1 }
    }
    // Both ways out are reached: the mutations are neither harmless nor hopeless.
    assert!(read > 100 && refused > 10_000, "{read} read, {refused} refused");
}

#[test]
fn any_invite() {
    kind(1, "vci");
}

#[test]
fn any_offer() {
    kind(2, "vco");
}

#[test]
fn any_accept() {
    kind(3, "vca");
}

#[test]
fn any_update() {
    kind(4, "vcu");
}

#[test]
fn any_receipt() {
    kind(5, "vcr");
}

#[test]
fn any_close_request() {
    kind(6, "vcq");
}

#[test]
fn any_close_grant() {
    kind(7, "vcg");
}

#[test]
fn any_bytes() {
    let mut rng = pair::rng(31);
    for _ in 0..ROUNDS {
        let count = rng.gen_range(0..300);
        stable(Message::from_bytes(&noise(&mut rng, count)));
    }
}

#[test]
fn any_text() {
    let mut rng = pair::rng(32);
    let [pair, _] = pairs();
    let real: Vec<Vec<u8>> =
        messages::all(&pair).iter().map(|message| message.to_text().unwrap().into_bytes()).collect();
    for _ in 0..ROUNDS {
        let bytes = input(&mut rng, &real);
        let text = String::from_utf8_lossy(&bytes);
        if Message::parse(&text).is_ok() {
            // Only a change that leaves the text as it was, up to case and white space, gets through the checksum.
            let lower = text.trim().to_lowercase();
            assert!(real.iter().any(|real| real == lower.as_bytes()), "{text}");
        }
        let _ = ArkAddress::parse(&text);
        let _ = text.parse::<ChannelId>();
        let _ = Network::from_arkd(&text);
    }
}

#[test]
fn any_address() {
    let mut rng = pair::rng(33);
    let real: Vec<Vec<u8>> =
        pairs().iter().map(|pair| pair.channel.terms.address().unwrap().to_string().into_bytes()).collect();
    let hrps = ["ark", "tark", "bc", "vcu"].map(|hrp| bech32::Hrp::parse(hrp).unwrap());
    for round in 0..ROUNDS {
        let text = if round % 2 == 0 {
            String::from_utf8_lossy(&input(&mut rng, &real)).into_owned()
        } else {
            // Any data behind a right checksum.
            let count = if rng.gen_ratio(1, 2) { 65 } else { rng.gen_range(0..90) };
            let mut data = noise(&mut rng, count);
            if let Some(version) = data.first_mut().filter(|_| round % 4 == 1) {
                *version = 0;
            }
            bech32::encode::<bech32::Bech32m>(hrps[round % 4], &data).unwrap()
        };
        if let Ok(address) = ArkAddress::parse(&text) {
            assert_eq!(address.to_string(), text.to_lowercase());
            assert!(Payout::from_script(&address.script_pubkey()).is_ok());
        }
    }
}

#[test]
fn any_stored_terms() {
    let mut rng = pair::rng(34);
    let real: Vec<Vec<u8>> = pairs().iter().map(|pair| pair.channel.terms.canonical()).collect();
    for _ in 0..ROUNDS {
        let bytes = input(&mut rng, &real);
        if let Ok(terms) = ChannelTerms::from_canonical(&bytes) {
            assert_eq!(terms.canonical(), bytes);
        }
    }
}

#[test]
fn any_stored_authorisation() {
    let mut rng = pair::rng(35);
    let real: Vec<Vec<u8>> = pairs().iter().map(|pair| pair.authorisation().to_bytes()).collect();
    for _ in 0..ROUNDS {
        if let Ok(authorisation) = Authorisation::from_bytes(&input(&mut rng, &real)) {
            assert_eq!(Authorisation::from_bytes(&authorisation.to_bytes()), Ok(authorisation));
        }
    }
}

#[test]
fn any_script() {
    let mut rng = pair::rng(36);
    let real: Vec<Vec<u8>> = pairs()
        .iter()
        .flat_map(|pair| [pair.script().script(), pair.channel.tree().script_pubkey()])
        .map(ScriptBuf::into_bytes)
        .collect();
    for _ in 0..ROUNDS {
        let bytes = input(&mut rng, &real);
        let script = Script::from_bytes(&bytes);
        if let Ok(read) = CheckpointScript::parse(script) {
            assert_eq!(read.script().as_script(), script);
        }
        if let Ok(payout) = Payout::from_script(script) {
            assert_eq!(payout.script().as_script(), script);
        }
    }
}

#[test]
fn any_number() {
    let mut rng = pair::rng(37);
    for _ in 0..ROUNDS {
        let number: i64 = rng.r#gen::<i64>() >> rng.gen_range(0..64);
        if let Ok(delay) = Delay::from_arkd(number) {
            assert_eq!(delay.to_arkd(), number);
            assert_eq!(Delay::from_sequence(delay.sequence()), Ok(delay));
        }
        let sequence = bitcoin::Sequence(rng.r#gen::<u32>() >> rng.gen_range(0..32));
        if let Ok(delay) = Delay::from_sequence(sequence) {
            assert_eq!(delay.sequence(), sequence);
        }
        for unit in [Unit::Blocks, Unit::Seconds] {
            if let Ok(delay) = Delay::at_least(unit, number as u64) {
                assert!(delay.value() >= number as u64 && delay.unit() == unit);
            }
        }
    }
}
