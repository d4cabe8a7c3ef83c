//! Leaves, trees, scripts and addresses.

use bitcoin::ScriptBuf;
use serde_json::Value;
use virtual_channels::channel::script::{CheckpointScript, default_vtxo};
use virtual_channels::channel::{ArkAddress, ChannelTerms, Network, TapTree, terms::leaf};

use crate::recorded::{self, FILES, bytes, delay, script, text, xonly};

/// Whether `tree` is the recorded one: leaves, encoding, script and address.
fn same(tree: &TapTree, terms: &ChannelTerms, leaves: &[ScriptBuf], recorded: &Value) {
    assert_eq!(tree.leaves(), leaves);
    assert_eq!(tree.encode(), bytes(recorded.get("taptree").unwrap_or(&recorded["tapTree"])));
    assert_eq!(tree.script_pubkey(), script(&recorded["script"]));
    let address = ArkAddress::new(terms.network, terms.operator, tree.output_key());
    assert_eq!(address.to_string(), text(&recorded["address"]));
    assert_eq!(ArkAddress::parse(text(&recorded["address"])).unwrap(), address);
    assert_eq!(ArkAddress::parse(&text(&recorded["address"]).to_uppercase()).unwrap(), address);
    assert_eq!(address.script_pubkey(), tree.script_pubkey());
}

fn named_leaves(recorded: &Value) -> Vec<ScriptBuf> {
    ["forfeit", "refund", "update", "unilateral"].map(|name| script(&recorded[name])).to_vec()
}

#[test]
fn recorded_channels_have_our_trees_and_addresses() {
    let mut seen = 0;
    for file in FILES {
        for channel in recorded::arkd(file)["channels"].as_array().unwrap() {
            let terms = recorded::terms(channel, Network::Regtest, 100_000);
            same(&terms.tree().unwrap(), &terms, &named_leaves(&channel["leaves"]), channel);
            assert_eq!(terms.address().unwrap().to_string(), text(&channel["address"]));
            seen += 1;
        }
    }
    assert_eq!(seen, 2 + 2 + 1 + 1 + 3 + 3 + 6 + 1 + 1);
}

#[test]
fn sdk_channels_have_our_trees_and_addresses() {
    let channels = recorded::sdk();
    assert_eq!(channels.len(), 24);
    for channel in &channels {
        let network = if text(&channel["network_hrp"]) == "ark" { Network::Bitcoin } else { Network::Mutinynet };
        let recorded_terms = &channel["terms"];
        let terms = recorded::terms(recorded_terms, network, recorded_terms["capacity"].as_u64().unwrap());
        let leaves = |value: &Value| value["leaves"].as_array().unwrap().iter().map(script).collect::<Vec<_>>();
        same(&terms.tree().unwrap(), &terms, &leaves(&channel["channel"]), &channel["channel"]);

        let operator = xonly(&recorded_terms["operator"]);
        for (name, owner, exit_delay) in [
            ("payer_vtxo", "payer_owner", &recorded_terms["exit_delay"]),
            ("receiver_vtxo", "receiver_owner", &recorded_terms["exit_delay"]),
            ("boarding", "payer_owner", &channel["boarding"]["exit_delay"]),
        ] {
            let tree = default_vtxo(xonly(&recorded_terms[owner]), operator, delay(exit_delay)).unwrap();
            same(&tree, &terms, &leaves(&channel[name]), &channel[name]);
        }
        let checkpoint =
            CheckpointScript { delay: delay(&channel["checkpoint_delay"]), key: xonly_of(channel, "forfeit") };
        assert_eq!(checkpoint.script(), script(&channel["checkpoint_tapscript"]));
        assert_eq!(CheckpointScript::parse(&script(&channel["checkpoint_tapscript"])).unwrap(), checkpoint);
    }
}

fn xonly_of(channel: &Value, secret: &str) -> bitcoin::XOnlyPublicKey {
    recorded::keypair(&channel["secrets"][secret]).x_only_public_key().0
}

#[test]
fn checkpoint_scripts_of_every_recorded_operator_are_read() {
    for file in FILES {
        let file = recorded::arkd(file);
        let mut seen = 0;
        for call in recorded::calls(&file, "/v1/info") {
            let recorded_script = script(&call["answer"]["checkpointTapscript"]);
            let read = CheckpointScript::parse(&recorded_script).unwrap();
            assert_eq!(read.script(), recorded_script);
            read.check(Network::Regtest, &xonly(&call["answer"]["forfeitPubkey"])).unwrap();
            seen += 1;
        }
        assert!(seen > 0);
    }
}

#[test]
fn every_leaf_can_be_spent() {
    let file = recorded::arkd("life-seconds");
    let terms = recorded::terms(&file["channels"][0], Network::Regtest, 100_000);
    let tree = terms.tree().unwrap();
    for index in [leaf::FORFEIT, leaf::REFUND, leaf::UPDATE, leaf::UNILATERAL] {
        let leaf = tree.leaf(index).unwrap();
        let secp = bitcoin::secp256k1::SECP256K1;
        assert!(leaf.control.verify_taproot_commitment(secp, tree.output_key(), &leaf.script));
    }
    assert!(tree.leaf(4).is_err());
}
