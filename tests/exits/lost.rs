//! A chain server that calls an exit lost.

use bitcoin::consensus::serialize;
use bitcoin::{OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Witness, absolute, transaction};
use regtest::operator::Unit;
use virtual_channels::store::ChannelState;
use virtual_channels::wallet::{EventKind, ExitProblem, ExitStage, Wallet};

use crate::stage::{advance, finish, fund, pair, small, state, told, unroll, wait};
use crate::world::{World, sats};

/// A transaction that nobody has signed.
fn invented(spent: OutPoint) -> Transaction {
    let input = TxIn {
        previous_output: spent,
        script_sig: ScriptBuf::new(),
        sequence: Sequence::ZERO,
        witness: Witness::new(),
    };
    let output = TxOut { value: sats(1_000), script_pubkey: ScriptBuf::new_op_return([]) };
    Transaction {
        version: transaction::Version::TWO,
        lock_time: absolute::LockTime::ZERO,
        input: vec![input],
        output: vec![output],
    }
}

/// The next look is told that `spent` went into an invented transaction, and that in one that paid somebody else.
async fn lie(world: &World, spent: OutPoint) {
    let node = world.regtest.node();
    let tip = node.tip().await.unwrap();
    let height = tip.height - 20;
    let hash = node.block_hash(height).await.unwrap().unwrap();
    let first = invented(spent);
    let second = invented(OutPoint::new(first.compute_txid(), 0));
    for (tx, spent) in [(&first, spent), (&second, OutPoint::new(first.compute_txid(), 0))] {
        let status = serde_json::json!({
            "confirmed": true, "block_height": height, "block_hash": hash.to_string(), "block_time": tip.time,
        });
        let told = serde_json::json!({ "spent": true, "txid": tx.compute_txid(), "vin": 0, "status": status });
        let path = format!("/tx/{}/outspend/{}", spent.txid, spent.vout);
        world.regtest.esplora_lies_once(path, told.to_string());
        world.regtest.esplora_lies_once(format!("/tx/{}/raw", tx.compute_txid()), serialize(tx));
    }
}

/// The receiver's exit, with the channel on chain and its claim due.
async fn waiting(world: &World, payer: &Wallet, receiver: &Wallet) -> virtual_channels::channel::ChannelId {
    let id = small(world, payer, receiver).await;
    fund(world, receiver, &[20_000]).await;
    world.regtest.stop_operator().await;
    receiver.exit_channel(&id).await.unwrap();
    world.mine(1).await;
    let until = unroll(world, receiver).await;
    wait(world, until).await;
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn one_look_ends_nothing() {
    let (world, payer, receiver) = pair(Unit::Blocks).await;
    let id = waiting(&world, &payer, &receiver).await;
    lie(&world, receiver.channel(&id).unwrap().funding).await;
    let info = advance(&receiver).await;
    assert!(matches!(info.problem, Some(ExitProblem::Conflict { .. })), "{info:?}");
    assert_eq!(world.regtest.esplora_lies_left(), 0);
    assert_eq!(finish(&world, &receiver).await.stage, ExitStage::Done);
    assert_eq!(state(&receiver, &id), ChannelState::Settled);
    assert_eq!(told(&receiver, |kind| matches!(kind, EventKind::ExitLost { .. })), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_lost_comes_back() {
    let (world, payer, receiver) = pair(Unit::Blocks).await;
    let id = waiting(&world, &payer, &receiver).await;
    let funding = receiver.channel(&id).unwrap().funding;
    lie(&world, funding).await;
    advance(&receiver).await;
    world.mine(1).await;
    lie(&world, funding).await;
    assert_eq!(advance(&receiver).await.stage, ExitStage::Lost);
    assert_eq!(world.regtest.esplora_lies_left(), 0);
    assert_eq!((state(&receiver, &id), receiver.exits().unwrap()), (ChannelState::Lost, vec![]));

    // The server says the truth again.
    assert!(receiver.maintain().await.unwrap().next_run.is_some());
    assert_eq!(finish(&world, &receiver).await.stage, ExitStage::Done);
    assert_eq!(state(&receiver, &id), ChannelState::Settled);
}
