//! Exits: the transactions that Bitcoin Core accepted, built and signed again.

use bitcoin::taproot::LeafVersion;
use bitcoin::{Amount, OutPoint, TapLeafHash, Transaction};
use serde_json::Value;
use virtual_channels::channel::{Channel, ChannelUpdate, Network, psbt, terms::leaf};

use crate::offchain::payout;
use crate::recorded::{self, bytes, text, unsigned};

/// The channel that `exit` spends, with the payouts of its outputs.
fn channel(file: &Value, exit: &Transaction, leaf: usize) -> Channel {
    let script = &exit.input[0].witness[exit.input[0].witness.len() - 2];
    let name = if leaf == leaf::UPDATE { "update" } else { "unilateral" };
    let channels = file["channels"].as_array().unwrap();
    let recorded_channel = channels.iter().find(|channel| bytes(&channel["leaves"][name]) == script).unwrap();
    let funding: OutPoint = exit.input[0].previous_output;
    let capacity = exit.output.iter().map(|output| output.value.to_sat()).sum();
    let mut terms = recorded::terms(recorded_channel, Network::Regtest, capacity);
    let payer = payout(&exit.output[exit.output.len() - 2]);
    terms.payer.chain_payout = payer;
    terms.receiver.chain_payout = payout(&exit.output[0]);
    // The capacity is what the branch pays to the channel, too.
    let branch = &file[format!("branch.{}", &funding.txid.to_string()[..8])];
    let funded = &recorded::transaction(&branch["hex"]).output[funding.vout as usize];
    let channel = Channel::new(terms, funding).unwrap();
    assert_eq!(funded, &channel.prevout());
    channel
}

fn key_named(file: &Value, key: &bitcoin::XOnlyPublicKey) -> secp256k1::Keypair {
    let keys = file["keys"].as_object().unwrap().values().map(recorded::keypair);
    keys.into_iter().find(|pair| pair.x_only_public_key().0 == *key).unwrap()
}

#[test]
fn exit_updates_are_the_accepted_ones() {
    for name in ["exit-blocks", "exit-seconds"] {
        let file = recorded::arkd(name);
        let exit = recorded::transaction(&file["exit.update"]["hex"]);
        let channel = channel(&file, &exit, leaf::UPDATE);
        let amount = exit.output[0].value;
        let own = channel.exit_update(amount).unwrap();
        assert_eq!(own.compute_txid().to_string(), text(&file["exit.update"]["txid"]));
        assert_eq!(own, unsigned(exit.clone()));

        // Their signatures are over our message; the receiver's is the first in the witness.
        let message = channel.exit_sighash().message(amount);
        let signature =
            |index: usize| bitcoin::secp256k1::schnorr::Signature::from_slice(&exit.input[0].witness[index]);
        assert!(psbt::verify(&message, &channel.terms.receiver.key, &signature(0).unwrap()));
        assert!(psbt::verify(&message, &channel.terms.payer.key, &signature(1).unwrap()));

        // And ours have the same shape: signed with the recorded keys, only the signatures differ.
        let payer = key_named(&file, &channel.terms.payer.key);
        let receiver = key_named(&file, &channel.terms.receiver.key);
        let script = recorded::checkpoint_script(
            &recorded::calls(&file, "/v1/info").next().unwrap()["answer"]["checkpointTapscript"],
        );
        let close = channel.close_template(script).unwrap();
        let update = ChannelUpdate::sign(&channel, &close, &payer, Amount::ZERO, amount);
        let signed = update.exit_transaction(&channel, &receiver).unwrap();
        assert_eq!(signed.compute_txid(), exit.compute_txid());
        assert_eq!(signed.input[0].witness.len(), exit.input[0].witness.len());
        for index in [2, 3] {
            assert_eq!(signed.input[0].witness[index], exit.input[0].witness[index]);
        }
        let own = bitcoin::secp256k1::schnorr::Signature::from_slice(&signed.input[0].witness[0]).unwrap();
        assert!(psbt::verify(&message, &channel.terms.receiver.key, &own));
    }
}

#[test]
fn unilateral_refunds_are_the_accepted_ones() {
    for name in ["exit-blocks", "exit-seconds"] {
        let file = recorded::arkd(name);
        let exit = recorded::transaction(&file["exit.refund"]["hex"]);
        let channel = channel(&file, &exit, leaf::UNILATERAL);
        let own = channel.unilateral_refund();
        assert_eq!(own.compute_txid().to_string(), text(&file["exit.refund"]["txid"]));
        assert_eq!(own, unsigned(exit.clone()));
        let payer = key_named(&file, &channel.terms.payer.key);
        let signed = channel.signed_unilateral_refund(&payer).unwrap();
        assert_eq!(signed.compute_txid(), exit.compute_txid());
        for index in [1, 2] {
            assert_eq!(signed.input[0].witness[index], exit.input[0].witness[index]);
        }
        let leaf = channel.unilateral_leaf().unwrap();
        assert_eq!(leaf.hash, TapLeafHash::from_script(&leaf.script, LeafVersion::TapScript));
        let message = psbt::sighash(&own, 0, &[channel.prevout()], &leaf).unwrap();
        let theirs = bitcoin::secp256k1::schnorr::Signature::from_slice(&exit.input[0].witness[0]).unwrap();
        assert!(psbt::verify(&message, &channel.terms.payer.key, &theirs));
    }
}
