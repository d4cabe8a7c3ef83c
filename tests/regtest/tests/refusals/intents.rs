//! RegisterIntent, DeleteIntent, EstimateIntentFee and GetPendingTx.

use bitcoin::psbt::Psbt;
use bitcoin::{Amount, OutPoint, ScriptBuf, Sequence, TxOut};
use regtest::operator::script::{Delay, Leaf, LeafTree, anchor};
use regtest::operator::{psbt, wire};
use tonic::Status;

use super::{Answers, with};
use crate::operator_support::target::Target;
use crate::operator_support::{
    Coin, Party, leaf_of, prevouts, proof, register_message, short_message, sign, signed_intent,
};

async fn register(alice: &mut Party, proof: &str, message: &str) -> Result<(), Status> {
    let intent = wire::Intent { proof: proof.into(), message: message.into() };
    alice.ark.register_intent(wire::RegisterIntentRequest { intent: Some(intent) }).await.map(|_| ())
}

fn signed(alice: &Party, mut packet: Psbt) -> String {
    let all = prevouts(&packet);
    sign(&mut packet, &all, &alice.key);
    packet.to_string()
}

pub async fn all(target: &Target, alice: &mut Party, coins: &[Coin], answers: &mut Answers) {
    let coin = &coins[3];
    let whole = vec![alice.vtxo_output(20_000)];
    let message = register_message(&[alice.cosigner_key()], &[]);
    let good = proof(std::slice::from_ref(coin), whole.clone(), &message);
    let text = signed(alice, good.clone());
    messages(alice, coin, &text, &message, answers).await;
    proofs(alice, coin, &good, &message, answers).await;
    outputs(alice, coin, answers).await;
    chain(target, alice, answers).await;
    locks(alice, coin, answers).await;
    others(alice, coin, answers).await;
}

async fn messages(alice: &mut Party, coin: &Coin, text: &str, message: &str, answers: &mut Answers) {
    let nothing = alice.ark.register_intent(wire::RegisterIntentRequest { intent: None }).await;
    answers.note("register nothing", nothing);
    for (name, proof, message) in [
        ("register without proof", "", message),
        ("register a garbage proof", "aGVsbG8=", message),
        ("register without message", text, ""),
        ("register text for a message", text, "hello"),
        ("register an empty message", text, "{}"),
        ("register a list for a message", text, "[]"),
    ] {
        answers.note(name, register(alice, proof, message).await);
    }
    let spaced = message.replace(',', ", ");
    let whole = vec![alice.vtxo_output(20_000)];
    let own = signed(alice, proof(std::slice::from_ref(coin), whole.clone(), &spaced));
    answers.note("a message that Go writes otherwise", register(alice, &own, &spaced).await);
    answers.note(
        "a proof for another message",
        register(alice, text, &spaced.replace(", ", ",").replacen(":0", ":1", 1)).await,
    );
    for (name, message) in [
        ("a message from the future", message.replace("\"valid_at\":0", "\"valid_at\":4000000000")),
        ("a message from the past", message.replace("\"expire_at\":0", "\"expire_at\":1000")),
        ("no cosigners", register_message(&[], &[])),
        ("cosigners null", message.replace(&format!("[\"{}\"]", alice.cosigner_key()), "null")),
    ] {
        let own = signed(alice, proof(std::slice::from_ref(coin), whole.clone(), &message));
        answers.note(name, register(alice, &own, &message).await);
    }
}

async fn proofs(alice: &mut Party, coin: &Coin, good: &Psbt, message: &str, answers: &mut Answers) {
    let cases: Vec<(&str, Psbt)> = vec![
        ("proof without leaf", with(good, |p| p.inputs[1].tap_scripts.clear())),
        ("proof without a leaf on the message", with(good, |p| p.inputs[0].tap_scripts.clear())),
        ("proof without taptree", with(good, |p| p.inputs[1].unknown.clear())),
        (
            "proof with another taptree",
            with(good, |p| {
                psbt::reveal_scripts(
                    &mut p.inputs[1],
                    &[
                        coin.tree.leaves[1].script.clone(),
                        coin.tree.leaves[0].script.clone(),
                        coin.tree.leaves[1].script.clone(),
                    ],
                );
            }),
        ),
        (
            "proof with one sat more",
            with(good, |p| p.inputs[1].witness_utxo.as_mut().unwrap().value += Amount::from_sat(1)),
        ),
        (
            "proof with another script",
            with(good, |p| p.inputs[1].witness_utxo.as_mut().unwrap().script_pubkey = anchor().script_pubkey),
        ),
    ];
    for (name, packet) in cases {
        let own = signed(alice, packet);
        answers.note(name, register(alice, &own, message).await);
    }
    let without = with(good, |p| p.inputs[1].witness_utxo = None);
    answers.note("proof without witness utxo", register(alice, &without.to_string(), message).await);
    answers.note("proof without signatures", register(alice, &good.to_string(), message).await);
    let half = {
        let mut packet = good.clone();
        let all = prevouts(&packet);
        psbt::sign_leaves(&mut packet, &all, &alice.key, Some(&[1])).unwrap();
        packet
    };
    answers.note("proof without the message's signature", register(alice, &half.to_string(), message).await);
    let twice = proof(&[coin.clone(), coin.clone()], good.unsigned_tx.output.clone(), message);
    let own = signed(alice, twice);
    answers.note("proof with a coin twice", register(alice, &own, message).await);
    let mut alone = good.clone();
    alone.unsigned_tx.input.truncate(1);
    alone.inputs.truncate(1);
    answers.note("proof without coins", register(alice, &alone.to_string(), message).await);
    let empty = signed(alice, proof(std::slice::from_ref(coin), Vec::new(), message));
    answers.note("proof without outputs", register(alice, &empty, message).await);
    let spent = Coin { outpoint: OutPoint::new(coin.outpoint.txid, 1), ..coin.clone() };
    let own = signed(alice, proof(&[spent], good.unsigned_tx.output.clone(), message));
    answers.note("proof of a spent VTXO", register(alice, &own, message).await);
}

async fn outputs(alice: &mut Party, coin: &Coin, answers: &mut Answers) {
    let own = alice.vtxo_output(1).script_pubkey;
    let output = |sats, script: &ScriptBuf| TxOut { value: Amount::from_sat(sats), script_pubkey: script.clone() };
    let bare = ScriptBuf::from_bytes(vec![0x51]);
    for (name, outputs, onchain) in [
        ("an output of dust", vec![output(329, &own), output(19_671, &own)], vec![]),
        ("outputs above the inputs", vec![output(20_001, &own)], vec![]),
        ("an output on chain of dust", vec![output(329, &own), output(19_671, &own)], vec![0]),
        ("an output on chain without address", vec![output(20_000, &bare)], vec![0]),
    ] {
        let message = register_message(&[alice.cosigner_key()], &onchain);
        let text = signed(alice, proof(std::slice::from_ref(coin), outputs, &message));
        answers.note(name, register(alice, &text, &message).await);
    }
}

/// Coins of the chain.
async fn chain(target: &Target, alice: &mut Party, answers: &mut Answers) {
    let tree = alice.boarding_tree();
    let script = tree.script_pubkey();
    let good = target.pay(&script, 20_000).await;
    let exit_tree = alice.vtxo_tree();
    let short = LeafTree::new(vec![
        leaf_of(&[alice.x(), alice.signer()]),
        Leaf::after(
            match exit_tree.smallest_exit().unwrap() {
                Delay::Blocks(n) => Delay::Blocks(n - 1),
                Delay::Seconds(n) => Delay::Seconds(n - 512),
            },
            alice.x(),
        ),
    ])
    .unwrap();
    let early = target.pay(&short.script_pubkey(), 20_000).await;
    target.mine(1).await;
    let unconfirmed = target.pay(&script, 20_000).await;
    let coin = |outpoint, tree: &LeafTree, amount| Coin {
        outpoint,
        amount,
        tree: tree.clone(),
        leaf: 0,
        sequence: Sequence::MAX,
    };
    let nowhere = OutPoint::new(good.txid, 9);
    let unknown: OutPoint = format!("{}:0", "11".repeat(32)).parse().unwrap();
    for (name, coin) in [
        ("a coin that is not confirmed", coin(unconfirmed, &tree, 20_000)),
        ("a coin that does not exist", coin(unknown, &tree, 20_000)),
        ("an output that does not exist", coin(nowhere, &tree, 20_000)),
        ("a coin with one sat more", coin(good, &tree, 20_001)),
        ("a coin with another script", coin(good, &exit_tree, 20_000)),
        ("a coin with a short exit", coin(early, &short, 20_000)),
    ] {
        let message = register_message(&[alice.cosigner_key()], &[]);
        let text = signed(alice, proof(&[coin], vec![alice.vtxo_output(20_000)], &message));
        answers.note(name, register(alice, &text, &message).await);
    }
    let coins = [coin(good, &tree, 20_000)];
    let message = register_message(&[alice.cosigner_key()], &[0]);
    let text = signed(alice, proof(&coins, vec![alice.vtxo_output(20_000)], &message));
    answers.note("a coin in and out of the chain", register(alice, &text, &message).await);
    let message = register_message(&[alice.cosigner_key()], &[]);
    let bare = with(&proof(&coins, vec![alice.vtxo_output(20_000)], &message), |p| p.inputs[1].unknown.clear());
    let text = signed(alice, bare);
    answers.note("a coin without taptree", register(alice, &text, &message).await);
}

/// Relative locks of proofs.
async fn locks(alice: &mut Party, coin: &Coin, answers: &mut Answers) {
    let message = register_message(&[alice.cosigner_key()], &[]);
    let delay = coin.tree.smallest_exit().unwrap();
    let far = match delay {
        Delay::Blocks(_) => Delay::Blocks(60_000),
        Delay::Seconds(_) => Delay::Seconds(1 << 24),
    };
    for (name, sequence) in [("a proof that waits for long", far.sequence()), ("a proof that waits for ever", u32::MAX)]
    {
        let coins = [Coin { leaf: 1, sequence: Sequence(sequence), ..coin.clone() }];
        let text = signed(alice, proof(&coins, vec![alice.vtxo_output(20_000)], &message));
        let result = register(alice, &text, &message).await;
        let locked = result.is_ok();
        answers.note(name, result);
        if locked {
            let again = register(alice, &text, &message).await;
            answers.note("the same again in the queue", again);
            let (ark, checkpoints) = alice.offchain(std::slice::from_ref(coin), vec![alice.vtxo_output(20_000)]);
            answers.note("submit what an intent holds", alice.submit(&ark, &checkpoints).await);
            let other = short_message("get-pending-tx");
            let wrong = signed_intent(std::slice::from_ref(coin), Vec::new(), other, &[&alice.key]);
            let delete = |intent| wire::DeleteIntentRequest { intent: Some(intent) };
            answers.note("delete with another message", alice.ark.delete_intent(delete(wrong)).await);
            let unsigned = signed_intent(std::slice::from_ref(coin), Vec::new(), short_message("delete"), &[]);
            answers.note("delete without signature", alice.ark.delete_intent(delete(unsigned)).await);
            let good = signed_intent(std::slice::from_ref(coin), Vec::new(), short_message("delete"), &[&alice.key]);
            answers.note("delete", alice.ark.delete_intent(delete(good.clone())).await);
            answers.note("delete again", alice.ark.delete_intent(delete(good)).await);
        }
    }
}

async fn others(alice: &mut Party, coin: &Coin, answers: &mut Answers) {
    let whole = vec![alice.vtxo_output(20_000)];
    let message = register_message(&[alice.cosigner_key()], &[]).replace("register", "estimate-intent-fee");
    let text = signed(alice, proof(std::slice::from_ref(coin), whole, &message));
    let intent = wire::Intent { proof: text, message };
    let ask = wire::EstimateIntentFeeRequest { intent: Some(intent.clone()) };
    let fee = alice.ark.estimate_intent_fee(ask).await;
    let shown = fee.as_ref().map_or(-1, |f| f.get_ref().fee);
    answers.note(&format!("an estimate ({shown})"), fee);
    let ask = wire::RegisterIntentRequest { intent: Some(intent) };
    answers.note("register an estimate", alice.ark.register_intent(ask).await);
    let none = wire::GetPendingTxRequest { identifier: None };
    answers.note("pending of nothing", alice.ark.get_pending_tx(none).await);
    for (name, message, keys) in [
        ("pending of an unspent VTXO", short_message("get-pending-tx"), vec![&alice.key]),
        ("pending of an unspent VTXO, unsigned", short_message("get-pending-tx"), vec![]),
        ("pending with an old message", short_message("get-pending-tx").replace(":0", ":1000"), vec![&alice.key]),
        ("pending with another message", short_message("delete"), vec![&alice.key]),
    ] {
        let intent = signed_intent(std::slice::from_ref(coin), Vec::new(), message, &keys);
        let identifier = Some(wire::get_pending_tx_request::Identifier::Intent(intent));
        answers.note(name, alice.ark.clone().get_pending_tx(wire::GetPendingTxRequest { identifier }).await);
    }
}
