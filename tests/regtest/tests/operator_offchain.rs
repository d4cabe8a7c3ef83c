//! Off-chain transactions, pending ones, intents that lock, expiry and unrolling.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod operator_support;

use std::time::Duration;

use bitcoin::{Amount, OutPoint};
use operator_support::{Coin, Party, code, short_message, signed_intent};
use regtest::Node;
use regtest::operator::wire::get_subscription_response::Data;
use regtest::operator::wire::{self, IndexerVtxo};
use regtest::operator::{Operator, Settings, Unit, psbt};

fn place(vtxo: &IndexerVtxo) -> OutPoint {
    let outpoint = vtxo.outpoint.as_ref().unwrap();
    OutPoint::new(outpoint.txid.parse().unwrap(), outpoint.vout)
}

struct Scene {
    node: Node,
    operator: Operator,
    alice: Party,
    coin: Coin,
}

async fn scene(unit: Unit) -> Scene {
    let node = Node::start().await.unwrap();
    let settings = Settings { session: Duration::from_secs(6), auto_mine: true, ..Settings::for_unit(unit) };
    let operator = Operator::start(node.clone(), settings).await.unwrap();
    let mut alice = Party::new(&operator).await;
    let boarding = alice.board(&node, 100_000).await;
    alice.settle(&[boarding], vec![alice.vtxo_output(100_000)]).await.unwrap();
    let vtxos = alice.vtxos(&alice.vtxo_tree().script_pubkey()).await;
    let coin = alice.coin(place(&vtxos[0]), 100_000);
    Scene { node, operator, alice, coin }
}

fn coins(scene: &Scene) -> Vec<Coin> {
    vec![scene.coin.clone()]
}

#[tokio::test(flavor = "multi_thread")]
async fn an_accepted_transaction_is_pending_until_it_is_finalized_or_dead() {
    let mut scene = scene(Unit::Seconds).await;
    let coins = coins(&scene);
    let alice = &mut scene.alice;
    let intent = signed_intent(&coins, Vec::new(), short_message("get-pending-tx"), &[&alice.key]);
    let ask = || wire::GetPendingTxRequest {
        identifier: Some(wire::get_pending_tx_request::Identifier::Intent(intent.clone())),
    };
    assert!(alice.ark.get_pending_tx(ask()).await.unwrap().into_inner().pending_txs.is_empty());
    let (ark, checkpoints) = alice.offchain(&coins, vec![alice.vtxo_output(100_000)]);
    let answer = alice.submit(&ark, &checkpoints).await.unwrap();
    assert!(scene.operator.vtxo(&coins[0].outpoint).unwrap().is_spent);
    assert_eq!(code(&alice.submit(&ark, &checkpoints).await.unwrap_err()), 1, "a second time is a duplicate");
    let pending = alice.ark.get_pending_tx(ask()).await.unwrap().into_inner().pending_txs;
    assert_eq!(pending[0].signed_checkpoint_txs, answer.signed_checkpoint_txs);

    // Anyone who knows the id can kill it: without the owner's signature it fails for ever.
    let rubbish = wire::FinalizeTxRequest {
        ark_txid: answer.ark_txid.clone(),
        final_checkpoint_txs: answer.signed_checkpoint_txs.clone(),
    };
    assert_eq!(code(&alice.ark.finalize_tx(rubbish).await.unwrap_err()), 18);
    assert_eq!(code(&alice.finalize(&answer).await.unwrap_err()), 0);
    assert!(scene.operator.vtxo(&coins[0].outpoint).unwrap().is_spent, "the coin stays spent");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_intent_locks_until_it_is_deleted() {
    let mut scene = scene(Unit::Blocks).await;
    scene.operator.change(|s| s.session = Duration::from_secs(600));
    let coins = coins(&scene);
    let alice = &mut scene.alice;
    let outputs = vec![alice.vtxo_output(100_000)];
    alice.register(&coins, outputs.clone()).await.unwrap();
    let (ark, checkpoints) = alice.offchain(&coins, outputs.clone());
    let locked = alice.submit(&ark, &checkpoints).await.unwrap_err();
    assert_eq!((code(&locked), locked.code()), (4, tonic::Code::AlreadyExists));
    assert_eq!(code(&alice.register(&coins, outputs).await.unwrap_err()), 0, "already in an intent");
    let intent = signed_intent(&coins, Vec::new(), short_message("delete"), &[&alice.key]);
    let delete = wire::DeleteIntentRequest { intent: Some(intent) };
    alice.ark.delete_intent(delete.clone()).await.unwrap();
    assert_eq!(code(&alice.ark.delete_intent(delete).await.unwrap_err()), 23);
    alice.submit(&ark, &checkpoints).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_vtxo_is_recoverable_without_a_forfeit() {
    for unit in [Unit::Seconds, Unit::Blocks] {
        let mut scene = scene(unit).await;
        match unit {
            Unit::Seconds => scene.operator.change(|s| s.clock_shift = 90_000),
            Unit::Blocks => {
                scene.node.generate(400).await.unwrap();
                let swept = || scene.operator.vtxo(&scene.coin.outpoint).unwrap().is_swept;
                for _ in 0..100 {
                    if swept() {
                        break;
                    }
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                assert!(swept());
            }
        }
        let coins = coins(&scene);
        let alice = &mut scene.alice;
        let outputs = vec![alice.vtxo_output(100_000)];
        let (ark, checkpoints) = alice.offchain(&coins, outputs.clone());
        assert_eq!(code(&alice.submit(&ark, &checkpoints).await.unwrap_err()), 8);
        alice.settle(&coins, outputs).await.unwrap();
        let old = scene.operator.vtxo(&coins[0].outpoint).unwrap();
        assert!(old.is_spent && old.spent_by.is_empty() && !old.settled_by.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unrolled_vtxo_is_noticed() {
    let mut scene = scene(Unit::Seconds).await;
    let txid = scene.coin.outpoint.txid.to_string();
    let request = wire::GetVirtualTxsRequest { txids: vec![txid], ..Default::default() };
    let found = scene.alice.indexer.get_virtual_txs(request).await.unwrap().into_inner().txs;
    let packet = psbt::decode(&found[0]).unwrap();
    let mut tx = packet.unsigned_tx.clone();
    tx.input[0].witness = bitcoin::Witness::from_slice(&[packet.inputs[0].tap_key_sig.unwrap().to_vec()]);
    scene.node.cpfp(&tx, Amount::from_sat(5_000)).await.unwrap();
    scene.node.generate(1).await.unwrap();
    for _ in 0..50 {
        if scene.operator.vtxo(&scene.coin.outpoint).unwrap().is_unrolled {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let coins = coins(&scene);
    let alice = &mut scene.alice;
    let (ark, checkpoints) = alice.offchain(&coins, vec![alice.vtxo_output(100_000)]);
    assert_eq!(code(&alice.submit(&ark, &checkpoints).await.unwrap_err()), 7);
    // It may come back into a batch as a coin of the chain.
    alice.settle(&coins, vec![alice.vtxo_output(100_000)]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_tell_of_made_and_spent_vtxos() {
    let mut scene = scene(Unit::Seconds).await;
    let coins = coins(&scene);
    let alice = &mut scene.alice;
    let script = alice.vtxo_tree().script_pubkey().to_hex_string();
    let ask = wire::SubscribeForScriptsRequest { scripts: vec![script.clone()], ..Default::default() };
    let subscription_id = alice.indexer.subscribe_for_scripts(ask).await.unwrap().into_inner().subscription_id;
    let request = wire::GetSubscriptionRequest { subscription_id };
    let mut stream = alice.indexer.get_subscription(request).await.unwrap().into_inner();
    let (ark, checkpoints) = alice.offchain(&coins, vec![alice.vtxo_output(100_000)]);
    let answer = alice.submit(&ark, &checkpoints).await.unwrap();
    alice.finalize(&answer).await.unwrap();
    let message = tokio::time::timeout(Duration::from_secs(5), stream.message()).await.unwrap().unwrap().unwrap();
    let Some(Data::Event(event)) = message.data else { panic!("an event") };
    assert_eq!((event.txid, event.scripts), (answer.ark_txid, vec![script]));
    assert_eq!((event.new_vtxos.len(), event.spent_vtxos.len(), event.checkpoint_txs.len()), (1, 1, 1));
    assert!(event.checkpoint_txs.contains_key(&coins[0].outpoint.to_string()));
    let unknown = wire::GetSubscriptionRequest { subscription_id: "nope".into() };
    let refused = alice.indexer.get_subscription(unknown).await.unwrap_err();
    assert_eq!((code(&refused), refused.code()), (50, tonic::Code::NotFound));
}
