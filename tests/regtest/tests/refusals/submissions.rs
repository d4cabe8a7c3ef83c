//! SubmitTx and FinalizeTx.

use bitcoin::psbt::Psbt;
use bitcoin::taproot::LeafVersion;
use bitcoin::{Amount, OutPoint, ScriptBuf, TapSighashType, Transaction, TxOut};
use regtest::operator::script::{Delay, Leaf, anchor};
use regtest::operator::{psbt, wire};

use super::{Answers, with};
use crate::operator_support::{Coin, Party, leaf_of, locked_until, prevouts, sign};

fn flip(packet: &mut Psbt) {
    for signature in packet.inputs[0].tap_script_sigs.values_mut() {
        let mut bytes = signature.signature.serialize();
        bytes[3] ^= 1;
        signature.signature = bitcoin::secp256k1::schnorr::Signature::from_slice(&bytes).unwrap();
    }
}

/// The ark transaction changed, and signed again.
fn again(party: &Party, ark: &Psbt, change: impl FnOnce(&mut Transaction)) -> Psbt {
    let mut tx = ark.unsigned_tx.clone();
    change(&mut tx);
    let mut other = Psbt::from_unsigned_tx(tx).unwrap();
    for (slot, input) in other.inputs.iter_mut().zip(&ark.inputs) {
        *slot = input.clone();
        slot.tap_script_sigs.clear();
    }
    let all = prevouts(&other);
    sign(&mut other, &all, &party.key);
    other
}

fn paying(amount: u64, script: Vec<u8>) -> TxOut {
    TxOut { value: Amount::from_sat(amount), script_pubkey: ScriptBuf::from_bytes(script) }
}

pub async fn all(alice: &mut Party, coins: &[Coin], answers: &mut Answers) {
    let coin = &coins[0];
    let whole = vec![alice.vtxo_output(20_000)];
    let (ark, checkpoints) = alice.offchain(std::slice::from_ref(coin), whole.clone());
    let raw = |ark: &str, checkpoints: &[&str]| wire::SubmitTxRequest {
        signed_ark_tx: ark.into(),
        checkpoint_txs: checkpoints.iter().map(|c| (*c).to_owned()).collect(),
    };
    let (a, c) = (ark.to_string(), checkpoints[0].to_string());
    for (name, request) in [
        ("submit nothing", raw("", &[&c])),
        ("submit no checkpoints", raw(&a, &[])),
        ("submit a garbage ark transaction", raw("aGVsbG8=", &[&c])),
        ("submit a garbage checkpoint", raw(&a, &["aGVsbG8="])),
        ("submit text", raw("hello", &["hello"])),
        ("submit a checkpoint twice", raw(&a, &[&c, &c])),
    ] {
        answers.note(name, alice.ark.submit_tx(request).await);
    }
    let unknown = Coin { outpoint: OutPoint::new(coin.outpoint.txid, 77), ..coin.clone() };
    let (other_ark, other) = alice.offchain(&[unknown], whole.clone());
    answers.note("submit an unknown VTXO", alice.submit(&other_ark, &other).await);
    let (_, more) = alice.offchain(&coins[1..2], whole.clone());
    let both = [checkpoints[0].clone(), more[0].clone()];
    answers.note("submit a checkpoint too many", alice.submit(&ark, &both).await);

    inputs(alice, coin, &ark, &checkpoints[0], answers).await;
    outputs(alice, coin, &ark, &checkpoints, answers).await;
    leaves(alice, coin, answers).await;
    lives(alice, coins, answers).await;
}

async fn inputs(alice: &mut Party, coin: &Coin, ark: &Psbt, checkpoint: &Psbt, answers: &mut Answers) {
    let exit = &coin.tree.leaves[1].script;
    let two_leaves = |p: &mut Psbt| {
        let control = coin.tree.control_block(exit).unwrap();
        p.inputs[0].tap_scripts.insert(control, (exit.clone(), LeafVersion::TapScript));
    };
    let exit_leaf = |p: &mut Psbt| {
        psbt::set_leaf(&mut p.inputs[0], coin.tree.control_block(exit).unwrap(), exit.clone());
    };
    let other_tree = |p: &mut Psbt| psbt::reveal_scripts(&mut p.inputs[0], std::slice::from_ref(exit));
    let sats = |p: &mut Psbt| p.inputs[0].witness_utxo.as_mut().unwrap().value += Amount::from_sat(1);
    let script = |p: &mut Psbt| p.inputs[0].witness_utxo.as_mut().unwrap().script_pubkey = anchor().script_pubkey;
    let changes: Vec<(&str, Psbt)> = vec![
        ("checkpoint without witness utxo", with(checkpoint, |p| p.inputs[0].witness_utxo = None)),
        ("checkpoint without leaf", with(checkpoint, |p| p.inputs[0].tap_scripts.clear())),
        ("checkpoint with two leaves", with(checkpoint, two_leaves)),
        ("checkpoint by the exit leaf", with(checkpoint, exit_leaf)),
        ("checkpoint without taptree", with(checkpoint, |p| p.inputs[0].unknown.clear())),
        ("checkpoint with another taptree", with(checkpoint, other_tree)),
        ("checkpoint with one sat more", with(checkpoint, sats)),
        ("checkpoint with another script", with(checkpoint, script)),
    ];
    for (name, other) in changes {
        answers.note(name, alice.submit(ark, &[other]).await);
    }
    let unsigned = with(ark, |p| p.inputs[0].tap_script_sigs.clear());
    let leafless = with(ark, |p| p.inputs[0].tap_scripts.clear());
    let treeless = with(ark, |p| p.inputs[0].unknown.clear());
    let richer = with(ark, sats);
    let wrong = with(ark, flip);
    let stranger = {
        let key = bitcoin::key::Keypair::from_secret_key(
            &bitcoin::key::Secp256k1::new(),
            &crate::operator_support::random_secret(),
        );
        let mut other = with(ark, |p| p.inputs[0].tap_script_sigs.clear());
        let (x, leaf) = (key.x_only_public_key().0, coin.tree.leaves[0].hash());
        let signature = *ark.inputs[0].tap_script_sigs.values().next().unwrap();
        other.inputs[0].tap_script_sigs.insert((x, leaf), signature);
        other
    };
    for (name, other) in [
        ("ark transaction unsigned", unsigned),
        ("ark transaction without leaf", leafless),
        ("ark transaction without witness utxo", with(ark, |p| p.inputs[0].witness_utxo = None)),
        ("ark transaction with one sat more", richer),
        ("ark transaction with a wrong signature", wrong),
        ("ark transaction signed by a stranger", stranger),
    ] {
        answers.note(name, alice.submit(&other, std::slice::from_ref(checkpoint)).await);
    }
    drop(treeless);
}

async fn outputs(alice: &mut Party, coin: &Coin, ark: &Psbt, checkpoints: &[Psbt], answers: &mut Answers) {
    let script = coin.tree.script_pubkey().into_bytes();
    let sub_dust = [&[0x6a, 0x20], &script[2..]].concat();
    let p2wpkh = [vec![0, 20], vec![1; 20]].concat();
    let split = |parts: Vec<TxOut>| {
        move |tx: &mut Transaction| {
            tx.output = parts.into_iter().chain([anchor()]).collect();
        }
    };
    let p2tr = |amount| paying(amount, script.clone());
    let cases: Vec<(&str, Psbt)> = vec![
        ("no anchor", again(alice, ark, |tx| drop(tx.output.pop()))),
        ("two anchors", again(alice, ark, |tx| tx.output.push(anchor()))),
        ("the anchor first", again(alice, ark, |tx| tx.output.reverse())),
        ("dust", again(alice, ark, split(vec![p2tr(329), p2tr(19_671)]))),
        ("an amount of nothing", again(alice, ark, split(vec![p2tr(0), p2tr(20_000)]))),
        ("one sat too much", again(alice, ark, split(vec![p2tr(20_001)]))),
        ("one sat too little", again(alice, ark, split(vec![p2tr(19_999)]))),
        ("a P2WPKH output", again(alice, ark, split(vec![paying(20_000, p2wpkh)]))),
        ("an OP_RETURN with value", again(alice, ark, split(vec![paying(100, vec![0x6a]), p2tr(19_900)]))),
        ("a sub-dust output above dust", again(alice, ark, split(vec![paying(330, sub_dust.clone()), p2tr(19_670)]))),
        ("a sub-dust output of nothing", again(alice, ark, split(vec![paying(0, sub_dust), p2tr(20_000)]))),
        ("four OP_RETURNs", again(alice, ark, split([vec![p2tr(20_000)], vec![paying(0, vec![0x6a]); 4]].concat()))),
        ("version 2", again(alice, ark, |tx| tx.version = bitcoin::transaction::Version::TWO)),
        ("a locktime", again(alice, ark, |tx| tx.lock_time = bitcoin::absolute::LockTime::from_consensus(5))),
        ("another sequence", again(alice, ark, |tx| tx.input[0].sequence = bitcoin::Sequence::ZERO)),
    ];
    for (name, other) in cases {
        answers.note(name, alice.submit(&other, checkpoints).await);
    }
    let operator_delay = Delay::from_setting(match coin.tree.smallest_exit() {
        Some(Delay::Blocks(_)) => 11,
        _ => 1024,
    });
    let key = Leaf::parse(&ScriptBuf::from_hex(&alice.info.checkpoint_tapscript).unwrap()).unwrap().keys[0];
    let own = alice.info.checkpoint_tapscript.clone();
    alice.info.checkpoint_tapscript = Leaf::after(operator_delay, key).script.to_hex_string();
    let (ark, other) = alice.offchain(std::slice::from_ref(coin), vec![alice.vtxo_output(20_000)]);
    answers.note("another checkpoint script", alice.submit(&ark, &other).await);
    alice.info.checkpoint_tapscript = own;
}

/// arkd’s books lag behind its answers (SLOW waits for them).
async fn a_moment() {
    tokio::time::sleep(std::time::Duration::from_millis(if std::env::var("SLOW").is_ok() { 1500 } else { 10 })).await;
}

async fn settled(alice: &mut Party, answer: &wire::SubmitTxResponse) {
    a_moment().await;
    alice.finalize(answer).await.unwrap();
    a_moment().await;
}

/// VTXOs with other scripts: made off chain first, then spent.
async fn leaves(alice: &mut Party, coin: &Coin, answers: &mut Answers) {
    let plain = leaf_of(&[alice.x(), alice.signer()]);
    let exit = coin.tree.leaves[1].clone();
    let short = Leaf::after(
        match exit.exit_delay().unwrap() {
            Delay::Blocks(n) => Delay::Blocks(n - 1),
            Delay::Seconds(n) => Delay::Seconds(n - 512),
        },
        alice.x(),
    );
    let far = match exit.exit_delay().unwrap() {
        Delay::Blocks(_) => 100_000,
        Delay::Seconds(_) => 2_000_000_000,
    };
    let later = locked_until(far, &plain);
    let ripe = locked_until(if far == 100_000 { 5 } else { 1_600_000_000 }, &plain);
    let alone = leaf_of(&[alice.x()]);
    let mut coin = coin.clone();
    for (name, leaves) in [
        ("a short exit", vec![plain.clone(), short]),
        ("a leaf without the operator", vec![plain.clone(), alone, exit.clone()]),
        ("no exit at all", vec![plain.clone()]),
        ("a leaf that is locked", vec![later, plain.clone(), exit.clone()]),
        ("a leaf that was locked", vec![ripe, plain.clone(), exit.clone()]),
        ("five leaves", vec![plain.clone(), exit.clone(), exit.clone(), exit.clone(), exit.clone()]),
    ] {
        let tree = regtest::operator::script::LeafTree::new(leaves).unwrap();
        let output = TxOut { value: Amount::from_sat(coin.amount), script_pubkey: tree.script_pubkey() };
        let (ark, checkpoints) = alice.offchain(std::slice::from_ref(&coin), vec![output]);
        let answer = alice.submit(&ark, &checkpoints).await.unwrap();
        settled(alice, &answer).await;
        let outpoint = OutPoint::new(ark.unsigned_tx.compute_txid(), 0);
        coin = Coin { outpoint, tree, leaf: 0, ..coin };
        let (ark, checkpoints) = alice.offchain(std::slice::from_ref(&coin), vec![alice.vtxo_output(coin.amount)]);
        let result = alice.submit(&ark, &checkpoints).await;
        if let Ok(answer) = &result {
            settled(alice, answer).await;
            coin = alice.coin(OutPoint::new(ark.unsigned_tx.compute_txid(), 0), coin.amount);
        } else if name == "a leaf that is locked" {
            let open = Coin { leaf: 1, ..coin.clone() };
            let (ark, checkpoints) = alice.offchain(&[open], vec![alice.vtxo_output(coin.amount)]);
            let answer = alice.submit(&ark, &checkpoints).await.unwrap();
            settled(alice, &answer).await;
            coin = alice.coin(OutPoint::new(ark.unsigned_tx.compute_txid(), 0), coin.amount);
        }
        let refused = result.is_err();
        answers.note(name, result);
        if refused && name != "a leaf that is locked" {
            // The coin is lost in there: take the next.
            coin = next(alice, &coin).await;
        }
    }
}

/// Another unspent VTXO of the same amount, from the top end.
async fn next(alice: &mut Party, last: &Coin) -> Coin {
    let vtxos = alice.vtxos(&alice.vtxo_tree().script_pubkey()).await;
    let free = vtxos.iter().filter(|v| !v.is_spent && v.amount == last.amount);
    let best = free.max_by_key(|v| v.outpoint.as_ref().unwrap().vout).expect("a coin is left");
    let place = best.outpoint.as_ref().unwrap();
    alice.coin(OutPoint::new(place.txid.parse().unwrap(), place.vout), best.amount)
}

/// What is accepted, and what comes after.
async fn lives(alice: &mut Party, coins: &[Coin], answers: &mut Answers) {
    let (mut ark, checkpoints) = alice.offchain(&coins[1..3], vec![alice.vtxo_output(40_000)]);
    // SIGHASH_ALL is as good as the default.
    let all = prevouts(&ark);
    for index in 0..2 {
        let leaf = coins[1].tree.leaves[0].hash();
        let mut cache = bitcoin::sighash::SighashCache::new(&ark.unsigned_tx);
        let kind = TapSighashType::All;
        let hash = cache
            .taproot_script_spend_signature_hash(index, &bitcoin::sighash::Prevouts::All(&all), leaf, kind)
            .unwrap();
        let signature = bitcoin::key::Secp256k1::new().sign_schnorr(&hash.into(), &alice.key);
        let signature = bitcoin::taproot::Signature { signature, sighash_type: kind };
        ark.inputs[index].tap_script_sigs.insert((alice.x(), leaf), signature);
    }
    let result = alice.submit(&ark, &checkpoints).await;
    let answer = result.as_ref().ok().cloned();
    answers.note("two VTXOs, signed SIGHASH_ALL", result);
    let answer = answer.unwrap();
    a_moment().await;
    answers.note("the same again", alice.submit(&ark, &checkpoints).await);
    let (other, others) = alice.offchain(&coins[1..2], vec![alice.vtxo_output(20_000)]);
    answers.note("a VTXO that is being spent", alice.submit(&other, &others).await);
    let finish =
        |id: &str, txs: Vec<String>| wire::FinalizeTxRequest { ark_txid: id.into(), final_checkpoint_txs: txs };
    let nobody = "00".repeat(32);
    let own = answer.signed_checkpoint_txs.clone();
    answers.note("finalize nothing", alice.ark.finalize_tx(finish("", own.clone())).await);
    answers.note("finalize without checkpoints", alice.ark.finalize_tx(finish(&answer.ark_txid, Vec::new())).await);
    answers.note("finalize an unknown one", alice.ark.finalize_tx(finish(&nobody, own)).await);
    answers.note("finalize", alice.finalize(&answer).await);
    a_moment().await;
    answers.note("finalize again", alice.finalize(&answer).await);
    answers.note("a VTXO that is spent", alice.submit(&other, &others).await);

    let outpoint = OutPoint::new(answer.ark_txid.parse().unwrap(), 0);
    let made = alice.coin(outpoint, 40_000);
    let (ark, checkpoints) = alice.offchain(std::slice::from_ref(&made), vec![alice.vtxo_output(40_000)]);
    let answer = alice.submit(&ark, &checkpoints).await.unwrap();
    a_moment().await;
    let unsigned = finish(&answer.ark_txid, answer.signed_checkpoint_txs.clone());
    answers.note("finalize without the owner's signature", alice.ark.finalize_tx(unsigned).await);
    a_moment().await;
    answers.note("finalize the dead", alice.finalize(&answer).await);
    answers.note("submit the dead", alice.submit(&ark, &checkpoints).await);
    let intent = crate::operator_support::signed_intent(
        &[made],
        Vec::new(),
        crate::operator_support::short_message("get-pending-tx"),
        &[&alice.key],
    );
    let identifier = Some(wire::get_pending_tx_request::Identifier::Intent(intent));
    let pending = alice.ark.get_pending_tx(wire::GetPendingTxRequest { identifier }).await;
    let count = pending.as_ref().map_or(0, |p| p.get_ref().pending_txs.len());
    answers.note(&format!("the dead is pending ({count})"), pending);
}
