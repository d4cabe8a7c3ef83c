//! Batches, from boarding to renewal, with the operator in blocks and in seconds.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod operator_support;

use std::time::Duration;

use bitcoin::OutPoint;
use operator_support::{Coin, Party};
use regtest::Node;
use regtest::operator::wire::IndexerVtxo;
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
