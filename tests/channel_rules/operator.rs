//! What is believed of the operator: its signer, its checkpoint script.

use bitcoin::ScriptBuf;
use virtual_channels::channel::operator_info::DeprecatedSigner;
use virtual_channels::channel::script::{CheckpointScript, csv_multisig};
use virtual_channels::channel::{ChannelError, Delay, Network, OperatorInfo, Unit};

use crate::pair::{NOW, Pair, keypair, rng};

const REAL: [Network; 4] = [Network::Bitcoin, Network::Testnet, Network::Signet, Network::Mutinynet];

#[test]
fn checkpoint_script_with_a_short_delay() {
    let pair = Pair::new(41, Unit::Seconds, 10_000);
    let key = pair.info.forfeit_key;
    let minimum = 12 * 3600;
    for network in REAL {
        for (delay, seconds, fits) in [
            (Delay::seconds(43_520).unwrap(), 43_520, true),
            (Delay::seconds(43_008).unwrap(), 43_008, false),
            (Delay::seconds(512).unwrap(), 512, false),
            (Delay::blocks(72).unwrap(), 43_200, true),
            (Delay::blocks(71).unwrap(), 42_600, false),
        ] {
            let result = CheckpointScript { delay, key }.check(network, &key);
            let refused = Err(ChannelError::CheckpointDelayTooShort { seconds, minimum });
            assert_eq!(result, if fits { Ok(()) } else { refused });
        }
    }
    // On regtest what GetInfo says.
    CheckpointScript { delay: Delay::blocks(1).unwrap(), key }.check(Network::Regtest, &key).unwrap();
}

#[test]
fn checkpoint_script_with_another_key() {
    let pair = Pair::new(42, Unit::Seconds, 10_000);
    for network in REAL.into_iter().chain([Network::Regtest]) {
        for other in [&pair.payer, &pair.receiver, &pair.operator, &keypair(&mut rng(1))] {
            let script = CheckpointScript { key: other.x_only_public_key().0, ..pair.script() };
            let error = ChannelError::UnacceptableCheckpointScript { script: script.script().to_hex_string() };
            assert_eq!(script.check(network, &pair.info.forfeit_key), Err(error));
        }
    }
}

#[test]
fn checkpoint_script_that_is_more_than_a_delay_and_a_key() {
    let pair = Pair::new(43, Unit::Seconds, 10_000);
    let good = pair.script();
    let bytes = good.script().into_bytes();
    let key = good.key.serialize();
    let with = |parts: &[&[u8]]| ScriptBuf::from_bytes(parts.concat());
    let second = csv_multisig(good.delay, &[good.key, pair.channel.terms.payer.key]);
    for script in [
        ScriptBuf::new(),
        second,
        with(&[&bytes[4..]]),
        with(&[&[0x20], &key, &[0xac]]),
        with(&[&bytes, &[0x51]]),
        with(&[&[0x51], &bytes]),
        // CLTV in the place of CSV, NOP for DROP, CHECKSIGVERIFY for CHECKSIG.
        with(&[&bytes[..4], &[0xb1], &bytes[5..]]),
        with(&[&bytes[..5], &[0x61], &bytes[6..]]),
        with(&[&bytes[..bytes.len() - 1], &[0xad]]),
        // The same number in more bytes than it needs, a negative one, one with the disable bit.
        with(&[&[0x02, 0x05, 0x00, 0xb2, 0x75, 0x20], &key, &[0xac]]),
        with(&[&[0x01, 0x85, 0xb2, 0x75, 0x20], &key, &[0xac]]),
        with(&[&[0x05, 0x05, 0x00, 0x00, 0x80, 0x00, 0xb2, 0x75, 0x20], &key, &[0xac]]),
        with(&[&[0x00, 0xb2, 0x75, 0x20], &key, &[0xac]]),
        with(&[&[0x55, 0xb2, 0x75, 0x20], &[0xff; 32], &[0xac]]),
        with(&[&[0x55, 0xb2, 0x75, 0x21, 0x02], &key, &[0xac]]),
        with(&[&[0x4c, 0x01, 0x20, 0xb2, 0x75, 0x20], &key, &[0xac]]),
    ] {
        let error = ChannelError::UnacceptableCheckpointScript { script: script.to_hex_string() };
        assert_eq!(CheckpointScript::parse(&script), Err(error));
    }
    for blocks in [1, 16, 17, 127, 128, 255, 256, 32_767, 32_768, 65_535] {
        let script = CheckpointScript { delay: Delay::blocks(blocks).unwrap(), key: good.key };
        assert_eq!(CheckpointScript::parse(&script.script()), Ok(script));
    }
}

#[test]
fn signer_rotated_before_and_after_cutoff() {
    let pair = Pair::new(44, Unit::Seconds, 10_000);
    let [new, endless] = std::array::from_fn(|i| keypair(&mut rng(i as u64)).x_only_public_key().0);
    let old = pair.info.signer;
    let info = OperatorInfo {
        signer: new,
        deprecated_signers: vec![
            DeprecatedSigner { key: old, cutoff: Some(NOW + 100) },
            DeprecatedSigner { key: endless, cutoff: None },
        ],
        ..pair.info.clone()
    };
    assert_eq!(info.check_signer(&new, NOW), Ok(None));
    assert_eq!(info.check_signer(&endless, u64::MAX), Ok(None));
    assert_eq!(info.check_signer(&old, NOW + 99), Ok(Some(NOW + 100)));
    let error = ChannelError::WrongOperator { expected: new.into(), got: old.into() };
    assert_eq!(info.check_signer(&old, NOW + 100), Err(error.clone()));
    pair.channel.terms.check(&info, NOW).unwrap();
    assert_eq!(pair.channel.terms.check(&info, NOW + 100), Err(error));
}
