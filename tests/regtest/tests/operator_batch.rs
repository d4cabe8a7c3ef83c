//! Batches, from boarding to renewal, with the operator in blocks and in seconds.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod operator_support;

use std::time::Duration;

use bitcoin::{Amount, OutPoint, TxOut, Txid};
use operator_support::{Coin, Party, code};
use regtest::Node;
use regtest::operator::wire::get_event_stream_response::Event;
use regtest::operator::wire::{self, IndexerVtxo};
use regtest::operator::{Operator, Settings, Unit};

fn settings(unit: Unit) -> Settings {
    Settings { session: Duration::from_secs(6), auto_mine: true, ..Settings::for_unit(unit) }
}

fn place(vtxo: &IndexerVtxo) -> OutPoint {
    let outpoint = vtxo.outpoint.as_ref().unwrap();
    OutPoint::new(outpoint.txid.parse().unwrap(), outpoint.vout)
}

async fn boarded(party: &mut Party, node: &Node, amount: u64) -> Coin {
    let boarding = party.board(node, amount).await;
    let commitment = party.settle(&[boarding], vec![party.vtxo_output(amount)]).await.unwrap();
    let vtxos = party.vtxos(&party.vtxo_tree().script_pubkey()).await;
    let vtxo = vtxos.iter().find(|v| v.commitment_txids == [commitment.to_string()]).unwrap();
    party.coin(place(vtxo), vtxo.amount)
}

async fn life(unit: Unit) {
    let node = Node::start().await.unwrap();
    let operator = Operator::start(node.clone(), settings(unit)).await.unwrap();
    let mut alice = Party::new(&operator).await;
    let bob = Party::new(&operator).await;

    let coin = boarded(&mut alice, &node, 100_000).await;
    let outputs = vec![bob.vtxo_output(40_000), alice.vtxo_output(60_000)];
    let commitment = alice.settle(std::slice::from_ref(&coin), outputs).await.unwrap();
    let (_, confirmed) = node.transaction(&commitment).await.unwrap().expect("broadcast");
    assert!(confirmed.is_some(), "mined");
    let old = operator.vtxo(&coin.outpoint).unwrap();
    assert!(old.is_spent && old.settled_by == commitment.to_string() && !old.spent_by.is_empty());

    let vtxos = alice.vtxos(&alice.vtxo_tree().script_pubkey()).await;
    let change = vtxos.iter().find(|v| !v.is_spent).unwrap();
    assert_eq!(change.amount, 60_000);
    let coin = alice.coin(place(change), 60_000);
    let (ark, checkpoints) = alice.offchain(&[coin], vec![bob.vtxo_output(10_000), alice.vtxo_output(50_000)]);
    let answer = alice.submit(&ark, &checkpoints).await.unwrap();
    alice.finalize(&answer).await.unwrap();
    let received = alice.vtxos(&bob.vtxo_tree().script_pubkey()).await;
    assert_eq!(
        received.iter().map(|v| (v.amount, v.is_preconfirmed, v.depth)).collect::<Vec<_>>(),
        [(40_000, false, 0), (10_000, true, 1)]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_life_in_blocks() {
    life(Unit::Blocks).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_life_in_seconds() {
    life(Unit::Seconds).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_intents_share_a_batch_and_one_leaves_ark() {
    let node = Node::start().await.unwrap();
    let operator = Operator::start(node.clone(), settings(Unit::Seconds)).await.unwrap();
    let mut parties = Vec::new();
    for _ in 0..5 {
        let party = Party::new(&operator).await;
        let coin = party.board(&node, 50_000).await;
        parties.push((party, coin));
    }
    // All boarding coins in one batch, then all VTXOs in one more, with connectors and a withdrawal.
    let first = together(parties, |p, _| (vec![p.vtxo_output(50_000)], Vec::new())).await;
    let mut second = Vec::new();
    for (mut party, commitment) in first {
        let vtxos = party.vtxos(&party.vtxo_tree().script_pubkey()).await;
        assert_eq!(vtxos[0].commitment_txids, [commitment.to_string()]);
        let request = wire::GetVtxoChainRequest { outpoint: vtxos[0].outpoint.clone(), ..Default::default() };
        let chain = party.indexer.get_vtxo_chain(request).await.unwrap().into_inner().chain;
        assert!((3..=5).contains(&chain.len()), "{} levels", chain.len());
        let coin = party.coin(place(&vtxos[0]), 50_000);
        second.push((party, coin));
    }
    let commitments = together(second, |p, i| {
        let mut outputs = vec![p.vtxo_output(20_000)];
        if i == 0 {
            let address: bitcoin::Address<bitcoin::address::NetworkUnchecked> = p.info.forfeit_address.parse().unwrap();
            let script_pubkey = address.assume_checked().script_pubkey();
            outputs.push(TxOut { value: Amount::from_sat(30_000), script_pubkey });
        } else {
            outputs.push(p.vtxo_output(30_000));
        }
        (outputs, if i == 0 { vec![1] } else { Vec::new() })
    })
    .await;
    let ids: std::collections::HashSet<_> = commitments.iter().map(|(_, c)| *c).collect();
    assert_eq!(ids.len(), 1, "one batch for all");
}

/// All parties go through one batch at the same time.
async fn together(
    parties: Vec<(Party, Coin)>,
    wanted: impl Fn(&Party, usize) -> (Vec<TxOut>, Vec<usize>),
) -> Vec<(Party, Txid)> {
    let mut tasks = Vec::new();
    for (i, (mut party, coin)) in parties.into_iter().enumerate() {
        let (outputs, onchain) = wanted(&party, i);
        let coins = [coin];
        let mut stream = party.listen(&coins).await;
        let cosigners = [party.cosigner_key()];
        let id = party.register_with(&coins, outputs, &cosigners, &onchain).await.unwrap();
        tasks.push(tokio::spawn(async move {
            let commitment = party.follow(&mut stream, Some(id), &coins).await.unwrap();
            (party, commitment)
        }));
    }
    let mut done = Vec::new();
    for task in tasks {
        done.push(task.await.unwrap());
    }
    done
}

#[tokio::test(flavor = "multi_thread")]
async fn two_cosigners_sign_one_intent_and_a_silent_one_gets_the_payer_banned() {
    let node = Node::start().await.unwrap();
    let operator = Operator::start(node.clone(), settings(Unit::Blocks)).await.unwrap();
    let mut payer = Party::new(&operator).await;
    let mut receiver = Party::new(&operator).await;
    let coin = boarded(&mut payer, &node, 100_000).await;
    let coins = [coin];
    let cosigners = [payer.cosigner_key(), receiver.cosigner_key()];

    let mut stream = payer.listen(&coins).await;
    let mut other = receiver.listen(&coins).await;
    let id = payer.register_with(&coins, vec![payer.vtxo_output(100_000)], &cosigners, &[]).await.unwrap();
    let both = tokio::join!(payer.follow(&mut stream, Some(id), &coins), receiver.follow(&mut other, None, &[]));
    assert_eq!(both.0.unwrap(), both.1.unwrap());
    for (who, seen) in [("payer", &stream.seen), ("receiver", &other.seen)] {
        assert_eq!(
            seen.iter().map(|e| (shape(e).0.to_owned(), shape(e).1)).collect::<Vec<_>>(),
            recorded(who),
            "as a real arkd's stream"
        );
    }

    let vtxos = payer.vtxos(&payer.vtxo_tree().script_pubkey()).await;
    let coin = payer.coin(place(vtxos.iter().find(|v| !v.is_spent).unwrap()), 100_000);
    operator.change(|s| s.session = Duration::from_secs(3));
    for _ in 0..3 {
        let mut stream = payer.listen(std::slice::from_ref(&coin)).await;
        let outputs = vec![payer.vtxo_output(100_000)];
        let id = payer.register_with(std::slice::from_ref(&coin), outputs, &cosigners, &[]).await.unwrap();
        let failed = payer.follow(&mut stream, Some(id), std::slice::from_ref(&coin)).await.unwrap_err();
        assert_eq!(
            failed,
            "SIGNING_SESSION_TIMED_OUT (28): musig2 signing session timed out (nonce collection), collected 1/2 nonces"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let outputs = vec![payer.vtxo_output(100_000)];
    let banned = payer.register(std::slice::from_ref(&coin), outputs.clone()).await.unwrap_err();
    assert_eq!(code(&banned), 29);
    let (ark, checkpoints) = payer.offchain(std::slice::from_ref(&coin), outputs);
    assert_eq!(code(&payer.submit(&ark, &checkpoints).await.unwrap_err()), 29);
    operator.pardon();
    payer.submit(&ark, &checkpoints).await.unwrap();
}

/// An event's name in the recordings, and how many topics it has.
fn shape(event: &Event) -> (&'static str, usize) {
    match event {
        Event::StreamStarted(_) => ("streamStarted", 0),
        Event::BatchStarted(_) => ("batchStarted", 0),
        Event::TreeTx(e) => ("treeTx", e.topic.len()),
        Event::TreeSigningStarted(_) => ("treeSigningStarted", 0),
        Event::TreeNonces(e) => ("treeNonces", e.topic.len()),
        Event::TreeNoncesAggregated(_) => ("treeNoncesAggregated", 0),
        Event::TreeSignature(e) => ("treeSignature", e.topic.len()),
        Event::BatchFinalization(_) => ("batchFinalization", 0),
        Event::BatchFinalized(_) => ("batchFinalized", 0),
        Event::BatchFailed(_) => ("batchFailed", 0),
        Event::Heartbeat(_) => ("heartbeat", 0),
    }
}

/// The same of the recorded stream: a channel opened by one intent with two cosigners.
fn recorded(who: &str) -> Vec<(String, usize)> {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../vectors/arkd-0.9.15/life-seconds.json");
    let life: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let events = life[format!("events.{who}")].as_array().unwrap().clone();
    let shapes = events.iter().map(|e| {
        let (name, body) = e.as_object().unwrap().iter().next().unwrap();
        (name.clone(), body["topic"].as_array().map_or(0, Vec::len))
    });
    shapes.collect()
}
