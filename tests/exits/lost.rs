//! A chain server that calls an exit lost.

use bitcoin::consensus::serialize;
use bitcoin::{OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Txid, Witness, absolute, transaction};
use regtest::operator::Unit;
use virtual_channels::store::ChannelState;
use virtual_channels::wallet::{EventKind, ExitInfo, ExitProblem, ExitStage, Wallet};

use crate::coins::all_done;
use crate::signed_away::withheld;
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

/// The next look is told that a transaction is deep.
async fn lie_about(world: &World, txid: Txid) {
    let tip = world.regtest.node().tip().await.unwrap();
    let status = serde_json::json!({
        "confirmed": true, "block_height": tip.height - 20, "block_hash": tip.hash, "block_time": tip.time,
    });
    world.regtest.esplora_lies_once(format!("/tx/{txid}"), serde_json::json!({ "status": status }).to_string());
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

/// A batch that was never published is called deep once: the coin that was signed away for it is still watched.
#[tokio::test(flavor = "multi_thread")]
async fn one_look_takes_no_coin() {
    let world = World::start(Unit::Blocks).await;
    let payer = world.wallet("payer").await;
    let (old, batch) = withheld(&world, &payer).await;
    lie_about(&world, batch).await;
    payer.maintain().await.unwrap();
    assert_eq!(world.regtest.esplora_lies_left(), 0);
    world.mine(1).await;
    let begun = payer.exit_coins().await.unwrap();
    assert_eq!(begun.iter().map(|exit| exit.outpoint).collect::<Vec<_>>(), [old]);
    world.mine(1).await;
    assert_eq!(all_done(&world, &payer).await.len(), 1);
}

/// The same while that coin is being left: one look ends nothing, two do, and the truth brings it back.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_batch_took_comes_back() {
    let world = World::start(Unit::Blocks).await;
    let payer = world.wallet("payer").await;
    let (old, batch) = withheld(&world, &payer).await;
    let of_it = async |run: Vec<ExitInfo>| run.into_iter().find(|exit| exit.outpoint == old).unwrap();
    payer.exit_coins().await.unwrap();
    lie_about(&world, batch).await;
    let told_once = of_it(payer.advance_exits().await.unwrap()).await;
    assert_eq!(told_once.problem, Some(ExitProblem::Conflict { outpoint: old, spent_by: batch }));
    assert_ne!(told_once.stage, ExitStage::Lost);
    world.mine(1).await;
    lie_about(&world, batch).await;
    assert_eq!(of_it(payer.advance_exits().await.unwrap()).await.stage, ExitStage::Lost);
    assert_eq!(world.regtest.esplora_lies_left(), 0);

    assert!(payer.maintain().await.unwrap().next_run.is_some());
    for _ in 0..10 {
        let exit = of_it(payer.advance_exits().await.unwrap()).await;
        match exit.stage {
            ExitStage::Done => return assert!(exit.amount > sats(49_000)),
            ExitStage::Waiting { until, unit } => wait(&world, (until, unit)).await,
            _ => world.mine(1).await,
        }
    }
    panic!("10 runs are not enough: {:?}", payer.exits().unwrap());
}
