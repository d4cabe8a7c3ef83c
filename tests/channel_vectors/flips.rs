//! Recorded vectors with one bit changed are refused, or are no longer what was recorded.

use bitcoin::secp256k1::schnorr::Signature;
use virtual_channels::channel::script::CheckpointScript;
use virtual_channels::channel::{ArkAddress, Channel, ChannelError, ChannelUpdate, Network, psbt, terms::leaf};

use crate::offchain::{Submission, submissions};
use crate::recorded::{self, FILES, script, text};

/// Every way to change one bit.
pub fn flips(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    (0..bytes.len() * 8).map(|bit| {
        let mut bytes = bytes.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        bytes
    })
}

#[test]
fn flipped_payer_signatures_do_not_verify() {
    for name in ["life-blocks", "life-seconds", "restart-seconds"] {
        for Submission { channel, script, leaf, ark, .. } in submissions(&recorded::arkd(name)) {
            let payer = channel.terms.payer.key;
            let close = channel.close_template(script).unwrap();
            let Some(signature) = ark.inputs[0].tap_script_sigs.get(&(payer, close.checkpoint.leaf.hash)) else {
                continue;
            };
            if leaf != leaf::FORFEIT {
                continue;
            }
            let message = close.ark_sighash().message(ark.unsigned_tx.output[0].value);
            for flipped in flips(signature.signature.as_ref()) {
                let flipped = Signature::from_slice(&flipped).unwrap();
                assert!(!psbt::verify(&message, &payer, &flipped));
            }
        }
    }
}

#[test]
fn flipped_answers_of_the_operator_are_refused() {
    let file = recorded::arkd("life-seconds");
    let submission = submissions(&file).into_iter().find(|one| one.call["status"] == 200 && one.leaf == leaf::FORFEIT);
    let Submission { channel, script, ark, call, .. } = submission.unwrap();
    let built = channel.close(&script, ark.unsigned_tx.output[0].value).unwrap();
    let operator = channel.terms.operator;
    let good = recorded::psbt(&call["answer"]["finalArkTx"]);
    let checkpoint = recorded::psbt(&call["answer"]["signedCheckpointTxs"][0]);
    let same = built.check_answer(&good, std::slice::from_ref(&checkpoint), operator).unwrap();
    let read = |bytes: &[u8]| bitcoin::Psbt::deserialize(bytes).ok();
    // A flip in a part that means nothing here (another's signature, a field that is not read) may pass, but what
    // comes out is the same or the answer is refused.
    for flipped in flips(&good.serialize()) {
        let Some(answer) = read(&flipped) else { continue };
        if let Ok(signatures) = built.check_answer(&answer, std::slice::from_ref(&checkpoint), operator) {
            assert_eq!(signatures, same);
            assert_eq!(answer.unsigned_tx, good.unsigned_tx);
        }
    }
    for flipped in flips(&checkpoint.serialize()) {
        let Some(answer) = read(&flipped) else { continue };
        if let Ok(signatures) = built.check_answer(&good, &[answer], operator) {
            assert_eq!(signatures, same);
        }
    }
    // Each of the operator's two signatures, bit by bit.
    for (psbt, leaf, on_ark) in
        [(&good, built.checkpoints[0].leaf.hash, true), (&checkpoint, built.checkpoints[0].vtxo_leaf.hash, false)]
    {
        let signature = psbt.inputs[0].tap_script_sigs[&(operator, leaf)];
        for flipped in flips(signature.signature.as_ref()) {
            let mut answer = psbt.clone();
            let entry = answer.inputs[0].tap_script_sigs.get_mut(&(operator, leaf)).unwrap();
            entry.signature = Signature::from_slice(&flipped).unwrap();
            let result = if on_ark {
                built.check_answer(&answer, std::slice::from_ref(&checkpoint), operator)
            } else {
                built.check_answer(&good, &[answer], operator)
            };
            assert_eq!(result, Err(ChannelError::InvalidSignature { what: "operator's signature" }));
        }
        let mut answer = psbt.clone();
        answer.inputs[0].tap_script_sigs.get_mut(&(operator, leaf)).unwrap().sighash_type =
            bitcoin::TapSighashType::All;
        let result = if on_ark {
            built.check_answer(&answer, std::slice::from_ref(&checkpoint), operator)
        } else {
            built.check_answer(&good, &[answer], operator)
        };
        assert_eq!(result, Err(ChannelError::SighashType { got: 1 }));
    }
}

#[test]
fn a_flipped_checkpoint_script_is_refused_or_another() {
    let file = recorded::arkd("life-seconds");
    let info = &file["GetInfo"]["response"];
    let recorded_script = script(&info["checkpointTapscript"]);
    let forfeit = recorded::xonly(&info["forfeitPubkey"]);
    let same = CheckpointScript::parse(&recorded_script).unwrap();
    for flipped in flips(recorded_script.as_bytes()) {
        let Ok(read) = CheckpointScript::parse(bitcoin::Script::from_bytes(&flipped)) else { continue };
        assert_ne!(read, same);
        // Another key is refused; another delay is another script.
        assert!(read.check(Network::Regtest, &forfeit).is_err() || read.delay != same.delay);
    }
}

#[test]
fn a_flipped_address_is_refused() {
    for name in FILES {
        for channel in recorded::arkd(name)["channels"].as_array().unwrap() {
            let address = text(&channel["address"]);
            let same = ArkAddress::parse(address).unwrap();
            for flipped in flips(address.as_bytes()).filter_map(|bytes| String::from_utf8(bytes).ok()) {
                // Turning one letter upper case is refused, too: bech32m has no mixed case.
                assert!(ArkAddress::parse(&flipped).is_err(), "{flipped} was read for {same}");
            }
        }
    }
}

/// Terms and outpoint decide over everything: no bit of them can change without the id, the address or the
/// transactions changing, and so no signature made for one channel fits another.
#[test]
fn a_flip_in_the_terms_is_another_channel() {
    let file = recorded::arkd("life-seconds");
    let Submission { channel, script, .. } = submissions(&file).into_iter().next().unwrap();
    let payer = recorded::keypair(&file["keys"]["payer"]);
    let close = channel.close_template(script).unwrap();
    let update =
        ChannelUpdate::sign(&channel, &close, &payer, bitcoin::Amount::ZERO, bitcoin::Amount::from_sat(30_000));
    update.verify(&channel, &[&close]).unwrap();
    let canonical = channel.terms.canonical();
    let mut others = 0;
    for flipped in flips(&canonical) {
        let Ok(terms) = virtual_channels::channel::ChannelTerms::from_canonical(&flipped) else { continue };
        assert_ne!(terms, channel.terms);
        let other = Channel::new(terms, channel.funding).unwrap();
        assert_ne!(other.id, channel.id);
        assert!(matches!(update.verify(&other, &[&close]), Err(ChannelError::OtherChannel { .. })));
        others += 1;
    }
    assert!(others > canonical.len(), "{others}");
    for bit in 0..32 {
        let mut funding = channel.funding;
        funding.vout ^= 1 << bit;
        assert_ne!(Channel::new(channel.terms, funding).unwrap().id, channel.id);
    }
}
