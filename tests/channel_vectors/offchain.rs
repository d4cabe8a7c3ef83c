//! Checkpoints and ark transactions: our own from the same terms, and the recorded signatures on them.

use bitcoin::consensus::encode::serialize_hex;
use bitcoin::{OutPoint, Psbt, TapSighashType, TxOut};
use serde_json::Value;
use virtual_channels::channel::script::CheckpointScript;
use virtual_channels::channel::{Channel, Network, Payout, psbt, terms::leaf};

use crate::recorded::{self, FILES, script, text};

/// A recorded submission that spends a recorded channel.
pub struct Submission {
    pub channel: Channel,
    pub script: CheckpointScript,
    pub leaf: usize,
    pub ark: Psbt,
    pub checkpoint: Psbt,
    pub call: Value,
}

/// Payout of an output that has to be P2TR.
pub fn payout(output: &TxOut) -> Payout {
    Payout::from_script(&output.script_pubkey).unwrap()
}

/// All submissions in `file` that spend one of its channels.
pub fn submissions(file: &Value) -> Vec<Submission> {
    let mut found = Vec::new();
    for call in recorded::calls(file, "/v1/tx/submit") {
        let body = &call["body"];
        if text(&body["signedArkTx"]) == "aGVsbG8=" {
            continue;
        }
        let ark = recorded::psbt(&body["signedArkTx"]);
        let checkpoint = recorded::psbt(&body["checkpointTxs"][0]);
        let prevout = checkpoint.inputs[0].witness_utxo.clone().unwrap();
        let channels = file["channels"].as_array().unwrap();
        let Some(channel) = channels.iter().find(|channel| script(&channel["script"]) == prevout.script_pubkey) else {
            continue;
        };
        let mut terms = recorded::terms(channel, Network::Regtest, prevout.value.to_sat());
        let (tree, leaf) = recorded::spent_tree(&checkpoint, 0);
        assert_eq!(tree, terms.tree().unwrap());
        match ark.unsigned_tx.output.as_slice() {
            [receiver, payer, _anchor] => {
                terms.receiver.ark_payout = payout(receiver);
                terms.payer.ark_payout = payout(payer);
            }
            [only, _anchor] => terms.receiver.ark_payout = payout(only),
            other => panic!("{} outputs", other.len()),
        }
        let funding = checkpoint.unsigned_tx.input[0].previous_output;
        let script = CheckpointScript::parse(&recorded::leaves(&recorded::taptree_field(&ark, 0))[0]).unwrap();
        let channel = Channel::new(terms, funding).unwrap();
        found.push(Submission { channel, script, leaf, ark, checkpoint, call: call.clone() });
    }
    found
}

#[test]
fn submissions_that_arkd_rebuilt_are_ours() {
    let (mut closes, mut refunds) = (0, 0);
    for name in FILES {
        for submission in submissions(&recorded::arkd(name)) {
            let Submission { channel, script, leaf, ark, checkpoint, call } = &submission;
            let outputs = &ark.unsigned_tx.output;
            let built = if *leaf == leaf::FORFEIT {
                closes += 1;
                channel.close(script, outputs[0].value).unwrap()
            } else {
                refunds += 1;
                assert_eq!(*leaf, leaf::REFUND);
                // The early refund of one file has another locktime than the channel it stands beside.
                channel.refund(script, outputs[..outputs.len() - 1].to_vec()).unwrap()
            };
            assert_eq!(built.checkpoints[0].tx, checkpoint.unsigned_tx, "{name} {}", call["at"]);
            assert_eq!(built.ark, ark.unsigned_tx, "{name} {}", call["at"]);
            let own = built.ark_psbt().unwrap();
            assert_eq!(recorded::taptree_field(&own, 0), recorded::taptree_field(ark, 0));
            assert_eq!(own.inputs[0].tap_scripts, ark.inputs[0].tap_scripts);
            assert_eq!(own.inputs[0].witness_utxo, ark.inputs[0].witness_utxo);
            let own = built.checkpoints[0].psbt().unwrap();
            assert_eq!(recorded::taptree_field(&own, 0), recorded::taptree_field(checkpoint, 0));
            assert_eq!(own.inputs[0].tap_scripts, checkpoint.inputs[0].tap_scripts);
            assert_eq!(own.inputs[0].witness_utxo, checkpoint.inputs[0].witness_utxo);
            if call["status"] == 200 {
                assert_eq!(built.txid().to_string(), text(&call["answer"]["arkTxid"]));
            }
        }
    }
    assert!(closes >= 15 && refunds >= 2, "{closes} closes, {refunds} refunds");
}

#[test]
fn recorded_payer_signatures_are_over_our_messages() {
    let mut checked = 0;
    for name in FILES {
        for Submission { channel, script, leaf, ark, .. } in submissions(&recorded::arkd(name)) {
            if leaf != leaf::FORFEIT {
                continue;
            }
            let close = channel.close_template(script).unwrap();
            let message = close.ark_sighash().message(ark.unsigned_tx.output[0].value);
            for key in [channel.terms.payer.key, channel.terms.receiver.key] {
                let Some(signature) = ark.inputs[0].tap_script_sigs.get(&(key, close.checkpoint.leaf.hash)) else {
                    continue;
                };
                assert_eq!(signature.sighash_type, TapSighashType::Default);
                assert!(psbt::verify(&message, &key, &signature.signature), "{name}");
                let other = close.ark_sighash().message(ark.unsigned_tx.output[0].value + bitcoin::Amount::ONE_SAT);
                assert!(!psbt::verify(&other, &key, &signature.signature), "{name}");
                checked += 1;
            }
        }
    }
    assert!(checked >= 20, "{checked}");
}

#[test]
fn the_payers_presigned_checkpoint_is_over_our_message() {
    for name in ["life-blocks", "life-seconds"] {
        let file = recorded::arkd(name);
        let offchain = &file["offchain"];
        let channel = &file["channels"][0];
        let mut terms = recorded::terms(channel, Network::Regtest, recorded::number(&offchain["capacity"]));
        let to = |name: &str| Payout::from_script(&script(&offchain[name])).unwrap();
        terms.receiver.ark_payout = to("receiver_script");
        terms.payer.ark_payout = to("payer_script");
        let channel = Channel::new(terms, recorded::outpoint(&offchain["outpoint"])).unwrap();
        let checkpoint_script = recorded::checkpoint_script(&offchain["checkpointTapscript"]);
        let amount = bitcoin::Amount::from_sat(recorded::number(&offchain["amount"]));
        let close = channel.close(&checkpoint_script, amount).unwrap();
        assert_eq!(close.checkpoints[0].tx.compute_txid().to_string(), text(&offchain["checkpoint_txid"]));
        assert_eq!(close.txid().to_string(), text(&offchain["ark_txid"]));
        assert_eq!(serialize_hex(&close.checkpoints[0].tx), text(&offchain["checkpoint_unsigned_hex"]));
        assert_eq!(serialize_hex(&close.ark), text(&offchain["ark_unsigned_hex"]));

        let signed = recorded::psbt(&offchain["checkpoint"]);
        let leaf = &close.checkpoints[0].vtxo_leaf;
        let signature = signed.inputs[0].tap_script_sigs[&(channel.terms.payer.key, leaf.hash)];
        let message = close.checkpoints[0].sighash().unwrap();
        assert!(psbt::verify(&message, &channel.terms.payer.key, &signature.signature));
    }
}

#[test]
fn the_operators_recorded_answers_pass_and_damaged_ones_do_not() {
    let mut answers = 0;
    for name in FILES {
        for submission in submissions(&recorded::arkd(name)) {
            let Submission { channel, script, leaf, ark, call, .. } = submission;
            if call["status"] != 200 || leaf != leaf::FORFEIT {
                continue;
            }
            let built = channel.close(&script, ark.unsigned_tx.output[0].value).unwrap();
            let answer = recorded::psbt(&call["answer"]["finalArkTx"]);
            let checkpoints = [recorded::psbt(&call["answer"]["signedCheckpointTxs"][0])];
            let operator = channel.terms.operator;
            built.check_answer(&answer, &checkpoints, operator).unwrap();
            assert!(built.check_answer(&answer, &[], operator).is_err());
            assert!(built.check_answer(&answer, &checkpoints, channel.terms.payer.key).is_err());
            let other = channel.close(&script, ark.unsigned_tx.output[0].value + bitcoin::Amount::ONE_SAT).unwrap();
            assert!(other.check_answer(&answer, &checkpoints, operator).is_err());
            answers += 1;
        }
    }
    assert_eq!(answers, 5);
}

#[test]
fn sdk_transactions_are_ours() {
    for recorded_channel in &recorded::sdk() {
        let recorded_terms = &recorded_channel["terms"];
        let mut terms =
            recorded::terms(recorded_terms, Network::Regtest, recorded::number(&recorded_terms["capacity"]));
        let to = |name: &str| Payout::from_script(&script(&recorded_channel[name]["script"])).unwrap();
        terms.payer.ark_payout = to("payer_vtxo");
        terms.receiver.ark_payout = to("receiver_vtxo");
        let funding: OutPoint = recorded::outpoint(&recorded_channel["outpoint"]);
        let channel = Channel::new(terms, funding).unwrap();
        let script = recorded::checkpoint_script(&recorded_channel["checkpoint_tapscript"]);
        let amount = bitcoin::Amount::from_sat(recorded::number(&recorded_channel["amount"]));
        let refund_to = TxOut { value: terms.capacity, script_pubkey: terms.payer.ark_payout.script() };
        let close = channel.close(&script, amount).unwrap();
        let refund = channel.refund(&script, vec![refund_to]).unwrap();
        for (built, made) in [(close, &recorded_channel["update"]), (refund, &recorded_channel["refund"])] {
            assert_eq!(built.checkpoints[0].tx.compute_txid().to_string(), text(&made["checkpoint"]["txid"]));
            assert_eq!(serialize_hex(&built.checkpoints[0].tx), text(&made["checkpoint"]["hex"]));
            assert_eq!(built.txid().to_string(), text(&made["ark"]["txid"]));
            assert_eq!(serialize_hex(&built.ark), text(&made["ark"]["hex"]));
        }
    }
}
