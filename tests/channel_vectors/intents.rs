//! Intent proofs: the same unsigned transaction and message as every recorded one.

use bitcoin::secp256k1::PublicKey;
use bitcoin::{Amount, Psbt, TxOut};
use serde_json::Value;
use virtual_channels::channel::intent::{Intent, IntentInput, IntentMessage};
use virtual_channels::channel::script::default_vtxo;
use virtual_channels::channel::{Authorisation, Channel, Network, TapTree, terms::leaf};

use crate::recorded::{self, FILES, delay, number, outpoint, script, text, xonly};

/// The message with these bytes.
fn message(encoded: &str) -> IntentMessage {
    let json: Value = serde_json::from_str(encoded).unwrap();
    let (expire_at, numbers) = (number(&json["expire_at"]), |value: &Value| {
        value.as_array().unwrap().iter().map(|item| number(item) as u32).collect::<Vec<_>>()
    });
    let read = match text(&json["type"]) {
        "register" => IntentMessage::Register {
            onchain_outputs: numbers(&json["onchain_output_indexes"]),
            valid_at: number(&json["valid_at"]),
            expire_at,
            cosigners: cosigners(&json["cosigners_public_keys"]),
        },
        "delete" => IntentMessage::Delete { expire_at },
        "get-pending-tx" => IntentMessage::GetPendingTx { expire_at },
        other => panic!("{other}"),
    };
    assert_eq!(read.encode(), encoded);
    read
}

fn cosigners(value: &Value) -> Vec<PublicKey> {
    value.as_array().unwrap().iter().map(|key| text(key).parse().unwrap()).collect()
}

/// The coins a recorded proof spends.
fn inputs(proof: &Psbt) -> Vec<IntentInput> {
    let locktime = recorded::locktime_of(&proof.unsigned_tx);
    let input = |index: usize| {
        let (tree, leaf) = recorded::spent_tree(proof, index);
        let prevout = proof.inputs[index].witness_utxo.clone().unwrap();
        let txin = &proof.unsigned_tx.input[index];
        IntentInput { outpoint: txin.previous_output, prevout, tree, leaf, sequence: txin.sequence, locktime }
    };
    (1..proof.inputs.len()).map(input).collect()
}

#[test]
fn recorded_proofs_are_ours() {
    let mut kinds = [0, 0, 0];
    for name in FILES {
        let file = recorded::arkd(name);
        for (kind, path) in ["/registerIntent", "/deleteIntent", "/tx/pending"].into_iter().enumerate() {
            for call in recorded::calls(&file, path) {
                let recorded_intent = &call["body"]["intent"];
                let proof = recorded::psbt(&recorded_intent["proof"]);
                let outputs = match proof.unsigned_tx.output.as_slice() {
                    [only] if only.script_pubkey.is_op_return() => Vec::new(),
                    outputs => outputs.to_vec(),
                };
                let encoded = text(&recorded_intent["message"]);
                let own = Intent::new(&message(encoded), &inputs(&proof), outputs).unwrap();
                assert_eq!(own.proof().unsigned_tx, proof.unsigned_tx, "{name} {path} {}", call["at"]);
                assert_eq!(own.message(), encoded);
                assert_eq!(own.proof().unknown, proof.unknown, "the message travels in the PSBT too");
                for index in 1..proof.inputs.len() {
                    let (own, recorded) = (&own.proof().inputs[index], &proof.inputs[index]);
                    assert_eq!(own.witness_utxo, recorded.witness_utxo);
                    assert_eq!(own.tap_scripts, recorded.tap_scripts);
                    assert_eq!(own.unknown, recorded.unknown);
                }
                kinds[kind] += 1;
            }
        }
    }
    assert!(kinds[0] >= 20 && kinds[1] >= 2 && kinds[2] >= 2, "{kinds:?}");
}

#[test]
fn the_authorisations_proofs_are_the_sdks() {
    for recorded_channel in &recorded::sdk() {
        let recorded_terms = &recorded_channel["terms"];
        let terms = recorded::terms(recorded_terms, Network::Regtest, number(&recorded_terms["capacity"]));
        let channel = Channel::new(terms, outpoint(&recorded_channel["outpoint"])).unwrap();
        let script = recorded::checkpoint_script(&recorded_channel["checkpoint_tapscript"]);
        let payer = recorded::keypair(&recorded_channel["secrets"]["payer"]);
        let receiver = recorded::keypair(&recorded_channel["secrets"]["receiver"]);
        let authorisation = Authorisation::sign(&channel, script, &payer).unwrap();
        authorisation.verify(&channel, &channel.close_template(script).unwrap()).unwrap();
        let proofs = &recorded_channel["proofs"];
        let pending = authorisation.pending_proof(&channel, &receiver).unwrap();
        let delete = authorisation.delete_proof(&channel, &receiver).unwrap();
        for (own, made) in [(pending, &proofs["pending"]), (delete, &proofs["delete"])] {
            assert_eq!(own.message(), text(&made["message"]));
            assert_eq!(own.proof().unsigned_tx.compute_txid().to_string(), text(&made["txid"]));
            assert_eq!(own.proof().unsigned_tx, recorded::transaction(&made["hex"]));
            assert!(own.proof().inputs.iter().all(|input| input.tap_script_sigs.len() == 2));
        }
    }
}

#[test]
fn the_sdks_register_proofs_are_ours() {
    for recorded_channel in &recorded::sdk() {
        let terms = &recorded_channel["terms"];
        let tree = |exit_delay: &Value| -> TapTree {
            default_vtxo(xonly(&terms["payer_owner"]), xonly(&terms["operator"]), delay(exit_delay)).unwrap()
        };
        for (name, tree) in [
            ("register_from_vtxo", tree(&terms["exit_delay"])),
            ("register_from_boarding", tree(&recorded_channel["boarding"]["exit_delay"])),
        ] {
            let made = &recorded_channel["proofs"][name];
            let amount = Amount::from_sat(number(&terms["capacity"]) + number(&made["change"]));
            let input = IntentInput::unlocked(outpoint(&made["source"]), amount, tree, leaf::FORFEIT);
            let output = |value: &Value| TxOut {
                value: Amount::from_sat(number(&value["amount"])),
                script_pubkey: script(&value["script"]),
            };
            let outputs = made["outputs"].as_array().unwrap().iter().map(output).collect();
            let own = Intent::new(&message(text(&made["message"])), &[input], outputs).unwrap();
            assert_eq!(own.proof().unsigned_tx, recorded::transaction(&made["hex"]));
        }
    }
}
